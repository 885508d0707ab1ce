#include "store/allocator.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "util/bits.h"
#include "util/check.h"
#include "util/testing.h"

namespace pongo {
namespace {

constexpr uint32_t kBesideMax = 8192;  // larger blocks would leave pages between what is written in them
constexpr uint32_t kRunLength = 3;       // blocks beside the first: another inner node, the object table, the root record
constexpr uint64_t kSpaceWaitNs = 250'000'000;
constexpr uint64_t kChunksAhead = 4;
constexpr uint64_t kCountsPerFile = 32;
constexpr Status kNoRoomBefore(Code::kFULL, "no room is left before the end of the file that is to be emptied");

}  // namespace

// As many blocks as fit in 16 KiB, at most half a magazine.
uint32_t Allocator::BatchFor(uint32_t size_class) {
  return std::clamp<uint32_t>((16u << 10) / kClassSizes[size_class], 1, kMagazineSize / 2);
}

Status Allocator::Allocate(uint64_t size, uint64_t birth, Ref* ref) {
  const uint32_t size_class = ClassForSize(size);
  if (size_class == kSpanClass) return AllocateSpan(size, birth, ref);
  Magazine& magazine = slot_->area()->magazines[size_class];
  if (magazine.count == 0) [[unlikely]] PONGO_TRY(Refill(size_class, true));
  *ref = magazine.items[--magazine.count];
  PONGO_ASSERT(mapping_->block_state(*ref)->load(std::memory_order_relaxed) == CachedState(slot_->index()));
  // A crash from here until the commit leaves an unreachable LIVE block for the sweep.
  mapping_->block_state(*ref)->store(LiveState(birth), std::memory_order_release);
  return Status::Ok();
}

bool Allocator::AllocateBeside(BlockRun* run, uint64_t size, uint64_t birth, Ref* ref) {
  const uint32_t size_class = RefClass(run->first);
  if (run->first == kNullRef || size_class >= kClassCount || kClassSizes[size_class] < size || kClassSizes[size_class] > kBesideMax) return false;
  const uint64_t granules = kClassSizes[size_class] / kGranule;
  Magazine& magazine = slot_->area()->magazines[size_class];
  for (uint32_t i = magazine.count; i-- > 0;) {  // the youngest first: what was used together comes back together
    const Ref found = magazine.items[i];
    const bool before = found + granules == run->first;
    if (!before && found != run->last + granules) continue;
    PONGO_ASSERT(mapping_->block_state(found)->load(std::memory_order_relaxed) == CachedState(slot_->index()));
    // A crash in between leaves a block CACHED that no magazine lists, as in Allocate.
    magazine.items[i] = magazine.items[--magazine.count];
    mapping_->block_state(found)->store(LiveState(birth), std::memory_order_release);
    (before ? run->first : run->last) = found;
    *ref = found;
    return true;
  }
  return false;
}

Status Allocator::AllocateAtRun(uint64_t size, uint64_t birth, Ref* ref) {
  const uint32_t size_class = ClassForSize(size);
  if (size_class < kClassCount) {
    const uint64_t granules = kClassSizes[size_class] / kGranule;
    Magazine& magazine = slot_->area()->magazines[size_class];
    const Ref* const begin = magazine.items;
    const Ref* const end = begin + magazine.count;
    const auto free_before = [&](Ref at) {
      uint32_t count = 0;
      while (count < kRunLength && std::find(begin, end, at - (count + 1) * granules) != end) count++;
      return count;
    };
    uint32_t longest = 0;
    uint32_t best = magazine.count;
    for (uint32_t i = magazine.count; i-- > 0 && longest < kRunLength;) {
      const uint32_t length = free_before(magazine.items[i]);
      if (best < magazine.count && length <= longest) continue;
      longest = length;
      best = i;
    }
    // A crash in between leaves one of the two listed twice and the other CACHED in no magazine, as in Allocate: what is listed is given
    // back by a compare-and-swap, which succeeds once.
    if (best < magazine.count) std::swap(magazine.items[best], magazine.items[magazine.count - 1]);
  }
  return Allocate(size, birth, ref);
}

Status Allocator::AllocatePrivate(uint64_t size, Ref* ref) {
  const uint32_t size_class = ClassForSize(size);
  PONGO_CHECK(size_class < kClassCount);
  Magazine& magazine = slot_->area()->magazines[size_class];
  if (magazine.count == 0) {
    const bool patient = std::exchange(patient_, false);  // its callers cannot begin again
    const Status refilled = Refill(size_class, false);
    patient_ = patient;
    PONGO_TRY(refilled);
  }
  *ref = magazine.items[--magazine.count];
  return Status::Ok();
}

bool Allocator::TakeFromSlab(uint64_t slab, uint32_t size_class) {
  const uint64_t wanted_state = MakeSlabState(SlabUse::kSmall, size_class);
  if (mapping_->slab_state(slab)->load(std::memory_order_acquire) != wanted_state) return false;
  Magazine& magazine = slot_->area()->magazines[size_class];
  Atomic64* states = mapping_->block_states(slab);
  const uint32_t blocks = BlocksPerSlab(size_class);
  const uint32_t batch = BatchFor(size_class);
  uint32_t taken = 0;
  uint32_t i = 0;
  for (; i < blocks && taken < batch; i++) {
    uint64_t expected = 0;
    if (states[i].load(std::memory_order_relaxed) != 0) continue;
    // acquire: what its last owner read of it is over.
    if (!states[i].compare_exchange_strong(expected, CachedState(slot_->index()), std::memory_order_acq_rel)) continue;
    magazine.items[magazine.count] = BlockAt(slab, i, size_class);
    magazine.count++;
    taken++;
  }
  if (!PONGO_PLANTED(8) && mapping_->slab_state(slab)->load(std::memory_order_acquire) != wanted_state) [[unlikely]] {
    // The slab was empty and got another use while we searched: what we took are no blocks.
    for (; taken > 0; taken--) {
      uint64_t mine = CachedState(slot_->index());
      mapping_->block_state(magazine.items[--magazine.count])->compare_exchange_strong(mine, 0, std::memory_order_acq_rel);
    }
    return false;
  }
  if (i < blocks) slabs_.NoteFreeBlocks(slab);  // not searched to the end
  return taken > 0;
}

// The hint of a slab of the class that may have free blocks.
uint64_t Allocator::TakeSlab(uint32_t size_class) {
  const uint64_t hint = last_slab_[size_class];
  // Threads start at different places, so that they seldom meet in one slab.
  const uint64_t start = end_ != kNoSlab ? 0 : hint != 0 ? hint : slot_->index() * 7;
  const uint64_t slab = slabs_.TakeSlabWithFreeBlocks(size_class, start, &slot_->area()->holding);
  if (slab == kNoSlab || slab < end_) return slab;
  slabs_.NoteFreeBlocks(slab);
  slot_->area()->holding = 0;
  return kNoSlab;
}

uint64_t Allocator::ClaimSlabs(uint64_t count) {
  const uint64_t slab = slabs_.ClaimSlabs(count, slot_->index());
  if (slab == kNoSlab || slab + count <= end_) return slab;
  slabs_.Unassign(slab, count);
  return kNoSlab;
}

// After a failure to grow: whether to look again, because something may have become free.
bool Allocator::FindRoom(const Status& grown, uint64_t slab_count, uint32_t* resort) {
  if (make_room_ == nullptr || (grown.code() != Code::kFULL && grown.code() != Code::kNOSPACE)) return false;
  if (!make_room_((*resort)++)) return false;
  Tidy(slab_count);
  return true;
}

Status Allocator::Refill(uint32_t size_class, bool by_all_means) {
  SlotArea* area = slot_->area();
  bool drained = false;
  bool tidied = false;
  uint32_t resort = 0;
  for (;;) {
    uint64_t& hint = last_slab_[size_class];
    const uint64_t slab = TakeSlab(size_class);
    if (slab != kNoSlab) {
      const bool found = TakeFromSlab(slab, size_class);
      area->holding = 0;
      hint = slab;
      if (found) return Status::Ok();
      continue;
    }
    if (!drained) {  // blocks that a pin has let go since; once, for they may be of other classes
      drained = true;
      if (Drain(8) > 0) continue;
    }
    const uint64_t seen = mapping_->MapPublished();
    const uint64_t fresh = ClaimSlabs(1);
    if (fresh != kNoSlab) {
      slabs_.AssignSmall(fresh, size_class);
      hint = fresh;
      if (!TakeFromSlab(fresh, size_class)) continue;
      if (by_all_means && end_ == kNoSlab) GrowAhead(fresh);
      return Status::Ok();
    }
    if (end_ != kNoSlab) return kNoRoomBefore;
    if (!tidied) {  // may bring blocks of this class or whole slabs: look again from the start
      tidied = true;
      Tidy(1);
      continue;
    }
    if (WorthWaiting()) return kSpaceSoon;
    const Status grown = mapping_->Grow(seen, kSlabSize, GrowthStep());
    if (!grown.ok() && !(by_all_means && FindRoom(grown, 1, &resort))) return grown;
  }
}

// Where everything is being overwritten, the durable version holds a second copy of it: that needs room. A third one is held
// only by a checkpoint under way or by an operation that was interrupted. It comes back in a moment: the file should not grow
// for it.
bool Allocator::WorthWaiting() const {
  if (!patient_ || held_bytes_[Horizon::kBrief] < GarbageWorthNoticing()) return false;
  const uint64_t checkpoint = mapping_->header()->checkpoint_pin.load(std::memory_order_relaxed);
  return horizon_.safe() != slow_operation_ && (checkpoint == 0 || checkpoint != slow_checkpoint_);
}

uint64_t Allocator::GarbageWorthNoticing() const { return mapping_->header()->length.load(std::memory_order_relaxed) / 16; }

// A whole chunk for what stays. Where much garbage is about to come back, a quarter of one may be enough.
uint64_t Allocator::GrowthStep() const {
  const uint64_t chunk = mapping_->header()->chunk_size;
  const bool churn = held_bytes_[Horizon::kDurable] + held_bytes_[Horizon::kBrief] >= GarbageWorthNoticing();
  return churn ? RoundUp(chunk / 4, kSlabSize) : chunk;
}

uint64_t Allocator::RoomAhead(uint64_t live, uint64_t chunk_size) { return std::min(live, kChunksAhead * chunk_size); }

// What is live needs room once more while it is being overwritten (WorthWaiting): the file has it before, up to a few chunks.
// Called when a slab has been claimed. Slabs are claimed from the beginning of the file on, so there is nothing to count before
// the second half. Counting takes a look at every block of the file: it is done again when a part of the file has been claimed since.
void Allocator::GrowAhead(uint64_t slab) {
  const uint64_t length = mapping_->mapped_length();
  const uint64_t used = slab * kSlabSize;
  const uint64_t chunk_size = mapping_->header()->chunk_size;
  const uint64_t ahead = kChunksAhead * chunk_size;
  if (slab < next_count_ || used < length / 2 || length - used >= ahead) return;
  next_count_ = slab + 1 + length / kSlabSize / kCountsPerFile;
  const uint64_t live = slabs_.LiveBytes();
  const uint64_t wanted = RoomAhead(live, chunk_size);
  // Whoever needs the room will see why there is none.
  if (length - live < wanted) static_cast<void>(mapping_->Grow(length, wanted - (length - live), chunk_size).ok());
}

void Allocator::AwaitSpace() {
  ControlHeader* header = mapping_->header();
  const uint64_t checkpoint = header->checkpoint_pin.load(std::memory_order_acquire);
  const uint64_t version = header->version.load(std::memory_order_acquire);
  const uint64_t deadline = port::Nanoseconds() + kSpaceWaitNs;
  uint64_t slow = 0;  // the oldest announcement
  const auto pending = [&] {
    slow = 0;
    for (uint32_t slot = 0; slot < header->slot_count.load(std::memory_order_acquire); slot++) {
      const uint64_t announced = mapping_->slot_line(slot)->announced.load(std::memory_order_acquire);
      if (announced != 0 && announced < version && (slow == 0 || announced < slow)) slow = announced;
    }
    return slow != 0 || (checkpoint != 0 && header->checkpoint_pin.load(std::memory_order_acquire) == checkpoint);
  };
  bool waiting = pending();
  while (waiting && port::Nanoseconds() < deadline) {
    port::SleepNanoseconds(200'000);
    waiting = pending();
  }
  if (waiting) {
    slow_operation_ = slow;
    slow_checkpoint_ = checkpoint;
  }
  Drain(~uint64_t{0});
}

// Before the file grows: what died with its thread, what is retired and no longer protected, slabs that are empty.
void Allocator::Tidy(uint64_t slab_count) {
  ReapDeadSlots(slot_);
  // Its own cached blocks too: a few in every slab would keep all slabs in use.
  Flush();
  Drain(~uint64_t{0});
  slabs_.HarvestEmptySlabs(slot_->index(), std::max<uint64_t>(64, 2 * slab_count));
}

Result<uint64_t> Allocator::ClaimOrGrow(uint64_t slab_count) {
  bool tidied = false;
  uint32_t resort = 0;
  for (;;) {
    const uint64_t seen = mapping_->MapPublished();
    const uint64_t slab = ClaimSlabs(slab_count);
    if (slab != kNoSlab) return slab;
    if (end_ != kNoSlab) return kNoRoomBefore;
    if (!tidied) {
      tidied = true;
      Tidy(slab_count);
      continue;
    }
    if (WorthWaiting()) return kSpaceSoon;
    const Status grown = mapping_->Grow(seen, slab_count * kSlabSize, GrowthStep());
    if (!grown.ok() && !FindRoom(grown, slab_count, &resort)) return grown;
  }
}

Status Allocator::AllocateSpan(uint64_t size, uint64_t birth, Ref* ref) {
  const uint64_t count = (size + sizeof(SlabHeader) + kSlabSize - 1) / kSlabSize;
  Result<uint64_t> slab = ClaimOrGrow(count);
  if (!slab.ok()) return slab.status();
  *ref = MakeRef(slab.value() * kSlabSize + sizeof(SlabHeader), kSpanClass);
  // The block belongs to the slot before the slabs become a span, so that a crash in between is adopted.
  mapping_->block_state(*ref)->store(CachedState(slot_->index()), std::memory_order_release);
  slabs_.AssignSpan(slab.value(), count);
  mapping_->block_state(*ref)->store(LiveState(birth), std::memory_order_release);
  return Status::Ok();
}

// Takes in a block that is CACHED by this slot.
void Allocator::Reuse(Ref ref) {
  if (RefClass(ref) == kSpanClass) {
    slabs_.FreeSpan(RefGranule(ref) / kGranulesPerSlab);
    return;
  }
  PONGO_POISON(mapping_->data() + RefOffset(ref), kClassSizes[RefClass(ref)]);
  Magazine& magazine = slot_->area()->magazines[RefClass(ref)];
  if (magazine.count == kMagazineSize) {
    // The older half goes to everybody; the younger is warm.
    constexpr uint32_t kHalf = kMagazineSize / 2;
    for (uint32_t i = 0; i < kHalf; i++) {
      mapping_->block_state(magazine.items[i])->store(0, std::memory_order_release);
      slabs_.NoteFreeBlock(magazine.items[i]);
    }
    std::memmove(magazine.items, magazine.items + kHalf, kHalf * sizeof(Ref));
    magazine.count = kHalf;
  }
  magazine.items[magazine.count] = ref;
  magazine.count++;
}

void Allocator::Discard(Ref ref) {
  mapping_->block_state(ref)->store(CachedState(slot_->index()), std::memory_order_release);
  Reuse(ref);
}

void Allocator::Retire(Ref ref, uint64_t retire) {
  SlotArea* area = slot_->area();
  // A block that is dropped unread may lie in a region that another process added; a ref from damaged bytes may lie nowhere.
  if (RefOffset(ref) >= mapping_->mapped_length() && RefOffset(ref) >= mapping_->MapPublished()) [[unlikely]] return;
  if (area->retired_count == kRetiredMax) SpillRetired(0);
  Atomic64* word = mapping_->block_state(ref);
  uint64_t state = word->load(std::memory_order_acquire);
  // Not yet described by recovery: zero stands for LIVE(0). It may be described at this moment; then the word says so now.
  const bool undescribed = state == 0 && slabs_.IsUndescribed(ref);
  if (state == 0 && !undescribed) state = word->load(std::memory_order_acquire);
  if (!undescribed && BlockUseOf(state) != BlockUse::kLive) return;
  const uint64_t retired = RetiredState(LiveBirth(state), retire - (PONGO_PLANTED(27) ? 1 : 0));
  // The CAS decides between this committer and a sweep that found the block unreachable. Recovery may describe the block just
  // now, once: it was LIVE(0) before and is so still.
  const auto decide = [&] {
    return word->compare_exchange_strong(state, retired, std::memory_order_acq_rel) ||
           (undescribed && state == LiveState(0) && word->compare_exchange_strong(state, retired, std::memory_order_acq_rel));
  };
  if (RefClass(ref) == kSpanClass) {
    // Never private: a thread that stops would keep whole slabs. The hint first, for the same reason as below.
    slabs_.NoteRetired(ref);
    if (decide()) slabs_.NoteRetired(ref);
    return;
  }
  if (PONGO_PLANTED(17) && !decide()) return;
  if (PONGO_PLANTED(17)) PONGO_POINT("retire.unlisted");
  // Listed first, retired second: a crash in between leaves a LIVE orphan, never a RETIRED block that nobody looks for.
  area->retired[area->retired_count] = {ref, retired};
  area->retired_count++;
  if (!PONGO_PLANTED(17) && !decide()) area->retired_count--;
}

// Leaves the first `keep` private entries; the others are found through the shared map from now on.
void Allocator::SpillRetired(uint32_t keep) {
  SlotArea* area = slot_->area();
  for (uint32_t i = keep; i < area->retired_count; i++) slabs_.NoteRetired(area->retired[i].ref);
  area->retired_count = std::min(area->retired_count, keep);
}

void Allocator::Reclaim() {
  SlotArea* area = slot_->area();
  horizon_.Scan(*mapping_);
  uint32_t kept = 0;
  const uint32_t count = area->retired_count;
  for (uint32_t i = 0; i < count; i++) {
    const RetiredEntry entry = area->retired[i];
    uint64_t state = entry.state;
    if (!horizon_.Reusable(state)) {
      area->retired[kept++] = entry;
      continue;
    }
    // Fails when somebody drained it through the shared map; it is theirs then.
    if (mapping_->block_state(entry.ref)->compare_exchange_strong(state, CachedState(slot_->index()), std::memory_order_acq_rel))
      Reuse(entry.ref);
  }
  area->retired_count = kept;
  if (kept > kRetiredMax / 2) SpillRetired(0);
  // Retired blocks in the shared map wait for a pin or a slow thread: look again when a pin has gone, else now and then.
  rounds_++;
  const uint64_t epoch = mapping_->header()->pin_epoch.load(std::memory_order_acquire);
  if (epoch != drained_epoch_ || rounds_ % 64 == 0) {
    const uint64_t before = drain_cursor_;
    Drain(4);
    if (drain_cursor_ <= before) drained_epoch_ = epoch;  // the cursor has wrapped: all were looked at
  }
}

uint64_t Allocator::Drain(uint64_t slab_limit) {
  std::fill(std::begin(held_bytes_), std::end(held_bytes_), 0);
  if (!slabs_.AnyRetired()) {
    drain_cursor_ = 0;
    return 0;
  }
  horizon_.Scan(*mapping_);
  const uint64_t slab_count = slabs_.SlabCount();
  uint64_t freed = 0;
  uint64_t first = kNoSlab;
  for (uint64_t n = 0; n < std::min(slab_limit, slab_count); n++) {
    const uint64_t slab = slabs_.TakeSlabWithRetired(drain_cursor_, &slot_->area()->holding);
    if (slab == kNoSlab || slab == first) {
      if (slab == first && slab != kNoSlab) slabs_.NoteRetiredSlab(slab);
      slot_->area()->holding = 0;
      break;
    }
    if (first == kNoSlab) first = slab;
    drain_cursor_ = (slab + 1) % slab_count;
    const uint64_t use = mapping_->slab_state(slab)->load(std::memory_order_acquire);
    Atomic64* states = mapping_->block_states(slab);
    bool remains = false;
    uint64_t freed_here = 0;
    if (SlabUseOf(use) == SlabUse::kSpan) {
      Atomic64* word = states;
      uint64_t state = word->load(std::memory_order_acquire);
      if (BlockUseOf(state) == BlockUse::kRetired) {
        remains = !horizon_.Reusable(state);
        if (remains) held_bytes_[horizon_.HeldBy(state)] += SlabDetail(use) * kSlabSize;
        if (!remains && word->compare_exchange_strong(state, CachedState(slot_->index()), std::memory_order_acq_rel)) {
          slabs_.FreeSpan(slab);
          freed++;
        }
      }
    } else if (SlabUseOf(use) == SlabUse::kSmall && SlabDetail(use) < kClassCount) {
      const uint32_t size_class = static_cast<uint32_t>(SlabDetail(use));
      for (uint32_t i = 0; i < BlocksPerSlab(size_class); i++) {
        Atomic64* word = states + i;
        uint64_t state = word->load(std::memory_order_acquire);
        if (BlockUseOf(state) != BlockUse::kRetired) continue;
        // A slab with a retired block keeps its use: seen unchanged after the word was read, the word is a block of it.
        if (mapping_->slab_state(slab)->load(std::memory_order_acquire) != use) {
          remains = true;
          break;
        }
        if (!horizon_.Reusable(state)) {
          remains = true;
          held_bytes_[horizon_.HeldBy(state)] += kClassSizes[size_class];
        } else if (word->compare_exchange_strong(state, 0, std::memory_order_acq_rel)) {
          PONGO_POISON(mapping_->data() + RefOffset(BlockAt(slab, i, size_class)), kClassSizes[size_class]);
          freed_here++;
        }
      }
      if (freed_here > 0) slabs_.NoteFreeBlocks(slab);
    }
    if (remains) slabs_.NoteRetiredSlab(slab);
    slot_->area()->holding = 0;
    freed += freed_here;
  }
  return freed;
}

void Allocator::Flush() {
  SpillRetired(0);
  for (Magazine& magazine : slot_->area()->magazines) {
    while (magazine.count > 0) {
      const Ref ref = magazine.items[--magazine.count];
      mapping_->block_state(ref)->store(0, std::memory_order_release);
      slabs_.NoteFreeBlock(ref);
    }
  }
}

}  // namespace pongo
