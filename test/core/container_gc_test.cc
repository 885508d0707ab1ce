// Collection of containers: what nobody can reach dies, cycles included; what a proxy, a snapshot or the root leads to does
// not, while others read and write.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "format/wire_writer.h"
#include "store/pidcache.h"
#include "support.h"

namespace pongo {
namespace {

using test::Folder;
using test::GetText;
using test::OpenSession;
using test::TextInput;
using test::TextKey;
using test::VerifyClean;

Input ContainerInput(uint64_t id) {
  Input input;
  input.view.type = ValueView::Type::kContainer;
  input.view.id = id;
  return input;
}

// { name: text }
std::vector<uint8_t> Document(const std::string& text) {
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  writer.Dict(1);
  writer.String(reinterpret_cast<const uint8_t*>("name"), 4);
  writer.String(reinterpret_cast<const uint8_t*>(text.data()), static_cast<uint32_t>(text.size()));
  return wire;
}

Status StoreDocument(Session* session, const std::string& key, const std::string& text) {
  const std::vector<uint8_t> wire = Document(text);
  Input input;
  input.wire = wire.data();
  input.wire_size = wire.size();
  return session->Set(kRootId, TextKey(key).key(), input, 0);
}

// The container under a key of the root, pinned as a proxy would.
uint64_t Show(Session* session, const std::string& key, uint32_t* cell) {
  uint64_t id = 0;
  *cell = kNoCell;
  CHECK(session->Get(0, kRootId, TextKey(key).key(), [&](const ValueView& v) {
    id = v.id;
    *cell = session->PinContainer(v.id);
  }).ok());
  return id;
}

void Remove(Session* session, const std::string& key) {
  bool present = false;
  CHECK(session->Delete(kRootId, TextKey(key).key(), &present).ok());
  CHECK(present);
}

// Collects; returns how many containers there are afterwards.
uint64_t Collect(Session* session) {
  Counts before;
  Counts after;
  CHECK(session->Gc(true, &before, &after).ok());
  Counts counts;
  std::string problem;
  CHECK(session->Verify(&counts, &problem).ok());
  CHECK_EQ(counts.orphans, 0u);
  return counts.containers;
}

bool Exists(Session* session, uint64_t id) {
  Kind kind = Kind::kNone;
  CHECK(session->GetKind(0, id, &kind).ok());
  return kind != Kind::kNone;
}

constexpr uint64_t kEmpty = 2;  // the root and the registry of shapes

TEST(WhatIsRemovedDies) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  for (int i = 0; i < 500; i++) REQUIRE(StoreDocument(session.get(), "doc" + std::to_string(i), std::string(400, 'x')).ok());
  CHECK_EQ(Collect(session.get()), 500 + kEmpty);
  for (int i = 0; i < 250; i++) Remove(session.get(), "doc" + std::to_string(i));
  for (int i = 250; i < 300; i++) REQUIRE(StoreDocument(session.get(), "doc" + std::to_string(i), "new").ok());
  CHECK_EQ(Collect(session.get()), 250 + kEmpty);
  uint32_t cell;
  std::string text;
  CHECK(GetText(session.get(), 0, Show(session.get(), "doc260", &cell), "name", &text));
  CHECK_EQ(text, std::string("new"));
  CHECK(GetText(session.get(), 0, Show(session.get(), "doc400", &cell), "name", &text));
  CHECK_EQ(text.size(), 400u);
}

TEST(CyclesDie) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  REQUIRE(StoreDocument(session.get(), "a", "A").ok());
  REQUIRE(StoreDocument(session.get(), "b", "B").ok());
  uint32_t cells[2];
  const uint64_t a = Show(session.get(), "a", &cells[0]);
  const uint64_t b = Show(session.get(), "b", &cells[1]);
  REQUIRE(session->Set(a, TextKey("other").key(), ContainerInput(b), 0).ok());
  REQUIRE(session->Set(b, TextKey("other").key(), ContainerInput(a), 0).ok());
  REQUIRE(session->Set(b, TextKey("self").key(), ContainerInput(b), 0).ok());
  Remove(session.get(), "a");
  Remove(session.get(), "b");
  session->UnpinContainer(cells[0]);
  CHECK_EQ(Collect(session.get()), 2 + kEmpty);  // b is still shown, and leads to a
  CHECK(Exists(session.get(), a));
  session->UnpinContainer(cells[1]);
  CHECK_EQ(Collect(session.get()), kEmpty);
  CHECK(!Exists(session.get(), a));
}

