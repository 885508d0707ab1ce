// What stands behind a Session: shared by the files database*.cc, which divide the facade by topic. No binding includes it.
//
// All members belong to the session's thread, except file_mutex, `file` under it, and `closed`.
#ifndef PONGO_DATABASE_IMPL_H_
#define PONGO_DATABASE_IMPL_H_

#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "database.h"
#include "model/database_file.h"
#include "model/feed.h"
#include "model/operations.h"
#include "store/pidcache.h"
#include "store/turn.h"
#include "util/wait_hooks.h"

namespace pongo {

inline constexpr Status kClosed(Code::kCLOSED, "the database handle is closed");
inline constexpr Status kForked(Code::kFORK, "this handle was opened before fork(); open the file again in the child");
inline constexpr Status kReadOnly(Code::kREADONLY, "the handle was opened with readOnly");
inline constexpr Status kNoSnapshot(Code::kSNAPSHOT, "the snapshot was released");
inline constexpr Status kLockTimeout(Code::kTIMEOUT, "the lock was not granted within the time allowed");
inline constexpr Status kLockInterrupted(Code::kCLOSED, "the waiting for the lock was ended: its thread is being stopped");
inline constexpr Status kRevoked(Code::kSNAPSHOT, "the snapshot was revoked: the database needed the space that it pinned");
inline constexpr Status kDiskError(Code::kIO, "the disk reported an error: nothing more can be made durable; back up the data, or sync with { rewrite: true }");
inline constexpr size_t kCacheSize = 16;
inline constexpr int kSpaceWaitsMax = 10;  // of one operation, for garbage that is about to become free

class SessionImpl {
 public:
  explicit SessionImpl(std::shared_ptr<DatabaseFile> database)
      : file(std::move(database)),
        mapping(file->mapping()),
        slot(mapping),
        allocator(mapping, &slot, [this](uint32_t resort) { return file->MakeRoom(resort); }),
        transaction(mapping, &slot, &allocator),
        builder(&transaction),
        operations(&transaction, &builder),
        pidcache(&slot, this->file->read_only() ? nullptr : &allocator),
        turn(mapping, &slot) {}

  // What a snapshot handle stands for.
  struct Pinned {
    Base base;
    uint32_t cell;
    int64_t now;     // by which it judges what has expired
  };
  struct CacheEntry {
    uint64_t id = 0;
    uint64_t word = 0;
    uint64_t version = 0;
    ObjectEntry entry;
  };

  Status Check() const {
    if (closed.load(std::memory_order_relaxed)) [[unlikely]] return kClosed;
    if (file->InForkedChild()) [[unlikely]] return kForked;
    return Status::Ok();
  }

  Status CheckWrite() const {
    PONGO_TRY(Check());
    if (file->read_only()) return kReadOnly;
    // What cannot become durable is not taken, unless nobody asked for durability.
    if (file->sync_failed() && durability != Durability::kNone) [[unlikely]] return kDiskError;
    return Status::Ok();
  }

  // Announces the version of a snapshot, and only then looks whether it was revoked: until the announcement is cleared its
  // blocks stay, revoked or not.
  Status Enter(const Pinned& pinned) {
    slot.AnnounceExactly(pinned.base.version);
    if (!slot.Revoked(pinned.cell)) [[likely]] return Status::Ok();
    slot.Clear();
    return kRevoked;
  }

  // The entry of a container in the announced version, remembered as long as the root word stays; null when there is none.
  Status FindEntry(uint64_t word, uint64_t id, Base* base, const ObjectEntry** found) {
    *found = nullptr;
    PONGO_TRY(ReadBase(mapping, word, base));
    CacheEntry& cached = cache[id % kCacheSize];
    if (cached.id != id || cached.word != word || cached.version != base->version) {
      bool present;
      ObjectEntry entry;
      PONGO_TRY(FindObject(mapping, base->table, id, &present, &entry));
      if (!present) return Status::Ok();
      cached = CacheEntry{id, word, base->version, entry};
    }
    *found = &cached.entry;
    return Status::Ok();
  }

  // As Read, for a body that begins at the container `id`.
  template <class F>
  Status ReadAt(uint64_t view, uint64_t id, F&& body) {
    if (view != 0 || transaction.active()) return Read(view, body);
    PONGO_TRY(Check());
    const uint64_t word = slot.Announce();
    Base base;
    const ObjectEntry* entry;
    Status status = FindEntry(word, id, &base, &entry);
    if (status.ok()) status = body(ReadView(mapping, base.table).NotingUses(!file->read_only()).Knowing(id, entry));
    slot.Clear();
    return status;
  }

