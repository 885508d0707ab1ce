#include <cstring>

#include "convert.h"
#include "datetime_api.h"
#include "format/wire_reader.h"
#include "model/values.h"

namespace pongo::python {
namespace {

constexpr int64_t kMicrosecondsPerDay = int64_t{86400} * 1000000;
constexpr size_t kAsciiMax = 1024;  // bytes: longer texts are not worth a look of their own
constexpr int64_t kDaysMin = -719162;  // 0001-01-01
constexpr int64_t kDaysMax = 2932896;  // 9999-12-31

struct Civil {
  int year, month, day, hour, minute, second, microsecond;
};

// False beyond the years 1 to 9999. (H. Hinnant, "chrono-compatible low-level date algorithms".)
bool ToCivil(int64_t microseconds, Civil* civil) {
  int64_t days = microseconds / kMicrosecondsPerDay;
  int64_t rest = microseconds % kMicrosecondsPerDay;
  if (rest < 0) {
    rest += kMicrosecondsPerDay;
    days--;
  }
  if (days < kDaysMin || days > kDaysMax) return false;
  const int64_t shifted = days + 719468;
  const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  const int64_t day_of_era = shifted - era * 146097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_shifted = (5 * day_of_year + 2) / 153;
  civil->day = static_cast<int>(day_of_year - (153 * month_shifted + 2) / 5 + 1);
  civil->month = static_cast<int>(month_shifted + (month_shifted < 10 ? 3 : -9));
  civil->year = static_cast<int>(year_of_era + era * 400 + (civil->month <= 2 ? 1 : 0));
  const int64_t seconds = rest / 1000000;
  civil->microsecond = static_cast<int>(rest % 1000000);
  civil->hour = static_cast<int>(seconds / 3600);
  civil->minute = static_cast<int>(seconds / 60 % 60);
  civil->second = static_cast<int>(seconds % 60);
  return true;
}

bool IsAscii(const uint8_t* text, size_t size) {
  constexpr uint64_t kHighBits = 0x8080808080808080;
  uint64_t bits = 0;
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word;
    std::memcpy(&word, text + i, 8);
    bits |= word;
  }
  for (; i < size; i++) bits |= text[i];
  return (bits & kHighBits) == 0;
}

PyObject* MakeText(const uint8_t* utf8, size_t size) {
  // One byte or none: Python has the object already.
  if (size > 1 && size <= kAsciiMax && IsAscii(utf8, size)) [[likely]] {
    PyObject* text = PyUnicode_New(static_cast<Py_ssize_t>(size), 127);
    if (text != nullptr) std::memcpy(PyUnicode_DATA(text), utf8, size);
    return text;
  }
  return PyUnicode_DecodeUTF8(size == 0 ? "" : reinterpret_cast<const char*>(utf8), static_cast<Py_ssize_t>(size), nullptr);
}

PyObject* MakeBytes(const uint8_t* bytes, size_t size) {
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(bytes), static_cast<Py_ssize_t>(size));
}

PyObject* RaiseYear() {
  return Raise(Code::kVALUE, "the stored datetime lies beyond the years 1 to 9999 of Python's datetime");
}

// Builds the Python form of a key.
class KeyBuilder final : public KeyVisitor {
 public:
  explicit KeyBuilder(HandleObject* handle) : handle_(handle) {}
  void Null() override { Put(NewReference(Py_None)); }
  void Bool(bool value) override { Put(PyBool_FromLong(value)); }
  void Int(int64_t value) override { Put(PyLong_FromLongLong(value)); }
  void Double(double value) override { Put(PyFloat_FromDouble(value)); }
  void BigInt(bool negative, const uint8_t* magnitude, size_t size) override { Put(MakeBigInt(negative, magnitude, size)); }
  void DateTime(int64_t microseconds) override { Put(MakeDateTime(microseconds)); }
  void Uuid(const uint8_t* bytes) override { Put(MakeUuid(handle_, bytes)); }
  void String(const uint8_t* utf8, size_t size) override { Put(MakeText(utf8, size)); }
  void Bytes(const uint8_t* bytes, size_t size) override { Put(MakeBytes(bytes, size)); }
  void BeginTuple() override { open_.emplace_back(failed_ ? nullptr : PyList_New(0)); }
  void EndTuple() override {
    Owned list = std::move(open_.back());
    open_.pop_back();
    Put(list ? PyList_AsTuple(list.get()) : nullptr);
  }

