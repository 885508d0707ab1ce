// Operations on Lists.
#include "arguments.h"
#include "methods.h"
#include "results.h"

namespace pongo::node {
namespace {

napi_value ListGet(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id, index;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id) ||
      !ReadCount(handle, call[2], "index", &index)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Captured found;
  const Status status =
      session->ListGet(view, id, index, [&handle, &found](const ValueView& value) { Capture(handle, value, &found); });
  return status.ok() ? Release(handle, view, found) : Throw(handle, status);
}

napi_value ListSet(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id, index;
  ValueArgument value;
  const auto place = [&index] { return std::to_string(index); };
  if (!ReadCount(handle, call[0], "id", &id) || !ReadCount(handle, call[1], "index", &index) ||
      !value.Read(handle, call[2], place)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status = session->ListSet(id, index, value.input());
  return status.ok() ? nullptr : Throw(handle, status);
}

napi_value ListSplice(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id, start, delete_count;
  Wire wire;
  double signed_start = 0;
  if (!ReadCount(handle, call[0], "id", &id) || !ReadLimit(handle, call[2], "deleteCount", &delete_count) ||
      !ReadOptionalWire(handle, call[3], "insertWire", &wire)) {
    return nullptr;
  }
  // -1 means the end: the core knows where that is when it commits.
  if (napi_get_value_double(env, call[1], &signed_start) == napi_ok && signed_start == -1) {
    start = UINT64_MAX;
  } else if (!ReadLimit(handle, call[1], "start", &start)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  uint64_t length = 0;
  const Status status = session->ListSplice(id, start, delete_count, wire.data, wire.size, &length);
  return status.ok() ? Number(env, length) : Throw(handle, status);
}

napi_value ListPush(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  ValueArgument value;
  const auto place = [] { return std::string("the new element"); };
  if (!ReadCount(handle, call[0], "id", &id) || !value.Read(handle, call[1], place)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  uint64_t length = 0;
  const Status status = session->ListPush(id, value.input(), &length);
  return status.ok() ? Number(env, length) : Throw(handle, status);
}

// The two ends differ only in what they call.
using TakeEnd = Status (Session::*)(uint64_t id, ValueVisitor found);

napi_value Take(napi_env env, napi_callback_info info, TakeEnd take) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  if (!ReadCount(handle, call[0], "id", &id)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Captured found;
  const Status status =
      (session->*take)(id, [&handle, &found](const ValueView& value) { Capture(handle, value, &found); });
  return status.ok() ? Release(handle, 0, found) : Throw(handle, status);
}

napi_value ListPop(napi_env env, napi_callback_info info) { return Take(env, info, &Session::ListPop); }
napi_value ListShift(napi_env env, napi_callback_info info) { return Take(env, info, &Session::ListShift); }

napi_value ListArrange(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  Positions positions;
  if (!ReadCount(handle, call[0], "id", &id) || !ReadPositions(handle, call[1], "positions", &positions)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status = session->ListArrange(id, positions.data, positions.count);
  return status.ok() ? nullptr : Throw(handle, status);
}

constexpr Method kMethods[] = {
    {"listGet", ListGet},   {"listSet", ListSet}, {"listSplice", ListSplice},
    {"listPush", ListPush}, {"listPop", ListPop}, {"listShift", ListShift},
    {"listArrange", ListArrange},
};

}  // namespace

std::span<const Method> ListMethods() { return kMethods; }

}  // namespace pongo::node
