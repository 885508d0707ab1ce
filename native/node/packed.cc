#include "packed.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "errors.h"
#include "format/key_codec.h"
#include "util/utf8.h"

namespace pongo::node {
namespace {

constexpr const char* kTooLarge = "the page is too large for the JavaScript engine";
constexpr size_t kPartMax = 1024;  // bytes of UTF-8: longer texts of a page cross by themselves

// False when the bytes are no UTF-8, which only a damaged file holds.
bool AppendWide(const uint8_t* utf8, size_t size, std::u16string* wide) {
  const size_t before = wide->size();
  for (size_t i = 0; i < size;) {
    if (utf8[i] < 0x80) {
      wide->push_back(utf8[i++]);
      continue;
    }
    size_t width;
    const char32_t c = DecodeCharacter(utf8 + i, size - i, &width);
    if (c == 0) {
      wide->resize(before);
      return false;
    }
    i += width;
    if (c >= 0x10000) {
      wide->push_back(static_cast<char16_t>(0xd800 + ((c - 0x10000) >> 10)));
      wide->push_back(static_cast<char16_t>(0xdc00 + ((c - 0x10000) & 0x3ff)));
    } else {
      wide->push_back(static_cast<char16_t>(c));
    }
  }
  return true;
}

// Latin-1 where it fits: V8 then keeps one byte per character, as it does for its own literals.
napi_value MakeWide(napi_env env, const std::u16string& wide) {
  napi_value value = nullptr;
  if (std::any_of(wide.begin(), wide.end(), [](char16_t unit) { return unit > 0xff; })) {
    return napi_create_string_utf16(env, wide.data(), wide.size(), &value) == napi_ok ? value : nullptr;
  }
  const std::string latin1(wide.begin(), wide.end());
  return napi_create_string_latin1(env, latin1.data(), latin1.size(), &value) == napi_ok ? value : nullptr;
}

// A constant, a number or a date; false for everything else.
bool PackScalar(const ValueView& value, double* kind, double* number) {
  *kind = kNumberKind;
  *number = 0;
  switch (value.type) {
    case ValueView::Type::kInt:
      *number = static_cast<double>(value.integer);
      return value.integer >= -kSafeMax && value.integer <= kSafeMax;
    case ValueView::Type::kDouble:
      *number = value.number;
      return true;
    case ValueView::Type::kNull:
      *kind = kNullKind;
      return true;
    case ValueView::Type::kFalse:
      *kind = kFalseKind;
      return true;
    case ValueView::Type::kTrue:
      *kind = kTrueKind;
      return true;
    case ValueView::Type::kDateTime:
      *kind = kDateKind;
      *number = Milliseconds(value.integer);
      return std::fabs(*number) <= kDateMax;
    default:
      return false;
  }
}

// The pairs of a record, and its text. False, with nothing added to the numbers, when a value does not fit.
bool PackRecord(const ValueView* values, uint32_t count, PackedRoom* room, napi_env env, napi_value* text) {
  const size_t begin = room->numbers.size();
  std::string& narrow = room->record_narrow;
  std::u16string& wide = room->record_wide;
  narrow.clear();
  bool is_wide = false;
  for (uint32_t i = 0; i < count; i++) {
    const ValueView& value = values[i];
    double kind;
    double number = 0;
    bool fits;
    if (value.type == ValueView::Type::kString) {
      const size_t before = is_wide ? wide.size() : narrow.size();
      fits = before + value.size <= kTextMax;
      if (fits && !is_wide && !IsAscii(value.data, value.size)) {
        is_wide = true;
        wide.assign(narrow.begin(), narrow.end());
      }
      if (fits && is_wide) fits = AppendWide(value.data, value.size, &wide);
      if (fits && !is_wide) narrow.append(reinterpret_cast<const char*>(value.data), value.size);
      kind = static_cast<double>(kTextKind + (is_wide ? wide.size() : narrow.size()) - before);
    } else {
      fits = PackScalar(value, &kind, &number);
    }
    if (!fits) {
      room->numbers.resize(begin);
      return false;
    }
    room->numbers.push_back(kind);
    room->numbers.push_back(number);
  }
  if (is_wide)
    *text = MakeWide(env, wide);
  else if (napi_create_string_latin1(env, narrow.data(), narrow.size(), text) != napi_ok)
    *text = nullptr;
  return true;
}

// What of a key is a number or a constant.
class ScalarKey final : public KeyVisitor {
 public:
  void Null() override { Take(kNullKind, 0); }
  void Bool(bool flag) override { Take(flag ? kTrueKind : kFalseKind, 0); }
  void Int(int64_t integer) override {
    if (integer >= -kSafeMax && integer <= kSafeMax) Take(kNumberKind, static_cast<double>(integer));
  }
  void Double(double number) override { Take(kNumberKind, number); }
  void BigInt(bool, const uint8_t*, size_t) override {}
  void DateTime(int64_t microseconds) override {
    if (std::fabs(Milliseconds(microseconds)) <= kDateMax) Take(kDateKind, Milliseconds(microseconds));
  }
  void Uuid(const uint8_t*) override {}
  void String(const uint8_t*, size_t) override {}
  void Bytes(const uint8_t*, size_t) override {}
  void BeginTuple() override { in_tuple_ = true; }
  void EndTuple() override {}
  bool fits() const { return fits_ && !in_tuple_; }
  double kind() const { return kind_; }
  double number() const { return number_; }

