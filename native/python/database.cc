// Handle: what concerns the database as a whole; and Snapshot. The functions of pongo (native/python/pongo) call these.
#include <cstring>
#include <map>

#include "convert.h"
#include "database.h"
#include "handle.h"
#include "methods.h"

namespace pongo::python {

PyObject* NewHandle(const std::string& path, const OpenOptions& options, std::unique_ptr<Session> session);
void CloseHandle(HandleObject* handle);
void DeallocHandle(PyObject* self);
int TraverseHandle(PyObject* self, visitproc visit, void* arg);
int ClearHandle(PyObject* self);

namespace {

HandleObject* Self(PyObject* self) { return reinterpret_cast<HandleObject*>(self); }

PyObject* Done(const Status& status) {
  if (!status.ok()) return Raise(status);
  Py_RETURN_NONE;
}

bool ReadDurability(const char* name, Durability* durability) {
  if (std::strcmp(name, "checkpoint") == 0) return *durability = Durability::kCheckpoint, true;
  if (std::strcmp(name, "sync") == 0) return *durability = Durability::kSync, true;
  if (std::strcmp(name, "none") == 0) return *durability = Durability::kNone, true;
  RaiseFormat(Code::kARG, "durability must be 'checkpoint', 'sync' or 'none', not '%.100s'", name);
  return false;
}

const char* DurabilityName(Durability durability) {
  return durability == Durability::kSync ? "sync" : durability == Durability::kNone ? "none" : "checkpoint";
}

// open(path, create, read_only, mode, chunksize, max_size, durability, checkpoint_interval)
PyObject* Open(PyObject*, PyObject* args) {
  const char *path, *durability;
  int create, read_only;
  unsigned mode, interval;
  unsigned long long chunk_size, max_size;
  if (!PyArg_ParseTuple(args, "sppIKKsI:open", &path, &create, &read_only, &mode, &chunk_size, &max_size, &durability, &interval))
    return nullptr;
  OpenOptions options;
  options.create = create != 0;
  options.read_only = read_only != 0;
  options.mode = mode;
  options.chunk_size = chunk_size;
  options.max_size = max_size;
  options.checkpoint_interval_ms = interval;
  if (!ReadDurability(durability, &options.durability)) return nullptr;
  const std::string name = path;
  std::string detail;
  PyThreadState* state = PyEval_SaveThread();  // recovery may take its time
  Result<std::unique_ptr<Session>> opened = Session::Open(name, options, &detail);
  PyEval_RestoreThread(state);
  if (!opened.ok()) return detail.empty() ? Raise(opened.status(), name) : Raise(Status(opened.status().code(), "", opened.status().os_error()), detail);
  return NewHandle(name, options, std::move(opened.value()));
}

PyObject* Close(PyObject* self, PyObject*) {
  CloseHandle(Self(self));
  Py_RETURN_NONE;
}

PyObject* Root(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  if (session == nullptr) return nullptr;
  Kind kind = Kind::kNone;
  const Status status = session->GetKind(0, kRootId, &kind);
  if (!status.ok()) return Raise(status);
  return MakeProxy(Self(self), nullptr, Kind::kCollection, kRootId, kNoCell);
}

// create(kind): an empty container, pinned by its object only.
PyObject* Create(PyObject* self, PyObject* args) {
  int kind;
  if (!PyArg_ParseTuple(args, "i:create", &kind)) return nullptr;
  if (kind < 1 || kind > 4) return Raise(Code::kARG, "not a kind of container");
  return CreateContainer(Self(self), static_cast<Kind>(kind), nullptr, 0);
}

// create_bounded(max_items, max_bytes, fifo): 0: no such bound
PyObject* CreateBounded(PyObject* self, PyObject* args) {
  unsigned long long max_items, max_bytes;
  int fifo;
  if (!PyArg_ParseTuple(args, "KKp:create_bounded", &max_items, &max_bytes, &fifo)) return nullptr;
  CollectionBounds bounds;
  bounds.max_items = max_items;
  bounds.max_bytes = max_bytes;
  bounds.fifo = fifo != 0;
  return CreateContainer(Self(self), Kind::kCollection, [&](Session* session, uint64_t* id, uint32_t* cell) {
    return session->CreateBounded(bounds, id, cell);
  });
}

PyObject* Begin(PyObject* self, PyObject* args) {
  int first = 0;
  if (!PyArg_ParseTuple(args, "|p:begin", &first)) return nullptr;
  Session* session = SessionOf(Self(self));
  if (session == nullptr) return nullptr;
  return Done(first != 0 ? session->BeginFirst() : session->Begin());
}

PyObject* Commit(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  if (session == nullptr) return nullptr;
  bool committed = false;
  const Status status = session->Commit(&committed);
  return status.ok() ? PyBool_FromLong(committed) : Raise(status);
}

PyObject* Abort(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  return session == nullptr ? nullptr : Done(session->Abort());
}

PyObject* InTransaction(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  return session == nullptr ? nullptr : PyBool_FromLong(session->InTransaction());
}

PyObject* Snapshot(PyObject* self, PyObject*) { return AsObject(MakeSnapshot(Self(self))); }

PyObject* Version(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  if (session == nullptr) return nullptr;
  uint64_t version = 0;
  const Status status = session->Version(0, &version);
  return status.ok() ? PyLong_FromUnsignedLongLong(version) : Raise(status);
}

// sync, verify and gc work from any thread; the session stays because its thread waits here.
template <class F>
Status WithoutGil(F&& body) {
  PyThreadState* state = PyEval_SaveThread();
  const Status status = body();
  PyEval_RestoreThread(state);
  return status;
}

// A session of its own: others may close the handle meanwhile, which would take the session away.
std::unique_ptr<Session> BackgroundSession(PyObject* self) {
  Session* home = HomeOf(Self(self));
  if (home == nullptr) return nullptr;
  Result<std::unique_ptr<Session>> opened = home->Another();
  if (opened.ok()) return std::move(opened.value());
  Raise(opened.status());
  return nullptr;
}

// The handlers of signals may use the database: it is a session of its own that waits.
PyObject* Sync(PyObject* self, PyObject*) {
  const std::unique_ptr<Session> session = BackgroundSession(self);
  if (session == nullptr) return nullptr;
  PyThreadState* state = PyEval_SaveThread();
  WaitHooks hooks;
  hooks.context = &state;
  hooks.interrupted = [](void* context) {
    auto** saved = static_cast<PyThreadState**>(context);
    PyEval_RestoreThread(*saved);
    const bool raised = PyErr_CheckSignals() != 0;
    *saved = PyEval_SaveThread();
    return raised;
  };
  const Status status = session->Sync(false, hooks);
  PyEval_RestoreThread(state);
  return PyErr_Occurred() != nullptr ? nullptr : Done(status);
}

PyObject* CountsDict(const Counts& counts) {
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "count", counts.live, "bytes", counts.live_bytes,
                       "containers", counts.containers, "nodes", counts.nodes, "values", counts.values, "blobs", counts.blobs,
                       "live", counts.live, "retired", counts.retired, "retired_bytes", counts.retired_bytes, "cached", counts.cached,
                       "free", counts.free, "free_bytes", counts.free_bytes, "orphans", counts.orphans);
}

PyObject* Verify(PyObject* self, PyObject*) {
  const std::unique_ptr<Session> session = BackgroundSession(self);
  if (session == nullptr) return nullptr;
  Counts counts;
  std::string problem;
  const Status status = WithoutGil([&] { return session->Verify(&counts, &problem); });
  if (status.ok()) return CountsDict(counts);
  return problem.empty() ? Raise(status) : Raise(Status(status.code(), ""), problem);
}

PyObject* Gc(PyObject* self, PyObject* args) {
  int complete = 0;
  if (!PyArg_ParseTuple(args, "|p:gc", &complete)) return nullptr;
  const std::unique_ptr<Session> session = BackgroundSession(self);
  if (session == nullptr) return nullptr;
  Counts before, after;
  const Status status = WithoutGil([&] { return session->Gc(complete != 0, &before, &after); });
  if (!status.ok()) return Raise(status);
  const Owned first(CountsDict(before)), second(CountsDict(after));
  return first && second ? PyTuple_Pack(2, first.get(), second.get()) : nullptr;
}

PyObject* Stats(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  if (session == nullptr) return nullptr;
  std::vector<std::pair<std::string, double>> stats;
  session->Stats(&stats);
  Owned dict(PyDict_New());
  for (const auto& [name, value] : stats) {
    const Owned number(PyFloat_FromDouble(value));
    const Owned integer(number ? PyNumber_Long(number.get()) : nullptr);
    if (!dict || !integer || PyDict_SetItemString(dict.get(), name.c_str(), integer.get()) < 0) return nullptr;
  }
  return dict.release();
}

PyObject* Info(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  if (session == nullptr) return nullptr;
  const std::string text = session->Info();
  return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
}

// proxies() -> {process id: [ids of the containers that it shows]}
PyObject* Proxies(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  if (session == nullptr) return nullptr;
  std::map<uint64_t, std::vector<uint64_t>> by_process;
  const Status status = session->Proxies(&by_process);
  if (!status.ok()) return Raise(status);
  Owned dict(PyDict_New());
  for (const auto& [process, ids] : by_process) {
    const Owned key(PyLong_FromUnsignedLongLong(process)), list(PyList_New(0));
    for (const uint64_t id : ids) {
      const Owned number(PyLong_FromUnsignedLongLong(id));
      if (!number || !list || PyList_Append(list.get(), number.get()) < 0) return nullptr;
    }
    if (!dict || !key || !list || PyDict_SetItem(dict.get(), key.get(), list.get()) < 0) return nullptr;
  }
  return dict.release();
}

// names() -> the property names that are stored once, in order
PyObject* Names(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  if (session == nullptr) return nullptr;
  std::vector<std::string> names;
  const Status status = session->Names(&names);
  if (!status.ok()) return Raise(status);
  Owned list(PyList_New(0));
  for (const std::string& name : names) {
    const Owned text(PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "replace"));
    if (!list || !text || PyList_Append(list.get(), text.get()) < 0) return nullptr;
  }
  return list.release();
}

