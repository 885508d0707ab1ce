#include "results.h"

#include <cmath>
#include <cstring>

#include "errors.h"
#include "format/key_codec.h"
#include "handle.h"
#include "util/utf8.h"

namespace pongo::node {

void DropException(napi_env env) {
  napi_value error;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) napi_get_and_clear_last_exception(env, &error);
}

char32_t DecodeCharacter(const uint8_t* at, size_t remaining, size_t* size) {
  const uint8_t lead = at[0];
  *size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || remaining < *size) return 0;
  char32_t c = lead & (0x7fu >> *size);
  for (size_t i = 1; i < *size; ++i) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    c = c << 6 | (at[i] & 0x3fu);
  }
  const bool is_overlong = c < (*size == 4 ? 0x10000u : *size == 3 ? 0x800u : 0x80u);
  return is_overlong || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : c;
}

double Milliseconds(int64_t microseconds) {
  const int64_t milliseconds = microseconds / 1000;
  return static_cast<double>(microseconds % 1000 < 0 ? milliseconds - 1 : milliseconds);
}

namespace {

constexpr const char* kTooLong = "the stored value is too large for the JavaScript engine";
constexpr const char* kNoDate = "the stored datetime is outside the range of a JavaScript Date";

napi_value MakeBigInt(napi_env env, bool negative, const uint8_t* magnitude, size_t size) {
  napi_value value = nullptr;
  constexpr size_t kInlineWords = 16;
  uint64_t inline_words[kInlineWords] = {};
  std::vector<uint64_t> heap_words;
  const size_t count = (size + 7) / 8;
  uint64_t* words = inline_words;
  if (count > kInlineWords) {
    heap_words.resize(count);
    words = heap_words.data();
  }
  if (count > 0) {
    words[count - 1] = 0;
    std::memcpy(words, magnitude, size);
  }
  if (napi_create_bigint_words(env, negative ? 1 : 0, count, words, &value) != napi_ok) return nullptr;
  return value;
}

// V8 decodes UTF-8 byte by byte through a state machine. For texts of common length it is several times faster to
// decode here and hand over Latin-1 or UTF-16; Latin-1 where it fits, because V8 then keeps one byte per character, as
// it does for its own literals. Invalid UTF-8 (only a damaged file can hold it) and long texts are left to V8.
constexpr size_t kDecodeMax = 2048;  // bytes of UTF-8

// Null when the text is not valid.
napi_value MakeDecodedString(napi_env env, const uint8_t* utf8, size_t size) {
  char16_t units[kDecodeMax];  // never more units than bytes
  char16_t all_bits = 0;
  size_t count = 0;
  for (size_t i = 0; i < size;) {
    if (utf8[i] < 0x80) {
      units[count++] = utf8[i++];
      continue;
    }
    size_t width;
    const char32_t c = DecodeCharacter(utf8 + i, size - i, &width);
    if (c == 0) return nullptr;
    i += width;
    if (c >= 0x10000) {
      all_bits = 0xffff;
      units[count++] = static_cast<char16_t>(0xd800 + ((c - 0x10000) >> 10));
      units[count++] = static_cast<char16_t>(0xdc00 + ((c - 0x10000) & 0x3ff));
    } else {
      all_bits = static_cast<char16_t>(all_bits | c);
      units[count++] = static_cast<char16_t>(c);
    }
  }
  napi_value value = nullptr;
  if (all_bits > 0xff) return napi_create_string_utf16(env, units, count, &value) == napi_ok ? value : nullptr;
  char latin1[kDecodeMax];
  for (size_t i = 0; i < count; ++i) latin1[i] = static_cast<char>(units[i]);
  return napi_create_string_latin1(env, latin1, count, &value) == napi_ok ? value : nullptr;
}

napi_value MakeDate(napi_env env, int64_t microseconds) {
  napi_value value = nullptr;
  const double time = Milliseconds(microseconds);
  if (std::fabs(time) > kDateMax || napi_create_date(env, time, &value) != napi_ok) return nullptr;
  return value;
}

}  // namespace

napi_value CallHook(const Handle& handle, Hook hook, size_t count, const napi_value* arguments) {
  napi_value receiver = nullptr, result = nullptr;
  const napi_value function = handle.hook(hook);
  if (function == nullptr) return Throw(handle, Status(Code::kCLOSED, "the JavaScript environment is ending"));
  napi_get_undefined(handle.env(), &receiver);
  return napi_call_function(handle.env(), receiver, function, count, arguments, &result) == napi_ok ? result : nullptr;
}

namespace {

// Builds the JavaScript form of a key. Calls hooks: only after the core call.
class KeyBuilder final : public KeyVisitor {
 public:
  explicit KeyBuilder(const Handle& handle) : handle_(handle), env_(handle.env()) {}

