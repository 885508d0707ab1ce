// Watcher: what has changed between two versions, and waiting for the next one. pongo.watch and pongo.changes use it
// (native/python/pongo/_watch.py).
//
// A watcher has a session of its own, which belongs to no thread: its calls exclude each other, because the GIL is given away
// only inside wait(), and `waiting` refuses every other call meanwhile but interrupt() and close().
#include <cstddef>
#include <memory>

#include "convert.h"
#include "database.h"
#include "handle.h"
#include "methods.h"

namespace pongo::python {
namespace {

struct WatcherObject {
  PyObject_HEAD
  HandleObject* handle;
  Session* session;       // null once closed
  uint64_t serial;        // of the handle, when it was made
  uint64_t watcher;
  bool waiting;
  bool close_wanted;      // close() came while somebody waited
  PyObject* weakrefs;
};

WatcherObject* Self(PyObject* self) { return reinterpret_cast<WatcherObject*>(self); }

bool HandleIsOpen(const WatcherObject* self) {
  return HomeIfOpen(self->handle) != nullptr && self->handle->state->serial == self->serial;
}

void CloseSession(WatcherObject* self) {
  if (self->session == nullptr) return;
  delete std::exchange(self->session, nullptr);  // in a forked child it leaves everything as it is
}

// Null with an exception set.
Session* Usable(WatcherObject* self) {
  if (self->session != nullptr && HandleIsOpen(self) && !self->waiting) return self->session;
  if (HomeOf(self->handle) != nullptr) {
    if (self->waiting)
      Raise(Code::kARG, "another thread waits for this watcher");
    else
      Raise(Code::kCLOSED, "the watching has been stopped");
  }
  return nullptr;
}

// What one call of Session::Changes visits: captured inside the engine, made into objects outside.
class ChangeList final : public ChangeVisitor {
 public:
  explicit ChangeList(HandleObject* handle) : handle_(handle) {}

  void OnChange(const Change& change) override {
    Item& item = items_.emplace_back();
    item.type = change.type;
    for (size_t i = 0; i < change.path_size; i++) {
      const PathStep& from = change.path[i];
      item.path.push_back({from.index, from.is_index, keys_.size(), from.key.size, from.key.form_size});
      if (from.key.size > 0) keys_.insert(keys_.end(), from.key.data, from.key.data + from.key.size);
      if (from.key.form_size > 0) keys_.insert(keys_.end(), from.key.form, from.key.form + from.key.form_size);
    }
    if (change.value != nullptr) item.value.Take(handle_, *change.value);
    if (change.old_copy != nullptr)
      item.old_copy = *change.old_copy;
    else if (change.old_value != nullptr && change.old_value->type != ValueView::Type::kContainer)
      item.old_value.Take(handle_, *change.old_value);
    item.index = change.index;
    item.removed = change.removed;
  }

  void OnInserted(const ValueView& value) override { items_.back().inserted.emplace_back().Take(handle_, value); }

  PyObject* Release() {
    Owned list(PyList_New(static_cast<Py_ssize_t>(items_.size())));
    for (size_t i = 0; list && i < items_.size(); i++) {
      PyObject* change = ReleaseOne(&items_[i]);
      if (change == nullptr) return nullptr;
      PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), change);
    }
    return list.release();
  }

 private:
  struct Step {
    int64_t index;
    bool is_index;
    size_t offset;
    uint32_t size;
    uint32_t form_size;
  };
  struct Item {
    Change::Type type = Change::Type::kReset;
    std::vector<Step> path;
    Captured value, old_value;
    std::vector<uint8_t> old_copy;
    uint64_t index = 0, removed = 0;
    std::vector<Captured> inserted;
  };

  PyObject* ReleasePath(const Item& item) {
    Owned path(PyList_New(0));
    for (const Step& step : item.path) {
      Key key;
      key.data = keys_.data() + step.offset;
      key.size = step.size;
      key.form = key.data + step.size;
      key.form_size = step.form_size;
      const Owned made(step.is_index ? PyLong_FromLongLong(step.index) : MakeKey(handle_, key));
      if (!path || !made || PyList_Append(path.get(), made.get()) < 0) return nullptr;
    }
    return path.release();
  }

  // None where there is nothing.
  PyObject* OrNone(Captured* captured) {
    PyObject* value = captured->Release(handle_, nullptr);
    return value != nullptr || PyErr_Occurred() != nullptr ? value : NewReference(Py_None);
  }

  PyObject* ReleaseOne(Item* item) {
    static constexpr const char* kTypes[] = {"set", "delete", "splice", "reset"};
    Owned path(ReleasePath(*item));
    if (!path) return nullptr;
    const char* type = kTypes[static_cast<size_t>(item->type)];
    if (item->type == Change::Type::kReset) return Py_BuildValue("{s:N,s:s}", "path", path.release(), "type", type);
    if (item->type == Change::Type::kSplice) {
      Owned inserted(PyList_New(0));
      for (Captured& captured : item->inserted) {
        const Owned value(OrNone(&captured));
        if (!inserted || !value || PyList_Append(inserted.get(), value.get()) < 0) return nullptr;
      }
      if (!inserted) return nullptr;
      return Py_BuildValue("{s:N,s:s,s:K,s:K,s:N}", "path", path.release(), "type", type, "index",
                           static_cast<unsigned long long>(item->index), "removed",
                           static_cast<unsigned long long>(item->removed), "inserted", inserted.release());
    }
    Owned old(item->old_copy.empty() ? OrNone(&item->old_value) : MakePlain(handle_, item->old_copy));
    if (!old) return nullptr;
    if (item->type == Change::Type::kDelete)
      return Py_BuildValue("{s:N,s:s,s:N}", "path", path.release(), "type", type, "old_value", old.release());
    Owned value(OrNone(&item->value));
    if (!value) return nullptr;
    return Py_BuildValue("{s:N,s:s,s:N,s:N}", "path", path.release(), "type", type, "value", value.release(), "old_value",
                         old.release());
  }