TEST(AProxyKeepsItsContainerUsable) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path);
  auto other = OpenSession(path);
  REQUIRE(session != nullptr && other != nullptr);
  REQUIRE(StoreDocument(session.get(), "doc", "kept").ok());
  uint32_t cell;
  const uint64_t id = Show(session.get(), "doc", &cell);
  Remove(other.get(), "doc");
  CHECK_EQ(Collect(other.get()), 1 + kEmpty);
  std::string text;
  CHECK(GetText(session.get(), 0, id, "name", &text));
  CHECK_EQ(text, std::string("kept"));
  REQUIRE(session->Set(id, TextKey("more").key(), TextInput("written"), 0).ok());
  // It can come back into the tree.
  REQUIRE(session->Set(kRootId, TextKey("again").key(), ContainerInput(id), 0).ok());
  session->UnpinContainer(cell);
  CHECK_EQ(Collect(other.get()), 1 + kEmpty);
  Remove(other.get(), "again");
  CHECK_EQ(Collect(other.get()), kEmpty);
  // A session that ends shows nothing any more.
  REQUIRE(StoreDocument(session.get(), "doc", "kept").ok());
  Show(session.get(), "doc", &cell);
  Remove(other.get(), "doc");
  CHECK_EQ(Collect(other.get()), 1 + kEmpty);
  session.reset();
  CHECK_EQ(Collect(other.get()), kEmpty);
}

TEST(ANewContainerLivesUntilItsProxyGoes) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  uint64_t id;
  uint32_t cell;
  REQUIRE(session->Create(Kind::kCollection, nullptr, 0, &id, &cell).ok());
  CHECK_EQ(Collect(session.get()), 1 + kEmpty);
  session->UnpinContainer(cell);
  CHECK_EQ(Collect(session.get()), kEmpty);
}

TEST(ASnapshotKeepsWhatItShows) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  REQUIRE(StoreDocument(session.get(), "doc", "old").ok());
  uint64_t view;
  REQUIRE(session->Snapshot(&view).ok());
  // After the snapshot the document gets a child that only its present content leads to; then it is removed.
  uint32_t cells[2];
  const uint64_t id = Show(session.get(), "doc", &cells[0]);
  uint64_t child;
  REQUIRE(session->Create(Kind::kList, nullptr, 0, &child, &cells[1]).ok());
  REQUIRE(session->Set(id, TextKey("child").key(), ContainerInput(child), 0).ok());
  for (const uint32_t cell : cells) session->UnpinContainer(cell);
  Remove(session.get(), "doc");
  CHECK_EQ(Collect(session.get()), 2 + kEmpty);
  CHECK(Exists(session.get(), child));
  std::string text;
  CHECK(GetText(session.get(), view, id, "name", &text));
  REQUIRE(session->Release(view).ok());
  CHECK_EQ(Collect(session.get()), kEmpty);
}

TEST(ATransactionKeepsWhatItHasRead) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path);
  auto other = OpenSession(path);
  REQUIRE(session != nullptr && other != nullptr);
  REQUIRE(StoreDocument(session.get(), "doc", "x").ok());
  uint64_t place;
  uint32_t cell;
  REQUIRE(session->Create(Kind::kCollection, nullptr, 0, &place, &cell).ok());
  REQUIRE(session->Begin().ok());
  uint64_t id = 0;
  REQUIRE(session->Get(0, kRootId, TextKey("doc").key(), [&](const ValueView& v) { id = v.id; }).ok());
  Remove(other.get(), "doc");
  CHECK_EQ(Collect(other.get()), 2 + kEmpty);
  CHECK(Exists(other.get(), id));
  REQUIRE(session->Abort().ok());
  CHECK_EQ(Collect(other.get()), 1 + kEmpty);
}

TEST(ManyCellsAndMore) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  REQUIRE(StoreDocument(session.get(), "doc", "x").ok());
  std::vector<uint32_t> cells;
  uint32_t cell;
  const uint64_t id = Show(session.get(), "doc", &cell);
  cells.push_back(cell);
  for (uint32_t i = 1; i < kCellsMax; i++) cells.push_back(session->PinContainer(id));
  for (const uint32_t c : cells) CHECK(c < kOverflowCell);
  const uint32_t overflow = session->PinContainer(id);
  CHECK_EQ(overflow, kOverflowCell);
  for (const uint32_t c : cells) session->UnpinContainer(c);
  Remove(session.get(), "doc");
  CHECK_EQ(Collect(session.get()), 1 + kEmpty);  // with more proxies than cells nothing may die
  session->UnpinContainer(overflow);
  CHECK_EQ(Collect(session.get()), kEmpty);
}

