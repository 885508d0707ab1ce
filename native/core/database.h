// The facade that the language bindings use.
//
// Database: one per process and file, shared by all threads. Session: one per thread and handle; it owns a slot of the
// process table, and all operations go through it. A Session must only be used by the thread that opened it. After fork()
// every call in the child returns FORK.
//
// Consistency: each call is atomic and sees the newest committed version, or inside Begin()..Commit() the private state of
// the transaction. A call that returns a failure has changed nothing. Views: 0 is the live state; others come from
// Snapshot().
#ifndef PONGO_DATABASE_H_
#define PONGO_DATABASE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/control.h"
#include "model/bounds.h"
#include "model/counts.h"
#include "model/feed.h"
#include "model/lock_waiter.h"
#include "model/open_options.h"
#include "model/plain.h"
#include "model/value_view.h"
#include "util/status.h"
#include "util/wait_hooks.h"

namespace pongo {

class Backup;
struct DatabaseReport;
class SessionImpl;

using ChangeNotify = void (*)(void* context, uint64_t watcher);

// Visitors of writes that return what they remove may be called more than once, because the operation is run again after a
// conflict: the last call counts, and a call with a value of type kAbsent says that nothing counts yet.

class Session {
 public:
  // Opens or creates the file. On failure *detail receives a sentence naming the file and what to do.
  static Result<std::unique_ptr<Session>> Open(const std::string& path, const OpenOptions& options, std::string* detail);
  ~Session();
  Status Close();  // idempotent
  // One more session on the same file, with the options of this one: for another thread.
  Result<std::unique_ptr<Session>> Another();
  // Called around every wait of this session for other committers, for the disk or for a lock, and during the last.
  void SetWaitHooks(const WaitHooks& hooks);

  // -- keyed containers --
  // `found` is called at most once, with the value, while the version it came from cannot be reclaimed.
  Status Get(uint64_t view, uint64_t id, const Key& key, ValueVisitor found);
  // As Get, without the value; in an LRU Collection it counts as no use.
  Status Has(uint64_t view, uint64_t id, const Key& key, bool* present);
  Status Set(uint64_t id, const Key& key, const Input& value, uint32_t flags);
  Status Delete(uint64_t id, const Key& key, bool* was_present);
  // One value of a key of a MultiCollection.
  Status DeletePair(uint64_t id, const Key& key, const Input& value, bool* was_present);
  Status Pop(uint64_t id, const Key& key, ValueVisitor found);
  Status Update(uint64_t id, const uint8_t* wire_dict, size_t size);
  // by and the visited result: kInt, kDouble or kBigInt.
  Status Increment(uint64_t id, const Key& key, const ValueView& by, ValueVisitor result);
  // A null `expected` means absent; a null `next` deletes.
  Status CompareAndSet(uint64_t id, const Key& key, const Input* expected, const Input* next, bool* swapped);

  // -- paths --
  Status GetPath(uint64_t view, uint64_t id, const PathStep* steps, size_t count, ValueVisitor found);
  Status SetPath(uint64_t id, const PathStep* steps, size_t count, const Input& value, uint32_t flags);
  Status DeletePath(uint64_t id, const PathStep* steps, size_t count, bool* was_present);
  Status IncrementPath(uint64_t id, const PathStep* steps, size_t count, const ValueView& by, ValueVisitor result);
  Status CompareAndSetPath(uint64_t id, const PathStep* steps, size_t count, const Input* expected, const Input* next,
                           bool* swapped);

  // -- any container --
  // wire may be null. The new container is pinned (see PinContainer): *cell receives the cell.
  Status Create(Kind kind, const uint8_t* wire, size_t size, uint64_t* id, uint32_t* cell);
  Status GetKind(uint64_t view, uint64_t id, Kind* kind);                    // kNone: no such container
  Status Size(uint64_t view, uint64_t id, uint64_t* size);
  Status Clear(uint64_t id);
  Status Replace(uint64_t id, const uint8_t* wire, size_t size);
  Status Native(uint64_t view, uint64_t id, std::vector<uint8_t>* wire);
  // Plain copies (model/plain.h): of a container, of the value of a key, of the entries that Page visits (the key first).
  Status Plain(uint64_t view, uint64_t id, PlainSink* sink);
  Status PlainValue(uint64_t view, uint64_t id, const Key& key, PlainSink* sink);
  Status PlainPage(uint64_t view, uint64_t id, uint64_t start, uint64_t count, int step, FunctionRef<void(const Key&)> key,
                   PlainSink* sink, uint64_t* passed = nullptr);
  Status ShapeNames(uint64_t shape, FunctionRef<void(const Key& name)> visit);
  // Visits the entries at `count` positions from start, step +1 or -1, without those that have expired. List: the key is empty,
  // positions count from start. *passed receives the number of positions, those of expired entries included.
  Status Page(uint64_t view, uint64_t id, uint64_t start, uint64_t count, int step, EntryVisitor visit, uint64_t* passed = nullptr);
  Status Bounds(uint64_t view, uint64_t id, const Key& lo, const Key& hi, uint32_t flags, uint64_t* begin, uint64_t* end);
  Status Rank(uint64_t view, uint64_t id, const Key& key, uint64_t* rank);
  Status Shift(uint64_t id, EntryVisitor visit);

