// Blocks of the data file: allocation, retirement, reclamation, for one thread.
//
// Conservation law: every block is in exactly one state, FREE, CACHED(slot), LIVE(birth) or RETIRED(birth, retire), held in
// one word of the control file and changed by CAS or by its only owner. Reachable from the live root, a pin or the durable
// root means LIVE, or RETIRED and protected.
// Not thread-safe: one per ThreadSlot. A killed owner loses nothing for good: its magazine, its retired list and the slabs
// it had claimed are adopted; blocks it had made LIVE without committing are found by the sweep.
#ifndef PONGO_STORE_ALLOCATOR_H_
#define PONGO_STORE_ALLOCATOR_H_

#include <cerrno>
#include <cstdint>
#include <functional>
#include <utility>

#include "store/horizon.h"
#include "store/mapping.h"
#include "store/slab_map.h"
#include "store/thread_slot.h"
#include "util/status.h"

namespace pongo {

// Not a failure: the caller can wait (Allocator::AwaitSpace) and begin again.
inline constexpr Status kSpaceSoon(Code::kFULL, "space is about to become free", EAGAIN);
inline bool IsSpaceSoon(const Status& status) { return status.code() == Code::kFULL && status.os_error() == EAGAIN; }

// Blocks of one class side by side.
struct BlockRun {
  Ref first = kNullRef;
  Ref last = kNullRef;
};

class Allocator {
 public:
  // Asked when the file cannot grow, with 0, 1, 2...: does what may free space, the next resort each time. False: nothing is
  // left to do.
  using MakeRoom = std::function<bool(uint32_t resort)>;

  Allocator(Mapping* mapping, ThreadSlot* slot, MakeRoom make_room = {})
      : mapping_(mapping), slot_(slot), slabs_(mapping), make_room_(std::move(make_room)) {}
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // A block of at least `size` bytes in state LIVE(birth). O(1) from the magazine. FULL, NOSPACE.
  Status Allocate(uint64_t size, uint64_t birth, Ref* ref);
  // The same, at one end of the run, which grows by it: what lies side by side reaches the disk in one request. False when the magazine
  // has no such block, or its class does not fit. O(magazine).
  bool AllocateBeside(BlockRun* run, uint64_t size, uint64_t birth, Ref* ref);
  // The same as Allocate, beside as many free blocks of the magazine as a run may need. O(magazine^2), mostly far less.
  Status AllocateAtRun(uint64_t size, uint64_t birth, Ref* ref);
  // A block that stays CACHED by this slot: memory of the thread itself. Given back by the caller or by adoption. Nobody has to
  // make room for it.
  Status AllocatePrivate(uint64_t size, Ref* ref);
  // Takes back a block that no version ever contained.
  void Discard(Ref ref);
  // Marks a block that version `retire` no longer contains. Does nothing when somebody else has retired it.
  void Retire(Ref ref, uint64_t retire);
  // Gives a span of the thread's retired blocks back for reuse; call outside an announcement. O(retired + slots).
  void Reclaim();
  // Looks through shared retired blocks of up to `slab_limit` slabs. Returns the blocks freed.
  uint64_t Drain(uint64_t slab_limit);
  // Moves private retired blocks and cached blocks to the shared maps. O(cached).
  void Flush();
  // From now on blocks come only from before this slab, the lowest first, and the file does not grow: FULL when there are none. For whoever
  // empties the end of the file; the magazines must be empty (Flush).
  void StayBefore(uint64_t slab) { end_ = slab; }
  // A patient allocator answers with kSpaceSoon instead of growing the file for garbage that is free in a moment.
  void set_patient(bool patient) { patient_ = patient; }
  // To be called outside an announcement after kSpaceSoon: waits until a checkpoint under way has ended and operations that
  // are slow have, but not for long, and not again for the same.
  void AwaitSpace();
  // The room that the file should have beside what is live: for the second copy of what is overwritten all the time.
  static uint64_t RoomAhead(uint64_t live, uint64_t chunk_size);
  bool WantsReclaim() const { return slot_->area()->retired_count >= kRetiredMax - 16; }

  SlabMap& slabs() { return slabs_; }

 private:
  Status Refill(uint32_t size_class, bool by_all_means);
  uint64_t TakeSlab(uint32_t size_class);
  uint64_t ClaimSlabs(uint64_t count);
  bool FindRoom(const Status& grown, uint64_t slab_count, uint32_t* resort);
  bool TakeFromSlab(uint64_t slab, uint32_t size_class);
  Status AllocateSpan(uint64_t size, uint64_t birth, Ref* ref);
  void Tidy(uint64_t slab_count);
  bool WorthWaiting() const;
  uint64_t GarbageWorthNoticing() const;
  uint64_t GrowthStep() const;
  void GrowAhead(uint64_t slab);
  Result<uint64_t> ClaimOrGrow(uint64_t slab_count);
  void Reuse(Ref ref);
  void SpillRetired(uint32_t keep);
  static uint32_t BatchFor(uint32_t size_class);

  Mapping* mapping_;
  ThreadSlot* slot_;
  SlabMap slabs_;
  MakeRoom make_room_;
  Horizon horizon_;
  uint64_t last_slab_[kClassCount] = {};
  uint64_t drain_cursor_ = 0;
  uint64_t drained_epoch_ = ~uint64_t{0};
  uint32_t rounds_ = 0;
  uint64_t held_bytes_[3] = {};   // that the last Drain found retired and protected, by Horizon::Hold
  uint64_t end_ = kNoSlab;        // see StayBefore
  uint64_t next_count_ = 0;       // the first slab for which GrowAhead looks again
  // The announcement and the checkpoint that AwaitSpace has waited for in vain.
  uint64_t slow_operation_ = 0;
  uint64_t slow_checkpoint_ = 0;
  bool patient_ = false;
};

}  // namespace pongo

#endif  // PONGO_STORE_ALLOCATOR_H_
