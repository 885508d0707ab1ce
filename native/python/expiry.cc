#include "expiry.h"

#include <cmath>

#include "convert.h"
#include "datetime_api.h"
#include "handle.h"
#include "module.h"

namespace pongo::python {
namespace {

constexpr double kMicroseconds = 1e6;
constexpr double kSecondsMax = 9007199254740.991;  // 2^53 - 1 milliseconds, as in every language

bool Given(PyObject* object) { return object != nullptr && object != Py_None; }

// Seconds or a timedelta.
bool ReadTimeToLive(PyObject* object, Expiry* expiry) {
  expiry->kind = Expiry::Kind::kAfter;
  PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) return false;
  double seconds = -1;
  if (PyDelta_Check(object)) {
    seconds = PyDateTime_DELTA_GET_DAYS(object) * 86400.0 + PyDateTime_DELTA_GET_SECONDS(object) +
              PyDateTime_DELTA_GET_MICROSECONDS(object) / kMicroseconds;
  } else if (!PyBool_Check(object) && (PyLong_Check(object) || PyFloat_Check(object))) {
    seconds = PyFloat_AsDouble(object);
    if (seconds == -1 && PyErr_Occurred() != nullptr) PyErr_Clear();  // beyond a float
  }
  if (!(seconds >= 0 && seconds <= kSecondsMax)) {
    RaiseFormat(Code::kARG, "ttl must be seconds from 0 to 2**53 / 1000, or such a timedelta, not %R", object);
    return false;
  }
  expiry->microseconds = static_cast<int64_t>(std::round(seconds * kMicroseconds));
  return true;
}

}  // namespace

bool ReadExpiry(PyObject* ttl, PyObject* expires_at, bool* given, Expiry* expiry) {
  *given = Given(ttl) || Given(expires_at);
  if (!*given) [[likely]] return true;
  if (!Given(expires_at)) return ReadTimeToLive(ttl, expiry);
  if (Given(ttl)) {
    Raise(Code::kARG, "ttl and expires_at exclude each other");
    return false;
  }
  PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) return false;
  if (!PyDateTime_Check(expires_at)) {
    RaiseFormat(Code::kARG, "expires_at must be a datetime, not %R", expires_at);
    return false;
  }
  expiry->kind = Expiry::Kind::kAt;
  return ReadDateTime(expires_at, &expiry->microseconds);
}

PyObject* SetExpiryOf(PyObject* self, PyObject* args) {
  PyObject *name, *ttl;
  if (!PyArg_ParseTuple(args, "OO:_set_expiry", &name, &ttl)) return nullptr;
  const ProxyObject* proxy = AsProxy(self);
  KeyBuffer key;
  Expiry expiry;
  bool given;
  if (!ReadKey(proxy->handle, name, &key) || !ReadExpiry(ttl, nullptr, &given, &expiry)) return nullptr;
  Session* session = WriteSession(proxy);
  if (session == nullptr) return nullptr;
  bool was_present = false;
  const Status status = session->SetExpiry(proxy->id, key.key(), expiry, &was_present);
  return status.ok() ? PyBool_FromLong(was_present) : Raise(status);
}

PyObject* TimeLeftOf(PyObject* self, PyObject* name) {
  const ProxyObject* proxy = AsProxy(self);
  KeyBuffer key;
  Place place;
  if (!ReadKey(proxy->handle, name, &key) || !ReadPlace(proxy, &place)) return nullptr;
  bool expires = false;
  int64_t left = 0;
  const Status status = place.session->TimeLeft(place.view, proxy->id, key.key(), &expires, &left);
  if (!status.ok()) return Raise(status);
  if (!expires) Py_RETURN_NONE;
  return PyFloat_FromDouble(static_cast<double>(left) / kMicroseconds);
}

PyObject* BoundsOf(PyObject* self, PyObject*) {
  const ProxyObject* proxy = AsProxy(self);
  Place place;
  if (!ReadPlace(proxy, &place)) return nullptr;
  bool bounded = false;
  CollectionBounds bounds;
  const Status status = place.session->GetBounds(place.view, proxy->id, &bounded, &bounds);
  if (!status.ok()) return Raise(status);
  if (!bounded) Py_RETURN_NONE;
  return Py_BuildValue("KKOK", static_cast<unsigned long long>(bounds.max_items), static_cast<unsigned long long>(bounds.max_bytes),
                       bounds.fifo ? Py_True : Py_False, static_cast<unsigned long long>(bounds.bytes));
}

}  // namespace pongo::python
