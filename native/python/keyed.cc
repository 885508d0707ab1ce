// Keyed: what PongoDict and PongoCollection share and what has to be fast. The rest of their methods is Python
// (native/python/pongo/_containers.py).
#include <algorithm>
#include <cstring>

#include "convert.h"
#include "database.h"
#include "expiry.h"
#include "handle.h"
#include "methods.h"

namespace pongo::python {
namespace {

PyObject* RaiseMissing(PyObject* key) { return RaiseWith(Code::kKEY, key); }

// All values of a key of a MultiCollection as a tuple; null without an exception when there are none.
PyObject* GetAll(PyObject* self, const Place& place, const Key& key) {
  ProxyObject* proxy = AsProxy(self);
  EntryList entries(proxy->handle);
  const auto read = [&]() -> Status {
    uint64_t begin = 0, end = 0;
    PONGO_TRY(place.session->Bounds(place.view, proxy->id, key, key, kLower | kLowerInclusive | kUpper | kUpperInclusive, &begin, &end));
    entries.Clear();
    return place.session->Page(place.view, proxy->id, begin, end - begin, 1,
                               [&](const Key& k, const ValueView& v) { return entries.Add(k, v); });
  };
  // Two reads: of one version.
  const Status status = place.view == 0 ? Atomically(place.session, read) : read();
  if (!status.ok()) return Raise(status);
  if (entries.size() == 0) return nullptr;
  const Owned list(entries.Release(proxy->snapshot, false, true));
  return list ? PyList_AsTuple(list.get()) : nullptr;
}

// The value of a key; null without an exception when it is absent.
PyObject* GetKey(PyObject* self, PyObject* name) {
  ProxyObject* proxy = AsProxy(self);
  KeyBuffer key;
  Place place;
  if (!ReadKey(proxy->handle, name, &key) || !ReadPlace(proxy, &place)) return nullptr;
  if (proxy->kind == Kind::kMulti) [[unlikely]] return GetAll(self, place, key.key());
  Captured found;
  HandleObject* handle = proxy->handle;
  const Status status =
      place.session->Get(place.view, proxy->id, key.key(), [&](const ValueView& view) { found.Take(handle, view); });
  if (!status.ok()) [[unlikely]] return Raise(status);
  return found.Release(handle, proxy->snapshot);
}

PyObject* Subscript(PyObject* self, PyObject* name) {
  PyObject* value = GetKey(self, name);
  if (value == nullptr && PyErr_Occurred() == nullptr) return RaiseMissing(name);
  return value;
}

int Assign(PyObject* self, PyObject* name, PyObject* value) {
  ProxyObject* proxy = AsProxy(self);
  KeyBuffer key;
  ValueIn in;
  if (!ReadKey(proxy->handle, name, &key)) return -1;
  if (value != nullptr && !in.Read(proxy->handle, value, name)) return -1;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return -1;
  if (value != nullptr) {
    const Status status = session->Set(proxy->id, key.key(), in.input(), 0);
    if (!status.ok()) Raise(status);
    return status.ok() ? 0 : -1;
  }
  bool was_present = false;
  const Status status = session->Delete(proxy->id, key.key(), &was_present);
  if (!status.ok()) {
    Raise(status);
    return -1;
  }
  if (!was_present) RaiseMissing(name);
  return was_present ? 0 : -1;
}

int Contains(PyObject* self, PyObject* name) {
  ProxyObject* proxy = AsProxy(self);
  KeyBuffer key;
  Place place;
  if (!ReadKey(proxy->handle, name, &key) || !ReadPlace(proxy, &place)) return -1;
  bool present = false;
  const Status status = place.session->Has(place.view, proxy->id, key.key(), &present);
  if (status.ok()) return present ? 1 : 0;
  Raise(status);
  return -1;
}

// -- paths --

bool IsPath(PyObject* key, PyObject* separator) {
  if (PyList_Check(key)) return true;
  if (!PyUnicode_Check(key)) return false;
  if (separator == nullptr) {
    const Py_ssize_t length = PyUnicode_GET_LENGTH(key);
    if (PyUnicode_IS_COMPACT_ASCII(key)) [[likely]]
      return std::memchr(PyUnicode_DATA(key), '.', static_cast<size_t>(length)) != nullptr;
    return PyUnicode_FindChar(key, '.', 0, length, 1) >= 0;
  }
  return PyUnicode_GET_LENGTH(separator) > 0 && PyUnicode_Find(key, separator, 0, PyUnicode_GET_LENGTH(key), 1) >= 0;
}

bool ReadPath(HandleObject* handle, PyObject* key, PyObject* separator, PathIn* path) {
  if (PyList_Check(key)) return path->ReadList(handle, key);
  Utf8 text, mark;
  if (!text.Read(key)) return false;
  const Owned dot(separator == nullptr ? PyUnicode_FromString(".") : NewReference(separator));
  return dot && mark.Read(dot.get()) && path->Split(text, mark);
}

bool CheckSeparator(PyObject* separator) {
  if (separator == nullptr || PyUnicode_Check(separator)) return true;
  RaiseFormat(Code::kTYPE, "sep must be a str, not %.100s", Py_TYPE(separator)->tp_name);
  return false;
}

// get(key, default=None, sep='.')
PyObject* Get(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* a[3] = {};
  static const char* const kNames[] = {"key", "default", "sep"};
  if (!ReadArguments("get", kNames, 3, 1, args, count, names, a) || !CheckSeparator(a[2])) return nullptr;
  PyObject* value = nullptr;
  if (!IsPath(a[0], a[2])) [[likely]] {
    value = GetKey(self, a[0]);
  } else {
    ProxyObject* proxy = AsProxy(self);
    PathIn path;
    Place place;
    if (!ReadPath(proxy->handle, a[0], a[2], &path) || !ReadPlace(proxy, &place)) return nullptr;
    Captured found;
    const Status status = place.session->GetPath(place.view, proxy->id, path.steps(), path.count(),
                                                 [&](const ValueView& view) { found.Take(proxy->handle, view); });
    if (!status.ok()) return Raise(status);
    value = found.Release(proxy->handle, proxy->snapshot);
  }
  if (value != nullptr || PyErr_Occurred() != nullptr) return value;
  return NewReference(a[1] == nullptr ? Py_None : a[1]);
}

bool ReadFlag(PyObject* object, bool otherwise, bool* flag) {
  *flag = otherwise;
  if (object == nullptr || object == Py_None) return true;
  const int truth = PyObject_IsTrue(object);
  *flag = truth == 1;
  return truth >= 0;
}

// set(key, value, sep='.', sync=None, fail=False, ttl=None, expires_at=None)
PyObject* Set(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* a[7] = {};
  static const char* const kNames[] = {"key", "value", "sep", "sync", "fail", "ttl", "expires_at"};
  if (!ReadArguments("set", kNames, 7, 2, args, count, names, a) || !CheckSeparator(a[2])) return nullptr;
  bool sync, fail, expires;
  Expiry expiry;
  if (!ReadFlag(a[3], false, &sync) || !ReadFlag(a[4], false, &fail) || !ReadExpiry(a[5], a[6], &expires, &expiry)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  if (a[0] == module.id_marker) {
    return PyObject_CallFunctionObjArgs(module.add_document, self, a[1], sync ? Py_True : Py_False, fail ? Py_True : Py_False,
                                        a[5] == nullptr ? Py_None : a[5], a[6] == nullptr ? Py_None : a[6], nullptr);
  }
  ValueIn in;
  const uint32_t flags = (fail ? kSetFailIfPresent : 0u) | (sync ? kSetSync : 0u);
  Status status;
  if (!IsPath(a[0], a[2])) [[likely]] {
    KeyBuffer key;
    if (!ReadKey(proxy->handle, a[0], &key) || !in.Read(proxy->handle, a[1], a[0])) return nullptr;
    Session* session = WriteSession(proxy);
    if (session == nullptr) return nullptr;
    status = expires ? session->SetExpiring(proxy->id, key.key(), in.input(), flags, expiry)
                     : session->Set(proxy->id, key.key(), in.input(), flags);
  } else {
    PathIn path;
    if (!ReadPath(proxy->handle, a[0], a[2], &path) || !in.Read(proxy->handle, a[1], a[0])) return nullptr;
    Session* session = WriteSession(proxy);
    if (session == nullptr) return nullptr;
    if (path.count() == 0) return Raise(Code::kARG, "the path is empty");
    status = expires ? session->SetPathExpiring(proxy->id, path.steps(), path.count(), in.input(), flags, expiry)
                     : session->SetPath(proxy->id, path.steps(), path.count(), in.input(), flags);
  }
  if (status.code() == Code::kKEY || status.code() == Code::kEXISTS) return RaiseWith(status.code(), a[0]);
  if (!status.ok()) return Raise(status);
  Py_RETURN_NONE;
}

// pop(key, default, sync=None)
PyObject* Pop(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* a[3] = {};
  static const char* const kNames[] = {"key", "default", "sync"};
  bool sync;
  if (!ReadArguments("pop", kNames, 3, 1, args, count, names, a) || !ReadFlag(a[2], false, &sync)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  KeyBuffer key;
  if (!ReadKey(proxy->handle, a[0], &key)) return nullptr;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  Captured found;
  const Status status = session->Pop(proxy->id, key.key(), [&](const ValueView& view) { found.Take(proxy->handle, view); });
  if (!status.ok()) return Raise(status);
  if (!found.present()) return a[1] == nullptr ? RaiseMissing(a[0]) : NewReference(a[1]);
  Owned value(found.Release(proxy->handle, nullptr));
  if (!value || !sync) return value.release();
  const Owned synced(PyObject_CallMethod(AsObject(proxy->handle), "sync", nullptr));
  return synced ? value.release() : nullptr;
}

// keep(path, value): as set, but what expires goes on expiring when it did.
PyObject* SetKeeping(PyObject* self, PyObject* args) {
  PyObject *name, *value;
  if (!PyArg_ParseTuple(args, "O!O:keep", &PyList_Type, &name, &value)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  PathIn path;
  ValueIn in;
  if (!path.ReadList(proxy->handle, name) || !in.Read(proxy->handle, value, name)) return nullptr;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  if (path.count() == 0) return Raise(Code::kARG, "the path is empty");
  const Status status = session->SetPath(proxy->id, path.steps(), path.count(), in.input(), kSetKeepExpiry);
  if (status.code() == Code::kKEY) return RaiseWith(status.code(), name);
  if (!status.ok()) return Raise(status);
  Py_RETURN_NONE;
}

// incr(key, by=1, sep='.')
PyObject* Increment(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* a[3] = {};
  static const char* const kNames[] = {"key", "by", "sep"};
  if (!ReadArguments("incr", kNames, 3, 1, args, count, names, a) || !CheckSeparator(a[2])) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  const Owned one(PyLong_FromLong(1));
  PyObject* by = a[1] == nullptr ? one.get() : a[1];
  if (PyBool_Check(by) || (!PyLong_Check(by) && !PyFloat_Check(by)))
    return RaiseFormat(Code::kTYPE, "incr needs a number to add, not %.100s", Py_TYPE(by)->tp_name);
  NumberIn number;
  if (!number.Read(by)) return nullptr;
  Captured result;
  const auto visit = [&](const ValueView& view) { result.Take(proxy->handle, view); };
  Status status;
  if (!IsPath(a[0], a[2])) {
    KeyBuffer key;
    if (!ReadKey(proxy->handle, a[0], &key)) return nullptr;
    Session* session = WriteSession(proxy);
    if (session == nullptr) return nullptr;
    status = session->Increment(proxy->id, key.key(), number.view(), visit);
  } else {
    PathIn path;
    if (!ReadPath(proxy->handle, a[0], a[2], &path)) return nullptr;
    Session* session = WriteSession(proxy);
    if (session == nullptr) return nullptr;
    status = session->IncrementPath(proxy->id, path.steps(), path.count(), number.view(), visit);
  }
  if (status.code() == Code::kKEY) return RaiseWith(status.code(), a[0]);
  if (!status.ok()) return Raise(status);
  return result.Release(proxy->handle, nullptr);
}

// cas(key, expected, next): the marker pongo.absent (the Ellipsis here) means absent, or delete.
PyObject* CompareAndSet(PyObject* self, PyObject* args) {
  PyObject *name, *expected, *next;
  if (!PyArg_ParseTuple(args, "OOO:cas", &name, &expected, &next)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  PathIn path;
  KeyBuffer key;
  const bool is_path = IsPath(name, nullptr);
  if (is_path ? !ReadPath(proxy->handle, name, nullptr, &path) : !ReadKey(proxy->handle, name, &key)) return nullptr;
  ValueIn old_in, new_in;
  if (expected != Py_Ellipsis && !old_in.ReadContents(proxy->handle, expected, name)) return nullptr;
  if (next != Py_Ellipsis && !new_in.Read(proxy->handle, next, name)) return nullptr;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  const Input* from = expected == Py_Ellipsis ? nullptr : &old_in.input();
  const Input* to = next == Py_Ellipsis ? nullptr : &new_in.input();
  bool swapped = false;
  const Status status = is_path ? session->CompareAndSetPath(proxy->id, path.steps(), path.count(), from, to, &swapped)
                                : session->CompareAndSet(proxy->id, key.key(), from, to, &swapped);
  if (status.code() == Code::kKEY) return RaiseWith(status.code(), name);
  return status.ok() ? PyBool_FromLong(swapped) : Raise(status);
}

// delete_path(path, sep=None) -> whether something was there
PyObject* DeletePath(PyObject* self, PyObject* args) {
  PyObject *name, *separator = nullptr;
  if (!PyArg_ParseTuple(args, "O|U:delete_path", &name, &separator)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  PathIn path;
  if (!PyList_Check(name) && !PyUnicode_Check(name)) return Raise(Code::kTYPE, "a path is a str or a list of keys");
  if (!ReadPath(proxy->handle, name, separator, &path)) return nullptr;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  bool was_present = false;
  const Status status = session->DeletePath(proxy->id, path.steps(), path.count(), &was_present);
  return status.ok() ? PyBool_FromLong(was_present) : Raise(status);
}

// -- all entries --

PyObject* Keys(PyObject* self, PyObject*) { return EntriesOf(self, true, false); }
PyObject* Values(PyObject* self, PyObject*) { return EntriesOf(self, false, true); }
PyObject* Items(PyObject* self, PyObject*) { return EntriesOf(self, true, true); }

PyObject* Shift(PyObject* self, PyObject*) {
  ProxyObject* proxy = AsProxy(self);
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  EntryList entries(proxy->handle);
  const Status status = session->Shift(proxy->id, [&](const Key& key, const ValueView& value) { return entries.Add(key, value); });
  if (!status.ok()) return Raise(status);
  if (entries.size() == 0) Py_RETURN_NONE;
  const Owned list(entries.Release(nullptr, true, true));
  return list ? NewReference(PyList_GET_ITEM(list.get(), 0)) : nullptr;
}

// last() -> (key, value) of the greatest key, or None.
PyObject* Last(PyObject* self, PyObject*) {
  ProxyObject* proxy = AsProxy(self);
  Place place;
  if (!ReadPlace(proxy, &place)) return nullptr;
  EntryList entries(proxy->handle);
  const Status status =
      place.session->Edge(place.view, proxy->id, -1, [&](const Key& key, const ValueView& value) { return entries.Add(key, value); });
  if (!status.ok()) return Raise(status);
  if (entries.size() == 0) Py_RETURN_NONE;
  const Owned list(entries.Release(proxy->snapshot, true, true));
  return list ? NewReference(PyList_GET_ITEM(list.get(), 0)) : nullptr;
}

// bounds(lower, lower_inclusive, upper, upper_inclusive) -> (start, end); the Ellipsis: no bound
PyObject* Bounds(PyObject* self, PyObject* args) {
  PyObject *lower, *upper;
  int lower_inclusive, upper_inclusive;
  if (!PyArg_ParseTuple(args, "OpOp:bounds", &lower, &lower_inclusive, &upper, &upper_inclusive)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  KeyBuffer lo, hi;
  Place place;
  if (lower != Py_Ellipsis && !ReadKey(proxy->handle, lower, &lo)) return nullptr;
  if (upper != Py_Ellipsis && !ReadKey(proxy->handle, upper, &hi)) return nullptr;
  if (!ReadPlace(proxy, &place)) return nullptr;
  const uint32_t flags = (lower != Py_Ellipsis ? kLower : 0u) | (lower_inclusive != 0 ? kLowerInclusive : 0u) |
                         (upper != Py_Ellipsis ? kUpper : 0u) | (upper_inclusive != 0 ? kUpperInclusive : 0u);
  uint64_t begin = 0, end = 0;
  const Status status = place.session->Bounds(place.view, proxy->id, lo.key(), hi.key(), flags, &begin, &end);
  if (!status.ok()) return Raise(status);
  return Py_BuildValue("KK", static_cast<unsigned long long>(begin), static_cast<unsigned long long>(end));
}

// _update(value): all pairs of a dict, in one commit.
PyObject* UpdateFrom(PyObject* self, PyObject* value) { return WriteContent(self, value, &Session::Update); }

PyMethodDef methods[] = {
    {"get", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Get)), METH_FASTCALL | METH_KEYWORDS,
     "get($self, key, default=None, sep='.')\n--\n\n"
     "The value of a key, or default. A str key is split at sep and leads through Dicts, Lists and Collections, as does a\n"
     "list of keys. Containers come live. O(log n) for each step.\n\n>>> db.get('users.ann.age', 0)\n>>> db.get(['users', 'a.b', 'tags', 0])"},
    {"set", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Set)), METH_FASTCALL | METH_KEYWORDS,
     "set($self, key, value, sep='.', sync=None, fail=False, ttl=None, expires_at=None)\n--\n\n"
     "Stores a value at a key or path, atomically. With fail=True a key that is present is a KeyError, as is a missing\n"
     "intermediate. sync=True returns when the write is on disk. ttl (seconds or a timedelta) or expires_at (a datetime): from\n"
     "then on the key is absent for every process; only in a collection, and without them an expiry is removed. With key\n"
     "pongo.id the value, a dict, is stored under its id, made when it has none, and the id is returned. O(log n).\n\n>>> db.set('users.ann.age', 31)\n>>> id = db['users'].set(pongo.id, {'name': 'Ann'})"},
    {"pop", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Pop)), METH_FASTCALL | METH_KEYWORDS,
     "pop($self, key, default=<none>, sync=None)\n--\n\n"
     "Removes a key and returns its value, atomically; KeyError when it is absent and no default is given. The key is not\nsplit. O(log n)."},
    {"incr", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Increment)), METH_FASTCALL | METH_KEYWORDS,
     "incr($self, key, by=1, sep='.')\n--\n\n"
     "Adds to a number, atomically across processes; an absent one counts from 0; returns the sum. TypeError when the value is\nno number. O(log n).\n\n>>> db.incr('visits')"},
    {"cas", CompareAndSet, METH_VARARGS,
     "cas($self, key, expected, next, /)\n--\n\n"
     "Stores next only if the value equals expected (deeply), atomically; returns whether it did. The Ellipsis (...) as\n"
     "expected means absent, as next delete. O(log n).\n\n>>> db.cas('lock', ..., os.getpid())"},
    {"keys", Keys, METH_NOARGS, "keys($self, /)\n--\n\nThe keys in order, as a list: one consistent version. O(n)."},
    {"values", Values, METH_NOARGS, "values($self, /)\n--\n\nThe values in the order of their keys, containers live, as a list: one consistent version. O(n)."},
    {"items", Items, METH_NOARGS, "items($self, /)\n--\n\nThe pairs (key, value) in order, as a list: one consistent version. O(n)."},
    {"native", NativeCopy, METH_NOARGS,
     "native($self, /)\n--\n\nA deep plain copy, as a dict. ValueError when keys are equal in Python (True and 1). O(size)."},
    {"clear", ClearAll, METH_NOARGS, "clear($self, /)\n--\n\nRemoves everything, in one commit. O(n), by the engine."},
    {"_keep", SetKeeping, METH_VARARGS, nullptr},
    {"_last", Last, METH_NOARGS, nullptr},
    {"_shift", Shift, METH_NOARGS, nullptr},
    {"_bounds", Bounds, METH_VARARGS, nullptr},
    {"_page", PageOf, METH_VARARGS, nullptr},
    {"_replace", ReplaceContent, METH_O, nullptr},
    {"_json_form", JsonForm, METH_NOARGS, nullptr},
    {"_set_expiry", SetExpiryOf, METH_VARARGS, nullptr},
    {"_time_left", TimeLeftOf, METH_O, nullptr},
    {"_bounds_of", BoundsOf, METH_NOARGS, nullptr},
    {"_update", UpdateFrom, METH_O, nullptr},
    {"_delete_path", DeletePath, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool AddKeyedType(PyObject* m) {
  static PyType_Spec spec = {"pongo._pongo.Keyed", 0, 0, 0, nullptr};
  keyed_type = AddContainerType(m, &spec, "Keyed", methods, Subscript, Assign, Contains);
  return keyed_type != nullptr;
}

}  // namespace pongo::python
