// Defects that were found by review around collection and shapes: each test fails without its fix.

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "format/node.h"
#include "format/wire_writer.h"
#include "model/container_gc.h"
#include "model/database_file.h"
#include "model/shapes.h"
#include "port/port.h"
#include "regressions.h"
#include "store/allocator.h"
#include "store/pidcache.h"

namespace pongo {
namespace {

using test::Folder;
using test::GetText;
using test::OpenSession;
using test::SetText;
using test::TextInput;
using test::TextKey;
using test::VerifyClean;

constexpr uint64_t kMaxSize = 2u << 20;

// A file that is soon full, and no checkpoints behind the test's back.
OpenOptions Small() {
  OpenOptions options = test::Quiet();
  options.max_size = kMaxSize;
  options.chunk_size = kSlabSize;
  options.durability = Durability::kNone;
  return options;
}

// Another thread of the database, which uses its room up.
class Hog {
 public:
  explicit Hog(const std::string& path) {
    std::string detail;
    auto opened = DatabaseFile::Open(path, Small(), &detail);
    if (!opened.ok()) std::abort();
    file_ = std::move(opened.value());
    slot_ = std::make_unique<ThreadSlot>(mapping());
    if (!slot_->Claim().ok()) std::abort();
    allocator_ = std::make_unique<Allocator>(mapping(), slot_.get());
  }
  ~Hog() {
    GiveBack([](Ref) { return true; });
    slot_->Release();
  }
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;

  Mapping* mapping() const { return file_->mapping(); }

  void Take(uint32_t size_class, uint32_t count) {
    Ref ref;
    while (count-- > 0 && allocator_->Allocate(kClassSizes[size_class], 1, &ref).ok()) taken_.push_back(ref);
  }
  // Every block and slab that can be had, large ones first.
  void TakeAll() {
    for (uint32_t c = kClassCount; c-- > 0;) Take(c, ~0u);
  }
  template <class F>
  void GiveBack(F&& wanted) {
    std::erase_if(taken_, [&](Ref ref) {
      if (!wanted(ref)) return false;
      allocator_->Discard(ref);
      return true;
    });
    allocator_->Flush();
  }

