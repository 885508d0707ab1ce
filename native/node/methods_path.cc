// Operations at the end of a path. The engine walks the containers; here only the segments are made.
#include <algorithm>

#include "arguments.h"
#include "methods.h"
#include "results.h"

namespace pongo::node {
namespace {

napi_value GetPath(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id;
  PathArgument path;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id) ||
      !path.Read(handle, call[2], call[3])) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Captured found;
  const Status status = session->GetPath(view, id, path.steps(), path.count(), [&handle, &found](const ValueView& value) {
    Capture(handle, value, &found);
  });
  if (!status.ok()) [[unlikely]] return Throw(handle, status, path.Describe());
  return Release(handle, view, found);
}

// Short paths of an array come as so many arguments of their own: reading them from the array would cost as much as the walk.
napi_value GetSteps(napi_env env, napi_callback_info info) {
  constexpr size_t kStepsMax = 3;
  const Call<2 + kStepsMax> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id)) return nullptr;
  KeyBuffer keys[kStepsMax];
  PathStep steps[kStepsMax];
  const size_t given = std::min(call.count(), 2 + kStepsMax) - 2;
  size_t count = 0;
  for (; count < given; count++) {
    const napi_value segment = call[2 + count];
    if (!ReadKey(handle, segment, &keys[count])) return nullptr;
    steps[count] = StepOf(env, segment, keys[count].key());
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Captured found;
  const Status status = session->GetPath(view, id, steps, count, [&handle, &found](const ValueView& value) {
    Capture(handle, value, &found);
  });
  if (!status.ok()) [[unlikely]] return Throw(handle, status, DescribePath(steps, count));
  return Release(handle, view, found);
}

napi_value SetPath(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id, flags;
  PathArgument path;
  ValueArgument value;
  const auto place = [&path] { return path.Describe(); };
  if (!ReadCount(handle, call[0], "id", &id) || !path.Read(handle, call[1], call[2]) || !value.Read(handle, call[3], place) ||
      !ReadCount(handle, call[4], "flags", &flags)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status =
      session->SetPath(id, path.steps(), path.count(), value.input(), static_cast<uint32_t>(flags));
  return status.ok() ? nullptr : Throw(handle, status, path.Describe());
}

napi_value DeletePath(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  PathArgument path;
  if (!ReadCount(handle, call[0], "id", &id) || !path.Read(handle, call[1], call[2])) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  bool was_present = false;
  const Status status = session->DeletePath(id, path.steps(), path.count(), &was_present);
  if (!status.ok()) [[unlikely]] return Throw(handle, status, path.Describe());
  return Boolean(env, was_present);
}

napi_value IncrementPath(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  PathArgument path;
  ValueArgument by;
  if (!ReadCount(handle, call[0], "id", &id) || !path.Read(handle, call[1], call[2]) ||
      !by.ReadNumber(handle, call[3])) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Captured result;
  const Status status =
      session->IncrementPath(id, path.steps(), path.count(), by.input().view,
                             [&handle, &result](const ValueView& value) { Capture(handle, value, &result); });
  if (!status.ok()) [[unlikely]] return Throw(handle, status, path.Describe());
  return Release(handle, 0, result);
}

napi_value CompareAndSetPath(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  PathArgument path;
  OptionalValue expected, next;
  const auto place = [&path] { return path.Describe(); };
  if (!ReadCount(handle, call[0], "id", &id) || !path.Read(handle, call[1], call[2]) ||
      !expected.Read(handle, call[3], place) || !next.Read(handle, call[4], place)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  bool swapped = false;
  const Status status =
      session->CompareAndSetPath(id, path.steps(), path.count(), expected.input(), next.input(), &swapped);
  if (!status.ok()) [[unlikely]] return Throw(handle, status, path.Describe());
  return Boolean(env, swapped);
}

constexpr Method kMethods[] = {
    {"getPath", GetPath},
    {"getSteps", GetSteps},
    {"setPath", SetPath},
    {"deletePath", DeletePath},
    {"incrPath", IncrementPath},
    {"casPath", CompareAndSetPath},
};

}  // namespace

std::span<const Method> PathMethods() { return kMethods; }

}  // namespace pongo::node
