#include <cmath>
#include <cstring>
#include <string_view>

#include "convert.h"
#include "datetime_api.h"
#include "format/wire_reader.h"
#include "model/uuid.h"
#include "model/values.h"
#include "port/port.h"
#include "util/utf8.h"

namespace pongo::python {
namespace {

constexpr size_t kBorrowMax = 1024;       // bytes: larger texts are not encoded into the str object itself
constexpr size_t kShownMax = 200;         // characters of a place that a message shows
constexpr const char* kKeyTypes =
    "a key must be None, a bool, int, float, datetime, UUID, str, bytes or a tuple of these, not %.200s";

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
// algorithms").
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

// A decimal integer without leading zeros, that fits int64.
bool ParseIndex(std::string_view text, int64_t* index) {
  const bool negative = !text.empty() && text[0] == '-';
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > 18 || (digits[0] == '0' && text.size() > 1)) return false;
  int64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  *index = negative ? -value : value;
  return true;
}

// The magnitude of an int beyond int64, least significant byte first.
bool ReadBigInt(PyObject* object, bool* negative, std::vector<uint8_t>* magnitude) {
  const Owned zero(PyLong_FromLong(0));
  if (!zero) return false;
  const int below = PyObject_RichCompareBool(object, zero.get(), Py_LT);
  if (below < 0) return false;
  const Owned absolute(PyNumber_Absolute(object));
  if (!absolute) return false;
  const Owned bits(PyObject_CallMethod(absolute.get(), "bit_length", nullptr));
  if (!bits) return false;
  const Py_ssize_t size = PyLong_AsSsize_t(bits.get()) / 8 + 1;
  if (PyErr_Occurred() != nullptr) return false;
  const Owned bytes(PyObject_CallMethod(absolute.get(), "to_bytes", "ns", size, "little"));
  if (!bytes) return false;
  const char* data = PyBytes_AS_STRING(bytes.get());
  magnitude->assign(data, data + size);
  while (!magnitude->empty() && magnitude->back() == 0) magnitude->pop_back();
  *negative = below == 1;
  return true;
}

// 1: the 16 bytes were read; 0: not a UUID; -1: failed.
int ReadUuid(HandleObject* handle, PyObject* object, uint8_t bytes[16]) {
  PyObject* own = handle->state->uuid_class;
  int is = Py_TYPE(object) == reinterpret_cast<PyTypeObject*>(module.uuid_class) ? 1 : PyObject_IsInstance(object, module.uuid_class);
  if (is == 0 && own != nullptr) is = PyObject_IsInstance(object, own);
  if (is != 1) return is;
  const Owned raw(PyObject_GetAttrString(object, "bytes"));
  if (!raw) return -1;
  if (!PyBytes_Check(raw.get()) || PyBytes_GET_SIZE(raw.get()) != 16) {
    Raise(Code::kTYPE, "an instance of the UUID class needs an attribute `bytes` of 16 bytes");
    return -1;
  }
  std::memcpy(bytes, PyBytes_AS_STRING(raw.get()), 16);
  return 1;
}

bool Checked(const Status& status) {
  if (status.ok()) [[likely]] return true;
  Raise(status);
  return false;
}

bool BadKey(PyObject* object) {
  RaiseFormat(Code::kTYPE, kKeyTypes, Py_TYPE(object)->tp_name);
  return false;
}

bool AddKey(HandleObject* handle, PyObject* object, KeyBuffer* key) {
  if (PyUnicode_Check(object)) {
    Utf8 text;
    return text.Read(object) && Checked(key->AddString(text.data(), text.size()));
  }
  if (object == Py_None) return Checked(key->AddNull());
  if (PyBool_Check(object)) return Checked(key->AddBool(object == Py_True));
  if (PyLong_Check(object)) {
    int overflow;
    const long long integer = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) return PyErr_Occurred() == nullptr && Checked(key->AddInt(integer));
    bool negative;
    std::vector<uint8_t> magnitude;
    return ReadBigInt(object, &negative, &magnitude) && Checked(key->AddBigInt(negative, magnitude.data(), magnitude.size()));
  }
  if (PyFloat_Check(object)) return Checked(key->AddDouble(PyFloat_AS_DOUBLE(object)));
  if (PyBytes_Check(object)) {
    return Checked(key->AddBytes(reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(object)), static_cast<size_t>(PyBytes_GET_SIZE(object))));
  }
  if (PyByteArray_Check(object)) {
    return Checked(key->AddBytes(reinterpret_cast<const uint8_t*>(PyByteArray_AS_STRING(object)), static_cast<size_t>(PyByteArray_GET_SIZE(object))));
  }
  if (PyTuple_Check(object)) {
    if (!Checked(key->BeginTuple())) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); i++)
      if (!AddKey(handle, PyTuple_GET_ITEM(object, i), key)) return false;
    return Checked(key->EndTuple());
  }
  if (PyDateTime_Check(object)) {
    int64_t microseconds;
    return ReadDateTime(object, &microseconds) && Checked(key->AddDateTime(microseconds));
  }
  uint8_t uuid[16];
  const int is_uuid = ReadUuid(handle, object, uuid);
  if (is_uuid != 0) return is_uuid == 1 && Checked(key->AddUuid(uuid));
  return BadKey(object);
}

