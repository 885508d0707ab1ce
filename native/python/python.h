// Python.h without the warnings of its inline functions.
#ifndef PONGO_PYTHON_PYTHON_H_
#define PONGO_PYTHON_PYTHON_H_

#define PY_SSIZE_T_CLEAN
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <Python.h>
#include <structmember.h>
#pragma GCC diagnostic pop

#include <utility>

namespace pongo::python {

// A strong reference.
class Owned {
 public:
  Owned() = default;
  explicit Owned(PyObject* object) : object_(object) {}
  Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    PyObject* old = std::exchange(object_, std::exchange(other.object_, nullptr));
    Py_XDECREF(old);
    return *this;
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { Py_XDECREF(object_); }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

inline PyObject* NewReference(PyObject* object) {
  Py_INCREF(object);
  return object;
}

template <class T>
PyObject* AsObject(T* object) {
  return reinterpret_cast<PyObject*>(object);
}

}  // namespace pongo::python

#endif  // PONGO_PYTHON_PYTHON_H_
