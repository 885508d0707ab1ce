#include "store/commit_waiter.h"

#include <algorithm>

#include "store/commit_signal.h"

namespace pongo {

CommitWaiter::CommitWaiter(Mapping* mapping, SlotLine* line) : mapping_(mapping), line_(line) {
  thread_ = std::thread([this] { Run(); });
}

CommitWaiter::~CommitWaiter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_.store(true, std::memory_order_seq_cst);
  }
  wake_.notify_all();
  WakeCommitWaiters(mapping_->header());
  thread_.join();
}

bool CommitWaiter::Arm(uint64_t known, const Entry& entry) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::erase_if(armed_, [&](const Armed& a) { return a.entry.owner == entry.owner && a.entry.token == entry.token; });
  // If the thread sleeps already, it counts as a waiter, and a commit after this load wakes it: it looks through all entries
  // then. If it does not, it loads the root word once more before it sleeps.
  if (mapping_->header()->root.load(std::memory_order_seq_cst) != known) return false;
  armed_.push_back({known, entry});
  wake_.notify_all();
  return true;
}

void CommitWaiter::Disarm(const void* owner, uint64_t token) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::erase_if(armed_, [&](const Armed& a) { return a.entry.owner == owner && a.entry.token == token; });
}

void CommitWaiter::DisarmAll(const void* owner) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::erase_if(armed_, [&](const Armed& a) { return a.entry.owner == owner; });
}

void CommitWaiter::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  bool entered = false;
  while (!stop_.load(std::memory_order_seq_cst)) {
    if (armed_.empty()) {
      if (entered) LeaveCommitWait(mapping_, line_);
      entered = false;
      wake_.wait(lock, [this] { return stop_.load(std::memory_order_seq_cst) || !armed_.empty(); });
      continue;
    }
    if (!entered) EnterCommitWait(mapping_, line_);
    entered = true;
    const uint64_t root = mapping_->header()->root.load(std::memory_order_seq_cst);
    for (size_t i = 0; i < armed_.size();) {
      if (armed_[i].known == root) {
        i++;
        continue;
      }
      const Entry fired = armed_[i].entry;
      armed_.erase(armed_.begin() + static_cast<ptrdiff_t>(i));
      fired.notify(fired.context, fired.token);
    }
    if (armed_.empty()) continue;
    lock.unlock();
    SleepUntilCommit(mapping_, root, port::kForever, &stop_);
    lock.lock();
  }
  if (entered) LeaveCommitWait(mapping_, line_);
}

}  // namespace pongo
