// Sequence: what of PongoList has to be fast or atomic. The rest of its methods is Python (pongo/_containers.py).
#include "convert.h"
#include "database.h"
#include "handle.h"
#include "methods.h"

namespace pongo::python {
namespace {

constexpr Status kOutOfRange(Code::kINDEX, "list index out of range");

// The element at an index, from the end when negative.
Status ReadAt(const ProxyObject* proxy, const Place& place, Py_ssize_t index, Captured* found) {
  const auto visit = [&](const ValueView& view) { found->Take(proxy->handle, view); };
  for (;;) {
    uint64_t at = static_cast<uint64_t>(index);
    if (index < 0) {
      uint64_t size = 0;
      PONGO_TRY(place.session->Size(place.view, proxy->id, &size));
      if (size < 0 - static_cast<uint64_t>(index)) return kOutOfRange;
      at = size - (0 - static_cast<uint64_t>(index));
    }
    PONGO_TRY(place.session->ListGet(place.view, proxy->id, at, visit));
    if (found->present()) return Status::Ok();
    if (index >= 0) return kOutOfRange;
    // The list became shorter between the two calls: look at its new end.
  }
}

bool ReadIndex(PyObject* object, Py_ssize_t* index) {
  if (PyIndex_Check(object) == 0) {
    RaiseFormat(Code::kTYPE, "list indices must be integers or slices, not %.200s", Py_TYPE(object)->tp_name);
    return false;
  }
  *index = PyNumber_AsSsize_t(object, PyExc_IndexError);
  return *index != -1 || PyErr_Occurred() == nullptr;
}

PyObject* Subscript(PyObject* self, PyObject* name) {
  if (PySlice_Check(name)) return PyObject_CallMethod(self, "_get_slice", "O", name);
  ProxyObject* proxy = AsProxy(self);
  Py_ssize_t index;
  Place place;
  if (!ReadIndex(name, &index) || !ReadPlace(proxy, &place)) return nullptr;
  Captured found;
  const Status status = ReadAt(proxy, place, index, &found);
  return status.ok() ? found.Release(proxy->handle, proxy->snapshot) : Raise(status);
}

// Where an index points now. To be called in a transaction.
Status Locate(Session* session, uint64_t id, Py_ssize_t index, uint64_t* at) {
  uint64_t size = 0;
  PONGO_TRY(session->Size(0, id, &size));
  const auto wanted = index < 0 ? size - (0 - static_cast<uint64_t>(index)) : static_cast<uint64_t>(index);
  if (wanted >= size) return kOutOfRange;  // a negative one that is too far has wrapped around
  *at = wanted;
  return Status::Ok();
}

int Assign(PyObject* self, PyObject* name, PyObject* value) {
  if (PySlice_Check(name)) {
    const Owned done(value == nullptr ? PyObject_CallMethod(self, "_delete_slice", "O", name)
                                      : PyObject_CallMethod(self, "_set_slice", "OO", name, value));
    return done ? 0 : -1;
  }
  ProxyObject* proxy = AsProxy(self);
  Py_ssize_t index;
  ValueIn in;
  if (!ReadIndex(name, &index)) return -1;
  if (value != nullptr && !in.Read(proxy->handle, value, name)) return -1;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return -1;
  const Status status = Atomically(session, [&]() -> Status {
    uint64_t at, length;
    PONGO_TRY(Locate(session, proxy->id, index, &at));
    if (value == nullptr) return session->ListSplice(proxy->id, at, 1, nullptr, 0, &length);
    return session->ListSet(proxy->id, at, in.input());
  });
  if (status.ok()) return 0;
  Raise(status);
  return -1;
}

bool SyncWanted(ProxyObject* proxy, PyObject* sync) {
  if (sync == nullptr || sync == Py_None) return true;
  const int truth = PyObject_IsTrue(sync);
  if (truth <= 0) return truth == 0;
  const Owned done(PyObject_CallMethod(AsObject(proxy->handle), "sync", nullptr));
  return static_cast<bool>(done);
}

// append(value, sync=None)
PyObject* Append(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* a[2] = {};
  static const char* const kNames[] = {"value", "sync"};
  if (!ReadArguments("append", kNames, 2, 1, args, count, names, a)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  ValueIn in;
  if (!in.Read(proxy->handle, a[0], nullptr)) return nullptr;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  uint64_t length = 0;
  const Status status = session->ListPush(proxy->id, in.input(), &length);
  if (!status.ok()) return Raise(status);
  if (!SyncWanted(proxy, a[1])) return nullptr;
  Py_RETURN_NONE;
}

// pop(n=-1, sync=None)
PyObject* Pop(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* a[2] = {};
  static const char* const kNames[] = {"n", "sync"};
  if (!ReadArguments("pop", kNames, 2, 0, args, count, names, a)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  Py_ssize_t index = -1;
  if (a[0] != nullptr && !ReadIndex(a[0], &index)) return nullptr;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  Captured found;
  const auto visit = [&](const ValueView& view) { found.Take(proxy->handle, view); };
  Status status;
  if (index == -1) {
    status = session->ListPop(proxy->id, visit);
    if (status.ok() && !found.present()) return Raise(Code::kINDEX, "pop from an empty list");
  } else if (index == 0) {
    status = session->ListShift(proxy->id, visit);
    if (status.ok() && !found.present()) return Raise(Code::kINDEX, "pop from an empty list");
  } else {
    status = Atomically(session, [&]() -> Status {
      uint64_t at, length;
      PONGO_TRY(Locate(session, proxy->id, index, &at));
      PONGO_TRY(session->ListGet(0, proxy->id, at, visit));
      return session->ListSplice(proxy->id, at, 1, nullptr, 0, &length);
    });
  }
  if (!status.ok()) return Raise(status);
  if (!SyncWanted(proxy, a[1])) return nullptr;
  return found.Release(proxy->handle, nullptr);
}

// _splice(start, delete_count, values or None): start -1: at the end
PyObject* Splice(PyObject* self, PyObject* args) {
  long long start;
  unsigned long long delete_count;
  PyObject* values;
  if (!PyArg_ParseTuple(args, "LKO:_splice", &start, &delete_count, &values)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  ValueIn in;
  if (values != Py_None && !in.ReadWire(proxy->handle, values, nullptr)) return nullptr;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  uint64_t length = 0;
  const Status status = session->ListSplice(proxy->id, start < 0 ? UINT64_MAX : static_cast<uint64_t>(start), delete_count,
                                            values == Py_None ? nullptr : in.wire().data(), in.wire().size(), &length);
  return status.ok() ? PyLong_FromUnsignedLongLong(length) : Raise(status);
}

// All elements, live: one version.
PyObject* Elements(PyObject* self, PyObject*) { return EntriesOf(self, false, true); }

PyMethodDef methods[] = {
    {"append", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Append)), METH_FASTCALL | METH_KEYWORDS,
     "append($self, value, sync=None)\n--\n\nAppends a value: one commit, O(log n). sync=True returns when it is on disk."},
    {"pop", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Pop)), METH_FASTCALL | METH_KEYWORDS,
     "pop($self, n=-1, sync=None)\n--\n\nRemoves the element at an index and returns it, atomically; IndexError when there is none. O(log n)."},
    {"native", NativeCopy, METH_NOARGS, "native($self, /)\n--\n\nA deep plain copy, as a list. O(size)."},
    {"clear", ClearAll, METH_NOARGS, "clear($self, /)\n--\n\nRemoves all elements, in one commit."},
    {"_elements", Elements, METH_NOARGS, nullptr},
    {"_page", PageOf, METH_VARARGS, nullptr},
    {"_splice", Splice, METH_VARARGS, nullptr},
    {"_replace", ReplaceContent, METH_O, nullptr},
    {"_json_form", JsonForm, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool AddSequenceType(PyObject* m) {
  static PyType_Spec spec = {"pongo._pongo.Sequence", 0, 0, 0, nullptr};
  // `in` is Python's: what is equal there need not be one value of the database.
  sequence_type = AddContainerType(m, &spec, "Sequence", methods, Subscript, Assign, nullptr);
  return sequence_type != nullptr;
}

}  // namespace pongo::python
