#include "store/reader_roots.h"

#include <algorithm>

#include "store/checkpoint.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;
constexpr int kAttempts = 2000;
constexpr uint64_t kPauseNs = 100'000;

// Whether anybody has one of the bytes locked for reading. An error counts as yes.
bool AnyReader(const port::File& lock_file, uint64_t first, uint64_t count) {
  if (!port::TryLockBytes(lock_file, first, count, port::LockKind::kExclusive).ok()) return true;
  return !port::UnlockBytes(lock_file, first, count).ok();
}

bool IsRead(const HeldRoots& held, const port::File& lock_file) {
  const uint64_t first = held.first_sequence.load(kOrder);
  return AnyReader(lock_file, RootByte(first), held.last_sequence.load(kOrder) - first + 1);
}

// Makes one entry of two: the one that is scanned later gets the range of both before the other goes. The result may hold
// versions between them that nobody reads: too much is kept, never too little.
HeldRoots* MergeOldest(ControlHeader* header) {
  HeldRoots* oldest = &header->held[0];
  for (HeldRoots& held : header->held)
    if (held.low.load(kOrder) < oldest->low.load(kOrder)) oldest = &held;
  HeldRoots* second = nullptr;
  for (HeldRoots& held : header->held)
    if (&held != oldest && (second == nullptr || held.low.load(kOrder) < second->low.load(kOrder))) second = &held;
  HeldRoots* kept = std::min(oldest, second);  // the scan goes downwards
  HeldRoots* freed = std::max(oldest, second);
  kept->first_sequence.store(std::min(oldest->first_sequence.load(kOrder), second->first_sequence.load(kOrder)), kOrder);
  kept->last_sequence.store(std::max(oldest->last_sequence.load(kOrder), second->last_sequence.load(kOrder)), kOrder);
  const uint64_t low = std::min(oldest->low.load(kOrder), second->low.load(kOrder));
  const uint64_t high = std::max(oldest->high.load(kOrder), second->high.load(kOrder));
  kept->high.store(high, kOrder);
  kept->low.store(low, kOrder);
  freed->low.store(0, kOrder);
  return freed;
}

}  // namespace

Status LockNewestRoot(const port::File& lock_file, Superblock* superblock, FunctionRef<void()> before_lock) {
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    PONGO_TRY(ReadSuperblock(lock_file, superblock));
    before_lock();
    const Status locked = port::TryLockByte(lock_file, RootByte(superblock->sequence), port::LockKind::kShared);
    if (locked.code() == Code::kLOCKED) {  // a checkpointer is looking at this very byte: a newer one is on its way
      port::SleepNanoseconds(kPauseNs);
      continue;
    }
    PONGO_TRY(locked);
    Superblock again;
    const Status read = ReadSuperblock(lock_file, &again);
    if (read.ok() && again.sequence == superblock->sequence && again.version == superblock->version) return Status::Ok();
    UnlockRoot(lock_file, superblock->sequence);
    PONGO_TRY(read);
  }
  return Status(Code::kLOCKED, "checkpoints follow each other too fast for a reader without write permission");
}

Status LockNewestRoot(const port::File& lock_file, Superblock* superblock) {
  return LockNewestRoot(lock_file, superblock, [] {});
}

void UnlockRoot(const port::File& lock_file, uint64_t sequence) {
  static_cast<void>(port::UnlockByte(lock_file, RootByte(sequence)).ok());  // closing the file unlocks it in any case
}

void HoldDurableRoot(ControlHeader* header, const port::File& lock_file) {
  const uint64_t sequence = header->durable_sequence.load(kOrder);
  if (sequence == 0 || !AnyReader(lock_file, RootByte(sequence), 1)) return;
  HeldRoots* free = nullptr;
  for (HeldRoots& held : header->held) {
    if (held.low.load(kOrder) == 0) {
      free = &held;
    } else if (held.first_sequence.load(kOrder) <= sequence && sequence <= held.last_sequence.load(kOrder)) {
      return;  // a checkpointer died after this step
    }
  }
  if (free == nullptr) free = MergeOldest(header);
  const uint64_t version = header->durable_pin.load(kOrder);
  free->first_sequence.store(sequence, kOrder);
  free->last_sequence.store(sequence, kOrder);
  free->high.store(version, kOrder);
  free->low.store(version, kOrder);  // last: from here on the version is held, and `durable` may let go of it
}

void ReleaseHeldRoots(ControlHeader* header, const port::File& lock_file) {
  for (HeldRoots& held : header->held) {
    if (held.low.load(kOrder) == 0 || IsRead(held, lock_file)) continue;
    held.low.store(0, kOrder);
    header->pin_epoch.fetch_add(1, std::memory_order_release);
  }
}

bool OlderRootIsRead(const port::File& lock_file, uint64_t sequence) {
  const uint64_t count = sequence % kRootBytes;
  return count != 0 && AnyReader(lock_file, kRootByte, count);
}

}  // namespace pongo
