// Sleeping until another commit, of any process, and waking the sleepers.
//
// A commit that finds commit_waiters at 0 pays one load. Otherwise it raises the futex word and wakes all who sleep on it.
//
// Why no wake-up is lost (all seq_cst, so there is one order of them). The committer: CAS of the root word, then load of
// commit_waiters, and if it is not 0: raise commit_signal, wake. The waiter: raise commit_waiters, load commit_signal, load
// the root word, and if that is the one it knows: sleep while commit_signal has the value loaded.
//   1. The committer's load sees 0: it precedes the waiter's raise, so the CAS precedes the waiter's load of the root word:
//      the waiter sees the new root and does not sleep.
//   2. It sees the waiter. Raised before the waiter loads commit_signal: the CAS was earlier still, the waiter sees the new
//      root. Raised after: the kernel compares the word, finds another value and does not let it sleep, or the waiter sleeps
//      already and is woken, because the wake follows the raise.
// The comparison could only be fooled by exactly 2^32 commits between the waiter's load and its sleep.
//
// Death: a waiter counts in commit_waiters from before `waiting` of its slot is set until after it is cleared, so whoever
// adopts the slot knows to take it out; killed in between the count stays too high, never too low, and costs each commit a
// system call until the database is opened by one process alone. A committer killed between its CAS and the wake leaves the
// sleepers asleep until the next commit, or until somebody adopts its slot: AdoptSlot wakes them.
// Any thread; each with a slot line of its own.
#ifndef PONGO_STORE_COMMIT_SIGNAL_H_
#define PONGO_STORE_COMMIT_SIGNAL_H_

#include <atomic>
#include <cstdint>

#include "port/port.h"
#include "store/mapping.h"

namespace pongo {

void WakeCommitWaiters(ControlHeader* header);

// After the CAS of the root word.
inline void SignalCommit(ControlHeader* header) {
  if (header->commit_waiters.load(std::memory_order_seq_cst) != 0) [[unlikely]] WakeCommitWaiters(header);
}

// Counts a thread among the waiters, or no longer. Between the two it may sleep any number of times.
void EnterCommitWait(Mapping* mapping, SlotLine* line);
void LeaveCommitWait(Mapping* mapping, SlotLine* line);

// Sleeps until the root word differs from `known` or *stop is set, at most so many nanoseconds; the root word as it is then.
// The caller has entered. May return early. Who sets *stop calls WakeCommitWaiters afterwards.
uint64_t SleepUntilCommit(Mapping* mapping, uint64_t known, uint64_t nanoseconds, const std::atomic<bool>* stop);

}  // namespace pongo

#endif  // PONGO_STORE_COMMIT_SIGNAL_H_
