// LockRequest: a place in the queue of a lock, semaphore or event, and then what was granted. pongo.lock and its like use it
// (native/python/pongo/_coordination.py).
//
// Requests belong to the session of the handle that belongs to no thread: any thread may wait for one and give it back. That
// session is used with the GIL only; what wait() does without the GIL is to sleep on a word of this process, which the
// engine's waiter, close() and release change.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>

#include "convert.h"
#include "database.h"
#include "handle.h"
#include "methods.h"
#include "model/lock_waiter.h"
#include "port/port.h"

namespace pongo::python {
namespace {

constexpr uint32_t kPending = 0;
constexpr uint32_t kClosed = ~0u;  // beside the values of LockOutcome

// Told by the engine's waiter until the request is given back.
class Outcome final : public LockListener {
 public:
  void OnLock(uint64_t, LockOutcome outcome) override { Set(static_cast<uint32_t>(outcome)); }
  void Set(uint32_t value) {
    word.store(value, std::memory_order_release);
    port::FutexWake(&word, ~0u);
  }
  std::atomic<uint32_t> word{kPending};
};

struct RequestObject {
  PyObject_HEAD
  HandleObject* handle;
  Outcome* outcome;
  uint64_t id;  // 0: given back
  PyObject* weakrefs;
};

RequestObject* Self(PyObject* self) { return reinterpret_cast<RequestObject*>(self); }

// The name as bytes: lone surrogates as any other code point, as in every language.
Owned NameBytes(PyObject* name) { return Owned(PyUnicode_AsEncodedString(name, "utf-8", "surrogatepass")); }

std::string_view View(const Owned& bytes) {
  return {PyBytes_AS_STRING(bytes.get()), static_cast<size_t>(PyBytes_GET_SIZE(bytes.get()))};
}

// None: for ever.
bool ReadSeconds(PyObject* seconds, uint64_t* nanoseconds) {
  *nanoseconds = port::kForever;
  if (seconds == Py_None) return true;
  const double wanted = PyFloat_AsDouble(seconds);
  if (wanted == -1 && PyErr_Occurred() != nullptr) return false;
  if (!(wanted >= 0)) {
    RaiseFormat(Code::kARG, "timeout must be seconds from 0 on or None, not %R", seconds);
    return false;
  }
  if (wanted < 1e9) *nanoseconds = static_cast<uint64_t>(wanted * 1e9);
  return true;
}

RequestObject* New(HandleObject* handle) {
  RequestObject* self = Self(lock_request_type->tp_alloc(lock_request_type, 0));
  if (self == nullptr) return nullptr;
  Py_INCREF(handle);
  self->handle = handle;
  self->outcome = new Outcome;
  return self;
}

// make(handle, kind, shared, permits, name, timeout, if_available) -> request, or None when it is not available
PyObject* Make(PyObject*, PyObject* args) {
  PyObject *handle_object, *name, *timeout;
  unsigned kind, permits;
  int shared, if_available;
  if (!PyArg_ParseTuple(args, "O!IpIUOp:make", handle_type, &handle_object, &kind, &shared, &permits, &name, &timeout, &if_available))
    return nullptr;
  auto* handle = reinterpret_cast<HandleObject*>(handle_object);
  uint64_t nanoseconds;
  const Owned bytes = NameBytes(name);
  if (!bytes || !ReadSeconds(timeout, &nanoseconds)) return nullptr;
  Session* mine = SessionOf(handle);
  if (mine == nullptr) return nullptr;
  if (mine->InTransaction()) return Raise(Code::kARG, "locks, semaphores and events cannot be used inside a transaction");
  const Owned made(AsObject(New(handle)));
  Session* home = HomeOf(handle);
  if (!made || home == nullptr) return nullptr;
  RequestObject* self = Self(made.get());
  LockWish wish;
  wish.kind = static_cast<LockKind>(kind);
  wish.mode = shared != 0 ? LockMode::kShared : LockMode::kExclusive;
  wish.permits = permits;
  wish.name = View(bytes);
  wish.client = home->lock_client();
  // What is free needs no waiter.
  wish.if_available = true;
  Status status = home->Acquire(wish, 0, &self->id);
  if (!status.ok() && status.code() != Code::kTIMEOUT) return Raise(status);
  if (self->id != 0) {
    self->outcome->Set(static_cast<uint32_t>(LockOutcome::kGranted));
    return NewReference(made.get());
  }
  if (if_available != 0) Py_RETURN_NONE;
  wish.if_available = false;
  bool granted = false;
  status = home->AcquireLater(wish, nanoseconds, self->outcome, false, &self->id, &granted);
  if (!status.ok()) return Raise(status);
  if (granted) self->outcome->Set(static_cast<uint32_t>(LockOutcome::kGranted));
  return NewReference(made.get());
}

// attach(handle, name, permits) -> what keeps the number of permits of a semaphore; None when the handle may not acquire it.
PyObject* Attach(PyObject*, PyObject* args) {
  PyObject *handle_object, *name;
  unsigned permits;
  if (!PyArg_ParseTuple(args, "O!UI:attach", handle_type, &handle_object, &name, &permits)) return nullptr;
  auto* handle = reinterpret_cast<HandleObject*>(handle_object);
  const Owned bytes = NameBytes(name);
  const Owned made(bytes ? AsObject(New(handle)) : nullptr);
  Session* home = HomeOf(handle);
  if (!made || home == nullptr) return nullptr;
  LockWish wish;
  wish.kind = LockKind::kSemaphore;
  wish.permits = permits;
  wish.name = View(bytes);
  const Status status = home->AttachSemaphore(wish, &Self(made.get())->id);
  if (status.code() == Code::kREADONLY || status.code() == Code::kFULL) Py_RETURN_NONE;
  return status.ok() ? NewReference(made.get()) : Raise(status);
}

// close(): gives it back, or leaves the queue; who waits for it is told. Idempotent.
PyObject* Close(PyObject* object, PyObject*) {
  RequestObject* self = Self(object);
  Session* home = HomeIfOpen(self->handle);
  if (self->id != 0 && home != nullptr) {
    const Status status = home->ReleaseLock(self->id);
    if (!status.ok()) return Raise(status);
  }
  self->id = 0;
  if (self->outcome->word.load(std::memory_order_acquire) == kPending) self->outcome->Set(kClosed);
  Py_RETURN_NONE;
}

// A signal may come between Python's last look at its signals and the wait, which it does not end then.
constexpr uint64_t kLookNs = 100'000'000;

// wait(seconds or None) -> whether it was granted. May return False early, so that Python can look for signals. TIMEOUT, CLOSED.
PyObject* Wait(PyObject* object, PyObject* seconds) {
  RequestObject* self = Self(object);
  uint64_t nanoseconds;
  if (!ReadSeconds(seconds, &nanoseconds) || HomeOf(self->handle) == nullptr) return nullptr;
  Outcome* outcome = self->outcome;
  if (outcome->word.load(std::memory_order_acquire) == kPending) {
    Py_INCREF(object);
    PyThreadState* state = PyEval_SaveThread();
    port::FutexWait(&outcome->word, kPending, std::min(nanoseconds, kLookNs));
    PyEval_RestoreThread(state);
    const uint32_t word = outcome->word.load(std::memory_order_acquire);
    Py_DECREF(object);
    if (word == kPending) Py_RETURN_FALSE;
  }
  switch (outcome->word.load(std::memory_order_acquire)) {
    case static_cast<uint32_t>(LockOutcome::kGranted):
      Py_RETURN_TRUE;
    case static_cast<uint32_t>(LockOutcome::kTimeout):
      return Raise(Code::kTIMEOUT, "it was not granted within the time");
    default:
      return HomeOf(self->handle) == nullptr ? nullptr : Raise(Code::kCLOSED, "it was given back while it was waited for");
  }
}

PyObject* SetEvent(PyObject*, PyObject* args) {
  PyObject *handle, *name;
  int set;
  if (!PyArg_ParseTuple(args, "O!Up:set_event", handle_type, &handle, &name, &set)) return nullptr;
  const Owned bytes = NameBytes(name);
  Session* session = bytes ? SessionOf(reinterpret_cast<HandleObject*>(handle)) : nullptr;
  if (session == nullptr) return nullptr;
  const Status status = session->SetEvent(View(bytes), set != 0);
  if (!status.ok()) return Raise(status);
  Py_RETURN_NONE;
}

PyObject* EventIsSet(PyObject*, PyObject* args) {
  PyObject *handle, *name;
  if (!PyArg_ParseTuple(args, "O!U:event_is_set", handle_type, &handle, &name)) return nullptr;
  const Owned bytes = NameBytes(name);
  Session* session = bytes ? SessionOf(reinterpret_cast<HandleObject*>(handle)) : nullptr;
  if (session == nullptr) return nullptr;
  bool set = false;
  const Status status = session->EventIsSet(View(bytes), &set);
  return status.ok() ? PyBool_FromLong(set) : Raise(status);
}

void Dealloc(PyObject* object) {
  RequestObject* self = Self(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (self->weakrefs != nullptr) PyObject_ClearWeakRefs(object);
  if (self->id != 0) {
    Session* home = HomeIfOpen(self->handle);
    // The listener is not told any more, even when the table cannot be had now: closing the handle gives the lock back then.
    if (home != nullptr) static_cast<void>(home->ReleaseLock(self->id));
  }
  delete self->outcome;
  Py_CLEAR(self->handle);
  type->tp_free(object);
  Py_DECREF(type);
}

int Traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(AsObject(Self(object)->handle));
  return 0;
}

PyMethodDef methods[] = {
    {"make", Make, METH_VARARGS | METH_STATIC, nullptr},
    {"attach", Attach, METH_VARARGS | METH_STATIC, nullptr},
    {"set_event", SetEvent, METH_VARARGS | METH_STATIC, nullptr},
    {"event_is_set", EventIsSet, METH_VARARGS | METH_STATIC, nullptr},
    {"wait", Wait, METH_O, nullptr},
    {"close", Close, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(RequestObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

}  // namespace

bool AddLockRequestType(PyObject* m) {
  static PyType_Slot slots[] = {
      {Py_tp_dealloc, Slot(Dealloc)}, {Py_tp_traverse, Slot(Traverse)}, {Py_tp_new, Slot(RefuseNew)},
      {Py_tp_methods, methods},       {Py_tp_members, members},         {0, nullptr},
  };
  static PyType_Spec spec = {"pongo._pongo.LockRequest", sizeof(RequestObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
  lock_request_type = AddType(m, &spec, "LockRequest");
  return lock_request_type != nullptr;
}

}  // namespace pongo::python