// Writes one value with all that is in it. Nesting is limited, so recursion is.
class Encoder {
 public:
  Encoder(HandleObject* handle, PyObject* place, std::vector<uint8_t>* wire, Owned* kept)
      : handle_(handle), place_(place), wire_(wire), writer_(wire), kept_(kept) {}

  // Live containers are written as what they hold.
  void Compare() { contents_ = true; }

  bool Value(PyObject* object) {
    if (PyUnicode_CheckExact(object)) return String(object);
    if (object == Py_None) return writer_.Null(), true;
    if (PyBool_Check(object)) return writer_.Bool(object == Py_True), true;
    if (PyLong_CheckExact(object)) return Integer(object);
    if (PyFloat_CheckExact(object)) return writer_.Double(PyFloat_AS_DOUBLE(object)), true;
    if (PyDict_CheckExact(object)) return Nested(object, &Encoder::Dict);
    if (PyList_CheckExact(object) || PyTuple_CheckExact(object)) return Nested(object, &Encoder::List);
    if (PyBytes_CheckExact(object)) return Bytes(object);
    if (IsProxy(object)) return Live(AsProxy(object));
    return Other(object);
  }

 private:
  bool Fail(Code code, const std::string& why) {
    std::string place;
    if (place_ != nullptr) Describe(place_, &place);
    for (PyObject* key : keys_) Describe(key, &place);
    if (place.size() > kShownMax) place = place.substr(0, kShownMax) + "...";
    Raise(Status(code, ""), place.empty() ? why : place + ": " + why);
    return false;
  }

