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
// _page(start, count, step, keys, values) -> list
PyObject* PageOf(PyObject* self, PyObject* args);
PyObject* RefuseNew(PyTypeObject* type, PyObject* args, PyObject* keywords);

extern PyMemberDef proxy_members[];
extern PyGetSetDef proxy_properties[];

}  // namespace pongo::python

#endif  // PONGO_PYTHON_METHODS_H_
