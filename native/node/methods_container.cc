// Operations on whole containers, and scans by position.
#include "arguments.h"
#include "methods.h"
#include "packed.h"
#include "results.h"

namespace pongo::node {
namespace {

napi_value Create(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t kind;
  Wire wire;
  if (!ReadCount(handle, call[0], "kind", &kind) || !ReadOptionalWire(handle, call[1], "contentWire", &wire)) {
    return nullptr;
  }
  if (kind < 1 || kind > 4) return Throw(handle, Status(Code::kARG, "not a container kind"), "kind");
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Captured made;
  made.kind = static_cast<Kind>(kind);
  uint32_t cell = kNoCell;
  const Status status = session->Create(made.kind, wire.data, wire.size, &made.id, &cell);
  made.cell = CellHold(&handle, cell);
  return status.ok() ? Release(handle, 0, made) : Throw(handle, status);
}

// The proxy that showed a container is gone. Also called after close, by finalizers: then there is nothing to do.
napi_value Unpin(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  uint64_t cell;
  if (!ReadCount(handle, call[0], "cell", &cell)) return nullptr;
  if (handle.session() != nullptr && cell < kNoCell) handle.session()->UnpinContainer(static_cast<uint32_t>(cell));
  return nullptr;
}

napi_value GetKind(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Kind kind = Kind::kNone;
  const Status status = session->GetKind(view, id, &kind);
  return status.ok() ? Number(env, static_cast<uint64_t>(kind)) : Throw(handle, status);
}

napi_value Size(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  uint64_t size = 0;
  const Status status = session->Size(view, id, &size);
  return status.ok() ? Number(env, size) : Throw(handle, status);
}

napi_value Clear(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  if (!ReadCount(handle, call[0], "id", &id)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status = session->Clear(id);
  return status.ok() ? nullptr : Throw(handle, status);
}

napi_value Replace(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  Wire wire;
  if (!ReadCount(handle, call[0], "id", &id) || !ReadWire(handle, call[1], "wire", &wire)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status = session->Replace(id, wire.data, wire.size);
  return status.ok() ? nullptr : Throw(handle, status);
}

napi_value Native(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  std::vector<uint8_t> wire;
  const Status status = session->Native(view, id, &wire);
  return status.ok() ? MakeBytes(env, wire.data(), wire.size()) : Throw(handle, status);
}

napi_value Plain(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id;
  KeyBuffer key;
  napi_valuetype type;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id)) return nullptr;
  const bool whole = napi_typeof(env, call[2], &type) == napi_ok && type == napi_undefined;
  if (!whole && !ReadKey(handle, call[2], &key)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  PlainResult result(handle);
  const Status status = whole ? session->Plain(view, id, &result) : session->PlainValue(view, id, key.key(), &result);
  return status.ok() ? result.Release(view) : Throw(handle, status);
}

napi_value ShapeNames(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  uint64_t shape;
  if (!ReadCount(handle, call[0], "shape", &shape)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  PackedPage names(handle, 0, 1);
  const Status status = session->ShapeNames(shape, [&names](const Key& name) { names.AddKey(name); });
  return status.ok() ? names.Release() : Throw(handle, status);
}

napi_value Page(napi_env env, napi_callback_info info) {
  const Call<6> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id, start, count, what;
  double step = 0;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id) ||
      !ReadCount(handle, call[2], "start", &start) || !ReadLimit(handle, call[3], "count", &count) ||
      !ReadCount(handle, call[5], "what", &what)) {
    return nullptr;
  }
  if (napi_get_value_double(env, call[4], &step) != napi_ok || (step != 1 && step != -1)) {
    return Throw(handle, Status(Code::kARG, "neither 1 nor -1"), "step");
  }
  if ((what & 3) == 0 || what > 15) return Throw(handle, Status(Code::kARG, "not a choice of columns"), "what");
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const int direction = step > 0 ? 1 : -1;
  PackedPage page(handle, view, static_cast<uint32_t>(what));
  page.CountFrom(start, direction);
  uint64_t passed = 0;
  const auto add_key = [&page](const Key& key) { page.AddKey(key); };
  const auto add = [&page](const Key& key, const ValueView& value) {
    page.AddKey(key);
    page.AddLive(value);
    return true;
  };
  const Status status = (what & 4) != 0 ? session->PlainPage(view, id, start, count, direction, add_key, &page, &passed)
                                        : session->Page(view, id, start, count, direction, add, &passed);
  if (!status.ok()) return Throw(handle, status);
  return (what & 8) != 0 && passed >= count ? Undefined(env) : page.Release();
}

napi_value Bounds(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id, flags;
  KeyBuffer lo, hi;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id) ||
      !ReadCount(handle, call[4], "flags", &flags)) {
    return nullptr;
  }
  // A bound that is not given may be anything.
  if ((flags & (kLower | kPrefix)) != 0 && !ReadKey(handle, call[2], &lo)) return nullptr;
  if ((flags & kUpper) != 0 && (flags & kPrefix) == 0 && !ReadKey(handle, call[3], &hi)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  uint64_t begin = 0, end = 0;
  const Status status =
      session->Bounds(view, id, lo.key(), hi.key(), static_cast<uint32_t>(flags), &begin, &end);
  if (!status.ok()) return Throw(handle, status);
  napi_value pair = nullptr;
  if (napi_create_array_with_length(env, 2, &pair) != napi_ok ||
      napi_set_element(env, pair, 0, Number(env, begin)) != napi_ok ||
      napi_set_element(env, pair, 1, Number(env, end)) != napi_ok) {
    return nullptr;
  }
  return pair;
}

napi_value At(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view, id, position;
  if (!ReadCount(handle, call[0], "view", &view) || !ReadCount(handle, call[1], "id", &id) ||
      !ReadCount(handle, call[2], "position", &position)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  EntryList entries(handle, view);
  const Status status = session->At(view, id, position, [&entries](const Key& key, const ValueView& value) {
    entries.Add(key, value);
    return false;
  });
  if (!status.ok()) return Throw(handle, status);
  return entries.empty() ? Undefined(env) : entries.Release();
}

napi_value Rank(napi_env env, napi_callback_info info) {
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
  uint64_t rank = 0;
  const Status status = session->Rank(view, id, key.key(), &rank);
  return status.ok() ? Number(env, rank) : Throw(handle, status, key.key());
}

napi_value Shift(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  if (!ReadCount(handle, call[0], "id", &id)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  EntryList entries(handle, 0);
  const Status status = session->Shift(id, [&entries](const Key& key, const ValueView& value) {
    entries.Add(key, value);
    return false;
  });
  if (!status.ok()) return Throw(handle, status);
  return entries.empty() ? Undefined(env) : entries.Release();
}

constexpr Method kMethods[] = {
    {"create", Create}, {"unpin", Unpin}, {"kind", GetKind},   {"size", Size}, {"clear", Clear}, {"replace", Replace}, {"native", Native}, {"plain", Plain},
    {"shapeNames", ShapeNames},
    {"page", Page},     {"bounds", Bounds},  {"at", At},     {"rank", Rank},   {"shift", Shift},
};

}  // namespace

std::span<const Method> ContainerMethods() { return kMethods; }

}  // namespace pongo::node