 private:
  std::shared_ptr<DatabaseFile> file_;
  std::unique_ptr<ThreadSlot> slot_;
  std::unique_ptr<Allocator> allocator_;
  std::vector<Ref> taken_;
};

// { name: "text" } of these names, in wire form, under a key of the root.
Status StoreDocument(Session* session, const std::string& key, const std::vector<std::string>& names) {
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  writer.Dict(static_cast<uint32_t>(names.size()));
  for (const std::string& name : names) {
    writer.String(reinterpret_cast<const uint8_t*>(name.data()), static_cast<uint32_t>(name.size()));
    writer.String(reinterpret_cast<const uint8_t*>("text"), 4);
  }
  Input input;
  input.wire = wire.data();
  input.wire_size = wire.size();
  return session->Set(kRootId, TextKey(key).key(), input, 0);
}

uint64_t DocumentId(Session* session, const std::string& key) {
  uint64_t id = 0;
  CHECK(session->Get(0, kRootId, TextKey(key).key(), [&](const ValueView& v) { id = v.id; }).ok());
  return id;
}

Input ContainerInput(uint64_t id) {
  Input input;
  input.view.type = ValueView::Type::kContainer;
  input.view.id = id;
  return input;
}

// Whether a collector has pinned the newest version.
bool CollectorHasBegun(Mapping* mapping) {
  ControlHeader* header = mapping->header();
  if (header->gc_epoch.load() % 2 == 0) return false;
  const uint64_t version = header->version.load();
  for (uint32_t slot = 0; slot < header->slot_count.load(); slot++)
    for (uint32_t i = 0; i < std::min(mapping->slot_line(slot)->pin_count.load(), kPinCells); i++)
      if (mapping->slot_area(slot)->pins[i].version.load() == version) return true;
  return false;
}

// A collection takes long, and a thread comes and goes by what it shows: each kOverflowCell was noted until the end.
TEST(WhatIsDroppedDuringACollectionTakesMemoryWithoutEnd) {
  const Folder folder;
  Hog hog(folder.File("db"));
  ControlHeader* header = hog.mapping()->header();
  ThreadSlot slot(hog.mapping());
  REQUIRE(slot.Claim().ok());
  {
    Pidcache cells(&slot, nullptr);
    const auto come_and_go = [&](uint32_t times) {
      for (uint32_t i = 0; i < times; i++) cells.Unpin(cells.Pin(kRootId));
    };
    const uint64_t epoch = header->gc_epoch.load();
    REQUIRE(epoch % 2 == 0);
    header->gc_epoch.store(epoch + 1);
    come_and_go(2 * kCellsPerPage);
    CHECK(slot.line()->cells_full.load() != 0);
#ifdef __GLIBC__
    const auto in_use = [] {
      const struct mallinfo2 figures = mallinfo2();
      return figures.uordblks + figures.hblkhd;
    };
    const size_t before = in_use();
    come_and_go(1'000'000);
    CHECK(in_use() < before + (1u << 20));
#endif
    header->gc_epoch.store(epoch + 3);  // over, and the next one has begun
    CHECK_EQ(cells.Pin(kRootId), kCellsPerPage - 1);
    CHECK_EQ(slot.line()->cells_full.load(), 0u);
    cells.Unpin(kCellsPerPage - 1);
    header->gc_epoch.store(epoch);
    come_and_go(1);
  }
  slot.Release();
}

// A thread that got no page of cells, for the file was full, shows a container all the same. It puts it back after the
// version that a collection looks at, and ends: neither a cell nor cells_full is left for the collector to see.
TEST(AThreadWithoutCellsThatEndsDisturbsTheCollection) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, Small());
  REQUIRE(session != nullptr);
  REQUIRE(SetText(session.get(), "other", "stays").ok());
  REQUIRE(StoreDocument(session.get(), "kept", {"name"}).ok());
  {
    Hog hog(path);
    Mapping* mapping = hog.mapping();
    for (uint32_t c = 0; kClassSizes[c] <= 1024; c++) hog.Take(c, 40);
    hog.TakeAll();
    // Room for commits, none for a page of cells, and no slab that would become empty.
    uint64_t count = 0;
    hog.GiveBack([&](Ref ref) { return kClassSizes[RefClass(ref)] <= 1024 && ++count % 2 == 0; });

    auto ending = OpenSession(path, Small());
    REQUIRE(ending != nullptr);
    for (uint32_t i = 0; i < kCellsPerPage; i++) ending->PinContainer(kRootId);  // those in its slot area
    uint32_t cell = kNoCell;
    uint64_t id = 0;
    REQUIRE(ending->Get(0, kRootId, TextKey("kept").key(), [&](const ValueView& v) {
      id = v.id;
      cell = ending->PinContainer(v.id);
    }).ok());
    REQUIRE(cell == kOverflowCell);  // else this tests nothing

    ThreadSlot reader(mapping);  // in the middle of an operation: the collector waits for it
    REQUIRE(reader.Claim().ok());
    reader.Announce();
    bool present = false;
    REQUIRE(ending->Delete(kRootId, TextKey("kept").key(), &present).ok() && present);

    Status collected(Code::kIO, "never ran");
    uint64_t removed = 0;
    bool skipped = true;
    std::thread collector([&] { collected = CollectContainers(mapping, true, nullptr, &removed, &skipped); });
    const uint64_t deadline = port::Nanoseconds() + 1'000'000'000;
    bool begun = false;
    while (!begun && port::Nanoseconds() < deadline) {
      begun = CollectorHasBegun(mapping);
      if (!begun) port::SleepNanoseconds(20'000);
    }
    const Status relinked = ending->Set(kRootId, TextKey("kept").key(), ContainerInput(id), 0);
    ending.reset();
    reader.Clear();
    collector.join();
    reader.Release();
    CHECK(begun);
    CHECK_OK(relinked);
    CHECK_OK(collected);
    CHECK(!skipped);
    CHECK_EQ(removed, 0u);
    CHECK_EQ(DocumentId(session.get(), "kept"), id);
    Kind kind = Kind::kNone;
    CHECK(session->GetKind(0, id, &kind).ok());
    CHECK(kind != Kind::kNone);
    std::string text;
    CHECK(GetText(session.get(), 0, id, "name", &text));
    CHECK_EQ(text, std::string("text"));
  }
  VerifyClean(session.get());
}

// A shape is built, and there is no room to register it: its block is given back, and the next attempt makes another.
TEST(AShapeThatCouldNotBeRegisteredIsForgotten) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, Small());
  REQUIRE(session != nullptr);
  const std::vector<std::string> names = {std::string(60, 'a'), std::string(60, 'b'), std::string(60, 'c'), std::string(60, 'd')};
  uint64_t shapes = 0;
  for (uint32_t i = 0; i < kShapeSightings; i++) REQUIRE(StoreDocument(session.get(), "doc", names).ok());
  REQUIRE(session->Size(0, kShapesId, &shapes).ok());
  REQUIRE(shapes == 0);  // the next one would make it
  {
    Hog hog(path);
    const auto medium = [](uint32_t c) { return kClassSizes[c] > 128 && kClassSizes[c] <= 1024; };
    for (uint32_t c = 0; c < kClassCount; c++)
      if (medium(c)) hog.Take(c, 10);
    hog.TakeAll();
    // What the session's thread keeps, too: it gives that to everybody when it finds no room.
    CHECK_CODE(SetText(session.get(), "large", std::string(20000, 'x')), FULL);
    hog.TakeAll();
    // One block of every medium class: the shape has 244 bytes of names; the registry's leaf needs 64 or 128, and gets none.
    std::vector<bool> given(kClassCount);
    hog.GiveBack([&](Ref ref) {
      const uint32_t c = RefClass(ref);
      if (!medium(c) || given[c]) return false;
      given[c] = true;
      return true;
    });
    for (uint32_t c = 0; c < kClassCount; c++) CHECK_EQ(static_cast<bool>(given[c]), medium(c));  // else this tests nothing
    CHECK_CODE(StoreDocument(session.get(), "doc", names), FULL);
  }
  for (int i = 0; i < 3; i++) {
    REQUIRE(StoreDocument(session.get(), "doc" + std::to_string(i), names).ok());
    // Would overwrite the block of a shape that nobody keeps.
    REQUIRE(SetText(session.get(), "filler" + std::to_string(i), std::string(300, 'f')).ok());
  }
  REQUIRE(session->Size(0, kShapesId, &shapes).ok());
  CHECK_EQ(shapes, 1u);
  for (int i = 0; i < 3; i++) {
    const uint64_t id = DocumentId(session.get(), "doc" + std::to_string(i));
    for (const std::string& name : names) {
      std::string text;
      CHECK(GetText(session.get(), 0, id, name, &text));
      CHECK_EQ(text, std::string("text"));
    }
  }
  VerifyClean(session.get());
}