  PyObject* Finish(const Status& status) {
    if (!status.ok() && !failed_) return Raise(status);
    return failed_ ? nullptr : result_.release();
  }

 private:
  void Put(PyObject* object) {
    Owned own(object);
    if (failed_ || !own) {
      failed_ = true;
      if (PyErr_Occurred() == nullptr) PyErr_NoMemory();
      return;
    }
    if (open_.empty()) {
      result_ = std::move(own);
    } else if (PyList_Append(open_.back().get(), own.get()) < 0) {
      failed_ = true;
    }
  }
  HandleObject* handle_;
  std::vector<Owned> open_;
  Owned result_;
  bool failed_ = false;
};

// Plain values from the wire. The core never nests deeper than kDepthMax, so recursion is bounded.
class PlainReader {
 public:
  PlainReader(HandleObject* handle, const std::vector<uint8_t>& wire, DictForm form)
      : handle_(handle), reader_(wire.data(), wire.size()), form_(form) {}

  PyObject* Value() {
    WireItem item;
    const Status status = reader_.Next(&item);
    if (!status.ok()) return Raise(status);
    switch (item.type) {
      case WireType::kAbsent:
      case WireType::kNull:
        return NewReference(Py_None);
      case WireType::kFalse:
      case WireType::kTrue:
        return PyBool_FromLong(item.type == WireType::kTrue);
      case WireType::kInt:
        return PyLong_FromLongLong(item.integer);
      case WireType::kDouble:
        return PyFloat_FromDouble(item.number);
      case WireType::kBigInt:
        return MakeBigInt(item.negative, item.data, item.size);
      case WireType::kDateTime:
        return MakeDateTime(item.integer);
      case WireType::kUuid:
        return MakeUuid(handle_, item.data);
      case WireType::kString:
        return MakeText(item.data, item.size);
      case WireType::kBytes:
        return MakeBytes(item.data, item.size);
      case WireType::kList:
        return List(item.count);
      case WireType::kDict:
      case WireType::kCollection:
        return form_ == DictForm::kDict ? Dict(item.count) : Pairs(item.count);
      case WireType::kMulti:
        return form_ == DictForm::kDict ? Multi(item.count) : MultiPairs(item.count);
      case WireType::kTuple:
      case WireType::kContainer:
        break;
    }
    return Raise(Code::kCORRUPT, "the engine returned a value that is no plain value");
  }

 private:
  PyObject* List(uint32_t count) {
    Owned list(PyList_New(count));
    for (uint32_t i = 0; list && i < count; i++) {
      PyObject* item = Value();
      if (item == nullptr) return nullptr;
      PyList_SET_ITEM(list.get(), i, item);
    }
    return list.release();
  }

  PyObject* NextKey() {
    KeyBuffer buffer;
    size_t consumed;
    const Status status = buffer.AddWire(reader_.here(), reader_.remaining(), &consumed);
    if (!status.ok()) return Raise(status);
    reader_.Advance(consumed);
    return MakeKey(handle_, buffer.key());
  }

  PyObject* Dict(uint32_t count) {
    Owned dict(PyDict_New());
    for (uint32_t i = 0; dict && i < count; i++) {
      const Owned key(NextKey());
      if (!key) return nullptr;
      const Owned value(Value());
      if (!value || PyDict_SetItem(dict.get(), key.get(), value.get()) < 0) return nullptr;
    }
    // A Python dict cannot hold both True and 1: nothing is lost in silence.
    if (dict && PyDict_GET_SIZE(dict.get()) != static_cast<Py_ssize_t>(count))
      return Raise(Code::kVALUE, "some keys are equal in Python (True and 1): use items(), which keeps them apart");
    return dict.release();
  }

  // Key -> list of its values; pairs of one key come together.
  PyObject* Multi(uint32_t count) {
    Owned dict(PyDict_New());
    for (uint32_t i = 0; dict && i < count; i++) {
      const Owned key(NextKey());
      if (!key) return nullptr;
      const Owned value(Value());
      if (!value) return nullptr;
      PyObject* list = PyDict_GetItemWithError(dict.get(), key.get());
      if (list == nullptr) {
        if (PyErr_Occurred() != nullptr) return nullptr;
        const Owned made(PyList_New(0));
        if (!made || PyDict_SetItem(dict.get(), key.get(), made.get()) < 0) return nullptr;
        list = made.get();  // the dict holds it
      }
      if (PyList_Append(list, value.get()) < 0) return nullptr;
    }
    return dict.release();
  }

