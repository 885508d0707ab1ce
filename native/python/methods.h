// What the container types have in common.
#ifndef PONGO_PYTHON_METHODS_H_
#define PONGO_PYTHON_METHODS_H_

#include "convert.h"
#include "handle.h"
#include "python.h"

namespace pongo::python {

template <class F>
void* Slot(F* function) {
  return reinterpret_cast<void*>(function);
}

// Arguments of a fast call, by position and by name: out[i] stays null where nothing is given. False with TypeError set.
bool ReadArguments(const char* function, const char* const* names, Py_ssize_t count_max, Py_ssize_t count_min,
                   PyObject* const* args, Py_ssize_t count, PyObject* keywords, PyObject** out);

// An int or float as the engine takes it.
class NumberIn {
 public:
  bool Read(PyObject* number);
  const ValueView& view() const { return input_.input().view; }

 private:
  ValueIn input_;
};

Py_ssize_t Length(PyObject* self);
PyObject* MakeIterator(PyObject* self);
PyObject* NativeCopy(PyObject* self, PyObject*);
PyObject* ClearAll(PyObject* self, PyObject*);
// All entries as a list of keys, values or pairs: one version.
PyObject* EntriesOf(PyObject* self, bool keys, bool values);
// Hands a dict or list of Python to a method of the session, in one commit.
PyObject* WriteContent(PyObject* self, PyObject* value, Status (Session::*write)(uint64_t, const uint8_t*, size_t));
// _replace(value): the whole content by that of a dict or list.
PyObject* ReplaceContent(PyObject* self, PyObject* value);
// _json_form(): as native(), but each Dict and Collection is a tuple of pairs, which keeps True and 1 apart.
PyObject* JsonForm(PyObject* self, PyObject*);
// _page(start, count, step, keys, values) -> list
PyObject* PageOf(PyObject* self, PyObject* args);
PyObject* RefuseNew(PyTypeObject* type, PyObject* args, PyObject* keywords);

// The type of the live objects of one kind of container, from which the Python layer derives; `spec` gives its name.
PyTypeObject* AddContainerType(PyObject* m, PyType_Spec* spec, const char* name, PyMethodDef* methods, binaryfunc subscript,
                               objobjargproc assign, objobjproc contains);

}  // namespace pongo::python

#endif  // PONGO_PYTHON_METHODS_H_