  static void Describe(PyObject* key, std::string* place) {
    if (PyList_Check(key)) {
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(key); i++) Describe(PyList_GET_ITEM(key, i), place);
      return;
    }
    const Owned text(PyUnicode_Check(key) ? NewReference(key) : PyObject_Repr(key));
    const char* utf8 = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
    if (utf8 == nullptr) PyErr_Clear();
    if (!place->empty()) *place += '.';
    *place += utf8 == nullptr ? "?" : utf8;
  }

  bool Engine(const Status& status) { return status.ok() || Fail(status.code(), status.text()); }

  bool String(PyObject* object) {
    Utf8 text;
    if (!text.Read(object)) {
      if (PyErr_ExceptionMatches(module.errors[static_cast<size_t>(Code::kVALUE)])) {
        PyErr_Clear();
        Fail(Code::kVALUE, "the string holds a lone surrogate, which UTF-8 cannot represent");
      }
      return false;
    }
    if (text.size() > UINT32_MAX) return Fail(Code::kVALUE, "a string is larger than 4 GiB");
    writer_.String(text.data(), static_cast<uint32_t>(text.size()));
    return true;
  }

  bool Integer(PyObject* object) {
    int overflow;
    const long long integer = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) {
      if (integer == -1 && PyErr_Occurred() != nullptr) return false;
      writer_.Int(integer);
      return true;
    }
    bool negative;
    std::vector<uint8_t> magnitude;
    if (!ReadBigInt(object, &negative, &magnitude)) return false;
    writer_.BigInt(negative, magnitude.data(), static_cast<uint32_t>(magnitude.size()));
    return true;
  }

  bool Bytes(PyObject* object) {
    const bool array = PyByteArray_Check(object) != 0;
    const char* data = array ? PyByteArray_AS_STRING(object) : PyBytes_AS_STRING(object);
    const Py_ssize_t size = array ? PyByteArray_GET_SIZE(object) : PyBytes_GET_SIZE(object);
    if (size > UINT32_MAX) return Fail(Code::kVALUE, "the bytes are more than 4 GiB");
    writer_.Bytes(reinterpret_cast<const uint8_t*>(data), static_cast<uint32_t>(size));
    return true;
  }

  bool Nested(PyObject* object, bool (Encoder::*write)(PyObject*)) {
    for (PyObject* around : around_)
      if (around == object) return Fail(Code::kTYPE, "the object contains itself: only live containers may");
    if (around_.size() >= kDepthMax) return Fail(Code::kDEPTH, "deeper than 512 levels");
    around_.push_back(object);
    keys_.push_back(Py_None);
    const bool done = (this->*write)(object);
    keys_.pop_back();
    around_.pop_back();
    return done;
  }

  bool Dict(PyObject* object) {
    const size_t head = writer_.Dict();
    uint32_t count = 0;
    Py_ssize_t at = 0;
    PyObject *key, *value;
    // __topongo__ of a value may change the dict: what is in hand is kept, and a resized dict is refused.
    const Py_ssize_t size = PyDict_GET_SIZE(object);
    while (PyDict_Next(object, &at, &key, &value)) {
      const Owned own_key(NewReference(key)), own_value(NewReference(value));
      keys_.back() = key;
      if (!Key(key) || !Value(value)) return false;
      if (PyDict_GET_SIZE(object) != size) return Fail(Code::kVALUE, "the dict changed while it was stored");
      count++;
    }
    writer_.SetCount(head, count);
    return true;
  }

  bool List(PyObject* object) {
    const size_t head = writer_.List();
    uint32_t count = 0;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(object); i++) {  // the size may change meanwhile
      const Owned item(NewReference(PySequence_Fast_GET_ITEM(object, i)));
      const Owned index(PyLong_FromSsize_t(i));
      if (!index) return false;
      keys_.back() = index.get();
      if (!Value(item.get())) return false;
      count++;
    }
    keys_.back() = Py_None;
    writer_.SetCount(head, count);
    return true;
  }

  bool Key(PyObject* key) {
    if (PyUnicode_CheckExact(key)) return String(key);
    KeyBuffer buffer;
    return AddKey(handle_, key, &buffer) && Engine(KeyToWire(buffer.key(), wire_));
  }

  // Everything that is not exactly of one of the common types.
  bool Other(PyObject* object) {
    if (object == module.utcnow_marker) return writer_.DateTime(port::WallClockMicroseconds()), true;
    uint8_t uuid[16];
    if (object == module.id_marker) {
      if (!Engine(MakeUuid7(uuid))) return false;
      writer_.Uuid(uuid);
      return true;
    }
    const Owned hook(PyObject_GetAttrString(AsObject(Py_TYPE(object)), "__topongo__"));
    if (hook) return Hop(object);
    PyErr_Clear();
    if (PyUnicode_Check(object)) return String(object);
    if (PyLong_Check(object)) return Integer(object);
    if (PyFloat_Check(object)) return writer_.Double(PyFloat_AS_DOUBLE(object)), true;
    if (PyDict_Check(object)) return Nested(object, &Encoder::Dict);
    if (PyList_Check(object) || PyTuple_Check(object)) return Nested(object, &Encoder::List);
    if (PyBytes_Check(object) || PyByteArray_Check(object)) return Bytes(object);
    if (PyDateTime_Check(object)) {
      int64_t microseconds;
      if (!ReadDateTime(object, &microseconds)) return false;
      writer_.DateTime(microseconds);
      return true;
    }
    const int is_uuid = ReadUuid(handle_, object, uuid);
    if (is_uuid != 0) {
      if (is_uuid == 1) writer_.Uuid(uuid);
      return is_uuid == 1;
    }
    const Owned plain(PyObject_CallFunctionObjArgs(module.adapt, object, nullptr));
    if (plain) return Nested(plain.get(), PyDict_Check(plain.get()) ? &Encoder::Dict : &Encoder::List);
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return false;
    PyErr_Clear();
    return Fail(Code::kTYPE, std::string("a value of type ") + Py_TYPE(object)->tp_name + " cannot be stored");
  }

  // The result of __topongo__ takes the place of the object; it may have such a method itself.
  bool Hop(PyObject* object) {
    if (++hops_ > kDepthMax) return Fail(Code::kDEPTH, "__topongo__() returns objects without end");
    const Owned result(PyObject_CallMethod(object, "__topongo__", nullptr));
    if (!result) return false;
    const bool done = Value(result.get());
    hops_--;
    return done;
  }

  bool Live(ProxyObject* proxy) {
    HandleState* theirs = proxy->handle->state;
    Place place;
    if (!ReadPlace(proxy, &place)) return false;
    const bool same_file = proxy->handle == handle_ || std::memcmp(theirs->uuid, handle_->state->uuid, 16) == 0;
    if (!contents_ && proxy->snapshot == nullptr && same_file && theirs->path == handle_->state->path) {
      writer_.Container(static_cast<uint8_t>(proxy->kind), proxy->id);
      return true;
    }
    std::vector<uint8_t> copy;
    const Status status = place.session->Native(place.view, proxy->id, &copy);
    if (!status.ok()) {
      // What has no plain copy (a cycle) can only be compared by identity.
      if (contents_ && (status.code() == Code::kTYPE || status.code() == Code::kDEPTH) && proxy->snapshot == nullptr) {
        writer_.Container(static_cast<uint8_t>(proxy->kind), proxy->id);
        return true;
      }
      return Engine(status);
    }
    WireReader reader(copy.data(), copy.size());
    return Copy(&reader, copy.data(), &writer_, wire_);
  }

  // Copies one value of the core's own making. Collections have no wire form of their own on the way in: each becomes a
  // new one of this database, and a reference to it.
  bool Copy(WireReader* reader, const uint8_t* bytes, WireWriter* writer, std::vector<uint8_t>* out) {
    const size_t start = reader->position();
    WireItem item;
    if (!Engine(reader->Next(&item))) return false;
    const auto verbatim = [&] { out->insert(out->end(), bytes + start, bytes + reader->position()); };
    if (item.type == WireType::kList) {
      writer->List(item.count);
      for (uint32_t i = 0; i < item.count; i++)
        if (!Copy(reader, bytes, writer, out)) return false;
      return true;
    }
    if (item.type < WireType::kDict) return verbatim(), true;
    if (item.type == WireType::kDict || (contents_ && item.type == WireType::kCollection)) {
      writer->Dict(item.count);
      return Pairs(reader, bytes, item.count, writer, out);
    }
    if (contents_) return Fail(Code::kTYPE, "a MultiCollection has no content to compare");
    std::vector<uint8_t> inner;
    WireWriter inner_writer(&inner);
    inner_writer.Dict(item.count);
    if (!Pairs(reader, bytes, item.count, &inner_writer, &inner)) return false;
    const Kind kind = item.type == WireType::kMulti ? Kind::kMulti : Kind::kCollection;
    Owned made(CreateContainer(handle_, kind, inner.data(), inner.size()));
    if (!made) return false;
    writer->Container(static_cast<uint8_t>(kind), AsProxy(made.get())->id);
    if (!*kept_) *kept_ = Owned(PyList_New(0));
    return *kept_ && PyList_Append(kept_->get(), made.get()) == 0;
  }

  bool Pairs(WireReader* reader, const uint8_t* bytes, uint32_t count, WireWriter* writer, std::vector<uint8_t>* out) {
    for (uint32_t i = 0; i < count; i++) {
      const size_t start = reader->position();
      if (!Engine(reader->Skip())) return false;
      out->insert(out->end(), bytes + start, bytes + reader->position());
      if (!Copy(reader, bytes, writer, out)) return false;
    }
    return true;
  }

  HandleObject* handle_;
  PyObject* place_;
  std::vector<uint8_t>* wire_;
  WireWriter writer_;
  Owned* kept_;
  bool contents_ = false;
  size_t hops_ = 0;
  std::vector<PyObject*> around_;
  std::vector<PyObject*> keys_;
};

}  // namespace

