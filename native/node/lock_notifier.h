// Brings what becomes of lock requests from the engine's waiting thread to JavaScript.
//
// Made, referenced and closed on the thread of the environment; OnLock comes from the waiting thread. After Close() the session
// must not tell it anything any more: release its locks first. At the end of an environment Node closes the function by itself,
// perhaps before us; from the first call that says so it is not touched again.
#ifndef PONGO_NODE_LOCK_NOTIFIER_H_
#define PONGO_NODE_LOCK_NOTIFIER_H_

#include <node_api.h>

#include <atomic>
#include <memory>

#include "database.h"

namespace pongo::node {

class LockNotifier final : public LockListener {
 public:
  // `callback` is called as callback(id, outcome). Null with an exception pending on failure.
  static std::unique_ptr<LockNotifier> Make(napi_env env, napi_value callback);
  ~LockNotifier() { Close(); }
  LockNotifier(const LockNotifier&) = delete;
  LockNotifier& operator=(const LockNotifier&) = delete;

  void OnLock(uint64_t id, LockOutcome outcome) override;
  // Whether the environment is kept running for what is still to come.
  void KeepAlive(bool keep);
  void Close();

 private:
  explicit LockNotifier(napi_env env) : env_(env) {}
  static void Call(napi_env env, napi_value callback, void* context, void* data);

  napi_env env_;
  napi_threadsafe_function function_ = nullptr;
  std::atomic<bool> gone_{false};
};

}  // namespace pongo::node

#endif  // PONGO_NODE_LOCK_NOTIFIER_H_