  // Keeps a container alive for a proxy that shows it, although others may remove it everywhere. To be called inside the
  // visitor that received the container. The cell is given back with UnpinContainer when the proxy is gone.
  uint32_t PinContainer(uint64_t id);
  void UnpinContainer(uint32_t cell);

  // -- List --
  Status ListGet(uint64_t view, uint64_t id, uint64_t index, ValueVisitor found);
  Status ListSet(uint64_t id, uint64_t index, const Input& value);
  Status ListSplice(uint64_t id, uint64_t start, uint64_t delete_count, const uint8_t* wire, size_t size, uint64_t* length);
  Status ListPush(uint64_t id, const Input& value, uint64_t* length);
  Status ListPop(uint64_t id, ValueVisitor found);
  Status ListShift(uint64_t id, ValueVisitor found);
  // The new content: the elements that were at these positions, in this order.
  Status ListArrange(uint64_t id, const uint32_t* positions, size_t count);

  // -- expiry: see model/value_view.h, Expiry. Only entries of Collections expire: TYPE --
  Status SetExpiring(uint64_t id, const Key& key, const Input& value, uint32_t flags, const Expiry& expiry);
  Status SetPathExpiring(uint64_t id, const PathStep* steps, size_t count, const Input& value, uint32_t flags, const Expiry& expiry);
  // Changes the expiry of a present key; kNever takes it away.
  Status SetExpiry(uint64_t id, const Key& key, const Expiry& expiry, bool* was_present);
  // *expires: whether the key is present and has an expiry; *microseconds: how long it has left, above 0.
  Status TimeLeft(uint64_t view, uint64_t id, const Key& key, bool* expires, int64_t* microseconds);
  // The first entry from one end, the least key (step 1) or the greatest (-1), among those that have not expired.
  Status Edge(uint64_t view, uint64_t id, int step, EntryVisitor visit);
  // How many positions from `start` on, in steps of `step` and at most `limit`, lead past `count` entries that have not expired.
  // O(log n) in a container of which none can expire.
  Status Skip(uint64_t view, uint64_t id, uint64_t start, uint64_t limit, uint64_t count, int step, uint64_t* passed);
  // The entry at a position, expired or not: positions count what the cleaner has left.
  Status At(uint64_t view, uint64_t id, uint64_t position, EntryVisitor visit);

  // -- bounded Collections (model/bounds.h) --
  // As Create; FULL or VALUE later when an entry alone is larger than max_bytes. ARG: no bound.
  Status CreateBounded(const CollectionBounds& bounds, uint64_t* id, uint32_t* cell);
  // *bounded tells whether *bounds was set.
  Status GetBounds(uint64_t view, uint64_t id, bool* bounded, CollectionBounds* bounds);

  // -- transactions --
  Status Begin();
  // As Begin, but waits for its turn first, so that others make room: for what cannot be run again after a conflict. A
  // conflict stays possible (with a writer that had begun before, or after 100 ms without progress): then Abort ends the turn.
  Status BeginFirst();
  Status Commit(bool* committed);  // false: conflict; the transaction is over and may be run again
  Status Abort();
  bool InTransaction() const;

  // -- snapshots --
  Status Snapshot(uint64_t* view);
  Status Release(uint64_t view);
  Status Version(uint64_t view, uint64_t* version);

