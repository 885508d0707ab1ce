// Which slab serves which size class, and where free or retired blocks may be found.
//
// Lock-free and free of ABA by construction: there are no linked lists, only per-slab states changed by CAS and bits that
// say "look here". A bit is a hint: set after the fact it announces, and taken (cleared) before its slab is searched. A
// process that dies in between loses at most the hint, which adoption or a complete gc restores.
//
//   free_blocks[class]  the slab of that class may have FREE blocks
//   retired             the slab may have RETIRED blocks that no thread keeps in its private list
//   free_slabs          the region may have UNASSIGNED slabs
//
// Thread safety: all functions from any thread of any process.
#ifndef PONGO_STORE_SLAB_MAP_H_
#define PONGO_STORE_SLAB_MAP_H_

#include <cstdint>

#include "format/control.h"
#include "store/mapping.h"

namespace pongo {

inline constexpr uint64_t kNoSlab = ~uint64_t{0};

class SlabMap {
 public:
  explicit SlabMap(Mapping* mapping) : mapping_(mapping) {}

  // True when the ref lies in a slab that is assigned to its class, at a block boundary.
  bool IsBlock(Ref ref) const;

  // True when recovery has not described the slab yet and its header says that a block of the class begins here.
  bool IsUndescribed(Ref ref) const;

  void NoteFreeBlock(Ref ref) { NoteFreeBlocks(RefGranule(ref) / kGranulesPerSlab); }
  void NoteFreeBlocks(uint64_t slab);
  void NoteRetired(Ref ref) { NoteRetiredSlab(RefGranule(ref) / kGranulesPerSlab); }
  void NoteRetiredSlab(uint64_t slab);

  // Takes the hint of some slab of the class that may have free blocks, near `start`; kNoSlab when there is none. The caller
  // searches the slab and sets the bit again when blocks remain. *holding is slab + 1 from before the hint is taken: a field of the
  // caller's slot, so that its adopter sets the hint again (SlotArea::holding); 0 when there is none.
  uint64_t TakeSlabWithFreeBlocks(uint32_t size_class, uint64_t start, uint64_t* holding);
  // Takes the hint of a slab that may have retired blocks, at or after `start` (wrapping).
  uint64_t TakeSlabWithRetired(uint64_t start, uint64_t* holding);
  bool AnyRetired() const;

  // Turns `count` adjacent unassigned slabs into CLAIMED(slot); the first of them, or kNoSlab.
  uint64_t ClaimSlabs(uint64_t count, uint32_t slot);
  // Assigns a claimed slab to a class. All its blocks are FREE.
  void AssignSmall(uint64_t slab, uint32_t size_class);
  void AssignSpan(uint64_t slab, uint64_t count);
  // Gives claimed slabs back.
  void Unassign(uint64_t slab, uint64_t count);
  // Frees the slabs of a span whose block is CACHED by the caller.
  void FreeSpan(uint64_t slab);
  // Gives back all slabs that a dead slot had claimed.
  void ReleaseClaims(uint32_t slot);
  // Sets the hints of whole regions in which a slab has one: a dead process may have cleared them to look again.
  void RestoreSummaries();
  // Sets every hint that could be true: those that a dead process took with it are found again. O(slabs).
  void RestoreHints();
  // Turns small slabs all of whose blocks are free into unassigned ones; at most `limit`. Returns how many.
  uint64_t HarvestEmptySlabs(uint32_t slot, uint64_t limit);

  // Bytes of all blocks that are LIVE at the moment. O(file).
  uint64_t LiveBytes() const;

  // Slabs of the file as this process has it mapped; maps first what others have added.
  uint64_t SlabCount() const { return mapping_->MapPublished() / kSlabSize; }

 private:
  static uint64_t TakeBit(Atomic64* words, uint64_t word_count, uint64_t start);
  void NoteFreeSlab(uint64_t slab);
  void WriteHeader(uint64_t slab, uint32_t size_class, uint64_t span_slabs);

  Mapping* mapping_;
};

}  // namespace pongo

#endif  // PONGO_STORE_SLAB_MAP_H_
