// The counted B+tree against a std::map and a std::vector, straight over a mapping.

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "store_support.h"
#include "tree/tree.h"

namespace pongo {
namespace {

using test::RandomBelow;
using test::RandomByte;
using test::TestFile;
using test::UseOf;
using test::Worker;

// Values: words, or texts of up to 255 bytes in the leaf.
using Model = std::map<std::string, std::string>;

Key KeyOf(const std::string& bytes) {
  Key key;
  key.data = reinterpret_cast<const uint8_t*>(bytes.data());
  key.size = static_cast<uint32_t>(bytes.size());
  return key;
}

Payload PayloadOf(const std::string& text) {
  Payload payload;
  if (text.size() == 4) {  // as a word
    uint32_t number;
    std::memcpy(&number, text.data(), 4);
    payload.word = MakeWord(WordTag::kSmallInt, number);
  } else {
    payload.local = reinterpret_cast<const uint8_t*>(text.data());
    payload.local_size = static_cast<uint32_t>(text.size());
    payload.type = PayloadType::kBytes;
  }
  return payload;
}

std::string TextOf(const Node& leaf, uint32_t index) {
  const Word word = leaf.word(index);
  if (!IsLocal(word)) {
    const auto number = static_cast<uint32_t>(word);
    return std::string(reinterpret_cast<const char*>(&number), 4);
  }
  const uint8_t* bytes = leaf.heap(LocalFromEnd(word), LocalSize(word));
  return bytes == nullptr ? "damaged" : std::string(reinterpret_cast<const char*>(bytes), LocalSize(word));
}

std::string RandomBytes(size_t size) {
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>(RandomByte());
  return text;
}

std::string RandomValue() {
  switch (RandomBelow(8)) {
    case 0: return RandomBytes(RandomBelow(256));
    case 1: return RandomBytes(1 + RandomBelow(30));
    default: return RandomBytes(4);
  }
}

// A tree with its file, slot and write set; each Commit is a version.
class Forest {
 public:
  explicit Forest(bool keyed)
      : keyed_(keyed), worker_(file_.mapping()), writes_(file_.mapping(), worker_.allocator.get()) {
    live_ = test::Count(file_.mapping()).live;
  }
  Mapping* mapping() const { return file_.mapping(); }
  WriteSet* writes() { return &writes_; }
  ThreadSlot* slot() const { return worker_.slot.get(); }
  TreeWriter writer() { return TreeWriter(mapping(), &writes_, keyed_); }
  TreeReader reader() const { return TreeReader(mapping(), keyed_); }
  uint64_t version() const { return file_.version(); }

  void Start(bool roomy) { writes_.Start(file_.version() + 1, roomy); }
  void Commit() {
    const uint64_t version = file_.version() + 1;
    file_.set_version(version);
    writes_.Committed(version);
    if (worker_.allocator->WantsReclaim()) worker_.allocator->Reclaim();
  }
  // Blocks that the test has made and not given back.
  uint64_t Blocks() const { return test::Count(file_.mapping()).live - live_; }

  // False when nothing was there before.
  bool Put(Ref* root, const std::string& key, const std::string& value) {
    TreeWriter tree = writer();
    const Key k = KeyOf(key);
    if (*root == kNullRef) {
      CHECK_OK(tree.InsertFirst(&k, PayloadOf(value), root));
      return false;
    }
    Path path;
    bool present = false;
    CHECK_OK(tree.Seek(*root, k, &path, &present));
    CHECK_OK(present ? tree.Replace(&path, PayloadOf(value), root) : tree.Insert(&path, &k, PayloadOf(value), root));
    return present;
  }
  bool Remove(Ref* root, const std::string& key) {
    if (*root == kNullRef) return false;
    TreeWriter tree = writer();
    Path path;
    bool present = false;
    CHECK_OK(tree.Seek(*root, KeyOf(key), &path, &present));
    if (present) CHECK_OK(tree.Erase(&path, root));
    return present;
  }

