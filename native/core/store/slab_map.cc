#include "store/slab_map.h"

#include <bit>
#include <cstring>

#include "util/testing.h"

namespace pongo {
namespace {

constexpr uint64_t kFirstBlock = sizeof(SlabHeader) / kGranule;  // granules of a slab before its first block

void SetBit(Atomic64* words, uint64_t index) {
  const uint64_t bit = uint64_t{1} << (index % 64);
  // A read-modify-write always, even if the bit seems set: a plain load could be overtaken by the store it announces.
  words[index / 64].fetch_or(bit, std::memory_order_acq_rel);
}

// Finds and clears one set bit at or after `start`; kNoSlab when all are clear. Bit 0 is that of slab `base`.
uint64_t ClearOneBit(Atomic64* words, uint64_t word_count, uint64_t start, uint64_t base, uint64_t* holding) {
  for (uint64_t w = start / 64; w < word_count; w++) {
    uint64_t value = words[w].load(std::memory_order_relaxed);
    if (w == start / 64) value &= ~uint64_t{0} << (start % 64);
    while (value != 0) {
      const uint64_t bit = value & -value;
      const uint64_t slab = base + w * 64 + static_cast<uint64_t>(std::countr_zero(bit));
      // Named before it is taken: a crash now, and the adopter sets a bit that may be set; a crash after, and it sets ours.
      *holding = slab + 1;
      if ((words[w].fetch_and(~bit, std::memory_order_acq_rel) & bit) != 0) {
        PONGO_POINT("slab.taken");
        return slab;
      }
      value &= ~bit;  // somebody else took it
    }
  }
  return kNoSlab;
}

// Takes one bit out of the two-level map: `summary` over regions, `words_of(region)` over the slabs of one. The next one at or
// after `start`, in a circle: whoever goes on behind what was found comes by all slabs before any for a second time.
// *holding names what was taken, or is 0 when nothing was. A crash between the clearing of a summary bit and the second look: the
// adopter looks (RestoreSummaries).
template <class WordsOf>
uint64_t TakeSlab(RegionBits* summary, uint64_t region_count, uint64_t start, uint64_t* holding, WordsOf words_of) {
  const uint64_t start_region = start / kSlabsPerRegion;
  const uint64_t word_count = (region_count + 63) / 64;
  for (uint64_t i = 0; i <= word_count; i++) {
    const uint64_t w = (start_region / 64 + i) % word_count;
    uint64_t value = summary->words[w].load(std::memory_order_acquire);
    if (i == 0) value &= ~uint64_t{0} << (start_region % 64);
    for (; value != 0; value &= value - 1) {
      const uint64_t region = w * 64 + static_cast<uint64_t>(std::countr_zero(value));
      if (region >= region_count) continue;
      Atomic64* words = words_of(region);
      const uint64_t first = i == 0 && region == start_region ? start % kSlabsPerRegion : 0;
      const uint64_t found = ClearOneBit(words, kSlabsPerRegion / 64, first, region * kSlabsPerRegion, holding);
      if (found != kNoSlab) return found;
      if (first != 0) continue;  // what is before it comes last
      // The region seems empty: clear its summary bit, then look again, for a bit may have been set in between.
      summary->words[w].fetch_and(~(uint64_t{1} << (region % 64)), std::memory_order_acq_rel);
      PONGO_POINT("region.cleared");
      for (uint64_t k = 0; k < kSlabsPerRegion / 64; k++)
        if (words[k].load(std::memory_order_acquire) != 0) {
          SetBit(summary->words, region);
          break;
        }
    }
  }
  *holding = 0;
  return kNoSlab;
}

uint64_t RegionCount(uint64_t slabs) { return (slabs + kSlabsPerRegion - 1) / kSlabsPerRegion; }

}  // namespace

bool SlabMap::IsBlock(Ref ref) const {
  const uint64_t granule = RefGranule(ref);
  if (granule / kGranulesPerSlab >= SlabCount()) return false;
  const uint64_t state = mapping_->slab_state(granule / kGranulesPerSlab)->load(std::memory_order_acquire);
  const uint64_t first = granule % kGranulesPerSlab;
  if (SlabUseOf(state) == SlabUse::kSpan) return RefClass(ref) == kSpanClass && first == kFirstBlock;
  if (SlabUseOf(state) != SlabUse::kSmall || SlabDetail(state) != RefClass(ref) || first < kFirstBlock) return false;
  const uint64_t granules = kClassSizes[RefClass(ref)] / kGranule;
  return (first - kFirstBlock) % granules == 0 && (first - kFirstBlock) / granules < BlocksPerSlab(RefClass(ref));
}

bool SlabMap::IsUndescribed(Ref ref) const {
  const uint64_t slab = RefGranule(ref) / kGranulesPerSlab;
  if (slab >= SlabCount() || SlabUseOf(mapping_->slab_state(slab)->load(std::memory_order_acquire)) != SlabUse::kOld) return false;
  SlabHeader header;
  std::memcpy(&header, mapping_->data() + slab * kSlabSize, sizeof header);
  if (header.magic != kSlabMagic || header.size_class != RefClass(ref)) return false;
  return BeginsBlock(RefGranule(ref) % kGranulesPerSlab, RefClass(ref));
}

void SlabMap::NoteFreeBlocks(uint64_t slab) {
  const uint64_t state = mapping_->slab_state(slab)->load(std::memory_order_acquire);
  if (SlabUseOf(state) != SlabUse::kSmall) return;
  const uint64_t region = slab / kSlabsPerRegion;
  const uint64_t size_class = SlabDetail(state);
  SetBit(mapping_->segment(region)->free_blocks[size_class], slab % kSlabsPerRegion);
  SetBit(mapping_->summaries()->free_blocks[size_class].words, region);
}

void SlabMap::NoteRetiredSlab(uint64_t slab) {
  const uint64_t region = slab / kSlabsPerRegion;
  SetBit(mapping_->segment(region)->retired, slab % kSlabsPerRegion);
  SetBit(mapping_->summaries()->retired.words, region);
}

void SlabMap::NoteFreeSlab(uint64_t slab) { SetBit(mapping_->summaries()->free_slabs.words, slab / kSlabsPerRegion); }

uint64_t SlabMap::TakeSlabWithFreeBlocks(uint32_t size_class, uint64_t start, uint64_t* holding) {
  const uint64_t slabs = SlabCount();
  return TakeSlab(&mapping_->summaries()->free_blocks[size_class], RegionCount(slabs), start % slabs, holding,
                  [&](uint64_t region) { return mapping_->segment(region)->free_blocks[size_class]; });
}

uint64_t SlabMap::TakeSlabWithRetired(uint64_t start, uint64_t* holding) {
  const uint64_t slabs = SlabCount();
  return TakeSlab(&mapping_->summaries()->retired, RegionCount(slabs), start % slabs, holding,
                  [&](uint64_t region) { return mapping_->segment(region)->retired; });
}

bool SlabMap::AnyRetired() const {
  const uint64_t words = (RegionCount(SlabCount()) + 63) / 64;
  for (uint64_t w = 0; w < words; w++)
    if (mapping_->summaries()->retired.words[w].load(std::memory_order_relaxed) != 0) return true;
  return false;
}

uint64_t SlabMap::ClaimSlabs(uint64_t count, uint32_t slot) {
  const uint64_t slabs = SlabCount();
  const uint64_t claimed = MakeSlabState(SlabUse::kClaimed, slot);
  Summaries* summaries = mapping_->summaries();
  uint64_t run = 0;
  uint64_t region_free = 0;  // unassigned slabs seen in the current region
  for (uint64_t slab = 0; slab < slabs; slab++) {
    const uint64_t region = slab / kSlabsPerRegion;
    const uint64_t bit = uint64_t{1} << (region % 64);
    if (slab % kSlabsPerRegion == 0) {
      region_free = 0;
      if ((summaries->free_slabs.words[region / 64].load(std::memory_order_acquire) & bit) == 0) {
        run = 0;
        slab += kSlabsPerRegion - 1;
        continue;
      }
    }
    const uint64_t state = mapping_->slab_state(slab)->load(std::memory_order_acquire);
    if (SlabUseOf(state) == SlabUse::kUnassigned) {
      run++;
      region_free++;
    } else {
      run = 0;
    }
    if (run == count) {
      const uint64_t first = slab + 1 - count;
      uint64_t taken = 0;
      for (; taken < count; taken++) {
        uint64_t expected = 0;
        if (!mapping_->slab_state(first + taken)->compare_exchange_strong(expected, claimed, std::memory_order_acq_rel)) break;
      }
      if (taken == count) return first;
      Unassign(first, taken);  // somebody was faster; go on behind the slab that was lost
      slab = first + taken;
      run = 0;
    }
    const bool region_ends = slab % kSlabsPerRegion == kSlabsPerRegion - 1 && slab + 1 < slabs;
    if (region_ends && region_free == 0) {
      // Full: clear the hint, then look again, for a slab may have been given back in between.
      summaries->free_slabs.words[region / 64].fetch_and(~bit, std::memory_order_acq_rel);
      for (uint64_t i = region * kSlabsPerRegion; i <= slab; i++)
        if (mapping_->slab_state(i)->load(std::memory_order_acquire) == 0) {
          NoteFreeSlab(i);
          break;
        }
    }
  }
  return kNoSlab;
}

void SlabMap::WriteHeader(uint64_t slab, uint32_t size_class, uint64_t span_slabs) {
  SlabHeader header;
  std::memset(&header, 0, sizeof header);
  header.magic = kSlabMagic;
  header.size_class = static_cast<uint8_t>(size_class);
  header.span_slabs = static_cast<uint32_t>(span_slabs);
  std::memcpy(mapping_->data() + slab * kSlabSize, &header, sizeof header);
}

void SlabMap::AssignSmall(uint64_t slab, uint32_t size_class) {
  WriteHeader(slab, size_class, 1);
  // release: the header is complete before anybody takes a block. A crash before leaves a claimed slab for adoption.
  mapping_->slab_state(slab)->store(MakeSlabState(SlabUse::kSmall, size_class), std::memory_order_release);
}

void SlabMap::AssignSpan(uint64_t slab, uint64_t count) {
  WriteHeader(slab, kSpanClass, count);
  // The head first: after a crash in between its cached block leads to the tails, the rest is still claimed.
  mapping_->slab_state(slab)->store(MakeSlabState(SlabUse::kSpan, count), std::memory_order_release);
  for (uint64_t i = 1; i < count; i++)
    mapping_->slab_state(slab + i)->store(MakeSlabState(SlabUse::kTail, 0), std::memory_order_release);
}

void SlabMap::Unassign(uint64_t slab, uint64_t count) {
  for (uint64_t i = count; i-- > 0;) {
    mapping_->slab_state(slab + i)->store(0, std::memory_order_release);
    NoteFreeSlab(slab + i);
  }
}

void SlabMap::FreeSpan(uint64_t slab) {
  const uint64_t count = SlabDetail(mapping_->slab_state(slab)->load(std::memory_order_acquire));
  // From the end, so that after a crash the tails that are still ours follow the head without a gap.
  Unassign(slab + 1, count - 1);
  mapping_->block_states(slab)->store(0, std::memory_order_release);
  Unassign(slab, 1);
}

void SlabMap::ReleaseClaims(uint32_t slot) {
  const uint64_t claimed = MakeSlabState(SlabUse::kClaimed, slot);
  const uint64_t slabs = SlabCount();
  for (uint64_t slab = 0; slab < slabs; slab++) {
    const uint64_t state = mapping_->slab_state(slab)->load(std::memory_order_acquire);
    if (state == claimed) {
      // It may have died while it took or gave back the words of all blocks.
      for (uint32_t i = 0; i < kGranulesPerSlab; i++) {
        uint64_t cached = CachedState(slot);
        mapping_->block_states(slab)[i].compare_exchange_strong(cached, 0, std::memory_order_acq_rel);
      }
      Unassign(slab, 1);
    }
    // Who grew the file may have died before it said so.
    if (state == 0) NoteFreeSlab(slab);
    if (SlabUseOf(state) != SlabUse::kSpan) continue;
    // A span that its owner was freeing, or had not begun to fill: its block is still cached by the dead slot.
    if (mapping_->block_states(slab)->load(std::memory_order_acquire) != CachedState(slot))
      continue;
    uint64_t tails = 0;
    while (slab + 1 + tails < slabs && tails + 1 < SlabDetail(state) &&
           SlabUseOf(mapping_->slab_state(slab + 1 + tails)->load(std::memory_order_acquire)) == SlabUse::kTail)
      tails++;
    Unassign(slab + 1, tails);
    mapping_->block_states(slab)->store(0, std::memory_order_release);
    Unassign(slab, 1);
  }
}

void SlabMap::RestoreSummaries() {
  Summaries* summaries = mapping_->summaries();
  const auto any = [](const Atomic64* words) {
    bool set = false;
    for (uint64_t k = 0; k < kSlabsPerRegion / 64; k++) set = set || words[k].load(std::memory_order_relaxed) != 0;
    return set;
  };
  for (uint64_t region = 0; region < RegionCount(SlabCount()); region++) {
    RegionSegment* segment = mapping_->segment(region);
    if (any(segment->retired)) SetBit(summaries->retired.words, region);
    for (uint32_t c = 0; c < kClassCount; c++)
      if (any(segment->free_blocks[c])) SetBit(summaries->free_blocks[c].words, region);
  }
}

void SlabMap::RestoreHints() {
  const uint64_t slabs = SlabCount();
  for (uint64_t slab = 1; slab < slabs; slab++) {
    const uint64_t state = mapping_->slab_state(slab)->load(std::memory_order_acquire);
    if (state == 0) NoteFreeSlab(slab);
    if (SlabUseOf(state) != SlabUse::kSmall && SlabUseOf(state) != SlabUse::kSpan) continue;
    NoteFreeBlocks(slab);
    NoteRetiredSlab(slab);
  }
}

uint64_t SlabMap::LiveBytes() const {
  const auto live = [](const Atomic64& word) { return BlockUseOf(word.load(std::memory_order_relaxed)) == BlockUse::kLive; };
  const uint64_t slabs = SlabCount();
  uint64_t bytes = 0;
  for (uint64_t slab = 1; slab < slabs; slab++) {
    const uint64_t state = mapping_->slab_state(slab)->load(std::memory_order_acquire);
    const Atomic64* blocks = mapping_->block_states(slab);
    if (SlabUseOf(state) == SlabUse::kSpan && live(blocks[0])) bytes += SlabDetail(state) * kSlabSize;
    if (SlabUseOf(state) != SlabUse::kSmall || SlabDetail(state) >= kClassCount) continue;
    const auto size_class = static_cast<uint32_t>(SlabDetail(state));
    for (uint32_t i = 0; i < BlocksPerSlab(size_class); i++) bytes += live(blocks[i]) ? kClassSizes[size_class] : 0;
  }
  return bytes;
}

uint64_t SlabMap::HarvestEmptySlabs(uint32_t slot, uint64_t limit) {
  const uint64_t slabs = SlabCount();
  uint64_t harvested = 0;
  for (uint64_t slab = 1; slab < slabs && harvested < limit; slab++) {
    uint64_t state = mapping_->slab_state(slab)->load(std::memory_order_acquire);
    if (SlabUseOf(state) != SlabUse::kSmall) continue;
    const uint32_t size_class = static_cast<uint32_t>(SlabDetail(state));
    if (size_class >= kClassCount) continue;
    Atomic64* states = mapping_->block_states(slab);
    const uint32_t blocks = BlocksPerSlab(size_class);
    // Take every block; only the owner of all may give the slab another use.
    uint32_t taken = 0;
    for (; taken < blocks; taken++) {
      uint64_t expected = 0;
      if (!states[taken].compare_exchange_strong(expected, CachedState(slot), std::memory_order_acq_rel)) break;
    }
    // Another harvester may have been faster and the slab be something else by now, whose words we have taken: only the use
    // that we saw may be changed. While we hold all words of a small slab nobody else can change it.
    const bool all = taken == blocks && mapping_->slab_state(slab)->compare_exchange_strong(
                                            state, MakeSlabState(SlabUse::kClaimed, slot), std::memory_order_acq_rel);
    // By CAS: if the slab has become a span meanwhile, its owner has stored its own word over ours.
    for (uint32_t i = 0; i < taken; i++) {
      uint64_t mine = CachedState(slot);
      states[i].compare_exchange_strong(mine, 0, std::memory_order_acq_rel);
    }
    if (all) {
      Atomic64* bits = &mapping_->segment(slab / kSlabsPerRegion)->free_blocks[size_class][slab % kSlabsPerRegion / 64];
      bits->fetch_and(~(uint64_t{1} << (slab % 64)), std::memory_order_acq_rel);
      Unassign(slab, 1);
      harvested++;
    } else if (taken > 0) {
      NoteFreeBlocks(slab);
    }
  }
  return harvested;
}

}  // namespace pongo
