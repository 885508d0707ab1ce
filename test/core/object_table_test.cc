// The object table against a std::map.

#include <map>
#include <set>
#include <vector>

#include "model/object_table.h"
#include "store_support.h"

namespace pongo {
namespace {

using test::RandomBelow;
using test::TestFile;
using test::Worker;

using Model = std::map<uint64_t, ObjectEntry>;

bool Same(const ObjectEntry& a, const ObjectEntry& b) { return a.root == b.root && a.size == b.size && a.parent == b.parent; }

ObjectEntry RandomEntry() {
  ObjectEntry entry;
  entry.root = ObjectEntry::PackRoot(test::Random()() & kRefMask, static_cast<uint8_t>(1 + RandomBelow(4)));
  entry.size = test::Random()();
  entry.parent = ObjectEntry::PackParent(test::Random()() & kContainerIdMax, RandomBelow(kLinksMax + 1));
  return entry;
}

// Ids that lie together, and ids that lie anywhere up to 2^40.
uint64_t RandomId() {
  switch (RandomBelow(4)) {
    case 0: return RandomBelow(64);
    case 1: return RandomBelow(100'000);
    case 2: return (uint64_t{1} << 33) + RandomBelow(2000);
    default: return (test::Random()() & kContainerIdMax) >> RandomBelow(40);
  }
}

// One thread that makes version after version of a table.
class Tables {
 public:
  Tables() : worker_(store_.mapping()), writes_(store_.mapping(), worker_.allocator.get()) {}

  Mapping* mapping() const { return store_.mapping(); }
  WriteSet* writes() { return &writes_; }
  ThreadSlot* slot() const { return worker_.slot.get(); }
  uint64_t version() const { return store_.version(); }
  void Start(bool roomy) { writes_.Start(store_.version() + 1, roomy); }
  void Commit() {
    const uint64_t version = store_.version() + 1;
    store_.set_version(version);
    writes_.Committed(version);
    if (worker_.allocator->WantsReclaim()) worker_.allocator->Reclaim();
  }

  void Check(const ObjectTable& table, const Model& model) {
    std::set<Ref> blocks;
    auto expected = model.begin();
    uint64_t seen = 0;
    CHECK_OK(WalkObjects(
        mapping(), table,
        [&](Ref block) {
          CHECK(blocks.insert(block).second);
          CHECK_EQ(test::UseOf(mapping(), block), BlockUse::kLive);
          return Status::Ok();
        },
        [&](uint64_t id, const ObjectEntry& entry) {
          CHECK(expected != model.end() && expected->first == id && Same(expected->second, entry));
          if (expected != model.end()) ++expected;
          seen++;
          return Status::Ok();
        }));
    CHECK_EQ(seen, model.size());
    for (const auto& [id, entry] : model) Find(table, id, &entry);
    for (int i = 0; i < 100; i++) {
      const uint64_t id = RandomId();
      const auto found = model.find(id);
      Find(table, id, found == model.end() ? nullptr : &found->second);
    }
  }

  uint64_t Live() const { return test::Count(mapping()).live; }

 private:
  void Find(const ObjectTable& table, uint64_t id, const ObjectEntry* expected) {
    bool present = !expected;
    ObjectEntry entry;
    CHECK_OK(FindObject(mapping(), table, id, &present, &entry));
    CHECK_EQ(present, expected != nullptr);
    if (present && expected != nullptr) CHECK(Same(entry, *expected));
  }

  TestFile store_;
  Worker worker_;
  WriteSet writes_;
};

void Put(Tables* tables, ObjectTable* table, Model* model, uint64_t id) {
  const ObjectEntry entry = RandomEntry();
  bool added = false;
  CHECK_OK(PutObject(tables->mapping(), tables->writes(), table, id, entry, &added));
  CHECK_EQ(added, model->insert_or_assign(id, entry).second);
}

void Remove(Tables* tables, ObjectTable* table, Model* model, uint64_t id) {
  bool removed = false;
  CHECK_OK(RemoveObject(tables->mapping(), tables->writes(), table, id, &removed));
  CHECK_EQ(removed, model->erase(id) == 1);
}

TEST(AnEmptyTableHasNothing) {
  Tables tables;
  ObjectTable table;
  Model model;
  tables.Check(table, model);
  tables.Start(false);
  Remove(&tables, &table, &model, 7);
  CHECK_EQ(table.root, kNullRef);
  CHECK_EQ(table.levels, 0u);
}

TEST(RandomChangesMatchAMap) {
  for (const bool roomy : {false, true}) {
    Tables tables;
    const uint64_t before = tables.Live();
    ObjectTable table;
    Model model;
    for (int round = 0; round < 40; round++) {
      tables.Start(roomy);
      const bool growing = round % 4 != 3;
      for (int i = 0; i < 300; i++) {
        if (RandomBelow(10) < (growing ? 8u : 2u)) {
          Put(&tables, &table, &model, RandomId());
        } else {
          // Half of the time something that is there.
          auto at = model.lower_bound(RandomId());
          const bool any = at != model.end() && RandomBelow(2) == 0;
          Remove(&tables, &table, &model, any ? at->first : RandomId());
        }
      }
      tables.Commit();
      if (round % 8 == 7) tables.Check(table, model);
    }
    tables.Check(table, model);
    tables.Start(roomy);
    while (!model.empty()) {
      auto at = model.lower_bound(RandomId());
      if (at == model.end()) at = model.begin();
      Remove(&tables, &table, &model, at->first);
    }
    tables.Commit();
    CHECK_EQ(table.root, kNullRef);
    CHECK_EQ(table.levels, 0u);
    CHECK_EQ(tables.Live(), before);  // and no block was forgotten
  }
}

TEST(OldVersionsStayAsTheyWere) {
  Tables tables;
  ObjectTable table;
  Model model;
  struct Kept {
    ObjectTable table;
    Model model;
    uint32_t pin;
  };
  std::vector<Kept> kept;
  for (int round = 0; round < 60; round++) {
    tables.Start(round % 2 == 0);
    for (int i = 0; i < 40; i++) {
      if (RandomBelow(3) != 0)
        Put(&tables, &table, &model, RandomId());
      else if (!model.empty())
        Remove(&tables, &table, &model, model.begin()->first);
    }
    tables.Commit();
    if (round % 10 == 0) kept.push_back({table, model, test::Pin(tables.slot(), tables.version(), PinKind::kSnapshot)});
  }
  const Model newest = model;
  const ObjectTable newest_table = table;
  for (const Kept& k : kept) {
    bool present;
    ObjectEntry entry;
    for (const auto& [id, expected] : k.model) {
      CHECK_OK(FindObject(tables.mapping(), k.table, id, &present, &entry));
      CHECK(present && Same(entry, expected));
    }
    uint64_t seen = 0;
    CHECK_OK(WalkObjects(
        tables.mapping(), k.table, [](Ref) { return Status::Ok(); },
        [&](uint64_t, const ObjectEntry&) {
          seen++;
          return Status::Ok();
        }));
    CHECK_EQ(seen, k.model.size());
    tables.slot()->Unpin(k.pin);
  }
  tables.Check(newest_table, newest);
}

TEST(IdsUpToTheLargest) {
  Tables tables;
  ObjectTable table;
  Model model;
  tables.Start(false);
  for (uint32_t bits = 0; bits <= 40; bits++) {
    const uint64_t id = (uint64_t{1} << bits) - 1;
    Put(&tables, &table, &model, id);
    // One more level only when the id needs it: 4 bits in the leaf, 5 in each level above.
    const uint32_t levels = bits <= 4 ? 1 : 1 + (bits - 4 + 4) / 5;
    CHECK_EQ(table.levels, levels);
  }
  CHECK(model.count(kContainerIdMax) == 1);
  tables.Commit();
  tables.Check(table, model);
  bool present = true;
  ObjectEntry entry;
  CHECK_OK(FindObject(tables.mapping(), table, kContainerIdMax + 1, &present, &entry));
  CHECK(!present);
  CHECK_OK(FindObject(tables.mapping(), table, ~uint64_t{0}, &present, &entry));
  CHECK(!present);
}

TEST(AnEntryKeepsItsParts) {
  for (int i = 0; i < 1000; i++) {
    const Ref tree = test::Random()() & kRefMask;
    const uint64_t parent = test::Random()() & kContainerIdMax;
    const uint64_t links = RandomBelow(kLinksMax + 1);
    const auto kind = static_cast<uint8_t>(RandomBelow(16));
    ObjectEntry entry;
    entry.root = ObjectEntry::PackRoot(tree, kind);
    entry.parent = ObjectEntry::PackParent(parent, links);
    CHECK_EQ(entry.tree(), tree);
    CHECK_EQ(entry.kind(), kind);
    CHECK_EQ(entry.parent_id(), parent);
    CHECK_EQ(entry.links(), links);
  }
}

TEST(DamagedTablesAreRefused) {
  Tables tables;
  ObjectTable table;
  Model model;
  tables.Start(false);
  for (uint64_t id = 0; id < 100; id++) Put(&tables, &table, &model, id);
  tables.Commit();
  bool present;
  ObjectEntry entry;
  ObjectTable wrong = table;
  wrong.levels = table.levels - 1;
  CHECK_CODE(FindObject(tables.mapping(), wrong, 3, &present, &entry), CORRUPT);
  wrong.levels = 10;
  CHECK_CODE(FindObject(tables.mapping(), wrong, 3, &present, &entry), CORRUPT);
  uint64_t size;
  uint8_t* bytes = tables.mapping()->Block(table.root, &size);
  REQUIRE(bytes != nullptr);
  const auto good = Load<NodeHeader>(bytes);
  const auto refused = [&](NodeHeader header) {
    Store(bytes, header);
    CHECK_CODE(FindObject(tables.mapping(), table, 3, &present, &entry), CORRUPT);
    CHECK_CODE(WalkObjects(tables.mapping(), table, [](Ref) { return Status::Ok(); },
                           [](uint64_t, const ObjectEntry&) { return Status::Ok(); }), CORRUPT);
    Store(bytes, good);
  };
  NodeHeader header = good;
  header.kind = static_cast<uint8_t>(NodeKind::kMapInner);
  refused(header);
  header = good;
  header.level++;
  refused(header);
  header = good;
  header.count++;
  refused(header);
  header = good;
  header.capacity = 60'000;
  refused(header);
  header = good;
  header.count = 0;
  header.reserved = 0;
  refused(header);
  tables.Check(table, model);
}

}  // namespace
}  // namespace pongo
