#include "store/thread_slot.h"

#include <cstring>

#include "store/commit_signal.h"
#include "store/lock_table.h"
#include "store/slab_map.h"
#include "store/turn.h"

namespace pongo {
namespace {

constexpr uint64_t kReleaseLocksNs = 1'000'000'000;  // of our own: somebody may be stopped inside the lock table
constexpr uint64_t kAdoptLocksNs = 10'000'000;       // of the dead: a committer may be the adopter

// Of a dead thread. It may have owed an expiry hint: the cleaner has to look again. Said before the slot is free, so that it is
// not forgotten if the adopter dies too; a look in between sees what was committed.
bool AdoptDeadSlot(Mapping* mapping, uint32_t slot) {
  mapping->header()->expiry_next.store(0, std::memory_order_seq_cst);
  return AdoptSlot(mapping, slot);
}

}  // namespace

Status ThreadSlot::Claim() {
  PONGO_TRY(port::Reopen(mapping_->control_file(), true, &lock_file_));
  ControlHeader* header = mapping_->header();
  for (uint32_t slot = 0; slot < kSlotMax; slot++) {
    const Status locked = port::TryLockByte(lock_file_, kSlotByte + slot, port::LockKind::kExclusive);
    if (locked.code() == Code::kLOCKED) continue;
    PONGO_TRY(locked);
    PONGO_TRY(mapping_->AllocateControl(kSlotAreasOffset + slot * kSlotAreaSize, kSlotAreaSize));
    SlotLine* line = mapping_->slot_line(slot);
    if (line->used.load(std::memory_order_acquire) != 0 && !AdoptDeadSlot(mapping_, slot)) {
      PONGO_TRY(port::UnlockByte(lock_file_, kSlotByte + slot));
      continue;
    }
    line->process.store(static_cast<uint64_t>(port::ProcessId()), std::memory_order_relaxed);
    // The count rises before the slot can announce anything, so no scan misses it. seq_cst as the scan's load is.
    uint32_t count = header->slot_count.load(std::memory_order_seq_cst);
    while (count <= slot && !header->slot_count.compare_exchange_weak(count, slot + 1, std::memory_order_seq_cst)) {
    }
    line->used.store(1, std::memory_order_release);  // a crash from here on leaves a slot for adoption
    index_ = slot;
    line_ = line;
    area_ = mapping_->slot_area(slot);
    return Status::Ok();
  }
  return Status(Code::kFULL, "4096 threads use the database already");
}

void ThreadSlot::Release() {
  if (line_ == nullptr) return;
  // If the lock table cannot be had, whoever comes first adopts the slot.
  if (LockTable(*this).ReleaseAll(kReleaseLocksNs)) static_cast<void>(AdoptSlot(mapping_, index_));
  const Status unlocked = port::UnlockByte(lock_file_, kSlotByte + index_);
  static_cast<void>(unlocked);  // closing the file releases it in any case
  lock_file_.Close();
  line_ = nullptr;
  area_ = nullptr;
}

uint32_t ThreadSlot::Pin(uint64_t version, uint64_t root_word, PinKind kind) {
  const uint32_t used = line_->pin_count.load(std::memory_order_relaxed);
  uint32_t free_cell = kPinCells;
  for (uint32_t i = 0; i < used; i++) {
    PinCell& cell = area_->pins[i];
    const uint64_t pinned = cell.version.load(std::memory_order_relaxed);
    if (pinned == version && cell.kind.load(std::memory_order_relaxed) == static_cast<uint32_t>(kind) &&
        cell.revoked.load(std::memory_order_relaxed) == 0) {
      cell.count.fetch_add(1, std::memory_order_relaxed);
      return i;
    }
    if (pinned == 0 && free_cell == kPinCells) free_cell = i;
  }
  if (free_cell == kPinCells) {
    if (used == kPinCells) return kPinCells;
    free_cell = used;
  }
  PinCell& cell = area_->pins[free_cell];
  cell.count.store(1, std::memory_order_relaxed);
  cell.kind.store(static_cast<uint32_t>(kind), std::memory_order_relaxed);
  cell.root.store(root_word, std::memory_order_relaxed);
  cell.revoked.store(0, std::memory_order_relaxed);
  area_->pin_since[free_cell].store(static_cast<uint32_t>(port::Nanoseconds() / 1'000'000'000), std::memory_order_relaxed);
  if (free_cell == used) line_->pin_count.store(used + 1, std::memory_order_seq_cst);
  // seq_cst and before the announcement is cleared: a reclaimer scans slots first, pins second.
  cell.version.store(version, std::memory_order_seq_cst);
  return free_cell;
}

void ThreadSlot::Unpin(uint32_t index) {
  PinCell& cell = area_->pins[index];
  if (cell.count.fetch_sub(1, std::memory_order_relaxed) != 1) return;
  cell.version.store(0, std::memory_order_release);
  mapping_->header()->pin_epoch.fetch_add(1, std::memory_order_release);
}

bool AdoptSlot(Mapping* mapping, uint32_t slot) {
  if (!LockTable(mapping, slot).ReleaseAll(kAdoptLocksNs)) return false;
  SlotLine* line = mapping->slot_line(slot);
  SlotArea* area = mapping->slot_area(slot);
  SlabMap slabs(mapping);
  mapping->MapPublished();  // the dead may have used regions that this process has never touched
  // Restartable: each step either leaves the entry to be found again or has made it reachable for everybody.
  for (uint32_t c = 0; c < kClassCount; c++) {
    Magazine& magazine = area->magazines[c];
    for (; magazine.count > 0 && magazine.count <= kMagazineSize; magazine.count--) {
      const Ref ref = magazine.items[magazine.count - 1];
      uint64_t expected = CachedState(slot);
      if (slabs.IsBlock(ref) &&
          mapping->block_state(ref)->compare_exchange_strong(expected, 0, std::memory_order_acq_rel))
        slabs.NoteFreeBlock(ref);
    }
    magazine.count = 0;
  }
  if (area->holding != 0 && area->holding <= slabs.SlabCount()) {
    slabs.NoteFreeBlocks(area->holding - 1);
    slabs.NoteRetiredSlab(area->holding - 1);
    area->holding = 0;
  }
  slabs.RestoreSummaries();
  for (; area->retired_count > 0 && area->retired_count <= kRetiredMax; area->retired_count--) {
    const Ref ref = area->retired[area->retired_count - 1].ref;
    if (slabs.IsBlock(ref)) slabs.NoteRetired(ref);
  }
  area->retired_count = 0;
  // Before the cells vanish: a collection that began while they were there must not miss what they named. Their owner may
  // have put a container back into the tree after the version that the collector looks at.
  const bool own_cells = area->cells_used.load(std::memory_order_relaxed) != 0;
  if (own_cells || area->cell_page_count.load(std::memory_order_relaxed) != 0 || line->cells_full.load(std::memory_order_relaxed) != 0)
    mapping->header()->cells_lost.fetch_add(1, std::memory_order_seq_cst);
  for (uint32_t i = 0; own_cells && i < kCellsPerPage; i++) area->own_cells[i].store(0, std::memory_order_release);
  area->cells_used.store(0, std::memory_order_release);
  for (uint32_t page = area->cell_page_count.load(std::memory_order_relaxed); page > 0 && page <= kCellPages; page--) {
    const Ref ref = area->cell_pages[page - 1];
    area->cell_page_count.store(page - 1, std::memory_order_release);  // the collector reads it no longer
    uint64_t expected = CachedState(slot);
    if (slabs.IsBlock(ref) && mapping->block_state(ref)->compare_exchange_strong(expected, 0, std::memory_order_acq_rel))
      slabs.NoteFreeBlock(ref);
  }
  line->cells_full.store(0, std::memory_order_release);
  slabs.ReleaseClaims(slot);
  LeaveCommitWait(mapping, line);
  EndTicket(mapping->header(), line->ticket.load(std::memory_order_relaxed));
  line->ticket.store(0, std::memory_order_release);  // after its end: an adopter that dies in between leaves it to the next
  for (PinCell& cell : area->pins) {
    cell.version.store(0, std::memory_order_release);
    cell.count.store(0, std::memory_order_relaxed);
  }
  line->pin_count.store(0, std::memory_order_release);
  line->announced.store(0, std::memory_order_release);
  line->used.store(0, std::memory_order_release);  // last: until here another adopter would start again
  SignalCommit(mapping->header());  // it may have died between its commit and the wake
  mapping->header()->pin_epoch.fetch_add(1, std::memory_order_release);
  return true;
}

bool ReapIfDead(Mapping* mapping, const port::File& lock_file, uint32_t slot) {
  if (mapping->slot_line(slot)->used.load(std::memory_order_acquire) == 0) return false;
  if (!port::TryLockByte(lock_file, kSlotByte + slot, port::LockKind::kExclusive).ok()) return false;
  if (PONGO_PLANTED(6)) static_cast<void>(port::UnlockByte(lock_file, kSlotByte + slot).ok());
  // The byte is ours: the owner is dead, or has just released the slot and another may be waiting to claim it.
  const bool adopted = mapping->slot_line(slot)->used.load(std::memory_order_acquire) != 0 && AdoptDeadSlot(mapping, slot);
  const Status unlocked = port::UnlockByte(lock_file, kSlotByte + slot);
  static_cast<void>(unlocked);
  return adopted;
}

uint32_t ReapDeadSlots(ThreadSlot* self) {
  Mapping* mapping = self->mapping();
  const uint32_t count = mapping->header()->slot_count.load(std::memory_order_acquire);
  uint32_t reaped = 0;
  for (uint32_t slot = 0; slot < count; slot++)
    if (slot != self->index() && ReapIfDead(mapping, self->lock_file(), slot)) reaped++;
  return reaped;
}

}  // namespace pongo
