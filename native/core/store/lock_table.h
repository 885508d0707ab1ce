// Locks between processes: mutexes, reader-writer locks, semaphores, events, and the named locks of the Web Locks API.
//
// A request names a lock and waits in its queue until it is granted, strictly in the order of arrival: a request that could be
// granted waits nevertheless while an older one of the same name cannot. Granting hands the lock over; nobody can come in
// between. Waiting is sleeping on a futex word in the slot area of the thread that waits (`waker`), which a grant raises.
//
// The table is guarded by a word in shared memory that holds the slot of whoever is inside (`LockTableHeader::mutex`), for less
// than a microsecond as a rule. Commits, reads and everything else in the engine never touch it, but for the adoption of a dead
// slot, which tries for a moment and leaves the slot for later otherwise.
//
// Thread safety: a LockTable belongs to the thread of its slot. State() alone may be called by any thread, with a ticket that
// is in use.
//
// Other processes. The death of an owner is seen by the lock on its slot's byte (store/thread_slot.h), never by a process id;
// adopting the slot ends all of its requests. Nobody is told of a death: those who wait look whether the owners before them
// live (ReapOwnersBefore), every kLockWatchNs, and only while they wait. A *stopped* process keeps what it holds and its place
// in the queues; stopped inside the table, which takes bad luck, it holds up all users of locks until it goes on or dies: they
// get TIMEOUT after kLockTableLimitNs. fork: see Session.
//
// Death inside the table, between any two stores. The words marked "fact" in format/locks.h are true at each moment:
//   1. A request exists from the store of its state, which is the last one when it is made, until the store of kFree.
//   2. Its record is in use before that, and after that.
//   3. A change of state is one store: granted, lost, gone.
// Everything else (buckets, queues, counts) is derived from them. The word of the mutex still names the dead slot; whoever
// finds the byte of that slot free takes the mutex over by CAS, and builds all that is derived anew (Repair), which grants what
// had not been granted yet and wakes everybody. A death during the repair is the same case once more.
// What a death leaves undone outside the table is at most a wake-up: a waiter looks by itself every kLockWatchNs.
//
// Invariants, outside of the mutex:
//   4. The queue of a record holds first its requests in state kHeld, then those in state kPending by ascending ticket.
//   5. The first pending request cannot be granted.
//   6. A record in use has a request, or is a set event.
//   7. lock_requests of a slot area is at least the number of requests whose owner is that slot.
#ifndef PONGO_STORE_LOCK_TABLE_H_
#define PONGO_STORE_LOCK_TABLE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/locks.h"
#include "port/port.h"
#include "store/mapping.h"
#include "util/status.h"

namespace pongo {

class ThreadSlot;

// How often those who wait look after the owners before them.
inline constexpr uint64_t kLockWatchNs = 25'000'000;
inline constexpr uint64_t kLockTableLimitNs = 5'000'000'000u;

struct LockWish {
  LockKind kind = LockKind::kMutex;
  LockMode mode = LockMode::kExclusive;
  std::string_view name;      // any bytes, at most kLockNameMax
  uint32_t permits = 0;       // of a semaphore
  bool if_available = false;  // do not queue up
  bool steal = false;         // take it from those who hold it
  uint64_t client = 0;        // for Query
};

// Names a request for as long as it exists; afterwards it names nothing.
struct LockTicket {
  uint32_t request = 0;
  uint64_t number = 0;
};

struct LockReport {
  std::string name;
  LockMode mode;
  uint64_t client;
  bool held;
};

class LockTable {
 public:
  explicit LockTable(const ThreadSlot& slot);
  // For the adoption of a slot whose byte the caller has locked: acts in its name.
  LockTable(Mapping* mapping, uint32_t dead_slot) : mapping_(mapping), slot_(dead_slot) {}
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  // Empties the table; the caller is the only process that has the file open.
  static Status Reset(Mapping* mapping);

  // Queues up for a lock. *state: kHeld, kPending, or kFree when it was not available and if_available was asked for.
  // ARG: the name is too long, or the semaphore has another number of permits now. FULL: no room in the table.
  // O(1) beside the hash of the name.
  Status Request(const LockWish& wish, uint32_t waker, LockTicket* ticket, RequestState* state);
  // Fixes the number of permits of a semaphore for as long as the ticket exists. ARG, FULL as above.
  Status Attach(const LockWish& wish, LockTicket* ticket);
  // Ends a request, whatever its state, and grants what it stood in the way of. *was: the state; kFree when it is gone already.
  Status Release(const LockTicket& ticket, RequestState* was);
  // Ends it if it is still pending; *was as above.
  Status Cancel(const LockTicket& ticket, RequestState* was);
  RequestState State(const LockTicket& ticket) const {
    // acquire: what the former holder wrote is seen by the next.
    return static_cast<RequestState>(mapping_->lock_request(ticket.request)->state.load(std::memory_order_acquire));
  }

  // An event that is set grants all requests, those that are queued and those to come.
  Status SetEvent(std::string_view name, bool set);
  Status EventIsSet(std::string_view name, bool* set);

  // The requests for named locks, in the order of each name's queue: one moment of the whole table.
  Status Query(std::vector<LockReport>* reports);

  // Ends the requests of all dead threads that are queued before one of these, or with it. Returns whether it found any.
  bool ReapOwnersBefore(const std::vector<LockTicket>& tickets);

  // Ends all requests of the slot. False when the table could not be had within the time. O(requests there have ever been at
  // once) if the slot has any, else O(1).
  bool ReleaseAll(uint64_t limit_ns);

 private:
  static constexpr uint64_t kLookAfterNs = 5'000'000;  // the time after which a waiter doubts that the owner lives
  static constexpr uint32_t kSpins = 100;

  class Inside;  // in the table while it lives
  bool Enter(uint64_t limit_ns);
  bool EnterSlowly(uint64_t limit_ns);
  bool TakeOver(uint32_t seen, uint32_t mine);
  void Leave();
  void Repair();

  LockRecord* record(uint32_t number) const { return mapping_->lock_record(number); }
  LockRequest* request(uint32_t number) const { return mapping_->lock_request(number); }
  bool Names(const LockTicket& ticket) const;
  uint64_t Hash(LockKind kind, std::string_view name) const;
  uint32_t FindRecord(LockKind kind, std::string_view name) const;
  Status MakeRecord(const LockWish& wish, uint32_t* number);
  void LinkRecord(uint32_t number);
  void FreeRecordIfUnused(uint32_t number);
  Status FindFreeRequest(uint32_t* number);
  void Fill(uint32_t number, const LockWish& wish, uint32_t record, uint32_t waker, RequestState state);
  bool Grantable(const LockRecord& record, uint32_t mode) const;
  void Link(uint32_t number, bool first);
  void Unlink(uint32_t number);
  void End(uint32_t number);
  void Grant(uint32_t record_number);
  void Steal(uint32_t record_number);
  void Wake(uint32_t slot);
  void CollectOwners(const std::vector<LockTicket>& tickets, std::vector<uint32_t>* owners);

  Mapping* mapping_;
  uint32_t slot_;
  const port::File* lock_file_ = nullptr;  // null in an adoption, which leaves other dead slots to others
  std::vector<uint32_t> wakers_;  // slots to wake after leaving
};

}  // namespace pongo

#endif  // PONGO_STORE_LOCK_TABLE_H_