bool PrepareInput() {
  PyDateTime_IMPORT;
  return PyDateTimeAPI != nullptr;
}

bool Utf8::Read(PyObject* string) {
  if (PyUnicode_IS_COMPACT_ASCII(string)) [[likely]] {
    data_ = static_cast<const uint8_t*>(PyUnicode_DATA(string));
    size_ = static_cast<size_t>(PyUnicode_GET_LENGTH(string));
    return true;
  }
  Py_ssize_t size = 0;
  if (static_cast<size_t>(PyUnicode_GET_LENGTH(string)) <= kBorrowMax) {
    data_ = reinterpret_cast<const uint8_t*>(PyUnicode_AsUTF8AndSize(string, &size));
  } else {
    encoded_ = Owned(PyUnicode_AsUTF8String(string));
    data_ = encoded_ ? reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(encoded_.get())) : nullptr;
    size = encoded_ ? PyBytes_GET_SIZE(encoded_.get()) : 0;
  }
  size_ = static_cast<size_t>(size);
  if (data_ != nullptr) return true;
  if (PyErr_ExceptionMatches(PyExc_UnicodeError)) {
    PyErr_Clear();
    Raise(Code::kVALUE, "a string holds a lone surrogate, which UTF-8 cannot represent");
  }
  return false;
}

