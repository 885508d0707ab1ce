// Transactions, snapshots, and what concerns the whole database.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "methods.h"
#include "model/report.h"
#include "results.h"
#include "model/uuid.h"

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
  if (call.handle().barred()) return Boolean(env, false);
  Session* session = Live(call.handle());
  return session == nullptr ? nullptr : Boolean(env, session->InTransaction());
}

napi_value Bar(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  bool on = false;
  napi_get_value_bool(env, call[0], &on);
  call.handle().Bar(on);
  return nullptr;
}

// -- snapshots --

napi_value Snapshot(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  uint64_t view = 0;
  uint64_t version = 0;
  Status status = session->Snapshot(&view);
  if (status.ok()) status = session->Version(view, &version);
  if (!status.ok()) return Throw(call.handle(), status);
  call.handle().record_numbers()[0] = static_cast<double>(version);  // spares the caller a second call
  return Number(env, view);
}

napi_value ReleaseView(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  uint64_t view;
  if (!ReadCount(handle, call[0], "view", &view)) return nullptr;
  Session* session = handle.session();
  if (session == nullptr) return Throw(handle, Status(Code::kCLOSED, "the database is closed"));
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

napi_value ReportRows(napi_env env, const DatabaseReport& report) {
  const napi_value result = Object(env);
  const auto table = [&](const char* name, size_t count) {
    napi_value array = nullptr;
    napi_create_array_with_length(env, count, &array);
    SetField(env, result, name, array);
    return array;
  };
  const auto row = [&](napi_value array, uint32_t index) {
    const napi_value object = Object(env);
    napi_set_element(env, array, index, object);
    return object;
  };
  const auto set = [&](napi_value object, const char* name, uint64_t n) { SetField(env, object, name, Number(env, static_cast<double>(n))); };
  set(result, "slabs", report.slabs);
  set(result, "freeSlabs", report.slabs_free);
  const napi_value classes = table("classes", report.classes.size());
  for (uint32_t i = 0; i < report.classes.size(); i++) {
    const DatabaseReport::SizeClass& from = report.classes[i];
    const napi_value to = row(classes, i);
    set(to, "size", from.size);
    set(to, "slabs", from.slabs);
    set(to, "live", from.live);
    set(to, "retired", from.retired);
    set(to, "cached", from.cached);
    set(to, "free", from.free);
    set(to, "liveBytes", from.live_bytes);
  }
  const napi_value pins = table("pins", report.pins.size());
  for (uint32_t i = 0; i < report.pins.size(); i++) {
    const DatabaseReport::Pin& from = report.pins[i];
    const napi_value to = row(pins, i);
    SetField(env, to, "kind", Text(env, from.kind));
    set(to, "pid", from.process);
    set(to, "version", from.version);
    set(to, "age", report.version - std::min(from.version, report.version));
    if (from.age_s >= 0) set(to, "seconds", static_cast<uint64_t>(from.age_s));
    set(to, "users", from.users);
    set(to, "heldBytes", from.held_bytes);
  }
  const napi_value processes = table("processes", report.processes.size());
  for (uint32_t i = 0; i < report.processes.size(); i++) {
    const DatabaseReport::Process& from = report.processes[i];
    const napi_value to = row(processes, i);
    set(to, "pid", from.process);
    set(to, "threads", from.threads);
    set(to, "pins", from.pins);
    set(to, "containers", from.containers);
  }
  return result;
}

napi_value Report(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  DatabaseReport report;
  const Status status = session->Report(&report);
  return status.ok() ? ReportRows(env, report) : Throw(call.handle(), status);
}

// [[process id, [container id...]]...]
napi_value Proxies(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  std::map<uint64_t, std::vector<uint64_t>> by_process;
  const Status status = session->Proxies(&by_process);
  if (!status.ok()) return Throw(call.handle(), status);
  napi_value result = nullptr;
  napi_create_array(env, &result);
  uint32_t at = 0;
  for (const auto& [process, ids] : by_process) {
    napi_value pair = nullptr, list = nullptr;
    napi_create_array_with_length(env, 2, &pair);
    napi_create_array_with_length(env, ids.size(), &list);
    for (uint32_t i = 0; i < ids.size(); i++) napi_set_element(env, list, i, Number(env, static_cast<double>(ids[i])));
    napi_set_element(env, pair, 0, Number(env, static_cast<double>(process)));
    napi_set_element(env, pair, 1, list);
    napi_set_element(env, result, at++, pair);
  }
  return result;
}

napi_value Names(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  std::vector<std::string> names;
  const Status status = session->Names(&names);
  if (!status.ok()) return Throw(call.handle(), status);
  napi_value result = nullptr;
  napi_create_array_with_length(env, names.size(), &result);
  for (uint32_t i = 0; i < names.size(); i++) napi_set_element(env, result, i, Text(env, names[i]));
  return result;
}

constexpr Method kMethods[] = {
    {"close", Close},       {"begin", Begin},         {"commit", Commit},   {"abort", Abort},
    {"stats", Stats},       {"snapshot", Snapshot},   {"release", ReleaseView}, {"version", Version},
    {"options", Options},   {"setMeta", SetMeta},     {"setDurability", SetDurability},
    {"syncNow", SyncNow},   {"info", Info},           {"inTransaction", InTransaction},
    {"bar", Bar},           {"report", Report},     {"proxies", Proxies},     {"names", Names},
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