  HandleObject* handle_;
  std::vector<Item> items_;
  std::vector<uint8_t> keys_;
};

// watcher(handle, container id, path list)
PyObject* Make(PyObject*, PyObject* args) {
  PyObject *handle_object, *list;
  unsigned long long id;
  if (!PyArg_ParseTuple(args, "O!KO!:make", handle_type, &handle_object, &id, &PyList_Type, &list)) return nullptr;
  auto* handle = reinterpret_cast<HandleObject*>(handle_object);
  PathIn path;
  if (!path.ReadList(handle, list)) return nullptr;
  Session* home = HomeOf(handle);
  if (home == nullptr) return nullptr;
  Result<std::unique_ptr<Session>> opened = home->Another();
  if (!opened.ok()) return Raise(opened.status());
  uint64_t watcher = 0;
  const Status status = opened.value()->Watch(id, path.steps(), path.count(), 0, &watcher);
  if (!status.ok()) return Raise(status);
  WatcherObject* self = Self(watcher_type->tp_alloc(watcher_type, 0));
  if (self == nullptr) return nullptr;
  Py_INCREF(handle);
  self->handle = handle;
  self->session = opened.value().release();
  self->serial = handle->state->serial;
  self->watcher = watcher;
  return AsObject(self);
}

// wait(seconds or None) -> whether there is a newer version. May return False early.
PyObject* Wait(PyObject* object, PyObject* seconds) {
  WatcherObject* self = Self(object);
  uint64_t nanoseconds = UINT64_MAX;
  if (seconds != Py_None) {
    const double wanted = PyFloat_AsDouble(seconds);
    if (wanted == -1 && PyErr_Occurred() != nullptr) return nullptr;
    nanoseconds = wanted <= 0 ? 0 : wanted > 1e9 ? UINT64_MAX : static_cast<uint64_t>(wanted * 1e9);
  }
  Session* session = Usable(self);
  if (session == nullptr) return nullptr;
  bool changed = false;
  self->waiting = true;
  Py_INCREF(self);
  PyThreadState* state = PyEval_SaveThread();
  const Status status = session->WaitChanges(self->watcher, nanoseconds, &changed);
  PyEval_RestoreThread(state);
  self->waiting = false;
  if (self->close_wanted) CloseSession(self);
  Py_DECREF(self);
  return status.ok() ? PyBool_FromLong(changed) : Raise(status);
}

PyObject* Changes(PyObject* object, PyObject*) {
  WatcherObject* self = Self(object);
  Session* session = Usable(self);
  if (session == nullptr) return nullptr;
  ChangeList changes(self->handle);
  const Status status = session->Changes(self->watcher, &changes);
  return status.ok() ? changes.Release() : Raise(status);
}

// interrupt(): ends the wait under way, or the next one.
PyObject* Interrupt(PyObject* object, PyObject*) {
  WatcherObject* self = Self(object);
  if (self->session != nullptr && HandleIsOpen(self)) self->session->InterruptWait();
  Py_RETURN_NONE;
}

PyObject* Close(PyObject* object, PyObject*) {
  WatcherObject* self = Self(object);
  if (self->waiting && HandleIsOpen(self)) {
    self->close_wanted = true;
    self->session->InterruptWait();
  } else if (!self->waiting) {
    CloseSession(self);
  }
  Py_RETURN_NONE;
}

void Dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (Self(object)->weakrefs != nullptr) PyObject_ClearWeakRefs(object);
  CloseSession(Self(object));
  Py_CLEAR(Self(object)->handle);
  type->tp_free(object);
  Py_DECREF(type);
}

int Traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(AsObject(Self(object)->handle));
  return 0;
}

PyMethodDef methods[] = {
    {"make", Make, METH_VARARGS | METH_STATIC, nullptr}, {"wait", Wait, METH_O, nullptr},
    {"changes", Changes, METH_NOARGS, nullptr},          {"interrupt", Interrupt, METH_NOARGS, nullptr},
    {"close", Close, METH_NOARGS, nullptr},              {nullptr, nullptr, 0, nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(WatcherObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

}  // namespace

bool AddWatcherType(PyObject* m) {
  static PyType_Slot slots[] = {
      {Py_tp_dealloc, Slot(Dealloc)}, {Py_tp_traverse, Slot(Traverse)}, {Py_tp_new, Slot(RefuseNew)},
      {Py_tp_methods, methods},       {Py_tp_members, members},         {0, nullptr},
  };
  static PyType_Spec spec = {"pongo._pongo.Watcher", sizeof(WatcherObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
  watcher_type = AddType(m, &spec, "Watcher");
  return watcher_type != nullptr;
}

}  // namespace pongo::python
