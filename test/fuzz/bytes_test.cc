// A mutated file never crashes, hangs or balloons the process: it gives right data or a typed error.
//
// A valid file with content of every kind is changed in one to eight places: in the blocks that the version reaches (headers,
// refs and counts above all), in slab headers, or in the superblocks, whose checksum is repaired. Each is opened, verified, read
// and written in a child that may use 15 seconds of the processor and 1 GiB. A child that dies names the case, which can be
// repeated: SEED=n PONGO_CASE=m.

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>

#include "child.h"
#include "model/database_file.h"
#include "model/reachability.h"
#include "model/transaction.h"
#include "test/crash/disk.h"
#include "test/crash/operations.h"

namespace pongo {
namespace {

using namespace pongo::test;

constexpr uint64_t kFilesPerChild = 40;
constexpr itimerval kWork{{0, 0}, {15, 0}}, kNoTime{{0, 0}, {0, 0}};  // of the processor; alarm() is for who sleeps for ever

struct Area {
  uint64_t offset;
  uint64_t size;
};

// The part of a control file that a small database uses; the rest is a hole.
constexpr uint64_t kControlPart = kSlotAreasOffset + 8 * kSlotAreaSize;

// A file to begin with, its control file after a clean close, and where its blocks are.
struct Original {
  Bytes bytes;
  Bytes control;
  Bytes segments;
  std::vector<Area> places;
};

void FillWithEverything(Session* session, std::mt19937_64* random) {
  RandomOperations operations(session, random, {60, 300, 40'000});
  for (int i = 0; i < 250; i++)
    if (!operations.Next().ok()) std::abort();
  // Inner nodes, long keys, blobs, shapes, deep nesting.
  for (int i = 0; i < 300; i++)
    if (!SetText(session, std::string(static_cast<size_t>(i % 7 == 0 ? 40 : 3), 'k') + std::to_string(i), std::string(static_cast<size_t>(i % 90), 'x')).ok())
      std::abort();
  if (!SetText(session, std::string(600, 'q'), std::string(3'000, 'y')).ok()) std::abort();
  for (int i = 0; i < 12; i++) {
    std::vector<uint8_t> wire;
    WireWriter writer(&wire);
    static_cast<void>(writer.Dict(3));
    for (const char* name : {"name", "size", "tags"}) {
      writer.String(reinterpret_cast<const uint8_t*>(name), 4);
      if (name[0] == 't') {
        static_cast<void>(writer.List(2));
        writer.Int(i);
        writer.Double(i / 3.0);
      } else {
        writer.Int(i);
      }
    }
    Input input;
    input.wire = wire.data();
    input.wire_size = wire.size();
    if (!session->Set(kRootId, TextKey("shaped" + std::to_string(i)).key(), input, 0).ok()) std::abort();
  }
}

Original MakeOriginal(const Folder& folder, std::mt19937_64* random) {
  const std::string path = folder.File("original");
  unlink(path.c_str());
  unlink((path + "-lock").c_str());
  Original original;
  {
    auto session = OpenSession(path, QuietOptions(64u << 10));
    if (session == nullptr) std::abort();
    FillWithEverything(session.get(), random);
    std::string detail;
    auto file = DatabaseFile::Open(path, QuietOptions(), &detail);
    Base base;
    ReachCounts counts;
    Mapping* mapping = file.value()->mapping();
    const auto note = [&](Ref ref) -> Status {
      uint64_t size = 0;
      static_cast<void>(mapping->Block(ref, &size));
      original.places.push_back({RefOffset(ref), std::min<uint64_t>(size, 4096)});
      original.places.push_back({RefOffset(ref), 32});  // headers twice as often
      original.places.push_back({RefOffset(ref) / kSlabSize * kSlabSize, sizeof(SlabHeader)});
      return Status::Ok();
    };
    if (!ReadBase(mapping, mapping->header()->root.load(), &base).ok() || !WalkVersion(mapping, base, note, &counts).ok()) std::abort();
  }
  original.bytes = ReadWholeFile(path);
  original.control.resize(kControlPart);
  original.segments.resize(2 * sizeof(RegionSegment));
  std::FILE* control = std::fopen((path + "-lock").c_str(), "rb");
  if (control == nullptr || std::fread(original.control.data(), kControlPart, 1, control) != 1) std::abort();
  std::fseek(control, static_cast<long>(kSegmentsOffset), SEEK_SET);
  original.segments.resize(std::fread(original.segments.data(), 1, original.segments.size(), control));
  std::fclose(control);
  return original;
}

void Overwrite(const std::string& path, uint64_t offset, const Bytes& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "r+b");
  if (file == nullptr) std::abort();
  std::fseek(file, static_cast<long>(offset), SEEK_SET);
  if (std::fwrite(bytes.data(), bytes.size(), 1, file) != 1) std::abort();
  std::fclose(file);
}

// A damaged file that is recovered, and so looked at as a whole; or one whose control file is believed, so that the damage is met
// by whoever reads or writes there.
void Place(const Folder& folder, const Original& original, const Bytes& mutated, bool believed) {
  const std::string path = folder.File("original");
  if (truncate(path.c_str(), static_cast<off_t>(mutated.size())) != 0) std::abort();
  Overwrite(path, 0, mutated);
  if (!believed) {
    unlink((path + "-lock").c_str());
    return;
  }
  WriteFile(path + "-lock", {});
  Overwrite(path + "-lock", 0, original.control);
  Overwrite(path + "-lock", kSegmentsOffset, original.segments);
}

void ChangeSuperblocks(Bytes* bytes, std::mt19937_64* random) {
  const uint64_t at = (*random)() % 112;
  for (uint64_t copy = 0; copy < 2; copy++) {
    uint8_t* page = bytes->data() + copy * kPageSize;
    Superblock superblock;
    if (at >= 16) page[at] = static_cast<uint8_t>((*random)());
    std::memcpy(&superblock, page, sizeof superblock);
    superblock.crc = 0;
    SealSuperblock(&superblock);
    std::memcpy(page, &superblock, sizeof superblock);
  }
}

Bytes Mutate(const Original& original, std::mt19937_64* random) {
  Bytes bytes = original.bytes;
  for (uint64_t n = 1 + (*random)() % ((*random)() % 4 == 0 ? 8 : 2); n > 0; n--) {
    if ((*random)() % 20 == 0) {
      ChangeSuperblocks(&bytes, random);
      continue;
    }
    const Area place = original.places[(*random)() % original.places.size()];
    uint8_t* at = bytes.data() + place.offset + (*random)() % place.size;
    const size_t room = static_cast<size_t>(bytes.data() + bytes.size() - at);
    const Area other = original.places[(*random)() % original.places.size()];
    switch ((*random)() % 7) {
      case 0: *at ^= static_cast<uint8_t>(1u << ((*random)() % 8)); break;
      case 1: *at = static_cast<uint8_t>((*random)()); break;
      case 2: *at = static_cast<uint8_t>((*random)() % 2 == 0 ? 0 : 0xff); break;
      case 3:
        for (size_t i = 0; i < std::min<size_t>(room, 2 + (*random)() % 7); i++) at[i] = (*random)() % 2 == 0 ? 0xff : 0;
        break;
      case 4: {  // a ref to another block, at eight-byte places too
        const uint64_t ref = MakeRef(other.offset, static_cast<uint32_t>((*random)() % 40));
        at = bytes.data() + place.offset + (*random)() % (place.size / 8) * 8;
        std::memcpy(at, &ref, 5);
        break;
      }
      case 5:  // a piece of another block
        std::memcpy(at, bytes.data() + other.offset, std::min<size_t>({room, place.size, other.size, size_t{64}}));
        break;
      default: *at = static_cast<uint8_t>(*at + ((*random)() % 2 == 0 ? 1 : -1)); break;
    }
  }
  return bytes;
}

// Everything a program may do with it. What comes back is a status: which one does not matter here.
bool Use(const std::string& path, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string detail;
  auto opened = Session::Open(path, QuietOptions(), &detail);
  if (!opened.ok()) {
    if (opened.status().text()[0] == 0) std::abort();
    return false;
  }
  Session* session = opened.value().get();
  Counts before, after;
  std::string problem;
  const auto ignore = [](const Status& status) { static_cast<void>(status.ok()); };
  ignore(session->Verify(&before, &problem));
  std::vector<uint8_t> wire;
  ignore(session->Native(0, kRootId, &wire));
  uint64_t visited = 0;
  const auto visit = [&](const Key&, const ValueView&) { return ++visited < 100'000; };
  ignore(session->Page(0, kRootId, 0, ~uint64_t{0}, 1, visit));
  visited = 0;
  ignore(session->Page(0, kRootId, 0, ~uint64_t{0}, -1, visit));
  for (uint64_t id = 0; id < 40; id++) {
    uint64_t size;
    ignore(session->Size(0, id, &size));
    ignore(session->ListGet(0, id, random() % 400, [](const ValueView&) {}));
    ignore(session->Native(0, id, &wire));
  }
  for (int i = 0; i < 60; i++) ignore(session->Get(0, kRootId, TextKey("key" + std::to_string(i)).key(), [](const ValueView&) {}));
  RandomOperations operations(session, &random, {60, 300, 40'000});
  for (int i = 0; i < 60; i++) {
    ignore(operations.Next());
    if (session->InTransaction()) ignore(session->Abort());
  }
  uint64_t view;
  if (session->Snapshot(&view).ok()) ignore(session->Native(view, kRootId, &wire));
  ignore(session->Gc(true, &before, &after));
  ignore(session->Sync());
  ignore(session->Close());
  return true;
}

// Found by MutatedFiles: a container that claims more elements than its tree has was cut behind its end.
TEST(ASizeThatIsTooLargeIsNoCrash) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, QuietOptions(256u << 10));
  REQUIRE(session != nullptr);
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  static_cast<void>(writer.List(3));
  for (int i = 0; i < 3; i++) writer.Int(i);
  Input input;
  input.wire = wire.data();
  input.wire_size = wire.size();
  REQUIRE(session->Set(kRootId, TextKey("list").key(), input, 0).ok());
  uint64_t list = 0;
  CHECK_OK(session->Get(0, kRootId, TextKey("list").key(), [&](const ValueView& v) { list = v.id; }));
  std::string detail;
  auto file = DatabaseFile::Open(path, QuietOptions(), &detail);
  REQUIRE(file.ok());
  Mapping* mapping = file.value()->mapping();
  Base base;
  bool present = false;
  ObjectEntry entry;
  REQUIRE(ReadBase(mapping, mapping->header()->root.load(), &base).ok());
  REQUIRE(FindObject(mapping, base.table, list, &present, &entry).ok() && present && entry.size == 3);
  // The entry where it lies in the mapped file.
  int patched = 0;
  for (uint64_t at = kSlabSize; at + sizeof entry <= mapping->mapped_length(); at += 8) {
    if (std::memcmp(mapping->data() + at, &entry, sizeof entry) != 0) continue;
    ObjectEntry wrong = entry;
    wrong.size = 9;
    std::memcpy(mapping->data() + at, &wrong, sizeof wrong);
    patched++;
  }
  CHECK(patched > 0);
  uint64_t length;
  CHECK_CODE(session->ListSplice(list, 5, 1, nullptr, 0, &length), CORRUPT);
  CHECK_CODE(session->ListSet(list, 7, IntInput(1)), CORRUPT);
  CHECK_CODE(session->ListPop(list, [](const ValueView&) {}), CORRUPT);
}

TEST(MutatedFiles) {
  SkipSyncs(true);
  const Folder folder;
  const std::string path = folder.File("original");
  const uint64_t files = 2'000 * Scale();
  uint64_t used = 0;
  if (const char* text = std::getenv("PONGO_CASE"); text != nullptr) {  // one file again, in this process
    const uint64_t number = std::strtoull(text, nullptr, 10);
    const uint64_t seed = Seed() * 1'000'003 + number / kFilesPerChild * kFilesPerChild;
    const uint64_t own_seed = seed + number % kFilesPerChild;
    std::mt19937_64 random(seed), own(own_seed);
    const Original original = MakeOriginal(folder, &random);
    Place(folder, original, Mutate(original, &own), number % kFilesPerChild % 4 != 0);
    Use(path, own_seed);
    return;
  }
  for (uint64_t first = 0; first < files && Failures() == 0; first += kFilesPerChild) {
    const uint64_t seed = Seed() * 1'000'003 + first;
    std::mt19937_64 random(seed);
    const Original original = MakeOriginal(folder, &random);
    uint64_t from = 0;
    Pipe progress;
    const pid_t pid = StartChild([&] {
      uint64_t opened = 0;
      alarm(0);
      const rlimit memory{1u << 30, 1u << 30};
      setrlimit(RLIMIT_DATA, &memory);
      const rlimit no_core{0, 0};
      setrlimit(RLIMIT_CORE, &no_core);
      for (uint64_t i = 0; i < kFilesPerChild; i++) {
        std::mt19937_64 own(seed + i);
        Place(folder, original, Mutate(original, &own), i % 4 != 0);
        progress.Send(i);
        setitimer(ITIMER_PROF, &kWork, nullptr);
        alarm(120);
        if (Use(path, seed + i)) opened++;
        alarm(0);
        setitimer(ITIMER_PROF, &kNoTime, nullptr);
      }
      progress.Send(kFilesPerChild + opened);
      return 0;
    });
    progress.CloseWriter();
    while (progress.Receive(&from)) {
    }
    if (from >= kFilesPerChild) used += from - kFilesPerChild;
    const int status = AwaitChild(pid);
    if (status != 0) {
      Fail(__FILE__, __LINE__,
           "file " + std::to_string(first + from) + " ended the process with status " + std::to_string(status) + "; again: SEED=" +
               std::to_string(Seed()) + " PONGO_CASE=" + std::to_string(first + from) + " bytes_test MutatedFiles");
      const char* keep = std::getenv("PONGO_KEEP");
      if (keep != nullptr) WriteFile(keep, ReadWholeFile(path));
    }
  }
  std::printf("mutated files: %llu, of which %llu could be opened\n", static_cast<unsigned long long>(files),
              static_cast<unsigned long long>(used));
  CHECK(used > files / 4);  // most damage must get past opening, or nothing is tested
}

}  // namespace
}  // namespace pongo
