// Entries that expire, and what of a Collection is seen without them.
#include <algorithm>
#include <cmath>

#include "arguments.h"
#include "methods.h"
#include "results.h"

namespace pongo::node {
namespace {

// `kind`: 0 never, 1 so many milliseconds from now, 2 at an instant in milliseconds since 1970.
bool ReadExpiry(const Handle& handle, napi_env env, napi_value kind, napi_value milliseconds, Expiry* expiry) {
  uint64_t number;
  if (!ReadCount(handle, kind, "kind", &number)) return false;
  double time = 0;
  if (number > 2 || (number != 0 && (napi_get_value_double(env, milliseconds, &time) != napi_ok || !std::isfinite(time)))) {
    Throw(handle, Status(Code::kARG, "not an expiry"), "milliseconds");
    return false;
  }
  expiry->kind = static_cast<Expiry::Kind>(number);
  expiry->microseconds = static_cast<int64_t>(std::clamp(std::round(time * 1000), -9e18, 9.2e18));
  return true;
}

napi_value SetExpiring(napi_env env, napi_callback_info info) {
  const Call<6> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id, flags;
  KeyBuffer key;
  ValueArgument value;
  Expiry expiry;
  if (!ReadCount(handle, call[0], "id", &id) || !ReadKey(handle, call[1], &key) || !value.Read(handle, call[2]) ||
      !ReadCount(handle, call[3], "flags", &flags) || !ReadExpiry(handle, env, call[4], call[5], &expiry)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status = session->SetExpiring(id, key.key(), value.input(), static_cast<uint32_t>(flags), expiry);
  return status.ok() ? nullptr : Throw(handle, status, key.key());
}

napi_value SetPathExpiring(napi_env env, napi_callback_info info) {
  const Call<7> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id, flags;
  PathArgument path;
  ValueArgument value;
  Expiry expiry;
  if (!ReadCount(handle, call[0], "id", &id) || !path.Read(handle, call[1], call[2]) || !value.Read(handle, call[3]) ||
      !ReadCount(handle, call[4], "flags", &flags) || !ReadExpiry(handle, env, call[5], call[6], &expiry)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status =
      session->SetPathExpiring(id, path.steps(), path.count(), value.input(), static_cast<uint32_t>(flags), expiry);
  return status.ok() ? nullptr : Throw(handle, status, path.Describe());
}

napi_value SetExpiry(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  KeyBuffer key;
  Expiry expiry;
  if (!ReadCount(handle, call[0], "id", &id) || !ReadKey(handle, call[1], &key) ||
      !ReadExpiry(handle, env, call[2], call[3], &expiry)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  bool was_present = false;
  const Status status = session->SetExpiry(id, key.key(), expiry, &was_present);
  return status.ok() ? Boolean(env, was_present) : Throw(handle, status, key.key());
}

napi_value TimeLeft(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id;
  KeyBuffer key;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id) ||
      !ReadKey(handle, call[2], &key)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  bool expires = false;
  int64_t left = 0;
  const Status status = session->TimeLeft(view, id, key.key(), &expires, &left);
  if (!status.ok()) return Throw(handle, status, key.key());
  return expires ? Number(env, std::ceil(static_cast<double>(left) / 1000)) : Undefined(env);
}

napi_value Edge(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id;
  double step = 0;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id)) return nullptr;
  if (napi_get_value_double(env, call[2], &step) != napi_ok || (step != 1 && step != -1)) {
    return Throw(handle, Status(Code::kARG, "neither 1 nor -1"), "step");
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  EntryList entries(handle, view);
  const Status status = session->Edge(view, id, step > 0 ? 1 : -1, [&entries](const Key& key, const ValueView& value) {
    entries.Add(key, value);
    return false;
  });
  if (!status.ok()) return Throw(handle, status);
  return entries.empty() ? Undefined(env) : entries.Release();
}

napi_value Skip(napi_env env, napi_callback_info info) {
  const Call<6> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id, start, limit, count;
  double step = 0;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id) ||
      !ReadCount(handle, call[2], "start", &start) || !ReadCount(handle, call[3], "limit", &limit) ||
      !ReadCount(handle, call[4], "count", &count)) {
    return nullptr;
  }
  if (napi_get_value_double(env, call[5], &step) != napi_ok || (step != 1 && step != -1)) {
    return Throw(handle, Status(Code::kARG, "neither 1 nor -1"), "step");
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  uint64_t passed = 0;
  const Status status = session->Skip(view, id, start, limit, count, step > 0 ? 1 : -1, &passed);
  return status.ok() ? Number(env, passed) : Throw(handle, status);
}

constexpr Method kMethods[] = {
    {"setExpiring", SetExpiring}, {"setPathExpiring", SetPathExpiring}, {"setExpiry", SetExpiry},
    {"timeLeft", TimeLeft},       {"edge", Edge},                       {"skip", Skip},
};

}  // namespace

std::span<const Method> ExpiryMethods() { return kMethods; }

}  // namespace pongo::node
