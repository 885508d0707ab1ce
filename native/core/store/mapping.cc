#include "store/mapping.h"

#include <algorithm>

#include "util/bits.h"
#include "util/testing.h"

namespace pongo {
namespace {

// Always the whole range: an offset is then one addition from a pointer, whatever the file says. The thread sanitizer leaves a program
// 1.5 TiB of addresses, of which the place of its stack takes up to 1 TiB away: there a file is no longer than this.
#ifdef PONGO_THREAD_SANITIZER
constexpr uint64_t kDataReserved = uint64_t{1} << 36;
#else
constexpr uint64_t kDataReserved = kFileSizeMax;
#endif

uint64_t RegionsFor(uint64_t length) { return (length + kRegionSize - 1) / kRegionSize; }

}  // namespace

Mapping::~Mapping() {
  port::ReleaseAddresses(data_base_, data_reserved_);
  port::ReleaseAddresses(control_base_, control_reserved_);
}

Status Mapping::Reserve(uint64_t max_size) {
  max_size_ = max_size;
  data_reserved_ = kDataReserved;
  control_reserved_ = RoundUp(kSegmentsOffset + RegionsFor(kDataReserved) * sizeof(RegionSegment), kPageAlignment);
  data_base_ = port::ReserveAddresses(data_reserved_);
  control_base_ = data_base_ == nullptr ? nullptr : port::ReserveAddresses(control_reserved_);
  if (control_base_ == nullptr)
    return Status(Code::kNOSPACE, "the process may not reserve the address space that the database needs (1.2 TiB; see ulimit -v)");
  return Status::Ok();
}

Status Mapping::AttachControl(port::File control) {
  control_ = std::move(control);
  return port::MapFile(control_, 0, kSegmentsOffset, true, control_base_);
}

Status Mapping::Attach(port::File data, port::File control, uint64_t length, bool writable) {
  data_ = std::move(data);
  writable_ = writable;
  if (control.valid()) PONGO_TRY(AttachControl(std::move(control)));
  return MapTo(length);
}

Status Mapping::MapTo(uint64_t length) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t mapped = mapped_length_.load(std::memory_order_relaxed);
  if (length <= mapped) return Status::Ok();
  if (length > data_reserved_) return Status(Code::kCORRUPT, "the file is longer than a database can be");
  if (control_.valid()) {
    for (uint64_t region = segments_mapped_; region < RegionsFor(length); region++) {
      PONGO_TRY(port::MapFile(control_, kSegmentsOffset + region * sizeof(RegionSegment), sizeof(RegionSegment), true,
                              control_base_ + kSegmentsOffset + region * sizeof(RegionSegment)));
      segments_mapped_ = region + 1;
    }
  }
  PONGO_TRY(port::MapFile(data_, mapped, length - mapped, writable_, data_base_ + mapped));
  mapped_length_.store(length, std::memory_order_release);
  return Status::Ok();
}

bool Mapping::MapMore(uint64_t length) {
  if (!control_.valid()) return false;
  // Published after the space exists; whoever holds a ref to a block has seen it published.
  const uint64_t published = header()->length.load(std::memory_order_acquire);
  return length <= published && MapTo(published).ok();
}

uint8_t* Mapping::Span(Ref ref, uint64_t* size) {
  const uint64_t offset = RefOffset(ref);
  if (RefClass(ref) != kSpanClass || offset % kSlabSize != sizeof(SlabHeader) || offset < kSlabSize) return nullptr;
  const uint64_t start = offset - sizeof(SlabHeader);
  if (start + kSlabSize > mapped_length() && !MapMore(start + kSlabSize)) return nullptr;
  const auto header = Load<SlabHeader>(data_base_ + start);
  if (header.magic != kSlabMagic || header.size_class != kSpanClass || header.span_slabs == 0) return nullptr;
  const uint64_t bytes = uint64_t{header.span_slabs} * kSlabSize;
  if (start + bytes > mapped_length() && !MapMore(start + bytes)) return nullptr;
  *size = bytes - sizeof(SlabHeader);
  return data_base_ + offset;
}

Status Mapping::AllocateControl(uint64_t offset, uint64_t size) { return port::Allocate(control_, offset, size); }

Status Mapping::Grow(uint64_t seen, uint64_t need, uint64_t step) {
  ControlHeader* control = header();
  uint64_t length = control->length.load(std::memory_order_acquire);
  if (length != seen) return MapTo(length);  // another thread grew the file meanwhile
  const uint64_t wanted = RoundUp(length + need, step);
  const uint64_t target = std::min(wanted, max_size_ / kSlabSize * kSlabSize);
  // With less than what is needed too: a span may begin in the free slabs at the end of the file.
  if (target <= length) return Status(Code::kFULL, "the database has reached its maxSize");
  // The data file first, then what describes it, then the length: a crash in between leaves space that the next growth
  // finds allocated already.
  if (PONGO_PLANTED(19)) control->length.store(target, std::memory_order_release);
  PONGO_TRY(port::Allocate(data_, length, target - length));
  PONGO_POINT("growth.reserved");
  const uint64_t first = RegionsFor(length);
  const uint64_t last = RegionsFor(target);
  if (last > first)
    PONGO_TRY(port::Allocate(control_, kSegmentsOffset + first * sizeof(RegionSegment), (last - first) * sizeof(RegionSegment)));
  // acq_rel: whoever reads the new length finds both files long enough.
  control->length.compare_exchange_strong(length, target, std::memory_order_acq_rel);
  PONGO_TRY(MapTo(control->length.load(std::memory_order_acquire)));
  for (uint64_t region = seen / kRegionSize; region < last; region++)
    summaries()->free_slabs.words[region / 64].fetch_or(uint64_t{1} << (region % 64), std::memory_order_acq_rel);
  return Status::Ok();
}

}  // namespace pongo