// A proxy shows a container that is nowhere in the tree; an older view of it shows a child that has been taken out since.
TEST(AnOlderViewOfADetachedContainerKeepsItsChildren) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path);
  auto other = OpenSession(path);
  REQUIRE(session != nullptr && other != nullptr);
  uint32_t cells[2];
  REQUIRE(StoreDocument(session.get(), "parent", "p").ok());
  const uint64_t parent = Show(session.get(), "parent", &cells[0]);
  uint64_t child;
  REQUIRE(session->Create(Kind::kCollection, nullptr, 0, &child, &cells[1]).ok());
  REQUIRE(session->Set(parent, TextKey("child").key(), ContainerInput(child), 0).ok());
  session->UnpinContainer(cells[1]);
  Remove(session.get(), "parent");
  uint64_t view;
  REQUIRE(session->Snapshot(&view).ok());
  bool present = false;
  REQUIRE(other->Delete(parent, TextKey("child").key(), &present).ok() && present);
  CHECK_EQ(Collect(other.get()), 2 + kEmpty);
  CHECK(Exists(session.get(), child));
  REQUIRE(session->Release(view).ok());
  CHECK_EQ(Collect(other.get()), 1 + kEmpty);
  session->UnpinContainer(cells[0]);
  CHECK_EQ(Collect(other.get()), kEmpty);
}

// A session that puts a document back and ends at once, while a collection runs, has no cell left when cells are read.
TEST(AThreadThatEndsDoesNotTakeWhatItPutBack) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  REQUIRE(StoreDocument(session.get(), "kept", "precious").ok());
  for (int i = 0; i < 3000; i++) REQUIRE(StoreDocument(session.get(), "doc" + std::to_string(i), "filler").ok());
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::thread collector([&] {
    auto own = OpenSession(path);
    while (own != nullptr && !stop.load()) {
      Counts before;
      Counts after;
      if (!own->Gc(true, &before, &after).ok()) failures++;
    }
    if (own == nullptr) failures++;
  });
  // Scans keep the collector waiting between the version that it looks at and the cells that it reads.
  std::thread reader([&] {
    auto own = OpenSession(path);
    while (own != nullptr && !stop.load()) {
      uint64_t seen = 0;
      if (!own->Page(0, kRootId, 0, ~uint64_t{0}, 1, [&](const Key&, const ValueView&) { return ++seen > 0; }).ok()) failures++;
    }
    if (own == nullptr) failures++;
  });
  for (int i = 0; i < 30000 && failures.load() == 0; i++) {
    auto own = OpenSession(path);
    uint32_t cell;
    const uint64_t id = own == nullptr ? 0 : Show(own.get(), "kept", &cell);
    bool present = false;
    if (id == 0 || !own->Delete(kRootId, TextKey("kept").key(), &present).ok() || !present ||
        !own->Set(kRootId, TextKey("kept").key(), ContainerInput(id), 0).ok())
      failures++;
  }
  stop = true;
  collector.join();
  reader.join();
  CHECK_EQ(failures.load(), 0);
  uint32_t cell;
  std::string text;
  CHECK(GetText(session.get(), 0, Show(session.get(), "kept", &cell), "name", &text));
  CHECK_EQ(text, std::string("precious"));
}

TEST(CollectingBesideReadersAndWriters) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  constexpr int kKeys = 40;
  for (int i = 0; i < kKeys; i++) REQUIRE(StoreDocument(session.get(), "doc" + std::to_string(i), "start").ok());
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 3; t++) {
    const uint64_t seed = test::Random()();
    threads.emplace_back([&, seed] {
      auto own = OpenSession(path);
      uint64_t state = seed | 1;
      const auto random = [&state](uint64_t limit) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return (state >> 33) % limit;
      };
      while (own != nullptr && !stop.load()) {
        const std::string from = "doc" + std::to_string(random(kKeys));
        const std::string to = "doc" + std::to_string(random(kKeys));
        if (random(3) == 0) {
          if (!StoreDocument(own.get(), from, std::string(random(600), 'y')).ok()) failures++;
          continue;
        }
        // A document is found, others may remove it, a proxy goes on using it and puts it somewhere else.
        uint64_t id = 0;
        uint32_t cell = kNoCell;
        if (!own->Get(0, kRootId, TextKey(from).key(), [&](const ValueView& v) {
              id = v.id;
              cell = own->PinContainer(v.id);
            }).ok()) {
          failures++;
        }
        if (id == 0) continue;
        if (!own->Set(id, TextKey("more").key(), TextInput("text"), 0).ok()) failures++;
        bool named = false;
        if (!own->Get(0, id, TextKey("name").key(), [&](const ValueView&) { named = true; }).ok() || !named) failures++;
        if (!own->Set(kRootId, TextKey(to).key(), ContainerInput(id), 0).ok()) failures++;
        own->UnpinContainer(cell);
      }
      if (own == nullptr) failures++;
    });
  }
  for (int i = 0; i < 60; i++) {
    Counts before;
    Counts after;
    CHECK(session->Gc(true, &before, &after).ok());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(failures.load(), 0);
  CHECK(Collect(session.get()) <= kKeys + kEmpty);
  for (int i = 0; i < kKeys; i++) {
    uint32_t cell;
    std::string text;
    CHECK(GetText(session.get(), 0, Show(session.get(), "doc" + std::to_string(i), &cell), "name", &text));
  }
}

}  // namespace
}  // namespace pongo
