// The module: open() and the UUIDs. Context-aware: everything it keeps belongs to one environment (environment.h).
#include <napi.h>

#include <cmath>
#include <string>
#include <utility>

#include "arguments.h"
#include "database.h"
#include "environment.h"
#include "errors.h"
#include "handle.h"
#include "methods.h"
#include "results.h"
#include "model/uuid.h"

namespace pongo::node {
namespace {

napi_valuetype TypeOf(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value != nullptr) napi_typeof(env, value, &type);
  return type;
}

// Null when a getter threw.
napi_value Field(napi_env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  return napi_get_named_property(env, object, name, &value) == napi_ok ? value : nullptr;
}

// Any string, with what is no UTF-16 replaced; empty when it is none.
std::string Text(napi_env env, napi_value value) {
  size_t size = 0;
  if (value == nullptr || napi_get_value_string_utf8(env, value, nullptr, 0, &size) != napi_ok) return std::string();
  std::string text(size + 1, '\0');
  napi_get_value_string_utf8(env, value, text.data(), text.size(), &size);
  text.resize(size);
  return text;
}

// Reads the options of open(). The first that is wrong is remembered, by name.
class OptionReader {
 public:
  OptionReader(napi_env env, napi_value options) : env_(env), options_(options) {}

  bool Bool(const char* name) {
    bool value = false;
    const napi_value field = Field(env_, options_, name);
    if (field == nullptr || napi_get_value_bool(env_, field, &value) != napi_ok) Refuse(name);
    return value;
  }

  uint64_t Integer(const char* name, double max) {
    double value = -1;
    const napi_value field = Field(env_, options_, name);
    if (field != nullptr) napi_get_value_double(env_, field, &value);
    if (value >= 0 && value <= max && std::trunc(value) == value) return static_cast<uint64_t>(value);
    Refuse(name);
    return 0;
  }

  std::string String(const char* name) { return Text(env_, Field(env_, options_, name)); }

  void Refuse(const char* name) {
    if (wrong_.empty()) wrong_ = name;
  }
  const std::string& wrong() const { return wrong_; }

 private:
  const napi_env env_;
  const napi_value options_;
  std::string wrong_;
};

OpenOptions ReadOptions(OptionReader* reader) {
  constexpr double kTwo53 = 9007199254740992.0;
  OpenOptions options;
  options.create = reader->Bool("create");
  options.read_only = reader->Bool("readOnly");
  options.mode = static_cast<uint32_t>(reader->Integer("mode", 07777));
  options.chunk_size = reader->Integer("chunksize", kTwo53);
  options.max_size = reader->Integer("maxSize", kTwo53);
  const auto interval = static_cast<uint32_t>(reader->Integer("checkpointInterval", UINT32_MAX));
  options.checkpoint_interval_given = interval != 0;
  if (interval != 0) options.checkpoint_interval_ms = interval;
  options.durability_given = reader->Bool("durabilityGiven");
  if (!ParseDurability(reader->String("durability"), &options.durability)) reader->Refuse("durability");
  return options;
}

bool ReadHooks(napi_env env, napi_value object, napi_value hooks[kHookCount]) {
  constexpr const char* kNames[kHookCount] = {"error", "container", "uuid"};
  for (size_t i = 0; i < kHookCount; ++i) {
    hooks[i] = Field(env, object, kNames[i]);
    if (hooks[i] == nullptr) return false;
    if (TypeOf(env, hooks[i]) != napi_function) {
      napi_throw_type_error(env, nullptr, (std::string("a hook is missing: ") + kNames[i]).c_str());
      return false;
    }
  }
  return true;
}

napi_value Open(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value arguments[4];
  napi_value hooks[kHookCount];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  // Without the hooks there is no PongoError to throw yet.
  if (TypeOf(env, arguments[1]) != napi_object || TypeOf(env, arguments[2]) != napi_object) {
    napi_throw_type_error(env, nullptr, "open(path, options, hooks, numbers)");
    return nullptr;
  }
  if (!ReadHooks(env, arguments[2], hooks)) return nullptr;
  const napi_value error_hook = hooks[static_cast<size_t>(Hook::kError)];
  const std::string path = Text(env, arguments[0]);
  if (path.empty() || path.find('\0') != std::string::npos) {
    return Throw(env, error_hook, Code::kARG, "the path must be a string that is not empty and holds no NUL");
  }
  OptionReader reader(env, arguments[1]);
  const OpenOptions options = ReadOptions(&reader);
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) != napi_ok || pending) return nullptr;  // a getter threw
  if (!reader.wrong().empty()) {
    return Throw(env, error_hook, Code::kARG, "an option has a wrong type or is out of range: " + reader.wrong());
  }
  std::string detail;
  Result<std::unique_ptr<Session>> session = Session::Open(path, options, &detail);
  if (!session.ok()) {
    return Throw(env, error_hook, session.status().code(), detail.empty() ? Message(session.status(), path) : detail);
  }
  return Handle::Create(env, std::move(session.value()), hooks, arguments[3]);
}

napi_value MakeUuid(napi_env env, Status (*make)(uint8_t*)) {
  uint8_t bytes[16];
  if (const Status status = make(bytes); !status.ok()) {
    napi_throw_error(env, nullptr, Message(status, {}).c_str());
    return nullptr;
  }
  return MakeBytes(env, bytes, sizeof bytes);
}

napi_value Uuid4(napi_env env, napi_callback_info) { return MakeUuid(env, MakeUuid4); }
napi_value Uuid7(napi_env env, napi_callback_info) { return MakeUuid(env, MakeUuid7); }

// For tests: the wall clock of this process from now on is in a file. An empty path: the real one again.
napi_value FollowClock(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument = nullptr;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  const Status status = port::FollowClockFile(Text(env, argument));
  if (!status.ok()) napi_throw_error(env, nullptr, Message(status, {}).c_str());
  return nullptr;
}

// Registration goes through node-addon-api. The calls that JavaScript makes later use Node-API itself: they are measured in
// nanoseconds, and the wrappers end the process when a call fails in a worker that is being terminated.
Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (!Environment::Attach(env)) {
    Napi::Error::New(env, "the addon could not attach to this JavaScript environment").ThrowAsJavaScriptException();
    return exports;
  }
  constexpr Method kFunctions[] = {{"open", Open}, {"uuid4", Uuid4}, {"uuid7", Uuid7}, {"followClock", FollowClock}};
  for (const Method& function : kFunctions) {
    napi_value value = nullptr;
    if (napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.callback, nullptr, &value) != napi_ok) break;
    exports.Set(function.name, Napi::Function(env, value));
  }
  return exports;
}

}  // namespace
}  // namespace pongo::node

// The macro wants a name without namespace.
static Napi::Object InitPongodb(Napi::Env env, Napi::Object exports) { return pongo::node::Init(env, exports); }
NODE_API_MODULE(pongodb, InitPongodb)