 private:
  bool keyed_;
  TestFile file_;
  Worker worker_;
  WriteSet writes_;
  uint64_t live_ = 0;
};

std::string KeyAt(const Forest& forest, const Node& leaf, uint32_t index) {
  StoredKey stored;
  uint8_t scratch[8];
  if (!ReadKey(forest.mapping(), leaf, index, &stored, scratch)) return "damaged";
  std::string key(stored.size(), ' ');
  stored.CopyTo(reinterpret_cast<uint8_t*>(key.data()));
  return key;
}

// The promises of the layout: levels, counts, one use of each block, no lone child at the top. The height.
uint32_t CheckShape(const Forest& forest, Ref root, uint64_t size, bool newest) {
  std::set<Ref> blocks;
  uint64_t entries = 0;
  uint32_t height = 0;
  CHECK_OK(forest.reader().Walk(
      root,
      [&](Ref block) {
        CHECK(blocks.insert(block).second);
        if (newest) CHECK_EQ(UseOf(forest.mapping(), block), BlockUse::kLive);
        return Status::Ok();
      },
      [&](const Node& node) {
        height = std::max(height, node.level() + 1u);
        if (node.ref() == root && !node.leaf()) CHECK(node.count() > 1);
        if (node.leaf()) entries += node.count();
        for (uint32_t i = 0; !node.leaf() && i < node.count(); i++) {
          uint64_t below = 0;
          CHECK_OK(forest.reader().Count(node.child(i), &below));
          CHECK_EQ(below, node.child_count(i));
        }
        return Status::Ok();
      }));
  CHECK_EQ(entries, size);
  uint64_t count = ~uint64_t{0};
  CHECK_OK(forest.reader().Count(root, &count));
  CHECK_EQ(count, size);
  return height;
}

uint32_t CheckTree(const Forest& forest, Ref root, const Model& model, bool newest = true) {
  const TreeReader reader = forest.reader();
  const uint32_t height = CheckShape(forest, root, model.size(), newest);
  std::vector<std::pair<std::string, std::string>> up;
  CHECK_OK(reader.Scan(root, 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
    up.emplace_back(KeyAt(forest, leaf, i), TextOf(leaf, i));
    return true;
  }));
  CHECK(std::equal(up.begin(), up.end(), model.begin(), model.end(),
                   [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; }));
  if (model.empty()) return height;
  size_t at = up.size();
  CHECK_OK(reader.Scan(root, up.size() - 1, ~uint64_t{0}, -1, [&](const Node& leaf, uint32_t i) {
    at--;
    return KeyAt(forest, leaf, i) == up[at].first;
  }));
  CHECK_EQ(at, 0u);
  for (int i = 0; i < 50; i++) {
    // Parts of it, from anywhere, and by position.
    const uint64_t start = RandomBelow(up.size());
    const uint64_t limit = 1 + RandomBelow(100);
    uint64_t seen = 0;
    const bool down = RandomBelow(2) == 0;
    CHECK_OK(reader.Scan(root, start, limit, down ? -1 : 1, [&](const Node& leaf, uint32_t n) {
      CHECK(KeyAt(forest, leaf, n) == up[down ? start - seen : start + seen].first);
      seen++;
      return true;
    }));
    CHECK_EQ(seen, std::min(limit, down ? start + 1 : up.size() - start));
    bool present = false;
    Found found;
    CHECK_OK(reader.FindAt(root, start, &present, &found));
    CHECK(present && KeyAt(forest, found.leaf, found.index) == up[start].first);
    CHECK_OK(reader.FindAt(root, up.size() + RandomBelow(3), &present, &found));
    CHECK(!present);
  }
  for (int i = 0; i < 100; i++) {
    // Keys that are there, and neighbours of them that need not be.
    std::string key = up[RandomBelow(up.size())].first;
    const uint64_t change = RandomBelow(4);
    if (change == 1) key.push_back('\0');
    if (change == 2 && !key.empty()) key.pop_back();
    if (change == 3 && !key.empty()) key[RandomBelow(key.size())] = static_cast<char>(RandomByte());
    const auto expected = model.find(key);
    bool present = false;
    Found found;
    CHECK_OK(reader.Find(root, KeyOf(key), &present, &found));
    CHECK_EQ(present, expected != model.end());
    if (present && expected != model.end()) CHECK(TextOf(found.leaf, found.index) == expected->second);
    uint64_t rank = 0;
    bool equal = false;
    CHECK_OK(reader.Rank(root, KeyOf(key), &rank, &equal));
    CHECK_EQ(equal, expected != model.end());
    CHECK_EQ(rank, static_cast<uint64_t>(std::distance(model.begin(), model.lower_bound(key))));
  }
  return height;
}

using MakeKey = std::string (*)();

// std::string compares as unsigned bytes, as the tree does.
std::string ShortKey() { return RandomBytes(RandomBelow(4)); }
std::string PlainKey() { return "user:" + std::to_string(RandomBelow(5000)); }
std::string LongPrefixKey() { return std::string(230, 'p') + std::to_string(RandomBelow(800)); }
// Prefixes of each other, and keys around the limit of what a node takes.
std::string NestedKey() { return std::string(RandomBelow(300), 'n') + std::string(RandomBelow(3), 'o'); }
// Long keys that differ at the end: so do their separators.
std::string LongSeparatorKey() { return std::string(400, 's') + std::to_string(RandomBelow(8000)); }
std::string AnyKey() {
  switch (RandomBelow(40)) {
    case 0: return std::string(RandomBelow(100 << 10), static_cast<char>('a' + RandomBelow(3))) + std::to_string(RandomBelow(10));
    case 1: return std::string(32'000 + RandomBelow(1500), 'z');
    case 2: return std::string(245 + RandomBelow(20), 'q');
    case 3: return "";
    case 4: case 5: case 6: return ShortKey();
    case 7: case 8: return LongSeparatorKey();
    case 9: case 10: return NestedKey();
    case 11: case 12: return LongPrefixKey();
    default: return PlainKey();
  }
}

// Grows and shrinks a tree, version after version, down to nothing.
void Churn(MakeKey make, bool roomy, int versions, int steps) {
  Forest forest(true);
  Ref root = kNullRef;
  Model model;
  uint32_t height = 0;
  for (int v = 0; v < versions; v++) {
    forest.Start(roomy);
    const bool growing = v % 5 < 3;
    for (int i = 0; i < steps; i++) {
      if (RandomBelow(10) < (growing ? 8u : 2u)) {
        const std::string key = make();
        const std::string value = RandomValue();
        CHECK_EQ(forest.Put(&root, key, value), !model.insert_or_assign(key, value).second);
      } else {
        auto at = model.lower_bound(make());
        const std::string key = at == model.end() || RandomBelow(4) == 0 ? make() : at->first;
        CHECK_EQ(forest.Remove(&root, key), model.erase(key) == 1);
      }
    }
    forest.Commit();
    if (v % 4 == 3 || v + 1 == versions) height = std::max(height, CheckTree(forest, root, model));
  }
  CHECK(height > 1);
  // Down to nothing, in a mixed order.
  uint64_t left = 0;
  while (!model.empty()) {
    forest.Start(roomy);
    for (int i = 0; i < steps && !model.empty(); i++) {
      auto at = RandomBelow(3) == 0 ? model.begin() : RandomBelow(2) == 0 ? std::prev(model.end()) : model.lower_bound(make());
      if (at == model.end()) at = model.begin();
      CHECK(forest.Remove(&root, at->first));
      model.erase(at);
    }
    forest.Commit();
    if (++left % 8 == 0) CheckTree(forest, root, model);
  }
  CHECK_EQ(root, kNullRef);
  CHECK_EQ(forest.Blocks(), 0u);  // every node and every long key was dropped once
}

TEST(PlainKeysMatchAMap) {
  Churn(PlainKey, false, 20, 400);
  Churn(PlainKey, true, 20, 400);
}
TEST(ShortKeysMatchAMap) { Churn(ShortKey, true, 20, 400); }
TEST(LongPrefixesMatchAMap) {
  Churn(LongPrefixKey, false, 20, 200);
  Churn(LongPrefixKey, true, 20, 200);
}
TEST(PrefixesOfEachOtherMatchAMap) { Churn(NestedKey, true, 20, 300); }
TEST(LongSeparatorsMatchAMap) {
  // Enough of them for inner nodes to split.
  Churn(LongSeparatorKey, false, 15, 900);
  Churn(LongSeparatorKey, true, 15, 900);
}
TEST(KeysOfAllSizesMatchAMap) {
  Churn(AnyKey, false, 15, 300);
  Churn(AnyKey, true, 15, 300);
}

TEST(OrderedInsertsFillTheirNodes) {
  for (const bool ascending : {true, false}) {
    Forest forest(true);
    Ref root = kNullRef;
    Model model;
    for (int i = 0; i < 20'000; i++) {
      if (i % 100 == 0) forest.Start(true);
      char key[16];
      std::snprintf(key, sizeof key, "%08d", ascending ? i : 20'000 - i);
      CHECK(!forest.Put(&root, key, "abcd"));
      model[key] = "abcd";
      if (i % 100 == 99) forest.Commit();
    }
    CHECK_EQ(CheckTree(forest, root, model), 3u);
    uint64_t leaves = 0;
    CHECK_OK(forest.reader().Walk(root, [](Ref) { return Status::Ok(); }, [&](const Node& node) {
      leaves += node.leaf();
      return Status::Ok();
    }));
    // Ascending: full leaves stay behind. The other way about they are halved.
    if (ascending) CHECK(leaves < 20'000 / (kLeafCountMax - 4));
    else CHECK(leaves < 20'000 / (kLeafCountMax / 4));
    forest.Start(true);
    CHECK_OK(forest.writer().DropAll(root));
    forest.Commit();
    CHECK_EQ(forest.Blocks(), 0u);
  }
}

// Each removal is a commit of its own, as for single operations.
TEST(RemovingAllButAFewLeavesASmallTree) {
  Forest forest(true);
  Ref root = kNullRef;
  Model model;
  forest.Start(true);
  for (int i = 0; i < 20'000; i++) {
    const std::string key = std::to_string(i);
    forest.Put(&root, key, "abcd");
    model[key] = "abcd";
  }
  forest.Commit();
  for (int i = 0; i < 20'000; i++) {
    if (i % 1000 == 7) continue;
    forest.Start(false);
    CHECK(forest.Remove(&root, std::to_string(i)));
    forest.Commit();
    model.erase(std::to_string(i));
  }
  CHECK(CheckTree(forest, root, model) <= 2);
  CHECK(forest.Blocks() <= 8);  // merged, not left as hundreds of nearly empty leaves
}

TEST(OldRootsStayReadable) {
  Forest forest(true);
  Ref root = kNullRef;
  Model model;
  struct Kept {
    Ref root;
    Model model;
    uint32_t pin;
  };
  std::vector<Kept> kept;
  for (int v = 0; v < 120; v++) {
    forest.Start(v % 2 == 0);
    for (int i = 0; i < 60; i++) {
      const std::string key = AnyKey();
      if (RandomBelow(3) != 0) {
        model[key] = RandomValue();
        forest.Put(&root, key, model[key]);
      } else if (!model.empty()) {
        auto at = model.lower_bound(key);
        if (at == model.end()) at = model.begin();
        CHECK(forest.Remove(&root, at->first));
        model.erase(at);
      }
    }
    forest.Commit();
    if (v % 12 == 0) kept.push_back({root, model, test::Pin(forest.slot(), forest.version(), PinKind::kSnapshot)});
    if (v % 25 == 24) {  // one goes, the others stay
      std::swap(kept[RandomBelow(kept.size())], kept.back());
      CheckTree(forest, kept.back().root, kept.back().model, false);
      forest.slot()->Unpin(kept.back().pin);
      kept.pop_back();
    }
  }
  CheckTree(forest, root, model);
  for (const Kept& k : kept) CheckTree(forest, k.root, k.model, false);
}

TEST(AbandonedChangesLeaveNothing) {
  Forest forest(true);
  Ref root = kNullRef;
  Model model;
  forest.Start(false);
  for (int i = 0; i < 500; i++) {
    const std::string key = AnyKey();
    model[key] = "abcd";
    forest.Put(&root, key, "abcd");
  }
  forest.Commit();
  const uint64_t blocks = forest.Blocks();
  for (int round = 0; round < 20; round++) {
    Ref other = root;
    forest.Start(round % 2 == 0);
    for (int i = 0; i < 200; i++) {
      if (RandomBelow(2) == 0) forest.Put(&other, AnyKey(), RandomValue());
      else forest.Remove(&other, AnyKey());
    }
    forest.writes()->Abandon();
    CHECK_EQ(forest.Blocks(), blocks);
  }
  CheckTree(forest, root, model);
}

TEST(TheFirstFormOfAKeyStays) {
  Forest forest(true);
  Ref root = kNullRef;
  forest.Start(false);
  const uint8_t form[3] = {1, 0, 128};
  std::map<std::string, uint32_t> forms;
  for (int i = 0; i < 600; i++) {
    const std::string bytes = std::string(RandomBelow(2) * 250, 'f') + std::to_string(RandomBelow(300));
    Key key = KeyOf(bytes);
    key.form_size = static_cast<uint32_t>(RandomBelow(4));
    key.form = form;
    TreeWriter tree = forest.writer();
    Path path;
    bool present = false;
    if (root == kNullRef) {
      CHECK_OK(tree.InsertFirst(&key, PayloadOf("abcd"), &root));
    } else {
      CHECK_OK(tree.Seek(root, key, &path, &present));
      CHECK_OK(present ? tree.Replace(&path, PayloadOf("efgh"), &root) : tree.Insert(&path, &key, PayloadOf("abcd"), &root));
    }
    CHECK_EQ(present, !forms.emplace(bytes, key.form_size).second);
  }
  forest.Commit();
  auto expected = forms.begin();
  CHECK_OK(forest.reader().Scan(root, 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
    StoredKey stored;
    uint8_t scratch[8];
    CHECK(ReadKey(forest.mapping(), leaf, i, &stored, scratch));
    CHECK(KeyAt(forest, leaf, i) == expected->first);
    CHECK_EQ(stored.form_size, expected->second);
    CHECK(stored.form_size == 0 || std::memcmp(stored.form, form, stored.form_size) == 0);
    ++expected;
    return true;
  }));
  CHECK(expected == forms.end());
}

TEST(BuildMakesTheSameTreeAtOnce) {
  for (const size_t size : {0u, 1u, 2u, 63u, 64u, 65u, 128u, 3000u, 3136u, 9000u}) {
    Forest forest(true);
    Model model;
    while (model.size() < size) model[RandomBelow(3) == 0 ? AnyKey() + std::to_string(model.size()) : std::to_string(test::Random()())] = RandomValue();
    forest.Start(true);
    std::vector<LeafItem> items(model.size());
    size_t n = 0;
    for (const auto& [key, value] : model) {
      CHECK_OK(forest.writer().editor().MakeItemKey(KeyOf(key), &items[n]));
      items[n++].payload = PayloadOf(value);
    }
    Ref root = kNullRef;
    CHECK_OK(forest.writer().Build(items.data(), items.size(), &root));
    forest.Commit();
    CheckTree(forest, root, model);
    forest.Start(false);
    for (const auto& [key, value] : Model(model)) {
      if (RandomBelow(2) == 0) continue;
      CHECK(forest.Remove(&root, key));
      model.erase(key);
    }
    forest.Commit();
    CheckTree(forest, root, model);
    forest.Start(false);
    CHECK_OK(forest.writer().DropAll(root));
    forest.Commit();
    CHECK_EQ(forest.Blocks(), 0u);
  }
}

TEST(SequencesMatchAVector) {
  for (const bool roomy : {false, true}) {
    Forest forest(false);
    Ref root = kNullRef;
    std::vector<std::string> model;
    for (int v = 0; v < 30; v++) {
      forest.Start(roomy);
      const bool growing = v % 5 < 3;
      for (int i = 0; i < 400; i++) {
        TreeWriter tree = forest.writer();
        Path path;
        const uint64_t at = RandomBelow(model.size() + 1);
        const auto place = model.begin() + static_cast<ptrdiff_t>(at);
        const uint64_t action = RandomBelow(10);
        if (root == kNullRef) {
          model.push_back(RandomValue());
          CHECK_OK(tree.InsertFirst(nullptr, PayloadOf(model[0]), &root));
          continue;
        }
        CHECK_OK(tree.SeekAt(root, at, &path));
        if (action < (growing ? 7u : 2u) || at == model.size()) {
          const auto value = model.insert(place, RandomValue());
          CHECK_OK(tree.Insert(&path, nullptr, PayloadOf(*value), &root));
        } else if (action < 8) {
          CHECK_OK(tree.Erase(&path, &root));
          model.erase(place);
        } else {
          *place = RandomValue();
          CHECK_OK(tree.Replace(&path, PayloadOf(*place), &root));
        }
      }
      forest.Commit();
      CheckShape(forest, root, model.size(), true);
      for (const int step : {1, -1}) {
        std::vector<std::string> seen;
        if (!model.empty())
          CHECK_OK(forest.reader().Scan(root, step > 0 ? 0 : model.size() - 1, ~uint64_t{0}, step, [&](const Node& leaf, uint32_t i) {
            seen.push_back(TextOf(leaf, i));
            return true;
          }));
        if (step < 0) std::reverse(seen.begin(), seen.end());
        CHECK(seen == model);
      }
    }
    forest.Start(roomy);
    while (!model.empty()) {
      Path path;
      const uint64_t at = RandomBelow(model.size());
      CHECK_OK(forest.writer().SeekAt(root, at, &path));
      CHECK_OK(forest.writer().Erase(&path, &root));
      model.erase(model.begin() + static_cast<ptrdiff_t>(at));
    }
    forest.Commit();
    CHECK_EQ(root, kNullRef);
    CHECK_EQ(forest.Blocks(), 0u);
  }
}

TEST(ALeafWhoseBlockIsMarkedFreeIsCorrupt) {
  Forest forest(true);
  forest.Start(false);
  Ref root = kNullRef;
  for (int i = 0; i < 10; i++) forest.Put(&root, "key" + std::to_string(i), std::string(100, 'a'));
  forest.Commit();
  forest.Start(false);
  forest.writes()->allocator()->Discard(root);  // as the bytes of a damaged file say
  Path path;
  bool present = false;
  const std::string name = "key5";
  const Key key = KeyOf(name);
  CHECK_OK(forest.writer().Seek(root, key, &path, &present));
  CHECK(present);
  CHECK_EQ(forest.writer().Replace(&path, PayloadOf(std::string(100, 'b')), &root).code(), Code::kCORRUPT);
}

}  // namespace
}  // namespace pongo
