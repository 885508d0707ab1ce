#include "model/recovery.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "model/reachability.h"
#include "store/slab_map.h"
#include "util/mark_bits.h"
#include "util/testing.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;
constexpr Status kStopped(Code::kCLOSED, "the database is being closed");
constexpr Status kOverlap(Code::kCORRUPT, "a block is used twice");

bool IsOld(const Mapping* mapping, uint64_t slab) {
  return SlabUseOf(mapping->slab_state(slab)->load(std::memory_order_acquire)) == SlabUse::kOld;
}

// Zero is LIVE(0) in an OLD slab; a word that has been retired stays.
void MakeLive(Mapping* mapping, Ref ref) {
  uint64_t undescribed = 0;
  mapping->block_state(ref)->compare_exchange_strong(undescribed, LiveState(0), std::memory_order_acq_rel);
}

// The words of the blocks first, then the use: whoever finds the slab described finds its blocks so.
void DescribeSmall(Mapping* mapping, const MarkBits& used, uint64_t slab, uint32_t size_class) {
  for (uint32_t i = 0; i < BlocksPerSlab(size_class); i++) {
    const Ref ref = BlockAt(slab, i, size_class);
    if (used.Has(RefGranule(ref))) MakeLive(mapping, ref);
  }
  mapping->slab_state(slab)->store(MakeSlabState(SlabUse::kSmall, size_class), kOrder);
}

// Tails first: an OLD head among tails is described again after a crash.
void DescribeSpan(Mapping* mapping, uint64_t slab, uint64_t slabs) {
  MakeLive(mapping, BlockAt(slab, 0, kSpanClass));
  for (uint64_t i = 1; i < slabs; i++) mapping->slab_state(slab + i)->store(MakeSlabState(SlabUse::kTail, 0), std::memory_order_release);
  mapping->slab_state(slab)->store(MakeSlabState(SlabUse::kSpan, slabs), kOrder);
}

// The hints that the slab may have, after its use is known: those set before were taken by searchers who could not use them.
void SetHints(Mapping* mapping, uint64_t slab) {
  SlabMap map(mapping);
  map.NoteFreeBlocks(slab);
  const uint64_t use = mapping->slab_state(slab)->load(std::memory_order_acquire);
  const uint64_t blocks = SlabUseOf(use) == SlabUse::kSmall ? BlocksPerSlab(static_cast<uint32_t>(SlabDetail(use))) : 1;
  for (uint64_t i = 0; i < blocks; i++)
    if (BlockUseOf(mapping->block_states(slab)[i].load(kOrder)) == BlockUse::kRetired) {
      map.NoteRetiredSlab(slab);
      return;
    }
}

Status DescribeSlabs(Mapping* mapping, const MarkBits& used, uint64_t slabs, const std::atomic<bool>* stop) {
  SlabMap map(mapping);
  for (uint64_t slab = 1; slab < slabs; slab++) {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) return kStopped;
    if (!IsOld(mapping, slab)) continue;
    PONGO_POINT("recovery.slab");
    if (!used.Any(slab * kGranulesPerSlab, kGranulesPerSlab)) {
      map.Unassign(slab, 1);
      continue;
    }
    const auto header = Load<SlabHeader>(mapping->data() + slab * kSlabSize);
    if (header.size_class != kSpanClass)
      DescribeSmall(mapping, used, slab, header.size_class);
    else
      DescribeSpan(mapping, slab, header.span_slabs);
    SetHints(mapping, slab);
    if (header.size_class == kSpanClass) slab += header.span_slabs - 1;
  }
  return Status::Ok();
}

