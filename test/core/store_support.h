// What tests of the layers below the facade share: an open database file without background work, and block counts.
#ifndef PONGO_TEST_CORE_STORE_SUPPORT_H_
#define PONGO_TEST_CORE_STORE_SUPPORT_H_

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "model/database_file.h"
#include "store/allocator.h"
#include "store/thread_slot.h"
#include "support.h"

namespace pongo::test {

// A database whose background thread sleeps through the test: nothing is reaped or written unless the test does it.
class TestFile {
 public:
  explicit TestFile(uint64_t chunk_size = 1 << 20, uint64_t max_size = 0) {
    options_.chunk_size = chunk_size;
    options_.max_size = max_size;
    options_.checkpoint_interval_ms = 3'600'000;
    Open();
  }
  // For a child process: the same file, opened by the child itself.
  explicit TestFile(const std::string& path) : path_(path) {
    options_.checkpoint_interval_ms = 3'600'000;
    Open();
  }
  const std::string& path() const { return path_; }
  const std::shared_ptr<DatabaseFile>& file() const { return file_; }
  Mapping* mapping() const { return file_->mapping(); }
  ControlHeader* header() const { return mapping()->header(); }
  uint64_t version() const { return header()->version.load(); }
  void set_version(uint64_t version) const { header()->version.store(version); }
  uint64_t length() const { return header()->length.load(); }

 private:
  void Open() {
    std::string detail;
    if (path_.empty()) {
      folder_ = std::make_unique<Folder>();
      path_ = folder_->File("db");
    }
    auto opened = DatabaseFile::Open(path_, options_, &detail);
    if (!opened.ok()) {
      std::fprintf(stderr, "open %s: %s %s\n", path_.c_str(), opened.status().text(), detail.c_str());
      std::abort();
    }
    file_ = std::move(opened.value());
  }

  OpenOptions options_;
  std::unique_ptr<Folder> folder_;
  std::string path_;
  std::shared_ptr<DatabaseFile> file_;
};

// A claimed slot with its allocator. Released at the end, unless it dies first.
struct Worker {
  explicit Worker(Mapping* mapping) : slot(std::make_unique<ThreadSlot>(mapping)) {
    if (!slot->Claim().ok()) std::abort();
    allocator = std::make_unique<Allocator>(mapping, slot.get());
  }
  ~Worker() {
    if (slot != nullptr) slot->Release();
  }
  // As if its process had been killed: the kernel closes the lock file, and nothing else happens.
  void Die() { slot.reset(); }

  std::unique_ptr<ThreadSlot> slot;
  std::unique_ptr<Allocator> allocator;
};

// A pin; its root word matters only to who collects containers.
template <class Slot>
uint32_t Pin(Slot* slot, uint64_t version, PinKind kind) {
  if constexpr (requires { slot->Pin(version, kind); })
    return slot->Pin(version, kind);
  else
    return slot->Pin(version, uint64_t{0}, kind);
}

struct Tally {
  uint64_t free = 0, cached = 0, live = 0, retired = 0;  // blocks
  uint64_t unassigned = 0, small = 0, spans = 0, tails = 0, claimed = 0;  // slabs
};

// Counts the blocks of all assigned slabs, and the slabs.
inline Tally Count(Mapping* mapping) {
  Tally tally;
  const auto add = [&](uint64_t state) {
    switch (BlockUseOf(state)) {
      case BlockUse::kFree: tally.free++; break;
      case BlockUse::kCached: tally.cached++; break;
      case BlockUse::kLive: tally.live++; break;
      case BlockUse::kRetired: tally.retired++; break;
    }
  };
  for (uint64_t slab = 1; slab < mapping->MapPublished() / kSlabSize; slab++) {
    const uint64_t use = mapping->slab_state(slab)->load();
    switch (SlabUseOf(use)) {
      case SlabUse::kUnassigned: tally.unassigned++; break;
      case SlabUse::kTail: tally.tails++; break;
      case SlabUse::kClaimed: tally.claimed++; break;
      case SlabUse::kReserved:
      case SlabUse::kOld: break;
      case SlabUse::kSpan:
        tally.spans++;
        add(mapping->block_states(slab)[0].load());
        break;
      case SlabUse::kSmall:
        tally.small++;
        for (uint32_t i = 0; i < BlocksPerSlab(static_cast<uint32_t>(SlabDetail(use))); i++)
          add(mapping->block_states(slab)[i].load());
        break;
    }
  }
  return tally;
}

inline BlockUse UseOf(Mapping* mapping, Ref ref) { return BlockUseOf(mapping->block_state(ref)->load()); }

}  // namespace pongo::test

#endif  // PONGO_TEST_CORE_STORE_SUPPORT_H_