// options() -> (chunksize, max_size, id_key)
PyObject* Options(PyObject* self, PyObject*) {
  Session* session = SessionOf(Self(self));
  if (session == nullptr) return nullptr;
  return Py_BuildValue("KKs", static_cast<unsigned long long>(session->chunk_size()),
                       static_cast<unsigned long long>(session->max_size()), session->id_key().c_str());
}

PyObject* SetChunkSize(PyObject* self, PyObject* args) {
  unsigned long long bytes;
  if (!PyArg_ParseTuple(args, "K:set_chunksize", &bytes)) return nullptr;
  Session* session = SessionOf(Self(self));
  return session == nullptr ? nullptr : Done(session->SetChunkSize(bytes));
}

PyObject* SetIdKey(PyObject* self, PyObject* args) {
  const char* name;
  if (!PyArg_ParseTuple(args, "s:set_id", &name)) return nullptr;
  Session* session = SessionOf(Self(self));
  return session == nullptr ? nullptr : Done(session->SetIdKey(name));
}

PyObject* SetDurability(PyObject* self, PyObject* args) {
  const char* name;
  if (!PyArg_ParseTuple(args, "s:set_durability", &name)) return nullptr;
  HandleObject* handle = Self(self);
  Durability durability;
  if (SessionOf(handle) == nullptr || !ReadDurability(name, &durability)) return nullptr;
  handle->state->durability = durability;
  const std::lock_guard<std::mutex> lock(handle->state->table->mutex);
  for (ThreadSession* session : handle->state->table->sessions) session->session->SetDurability(durability);
  Py_RETURN_NONE;
}

