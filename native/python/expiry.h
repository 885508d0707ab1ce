// Entries that expire, and bounds of Collections.
#ifndef PONGO_PYTHON_EXPIRY_H_
#define PONGO_PYTHON_EXPIRY_H_

#include "database.h"
#include "python.h"

namespace pongo::python {

// From a time to live (seconds or a timedelta) or an instant (a datetime), each null or None when it is not given. *given
// tells whether one is. False with an exception set.
bool ReadExpiry(PyObject* ttl, PyObject* expires_at, bool* given, Expiry* expiry);

// _set_expiry(key, ttl or None) -> whether the key is there; None: never
PyObject* SetExpiryOf(PyObject* self, PyObject* args);
// _time_left(key) -> seconds, or None
PyObject* TimeLeftOf(PyObject* self, PyObject* key);
// _bounds_of() -> (max_items, max_bytes, fifo, bytes), or None
PyObject* BoundsOf(PyObject* self, PyObject*);

}  // namespace pongo::python

#endif  // PONGO_PYTHON_EXPIRY_H_
