#include "model/expiry_cleaner.h"

#include <algorithm>
#include <vector>

#include "model/companion.h"
#include "model/operations.h"
#include "store/allocator.h"
#include "store/turn.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;
constexpr uint64_t kBatchMin = 4;
constexpr uint64_t kBatchFirst = 128;
constexpr uint64_t kBatchMax = 1024;           // large ones share the copies of inner nodes
// It works one part in so many of the time: 4 % of a core; a quarter when it is far behind, or garbage would grow without bound.
constexpr uint64_t kRestFactor = 24;
constexpr uint64_t kHurryFactor = 3;
constexpr int64_t kFarBehind = 120'000'000;    // microseconds that an entry is overdue
constexpr int64_t kRetryAfter = 1'000'000;     // microseconds, when a round has failed

class Cleaner {
 public:
  Cleaner(Mapping* mapping, ThreadSlot* slot, FunctionRef<bool(uint64_t)> pause)
      : mapping_(mapping),
        slot_(slot),
        pause_(pause),
        allocator_(mapping, slot),
        transaction_(mapping, slot, &allocator_),
        builder_(&transaction_),
        operations_(&transaction_, &builder_),
        turn_(mapping, slot) {}

  Status Run(int64_t now, uint64_t* removed);

 private:
  Status FindDue(int64_t now, std::vector<uint64_t>* due);
  Status CleanOne(uint64_t id, int64_t now, uint64_t* removed);
  Status CleanBatch(uint64_t id, uint64_t* removed, int64_t* next, bool* lost);

  Mapping* mapping_;
  ThreadSlot* slot_;
  FunctionRef<bool(uint64_t)> pause_;
  Allocator allocator_;
  Transaction transaction_;
  ValueBuilder builder_;
  Operations operations_;
  Turn turn_;
  uint64_t batch_ = kBatchFirst;
  bool stopped_ = false;
};

// The Collections in which something is due; the hint is lowered to what comes first in the others.
Status Cleaner::FindDue(int64_t now, std::vector<uint64_t>* due) {
  const uint64_t word = slot_->Announce();
  Base base;
  const Status read = ReadBase(mapping_, word, &base);
  const uint32_t cell = read.ok() ? slot_->Pin(base.version, base.word, PinKind::kSnapshot) : kPinCells;
  slot_->Clear();
  PONGO_TRY(read);
  if (cell == kPinCells) return Status(Code::kFULL, "no pin is free");
  std::vector<uint8_t> key;
  const Status walked = EachCompanion(mapping_, base.table, [&](uint64_t owner, uint64_t companion) -> Status {
    bool present;
    ObjectEntry entry;
    PONGO_TRY(FindObject(mapping_, base.table, companion, &present, &entry));
    if (!present) return Status::Ok();
    int64_t first;
    uint64_t position;
    PONGO_TRY(FirstTimeKey(mapping_, entry, &first, &key, &position));
    if (first == 0) return Status::Ok();
    if (first <= now)
      due->push_back(owner);
    else
      LowerExpiryHint(mapping_, first);
    return Status::Ok();
  });
  slot_->Unpin(cell);
  return walked;
}

Status Cleaner::CleanBatch(uint64_t id, uint64_t* removed, int64_t* next, bool* lost) {
  PONGO_TRY(transaction_.Start(true));
  if (const Status status = operations_.RemoveExpired(id, batch_, removed, next); !status.ok()) {
    transaction_.Abort();
    return status;
  }
  bool committed;
  PONGO_TRY(transaction_.Commit(&committed));
  *lost = !committed;
  return Status::Ok();
}

Status Cleaner::CleanOne(uint64_t id, int64_t now, uint64_t* removed) {
  Turn::Attempts attempts(&turn_);
  for (;;) {
    const uint64_t began = port::ThreadNanoseconds();
    uint64_t count;
    int64_t next;
    bool lost;
    turn_.Yield(&attempts);
    PONGO_TRY(CleanBatch(id, &count, &next, &lost));
    if (lost) {  // a smaller one is in less danger
      batch_ = std::max(batch_ / 2, kBatchMin);
      turn_.Lost(&attempts);
    } else {
      *removed += count;
      batch_ = std::min(batch_ * 2, kBatchMax);
      if (next == 0) return Status::Ok();
      if (next > now || count == 0) {
        LowerExpiryHint(mapping_, next);
        return Status::Ok();
      }
    }
    const uint64_t took = port::ThreadNanoseconds() - began;
    const bool hurry = next != 0 && next < now - kFarBehind;
    if (!pause_(took * (hurry ? kHurryFactor : kRestFactor))) {
      stopped_ = true;
      return Status::Ok();
    }
  }
}

Status Cleaner::Run(int64_t now, uint64_t* removed) {
  std::vector<uint64_t> due;
  PONGO_TRY(FindDue(now, &due));
  for (const uint64_t id : due) {
    PONGO_TRY(CleanOne(id, now, removed));
    if (stopped_) return LowerExpiryHint(mapping_, 0), Status::Ok();  // the rest is still due
  }
  return Status::Ok();
}

}  // namespace

Status CleanExpired(Mapping* mapping, FunctionRef<bool(uint64_t nanoseconds)> pause, uint64_t* removed) {
  *removed = 0;
  ControlHeader* header = mapping->header();
  const int64_t now = port::WallClockMicroseconds();
  if (now < header->expiry_next.load(kOrder)) return Status::Ok();
  port::File lock;
  PONGO_TRY(port::Reopen(mapping->data_file(), true, &lock));
  const Status locked = port::TryLockByte(lock, kExpiryByte, port::LockKind::kExclusive);
  if (locked.code() == Code::kLOCKED) return Status::Ok();
  PONGO_TRY(locked);
  ThreadSlot slot(mapping);
  PONGO_TRY(slot.Claim());
  // Before the version is read: a commit that is not in it lowers the hint after this.
  header->expiry_next.store(kNoExpiry, kOrder);
  Status status;
  {
    Cleaner cleaner(mapping, &slot, pause);
    status = cleaner.Run(now, removed);
  }
  if (!status.ok()) LowerExpiryHint(mapping, now + kRetryAfter);
  slot.Release();
  return status;  // closing the file gives the lock back
}

}  // namespace pongo