bool ReadDateTime(PyObject* object, int64_t* microseconds) {
  const int64_t days = DaysFromCivil(PyDateTime_GET_YEAR(object), PyDateTime_GET_MONTH(object), PyDateTime_GET_DAY(object));
  const int64_t seconds = ((days * 24 + PyDateTime_DATE_GET_HOUR(object)) * 60 + PyDateTime_DATE_GET_MINUTE(object)) * 60 +
                          PyDateTime_DATE_GET_SECOND(object);
  *microseconds = seconds * 1000000 + PyDateTime_DATE_GET_MICROSECOND(object);
  const Owned zone(PyObject_GetAttrString(object, "tzinfo"));
  if (!zone) return false;
  if (zone.get() == Py_None || zone.get() == PyDateTime_TimeZone_UTC) return true;
  const Owned offset(PyObject_CallMethod(object, "utcoffset", nullptr));
  if (!offset) return false;
  if (!PyDelta_Check(offset.get())) return true;  // a zone that does not know: naive
  const int64_t offset_seconds = int64_t{PyDateTime_DELTA_GET_DAYS(offset.get())} * 86400 + PyDateTime_DELTA_GET_SECONDS(offset.get());
  *microseconds -= offset_seconds * 1000000 + PyDateTime_DELTA_GET_MICROSECONDS(offset.get());
  return true;
}

bool ReadKey(HandleObject* handle, PyObject* object, KeyBuffer* key) { return AddKey(handle, object, key); }

// -- values --