PyObject* GetDurability(PyObject* self, void*) { return PyUnicode_FromString(DurabilityName(Self(self)->state->durability)); }
PyObject* GetPath(PyObject* self, void*) { return PyUnicode_DecodeFSDefault(Self(self)->state->path.c_str()); }
PyObject* GetReadOnly(PyObject* self, void*) { return PyBool_FromLong(Self(self)->state->read_only); }
PyObject* GetClosed(PyObject* self, void*) { return PyBool_FromLong(Self(self)->state->serial == 0); }

// The hooks: an object, or None.
PyObject* GetHook(PyObject* self, void* offset) {
  PyObject* hook = Self(self)->state->*static_cast<PyObject* HandleState::**>(offset)[0];
  return NewReference(hook == nullptr ? Py_None : hook);
}

int SetHook(PyObject* self, PyObject* value, void* offset) {
  PyObject*& hook = Self(self)->state->*static_cast<PyObject* HandleState::**>(offset)[0];
  PyObject* old = hook;
  hook = value == nullptr || value == Py_None ? nullptr : NewReference(value);
  Py_XDECREF(old);
  return 0;
}

PyObject* HandleState::*const newkey_member = &HandleState::newkey;
PyObject* HandleState::*const uuid_class_member = &HandleState::uuid_class;
PyObject* HandleState::*const uuid_constructor_member = &HandleState::uuid_constructor;

template <class T>
void* Closure(const T* member) {
  return const_cast<T*>(member);
}