  // Runs a read in a view: body(const ReadView&).
  template <class F>
  Status Read(uint64_t view, F&& body) {
    PONGO_TRY(Check());
    if (view != 0) {
      const auto found = snapshots.find(view);
      if (found == snapshots.end()) return kNoSnapshot;
      PONGO_TRY(Enter(found->second));
      const Status status = body(ReadView(mapping, found->second.base.table, found->second.now));
      slot.Clear();
      return status;
    }
    if (transaction.is_explicit() && transaction.active()) {
      PONGO_TRY(transaction.poison());
      return body(ReadView(mapping, &transaction).NotingUses(!file->read_only()));
    }
    const uint64_t word = slot.Announce();
    Base base;
    Status status = ReadBase(mapping, word, &base);
    if (status.ok()) status = body(ReadView(mapping, base.table).NotingUses(!file->read_only()));
    slot.Clear();
    return status;
  }

  // Runs a write as one transaction, again after each conflict; inside an explicit transaction just once. `restart` is called
  // before a repeated attempt, so that what a lost one has reported is forgotten.
  template <class F>
  Status Write(bool sync, F&& body) {
    return Write(sync, body, [] {});
  }
  template <class F, class R>
  Status Write(bool sync, F&& body, R&& restart) {
    PONGO_TRY(CheckWrite());
    if (transaction.active()) {
      if (sync) return Status(Code::kARG, "sync cannot be asked for inside a transaction");
      PONGO_TRY(transaction.poison());
      return body(operations);
    }
    explicit_attempts.reset();  // not run again: its turn is over, or this write would wait for it
    Turn::Attempts attempts(&turn);
    const bool awaited = sync || durability == Durability::kSync;
    transaction.set_awaited(awaited);
    bool checkpointed = false;
    int waits = 0;
    for (;;) {
      turn.Yield(&attempts);
      PONGO_TRY(transaction.Start(false));
      bool committed = false;
      allocator.set_patient(waits < kSpaceWaitsMax);
      Status status = body(operations);
      if (status.ok())
        status = transaction.Commit(&committed);
      else
        transaction.Abort();
      allocator.set_patient(false);
      if (IsSpaceSoon(status)) {
        waits++;  // in the end the file grows
        AwaitSpace();
        restart();
        continue;
      }
      if ((status.code() == Code::kFULL || status.code() == Code::kNOSPACE) && !checkpointed) {
        // Perhaps only the older durable root holds the space: make the present one durable and try once more.
        checkpointed = true;
        PONGO_TRY(SyncTo(mapping->header()->version.load(std::memory_order_seq_cst)));
        restart();
        continue;
      }
      PONGO_TRY(status);
      if (committed) break;
      turn.Lost(&attempts);
      restart();
    }
    if (awaited) return SyncTo(transaction.committed_version());
    return Status::Ok();
  }

  void AwaitSpace() {
    const WaitScope waiting(wait_hooks);
    allocator.AwaitSpace();
  }

  Status SyncTo(uint64_t version) {
    const WaitScope waiting(wait_hooks);
    return file->SyncTo(version);
  }

  Status FindWatcher(uint64_t number, Watcher** watcher);
  Status PinNewest(Pinned* pinned);
  Status SettleWatcher(Watcher* watcher);

  // For the calls that may come from any thread, while Close takes the file away.
  std::shared_ptr<DatabaseFile> SharedFile() {
    const std::lock_guard<std::mutex> lock(file_mutex);
    return file;
  }

  std::mutex file_mutex;
  std::shared_ptr<DatabaseFile> file;
  Mapping* mapping;
  ThreadSlot slot;
  Allocator allocator;
  Transaction transaction;
  ValueBuilder builder;
  Operations operations;
  Pidcache pidcache;
  Turn turn;
  WaitHooks wait_hooks;
  std::unique_ptr<Turn::Attempts> explicit_attempts;  // of the explicit transaction that is being run again and again
  Durability durability = Durability::kCheckpoint;
  std::atomic<bool> closed{false};
  std::map<uint64_t, Pinned> snapshots;
  uint64_t snapshot_next = 1;
  std::map<uint64_t, LockTicket> locks;  // held, waited for, attached
  uint64_t lock_client = 0;
  std::map<uint64_t, std::unique_ptr<Watcher>> watchers;
  uint64_t watcher_next = 1;
  std::atomic<bool> wait_interrupted{false};
  uint8_t uuid[16];
  CacheEntry cache[kCacheSize];
};

}  // namespace pongo

#endif  // PONGO_DATABASE_IMPL_H_
