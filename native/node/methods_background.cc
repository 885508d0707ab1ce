// sync, verify and gc: they block, so they run on the thread pool and answer with a promise.
//
// A Work shares the Handle and, through Handle::BeginWork, keeps its session open and its hooks alive: close() in the
// meantime only takes the session out of use. Execute runs on a pool thread and calls nothing but the session's
// thread-safe methods; everything else happens on the thread of the environment. An environment that ends waits for
// work under way and still calls Complete, but then JavaScript cannot run: every call may fail, and none of its results
// is relied upon.
#include <memory>
#include <string>

#include "arguments.h"
#include "methods.h"

namespace pongo::node {
namespace {

enum class Task : uint8_t { kSync, kVerify, kGc };

struct Work {
  std::shared_ptr<Handle> handle;
  Session* session = nullptr;  // stays open until EndWork
  napi_ref anchor = nullptr;
  napi_deferred deferred = nullptr;
  napi_async_work job = nullptr;
  Task task = Task::kSync;
  bool option = false;         // kGc: complete; kSync: rewrite
  Status status;
  std::string problem;         // of kVerify
  Counts before, after;        // kVerify uses `after`
};

void Execute(napi_env, void* data) {
  auto* work = static_cast<Work*>(data);
  switch (work->task) {
    case Task::kSync:
      work->status = work->session->Sync(work->option);
      break;
    case Task::kVerify:
      work->status = work->session->Verify(&work->after, &work->problem);
      break;
    case Task::kGc:
      work->status = work->session->Gc(work->option, &work->before, &work->after);
      break;
  }
}

// `walked`: everything was read, so that what is in it was counted too.
napi_value CountsObject(napi_env env, const Counts& counts, bool walked) {
  const napi_value object = Object(env);
  const auto set = [env, object](const char* name, uint64_t n) { SetField(env, object, name, Number(env, n)); };
  set("count", counts.live);  // what the original reported: allocations and their bytes
  set("bytes", counts.live_bytes);
  set("containers", counts.containers);
  if (walked) {
    set("nodes", counts.nodes);
    set("values", counts.values);
    set("blobs", counts.blobs);
  }
  set("live", counts.live);
  set("retired", counts.retired);
  set("retiredBytes", counts.retired_bytes);
  set("cached", counts.cached);
  set("free", counts.free);
  set("freeBytes", counts.free_bytes);
  set("orphans", counts.orphans);
  return object;
}

napi_value ResultOf(napi_env env, const Work& work) {
  switch (work.task) {
    case Task::kSync:
      break;
    case Task::kVerify:
      return CountsObject(env, work.after, true);
    case Task::kGc: {
      const napi_value result = Object(env);
      SetField(env, result, "before", CountsObject(env, work.before, false));
      SetField(env, result, "after", CountsObject(env, work.after, false));
      napi_value skipped = nullptr;
      napi_get_boolean(env, work.after.skipped, &skipped);
      SetField(env, result, "skipped", skipped);
      return result;
    }
  }
  return Undefined(env);
}

void Complete(napi_env env, napi_status outcome, void* data) {
  const std::unique_ptr<Work> work(static_cast<Work*>(data));
  if (outcome != napi_ok) work->status = Status(Code::kCLOSED, "the JavaScript environment is ending");
  // The hooks are alive until EndWork; a session that was closed meanwhile is closed by it, before the caller hears of
  // us.
  napi_value error = nullptr;
  if (!work->status.ok()) error = ErrorOf(*work->handle, work->status, work->problem);
  work->handle->EndWork(work->anchor);
  if (work->status.ok()) {
    const napi_value result = ResultOf(env, *work);
    if (result != nullptr) napi_resolve_deferred(env, work->deferred, result);
  } else if (error != nullptr) {
    napi_reject_deferred(env, work->deferred, error);
  }
  napi_delete_async_work(env, work->job);
}

napi_value Start(napi_env env, Handle& handle, Task task, bool option) {
  auto work = std::make_unique<Work>();
  napi_value promise = nullptr, name = nullptr;
  if (napi_create_promise(env, &work->deferred, &promise) != napi_ok) return nullptr;
  Status status(Code::kCLOSED, "the database is closed");
  if (handle.session() != nullptr) status = handle.BeginWork(&work->anchor);
  if (!status.ok()) {
    const napi_value error = ErrorOf(handle, status, {});
    if (error != nullptr) napi_reject_deferred(env, work->deferred, error);
    return promise;
  }
  work->handle = handle.shared_from_this();
  work->session = handle.session();
  work->task = task;
  work->option = option;
  if (napi_create_string_utf8(env, "pongodb", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(env, nullptr, name, Execute, Complete, work.get(), &work->job) == napi_ok) {
    if (napi_queue_async_work(env, work->job) == napi_ok) {
      static_cast<void>(work.release());  // Complete takes it over
      return promise;
    }
    napi_delete_async_work(env, work->job);
  }
  handle.EndWork(work->anchor);
  const napi_value error = ErrorOf(handle, Status(Code::kIO, "the work could not be handed to the thread pool"), {});
  if (error != nullptr) napi_reject_deferred(env, work->deferred, error);
  return promise;
}

napi_value Sync(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  bool rewrite = false;
  napi_get_value_bool(env, call[0], &rewrite);
  return Start(env, call.handle(), Task::kSync, rewrite);
}

napi_value Verify(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return Start(env, call.handle(), Task::kVerify, false);
}

napi_value Gc(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  bool complete = false;
  napi_get_value_bool(env, call[0], &complete);
  return Start(env, call.handle(), Task::kGc, complete);
}

constexpr Method kMethods[] = {{"sync", Sync}, {"verify", Verify}, {"gc", Gc}};

}  // namespace

napi_value ErrorOf(const Handle& handle, const Status& status, std::string_view detail) {
  napi_value error = MakeError(handle.env(), handle.hook(Hook::kError), status.code(), Message(status, detail));
  if (error == nullptr) napi_get_and_clear_last_exception(handle.env(), &error);  // the hook threw: reject with that
  return error;
}

std::span<const Method> BackgroundMethods() { return kMethods; }

}  // namespace pongo::node
