// Backups. Copying and publishing run on the thread pool, as in methods_background.cc; the object that they work on is kept by
// the Handle between the calls, by the number of the view that it has pinned.
#include <memory>
#include <string>
#include <utility>

#include "arguments.h"
#include "methods.h"
#include "results.h"

namespace pongo::node {
namespace {

enum class Step : uint8_t { kCopy, kPublish };

struct Work {
  std::shared_ptr<Handle> handle;
  std::shared_ptr<Backup> backup;
  Session* session = nullptr;  // of kCopy: stays open until EndWork
  uint64_t view = 0;           // of kCopy
  napi_ref anchor = nullptr;
  napi_deferred deferred = nullptr;
  napi_async_work job = nullptr;
  Step step = Step::kCopy;
  Status status;
};

void Execute(napi_env, void* data) {
  auto* work = static_cast<Work*>(data);
  work->status = work->step == Step::kCopy ? work->backup->Copy() : work->backup->Publish();
}

napi_value ResultOf(napi_env env, const Work& work) {
  if (work.step == Step::kPublish) return Undefined(env);
  const napi_value result = Object(env);
  const BackupProgress& progress = work.backup->progress();
  const auto set = [&](const char* name, uint64_t n) { SetField(env, result, name, Number(env, static_cast<double>(n))); };
  set("bytes", progress.bytes_done.load(std::memory_order_relaxed));
  set("containers", progress.containers_done.load(std::memory_order_relaxed));
  set("version", work.backup->version());
  return result;
}

void Complete(napi_env env, napi_status outcome, void* data) {
  const std::unique_ptr<Work> work(static_cast<Work*>(data));
  if (outcome != napi_ok) work->status = Status(Code::kCLOSED, "the JavaScript environment is ending");
  napi_value error = nullptr;
  if (!work->status.ok()) error = ErrorOf(*work->handle, work->status, work->backup->target());
  if (work->step == Step::kCopy) static_cast<void>(work->session->Release(work->view));  // closed: nothing to release
  work->handle->EndWork(work->anchor);
  if (work->status.ok()) {
    const napi_value result = ResultOf(env, *work);
    if (result != nullptr) napi_resolve_deferred(env, work->deferred, result);
  } else if (error != nullptr) {
    napi_reject_deferred(env, work->deferred, error);
  }
  napi_delete_async_work(env, work->job);
}

// The promise, or null with an exception pending or the environment ending; the work has not begun then.
napi_value Queue(napi_env env, std::unique_ptr<Work> work) {
  napi_value promise = nullptr, name = nullptr;
  if (napi_create_promise(env, &work->deferred, &promise) != napi_ok) return nullptr;
  Status status = work->handle->BeginWork(&work->anchor);
  if (status.ok()) {
    if (napi_create_string_utf8(env, "pongodb.backup", NAPI_AUTO_LENGTH, &name) == napi_ok &&
        napi_create_async_work(env, nullptr, name, Execute, Complete, work.get(), &work->job) == napi_ok) {
      if (napi_queue_async_work(env, work->job) == napi_ok) {
        static_cast<void>(work.release());  // Complete takes it over
        return promise;
      }
      napi_delete_async_work(env, work->job);
    }
    work->handle->EndWork(work->anchor);
    status = Status(Code::kIO, "the work could not be handed to the thread pool");
  }
  const napi_value error = ErrorOf(*work->handle, status, {});
  if (error != nullptr) napi_reject_deferred(env, work->deferred, error);
  return promise;
}

// The backup of a token; null with ARG pending when there is none.
std::shared_ptr<Backup> Find(Handle& handle, napi_value token) {
  uint64_t number;
  if (!ReadCount(handle, token, "token", &number)) return nullptr;
  const auto found = handle.backups().find(number);
  if (found != handle.backups().end()) return found->second;
  Throw(handle, Status(Code::kARG, "there is no such backup"));
  return nullptr;
}

napi_value Start(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  Handle& handle = call.handle();
  uint64_t view;
  StringArgument path;
  if (!ReadCount(handle, call[0], "view", &view) || !path.Read(handle, call[1], "path")) return nullptr;
  bool overwrite = false;
  napi_get_value_bool(env, call[2], &overwrite);
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  auto work = std::make_unique<Work>();
  std::unique_ptr<Backup> backup;
  const Status status = session->StartBackup(view, path.ToString(), overwrite, &work->view, &backup);
  if (!status.ok()) return Throw(handle, status);
  const uint64_t token = work->view;
  work->handle = handle.shared_from_this();
  work->backup = std::move(backup);
  work->session = session;
  handle.backups()[token] = work->backup;
  const napi_value promise = Queue(env, std::move(work));
  napi_value result = nullptr;
  if (promise == nullptr || napi_create_array_with_length(env, 2, &result) != napi_ok) return nullptr;
  napi_set_element(env, result, 0, Number(env, static_cast<double>(token)));
  napi_set_element(env, result, 1, promise);
  return result;
}

napi_value Publish(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  auto work = std::make_unique<Work>();
  work->backup = Find(call.handle(), call[0]);
  if (work->backup == nullptr) return nullptr;
  work->handle = call.handle().shared_from_this();
  work->step = Step::kPublish;
  return Queue(env, std::move(work));
}

napi_value Progress(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const std::shared_ptr<Backup> backup = Find(call.handle(), call[0]);
  napi_value result = nullptr;
  if (backup == nullptr || napi_create_array_with_length(env, 4, &result) != napi_ok) return nullptr;
  const BackupProgress& progress = backup->progress();
  uint32_t index = 0;
  for (const auto* counter : {&progress.bytes_done, &progress.bytes_total, &progress.containers_done, &progress.containers_total})
    napi_set_element(env, result, index++, Number(env, static_cast<double>(counter->load(std::memory_order_relaxed))));
  return result;
}

napi_value Cancel(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const std::shared_ptr<Backup> backup = Find(call.handle(), call[0]);
  if (backup != nullptr) backup->Cancel();
  return nullptr;
}

napi_value End(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  uint64_t token;
  if (!ReadCount(call.handle(), call[0], "token", &token)) return nullptr;
  const auto found = call.handle().backups().find(token);
  if (found == call.handle().backups().end()) return nullptr;
  found->second->Cancel();
  call.handle().backups().erase(found);  // a copy under way ends soon and takes its file with it
  return nullptr;
}

constexpr Method kMethods[] = {{"backup", Start}, {"backupProgress", Progress}, {"backupCancel", Cancel},
                               {"backupPublish", Publish}, {"backupEnd", End}};

}  // namespace

std::span<const Method> BackupMethods() { return kMethods; }

}  // namespace pongo::node
