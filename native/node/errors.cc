#include "errors.h"

#include <cstdio>
#include <system_error>

#include "format/key_codec.h"
#include "handle.h"

namespace pongo::node {
namespace {

constexpr size_t kShownMax = 100;  // bytes of a string that a message shows

class Describer final : public KeyVisitor {
 public:
  void Null() override { text = "null"; }
  void Bool(bool value) override { text = value ? "true" : "false"; }
  void Int(int64_t value) override { text = std::to_string(value); }
  void Double(double value) override {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.17g", value);
    text = digits;
  }
  void BigInt(bool, const uint8_t*, size_t) override { text = "a bigint"; }
  void DateTime(int64_t) override { text = "a Date"; }
  void Uuid(const uint8_t*) override { text = "a Uuid"; }
  void String(const uint8_t* utf8, size_t size) override {
    size_t shown = size < kShownMax ? size : kShownMax;
    while (shown < size && shown > 0 && (utf8[shown] & 0xc0) == 0x80) --shown;  // not inside a character
    text = '\'' + std::string(reinterpret_cast<const char*>(utf8), shown) + (shown < size ? "...'" : "'");
  }
  void Bytes(const uint8_t*, size_t) override { text = "bytes"; }
  void BeginTuple() override { ++depth_; }
  void EndTuple() override {
    if (--depth_ == 0) text = "an array";
  }
  std::string text;

 private:
  int depth_ = 0;
};

}  // namespace

std::string DescribeKey(const Key& key) {
  Describer describer;
  return DecodeKey(key, &describer).ok() ? describer.text : std::string();
}

std::string Message(const Status& status, std::string_view detail) {
  std::string message = status.text();
  if (message.empty()) message = CodeName(status.code());
  if (!detail.empty()) message.append(": ").append(detail);
  if (status.os_error() != 0) {
    message.append(" (").append(std::generic_category().message(status.os_error())).append(")");
  }
  return message;
}

napi_value MakeError(napi_env env, napi_value error_hook, Code code, const std::string& message) {
  napi_value arguments[2], receiver, error = nullptr;
  if (napi_create_string_utf8(env, CodeName(code), NAPI_AUTO_LENGTH, &arguments[0]) != napi_ok ||
      napi_create_string_utf8(env, message.data(), message.size(), &arguments[1]) != napi_ok ||
      napi_get_undefined(env, &receiver) != napi_ok) {
    return nullptr;
  }
  if (error_hook != nullptr && napi_call_function(env, receiver, error_hook, 2, arguments, &error) == napi_ok) {
    return error;
  }
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) != napi_ok || pending) return nullptr;
  // Without the hook (it was collected while the environment is going down) a plain error must do.
  return napi_create_error(env, arguments[0], arguments[1], &error) == napi_ok ? error : nullptr;
}

napi_value Throw(napi_env env, napi_value error_hook, Code code, const std::string& message) {
  const napi_value error = MakeError(env, error_hook, code, message);
  if (error != nullptr) napi_throw(env, error);
  return nullptr;
}

napi_value Throw(const Handle& handle, const Status& status, std::string_view detail) {
  return Throw(handle.env(), handle.hook(Hook::kError), status.code(), Message(status, detail));
}

napi_value Throw(const Handle& handle, const Status& status, const Key& key) {
  return Throw(handle, status, std::string_view(DescribeKey(key)));
}

}  // namespace pongo::node