Status MarkUsed(Mapping* mapping, const Base& base, uint64_t slabs, MarkBits* used, const std::atomic<bool>* stop) {
  ReachCounts counts;
  uint64_t steps = 0;
  PONGO_TRY(WalkVersion(
      mapping, base,
      [&](Ref ref) -> Status {
        if (++steps % 1024 == 0 && stop != nullptr && stop->load(std::memory_order_relaxed)) return kStopped;
        PONGO_TRY(CheckPlace(mapping, ref));
        if (!used->Covers(RefGranule(ref))) return Status(Code::kCORRUPT, "a block lies behind the end of its version");
        return used->Set(RefGranule(ref)) ? Status::Ok() : kOverlap;
      },
      &counts));
  // Nothing else may lie in the slabs of a span.
  for (uint64_t slab = 1; slab < slabs; slab++) {
    if (!used->Any(slab * kGranulesPerSlab, kGranulesPerSlab)) continue;
    const auto header = Load<SlabHeader>(mapping->data() + slab * kSlabSize);
    if (header.size_class != kSpanClass) continue;
    if (header.span_slabs > slabs - slab) return Status(Code::kCORRUPT, "a block lies behind the end of its version");
    if (header.span_slabs > 1 && used->Any((slab + 1) * kGranulesPerSlab, (header.span_slabs - uint64_t{1}) * kGranulesPerSlab)) return kOverlap;
    slab += header.span_slabs - 1;
  }
  return Status::Ok();
}

}  // namespace

Status BeginRecovery(Mapping* mapping, const Base& base) {
  ControlHeader* header = mapping->header();
  const uint64_t slabs = header->length.load(kOrder) / kSlabSize;
  // Written through the file, one piece for each region: stores would fault a page each, and wait for the file system's journal.
  std::vector<uint64_t> states(kSlabsPerRegion, MakeSlabState(SlabUse::kOld, 0));
  for (uint64_t first = 0; first < slabs; first += kSlabsPerRegion) {
    const uint64_t skip = first == 0 ? 1 : 0;  // the first slab of the file is RESERVED
    const uint64_t count = std::min<uint64_t>(kSlabsPerRegion, slabs - first) - skip;
    const uint64_t offset = kSegmentsOffset + first / kSlabsPerRegion * sizeof(RegionSegment) + offsetof(RegionSegment, slabs);
    PONGO_TRY(port::WriteAt(mapping->control_file(), offset + skip * sizeof(uint64_t), states.data(), count * sizeof(uint64_t)));
  }
  header->recovery_slabs.store(slabs, kOrder);
  header->recovery_pin.store(base.version, kOrder);
  header->recovery_root.store(base.word, kOrder);
  return Status::Ok();
}

Status DescribeRecovered(Mapping* mapping, bool wait, const std::atomic<bool>* stop) {
  if (!RecoveryPending(*mapping)) return Status::Ok();
  port::File lock;
  PONGO_TRY(port::Reopen(mapping->data_file(), true, &lock));
  const Status locked = wait ? port::LockByte(lock, kRecoveryByte, port::LockKind::kExclusive)
                             : port::TryLockByte(lock, kRecoveryByte, port::LockKind::kExclusive);
  if (locked.code() == Code::kLOCKED) return Status::Ok();
  PONGO_TRY(locked);
  ControlHeader* header = mapping->header();
  const uint64_t root = header->recovery_root.load(kOrder);
  if (root == 0) return Status::Ok();
  mapping->MapPublished();
  // The file may be shorter by now: whoever described all of it may have died before it said so, and the last closer has given
  // the free end back.
  const uint64_t slabs = std::min(header->recovery_slabs.load(kOrder), SlabMap(mapping).SlabCount());
  Base base;
  PONGO_TRY(ReadBase(mapping, root, &base));
  MarkBits used(slabs * kGranulesPerSlab);
  PONGO_TRY(MarkUsed(mapping, base, slabs, &used, stop));
  PONGO_TRY(DescribeSlabs(mapping, used, slabs, stop));
  PONGO_POINT("recovery.described");
  // The root first: whoever finds it finds the version pinned.
  header->recovery_root.store(0, kOrder);
  header->recovery_pin.store(0, kOrder);
  header->pin_epoch.fetch_add(1, std::memory_order_release);
  return Status::Ok();  // closing the file gives the lock back
}

}  // namespace pongo
