#include "model/shrink.h"

#include <algorithm>

#include "model/tail_move.h"
#include "store/allocator.h"
#include "store/checkpoint.h"
#include "util/bits.h"
#include "util/testing.h"

namespace pongo {
namespace {

// The length that the file needs: whole chunks up to the last slab in use.
uint64_t NeededLength(Mapping* mapping, uint64_t length) {
  uint64_t slab = length / kSlabSize;
  while (slab > 1 && mapping->slab_state(slab - 1)->load(std::memory_order_acquire) == 0) slab--;
  return RoundUp(std::max<uint64_t>(slab, 2) * kSlabSize, mapping->header()->chunk_size);
}

// Gives back what is retired and not protected, and slabs in which nothing is left.
void FreeEmptySlabs(Mapping* mapping, ThreadSlot* slot) {
  Allocator allocator(mapping, slot);
  allocator.Flush();
  allocator.Drain(~uint64_t{0});
  allocator.slabs().HarvestEmptySlabs(slot->index(), ~uint64_t{0});
}

}  // namespace

Status ReturnFreeChunks(Mapping* mapping, ThreadSlot* slot, const port::File& checkpoint_lock, uint64_t version) {
  ControlHeader* header = mapping->header();
  const uint64_t length = mapping->MapPublished();
  FreeEmptySlabs(mapping, slot);
  if (MoveTail(mapping, slot)) {
    PONGO_POINT("shrink.moved");
    version = header->version.load(std::memory_order_acquire);
    bool wrote;
    // Lets go of the blocks that were left.
    PONGO_TRY(Checkpoint(slot, checkpoint_lock, version, true, &wrote));
    FreeEmptySlabs(mapping, slot);
  }
  const uint64_t needed = NeededLength(mapping, length);
  if (needed >= length) return Status::Ok();

  PONGO_POINT("shrink.measured");
  // Both superblocks name the new length before the file gets it: neither may ever lead behind the end.
  header->length.store(needed, std::memory_order_release);
  for (int copy = 0; copy < 2; copy++) {
    bool wrote;
    if (const Status status = Checkpoint(slot, checkpoint_lock, version, true, &wrote); !status.ok()) {
      header->length.store(length, std::memory_order_release);  // the file has it still
      return status;
    }
    PONGO_POINT("shrink.named");
  }
  PONGO_TRY(port::Truncate(mapping->data_file(), needed));
  PONGO_POINT("shrink.cut");
  const uint64_t regions = (needed + kRegionSize - 1) / kRegionSize;
  return port::Truncate(mapping->control_file(), kSegmentsOffset + regions * sizeof(RegionSegment));
}

}  // namespace pongo
