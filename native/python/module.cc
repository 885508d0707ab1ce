// The extension module pongo._pongo: types, errors, and what the Python layer hands over at import.
#include "module.h"

#include <cstdarg>
#include <cstring>
#include <system_error>

#include "convert.h"
#include "handle.h"
#include "model/uuid.h"
#include "port/port.h"

namespace pongo::python {

Module module;
PyTypeObject* handle_type;
PyTypeObject* keyed_type;
PyTypeObject* sequence_type;
PyTypeObject* iterator_type;
PyTypeObject* snapshot_type;
PyTypeObject* watcher_type;
PyTypeObject* lock_request_type;

bool WatchForks();

// -- errors --

namespace {

PyObject* ClassOf(Code code) {
  PyObject* error = module.errors[static_cast<size_t>(code)];
  return error == nullptr ? PyExc_RuntimeError : error;
}

}  // namespace

PyObject* RaiseWith(Code code, PyObject* argument) {
  const Owned error(PyObject_CallFunctionObjArgs(ClassOf(code), argument, nullptr));
  if (error) PyErr_SetObject(ClassOf(code), error.get());
  return nullptr;
}

PyObject* Raise(const Status& status, const std::string& detail) {
  std::string message = status.text();
  if (message.empty() && detail.empty()) message = CodeName(status.code());
  if (!detail.empty()) message += message.empty() ? detail : ": " + detail;
  if (status.os_error() != 0) message += " (" + std::generic_category().message(status.os_error()) + ")";
  const Owned text(PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()), "replace"));
  if (!text) return nullptr;
  const Owned error(PyObject_CallFunctionObjArgs(ClassOf(status.code()), text.get(), nullptr));
  if (!error) return nullptr;
  if (status.os_error() != 0) {
    const Owned number(PyLong_FromLong(status.os_error()));
    if (number && PyObject_SetAttrString(error.get(), "errno", number.get()) < 0) PyErr_Clear();
  }
  PyErr_SetObject(ClassOf(status.code()), error.get());
  return nullptr;
}

PyObject* Raise(Code code, const char* text) { return Raise(Status(code, text)); }

PyObject* RaiseFormat(Code code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const Owned text(PyUnicode_FromFormatV(format, arguments));
  va_end(arguments);
  return text ? RaiseWith(code, text.get()) : nullptr;
}

// -- the module --

namespace {

// Types and hooks are kept once for the process: they belong to the main interpreter.
bool InMainInterpreter() {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) return true;
  PyErr_SetString(PyExc_ImportError, "pongo cannot be used in a subinterpreter: use processes, or threads of one interpreter");
  return false;
}

// bind(errors: dict of code names to classes, objects: dict): called once by the Python layer.
PyObject* Bind(PyObject*, PyObject* args) {
  PyObject *errors, *objects;
  if (!InMainInterpreter()) return nullptr;  // where Python has imported the extension already, Execute may not be called
  if (!PyArg_ParseTuple(args, "O!O!", &PyDict_Type, &errors, &PyDict_Type, &objects)) return nullptr;
  constexpr const char* kNames[] = {"",
#define CODE(name, text) #name,
#include "util/codes.def"
#undef CODE
  };
  static_assert(std::size(kNames) <= kErrorCount);
  for (size_t i = 1; i < std::size(kNames); i++) {
    PyObject* error = PyDict_GetItemString(errors, kNames[i]);
    if (error == nullptr) return PyErr_Format(PyExc_SystemError, "no class for the error %s", kNames[i]);
    module.errors[i] = NewReference(error);
  }
  const auto object = [&](const char* name) -> PyObject* {
    PyObject* found = PyDict_GetItemString(objects, name);
    if (found == nullptr) {
      PyErr_Format(PyExc_SystemError, "bind() needs %s", name);
      return nullptr;
    }
    return NewReference(found);
  };
  const auto type = [&](const char* name) { return reinterpret_cast<PyTypeObject*>(object(name)); };
  module.dict_class = type("PongoDict");
  module.list_class = type("PongoList");
  module.collection_class = type("PongoCollection");
  module.multi_class = type("PongoMultiCollection");
  module.iterator_class = type("PongoIter");
  module.adapt = object("adapt");
  module.add_document = object("add_document");
  module.uuid_class = object("UUID");
  module.id_marker = object("id");
  module.utcnow_marker = object("utcnow");
  if (PyErr_Occurred() != nullptr) return nullptr;
  Py_RETURN_NONE;
}

// A time-ordered UUID as 16 bytes.
PyObject* Uuid7(PyObject*, PyObject*) {
  uint8_t bytes[16];
  const Status status = MakeUuid7(bytes);
  if (!status.ok()) return Raise(status);
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(bytes), 16);
}

PyMethodDef functions[] = {
    {"bind", Bind, METH_VARARGS, nullptr},
    {"uuid7", Uuid7, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

PyTypeObject* AddType(PyObject* m, PyType_Spec* spec, const char* name) {
  PyObject* type = PyType_FromSpec(spec);
  if (type == nullptr) return nullptr;
  Py_INCREF(type);  // one for the module, one for the caller
  if (PyModule_AddObject(m, name, type) == 0) return reinterpret_cast<PyTypeObject*>(type);
  Py_DECREF(type);
  Py_DECREF(type);
  return nullptr;
}

namespace {

// Fills the module; one that is imported anew gets what the first one holds.
int Execute(PyObject* m) {
  static PyObject* first = nullptr;  // the dict of the first
  if (!InMainInterpreter()) return -1;
  if (first != nullptr) return PyDict_Merge(PyModule_GetDict(m), first, 0);
  if (!PrepareInput() || !PrepareOutput()) return -1;
  if (!WatchForks()) {
    PyErr_NoMemory();
    return -1;
  }
  if (!AddHandleType(m) || !AddSnapshotType(m) || !AddKeyedType(m) || !AddSequenceType(m) || !AddIteratorType(m) || !AddWatcherType(m) ||
      !AddLockRequestType(m)) {
    return -1;
  }
  first = NewReference(PyModule_GetDict(m));
  return 0;
}

// In several phases (PEP 489), so that Python can refuse a subinterpreter before anything is made: 3.12 and 3.13 abort after they have
// refused a module of one phase.
PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(Execute)},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "pongo._pongo", "The engine of pongo. Import pongo instead.", 0, functions, slots, nullptr, nullptr, nullptr,
};

}  // namespace

}  // namespace pongo::python

extern "C" __attribute__((visibility("default"))) PyObject* PyInit__pongo() { return PyModuleDef_Init(&pongo::python::definition); }