  void Null() override {
    napi_value value = nullptr;
    napi_get_null(env_, &value);
    Put(value, kTooLong);
  }
  void Bool(bool flag) override {
    napi_value value = nullptr;
    napi_get_boolean(env_, flag, &value);
    Put(value, kTooLong);
  }
  void Int(int64_t integer) override { Put(MakeInteger(env_, integer), kTooLong); }
  void Double(double number) override {
    napi_value value = nullptr;
    napi_create_double(env_, number, &value);
    Put(value, kTooLong);
  }
  void BigInt(bool negative, const uint8_t* magnitude, size_t size) override {
    Put(MakeBigInt(env_, negative, magnitude, size), kTooLong);
  }
  void DateTime(int64_t microseconds) override { Put(MakeDate(env_, microseconds), kNoDate); }
  void Uuid(const uint8_t* bytes) override {
    const napi_value raw = MakeBytes(env_, bytes, 16);
    if (failed_ || raw == nullptr) return Put(raw, kTooLong);
    const napi_value value = CallHook(handle_, Hook::kUuid, 1, &raw);
    if (value == nullptr) {
      failed_ = true;  // with the exception of the hook pending
      return;
    }
    Put(value, kTooLong);
  }
  void String(const uint8_t* utf8, size_t size) override { Put(MakeString(env_, utf8, size), kTooLong); }
  void Bytes(const uint8_t* bytes, size_t size) override { Put(MakeBytes(env_, bytes, size), kTooLong); }
  void BeginTuple() override {
    napi_value array = nullptr;
    if (napi_create_array(env_, &array) != napi_ok) return Put(nullptr, kTooLong);
    open_.push_back({array, 0});
  }
  void EndTuple() override {
    if (open_.empty()) return;  // its beginning failed
    const napi_value array = open_.back().array;
    open_.pop_back();
    Put(array, kTooLong);
  }

  // Null with an exception pending on failure.
  napi_value Finish(const Status& status) {
    if (failed_) return nullptr;
    if (!status.ok()) return Throw(handle_, status);
    return result_;
  }

 private:
  struct Open {
    napi_value array;
    uint32_t length;
  };
  void Put(napi_value value, const char* why_not) {
    if (failed_) return;
    if (value == nullptr) {
      DropException(env_);
      Throw(handle_, Status(Code::kVALUE, why_not));
      failed_ = true;
    } else if (open_.empty()) {
      result_ = value;
    } else if (napi_set_element(env_, open_.back().array, open_.back().length++, value) != napi_ok) {
      Put(nullptr, kTooLong);
    }
  }
  const Handle& handle_;
  const napi_env env_;
  std::vector<Open> open_;
  napi_value result_ = nullptr;
  bool failed_ = false;
};

}  // namespace

napi_value MakeKey(const Handle& handle, const Key& key) {
  KeyBuilder builder(handle);
  return builder.Finish(DecodeKey(key, &builder));
}

napi_value MakeInteger(napi_env env, int64_t integer) {
  napi_value value = nullptr;
  if (integer >= INT32_MIN && integer <= INT32_MAX) {
    napi_create_int32(env, static_cast<int32_t>(integer), &value);
  } else if (integer >= -kSafeMax && integer <= kSafeMax) {
    napi_create_double(env, static_cast<double>(integer), &value);
  } else {
    napi_create_bigint_int64(env, integer, &value);
  }
  return value;
}

napi_value MakeBytes(napi_env env, const uint8_t* bytes, size_t size) {
  napi_value buffer, value = nullptr;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, size, &data, &buffer) != napi_ok) return nullptr;
  if (size > 0) std::memcpy(data, bytes, size);
  if (napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &value) != napi_ok) return nullptr;
  return value;
}

napi_value MakeNumbers(napi_env env, const std::vector<double>& numbers) {
  napi_value buffer, value = nullptr;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, numbers.size() * sizeof(double), &data, &buffer) != napi_ok) return nullptr;
  if (!numbers.empty()) std::memcpy(data, numbers.data(), numbers.size() * sizeof(double));
  return napi_create_typedarray(env, napi_float64_array, numbers.size(), buffer, 0, &value) == napi_ok ? value : nullptr;
}

napi_value MakeString(napi_env env, const uint8_t* utf8, size_t size) {
  napi_value value = nullptr;
  const auto* text = size == 0 ? "" : reinterpret_cast<const char*>(utf8);
  if (IsAscii(utf8, size)) return napi_create_string_latin1(env, text, size, &value) == napi_ok ? value : nullptr;
  if (size <= kDecodeMax) value = MakeDecodedString(env, utf8, size);
  if (value != nullptr) return value;
  return napi_create_string_utf8(env, text, size, &value) == napi_ok ? value : nullptr;
}