bool ValueIn::Read(HandleObject* handle, PyObject* value, PyObject* place) {
  ValueView& view = input_.view;
  if (PyUnicode_CheckExact(value)) {
    if (PyUnicode_IS_COMPACT_ASCII(value)) {
      if (!text_.Read(value)) return false;
      view.type = ValueView::Type::kString;
      view.data = text_.data();
      view.size = text_.size();
      return true;
    }
  } else if (PyLong_CheckExact(value)) {
    int overflow;
    view.integer = PyLong_AsLongLongAndOverflow(value, &overflow);
    view.type = ValueView::Type::kInt;
    if (overflow == 0) return true;
  } else if (PyFloat_CheckExact(value)) {
    const double number = PyFloat_AS_DOUBLE(value);
    view.type = ValueView::Type::kDouble;
    view.number = std::isnan(number) ? CanonicalNaN() : number;
    return true;
  } else if (value == Py_None || PyBool_Check(value)) {
    view.type = value == Py_None ? ValueView::Type::kNull : value == Py_True ? ValueView::Type::kTrue : ValueView::Type::kFalse;
    return true;
  }
  return ReadWire(handle, value, place);
}

bool ValueIn::ReadWire(HandleObject* handle, PyObject* value, PyObject* place) {
  Encoder encoder(handle, place, &wire_, &kept_);
  if (!encoder.Value(value)) return false;
  input_.wire = wire_.data();
  input_.wire_size = wire_.size();
  return true;
}

bool ValueIn::ReadContents(HandleObject* handle, PyObject* value, PyObject* place) {
  Encoder encoder(handle, place, &wire_, &kept_);
  encoder.Compare();
  if (!encoder.Value(value)) return false;
  input_.wire = wire_.data();
  input_.wire_size = wire_.size();
  return true;
}

bool ValueIn::Unwrap() {
  WireReader reader(wire_.data(), wire_.size());
  WireItem item;
  const Status status = reader.Next(&item);
  if (status.ok() && (item.type == WireType::kInt || item.type == WireType::kDouble || item.type == WireType::kBigInt)) {
    input_.view = ViewOfItem(item);
    return true;
  }
  Raise(Code::kTYPE, "not a number");
  return false;
}

// -- paths --

// Each key of a string path is its tag and its text.
bool PathIn::Split(const Utf8& text, const Utf8& separator) {
  constexpr uint8_t kStringTag = 0x40;
  if (text.size() >= kKeySizeMax) return Checked(Status(Code::kVALUE, "the path is too long"));
  const std::string_view mark(reinterpret_cast<const char*>(separator.data()), separator.size());
  std::string_view rest(reinterpret_cast<const char*>(text.data()), text.size());
  keys_.reserve(text.size() + 16);
  for (;;) {
    const size_t end = mark.empty() ? std::string_view::npos : rest.find(mark);
    const std::string_view segment = rest.substr(0, end);
    PathStep step;
    step.key.size = static_cast<uint32_t>(segment.size() + 1);
    step.is_index = ParseIndex(segment, &step.index);
    steps_.push_back(step);
    keys_.push_back(kStringTag);
    keys_.insert(keys_.end(), segment.begin(), segment.end());
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + mark.size());
  }
  Point();
  return true;
}

bool PathIn::ReadList(HandleObject* handle, PyObject* list) {
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
    const Owned element(NewReference(PyList_GET_ITEM(list, i)));
    KeyBuffer buffer;
    if (!AddKey(handle, element.get(), &buffer)) return false;
    const Key key = buffer.key();
    PathStep step;
    step.key = key;
    const uint8_t* text;
    uint32_t size;
    if (KeyIsString(key, &text, &size)) {
      step.is_index = ParseIndex(std::string_view(reinterpret_cast<const char*>(text), size), &step.index);
    } else if (PyLong_Check(element.get()) && !PyBool_Check(element.get())) {
      int overflow;
      step.index = PyLong_AsLongLongAndOverflow(element.get(), &overflow);
      step.is_index = overflow == 0;
    }
    keys_.insert(keys_.end(), key.data, key.data + key.size);
    if (key.form_size > 0) keys_.insert(keys_.end(), key.form, key.form + key.form_size);
    steps_.push_back(step);
  }
  Point();
  return true;
}

// The bytes have come to rest.
void PathIn::Point() {
  const uint8_t* at = keys_.data();
  for (PathStep& step : steps_) {
    step.key.data = at;
    at += step.key.size;
    step.key.form = at;
    at += step.key.form_size;
  }
}

}  // namespace pongo::python
