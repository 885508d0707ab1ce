// Where the blocks of a commit that somebody waits for lie: side by side, because each place is a request to the disk.

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "format/node.h"
#include "model/object_table.h"
#include "regressions.h"
#include "store/checkpoint.h"
#include "support.h"

namespace pongo {
namespace {

using namespace pongo::test;

struct Extent {
  uint64_t offset;
  uint64_t size;
};

// Requests that the pages of the extents take: runs of adjacent pages.
size_t Places(std::vector<Extent> extents) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
  size_t places = 0;
  uint64_t last = 0;
  for (const Extent& extent : extents) {
    if (places == 0 || extent.offset / kPageSize > last + 1) places++;
    last = (extent.offset + extent.size - 1) / kPageSize;
  }
  return places;
}

template <class T>
T ReadFrom(const port::File& file, uint64_t offset) {
  T value;
  CHECK_OK(port::ReadAt(file, offset, &value, sizeof value));
  return value;
}

// Of the root record, the object table, which is one node, and the root of the newest container's tree, as the durable version has them.
size_t PlacesAboveTheLeaves(const port::File& file) {
  Superblock superblock;
  CHECK_OK(ReadSuperblock(file, &superblock));
  const auto record = ReadFrom<RootRecord>(file, RefOffset(superblock.root));
  CHECK_EQ(uint32_t{record.size_class}, RefClass(superblock.root));
  CHECK_EQ(uint32_t{record.object_levels}, 1u);
  const uint64_t table = RefOffset(record.object_table);
  const auto header = ReadFrom<NodeHeader>(file, table);
  const uint64_t entry = table + sizeof(NodeHeader) + (header.count - uint64_t{1}) * sizeof(ObjectEntry);
  const Ref tree = ReadFrom<ObjectEntry>(file, entry).tree();
  return Places({{RefOffset(superblock.root), sizeof(RootRecord)},
                 {table, sizeof(NodeHeader) + header.count * sizeof(ObjectEntry)},
                 {RefOffset(tree), kClassSizes[RefClass(tree)]}});
}

double AveragePlaces(int keys, Durability durability) {
  Folder folder;
  OpenOptions options;
  options.durability = durability;
  options.checkpoint_interval_ms = 3'600'000;
  const auto session = OpenSession(folder.File("x.pongo"), options);
  port::File file;
  bool created;
  CHECK_OK(port::OpenFile(folder.File("x.pongo"), port::OpenMode::kReadOnly, 0, &file, &created));
  Input collection;
  collection.view.type = ValueView::Type::kContainer;
  collection.view.kind = Kind::kCollection;
  uint32_t cell;
  CHECK_OK(session->Create(Kind::kCollection, nullptr, 0, &collection.view.id, &cell));
  CHECK_OK(session->Set(kRootId, TextKey("values").key(), collection, 0));
  const auto set = [&](int key, int size) {
    const std::string value(static_cast<size_t>(size), 'v');
    CHECK_OK(SetText(session.get(), std::to_string(key), value, collection.view.id));
  };
  for (int key = 0; key < keys; key++) set(key, 100);
  std::mt19937 random(1);
  constexpr int kCommits = 2000;
  size_t places = 0;
  for (int i = 0; i < kCommits; i++) {
    set(static_cast<int>(random() % static_cast<unsigned>(keys)), 90 + static_cast<int>(random() % 20));
    CHECK_OK(session->Sync(false));
    places += PlacesAboveTheLeaves(file);
  }
  std::printf("%d keys: %.2f places above the leaves\n", keys, static_cast<double>(places) / kCommits);
  return static_cast<double>(places) / kCommits;
}

TEST(AnAwaitedCommitIsWrittenInFewPlaces) {
  for (const int keys : {10, 1000, 20'000}) CHECK(AveragePlaces(keys, Durability::kSync) < 1.6);
}

// What the test above would find if it looked at nothing: two of the three have a class, and so a slab, of their own.
TEST(OthersAreWrittenWhereThereIsRoom) { CHECK(AveragePlaces(1000, Durability::kNone) > 1.9); }

}  // namespace
}  // namespace pongo
