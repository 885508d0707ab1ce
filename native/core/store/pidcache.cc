#include "store/pidcache.h"

#include <algorithm>
#include <utility>

#include "util/check.h"

namespace pongo {
namespace {

Atomic64* PageCells(Mapping* mapping, Ref page) {
  uint64_t size = 0;
  return reinterpret_cast<Atomic64*>(mapping->Block(page, &size));
}

}  // namespace

Atomic64* Pidcache::Cell(uint32_t cell) const {
  SlotArea* area = slot_->area();
  if (cell < kCellsPerPage) return &area->own_cells[cell];
  Atomic64* page = PageCells(slot_->mapping(), area->cell_pages[cell / kCellsPerPage - 1]);
  PONGO_CHECK(page != nullptr);
  return page + cell % kCellsPerPage;
}

bool Pidcache::AddPage() {
  SlotArea* area = slot_->area();
  if (area->cells_used.load(std::memory_order_relaxed) == 0) {
    // Before the first of them: whoever adopts the slot must not miss one.
    area->cells_used.store(1, std::memory_order_seq_cst);
    for (uint32_t i = kCellsPerPage; i-- > 0;) free_.push_back(i);
    return true;
  }
  if (allocator_ == nullptr) return false;
  const uint32_t pages = area->cell_page_count.load(std::memory_order_relaxed);
  Ref page;
  if (pages == kCellPages || !allocator_->AllocatePrivate(kCellsPerPage * sizeof(uint64_t), &page).ok()) return false;
  // Atomically: a collector may still read the page as that of a thread that has ended.
  Atomic64* cells = PageCells(slot_->mapping(), page);
  for (uint32_t i = 0; i < kCellsPerPage; i++) cells[i].store(0, std::memory_order_relaxed);
  area->cell_pages[pages] = page;
  // Published empty. A crash before this line leaves a cached block that a complete gc finds.
  area->cell_page_count.store(pages + 1, std::memory_order_release);
  for (uint32_t i = kCellsPerPage; i-- > 0;) free_.push_back((pages + 1) * kCellsPerPage + i);
  return true;
}

void Pidcache::Free(uint32_t cell) {
  if (cell == kOverflowCell) {
    if (--overflow_ == 0) slot_->line()->cells_full.store(0, std::memory_order_seq_cst);
    return;
  }
  Cell(cell)->store(0, std::memory_order_release);
  free_.push_back(cell);
}

// Frees what was dropped during a collection that is over.
void Pidcache::FreeDropped(uint64_t epoch) {
  if (dropped_epoch_ == epoch) return;
  overflow_dropped_ = false;
  for (const uint32_t cell : dropped_) Free(cell);
  dropped_.clear();
}

uint32_t Pidcache::Pin(uint64_t id) {
  if (!dropped_.empty()) FreeDropped(slot_->mapping()->header()->gc_epoch.load(std::memory_order_acquire));
  if (free_.empty() && !AddPage()) {
    overflow_++;
    slot_->line()->cells_full.store(1, std::memory_order_seq_cst);
    return kOverflowCell;
  }
  const uint32_t cell = free_.back();
  free_.pop_back();
  // seq_cst: visible before the announcement that led here is cleared.
  Cell(cell)->store(id, std::memory_order_seq_cst);
  return cell;
}

void Pidcache::Unpin(uint32_t cell) {
  if (cell == kNoCell) return;
  const uint64_t epoch = slot_->mapping()->header()->gc_epoch.load(std::memory_order_seq_cst);
  if (!dropped_.empty()) FreeDropped(epoch);
  if (epoch % 2 == 0) {
    Free(cell);
    return;
  }
  dropped_epoch_ = epoch;
  if (cell == kOverflowCell) {
    if (std::exchange(overflow_dropped_, true)) {
      overflow_--;
      return;
    }
  } else {
    Atomic64* word = Cell(cell);
    word->store(DroppedCell(CellId(word->load(std::memory_order_relaxed)), epoch), std::memory_order_seq_cst);
  }
  dropped_.push_back(cell);
}

bool EachCell(Mapping* mapping, uint32_t slot, FunctionRef<void(uint64_t cell)> visit) {
  const SlotArea* area = mapping->slot_area(slot);
  const auto each = [&](const Atomic64* cells) {
    for (uint32_t i = 0; i < kCellsPerPage; i++) visit(cells[i].load(std::memory_order_seq_cst));
  };
  if (area->cells_used.load(std::memory_order_seq_cst) != 0) each(area->own_cells);
  const uint32_t pages = std::min(area->cell_page_count.load(std::memory_order_acquire), kCellPages);
  for (uint32_t page = 0; page < pages; page++) {
    const Atomic64* cells = PageCells(mapping, area->cell_pages[page]);
    if (cells == nullptr) return false;
    each(cells);
  }
  return true;
}

bool ReadCells(Mapping* mapping, uint64_t epoch, std::vector<uint64_t>* ids) {
  const uint32_t slots = mapping->header()->slot_count.load(std::memory_order_seq_cst);
  for (uint32_t slot = 0; slot < slots; slot++) {
    if (mapping->slot_line(slot)->used.load(std::memory_order_acquire) == 0) continue;
    if (mapping->slot_line(slot)->cells_full.load(std::memory_order_seq_cst) != 0) return false;
    const auto add = [&](uint64_t cell) {
      if (CellCounts(cell, epoch)) ids->push_back(CellId(cell));
    };
    if (!EachCell(mapping, slot, add)) return false;
  }
  return true;
}

}  // namespace pongo
