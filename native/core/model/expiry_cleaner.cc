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
constexpr uint64_t kBatchMax = 2048;           // large ones share the copies of nodes; some milliseconds, which others may have to wait for
// It rests so many times as long as it works: 4 % of a core.
constexpr uint64_t kRestFactor = 24;
// Until entries are overdue by more. Then the rest shrinks with the square of that: 14 % of a core at twice, 40 % at four times as much, and so on
// to where it removes as many as come to be due: garbage must not grow without bound.
constexpr int64_t kPatience = 30'000'000;      // microseconds
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
  Status CleanBatch(uint64_t id, uint64_t* removed, int64_t* next);
  void Rest(uint64_t began, int64_t next);

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
  const uint32_t cell = read.ok() ? slot_->Pin(base.version, base.word, PinKind::kMaintenance) : kPinCells;  // cannot be revoked
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

// One commit. Its turn, if it needs one, ends with it: nobody may wait for a cleaner that rests.
Status Cleaner::CleanBatch(uint64_t id, uint64_t* removed, int64_t* next) {
  Turn::Attempts attempts(&turn_);
  for (;;) {
    turn_.Yield(&attempts);
    PONGO_TRY(transaction_.Start(true));
    if (const Status status = operations_.RemoveExpired(id, batch_, removed, next); !status.ok()) {
      transaction_.Abort();
      return status;
    }
    bool committed;
    PONGO_TRY(transaction_.Commit(&committed));
    if (committed) {
      batch_ = std::min(batch_ * 2, kBatchMax);
      return Status::Ok();
    }
    batch_ = std::max(batch_ / 2, kBatchMin);  // a smaller one is in less danger
    turn_.Lost(&attempts);
  }
}

// Rests for what has been done since `began`, when the next entry was due at `next`; 0: none.
void Cleaner::Rest(uint64_t began, int64_t next) {
  const int64_t overdue = next == 0 ? 0 : port::WallClockMicroseconds() - next;
  stopped_ = !pause_(RestAfter(port::ThreadNanoseconds() - began, overdue));
}

Status Cleaner::CleanOne(uint64_t id, int64_t now, uint64_t* removed) {
  for (bool due = true; due && !stopped_;) {
    const uint64_t began = port::ThreadNanoseconds();
    uint64_t count;
    int64_t next;
    PONGO_TRY(CleanBatch(id, &count, &next));
    *removed += count;
    due = next != 0 && next <= now && count != 0;
    if (next != 0 && !due) LowerExpiryHint(mapping_, next);
    Rest(began, next);
  }
  return Status::Ok();
}

Status Cleaner::Run(int64_t now, uint64_t* removed) {
  const uint64_t began = port::ThreadNanoseconds();
  std::vector<uint64_t> due;
  PONGO_TRY(FindDue(now, &due));
  Rest(began, 0);
  for (const uint64_t id : due) {
    if (stopped_) break;
    PONGO_TRY(CleanOne(id, now, removed));
  }
  if (stopped_) LowerExpiryHint(mapping_, 0);  // the rest is still due
  return Status::Ok();
}

}  // namespace

uint64_t RestAfter(uint64_t worked, int64_t overdue) {
  const double patience = std::min(1.0, static_cast<double>(kPatience) / static_cast<double>(std::max<int64_t>(overdue, 1)));
  return static_cast<uint64_t>(static_cast<double>(worked * kRestFactor) * patience * patience);
}

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