// Makes the third name of the only shape of a closed file an overflow key, whose bytes are the blob of `size`. How many were
// changed.
int DamageShape(const std::string& path, uint64_t size) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return 0;
  const auto length = static_cast<size_t>(lseek(fd, 0, SEEK_END));
  void* mapped = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) return 0;
  auto* bytes = static_cast<uint8_t*>(mapped);
  Ref blob = kNullRef;
  for (uint64_t at = kSlabSize; at + kGranule < length; at += kGranule)
    if (bytes[at] == static_cast<uint8_t>(NodeKind::kBlob) && Load<uint64_t>(bytes + at + 8) == size)
      blob = MakeRef(at, ClassForSize(size + 16));
  int damaged = 0;
  for (uint64_t at = kSlabSize; blob != kNullRef && at + kGranule < length; at += kGranule) {
    const auto header = Load<NodeHeader>(bytes + at);
    if (header.kind != static_cast<uint8_t>(NodeKind::kShape) || header.level != 0 || header.count != 3 || header.capacity != 3) continue;
    const auto slab = Load<SlabHeader>(bytes + at / kSlabSize * kSlabSize);
    if (slab.magic != kSlabMagic || slab.size_class >= kClassCount) continue;
    uint8_t* slot = bytes + at + Layout::Leaf(3, true, header.prefix_size).slots + 2 * sizeof(uint32_t);
    const uint32_t from_end = SlotFromEnd(Load<uint32_t>(slot));
    Store(bytes + at + kClassSizes[slab.size_class] - from_end, KeyOverflow{blob, static_cast<uint32_t>(size), 0});
    Store(slot, MakeSlot(from_end, sizeof(KeyOverflow), kSlotOverflow));
    damaged++;
  }
  munmap(mapped, length);
  return damaged;
}

// A leaf that loses its shape copies the names, and has room for those that a writer puts into shapes: one of an overflow key
// could be of any size.
void CheckDamagedShape(uint64_t size) {
  const Folder folder;
  const std::string path = folder.File("db");
  const std::vector<std::string> names = {std::string(40, 'a'), std::string(40, 'b'), std::string(40, 'c')};
  const std::string blob(size, 'B');
  auto session = OpenSession(path, test::Quiet());
  REQUIRE(session != nullptr);
  for (uint32_t i = 0; i < kShapeSightings + 3; i++) REQUIRE(StoreDocument(session.get(), "doc" + std::to_string(i), names).ok());
  REQUIRE(SetText(session.get(), "blob", blob).ok());
  session.reset();
  REQUIRE(DamageShape(path, size) == 1);
  unlink((path + "-lock").c_str());
  session = OpenSession(path, test::Quiet());
  REQUIRE(session != nullptr);
  const uint64_t id = DocumentId(session.get(), "doc" + std::to_string(kShapeSightings + 2));
  REQUIRE(id != 0);
  CHECK_CODE(session->Set(id, TextKey("qqq").key(), test::IntInput(1), 0), CORRUPT);
  bool present = false;
  CHECK_CODE(session->Delete(id, TextKey(names[0]).key(), &present), CORRUPT);
  // What lies around is as it was.
  std::string text;
  CHECK(GetText(session.get(), 0, kRootId, "blob", &text));
  CHECK(text == blob);
  CHECK(GetText(session.get(), 0, DocumentId(session.get(), "doc0"), names[2], &text));
  CHECK_EQ(text, std::string("text"));
  CHECK_OK(SetText(session.get(), "after", "fine"));
}

TEST(AShapeWithAnOverflowNameIsCorrupt) { CheckDamagedShape(300); }
TEST(AShapeWithAHugeOverflowNameWritesNowhere) { CheckDamagedShape(90000); }

}  // namespace
}  // namespace pongo