  PyObject* Pairs(uint32_t count) {
    Owned pairs(PyTuple_New(count));
    for (uint32_t i = 0; pairs && i < count; i++) {
      const Owned key(NextKey());
      const Owned value(key ? Value() : nullptr);
      PyObject* pair = value ? PyTuple_Pack(2, key.get(), value.get()) : nullptr;
      if (pair == nullptr) return nullptr;
      PyTuple_SET_ITEM(pairs.get(), i, pair);
    }
    return pairs.release();
  }

  PyObject* MultiPairs(uint32_t count) {
    Owned pairs(PyList_New(0));
    Owned values;  // of the key before
    std::vector<uint8_t> last;
    for (uint32_t i = 0; pairs && i < count; i++) {
      KeyBuffer buffer;
      size_t consumed;
      if (const Status status = buffer.AddWire(reader_.here(), reader_.remaining(), &consumed); !status.ok()) return Raise(status);
      reader_.Advance(consumed);
      const Key key = buffer.key();
      if (!values || CompareBytes(last.data(), static_cast<uint32_t>(last.size()), key.data, key.size) != 0) {
        last.assign(key.data, key.data + key.size);
        const Owned name(MakeKey(handle_, key));
        values = Owned(name ? PyList_New(0) : nullptr);
        const Owned pair(values ? PyTuple_Pack(2, name.get(), values.get()) : nullptr);
        if (!pair || PyList_Append(pairs.get(), pair.get()) < 0) return nullptr;
      }
      const Owned value(Value());
      if (!value || PyList_Append(values.get(), value.get()) < 0) return nullptr;
    }
    return pairs ? PyList_AsTuple(pairs.get()) : nullptr;
  }

  HandleObject* handle_;
  WireReader reader_;
  DictForm form_;
};

}  // namespace

bool PrepareOutput() {
  PyDateTime_IMPORT;
  return PyDateTimeAPI != nullptr;
}

PyObject* MakeBigInt(bool negative, const uint8_t* magnitude, size_t size) {
  const Owned bytes(MakeBytes(magnitude, size));
  if (!bytes) return nullptr;
  Owned value(PyObject_CallMethod(AsObject(&PyLong_Type), "from_bytes", "Os", bytes.get(), "little"));
  return value && negative ? PyNumber_Negative(value.get()) : value.release();
}

PyObject* MakeDateTime(int64_t microseconds) {
  Civil c;
  if (!ToCivil(microseconds, &c)) return RaiseYear();
  return PyDateTimeAPI->DateTime_FromDateAndTime(c.year, c.month, c.day, c.hour, c.minute, c.second, c.microsecond,
                                                 PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType);
}

PyObject* MakeUuid(HandleObject* handle, const uint8_t bytes[16]) {
  const Owned raw(MakeBytes(bytes, 16));
  if (!raw) return nullptr;
  PyObject* constructor = handle->state->uuid_constructor;
  return PyObject_CallFunctionObjArgs(constructor == nullptr ? module.uuid_class : constructor, Py_None, raw.get(), nullptr);
}

PyObject* MakeKey(HandleObject* handle, const Key& key) {
  const uint8_t* text;
  uint32_t size;
  if (KeyIsString(key, &text, &size)) return MakeText(text, size);
  KeyBuilder builder(handle);
  return builder.Finish(DecodeKey(key, &builder));
}

PyObject* MakePlain(HandleObject* handle, const std::vector<uint8_t>& wire, DictForm form) {
  return PlainReader(handle, wire, form).Value();
}

// -- captured values --

Captured::Captured(Captured&& other) noexcept
    : handle_(other.handle_),
      value_(std::exchange(other.value_, nullptr)),
      type_(std::exchange(other.type_, ValueView::Type::kAbsent)),
      kind_(other.kind_),
      negative_(other.negative_),
      cell_(other.cell_),
      id_(other.id_) {
  std::memcpy(uuid_, other.uuid_, 16);
}

Captured::~Captured() { Drop(); }

void Captured::Drop() {
  Py_CLEAR(value_);
  if (type_ == ValueView::Type::kContainer) {
    Session* home = HomeIfOpen(handle_);
    if (home != nullptr) home->UnpinContainer(cell_);
  }
  type_ = ValueView::Type::kAbsent;
}

