// A thread's place in the process table.
//
// Claim: the thread locks the slot's byte of the control file through an open file of its own, then initialises the slot.
// Release: it clears the slot, then unlocks. A peer clears a slot only after acquiring its byte, which the kernel grants
// once the owner's open file is gone: a process id is never asked.
// Not thread-safe: a ThreadSlot belongs to one thread. A killed owner leaves its slot as it was; ReapDeadSlots adopts it.
//
// Invariants:
//   1. announced != 0 whenever the owner reads blocks of the live version that no pin of it protects.
//   2. A pin cell is set before the announcement that led to its version is cleared.
//   3. used == 1 only while the byte is locked, or after the owner's death until adoption.
#ifndef PONGO_STORE_THREAD_SLOT_H_
#define PONGO_STORE_THREAD_SLOT_H_

#include <cstdint>

#include "format/control.h"
#include "port/port.h"
#include "store/mapping.h"
#include "util/status.h"
#include "util/testing.h"

namespace pongo {

// Byte offsets of the locks, far above any content.
inline constexpr uint64_t kPresenceByte = uint64_t{1} << 62;        // data file
inline constexpr uint64_t kGateByte = kPresenceByte + 1;            // data file
inline constexpr uint64_t kCheckpointByte = kPresenceByte + 2;      // data file
inline constexpr uint64_t kGcByte = kPresenceByte + 4;              // data file
inline constexpr uint64_t kExpiryByte = kPresenceByte + 5;          // data file
inline constexpr uint64_t kCopyByte = kPresenceByte + 6;            // unfinished backup
inline constexpr uint64_t kSlotByte = uint64_t{1} << 62;            // control file, + slot index

class ThreadSlot {
 public:
  explicit ThreadSlot(Mapping* mapping) : mapping_(mapping) {}
  ThreadSlot(const ThreadSlot&) = delete;
  ThreadSlot& operator=(const ThreadSlot&) = delete;

  // FULL when all slots are taken.
  Status Claim();
  // Returns everything the slot holds; the slot is free afterwards.
  void Release();
  bool claimed() const { return line_ != nullptr; }

  // Announces the current version, then loads the root word: blocks reachable from it stay until Clear.
  uint64_t Announce() {
    ControlHeader* header = mapping_->header();
    const uint64_t too_early = PONGO_PLANTED(5) ? header->root.load(std::memory_order_seq_cst) : 0;
    // seq_cst: the store must be visible before the root is loaded, or a reclaimer could miss it.
    line_->announced.store(header->version.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
    return PONGO_PLANTED(5) ? too_early : header->root.load(std::memory_order_seq_cst);
  }
  // As Announce for a version that a pin of this process protects.
  void AnnounceVersion(uint64_t version) { line_->announced.store(version, std::memory_order_seq_cst); }
  // For an operation that reads this version alone, which a pin of the slot protects unless it is revoked.
  void AnnounceExactly(uint64_t version) { line_->announced.store(version | kExactly, std::memory_order_seq_cst); }
  void Clear() { line_->announced.store(0, std::memory_order_release); }
  uint64_t announced() const { return line_->announced.load(std::memory_order_relaxed); }

  // Adds one to the pin of a version that is protected now (announced, or pinned already). The cell, or kPinCells when all
  // are in use.
  uint32_t Pin(uint64_t version, uint64_t root_word, PinKind kind);
  void Unpin(uint32_t cell);
  // Whether a snapshot was taken away. Asked after its version was announced: see store/revocation.h.
  bool Revoked(uint32_t cell) const { return area_->pins[cell].revoked.load(std::memory_order_seq_cst) != 0; }

  uint32_t index() const { return index_; }
  SlotLine* line() const { return line_; }
  SlotArea* area() const { return area_; }
  Mapping* mapping() const { return mapping_; }
  const port::File& lock_file() const { return lock_file_; }

 private:
  Mapping* mapping_;
  port::File lock_file_;
  uint32_t index_ = 0;
  SlotLine* line_ = nullptr;
  SlotArea* area_ = nullptr;
};

// Adopts what threads that died have left: their caches become free, their retired blocks reclaimable, their announcements
// and pins vanish. Returns the number of slots adopted. `self` supplies the open file for the locks.
uint32_t ReapDeadSlots(ThreadSlot* self);
// The same for one slot, by another open file than its owner's. Whether it was adopted.
bool ReapIfDead(Mapping* mapping, const port::File& lock_file, uint32_t slot);
// The same for one slot whose byte the caller has locked. False: its locks cannot be given back at present, because a process
// has been stopped, or has died, in the lock table; the slot is as it was.
bool AdoptSlot(Mapping* mapping, uint32_t slot);

}  // namespace pongo

#endif  // PONGO_STORE_THREAD_SLOT_H_
