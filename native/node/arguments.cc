#include "arguments.h"

#include <cmath>
#include <cstring>
#include <new>
#include <string_view>

#include "errors.h"
#include "format/wire_reader.h"
#include "handle.h"
#include "util/utf8.h"

namespace pongo::node {
namespace {

constexpr double kTwo53 = 9007199254740992.0;
constexpr double kSafeMax = kTwo53 - 1;
// V8 writes whole characters only: this many bytes may stay free in a room that was too small.
constexpr size_t kCharacterMax = 4;

Status ArgumentError() { return Status(Code::kARG, "bad argument"); }

bool Refuse(const Handle& handle, const Status& status, std::string_view detail = {}) {
  Throw(handle, status, detail);
  return false;
}

bool IsSafeInteger(double number) {
  return std::fabs(number) <= kSafeMax && std::trunc(number) == number;  // false for NaN
}

bool HasLoneSurrogate(napi_env env, napi_value string) {
  size_t size = 0;
  if (napi_get_value_string_utf16(env, string, nullptr, 0, &size) != napi_ok) return false;
  std::vector<char16_t> units(size + 1);
  if (napi_get_value_string_utf16(env, string, units.data(), units.size(), &size) != napi_ok) return false;
  for (size_t i = 0; i < size; ++i) {
    if ((units[i] & 0xf800) != 0xd800) continue;
    const bool is_pair = (units[i] & 0xfc00) == 0xd800 && i + 1 < size && (units[i + 1] & 0xfc00) == 0xdc00;
    if (!is_pair) return true;
    ++i;
  }
  return false;
}

// V8 replaces a lone surrogate by U+FFFD. Only a text that holds one needs the second look.
bool IsWellFormed(napi_env env, napi_value string, const uint8_t* utf8, size_t size) {
  size_t at = AsciiPrefix(utf8, size);
  while (at < size) {
    const auto* found = static_cast<const uint8_t*>(std::memchr(utf8 + at, 0xef, size - at));
    if (found == nullptr) return true;
    at = static_cast<size_t>(found - utf8) + 1;
    if (size - at >= 2 && found[1] == 0xbf && found[2] == 0xbd) return !HasLoneSurrogate(env, string);
  }
  return true;
}

constexpr Status kUnpaired(Code::kVALUE, "a string holds a lone surrogate, which UTF-8 cannot represent");
constexpr Status kUnpairedInKey(Code::kVALUE, "a key holds a lone surrogate, which UTF-8 cannot represent");

enum class ShortText { kRead, kLong, kUnpaired, kNotString };

constexpr size_t kShortUnits = KeyBuffer::kInlineString / kUtf8PerUnit;

// The UTF-8 of a text of fewer than kShortUnits units. V8 writes UTF-8 character by character, but copies UTF-16, and from there
// it is four characters at a time.
ShortText ReadShortText(napi_env env, napi_value value, uint8_t* to, size_t* size) {
  char16_t units[kShortUnits];
  size_t count = 0;
  if (napi_get_value_string_utf16(env, value, units, kShortUnits, &count) != napi_ok) return ShortText::kNotString;
  if (count + 1 >= kShortUnits) return ShortText::kLong;  // perhaps cut off
  *size = Utf8FromUtf16(units, count, to);
  return *size == kLoneSurrogate ? ShortText::kUnpaired : ShortText::kRead;
}

bool CheckStringKey(const Handle& handle, napi_value value, size_t size, KeyBuffer* key) {
  if (IsWellFormed(handle.env(), value, key->key().data + 1, size)) [[likely]] return true;
  return Refuse(handle, kUnpairedInKey);
}

bool ReadLongStringKey(const Handle& handle, napi_value value, KeyBuffer* key) {
  size_t size = 0;
  napi_get_value_string_utf8(handle.env(), value, nullptr, 0, &size);
  uint8_t* room = key->BeginString(size + 1);
  if (room == nullptr) return Refuse(handle, Status(Code::kVALUE, "the key is too large"));
  napi_get_value_string_utf8(handle.env(), value, reinterpret_cast<char*>(room), size + 1, &size);
  key->FinishString(size);
  return CheckStringKey(handle, value, size, key);
}

bool ReadBigIntKey(const Handle& handle, napi_value value, KeyBuffer* key) {
  int64_t integer;
  bool lossless = false;
  if (napi_get_value_bigint_int64(handle.env(), value, &integer, &lossless) == napi_ok && lossless) {
    const Status status = key->AddInt(integer);
    return status.ok() || Refuse(handle, status);
  }
  int sign = 0;
  size_t count = 0;
  if (napi_get_value_bigint_words(handle.env(), value, nullptr, &count, nullptr) != napi_ok) {
    return Refuse(handle, ArgumentError(), "bigint");
  }
  std::vector<uint64_t> words(count);
  if (napi_get_value_bigint_words(handle.env(), value, &sign, &count, words.data()) != napi_ok) {
    return Refuse(handle, ArgumentError(), "bigint");
  }
  const Status status = key->AddBigInt(sign != 0, reinterpret_cast<const uint8_t*>(words.data()), count * 8);
  return status.ok() || Refuse(handle, status);
}

bool ReadWireKey(const Handle& handle, napi_value value, KeyBuffer* key) {
  Wire wire;
  if (!ReadWire(handle, value, "key", &wire)) return false;
  size_t consumed = 0;
  const Status status = key->AddWire(wire.data, wire.size, &consumed);
  if (!status.ok()) return Refuse(handle, status);
  if (consumed != wire.size) return Refuse(handle, Status(Code::kARG, "wire form: bytes after the key"));
  return true;
}

bool ReadOtherKey(const Handle& handle, napi_value value, KeyBuffer* key) {
  napi_valuetype type = napi_undefined;
  napi_typeof(handle.env(), value, &type);
  Status status;
  switch (type) {
    case napi_number: {
      double number = 0;
      napi_get_value_double(handle.env(), value, &number);
      status = IsSafeInteger(number) ? key->AddInt(static_cast<int64_t>(number)) : key->AddDouble(number);
      break;
    }
    case napi_bigint:
      return ReadBigIntKey(handle, value, key);
    case napi_boolean: {
      bool flag = false;
      napi_get_value_bool(handle.env(), value, &flag);
      status = key->AddBool(flag);
      break;
    }
    case napi_null:
      status = key->AddNull();
      break;
    case napi_object:
      return ReadWireKey(handle, value, key);
    default:
      status = Status(Code::kTYPE,
                      "a key must be a string, number, bigint, boolean, null, Date, Uuid, bytes or an array of these");
  }
  return status.ok() || Refuse(handle, status);
}

// A decimal integer as JavaScript writes it, that fits int64.
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

}  // namespace

bool ReadLimit(const Handle& handle, napi_value value, const char* name, uint64_t* limit) {
  double number;
  if (napi_get_value_double(handle.env(), value, &number) == napi_ok) [[likely]] {
    if (number >= 0 && number < kTwo53) [[likely]] {
      *limit = static_cast<uint64_t>(number);
      if (static_cast<double>(*limit) == number) [[likely]] return true;
    } else if (number >= kTwo53) {
      *limit = UINT64_MAX;
      return true;
    }
  }
  return Refuse(handle, Status(Code::kARG, "not a non-negative integer"), name);
}

bool ReadCount(const Handle& handle, napi_value value, const char* name, uint64_t* count) {
  if (!ReadLimit(handle, value, name, count)) [[unlikely]] return false;
  if (*count != UINT64_MAX) [[likely]] return true;
  return Refuse(handle, Status(Code::kARG, "an integer is out of range"), name);
}

bool ReadKey(const Handle& handle, napi_value value, KeyBuffer* key) {
  size_t size = 0;
  // Asking for a string right away costs less than asking for the type first, and most keys are strings.
  uint8_t* room = key->BeginString(KeyBuffer::kInlineString);
  switch (ReadShortText(handle.env(), value, room, &size)) {
    case ShortText::kRead:
      key->FinishString(size);
      return true;
    case ShortText::kLong:
      napi_get_value_string_utf8(handle.env(), value, reinterpret_cast<char*>(room), KeyBuffer::kInlineString, &size);
      if (size + kCharacterMax >= KeyBuffer::kInlineString) return ReadLongStringKey(handle, value, key);
      key->FinishString(size);
      return CheckStringKey(handle, value, size, key);
    case ShortText::kUnpaired:
      return Refuse(handle, kUnpairedInKey);
    case ShortText::kNotString:
      break;
  }
  key->Clear();
  return ReadOtherKey(handle, value, key);
}

bool ReadWire(const Handle& handle, napi_value value, const char* name, Wire* wire) {
  napi_typedarray_type type;
  void* data = nullptr;
  static constexpr uint8_t kEmpty = 0;
  if (napi_get_typedarray_info(handle.env(), value, &type, &wire->size, &data, nullptr, nullptr) != napi_ok ||
      (type != napi_uint8_array && type != napi_uint8_clamped_array)) {
    return Refuse(handle, Status(Code::kARG, "not a Uint8Array"), name);
  }
  wire->data = data == nullptr ? &kEmpty : static_cast<const uint8_t*>(data);
  return true;
}

bool ReadOptionalWire(const Handle& handle, napi_value value, const char* name, Wire* wire) {
  napi_valuetype type = napi_undefined;
  napi_typeof(handle.env(), value, &type);
  if (type == napi_undefined) return true;
  return ReadWire(handle, value, name, wire);
}

bool ReadPositions(const Handle& handle, napi_value value, const char* name, Positions* positions) {
  napi_typedarray_type type;
  void* data = nullptr;
  static constexpr uint32_t kEmpty = 0;
  if (napi_get_typedarray_info(handle.env(), value, &type, &positions->count, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint32_array) {
    return Refuse(handle, Status(Code::kARG, "not a Uint32Array"), name);
  }
  positions->data = data == nullptr ? &kEmpty : static_cast<const uint32_t*>(data);
  return true;
}

// -- strings --

bool StringArgument::Grow(const Handle& handle, size_t size) {
  heap_.reset(new (std::nothrow) uint8_t[kSpare + size]);
  if (heap_ == nullptr) return Refuse(handle, Status(Code::kVALUE, "there is no memory for so long a value"));
  data_ = heap_.get() + kSpare;
  return true;
}

StringArgument::Outcome StringArgument::TryRead(const Handle& handle, napi_value value, PlaceText place) {
  static_assert(kShortUnits * kUtf8PerUnit <= kInline);
  const napi_env env = handle.env();
  switch (ReadShortText(env, value, data_, &size_)) {
    case ShortText::kRead:
      return Outcome::kRead;
    case ShortText::kNotString:
      return Outcome::kNotString;
    case ShortText::kUnpaired:
      break;
    case ShortText::kLong:
      napi_get_value_string_utf8(env, value, reinterpret_cast<char*>(data_), kInline, &size_);
      if (size_ + kCharacterMax >= kInline) {
        napi_get_value_string_utf8(env, value, nullptr, 0, &size_);
        if (!Grow(handle, size_ + 1)) return Outcome::kFailed;
        napi_get_value_string_utf8(env, value, reinterpret_cast<char*>(data_), size_ + 1, &size_);
      }
      if (IsWellFormed(env, value, data_, size_)) [[likely]] return Outcome::kRead;
  }
  Refuse(handle, kUnpaired, place());
  return Outcome::kFailed;
}

bool StringArgument::Read(const Handle& handle, napi_value value, const char* name) {
  const Outcome outcome = TryRead(handle, value);
  if (outcome == Outcome::kNotString) return Refuse(handle, Status(Code::kARG, "not a string"), name);
  return outcome == Outcome::kRead;
}

// -- values --

void ValueArgument::SetNumber(double number) {
  ValueView& view = input_.view;
  if (IsSafeInteger(number) && !(number == 0 && std::signbit(number))) {
    view.type = ValueView::Type::kInt;
    view.integer = static_cast<int64_t>(number);
  } else {
    view.type = ValueView::Type::kDouble;
    view.number = std::isnan(number) ? CanonicalNaN() : number;
  }
}

bool ValueArgument::SetBigInt(const Handle& handle, napi_value value) {
  ValueView& view = input_.view;
  bool lossless = false;
  if (napi_get_value_bigint_int64(handle.env(), value, &view.integer, &lossless) == napi_ok && lossless) {
    view.type = ValueView::Type::kInt;
    return true;
  }
  int sign = 0;
  size_t count = 0;
  if (napi_get_value_bigint_words(handle.env(), value, nullptr, &count, nullptr) != napi_ok) {
    return Refuse(handle, ArgumentError(), "bigint");
  }
  if (count * 8 > StringArgument::kInline && !room_.Grow(handle, count * 8)) return false;
  auto* words = reinterpret_cast<uint64_t*>(room_.data_);  // kSpare keeps the room aligned for them
  if (napi_get_value_bigint_words(handle.env(), value, &sign, &count, words) != napi_ok) {
    return Refuse(handle, ArgumentError(), "bigint");
  }
  view.type = ValueView::Type::kBigInt;
  view.negative = sign != 0;
  view.data = room_.data_;
  view.size = count * 8;
  while (view.size > 0 && view.data[view.size - 1] == 0) --view.size;
  return true;
}

bool ValueArgument::Read(const Handle& handle, napi_value value, PlaceText place) {
  ValueView& view = input_.view;
  switch (room_.TryRead(handle, value, place)) {
    case StringArgument::Outcome::kRead:
      view.type = ValueView::Type::kString;
      view.data = room_.data();
      view.size = room_.size();
      return true;
    case StringArgument::Outcome::kFailed:
      return false;
    case StringArgument::Outcome::kNotString:
      break;
  }
  napi_valuetype type = napi_undefined;
  napi_typeof(handle.env(), value, &type);
  switch (type) {
    case napi_number: {
      double number = 0;
      napi_get_value_double(handle.env(), value, &number);
      SetNumber(number);
      return true;
    }
    case napi_bigint:
      return SetBigInt(handle, value);
    case napi_boolean: {
      bool flag = false;
      napi_get_value_bool(handle.env(), value, &flag);
      view.type = flag ? ValueView::Type::kTrue : ValueView::Type::kFalse;
      return true;
    }
    case napi_null:
      view.type = ValueView::Type::kNull;
      return true;
    case napi_object: {
      Wire wire;
      if (!ReadWire(handle, value, "value", &wire)) return false;
      input_.wire = wire.data;
      input_.wire_size = wire.size;
      return true;
    }
    default:
      return Refuse(handle, Status(Code::kTYPE, "undefined, functions and symbols cannot be stored"));
  }
}

bool ValueArgument::ReadNumber(const Handle& handle, napi_value value) {
  double number;
  if (napi_get_value_double(handle.env(), value, &number) == napi_ok) {
    SetNumber(number);
    return true;
  }
  napi_valuetype type = napi_undefined;
  napi_typeof(handle.env(), value, &type);
  if (type == napi_bigint) return SetBigInt(handle, value);
  return Refuse(handle, Status(Code::kTYPE, "the increment must be a number or bigint"));
}

bool OptionalValue::Read(const Handle& handle, napi_value value, PlaceText place) {
  napi_valuetype type = napi_undefined;
  napi_typeof(handle.env(), value, &type);
  given_ = type != napi_undefined;
  return !given_ || value_.Read(handle, value, place);
}

// -- paths --

PathStep* PathArgument::AddStep() {
  if (count_ == kInline && heap_.empty()) heap_.assign(inline_, inline_ + kInline);
  if (count_ >= kInline) {
    heap_.emplace_back();
    steps_ = heap_.data();
  }
  return &steps_[count_++];
}

bool PathArgument::Read(const Handle& handle, napi_value path, napi_value separator) {
  switch (text_.TryRead(handle, path)) {
    case StringArgument::Outcome::kFailed:
      return false;
    case StringArgument::Outcome::kNotString:
      return ReadArray(handle, path);
    case StringArgument::Outcome::kRead:
      break;
  }
  StringArgument split_at;
  if (!split_at.Read(handle, separator, "sep")) return false;
  if (text_.size() >= kKeySizeMax) return Refuse(handle, Status(Code::kVALUE, "the path is too long"));
  Split(split_at);
  return true;
}

// Makes the keys in place: the last byte of each separator, which is no longer needed, becomes the tag of the next key.
void PathArgument::Split(const StringArgument& separator) {
  constexpr uint8_t kStringTag = 0x40;
  const std::string_view mark(reinterpret_cast<const char*>(separator.data()), separator.size());
  std::string_view rest(reinterpret_cast<const char*>(text_.data()), text_.size());
  uint8_t* tag = text_.data() - 1;
  for (;;) {
    const size_t end = mark.empty() ? std::string_view::npos : rest.find(mark);
    const std::string_view segment = rest.substr(0, end);
    *tag = kStringTag;
    PathStep* step = AddStep();
    step->key.data = tag;
    step->key.size = static_cast<uint32_t>(segment.size() + 1);
    step->is_index = ParseIndex(segment, &step->index);
    if (end == std::string_view::npos) return;
    tag += segment.size() + mark.size();
    rest.remove_prefix(end + mark.size());
  }
}

PathStep StepOf(napi_env env, napi_value segment, const Key& key) {
  PathStep step;
  step.key = key;
  const uint8_t* text;
  uint32_t size;
  double number;
  if (KeyIsString(key, &text, &size)) {
    step.is_index = ParseIndex(std::string_view(reinterpret_cast<const char*>(text), size), &step.index);
  } else if (napi_get_value_double(env, segment, &number) == napi_ok && IsSafeInteger(number)) {
    step.is_index = true;
    step.index = static_cast<int64_t>(number);
  }
  return step;
}

bool PathArgument::ReadArray(const Handle& handle, napi_value path) {
  const napi_env env = handle.env();
  bool is_array = false;
  uint32_t length = 0;
  if (napi_is_array(env, path, &is_array) != napi_ok || !is_array ||
      napi_get_array_length(env, path, &length) != napi_ok) {
    return Refuse(handle, Status(Code::kARG, "a path must be a string or an array of keys"));
  }
  KeyBuffer buffer;
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element;
    if (napi_get_element(env, path, i, &element) != napi_ok) return false;  // a getter threw
    if (!ReadKey(handle, element, &buffer)) return false;
    const Key key = buffer.key();
    *AddStep() = StepOf(env, element, key);
    keys_.insert(keys_.end(), key.data, key.data + key.size);
    if (key.form_size > 0) keys_.insert(keys_.end(), key.form, key.form + key.form_size);
  }
  // The bytes have come to rest: point at them.
  const uint8_t* at = keys_.data();
  for (size_t i = 0; i < count_; ++i) {
    Key& key = steps_[i].key;
    key.data = at;
    at += key.size;
    key.form = at;
    at += key.form_size;
  }
  return true;
}

std::string DescribePath(const PathStep* steps, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* segment;
    uint32_t size;
    if (i > 0) text += '.';
    if (KeyIsString(steps[i].key, &segment, &size)) {
      text.append(reinterpret_cast<const char*>(segment), size);
    } else {
      text += DescribeKey(steps[i].key);
    }
    if (text.size() > 200) return text.substr(0, 200) + "...";
  }
  return text;
}

}  // namespace pongo::node