// A hook that ran meanwhile may have closed the database, and all cells with it.
void CellHold::GiveBack() {
  if (handle_->session() != nullptr) handle_->session()->UnpinContainer(Take());
}

void Capture(const Handle& handle, const ValueView& view, Captured* captured) {
  const napi_env env = handle.env();
  *captured = Captured();  // a lost attempt may have captured something: the last call counts
  napi_value& value = captured->value;
  const char* failure = kTooLong;
  switch (view.type) {
    case ValueView::Type::kAbsent:
      return;
    case ValueView::Type::kString:
      value = MakeString(env, view.data, view.size);
      break;
    case ValueView::Type::kInt:
      value = MakeInteger(env, view.integer);
      break;
    case ValueView::Type::kContainer:
      captured->kind = view.kind;
      captured->id = view.id;
      captured->cell = CellHold(&handle, handle.session()->PinContainer(view.id));
      return;
    case ValueView::Type::kNull:
      napi_get_null(env, &value);
      break;
    case ValueView::Type::kFalse:
      napi_get_boolean(env, false, &value);
      break;
    case ValueView::Type::kTrue:
      napi_get_boolean(env, true, &value);
      break;
    case ValueView::Type::kDouble:
      napi_create_double(env, view.number, &value);
      break;
    case ValueView::Type::kBigInt:
      value = MakeBigInt(env, view.negative, view.data, view.size);
      break;
    case ValueView::Type::kDateTime:
      value = MakeDate(env, view.integer);
      failure = kNoDate;
      break;
    case ValueView::Type::kUuid:
      value = MakeBytes(env, view.data, 16);
      captured->is_uuid = true;
      break;
    case ValueView::Type::kBytes:
      value = MakeBytes(env, view.data, view.size);
      break;
  }
  if (value == nullptr) [[unlikely]] {
    DropException(env);
    captured->failure = failure;
  }
}

napi_value Release(const Handle& handle, uint64_t view, Captured& captured) {
  const napi_env env = handle.env();
  if (captured.failure != nullptr) [[unlikely]] return Throw(handle, Status(Code::kVALUE, captured.failure));
  if (captured.kind != Kind::kNone) {
    napi_value arguments[4] = {};
    napi_create_uint32(env, static_cast<uint32_t>(captured.kind), &arguments[0]);
    napi_create_double(env, static_cast<double>(captured.id), &arguments[1]);
    napi_create_double(env, static_cast<double>(view), &arguments[2]);
    napi_create_uint32(env, captured.cell.Take(), &arguments[3]);
    return CallHook(handle, Hook::kContainer, 4, arguments);
  }
  if (captured.is_uuid) return CallHook(handle, Hook::kUuid, 1, &captured.value);
  if (captured.value != nullptr) [[likely]] return captured.value;
  napi_value undefined = nullptr;
  napi_get_undefined(env, &undefined);
  return undefined;
}

void CapturedKey::Read(const Handle& handle, const Key& key) {
  const uint8_t* text;
  uint32_t size;
  if (KeyIsString(key, &text, &size)) {
    value_ = MakeString(handle.env(), text, size);
    return;
  }
  size_ = key.size;
  waiting_.assign(key.data, key.data + key.size);
  if (key.form_size > 0) waiting_.insert(waiting_.end(), key.form, key.form + key.form_size);
}

napi_value CapturedKey::Release(const Handle& handle) const {
  if (value_ != nullptr) return value_;
  if (size_ == 0) return Throw(handle, Status(Code::kVALUE, kTooLong));
  Key key;
  key.data = waiting_.data();
  key.size = size_;
  key.form = key.data + size_;
  key.form_size = static_cast<uint32_t>(waiting_.size() - size_);
  return MakeKey(handle, key);
}

void EntryList::Add(const Key& key, const ValueView& value) {
  if (value.type == ValueView::Type::kAbsent) {  // a new attempt begins
    entries_.clear();
    return;
  }
  entries_.emplace_back();
  Entry& entry = entries_.back();
  entry.key.Read(handle_, key);
  Capture(handle_, value, &entry.value);
}

napi_value EntryList::Release() {
  const napi_env env = handle_.env();
  napi_value array;
  if (napi_create_array_with_length(env, entries_.size() * 2, &array) != napi_ok) return nullptr;
  uint32_t at = 0;
  for (Entry& entry : entries_) {
    const napi_value key = entry.key.Release(handle_);
    if (key == nullptr || napi_set_element(env, array, at++, key) != napi_ok) return nullptr;
    const napi_value value = pongo::node::Release(handle_, view_, entry.value);
    if (value == nullptr || napi_set_element(env, array, at++, value) != napi_ok) return nullptr;
  }
  return array;
}

}  // namespace pongo::node
