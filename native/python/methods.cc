#include "methods.h"

#include <cstddef>

#include "database.h"
#include "format/wire_reader.h"
#include "model/values.h"

namespace pongo::python {

bool ReadArguments(const char* function, const char* const* names, Py_ssize_t count_max, Py_ssize_t count_min,
                   PyObject* const* args, Py_ssize_t count, PyObject* keywords, PyObject** out) {
  if (count > count_max) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments (%zd given)", function, count_max, count);
    return false;
  }
  for (Py_ssize_t i = 0; i < count; i++) out[i] = args[i];
  const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t k = 0; k < named; k++) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, k);
    Py_ssize_t i = 0;
    while (i < count_max && PyUnicode_CompareWithASCIIString(keyword, names[i]) != 0) i++;
    if (i == count_max) {
      PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function, keyword);
      return false;
    }
    if (out[i] != nullptr) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", function, keyword);
      return false;
    }
    out[i] = args[count + k];
  }
  for (Py_ssize_t i = 0; i < count_min; i++) {
    if (out[i] != nullptr) continue;
    PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", function, names[i]);
    return false;
  }
  return true;
}

bool NumberIn::Read(PyObject* number) {
  if (!input_.Read(nullptr, number, nullptr)) return false;
  if (input_.input().wire == nullptr) return true;
  // Beyond int64, or of a class derived from int or float.
  return input_.Unwrap();
}

PyObject* RefuseNew(PyTypeObject* type, PyObject*, PyObject*) {
  if (PyType_IsSubtype(type, keyed_type) != 0 || PyType_IsSubtype(type, sequence_type) != 0) {
    return PyErr_Format(PyExc_TypeError, "%s objects are made by pongo.open() and %s.create(db), not by calling the class",
                        type->tp_name, type->tp_name);
  }
  if (PyType_IsSubtype(type, iterator_type) != 0)
    return PyErr_Format(PyExc_TypeError, "PongoIter objects are made by iter(container), not by calling the class");
  return PyErr_Format(PyExc_TypeError, "%s objects are made by the functions of pongo, not by calling the class", type->tp_name);
}

Py_ssize_t Length(PyObject* self) {
  ProxyObject* proxy = AsProxy(self);
  Place place;
  if (!ReadPlace(proxy, &place)) return -1;
  uint64_t size = 0;
  const Status status = place.session->Size(place.view, proxy->id, &size);
  if (status.ok()) return static_cast<Py_ssize_t>(size);
  Raise(status);
  return -1;
}

namespace {

PyObject* PlainCopy(PyObject* self, DictForm form) {
  ProxyObject* proxy = AsProxy(self);
  Place place;
  if (!ReadPlace(proxy, &place)) return nullptr;
  std::vector<uint8_t> wire;
  const Status status = place.session->Native(place.view, proxy->id, &wire);
  return status.ok() ? MakePlain(proxy->handle, wire, form) : Raise(status);
}

}  // namespace

PyObject* NativeCopy(PyObject* self, PyObject*) { return PlainCopy(self, DictForm::kDict); }
PyObject* JsonForm(PyObject* self, PyObject*) { return PlainCopy(self, DictForm::kPairs); }

PyObject* ClearAll(PyObject* self, PyObject*) {
  ProxyObject* proxy = AsProxy(self);
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  const Status status = session->Clear(proxy->id);
  if (!status.ok()) return Raise(status);
  Py_RETURN_NONE;
}

PyObject* EntriesOf(PyObject* self, bool keys, bool values) {
  ProxyObject* proxy = AsProxy(self);
  Place place;
  if (!ReadPlace(proxy, &place)) return nullptr;
  EntryList entries(proxy->handle);
  const Status status = place.session->Page(place.view, proxy->id, 0, ~uint64_t{0}, 1,
                                            [&](const Key& key, const ValueView& value) { return entries.Add(key, value); });
  return status.ok() ? entries.Release(proxy->snapshot, keys, values) : Raise(status);
}

PyObject* WriteContent(PyObject* self, PyObject* value, Status (Session::*write)(uint64_t, const uint8_t*, size_t)) {
  ProxyObject* proxy = AsProxy(self);
  ValueIn in;
  if (!in.ReadWire(proxy->handle, value, nullptr)) return nullptr;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  const Status status = (session->*write)(proxy->id, in.wire().data(), in.wire().size());
  if (!status.ok()) return Raise(status);
  Py_RETURN_NONE;
}

PyObject* ReplaceContent(PyObject* self, PyObject* value) { return WriteContent(self, value, &Session::Replace); }

PyObject* PageOf(PyObject* self, PyObject* args) {
  unsigned long long start, count;
  int step, keys, values;
  if (!PyArg_ParseTuple(args, "KKipp:_page", &start, &count, &step, &keys, &values)) return nullptr;
  ProxyObject* proxy = AsProxy(self);
  Place place;
  if (!ReadPlace(proxy, &place)) return nullptr;
  EntryList entries(proxy->handle);
  const Status status = place.session->Page(place.view, proxy->id, start, count, step < 0 ? -1 : 1,
                                            [&](const Key& key, const ValueView& value) { return entries.Add(key, value); });
  return status.ok() ? entries.Release(proxy->snapshot, keys != 0, values != 0) : Raise(status);
}

namespace {

PyObject* GetHandle(PyObject* self, void*) { return NewReference(AsObject(AsProxy(self)->handle)); }
PyObject* GetId(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(AsProxy(self)->id); }
PyObject* GetKind(PyObject* self, void*) { return PyLong_FromLong(static_cast<long>(AsProxy(self)->kind)); }
PyObject* GetSnapshot(PyObject* self, void*) {
  PyObject* snapshot = AsObject(AsProxy(self)->snapshot);
  return NewReference(snapshot == nullptr ? Py_None : snapshot);
}

PyMemberDef proxy_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ProxyObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef proxy_properties[] = {
    {"id", GetId, nullptr, "The id of the container in its file.", nullptr},
    {"_handle", GetHandle, nullptr, nullptr, nullptr},
    {"_kind", GetKind, nullptr, nullptr, nullptr},
    {"_snapshot", GetSnapshot, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

PyTypeObject* AddContainerType(PyObject* m, PyType_Spec* spec, const char* name, PyMethodDef* methods, binaryfunc subscript,
                               objobjargproc assign, objobjproc contains) {
  const PyType_Slot end = {0, nullptr};
  PyType_Slot slots[] = {
      {Py_tp_dealloc, Slot(DeallocProxy)},
      {Py_tp_traverse, Slot(TraverseProxy)},
      {Py_tp_clear, Slot(ClearProxy)},
      {Py_tp_new, Slot(RefuseNew)},
      {Py_tp_members, proxy_members},
      {Py_tp_getset, proxy_properties},
      {Py_tp_methods, methods},
      {Py_tp_iter, Slot(MakeIterator)},
      {Py_mp_subscript, Slot(subscript)},
      {Py_mp_ass_subscript, Slot(assign)},
      {Py_mp_length, Slot(Length)},
      contains == nullptr ? end : PyType_Slot{Py_sq_contains, Slot(contains)},
      end,
  };
  spec->basicsize = sizeof(ProxyObject);
  spec->flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC;
  spec->slots = slots;
  return AddType(m, spec, name);
}

}  // namespace pongo::python
