// What the live proxies of a thread show: one cell for each, in memory that the collector of every process reads.
//
// A container that others remove from all its places lives on while a cell names it. Rules (docs/design.md, "Collection"):
//   1. A cell is set before the announcement or pin under which the container was found is cleared.
//   2. Dropping reads gc_epoch: even, the cell is freed; odd, it is marked dropped(epoch), still counts for that collection
//      and is not reused before the collection ends.
// Not thread-safe: belongs to the thread of its slot. A killed owner's cells vanish when its slot is adopted.
#ifndef PONGO_STORE_PIDCACHE_H_
#define PONGO_STORE_PIDCACHE_H_

#include <cstdint>
#include <vector>

#include "store/allocator.h"
#include "store/thread_slot.h"
#include "util/function_ref.h"

namespace pongo {

class Pidcache {
 public:
  // Without an allocator (the handle may not write the data file) there is one page of cells.
  Pidcache(ThreadSlot* slot, Allocator* allocator) : slot_(slot), allocator_(allocator) {}

  // A cell that names the container. O(1). When the thread has no room for more, kOverflowCell: as long as one of those is
  // out, nothing in the database is collected.
  uint32_t Pin(uint64_t id);
  void Unpin(uint32_t cell);

 private:
  Atomic64* Cell(uint32_t cell) const;
  bool AddPage();
  void Free(uint32_t cell);
  void FreeDropped(uint64_t epoch);

  ThreadSlot* slot_;
  Allocator* allocator_;
  std::vector<uint32_t> free_;
  // Dropped during the collection of dropped_epoch_. However long it takes, no more than there are cells: one kOverflowCell
  // stands for all.
  std::vector<uint32_t> dropped_;
  uint64_t dropped_epoch_ = 0;
  bool overflow_dropped_ = false;
  uint64_t overflow_ = 0;  // kOverflowCells that are out, or dropped_
};

// All containers named by the cells of all threads, for the collection of this epoch. False when some thread has more
// proxies than cells.
bool ReadCells(Mapping* mapping, uint64_t epoch, std::vector<uint64_t>* ids);

// Visits every word in the cells of a slot: visit(word). False when a page is where none can be.
bool EachCell(Mapping* mapping, uint32_t slot, FunctionRef<void(uint64_t cell)> visit);

}  // namespace pongo

#endif  // PONGO_STORE_PIDCACHE_H_
