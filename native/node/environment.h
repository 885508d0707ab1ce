// What one loading of the addon owns: the open handles of one JavaScript environment (the main thread or a worker).
//
// Created when the module is initialised and kept as instance data; an environment that loads the addon twice has two.
// All members are used by the thread of the environment only. When the environment ends, its cleanup hook closes every
// session that is still open; process.exit() may skip it, or a kill, and then the other processes clean up as after a
// crash. Handles share the ownership, because at the end of an environment finalizers run in an order of their own.
#ifndef PONGO_NODE_ENVIRONMENT_H_
#define PONGO_NODE_ENVIRONMENT_H_

#include <node_api.h>

#include <memory>
#include <unordered_set>

namespace pongo::node {

class Handle;

class Environment {
 public:
  // Makes the state of `env` and registers its cleanup; false with an exception pending when that failed.
  static bool Attach(napi_env env);
  static std::shared_ptr<Environment> Of(napi_env env);

  void Add(Handle* handle) { handles_.insert(handle); }
  void Remove(Handle* handle) { handles_.erase(handle); }

 private:
  static void AtExit(void* data);
  std::unordered_set<Handle*> handles_;
};

}  // namespace pongo::node

#endif  // PONGO_NODE_ENVIRONMENT_H_
