// Bounded Collections.
#include "arguments.h"
#include "methods.h"
#include "results.h"

namespace pongo::node {
namespace {

napi_value CreateBounded(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  CollectionBounds bounds;
  uint64_t fifo;
  if (!ReadCount(handle, call[0], "maxItems", &bounds.max_items) || !ReadCount(handle, call[1], "maxBytes", &bounds.max_bytes) ||
      !ReadCount(handle, call[2], "fifo", &fifo)) {
    return nullptr;
  }
  bounds.fifo = fifo != 0;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Captured made;
  made.kind = Kind::kCollection;
  uint32_t cell = kNoCell;
  const Status status = session->CreateBounded(bounds, &made.id, &cell);
  made.cell = CellHold(&handle, cell);
  return status.ok() ? Release(handle, 0, made) : Throw(handle, status);
}

napi_value GetLimits(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  bool bounded = false;
  CollectionBounds bounds;
  const Status status = session->GetBounds(view, id, &bounded, &bounds);
  if (!status.ok()) return Throw(handle, status);
  if (!bounded) return Undefined(env);
  const napi_value limits = Object(env);
  if (!SetField(env, limits, "maxItems", Number(env, bounds.max_items)) ||
      !SetField(env, limits, "maxBytes", Number(env, bounds.max_bytes)) || !SetField(env, limits, "fifo", Boolean(env, bounds.fifo)) ||
      !SetField(env, limits, "bytes", Number(env, bounds.bytes))) {
    return nullptr;
  }
  return limits;
}

constexpr Method kMethods[] = {{"createBounded", CreateBounded}, {"limits", GetLimits}};

}  // namespace

std::span<const Method> BoundsMethods() { return kMethods; }

}  // namespace pongo::node
