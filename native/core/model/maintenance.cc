#include "model/maintenance.h"

#include <algorithm>

#include "model/companion.h"
#include "model/container_gc.h"
#include "model/each_block.h"
#include "model/reachability.h"
#include "model/recovery.h"
#include "store/allocator.h"
#include "store/horizon.h"
#include "util/mark_bits.h"
#include "util/testing.h"

namespace pongo {
namespace {

void Census(Mapping* mapping, Counts* counts) {
  EachBlock(mapping, [&](Ref, Atomic64* word, uint64_t size) {
    switch (BlockUseOf(word->load(std::memory_order_relaxed))) {
      case BlockUse::kFree:
        counts->free++;
        counts->free_bytes += size;
        break;
      case BlockUse::kCached:
        counts->cached++;
        counts->free_bytes += size;
        break;
      case BlockUse::kLive:
        counts->live++;
        counts->live_bytes += size;
        break;
      case BlockUse::kRetired:
        counts->retired++;
        counts->retired_bytes += size;
        break;
    }
  });
  for (uint64_t slab = 1; slab < mapping->MapPublished() / kSlabSize; slab++)
    if (mapping->slab_state(slab)->load(std::memory_order_relaxed) == 0) counts->free_bytes += kSlabSize;
}

// How many containers the newest version has. O(1).
Status CountContainers(Mapping* mapping, ThreadSlot* slot, uint64_t* count) {
  Base base;
  const Status read = ReadBase(mapping, slot->Announce(), &base);
  slot->Clear();
  *count = base.containers;
  return read;
}

// A pinned version with the set of its blocks. `sweep_limit`: blocks born up to it that are not marked belong to nobody.
struct Marked {
  explicit Marked(Mapping* mapping) : bits(mapping->MapPublished() / kGranule) {}
  Base base;
  uint32_t cell = kPinCells;
  uint64_t sweep_limit = 0;
  MarkBits bits;
  ReachCounts counts;
};

// The order is the rule: the limit is taken from the slots and transaction pins before the version is pinned, or a live
// writer's unlinked blocks would be swept.
Status PinAndMark(Mapping* mapping, ThreadSlot* slot, Marked* marked, FunctionRef<Status(Ref block)> check) {
  Horizon horizon;
  horizon.Scan(*mapping);
  marked->sweep_limit = horizon.writers();
  const uint64_t word = slot->Announce();
  const Status read = ReadBase(mapping, word, &marked->base);
  if (read.ok()) marked->cell = slot->Pin(marked->base.version, marked->base.word, PinKind::kMaintenance);
  slot->Clear();
  PONGO_TRY(read);
  if (PONGO_PLANTED(7)) horizon.Scan(*mapping);
  if (PONGO_PLANTED(7)) marked->sweep_limit = horizon.now();
  // The root first, the published length second: the mark bits must cover all that the root reaches.
  marked->bits = MarkBits(mapping->MapPublished() / kGranule);
  return WalkVersion(
      mapping, marked->base,
      [&](Ref ref) -> Status {
        if (!marked->bits.Covers(RefGranule(ref))) return Status(Code::kCORRUPT, "a block lies outside the file");
        if (!marked->bits.Set(RefGranule(ref))) return Status(Code::kCORRUPT, "a block is used twice");
        return check(ref);
      },
      &marked->counts);
}

// Blocks that a dead thread had taken from the shared maps, but not yet entered in its magazine.
void AdoptStrayBlocks(Mapping* mapping, ThreadSlot* self) {
  const uint32_t count = mapping->header()->slot_count.load(std::memory_order_acquire);
  std::vector<bool> dead(kSlotMax);
  bool any = false;
  for (uint32_t slot = 0; slot < count; slot++) {
    if (slot == self->index()) continue;
    // While we hold the byte nobody can claim the slot and cache blocks under its number.
    dead[slot] = port::TryLockByte(self->lock_file(), kSlotByte + slot, port::LockKind::kExclusive).ok();
    any = any || dead[slot];
    if (dead[slot] && mapping->slot_line(slot)->used.load(std::memory_order_acquire) != 0)
      static_cast<void>(AdoptSlot(mapping, slot));
  }
  if (!any) return;
  SlabMap slabs(mapping);
  EachBlock(mapping, [&](Ref ref, Atomic64* word, uint64_t) {
    uint64_t state = word->load(std::memory_order_acquire);
    if (BlockUseOf(state) != BlockUse::kCached || CachedSlot(state) >= kSlotMax || !dead[CachedSlot(state)]) return;
    if (RefClass(ref) == kSpanClass) return;  // AdoptSlot sees to those
    if (word->compare_exchange_strong(state, 0, std::memory_order_acq_rel)) slabs.NoteFreeBlock(ref);
  });
  for (uint32_t slot = 0; slot < count; slot++)
    if (dead[slot]) static_cast<void>(port::UnlockByte(self->lock_file(), kSlotByte + slot).ok());
}

}  // namespace

Status VerifyDatabase(Mapping* mapping, Counts* counts, std::string* problem) {
  if (const Status described = DescribeRecovered(mapping, true, nullptr); !described.ok()) {
    *problem = described.text();
    return described;
  }
  ThreadSlot slot(mapping);
  PONGO_TRY(slot.Claim());
  Marked marked(mapping);
  SlabMap slabs(mapping);
  *counts = Counts();
  const bool described = !mapping->ReadsCheckpoints();  // its control file says nothing about blocks
  Status walked = PinAndMark(mapping, &slot, &marked, [&](Ref ref) -> Status {
    if (!described) return CheckPlace(mapping, ref);
    if (!slabs.IsBlock(ref)) return Status(Code::kCORRUPT, "a ref does not name the start of a block of its class");
    const uint64_t state = mapping->block_state(ref)->load(std::memory_order_acquire);
    if (BlockUseOf(state) == BlockUse::kLive) return Status::Ok();
    const uint64_t now = mapping->header()->version.load(std::memory_order_acquire);
    if (BlockUseOf(state) == BlockUse::kRetired && RetireVersion(state, now) > marked.base.version) return Status::Ok();
    return Status(Code::kCORRUPT, "a reachable block is free or retired");
  });
  if (walked.ok()) walked = CheckCompanions(mapping, marked.base.table);
  if (walked.ok()) {
    if (described) Census(mapping, counts);
    EachBlock(mapping, [&](Ref ref, Atomic64* word, uint64_t) {
      const uint64_t state = word->load(std::memory_order_acquire);
      if (BlockUseOf(state) == BlockUse::kLive && LiveBirth(state) <= marked.sweep_limit && !marked.bits.Has(RefGranule(ref)))
        counts->orphans++;
    });
    counts->containers = marked.counts.containers;
    counts->nodes = marked.counts.nodes;
    counts->values = marked.counts.values;
    counts->blobs = marked.counts.blobs;
  } else if (walked.code() == Code::kCORRUPT) {
    *problem = std::string(walked.text()) + " (version " + std::to_string(marked.base.version) + ", after " +
               std::to_string(marked.counts.containers) + " containers)";
  }
  slot.Release();
  return walked;
}

Status CollectGarbage(Mapping* mapping, bool complete, const Allocator::MakeRoom& make_room, Counts* before, Counts* after) {
  ThreadSlot slot(mapping);
  PONGO_TRY(slot.Claim());
  Allocator allocator(mapping, &slot);
  *before = Counts();
  *after = Counts();
  PONGO_TRY(DescribeRecovered(mapping, true, nullptr));
  Census(mapping, before);
  PONGO_TRY(CountContainers(mapping, &slot, &before->containers));
  ReapDeadSlots(&slot);
  Status status;
  bool skipped = false;
  if (complete) {
    uint64_t removed;
    PONGO_TRY(CollectContainers(mapping, true, nullptr, &removed, &skipped, make_room));
    AdoptStrayBlocks(mapping, &slot);
    SlabMap(mapping).RestoreHints();
    Marked marked(mapping);
    status = PinAndMark(mapping, &slot, &marked, [](Ref) { return Status::Ok(); });
    if (status.ok()) {
      EachBlock(mapping, [&](Ref ref, Atomic64* word, uint64_t) {
        uint64_t state = word->load(std::memory_order_acquire);
        if (BlockUseOf(state) != BlockUse::kLive || LiveBirth(state) > marked.sweep_limit) return;
        if (marked.bits.Has(RefGranule(ref)) || !marked.bits.Covers(RefGranule(ref))) return;
        // Retired, never freed at once: an older pin may still see it. The CAS decides against a late committer.
        if (word->compare_exchange_strong(state, RetiredState(LiveBirth(state), marked.base.version), std::memory_order_acq_rel)) {
          before->orphans++;
          SlabMap(mapping).NoteRetired(ref);
        }
      });
    }
    if (marked.cell != kPinCells) slot.Unpin(marked.cell);
  }
  allocator.Drain(~uint64_t{0});
  if (status.ok()) status = CountContainers(mapping, &slot, &after->containers);
  slot.Release();
  Census(mapping, after);
  after->skipped = skipped;
  return status;
}

void DatabaseStats(Mapping* mapping, std::vector<std::pair<std::string, double>>* stats) {
  ControlHeader* header = mapping->header();
  Horizon horizon;
  horizon.Scan(*mapping);
  uint64_t threads = 0;
  for (uint32_t slot = 0; slot < header->slot_count.load(std::memory_order_acquire); slot++)
    threads += mapping->slot_line(slot)->used.load(std::memory_order_relaxed);
  const auto add = [&](const char* name, uint64_t value) { stats->emplace_back(name, static_cast<double>(value)); };
  add("version", horizon.now());
  add("durableVersion", header->durable_pin.load(std::memory_order_acquire));
  add("fileBytes", header->length.load(std::memory_order_acquire));
  add("pins", horizon.pins().size());
  add("oldestPin", horizon.pins().empty() ? 0 : horizon.pins().front());
  add("threads", threads);
  if (mapping->ReadsCheckpoints()) return;
  add("heldCheckpoints", horizon.held().size());
  Counts counts;
  Census(mapping, &counts);
  add("liveBlocks", counts.live);
  add("liveBytes", counts.live_bytes);
  add("retiredBlocks", counts.retired);
  add("retiredBytes", counts.retired_bytes);
  add("freeBytes", counts.free_bytes);
}

}  // namespace pongo
