// An open database as Python holds it, and the live containers that it shows.
//
// Threads. All state here is guarded by the GIL. A core Session belongs to one thread at a time, so each Python thread that
// uses a handle has a session of its own, opened at its first call and closed when the thread ends or the handle is closed.
// One more session, `home`, belongs to no thread: it holds the pins of live objects and the snapshots, which objects carry
// from thread to thread. It never waits, so the GIL is its lock. The other sessions give the GIL away around their waits
// (WaitHooks) and are marked busy then: close() leaves those to their threads.
//
// fork(): in the child every call raises FORK. The generation is compared before a session is touched, so that no lock of
// a thread that is not there any more is waited for.
#ifndef PONGO_PYTHON_HANDLE_H_
#define PONGO_PYTHON_HANDLE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "database.h"
#include "module.h"

namespace pongo::python {

struct ProxyObject;

struct ThreadSession {
  std::unique_ptr<Session> session;
  PyThreadState* waiting = nullptr;   // while its thread has given the GIL away inside a call
  bool busy = false;
};

// The sessions of the threads. Its own lock: a thread that ends closes its session without the GIL.
struct SessionTable {
  std::mutex mutex;
  std::vector<ThreadSession*> sessions;
  bool closed = false;
};

struct HandleState {
  std::string path;                   // absolute
  uint64_t serial = 0;                // names this opening in the caches of threads; 0 once closed
  uint64_t generation = 0;            // of fork(), when it was opened
  bool read_only = false;
  Durability durability = Durability::kCheckpoint;
  std::unique_ptr<Session> home;
  std::shared_ptr<SessionTable> table;
  std::unordered_map<uint64_t, ProxyObject*> live;  // by container id; borrowed, taken out when they die
  PyObject* newkey = nullptr;
  PyObject* uuid_class = nullptr;
  PyObject* uuid_constructor = nullptr;
  uint8_t uuid[16] = {};
};

struct HandleObject {
  PyObject_HEAD
  HandleState* state;
  PyObject* weakrefs;
};

struct SnapshotObject {
  PyObject_HEAD
  HandleObject* handle;
  uint64_t view;       // 0 once released
};

struct ProxyObject {
  PyObject_HEAD
  HandleObject* handle;
  SnapshotObject* snapshot;  // null: live
  uint64_t id;
  uint32_t cell;
  Kind kind;
  PyObject* weakrefs;
};

extern thread_local constinit uint64_t thread_serial;
extern thread_local constinit Session* thread_session;

// The session of the calling thread; null with an exception set when the handle is closed, or the process was forked.
Session* OpenThreadSession(HandleObject* handle);
inline Session* SessionOf(HandleObject* handle) {
  if (thread_serial == handle->state->serial) [[likely]] return thread_session;
  return OpenThreadSession(handle);
}
// The session of pins and snapshots; null with an exception set.
Session* HomeOf(HandleObject* handle);
// As HomeOf, but null without an exception.
Session* HomeIfOpen(HandleObject* handle);

// Where a proxy reads.
struct Place {
  Session* session;
  uint64_t view;
};
// False with an exception set.
bool ReadPlace(const ProxyObject* proxy, Place* place);
// The session for writes; null with an exception set. A container of a snapshot: READONLY.
Session* WriteSession(const ProxyObject* proxy);

// The object of a container; `cell` passes to it. `snapshot` null: live. Null with an exception set.
PyObject* MakeProxy(HandleObject* handle, SnapshotObject* snapshot, Kind kind, uint64_t id, uint32_t cell);
// A new container, which `create` makes as Session::Create does.
PyObject* CreateContainer(HandleObject* handle, Kind kind, FunctionRef<Status(Session* session, uint64_t* id, uint32_t* cell)> create);
// A new empty container, or one with the content of a wire value.
PyObject* CreateContainer(HandleObject* handle, Kind kind, const uint8_t* wire, size_t size);
// True for live objects and those of snapshots.
bool IsProxy(PyObject* object);
inline ProxyObject* AsProxy(PyObject* object) { return reinterpret_cast<ProxyObject*>(object); }

SnapshotObject* MakeSnapshot(HandleObject* handle);

// Deallocation and garbage collection of the proxy types.
void DeallocProxy(PyObject* self);
int TraverseProxy(PyObject* self, visitproc visit, void* arg);
int ClearProxy(PyObject* self);

// Runs `body(Session*)` as one transaction, joining the one that is open. Status of the body, or of the commit.
template <class F>
Status Atomically(Session* session, F&& body) {
  if (session->InTransaction()) return body();
  for (;;) {
    PONGO_TRY(session->Begin());
    const Status status = body();
    if (!status.ok()) {
      static_cast<void>(session->Abort());
      return status;
    }
    bool committed = false;
    PONGO_TRY(session->Commit(&committed));
    if (committed) return Status::Ok();
  }
}

}  // namespace pongo::python

#endif  // PONGO_PYTHON_HANDLE_H_
