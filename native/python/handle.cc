#include "handle.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace pongo::python {

thread_local constinit uint64_t thread_serial = 1;  // no handle has it
thread_local constinit Session* thread_session = nullptr;

namespace {

uint64_t next_serial = 2;
std::atomic<uint64_t> fork_generation{0};

constexpr const char* kForkedText = "this handle was opened before fork(): open the file again in the child";

// The sessions of one thread, by handle. Closed when the thread ends, without the GIL.
class ThreadSessions {
 public:
  ~ThreadSessions() {
    thread_serial = 1;
    while (!entries_.empty()) Forget(entries_.size() - 1);
  }

  ThreadSession* Find(uint64_t serial) {
    for (const Entry& entry : entries_)
      if (entry.serial == serial) return entry.session;
    return nullptr;
  }

  void Add(uint64_t serial, const std::shared_ptr<SessionTable>& table, ThreadSession* session) {
    DropClosed();
    entries_.push_back({serial, fork_generation.load(), table, session});
  }

  void DropClosed() {
    for (size_t i = entries_.size(); i-- > 0;) {
      if (entries_[i].generation == fork_generation.load()) {
        const std::lock_guard<std::mutex> lock(entries_[i].table->mutex);
        if (!entries_[i].table->closed) continue;
      }
      Forget(i);
    }
  }

 private:
  struct Entry {
    uint64_t serial;
    uint64_t generation;
    std::shared_ptr<SessionTable> table;
    ThreadSession* session;
  };

  void Forget(size_t i) {
    Entry entry = std::move(entries_[i]);
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(i));
    if (entry.generation != fork_generation.load()) {
      // The parent's: its lock may be held by a thread that is not here. What is behind it stays where it is.
      new std::shared_ptr<SessionTable>(std::move(entry.table));
      return;
    }
    const std::lock_guard<std::mutex> lock(entry.table->mutex);
    std::erase(entry.table->sessions, entry.session);
    delete entry.session;
  }

  std::vector<Entry> entries_;
};

thread_local ThreadSessions thread_sessions;

// Runs in the thread that waits, with the GIL.
void BeforeWait(void* context) {
  auto* session = static_cast<ThreadSession*>(context);
  session->busy = true;
  session->waiting = PyEval_SaveThread();
}

void AfterWait(void* context) {
  auto* session = static_cast<ThreadSession*>(context);
  PyEval_RestoreThread(session->waiting);
  session->busy = false;
}

void InForkedChild() {
  fork_generation.fetch_add(1);
  thread_serial = 1;
}

bool IsForked(const HandleState* state) { return state->generation != fork_generation.load(std::memory_order_relaxed); }

}  // namespace

bool WatchForks() { return pthread_atfork(nullptr, nullptr, InForkedChild) == 0; }

Session* OpenThreadSession(HandleObject* handle) {
  HandleState* state = handle->state;
  if (state->serial == 0) {
    RaiseFormat(Code::kCLOSED, "the database %s is closed: open it again", state->path.c_str());
    return nullptr;
  }
  if (IsForked(state)) {
    Raise(Code::kFORK, kForkedText);
    return nullptr;
  }
  ThreadSession* session = thread_sessions.Find(state->serial);
  if (session == nullptr) {
    Result<std::unique_ptr<Session>> opened = state->home->Another();
    if (!opened.ok()) {
      Raise(opened.status(), state->path);
      return nullptr;
    }
    session = new ThreadSession;
    session->session = std::move(opened.value());
    session->session->SetDurability(state->durability);
    session->session->SetWaitHooks({.before = BeforeWait, .after = AfterWait, .context = session});
    thread_sessions.Add(state->serial, state->table, session);
    const std::lock_guard<std::mutex> lock(state->table->mutex);
    state->table->sessions.push_back(session);
  }
  thread_serial = state->serial;
  thread_session = session->session.get();
  return thread_session;
}

Session* HomeIfOpen(HandleObject* handle) {
  return handle->state->serial == 0 || IsForked(handle->state) ? nullptr : handle->state->home.get();
}

