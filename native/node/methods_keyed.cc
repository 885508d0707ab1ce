// Operations on one key of a keyed container: the hot paths. No allocation, no wrapper objects.
#include "arguments.h"
#include "methods.h"
#include "results.h"

namespace pongo::node {
namespace {

napi_value Get(napi_env env, napi_callback_info info) {
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
  Captured found;
  const Status status =
      session->Get(view, id, key.key(), [&handle, &found](const ValueView& value) { Capture(handle, value, &found); });
  if (!status.ok()) [[unlikely]] return Throw(handle, status, key.key());
  return Release(handle, view, found);
}

napi_value Has(napi_env env, napi_callback_info info) {
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
  bool found = false;
  const Status status = session->Has(view, id, key.key(), &found);
  if (!status.ok()) [[unlikely]] return Throw(handle, status, key.key());
  return Boolean(env, found);
}

napi_value Set(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id, flags;
  KeyBuffer key;
  ValueArgument value;
  const auto place = [&key] { return DescribeKey(key.key()); };
  if (!ReadCount(handle, call[0], "id", &id) || !ReadKey(handle, call[1], &key) || !value.Read(handle, call[2], place) ||
      !ReadCount(handle, call[3], "flags", &flags)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status = session->Set(id, key.key(), value.input(), static_cast<uint32_t>(flags));
  if (!status.ok()) [[unlikely]] return Throw(handle, status, key.key());
  return nullptr;
}

napi_value Delete(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  KeyBuffer key;
  if (!ReadCount(handle, call[0], "id", &id) || !ReadKey(handle, call[1], &key)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  bool was_present = false;
  const Status status = session->Delete(id, key.key(), &was_present);
  if (!status.ok()) [[unlikely]] return Throw(handle, status, key.key());
  return Boolean(env, was_present);
}

napi_value DeletePair(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  KeyBuffer key;
  ValueArgument value;
  const auto place = [&key] { return DescribeKey(key.key()); };
  if (!ReadCount(handle, call[0], "id", &id) || !ReadKey(handle, call[1], &key) || !value.Read(handle, call[2], place)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  bool was_present = false;
  const Status status = session->DeletePair(id, key.key(), value.input(), &was_present);
  if (!status.ok()) [[unlikely]] return Throw(handle, status, key.key());
  return Boolean(env, was_present);
}

napi_value Pop(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  KeyBuffer key;
  if (!ReadCount(handle, call[0], "id", &id) || !ReadKey(handle, call[1], &key)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Captured found;
  const Status status =
      session->Pop(id, key.key(), [&handle, &found](const ValueView& value) { Capture(handle, value, &found); });
  if (!status.ok()) [[unlikely]] return Throw(handle, status, key.key());
  return Release(handle, 0, found);
}

napi_value Update(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  Wire wire;
  if (!ReadCount(handle, call[0], "id", &id) || !ReadWire(handle, call[1], "wireDict", &wire)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status = session->Update(id, wire.data, wire.size);
  return status.ok() ? nullptr : Throw(handle, status);
}

napi_value Increment(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  KeyBuffer key;
  ValueArgument by;
  if (!ReadCount(handle, call[0], "id", &id) || !ReadKey(handle, call[1], &key) || !by.ReadNumber(handle, call[2])) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  Captured result;
  const Status status = session->Increment(id, key.key(), by.input().view, [&handle, &result](const ValueView& value) {
    Capture(handle, value, &result);
  });
  if (!status.ok()) [[unlikely]] return Throw(handle, status, key.key());
  return Release(handle, 0, result);
}

napi_value CompareAndSet(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id;
  KeyBuffer key;
  OptionalValue expected, next;
  const auto place = [&key] { return DescribeKey(key.key()); };
  if (!ReadCount(handle, call[0], "id", &id) || !ReadKey(handle, call[1], &key) ||
      !expected.Read(handle, call[2], place) || !next.Read(handle, call[3], place)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  bool swapped = false;
  const Status status = session->CompareAndSet(id, key.key(), expected.input(), next.input(), &swapped);
  if (!status.ok()) [[unlikely]] return Throw(handle, status, key.key());
  return Boolean(env, swapped);
}

constexpr Method kMethods[] = {
    {"get", Get}, {"has", Has},       {"set", Set},        {"delete", Delete},     {"deletePair", DeletePair},
    {"pop", Pop}, {"update", Update}, {"incr", Increment}, {"cas", CompareAndSet},
};

}  // namespace

std::span<const Method> KeyedMethods() { return kMethods; }

}  // namespace pongo::node
