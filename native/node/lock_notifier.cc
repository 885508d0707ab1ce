#include "lock_notifier.h"

namespace pongo::node {
namespace {

// Id and outcome in one pointer.
void* Pack(uint64_t id, LockOutcome outcome) {
  return reinterpret_cast<void*>(static_cast<uintptr_t>(id << 2 | static_cast<uint64_t>(outcome)));
}

}  // namespace

std::unique_ptr<LockNotifier> LockNotifier::Make(napi_env env, napi_value callback) {
  std::unique_ptr<LockNotifier> notifier(new LockNotifier(env));
  napi_value name = nullptr;
  if (napi_create_string_utf8(env, "pongodb.locks", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, callback, nullptr, name, 0, 1, nullptr, nullptr, nullptr, Call, &notifier->function_) !=
          napi_ok) {
    bool pending = false;
    if (napi_is_exception_pending(env, &pending) == napi_ok && !pending)
      napi_throw_error(env, nullptr, "the JavaScript engine refused to make a function for other threads");
    return nullptr;
  }
  notifier->KeepAlive(false);
  return notifier;
}

void LockNotifier::OnLock(uint64_t id, LockOutcome outcome) {
  if (gone_.load(std::memory_order_relaxed)) return;
  // The queue has no bound: at most one entry for each request and one more for a stolen lock.
  if (napi_call_threadsafe_function(function_, Pack(id, outcome), napi_tsfn_nonblocking) == napi_closing)
    gone_.store(true, std::memory_order_relaxed);
}

void LockNotifier::KeepAlive(bool keep) {
  if (function_ == nullptr || gone_.load(std::memory_order_relaxed)) return;
  if (keep)
    napi_ref_threadsafe_function(env_, function_);
  else
    napi_unref_threadsafe_function(env_, function_);
}

void LockNotifier::Close() {
  if (function_ != nullptr && !gone_.exchange(true)) napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

// On the thread of the environment; without one when the function is being closed.
void LockNotifier::Call(napi_env env, napi_value callback, void*, void* data) {
  if (env == nullptr || callback == nullptr) return;
  const auto packed = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(data));
  napi_value undefined = nullptr, result = nullptr;
  napi_value arguments[2] = {};
  napi_get_undefined(env, &undefined);
  napi_create_double(env, static_cast<double>(packed >> 2), &arguments[0]);
  napi_create_double(env, static_cast<double>(packed & 3), &arguments[1]);
  // The callback does not throw; in an environment that is ending every call may fail.
  static_cast<void>(napi_call_function(env, undefined, callback, 2, arguments, &result));
}

}  // namespace pongo::node