Session* HomeOf(HandleObject* handle) {
  Session* home = HomeIfOpen(handle);
  // The thread's session says what is wrong.
  if (home == nullptr) static_cast<void>(OpenThreadSession(handle));
  return home;
}

bool ReadPlace(const ProxyObject* proxy, Place* place) {
  if (proxy->snapshot == nullptr) [[likely]] {
    place->view = 0;
    place->session = SessionOf(proxy->handle);
    return place->session != nullptr;
  }
  place->session = HomeOf(proxy->handle);
  place->view = proxy->snapshot->view;
  if (place->session == nullptr) return false;
  if (place->view != 0) return true;
  Raise(Code::kSNAPSHOT, "the snapshot was released");
  return false;
}

Session* WriteSession(const ProxyObject* proxy) {
  if (proxy->snapshot == nullptr) [[likely]] return SessionOf(proxy->handle);
  Raise(Code::kREADONLY, "a snapshot cannot be written: write to the live container");
  return nullptr;
}

// -- opening and closing --

// Sessions that wait for something are left to their threads.
void CloseHandle(HandleObject* handle) {
  HandleState* state = handle->state;
  if (state->serial == 0) return;
  const bool forked = IsForked(state);
  if (thread_serial == state->serial) thread_serial = 1;
  state->serial = 0;
  state->live.clear();
  if (forked) {
    static_cast<void>(state->home.release());
    new std::shared_ptr<SessionTable>(std::move(state->table));
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(state->table->mutex);
    state->table->closed = true;
    for (ThreadSession* session : state->table->sessions)
      if (!session->busy) static_cast<void>(session->session->Close());
  }
  state->home.reset();
  thread_sessions.DropClosed();
}

// Takes over an open session. Null with an exception set.
PyObject* NewHandle(const std::string& path, const OpenOptions& options, std::unique_ptr<Session> session) {
  auto* handle = reinterpret_cast<HandleObject*>(handle_type->tp_alloc(handle_type, 0));
  if (handle == nullptr) return nullptr;
  auto* state = new HandleState;
  state->path = path;
  state->serial = next_serial++;
  state->generation = fork_generation.load();
  state->read_only = options.read_only;
  state->durability = options.durability;
  state->home = std::move(session);
  state->table = std::make_shared<SessionTable>();
  std::memcpy(state->uuid, state->home->uuid(), 16);
  handle->state = state;
  return AsObject(handle);
}

