#include "model/lock_waiter.h"

#include <algorithm>

namespace pongo {

LockWaiter::~LockWaiter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    if (slot_.claimed()) Interrupt();
  }
  if (thread_.joinable()) thread_.join();
  slot_.Release();
}

Status LockWaiter::Start(uint32_t* slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!slot_.claimed()) {
    PONGO_TRY(slot_.Claim());
    thread_ = std::thread([this] { Run(); });
  }
  *slot = slot_.index();
  return Status::Ok();
}

void LockWaiter::Watch(uint64_t id, const Watched& watched) {
  const std::lock_guard<std::mutex> lock(mutex_);
  watched_.emplace(id, watched);
  Interrupt();
}

void LockWaiter::Forget(uint64_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  watched_.erase(id);
}

void LockWaiter::Interrupt() {
  std::atomic<uint32_t>& wake = slot_.area()->lock_wake;
  wake.fetch_add(1, std::memory_order_release);
  port::FutexWake(&wake, 1);
}

// Whether the request need not be watched any longer.
bool LockWaiter::Look(uint64_t id, Watched* watched, LockTable* table) {
  RequestState state = table->State(watched->ticket);
  if (state == RequestState::kPending) {
    if (port::Nanoseconds() < watched->deadline) return false;
    if (!table->Cancel(watched->ticket, &state).ok()) return false;  // once more later
    if (state == RequestState::kPending) {
      watched->listener->OnLock(id, LockOutcome::kTimeout);
      return true;
    }
  }
  if (!watched->granted) {
    watched->granted = true;
    watched->listener->OnLock(id, LockOutcome::kGranted);
  }
  if (state == RequestState::kLost && watched->until_lost) watched->listener->OnLock(id, LockOutcome::kLost);
  return state == RequestState::kLost || !watched->until_lost;
}

void LockWaiter::Run() {
  LockTable table(slot_);
  std::atomic<uint32_t>& wake = slot_.area()->lock_wake;
  std::vector<LockTicket> pending;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_) {
    // acquire, and before the states: a grant after this look changes the word, and the sleep ends at once.
    const uint32_t seen = wake.load(std::memory_order_acquire);
    uint64_t limit = port::kForever;
    pending.clear();
    for (auto next = watched_.begin(); next != watched_.end();) {
      if (Look(next->first, &next->second, &table)) {
        next = watched_.erase(next);
        continue;
      }
      if (!next->second.granted) {
        pending.push_back(next->second.ticket);
        limit = std::min(limit, next->second.deadline);
      }
      next++;
    }
    lock.unlock();
    uint64_t sleep = port::kForever;
    if (!pending.empty()) {
      const uint64_t now = port::Nanoseconds();
      sleep = std::min(kLockWatchNs, limit == port::kForever ? limit : limit - std::min(now, limit));
    }
    if (!port::FutexWait(&wake, seen, sleep)) table.ReapOwnersBefore(pending);
    lock.lock();
  }
}

}  // namespace pongo
