// The two mapped files of one database, as one process sees them.
//
// Thread safety: all functions may be called from any thread of the process. Pointers stay valid until the Mapping dies:
// both files are mapped into address ranges reserved once, and only ever grow.
//
// Other processes: growth is published in ControlHeader::length after the space exists in both files, so nobody can touch
// a page without backing. Growing twice at once is harmless: each step is idempotent and one CAS decides.
// fork: the mappings are absent in the child (MADV_DONTFORK); Database refuses every call there.
#ifndef PONGO_STORE_MAPPING_H_
#define PONGO_STORE_MAPPING_H_

#include <atomic>
#include <cstdint>
#include <mutex>

#include "format/control.h"
#include "format/ref.h"
#include "port/port.h"
#include "util/check.h"
#include "util/status.h"
#include "util/testing.h"

namespace pongo {

class Mapping {
 public:
  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  // Reserves the address ranges. NOSPACE when the process has too little address space.
  Status Reserve(uint64_t max_size);
  // Takes the open files and maps `length` bytes of data. `control` may be invalid for a reader of the durable root.
  Status Attach(port::File data, port::File control, uint64_t length, bool writable);
  // Maps the fixed part of the control file only.
  Status AttachControl(port::File control);

  // Ensures that `length` bytes of data and their segments are mapped here.
  Status MapTo(uint64_t length);
  // Maps what other processes have published. The mapped length; what could not be mapped is left for the next call.
  uint64_t MapPublished() {
    const uint64_t published = header()->length.load(std::memory_order_acquire);
    if (published > mapped_length() && !MapTo(published).ok()) [[unlikely]] return mapped_length();
    return published;
  }
  // Makes the data file at least `need` bytes longer than `seen`, up to a multiple of `step`, unless somebody else already did; by
  // less when maxSize is nearer. FULL when it is reached, NOSPACE.
  Status Grow(uint64_t seen, uint64_t need, uint64_t step);
  // Reserves space for [offset, offset + size) of the control file.
  Status AllocateControl(uint64_t offset, uint64_t size);

  // Whether this process sees checkpoints only (model/durable_reader.h): others do not know of it.
  bool ReadsCheckpoints() const {
    return header()->state.load(std::memory_order_relaxed) == static_cast<uint32_t>(ControlState::kPrivate);
  }
  ControlHeader* header() const { return reinterpret_cast<ControlHeader*>(control_base_); }
  SlotLine* slot_line(uint32_t slot) const {
    return reinterpret_cast<SlotLine*>(control_base_ + kSlotLinesOffset) + slot;
  }
  SlotArea* slot_area(uint32_t slot) const {
    return reinterpret_cast<SlotArea*>(control_base_ + kSlotAreasOffset + slot * kSlotAreaSize);
  }
  LockTableHeader* locks() const { return reinterpret_cast<LockTableHeader*>(control_base_ + kLocksOffset); }
  // Numbered from 1.
  LockRecord* lock_record(uint32_t number) const {
    return reinterpret_cast<LockRecord*>(control_base_ + kLocksOffset + kLockRecordsOffset) + (number - 1);
  }
  LockRequest* lock_request(uint32_t number) const {
    return reinterpret_cast<LockRequest*>(control_base_ + kLocksOffset + kLockRequestsOffset) + (number - 1);
  }
  Atomic64* stamps() const { return reinterpret_cast<Atomic64*>(control_base_ + kStampsOffset); }
  Summaries* summaries() const { return reinterpret_cast<Summaries*>(control_base_ + kSummariesOffset); }
  RegionSegment* segment(uint64_t region) const {
    return reinterpret_cast<RegionSegment*>(control_base_ + kSegmentsOffset) + region;
  }
  Atomic64* block_state(Ref ref) const {
    const uint64_t granule = RefGranule(ref);
    return block_states(granule / kGranulesPerSlab) + BlockIndex(granule % kGranulesPerSlab, RefClass(ref));
  }
  // The state words of the blocks of a slab.
  Atomic64* block_states(uint64_t slab) const {
    return &segment(slab / kSlabsPerRegion)->blocks[slab % kSlabsPerRegion * kGranulesPerSlab];
  }
  Atomic64* slab_state(uint64_t slab) const { return &segment(slab / kSlabsPerRegion)->slabs[slab % kSlabsPerRegion]; }

  uint8_t* data() const { return data_base_; }
  uint64_t mapped_length() const { return mapped_length_.load(std::memory_order_acquire); }
  uint64_t max_size() const { return max_size_; }
  const port::File& data_file() const { return data_; }
  const port::File& control_file() const { return control_; }

  // The bytes of a block and their number; nullptr when the ref cannot be one (bad bytes). Spans: the class is checked
  // against the slab header.
  uint8_t* Block(Ref ref, uint64_t* size) {
    PONGO_POINT("block");
    const uint32_t size_class = RefClass(ref);
    const uint64_t offset = RefOffset(ref);
    if (size_class >= kClassCount || PONGO_DAMAGED(offset < kSlabSize)) [[unlikely]] return Span(ref, size);
    *size = kClassSizes[size_class];
    if (PONGO_DAMAGED(offset + *size > mapped_length_.load(std::memory_order_acquire))) [[unlikely]]
      if (!MapMore(offset + *size)) return nullptr;
    return data_base_ + offset;
  }

  // Starts loading all of a block, so that its misses overlap. Nothing happens for bad bytes and spans.
  void Prefetch(Ref ref) const {
    if (RefClass(ref) >= kClassCount || RefOffset(ref) >= mapped_length()) [[unlikely]] return;
    const uint8_t* block = data_base_ + RefOffset(ref);
    const uint32_t size = kClassSizes[RefClass(ref)];
    for (uint32_t at = 0; at < size; at += kGranule) __builtin_prefetch(block + at);
  }

 private:
  uint8_t* Span(Ref ref, uint64_t* size);
  bool MapMore(uint64_t length);

  std::mutex mutex_;
  port::File data_;
  port::File control_;
  uint8_t* data_base_ = nullptr;
  uint8_t* control_base_ = nullptr;
  uint64_t max_size_ = 0;
  uint64_t control_reserved_ = 0;
  uint64_t data_reserved_ = 0;
  uint64_t segments_mapped_ = 0;
  bool writable_ = false;
  std::atomic<uint64_t> mapped_length_{0};
};

}  // namespace pongo

#endif  // PONGO_STORE_MAPPING_H_