void Captured::Take(HandleObject* handle, const ValueView& view) {
  if (type_ != ValueView::Type::kAbsent) Drop();
  handle_ = handle;
  type_ = view.type;
  switch (view.type) {
    case ValueView::Type::kAbsent:
    case ValueView::Type::kNull:
    case ValueView::Type::kFalse:
    case ValueView::Type::kTrue:
      break;
    case ValueView::Type::kString:
      value_ = MakeText(view.data, view.size);
      break;
    case ValueView::Type::kInt:
      value_ = PyLong_FromLongLong(view.integer);
      break;
    case ValueView::Type::kDouble:
      value_ = PyFloat_FromDouble(view.number);
      break;
    case ValueView::Type::kBytes:
    case ValueView::Type::kBigInt:  // kept as bytes until Release
      value_ = MakeBytes(view.data, view.size);
      negative_ = view.negative;
      break;
    case ValueView::Type::kDateTime:
      id_ = static_cast<uint64_t>(view.integer);
      break;
    case ValueView::Type::kUuid:
      std::memcpy(uuid_, view.data, 16);
      break;
    case ValueView::Type::kContainer:
      kind_ = view.kind;
      id_ = view.id;
      if (Session* home = HomeIfOpen(handle); home != nullptr) cell_ = home->PinContainer(view.id);
      break;
  }
}

PyObject* Captured::Release(HandleObject* handle, SnapshotObject* snapshot) {
  switch (std::exchange(type_, ValueView::Type::kAbsent)) {
    case ValueView::Type::kAbsent:
      return nullptr;
    case ValueView::Type::kNull:
      return NewReference(Py_None);
    case ValueView::Type::kFalse:
      return NewReference(Py_False);
    case ValueView::Type::kTrue:
      return NewReference(Py_True);
    case ValueView::Type::kString:
    case ValueView::Type::kInt:
    case ValueView::Type::kDouble:
    case ValueView::Type::kBytes:
      return std::exchange(value_, nullptr);  // null: with its exception set
    case ValueView::Type::kBigInt: {
      const Owned bytes(std::exchange(value_, nullptr));
      if (!bytes) return nullptr;
      return MakeBigInt(negative_, reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(bytes.get())),
                        static_cast<size_t>(PyBytes_GET_SIZE(bytes.get())));
    }
    case ValueView::Type::kDateTime:
      return MakeDateTime(static_cast<int64_t>(id_));
    case ValueView::Type::kUuid:
      return MakeUuid(handle, uuid_);
    case ValueView::Type::kContainer:
      return MakeProxy(handle, snapshot, kind_, id_, cell_);
  }
  return nullptr;
}

// -- entries --

bool EntryList::Add(const Key& key, const ValueView& value) {
  if (value.type == ValueView::Type::kAbsent) {  // the operation begins anew
    Clear();
    return true;
  }
  Entry& entry = entries_.emplace_back();
  entry.offset = bytes_.size();
  entry.size = key.size;
  entry.form_size = key.form_size;
  if (key.size > 0) bytes_.insert(bytes_.end(), key.data, key.data + key.size);
  if (key.form_size > 0) bytes_.insert(bytes_.end(), key.form, key.form + key.form_size);
  entry.value.Take(handle_, value);
  return true;
}

void EntryList::Clear() {
  entries_.clear();
  bytes_.clear();
}

Key EntryList::KeyAt(size_t i) const {
  const Entry& entry = entries_[i];
  Key key;
  key.data = bytes_.data() + entry.offset;
  key.size = entry.size;
  key.form = key.data + entry.size;
  key.form_size = entry.form_size;
  return key;
}

PyObject* EntryList::ReleaseKey(size_t i) { return MakeKey(handle_, KeyAt(i)); }

PyObject* EntryList::ReleaseValue(size_t i, SnapshotObject* snapshot) { return entries_[i].value.Release(handle_, snapshot); }

PyObject* EntryList::Release(SnapshotObject* snapshot, bool keys, bool values) {
  Owned list(PyList_New(static_cast<Py_ssize_t>(entries_.size())));
  for (size_t i = 0; list && i < entries_.size(); i++) {
    Owned key, value;
    if (keys && !(key = Owned(ReleaseKey(i)))) return nullptr;
    if (values && !(value = Owned(ReleaseValue(i, snapshot)))) return nullptr;
    PyObject* item = keys && values ? PyTuple_Pack(2, key.get(), value.get()) : keys ? key.release() : value.release();
    if (item == nullptr) return nullptr;
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), item);
  }
  return list.release();
}

}  // namespace pongo::python
