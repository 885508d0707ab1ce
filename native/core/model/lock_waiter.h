// The thread that waits for locks on behalf of a whole process: one for each file, begun when something first has to wait.
//
// It sleeps on the futex word of a slot of its own. Only while something is pending it also wakes every kLockWatchNs, to look
// whether those who are in the way still live, and when a time limit is reached.
//
// Any thread may call. Killed or forked: see store/lock_table.h; a child has no waiter, its parent's is not touched.
#ifndef PONGO_MODEL_LOCK_WAITER_H_
#define PONGO_MODEL_LOCK_WAITER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "store/lock_table.h"
#include "store/thread_slot.h"
#include "util/status.h"

namespace pongo {

enum class LockOutcome : uint32_t { kGranted = 1, kTimeout = 2, kLost = 3 };

// Told by the waiter's thread, while the waiter is locked: must be quick, and call nothing of the engine.
class LockListener {
 public:
  virtual void OnLock(uint64_t id, LockOutcome outcome) = 0;

 protected:
  ~LockListener() = default;
};

class LockWaiter {
 public:
  explicit LockWaiter(Mapping* mapping) : slot_(mapping) {}
  ~LockWaiter();
  LockWaiter(const LockWaiter&) = delete;
  LockWaiter& operator=(const LockWaiter&) = delete;

  struct Watched {
    LockTicket ticket;
    LockListener* listener;
    uint64_t deadline;  // port::Nanoseconds, or kForever
    bool until_lost;    // go on after the grant, and tell when the lock is stolen
    bool granted;
  };

  // Begins the thread if need be. *slot: the one to be woken when a request is granted. FULL: no slot is left.
  Status Start(uint32_t* slot);
  // Tells the listener what becomes of a request: granted or out of time (once), and stolen. Ids order the calls.
  void Watch(uint64_t id, const Watched& watched);
  // When it returns the listener is not being told of the id, and will not be.
  void Forget(uint64_t id);

 private:
  void Run();
  void Interrupt();
  bool Look(uint64_t id, Watched* watched, LockTable* table);

  std::mutex mutex_;  // guards all that follows; but slot_ belongs to the thread once it runs
  ThreadSlot slot_;
  std::thread thread_;
  bool stop_ = false;
  std::map<uint64_t, Watched> watched_;
};

}  // namespace pongo

#endif  // PONGO_MODEL_LOCK_WAITER_H_
