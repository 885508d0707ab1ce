// Locks, semaphores and events between processes.
#include <algorithm>
#include <utility>

#include "database_impl.h"

namespace pongo {
namespace {

// What a lock of this process is called in it. Never 0.
uint64_t NextLockId() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

Status CheckLock(const SessionImpl& s) {
  PONGO_TRY(s.CheckWrite());
  return s.transaction.active() ? Status(Code::kARG, "locks, semaphores and events cannot be used inside a transaction") : Status::Ok();
}

// Ends a wait that was given up, unless the lock has been granted meanwhile. *ended = false: somebody is stopped in the table, and until
// he goes on the request stays queued.
Status GiveUp(LockTable* table, const LockTicket& ticket, const Status& why, bool* ended) {
  RequestState was;
  *ended = table->Cancel(ticket, &was).ok();
  return *ended && was == RequestState::kPending ? why : Status::Ok();
}

// Sleeps until the request is no longer pending. Its waker is the slot of this thread.
Status Await(SessionImpl* s, LockTable* table, const LockTicket& ticket, uint64_t deadline) {
  const std::atomic<uint32_t>& wake = s->slot.area()->lock_wake;
  for (;;) {
    // acquire, and before the state: a grant after this look changes the word, and the sleep ends at once.
    const uint32_t seen = wake.load(std::memory_order_acquire);
    if (table->State(ticket) != RequestState::kPending) return Status::Ok();
    const uint64_t now = port::Nanoseconds();
    bool ended = false;
    if (now >= deadline) {
      const Status status = GiveUp(table, ticket, kLockTimeout, &ended);
      if (ended) return status;
      continue;
    }
    if (port::FutexWait(&wake, seen, std::min(kLockWatchNs, deadline - now))) continue;
    table->ReapOwnersBefore({ticket});
    const WaitHooks& hooks = s->wait_hooks;
    if (hooks.interrupted == nullptr || !hooks.interrupted(hooks.context)) continue;
    const Status status = GiveUp(table, ticket, kLockInterrupted, &ended);
    if (ended) return status;
  }
}

uint64_t Deadline(uint64_t timeout_ns) {
  const uint64_t now = port::Nanoseconds();
  return timeout_ns > port::kForever - now ? port::kForever : now + timeout_ns;
}

}  // namespace

Status Session::Acquire(const LockWish& wish, uint64_t timeout_ns, uint64_t* id) {
  SessionImpl& s = *impl_;
  *id = 0;
  PONGO_TRY(CheckLock(s));
  LockTable table(s.slot);
  LockTicket ticket;
  RequestState state;
  PONGO_TRY(table.Request(wish, s.slot.index(), &ticket, &state));
  if (state == RequestState::kFree) return Status::Ok();
  if (state == RequestState::kPending) {
    const WaitScope waiting(s.wait_hooks);
    PONGO_TRY(Await(&s, &table, ticket, Deadline(timeout_ns)));
  }
  *id = NextLockId();
  s.locks.emplace(*id, ticket);
  return Status::Ok();
}

Status Session::AcquireLater(const LockWish& wish, uint64_t timeout_ns, LockListener* listener, bool until_lost, uint64_t* id,
                             bool* granted) {
  SessionImpl& s = *impl_;
  *id = 0;
  PONGO_TRY(CheckLock(s));
  uint32_t waker;
  PONGO_TRY(s.file->lock_waiter()->Start(&waker));
  LockTicket ticket;
  RequestState state;
  PONGO_TRY(LockTable(s.slot).Request(wish, waker, &ticket, &state));
  *granted = state == RequestState::kHeld;
  if (state == RequestState::kFree) return Status::Ok();
  *id = NextLockId();
  s.locks.emplace(*id, ticket);
  if (!*granted || until_lost)
    s.file->lock_waiter()->Watch(*id, LockWaiter::Watched{ticket, listener, Deadline(timeout_ns), until_lost, *granted});
  return Status::Ok();
}

Status Session::AttachSemaphore(const LockWish& wish, uint64_t* id) {
  SessionImpl& s = *impl_;
  *id = 0;
  PONGO_TRY(s.CheckWrite());
  LockTicket ticket;
  PONGO_TRY(LockTable(s.slot).Attach(wish, &ticket));
  *id = NextLockId();
  s.locks.emplace(*id, ticket);
  return Status::Ok();
}

Status Session::ReleaseLock(uint64_t id) {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  const auto found = s.locks.find(id);
  if (found == s.locks.end()) return Status::Ok();
  s.file->lock_waiter()->Forget(id);
  RequestState was;
  PONGO_TRY(LockTable(s.slot).Release(found->second, &was));
  s.locks.erase(found);
  return Status::Ok();
}

Status Session::SetEvent(std::string_view name, bool set) {
  PONGO_TRY(CheckLock(*impl_));
  return LockTable(impl_->slot).SetEvent(name, set);
}

Status Session::EventIsSet(std::string_view name, bool* set) {
  PONGO_TRY(impl_->CheckWrite());
  return LockTable(impl_->slot).EventIsSet(name, set);
}

Status Session::QueryLocks(std::vector<LockReport>* reports) {
  PONGO_TRY(impl_->CheckWrite());
  return LockTable(impl_->slot).Query(reports);
}

uint64_t Session::lock_client() const { return impl_->lock_client; }

void Session::ReleaseLocks() {
  SessionImpl& s = *impl_;
  if (!s.Check().ok() || !s.slot.claimed()) return;
  for (const auto& lock : s.locks) s.file->lock_waiter()->Forget(lock.first);
  s.locks.clear();
  static_cast<void>(LockTable(s.slot).ReleaseAll(kLockTableLimitNs));  // else the release of the slot does it, or its adoption
}

}  // namespace pongo
