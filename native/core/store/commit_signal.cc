#include "store/commit_signal.h"

#include "util/testing.h"

namespace pongo {

void WakeCommitWaiters(ControlHeader* header) {
  header->commit_signal.fetch_add(1, std::memory_order_seq_cst);
  port::FutexWake(&header->commit_signal, ~0u);
}

void EnterCommitWait(Mapping* mapping, SlotLine* line) {
  // seq_cst: before any load of the root word that decides whether to sleep. Killed after it: the count stays too high.
  mapping->header()->commit_waiters.fetch_add(1, std::memory_order_seq_cst);
  line->waiting.store(1, std::memory_order_release);
}

void LeaveCommitWait(Mapping* mapping, SlotLine* line) {
  // An exchange, because an adopter that died here may have left the second step to nobody: then the count stays too high.
  if (line->waiting.exchange(0, std::memory_order_acq_rel) != 0)
    mapping->header()->commit_waiters.fetch_sub(1, std::memory_order_seq_cst);
}

uint64_t SleepUntilCommit(Mapping* mapping, uint64_t known, uint64_t nanoseconds, const std::atomic<bool>* stop) {
  ControlHeader* header = mapping->header();
  const uint64_t too_early = PONGO_PLANTED(12) ? header->root.load(std::memory_order_seq_cst) : 0;
  const uint32_t signal = header->commit_signal.load(std::memory_order_seq_cst);
  const uint64_t root = PONGO_PLANTED(12) ? too_early : header->root.load(std::memory_order_seq_cst);
  if (root != known || stop->load(std::memory_order_seq_cst)) return root;
  port::FutexWait(&header->commit_signal, signal, nanoseconds);
  return header->root.load(std::memory_order_seq_cst);
}

}  // namespace pongo
