// The functions of NativeDb (types/addon.d.ts), by subject, and what all of them share.
//
// The addon calls Node-API directly. The C++ wrappers of node-addon-api end the process when a call fails that they
// think cannot fail, and every call can, in a worker that is being terminated.
#ifndef PONGO_NODE_METHODS_H_
#define PONGO_NODE_METHODS_H_

#include <node_api.h>

#include <span>
#include <string_view>

#include "errors.h"
#include "handle.h"

namespace pongo::node {

std::span<const Method> KeyedMethods();
std::span<const Method> PathMethods();
std::span<const Method> ContainerMethods();
std::span<const Method> ListMethods();
std::span<const Method> BoundsMethods();
std::span<const Method> DatabaseMethods();
std::span<const Method> ExpiryMethods();
std::span<const Method> BackgroundMethods();
std::span<const Method> BackupMethods();
std::span<const Method> CoordinationMethods();
std::span<const Method> FeedMethods();

bool ParseDurability(std::string_view mode, Durability* durability);

// The error for a promise to be rejected with; null only when the environment is ending.
napi_value ErrorOf(const Handle& handle, const Status& status, std::string_view detail);

// The arguments of one call and the handle that it is bound to. Missing arguments are undefined.
template <size_t N>
class Call {
 public:
  Call(napi_env env, napi_callback_info info) {
    void* data = nullptr;
    napi_get_cb_info(env, info, &count_, arguments_, nullptr, &data);
    handle_ = static_cast<Handle*>(data);
  }
  Handle& handle() const { return *handle_; }
  napi_value operator[](size_t i) const { return arguments_[i]; }
  // How many were given, perhaps more than N.
  size_t count() const { return count_; }

 private:
  size_t count_ = N;
  napi_value arguments_[N > 0 ? N : 1];
  Handle* handle_;
};

// The open session, or null with CLOSED pending. Ask for it after the arguments have been read: reading an array can
// run getters, and one of them can close the database.
inline Session* Live(const Handle& handle) {
  Session* session = handle.session();
  if (session == nullptr) [[unlikely]] Throw(handle, Status(Code::kCLOSED, "the database is closed"));
  if (handle.barred()) [[unlikely]] {
    Throw(handle, Status(Code::kARG, "another handle to the same file is inside a transaction: use the handle whose transaction it is"));
    return nullptr;
  }
  return session;
}

inline napi_value Undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

inline napi_value Boolean(napi_env env, bool flag) {
  napi_value value = nullptr;
  napi_get_boolean(env, flag, &value);
  return value;
}

inline napi_value Number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

// Sizes and ids are below 2^53.
inline napi_value Number(napi_env env, uint64_t number) { return Number(env, static_cast<double>(number)); }

// Creates an object; null on failure. Then gives it a field: false when it is null or that failed.
inline napi_value Object(napi_env env) {
  napi_value value = nullptr;
  napi_create_object(env, &value);
  return value;
}

inline bool SetField(napi_env env, napi_value object, const char* name, napi_value value) {
  return object != nullptr && value != nullptr && napi_set_named_property(env, object, name, value) == napi_ok;
}

}  // namespace pongo::node

#endif  // PONGO_NODE_METHODS_H_
