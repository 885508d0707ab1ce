// Transactions, snapshots, and what concerns the whole database.
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "methods.h"
#include "results.h"
#include "uuid.h"

namespace pongo::node {
namespace {

napi_value Text(napi_env env, const std::string& text) {
  return MakeString(env, reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

napi_value Close(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  const Status status = call.handle().Close();
  return status.ok() ? nullptr : Throw(call.handle(), status);
}

// -- transactions --

napi_value Begin(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  const Status status = session->Begin();
  return status.ok() ? nullptr : Throw(call.handle(), status);
}

napi_value Commit(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  bool committed = false;
  const Status status = session->Commit(&committed);
  return status.ok() ? Boolean(env, committed) : Throw(call.handle(), status);
}

napi_value Abort(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  const Status status = session->Abort();
  return status.ok() ? nullptr : Throw(call.handle(), status);
}

napi_value InTransaction(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  return session == nullptr ? nullptr : Boolean(env, session->InTransaction());
}

// -- snapshots --

napi_value Snapshot(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  uint64_t view = 0;
  const Status status = session->Snapshot(&view);
  return status.ok() ? Number(env, view) : Throw(call.handle(), status);
}

napi_value ReleaseView(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view;
  if (!ReadCount(handle, call[0], "view", &view)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status = session->Release(view);
  return status.ok() ? nullptr : Throw(handle, status);
}

napi_value Version(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view;
  if (!ReadCount(handle, call[0], "view", &view)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  uint64_t version = 0;
  const Status status = session->Version(view, &version);
  return status.ok() ? Number(env, version) : Throw(handle, status);
}

// -- the whole database --

napi_value Options(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  const napi_value options = Object(env);
  const bool done = SetField(env, options, "chunksize", Number(env, session->chunk_size())) &&
                    SetField(env, options, "maxSize", Number(env, session->max_size())) &&
                    SetField(env, options, "idKey", Text(env, session->id_key())) &&
                    SetField(env, options, "uuid", Text(env, UuidText(session->uuid())));
  return done ? options : nullptr;
}

napi_value SetMeta(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  StringArgument name;
  if (!name.Read(handle, call[0], "name")) return nullptr;
  if (name.ToString() == "chunksize") {
    uint64_t bytes;
    if (!ReadCount(handle, call[1], "chunksize", &bytes)) return nullptr;
    Session* session = Live(handle);
    if (session == nullptr) return nullptr;
    const Status status = session->SetChunkSize(bytes);
    return status.ok() ? nullptr : Throw(handle, status);
  }
  if (name.ToString() == "id") {
    StringArgument key;
    if (!key.Read(handle, call[1], "id")) return nullptr;
    Session* session = Live(handle);
    if (session == nullptr) return nullptr;
    const Status status = session->SetIdKey(key.ToString());
    return status.ok() ? nullptr : Throw(handle, status);
  }
  return Throw(handle, Status(Code::kKEY, "no such entry of the meta data"), name.ToString());
}

napi_value SetDurability(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  StringArgument mode;
  Durability durability;
  if (!mode.Read(handle, call[0], "mode")) return nullptr;
  if (!ParseDurability(mode.ToString(), &durability)) {
    return Throw(handle, Status(Code::kARG, "durability must be 'checkpoint', 'sync' or 'none'"), mode.ToString());
  }
  Session* session = Live(handle);
  if (session != nullptr) session->SetDurability(durability);
  return nullptr;
}

napi_value SyncNow(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  const Status status = session->Sync();
  return status.ok() ? nullptr : Throw(call.handle(), status);
}

napi_value Stats(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  std::vector<std::pair<std::string, double>> stats;
  session->Stats(&stats);
  const napi_value object = Object(env);
  for (const auto& [name, number] : stats) {
    if (!SetField(env, object, name.c_str(), Number(env, number))) return nullptr;
  }
  return object;
}

napi_value Info(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  return Text(env, session->Info());
}

constexpr Method kMethods[] = {
    {"close", Close},       {"begin", Begin},         {"commit", Commit},   {"abort", Abort},
    {"stats", Stats},       {"snapshot", Snapshot},   {"release", ReleaseView}, {"version", Version},
    {"options", Options},   {"setMeta", SetMeta},     {"setDurability", SetDurability},
    {"syncNow", SyncNow},   {"info", Info},           {"inTransaction", InTransaction},
};

}  // namespace

bool ParseDurability(std::string_view mode, Durability* durability) {
  if (mode == "checkpoint") {
    *durability = Durability::kCheckpoint;
  } else if (mode == "sync") {
    *durability = Durability::kSync;
  } else if (mode == "none") {
    *durability = Durability::kNone;
  } else {
    return false;
  }
  return true;
}

std::span<const Method> DatabaseMethods() { return kMethods; }

}  // namespace pongo::node