void DeallocHandle(PyObject* self) {
  auto* handle = reinterpret_cast<HandleObject*>(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (handle->weakrefs != nullptr) PyObject_ClearWeakRefs(self);
  if (handle->state != nullptr) {
    CloseHandle(handle);
    Py_CLEAR(handle->state->newkey);
    Py_CLEAR(handle->state->uuid_class);
    Py_CLEAR(handle->state->uuid_constructor);
    delete handle->state;
  }
  type->tp_free(self);
  Py_DECREF(type);
}

int TraverseHandle(PyObject* self, visitproc visit, void* arg) {
  const auto* handle = reinterpret_cast<HandleObject*>(self);
  Py_VISIT(Py_TYPE(self));
  if (handle->state == nullptr) return 0;
  Py_VISIT(handle->state->newkey);
  Py_VISIT(handle->state->uuid_class);
  Py_VISIT(handle->state->uuid_constructor);
  return 0;
}

int ClearHandle(PyObject* self) {
  const auto* handle = reinterpret_cast<HandleObject*>(self);
  if (handle->state == nullptr) return 0;
  Py_CLEAR(handle->state->newkey);
  Py_CLEAR(handle->state->uuid_class);
  Py_CLEAR(handle->state->uuid_constructor);
  return 0;
}

// -- live objects --

namespace {

PyTypeObject* ClassOf(Kind kind) {
  switch (kind) {
    case Kind::kList:
      return module.list_class;
    case Kind::kCollection:
      return module.collection_class;
    case Kind::kMulti:
      return module.multi_class;
    case Kind::kDict:
    case Kind::kNone:
      break;
  }
  return module.dict_class;
}

}  // namespace

bool IsProxy(PyObject* object) {
  return PyType_IsSubtype(Py_TYPE(object), keyed_type) != 0 || PyType_IsSubtype(Py_TYPE(object), sequence_type) != 0;
}

PyObject* MakeProxy(HandleObject* handle, SnapshotObject* snapshot, Kind kind, uint64_t id, uint32_t cell) {
  HandleState* state = handle->state;
  if (snapshot == nullptr) {
    const auto known = state->live.find(id);
    // One that is dying may still be in the table.
    if (known != state->live.end() && Py_REFCNT(AsObject(known->second)) > 0) {
      PyObject* object = NewReference(AsObject(known->second));
      if (Session* home = HomeIfOpen(handle); home != nullptr) home->UnpinContainer(cell);
      return object;
    }
  }
  PyTypeObject* type = ClassOf(kind);
  auto* proxy = AsProxy(type->tp_alloc(type, 0));
  if (proxy == nullptr) {
    if (Session* home = HomeIfOpen(handle); home != nullptr) home->UnpinContainer(cell);
    return nullptr;
  }
  Py_INCREF(handle);
  proxy->handle = handle;
  Py_XINCREF(snapshot);
  proxy->snapshot = snapshot;
  proxy->id = id;
  proxy->cell = cell;
  proxy->kind = kind;
  // The allocation may have run Python code, which may have closed the database.
  if (snapshot == nullptr && state->serial != 0) state->live[id] = proxy;
  return AsObject(proxy);
}

PyObject* CreateContainer(HandleObject* handle, Kind kind, const uint8_t* wire, size_t size) {
  return CreateContainer(handle, kind, [&](Session* session, uint64_t* id, uint32_t* cell) {
    return session->Create(kind, wire, size, id, cell);
  });
}

PyObject* CreateContainer(HandleObject* handle, Kind kind, FunctionRef<Status(Session* session, uint64_t* id, uint32_t* cell)> create) {
  Session* session = SessionOf(handle);
  if (session == nullptr) return nullptr;
  uint64_t id = 0;
  uint32_t cell = kNoCell;
  const Status status = create(session, &id, &cell);
  if (!status.ok()) return Raise(status);
  // The cell moves to the session that belongs to no thread.
  uint32_t own = kNoCell;
  if (Session* home = HomeIfOpen(handle); home != nullptr) own = home->PinContainer(id);
  session->UnpinContainer(cell);
  return MakeProxy(handle, nullptr, kind, id, own);
}

void DeallocProxy(PyObject* self) {
  ProxyObject* proxy = AsProxy(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (proxy->handle != nullptr && proxy->snapshot == nullptr) {
    auto& live = proxy->handle->state->live;
    const auto known = live.find(proxy->id);
    if (known != live.end() && known->second == proxy) live.erase(known);
  }
  if (proxy->weakrefs != nullptr) PyObject_ClearWeakRefs(self);
  if (proxy->handle != nullptr) {
    if (Session* home = HomeIfOpen(proxy->handle); home != nullptr) home->UnpinContainer(proxy->cell);
  }
  Py_CLEAR(proxy->snapshot);
  Py_CLEAR(proxy->handle);
  type->tp_free(self);
  Py_DECREF(type);
}

int TraverseProxy(PyObject* self, visitproc visit, void* arg) {
  ProxyObject* proxy = AsProxy(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(AsObject(proxy->handle));
  Py_VISIT(AsObject(proxy->snapshot));
  return 0;
}

// The references to the handle and the snapshot stay: they lead nowhere but to hooks, which the handle clears.
int ClearProxy(PyObject*) { return 0; }

// -- snapshots --

SnapshotObject* MakeSnapshot(HandleObject* handle) {
  Session* home = HomeOf(handle);
  if (home == nullptr) return nullptr;
  auto* snapshot = reinterpret_cast<SnapshotObject*>(snapshot_type->tp_alloc(snapshot_type, 0));
  if (snapshot == nullptr) return nullptr;
  Py_INCREF(handle);
  snapshot->handle = handle;
  const Status status = home->Snapshot(&snapshot->view);
  if (status.ok()) return snapshot;
  Py_DECREF(snapshot);
  Raise(status);
  return nullptr;
}

}  // namespace pongo::python
