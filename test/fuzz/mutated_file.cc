#include "test/fuzz/mutated_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "model/database_file.h"
#include "model/reachability.h"
#include "model/transaction.h"
#include "test/crash/operations.h"

namespace pongo::test {
namespace {

// The part of a control file that a small database uses; the rest is a hole.
constexpr uint64_t kControlPart = kSlotAreasOffset + 8 * kSlotAreaSize;

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

void Overwrite(const std::string& path, uint64_t offset, const Bytes& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "r+b");
  if (file == nullptr) std::abort();
  std::fseek(file, static_cast<long>(offset), SEEK_SET);
  if (std::fwrite(bytes.data(), bytes.size(), 1, file) != 1) std::abort();
  std::fclose(file);
}

void ChangeSuperblocks(Bytes* bytes, Choices next) {
  const uint64_t at = next() % 112;
  for (uint64_t copy = 0; copy < 2; copy++) {
    uint8_t* page = bytes->data() + copy * kPageSize;
    Superblock superblock;
    if (at >= 16) page[at] = static_cast<uint8_t>(next());
    std::memcpy(&superblock, page, sizeof superblock);
    superblock.crc = 0;
    SealSuperblock(&superblock);
    std::memcpy(page, &superblock, sizeof superblock);
  }
}

}  // namespace

std::string MutatedPath(const Folder& folder) { return folder.File("original"); }

Original MakeOriginal(const Folder& folder, std::mt19937_64* random) {
  const std::string path = MutatedPath(folder);
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

void PlaceFile(const Folder& folder, const Original& original, const Bytes& mutated, bool believed) {
  const std::string path = MutatedPath(folder);
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

Bytes Mutate(const Original& original, Choices next) {
  Bytes bytes = original.bytes;
  for (uint64_t n = 1 + next() % (next() % 4 == 0 ? 8 : 2); n > 0; n--) {
    if (next() % 20 == 0) {
      ChangeSuperblocks(&bytes, next);
      continue;
    }
    const Area place = original.places[next() % original.places.size()];
    uint8_t* at = bytes.data() + place.offset + next() % place.size;
    const size_t room = static_cast<size_t>(bytes.data() + bytes.size() - at);
    const Area other = original.places[next() % original.places.size()];
    switch (next() % 7) {
      case 0: *at ^= static_cast<uint8_t>(1u << (next() % 8)); break;
      case 1: *at = static_cast<uint8_t>(next()); break;
      case 2: *at = static_cast<uint8_t>(next() % 2 == 0 ? 0 : 0xff); break;
      case 3:
        for (size_t i = 0; i < std::min<size_t>(room, 2 + next() % 7); i++) at[i] = next() % 2 == 0 ? 0xff : 0;
        break;
      case 4: {  // a ref to another block, at eight-byte places too
        const uint64_t ref = MakeRef(other.offset, static_cast<uint32_t>(next() % 40));
        at = bytes.data() + place.offset + next() % (place.size / 8) * 8;
        std::memcpy(at, &ref, 5);
        break;
      }
      case 5:  // a piece of another block
        std::memcpy(at, bytes.data() + other.offset, std::min<size_t>({room, place.size, other.size, size_t{64}}));
        break;
      default: *at = static_cast<uint8_t>(*at + (next() % 2 == 0 ? 1 : -1)); break;
    }
  }
  return bytes;
}

bool UseFile(const std::string& path, uint64_t seed) {
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

void UseInput(const Folder& folder, const Original& original, const uint8_t* data, size_t size) {
  if (size == 0) return;
  size_t at = 1;
  const auto next = [&] {
    uint64_t number = 0;
    const size_t n = std::min<size_t>(size - at, 3);
    std::memcpy(&number, data + at, n);
    at += n;
    return number;
  };
  PlaceFile(folder, original, Mutate(original, next), data[0] % 4 != 0);
  UseFile(MutatedPath(folder), data[0] / 4);
}

}  // namespace pongo::test
