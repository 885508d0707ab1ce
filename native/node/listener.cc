#include "listener.h"

namespace pongo::node {
namespace {

using Owner = std::shared_ptr<Listener>;

}  // namespace

std::shared_ptr<Listener> Listener::Create(napi_env env, napi_value callback) {
  auto listener = std::make_shared<Listener>();
  auto* owner = new Owner(listener);
  napi_value name = nullptr;
  if (napi_create_string_utf8(env, "pongodb.watch", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, callback, nullptr, name, 0, 1, owner, Finalize, listener.get(), Call,
                                      &listener->function_) != napi_ok) {
    delete owner;
    return nullptr;
  }
  return listener;
}

void Listener::Finalize(napi_env, void* data, void*) {
  auto* owner = static_cast<Owner*>(data);
  {
    const std::lock_guard<std::mutex> lock((*owner)->mutex_);
    (*owner)->function_ = nullptr;  // the engine frees it after this
  }
  delete owner;
}

void Listener::Notify(void* context, uint64_t watcher) {
  auto* listener = static_cast<Listener*>(context);
  const std::lock_guard<std::mutex> lock(listener->mutex_);
  if (listener->function_ == nullptr) return;
  const napi_status status = napi_call_threadsafe_function(
      listener->function_, reinterpret_cast<void*>(static_cast<uintptr_t>(watcher)), napi_tsfn_nonblocking);
  // The environment is ending. The answer has taken our share of the function away: it may be freed from now on.
  if (status == napi_closing) listener->function_ = nullptr;
}

void Listener::Call(napi_env env, napi_value callback, void* context, void* data) {
  if (env == nullptr || callback == nullptr || static_cast<Listener*>(context)->stopped_) return;
  napi_value receiver, number, result, error;
  if (napi_get_undefined(env, &receiver) != napi_ok ||
      napi_create_double(env, static_cast<double>(reinterpret_cast<uintptr_t>(data)), &number) != napi_ok) {
    return;
  }
  if (napi_call_function(env, receiver, callback, 1, &number, &result) != napi_pending_exception) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

void Listener::Stop() {
  stopped_ = true;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (function_ == nullptr) return;
  napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

void Listener::HoldLoop(napi_env env, bool hold) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (function_ == nullptr) return;
  if (hold)
    napi_ref_threadsafe_function(env, function_);
  else
    napi_unref_threadsafe_function(env, function_);
}

}  // namespace pongo::node
