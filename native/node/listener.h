// Tells the event loop of one environment that watchers have news. The thread that waits for commits calls it.
//
// A thread-safe function with a lock around it, because either side may end it: the handle when the last watcher is gone or
// it is closed, the engine when its environment ends (a worker is terminated). Nobody touches the function after `function_`
// is null; a call under way holds the mutex, and the engine's finalizer waits for it.
#ifndef PONGO_NODE_LISTENER_H_
#define PONGO_NODE_LISTENER_H_

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <mutex>

namespace pongo::node {

class Listener {
 public:
  // `callback` is called with the number of a watcher. Null with an exception pending on failure.
  static std::shared_ptr<Listener> Create(napi_env env, napi_value callback);

  // Any thread: ChangeNotify with the Listener as context. Never waits.
  static void Notify(void* context, uint64_t watcher);
  // The environment's thread. After Stop the callback is not called any more.
  void Stop();
  void HoldLoop(napi_env env, bool hold);

 private:
  static void Call(napi_env env, napi_value callback, void* context, void* data);
  static void Finalize(napi_env env, void* data, void* hint);

  std::mutex mutex_;
  napi_threadsafe_function function_ = nullptr;
  bool stopped_ = false;  // environment's thread: calls that were queued before come to nothing
};

}  // namespace pongo::node

#endif  // PONGO_NODE_LISTENER_H_