  // -- backup: see database_backup.h --
  // Of a view as it is now. *pinned is a view of its own; give it to Release when Copy is done.
  Status StartBackup(uint64_t view, const std::string& target, bool overwrite, uint64_t* pinned, std::unique_ptr<Backup>* backup);
  // -- coordination across processes (store/lock_table.h); not on a readOnly handle, not inside a transaction --
  // What is acquired belongs to this session: closing it, and the death of its process, give it back. Not re-entrant.
  // Blocks the thread until the lock is granted; TIMEOUT; CLOSED when the wait hooks end the wait. *id = 0: not available, and
  // wish.if_available.
  Status Acquire(const LockWish& wish, uint64_t timeout_ns, uint64_t* id);
  // Never blocks. Not *granted: `listener` is told later. until_lost: it is told too when the lock is stolen.
  Status AcquireLater(const LockWish& wish, uint64_t timeout_ns, LockListener* listener, bool until_lost, uint64_t* id,
                      bool* granted);
  // Keeps the number of permits of a semaphore as it is, until the id is released.
  Status AttachSemaphore(const LockWish& wish, uint64_t* id);
  // Ends a hold or a request, whatever has become of it: the listener is not told any more. Idempotent.
  Status ReleaseLock(uint64_t id);
  void ReleaseLocks();
  Status SetEvent(std::string_view name, bool set);
  Status EventIsSet(std::string_view name, bool* set);
  Status QueryLocks(std::vector<LockReport>* reports);
  uint64_t lock_client() const;     // what wish.client should be: names this session
  // -- change notification --
  // A watcher knows one version, its base, which it pins. Changes() moves it to the newest one.
  // Begins to watch a container, or what a path leads to from it, whether that exists or not. The base is the newest version,
  // or that of the snapshot `since`. ARG inside a transaction, FULL when the thread has too many pins.
  Status Watch(uint64_t id, const PathStep* steps, size_t count, uint64_t since, uint64_t* watcher);
  void Unwatch(uint64_t watcher);
  // Visits what has changed since the base; nothing when nothing that is watched did. The visitor must not use the session.
  // After a failure the next call visits a reset. O(changed nodes * fan-out + depth).
  Status Changes(uint64_t watcher, ChangeVisitor* visitor);
  // To be called when the reader of the last Changes() has read, in the live state, what it wanted of the containers that were
  // shown: those that were changed before this call are shown again. Arm, Wait and Changes call it themselves.
  Status SettleChanges(uint64_t watcher);
  // Two ways to wait for a version newer than the base. *changed tells whether there is one; it need not concern what is watched.
  // Arm: if there is none, `notify(context, watcher)` is called once when there is, by another thread, which it must not hold
  // up; never again after Unwatch or Close.
  Status ArmChanges(uint64_t watcher, ChangeNotify notify, void* context, bool* changed);
  // Wait: blocks, at most so many nanoseconds (kForever: no limit). May return early, when a signal came or InterruptWait was
  // called: so *changed = false does not say that the time is over. No other call may use the session meanwhile, except
  // InterruptWait and those that any thread may make.
  Status WaitChanges(uint64_t watcher, uint64_t nanoseconds, bool* changed);
  // Ends the WaitChanges under way, or the next one. Callable from any thread.
  void InterruptWait();

  // -- whole database --
  // Blocks until every commit made so far is durable; callable from any thread. After an error of the disk it fails with IO, as
  // writes do, until `rewrite` has written the whole file anew: O(size of the file). `hooks.interrupted`, called on this thread, may end
  // the wait for a checkpoint that another process makes: CLOSED.
  Status Sync(bool rewrite = false, const WaitHooks& hooks = {});
  Status Verify(Counts* counts, std::string* problem);   // callable from any thread
  Status Gc(bool complete, Counts* before, Counts* after);  // callable from any thread
  void Stats(std::vector<std::pair<std::string, double>>* stats);
  std::string Info();
  Status Report(DatabaseReport* report);     // model/report.h; O(file)
  Status Proxies(std::map<uint64_t, std::vector<uint64_t>>* by_process);  // containers shown, by process id
  Status Names(std::vector<std::string>* names);  // property names stored once, in order
  Status SetChunkSize(uint64_t bytes);
  Status SetIdKey(const std::string& name);
  void SetDurability(Durability durability);
  uint64_t chunk_size() const;
  uint64_t max_size() const;
  std::string id_key() const;
  const uint8_t* uuid() const;      // 16 bytes

 private:
  explicit Session(std::unique_ptr<SessionImpl> impl);
  Status Look(uint64_t view, uint64_t id, const Key& key, bool use, ValueVisitor found);
  std::unique_ptr<SessionImpl> impl_;
};

}  // namespace pongo

#endif  // PONGO_DATABASE_H_
