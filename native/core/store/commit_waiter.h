// The one thread of a process and file that waits for commits on behalf of its sessions.
//
// Whoever wants to hear of the next commit arms an entry with the root word that he knows; it fires once and is gone. While
// no entry is armed the thread sleeps apart and does not count as a waiter: a process that is busy with what it was told costs
// committers nothing.
// Thread-safe. After fork() the child must not touch it. A killed process leaves what commit_signal.h says.
#ifndef PONGO_STORE_COMMIT_WAITER_H_
#define PONGO_STORE_COMMIT_WAITER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "store/mapping.h"

namespace pongo {

class CommitWaiter {
 public:
  struct Entry {
    void (*notify)(void* context, uint64_t token);  // runs under the mutex: must not block, nor call back
    void* context;
    uint64_t token;
    const void* owner;
  };

  // `line` is the slot line that says that this process waits.
  CommitWaiter(Mapping* mapping, SlotLine* line);
  ~CommitWaiter();
  CommitWaiter(const CommitWaiter&) = delete;
  CommitWaiter& operator=(const CommitWaiter&) = delete;

  // False: the root word differs from `known` already, and nothing is armed. Else the entry fires when it does. An entry
  // of the same owner and token that is armed already is replaced.
  bool Arm(uint64_t known, const Entry& entry);
  // When these return, no call for the owner, and the token, is under way or will come.
  void Disarm(const void* owner, uint64_t token);
  void DisarmAll(const void* owner);

 private:
  struct Armed {
    uint64_t known;
    Entry entry;
  };
  void Run();

  Mapping* const mapping_;
  SlotLine* const line_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Armed> armed_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace pongo

#endif  // PONGO_STORE_COMMIT_WAITER_H_