PyGetSetDef handle_properties[] = {
    {"path", GetPath, nullptr, nullptr, nullptr},
    {"closed", GetClosed, nullptr, nullptr, nullptr},
    {"read_only", GetReadOnly, nullptr, nullptr, nullptr},
    {"durability", GetDurability, nullptr, nullptr, nullptr},
    {"newkey", GetHook, SetHook, nullptr, Closure(&newkey_member)},
    {"uuid_class", GetHook, SetHook, nullptr, Closure(&uuid_class_member)},
    {"uuid_constructor", GetHook, SetHook, nullptr, Closure(&uuid_constructor_member)},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef handle_methods[] = {
    {"open", Open, METH_VARARGS | METH_STATIC, nullptr},
    {"close", Close, METH_NOARGS, nullptr},
    {"root", Root, METH_NOARGS, nullptr},
    {"create", Create, METH_VARARGS, nullptr},
    {"create_bounded", CreateBounded, METH_VARARGS, nullptr},
    {"begin", Begin, METH_VARARGS, nullptr},
    {"commit", Commit, METH_NOARGS, nullptr},
    {"abort", Abort, METH_NOARGS, nullptr},
    {"in_transaction", InTransaction, METH_NOARGS, nullptr},
    {"snapshot", Snapshot, METH_NOARGS, nullptr},
    {"version", Version, METH_NOARGS, nullptr},
    {"sync", Sync, METH_NOARGS, nullptr},
    {"verify", Verify, METH_NOARGS, nullptr},
    {"gc", Gc, METH_VARARGS, nullptr},
    {"stats", Stats, METH_NOARGS, nullptr},
    {"info", Info, METH_NOARGS, nullptr},
    {"proxies", Proxies, METH_NOARGS, nullptr},
    {"names", Names, METH_NOARGS, nullptr},
    {"options", Options, METH_NOARGS, nullptr},
    {"set_chunksize", SetChunkSize, METH_VARARGS, nullptr},
    {"set_id", SetIdKey, METH_VARARGS, nullptr},
    {"set_durability", SetDurability, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef handle_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(HandleObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

// -- snapshots --

SnapshotObject* AsSnapshot(PyObject* self) { return reinterpret_cast<SnapshotObject*>(self); }

PyObject* ReleaseSnapshot(PyObject* self, PyObject*) {
  SnapshotObject* snapshot = AsSnapshot(self);
  const uint64_t view = std::exchange(snapshot->view, 0);
  Session* home = HomeIfOpen(snapshot->handle);
  if (view != 0 && home != nullptr) static_cast<void>(home->Release(view));
  Py_RETURN_NONE;
}

PyObject* SnapshotContainer(PyObject* self, PyObject* args) {
  int kind;
  unsigned long long id;
  if (!PyArg_ParseTuple(args, "iK:container", &kind, &id)) return nullptr;
  SnapshotObject* snapshot = AsSnapshot(self);
  Session* home = HomeOf(snapshot->handle);
  if (home == nullptr) return nullptr;
  if (snapshot->view == 0) return Raise(Code::kSNAPSHOT, "the snapshot was released");
  Kind found = Kind::kNone;
  const Status status = home->GetKind(snapshot->view, id, &found);
  if (!status.ok()) return Raise(status);
  if (found == Kind::kNone) return Raise(Code::kKEY, "the container is not in this snapshot");
  return MakeProxy(snapshot->handle, snapshot, static_cast<Kind>(kind), id, kNoCell);
}

PyObject* SnapshotVersion(PyObject* self, void*) {
  SnapshotObject* snapshot = AsSnapshot(self);
  Session* home = HomeOf(snapshot->handle);
  if (home == nullptr) return nullptr;
  if (snapshot->view == 0) return Raise(Code::kSNAPSHOT, "the snapshot was released");
  uint64_t version = 0;
  const Status status = home->Version(snapshot->view, &version);
  return status.ok() ? PyLong_FromUnsignedLongLong(version) : Raise(status);
}

void DeallocSnapshot(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (AsSnapshot(self)->handle != nullptr) Py_XDECREF(ReleaseSnapshot(self, nullptr));
  Py_CLEAR(AsSnapshot(self)->handle);
  type->tp_free(self);
  Py_DECREF(type);
}

int TraverseSnapshot(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(AsObject(AsSnapshot(self)->handle));
  return 0;
}

PyMethodDef snapshot_methods[] = {
    {"release", ReleaseSnapshot, METH_NOARGS, nullptr},
    {"container", SnapshotContainer, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef snapshot_properties[] = {
    {"version", SnapshotVersion, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

bool AddHandleType(PyObject* m) {
  static PyType_Slot slots[] = {
      {Py_tp_dealloc, Slot(DeallocHandle)},      {Py_tp_traverse, Slot(TraverseHandle)}, {Py_tp_clear, Slot(ClearHandle)},
      {Py_tp_new, Slot(RefuseNew)}, {Py_tp_getset, handle_properties}, {Py_tp_methods, handle_methods},        {Py_tp_members, handle_members},
      {0, nullptr},
  };
  static PyType_Spec spec = {"pongo._pongo.Handle", sizeof(HandleObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
  handle_type = AddType(m, &spec, "Handle");
  return handle_type != nullptr;
}

bool AddSnapshotType(PyObject* m) {
  static PyType_Slot slots[] = {
      {Py_tp_dealloc, Slot(DeallocSnapshot)},      {Py_tp_traverse, Slot(TraverseSnapshot)}, {Py_tp_methods, snapshot_methods},
      {Py_tp_new, Slot(RefuseNew)}, {Py_tp_getset, snapshot_properties}, {0, nullptr},
  };
  static PyType_Spec spec = {"pongo._pongo.Snapshot", sizeof(SnapshotObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
  snapshot_type = AddType(m, &spec, "Snapshot");
  return snapshot_type != nullptr;
}

}  // namespace pongo::python
