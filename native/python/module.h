// What the files of the extension module share: the objects that the Python layer (native/python/pongo) hands over at
// import, and raising errors. All of it is guarded by the GIL.
#ifndef PONGO_PYTHON_MODULE_H_
#define PONGO_PYTHON_MODULE_H_

#include <string>

#include "python.h"
#include "util/status.h"

namespace pongo::python {

inline constexpr size_t kErrorCount = 32;  // at least as many as codes.def has, and kOK

// Set once by bind(); never freed.
struct Module {
  PyObject* errors[kErrorCount] = {};    // by Code: the exception classes
  PyTypeObject* dict_class = nullptr;    // PongoDict, and so on
  PyTypeObject* list_class = nullptr;
  PyTypeObject* collection_class = nullptr;
  PyTypeObject* multi_class = nullptr;
  PyTypeObject* iterator_class = nullptr;
  PyTypeObject* snapshot_class = nullptr;
  PyObject* adapt = nullptr;             // value -> dict or list; TypeError when it cannot be stored
  PyObject* add_document = nullptr;      // (container, document, sync, fail, ttl, expires_at) -> id
  PyObject* uuid_class = nullptr;        // uuid.UUID
  PyObject* id_marker = nullptr;         // pongo.id
  PyObject* utcnow_marker = nullptr;     // pongo.utcnow
};
extern Module module;

// The types that the extension defines; the Python layer derives from the first two.
extern PyTypeObject* handle_type;
extern PyTypeObject* keyed_type;
extern PyTypeObject* sequence_type;
extern PyTypeObject* iterator_type;
extern PyTypeObject* snapshot_type;
extern PyTypeObject* watcher_type;
extern PyTypeObject* lock_request_type;

bool AddHandleType(PyObject* m);
bool AddKeyedType(PyObject* m);
bool AddSequenceType(PyObject* m);
bool AddIteratorType(PyObject* m);
bool AddSnapshotType(PyObject* m);
bool AddWatcherType(PyObject* m);
bool AddLockRequestType(PyObject* m);
PyTypeObject* AddType(PyObject* m, PyType_Spec* spec, const char* name);

// Raises the exception of a status; detail is appended. Returns null.
PyObject* Raise(const Status& status, const std::string& detail = {});
PyObject* Raise(Code code, const char* text);
// As Raise, but the one argument of the exception is an object: the missing key of a KeyError.
PyObject* RaiseWith(Code code, PyObject* argument);
// As Raise, with text of Python's formats.
PyObject* RaiseFormat(Code code, const char* format, ...);

}  // namespace pongo::python

#endif  // PONGO_PYTHON_MODULE_H_
