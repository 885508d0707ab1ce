// A database handle as one JavaScript environment holds it: the session, and the hooks of the TypeScript layer.
//
// Lifetime. The functions of a NativeDb are bound to their Handle by a plain pointer, and may be called unbound. Every
// one of them keeps the same JavaScript object alive, the anchor, whose finalizer frees the Handle: so no function can
// be called after its Handle is gone, and a database that was dropped without close() is closed by the garbage
// collector. The hooks live on the anchor too, and the Handle refers to them weakly: otherwise a hook that mentions the
// database would keep it for ever. Background work holds the anchor and shares the Handle.
//
// Only used by the thread of its environment, except that background work calls the thread-safe methods of the session.
#ifndef PONGO_NODE_HANDLE_H_
#define PONGO_NODE_HANDLE_H_

#include <node_api.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "database.h"
#include "database_backup.h"
#include "environment.h"
#include "lock_notifier.h"
#include "listener.h"

namespace pongo::node {

enum class Hook : uint8_t { kError, kContainer, kUuid };
inline constexpr size_t kHookCount = 3;
inline constexpr size_t kRecordNumbersMax = 128;  // two for each property name that a shape can have, and two more

// A function of NativeDb; `data` of its call is the Handle.
struct Method {
  const char* name;
  napi_callback callback;
};

// Room for what packed.h puts together, kept from call to call.
struct PackedRoom {
  std::vector<double> numbers;
  std::string narrow;           // texts of ASCII
  std::u16string wide;          // other texts
  std::string record_narrow;    // the texts of one record, as long as all are ASCII
  std::u16string record_wide;   // else
};

class Handle : public std::enable_shared_from_this<Handle> {
 public:
  // Makes the NativeDb object around an open session. Null with an exception pending on failure; the session is then
  // closed.
  static napi_value Create(napi_env env, std::unique_ptr<Session> session, const napi_value hooks[kHookCount], napi_value numbers);
  Handle(napi_env env, std::shared_ptr<Environment> environment, std::unique_ptr<Session> session);
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  napi_env env() const { return env_; }
  // Null once closed.
  Session* session() const { return session_.get(); }
  PackedRoom& packed_room() const { return packed_room_; }
  // Where the numbers of a single record go: memory of a Float64Array of kRecordNumbersMax elements that lib/packed.ts reads.
  double* record_numbers() const { return record_numbers_; }
  // Another handle to the file is inside a transaction: what is read here would not belong to it.
  bool barred() const { return barred_; }
  void Bar(bool on) { barred_ = on; }
  // Null when it was collected, which happens only while the environment is going down.
  napi_value hook(Hook hook) const;

  // Null until JavaScript listens.
  LockNotifier* lock_notifier() const { return lock_notifier_.get(); }
  void set_lock_notifier(std::unique_ptr<LockNotifier> notifier) { lock_notifier_ = std::move(notifier); }

  // Idempotent. Locks are given back at once. With background work under way the session is closed when the last of it has ended.
  Status Close();

  // Where watchers report; null when there are none.
  Listener* listener() const { return listener_.get(); }
  void SetListener(std::shared_ptr<Listener> listener);

  // Background work: between Begin and End the session stays open and the anchor alive.
  Status BeginWork(napi_ref* anchor);
  void EndWork(napi_ref anchor);

  // Backups that were started and not ended, by the view that each has pinned.
  std::map<uint64_t, std::shared_ptr<Backup>>& backups() { return backups_; }

 private:
  bool Bind(napi_value object, const napi_value hooks[kHookCount], napi_value numbers);
  Status CloseSession();

  const napi_env env_;
  const std::shared_ptr<Environment> environment_;
  std::shared_ptr<Listener> listener_;  // outlives the sessions, whose waiting thread refers to it
  std::unique_ptr<Session> session_;  // what callers use; null once closed
  std::unique_ptr<Session> closing_;  // closed by the user, still used by background work
  std::unique_ptr<LockNotifier> lock_notifier_;
  bool barred_ = false;
  uint32_t works_ = 0;                // background works under way
  napi_ref anchor_ = nullptr;
  napi_ref hooks_[kHookCount] = {};
  std::map<uint64_t, std::shared_ptr<Backup>> backups_;
  mutable PackedRoom packed_room_;
  double* record_numbers_ = nullptr;
};

}  // namespace pongo::node

#endif  // PONGO_NODE_HANDLE_H_