 private:
  void Take(PackedKind kind, double number) {
    fits_ = true;
    kind_ = kind;
    number_ = number;
  }
  bool fits_ = false;
  bool in_tuple_ = false;
  double kind_ = 0;
  double number_ = 0;
};

}  // namespace

// -- one plain copy --

bool PlainResult::Record(uint64_t shape, const ValueView* values, uint32_t count) {
  napi_value text = nullptr;
  room_.numbers.assign({1, static_cast<double>(shape)});
  if (!PackRecord(values, count, &room_, handle_.env(), &text)) {
    room_.numbers.clear();
    return false;
  }
  captured_ = Captured();
  captured_.value = text;
  if (text == nullptr) captured_.failure = kTooLarge;
  return true;
}

// An array of one: no primitive is one.
void PlainResult::Wire(std::vector<uint8_t> wire) {
  const napi_env env = handle_.env();
  captured_ = Captured();
  const napi_value bytes = MakeBytes(env, wire.data(), wire.size());
  if (bytes == nullptr || napi_create_array_with_length(env, 1, &captured_.value) != napi_ok ||
      napi_set_element(env, captured_.value, 0, bytes) != napi_ok) {
    DropException(env);
    captured_.failure = kTooLarge;
  }
}

napi_value PlainResult::Release(uint64_t view) {
  double* numbers = handle_.record_numbers();
  numbers[0] = 0;
  std::copy(room_.numbers.begin(), room_.numbers.end(), numbers);
  return pongo::node::Release(handle_, view, captured_);
}

// -- a page --

PackedPage::PackedPage(const Handle& handle, uint64_t view, uint32_t what)
    : handle_(handle), view_(view), what_(what), room_(handle.packed_room()) {
  room_.numbers.clear();
  room_.narrow.clear();
  room_.wide.clear();
}

void PackedPage::FlushNarrow() {
  if (room_.narrow.empty()) return;
  napi_value text = nullptr;
  if (napi_create_string_latin1(handle_.env(), room_.narrow.data(), room_.narrow.size(), &text) != napi_ok) text = nullptr;
  narrow_.push_back(text);
  room_.narrow.clear();
}

void PackedPage::FlushWide() {
  if (room_.wide.empty()) return;
  wide_.push_back(MakeWide(handle_.env(), room_.wide));
  room_.wide.clear();
}

// False for what must cross by itself. ASCII and other texts have strings of their own: one character above Latin-1 would double
// the size of all its neighbours.
bool PackedPage::PutText(const uint8_t* utf8, size_t size) {
  if (size > kPartMax) return false;
  if (IsAscii(utf8, size)) {
    if (room_.narrow.size() + size > kTextMax) FlushNarrow();
    room_.narrow.append(reinterpret_cast<const char*>(utf8), size);
    Put(static_cast<double>(kTextKind + 2 * size), 0);
    return true;
  }
  if (room_.wide.size() + size > kTextMax) FlushWide();
  const size_t before = room_.wide.size();
  if (!AppendWide(utf8, size, &room_.wide)) return false;
  Put(static_cast<double>(kTextKind + 2 * (room_.wide.size() - before) + 1), 0);
  return true;
}

Captured* PackedPage::PutOther(PackedKind kind) {
  Put(kind, 0);
  others_.emplace_back();
  return &others_.back().value;
}

void PackedPage::AddKey(const Key& key) {
  if ((what_ & 1) == 0) return;
  if (key.size == 0) {
    Put(kNumberKind, position_);
    position_ += step_;
    return;
  }
  const uint8_t* text;
  uint32_t size;
  if (KeyIsString(key, &text, &size)) {
    if (PutText(text, size)) return;
  } else {
    ScalarKey scalar;
    if (DecodeKey(key, &scalar).ok() && scalar.fits()) return Put(scalar.kind(), scalar.number());
  }
  PutOther(kOtherKind);
  others_.back().is_key = true;
  others_.back().key.Read(handle_, key);
}

void PackedPage::AddLive(const ValueView& value) {
  if ((what_ & 2) == 0) return;
  double kind;
  double number;
  if (value.type == ValueView::Type::kString) {
    if (PutText(value.data, value.size)) return;
  } else if (PackScalar(value, &kind, &number)) {
    return Put(kind, number);
  }
  Capture(handle_, value, PutOther(kOtherKind));
}

bool PackedPage::Record(uint64_t shape, const ValueView* values, uint32_t count) {
  if ((what_ & 2) == 0) return true;
  const size_t begin = room_.numbers.size();
  napi_value text = nullptr;
  Put(kRecordKind, static_cast<double>(shape));
  if (!PackRecord(values, count, &room_, handle_.env(), &text)) {
    room_.numbers.resize(begin);
    return false;
  }
  others_.emplace_back();
  others_.back().value.value = text;
  if (text == nullptr) others_.back().value.failure = kTooLarge;
  return true;
}

void PackedPage::Wire(std::vector<uint8_t> wire) {
  if ((what_ & 2) == 0) return;
  Captured* captured = PutOther(kWireKind);
  captured->value = MakeBytes(handle_.env(), wire.data(), wire.size());
  if (captured->value == nullptr) {
    DropException(handle_.env());
    captured->failure = kTooLarge;
  }
}

napi_value PackedPage::ArrayOf(const std::vector<napi_value>& values) {
  const napi_env env = handle_.env();
  napi_value array = nullptr;
  if (napi_create_array_with_length(env, values.size(), &array) != napi_ok) return nullptr;
  for (size_t i = 0; i < values.size(); i++) {
    if (values[i] == nullptr || napi_set_element(env, array, static_cast<uint32_t>(i), values[i]) != napi_ok) return nullptr;
  }
  return array;
}

napi_value PackedPage::Release() {
  FlushNarrow();
  FlushWide();
  std::vector<napi_value> parts = {MakeNumbers(handle_.env(), room_.numbers), ArrayOf(narrow_), ArrayOf(wide_)};
  // The hooks run from here on: nothing of the room is used any more.
  std::vector<napi_value> others;
  others.reserve(others_.size());
  for (Other& other : others_) {
    others.push_back(other.is_key ? other.key.Release(handle_) : pongo::node::Release(handle_, view_, other.value));
    if (others.back() == nullptr) return nullptr;
  }
  parts.push_back(ArrayOf(others));
  const napi_value packed = ArrayOf(parts);
  if (packed != nullptr) return packed;
  DropException(handle_.env());
  return Throw(handle_, Status(Code::kVALUE, kTooLarge));
}

}  // namespace pongo::node
