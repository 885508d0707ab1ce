#include "store/group_commit.h"

#include <algorithm>

#include "store/checkpoint.h"
#include "util/testing.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;
constexpr uint64_t kDeathWatchNs = 20'000'000;
constexpr uint64_t kGatherNs = 1'000'000;

// Those who have asked since the last shared checkpoint began.
uint64_t Asking(const ControlHeader* header) {
  return header->durable_requests.load(kOrder) - header->durable_requests_served.load(kOrder);
}

void Gather(const ControlHeader* header) {
  const uint64_t expected = header->committers_expected.load(kOrder);
  if (Asking(header) >= expected) return;
  const uint64_t until = port::Nanoseconds() + std::min(header->checkpoint_nanoseconds.load(kOrder) / 2, kGatherNs);
  while (Asking(header) < expected && port::Nanoseconds() < until) port::YieldProcessor();
}

// Under the checkpoint lock. The counts are read before the checkpoint takes its version: who is counted has committed.
Status Lead(ThreadSlot* slot, const port::File& lock_file, uint64_t version) {
  ControlHeader* header = slot->mapping()->header();
  if (header->durable_pin.load(kOrder) >= version) return Status::Ok();
  Gather(header);
  const uint64_t covered = header->durable_requests.load(kOrder);
  const uint64_t began = port::Nanoseconds();
  bool wrote;
  PONGO_TRY(CheckpointUnderLock(slot, lock_file, version, false, &wrote));
  if (!wrote) return Status::Ok();
  header->checkpoint_nanoseconds.store(port::Nanoseconds() - began, kOrder);
  header->committers_expected.store(Asking(header), kOrder);  // who is covered, and who has come meanwhile
  header->durable_requests_served.store(covered, kOrder);
  return Status::Ok();
}

// *over: the version is durable, or the checkpoint has failed; else somebody else has the lock.
Status TryToLead(ThreadSlot* slot, const port::File& lock_file, uint64_t version, bool* over) {
  ControlHeader* header = slot->mapping()->header();
  *over = true;
  if (header->durable_pin.load(kOrder) >= version) return Status::Ok();
  const Status locked = port::TryLockByte(lock_file, kCheckpointByte, port::LockKind::kExclusive);
  if (locked.code() == Code::kLOCKED) {
    *over = false;
    return Status::Ok();
  }
  PONGO_TRY(locked);
  const Status status = Lead(slot, lock_file, version);
  PONGO_TRY(UnlockCheckpoints(header, lock_file));
  return status;
}

}  // namespace

Status AwaitDurable(ThreadSlot* slot, std::mutex* mutex, const port::File& lock_file, uint64_t version, const WaitHooks& hooks) {
  ControlHeader* header = slot->mapping()->header();
  header->durable_requests.fetch_add(1, kOrder);
  for (;;) {
    uint32_t signal = header->checkpoint_signal.load(kOrder);
    {
      const std::lock_guard<std::mutex> lock(*mutex);
      bool over;
      const Status status = TryToLead(slot, lock_file, version, &over);
      if (over) return status;
    }
    if (PONGO_PLANTED(28)) signal = header->checkpoint_signal.load(kOrder);
    port::FutexWait(&header->checkpoint_signal, signal, kDeathWatchNs);
    if (hooks.interrupted != nullptr && hooks.interrupted(hooks.context))
      return Status(Code::kCLOSED, "the waiting for the disk was ended: its thread is being stopped");
  }
}

}  // namespace pongo
