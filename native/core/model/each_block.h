// Every block of the file by its state: what counting, verifying and sweeping go through.
#ifndef PONGO_MODEL_EACH_BLOCK_H_
#define PONGO_MODEL_EACH_BLOCK_H_

#include "format/control.h"
#include "store/mapping.h"

namespace pongo {

// Visits every block of every assigned slab: visit(ref, state word, size in bytes). O(file), beside everybody else: a slab may
// get another use meanwhile.
template <class F>
void EachBlock(Mapping* mapping, F&& visit) {
  const uint64_t slabs = mapping->MapPublished() / kSlabSize;
  for (uint64_t slab = 1; slab < slabs; slab++) {
    const uint64_t use = mapping->slab_state(slab)->load(std::memory_order_acquire);
    Atomic64* states = mapping->block_states(slab);
    if (SlabUseOf(use) == SlabUse::kSpan) visit(BlockAt(slab, 0, kSpanClass), states, SlabDetail(use) * kSlabSize);
    if (SlabUseOf(use) != SlabUse::kSmall || SlabDetail(use) >= kClassCount) continue;
    const auto size_class = static_cast<uint32_t>(SlabDetail(use));
    for (uint32_t i = 0; i < BlocksPerSlab(size_class); i++) visit(BlockAt(slab, i, size_class), states + i, kClassSizes[size_class]);
  }
}

}  // namespace pongo

#endif  // PONGO_MODEL_EACH_BLOCK_H_
