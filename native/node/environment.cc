#include "environment.h"

#include "handle.h"

namespace pongo::node {
namespace {

using Owner = std::shared_ptr<Environment>;

void DeleteOwner(napi_env, void* data, void*) { delete static_cast<Owner*>(data); }

}  // namespace

bool Environment::Attach(napi_env env) {
  auto* owner = new Owner(std::make_shared<Environment>());
  if (napi_set_instance_data(env, owner, DeleteOwner, nullptr) != napi_ok) {
    delete owner;
    return false;
  }
  // Hooks run before instance data is finalized, so the pointer is good when AtExit is called.
  return napi_add_env_cleanup_hook(env, AtExit, owner->get()) == napi_ok;
}

std::shared_ptr<Environment> Environment::Of(napi_env env) {
  void* data = nullptr;
  if (napi_get_instance_data(env, &data) != napi_ok || data == nullptr) return nullptr;
  return *static_cast<Owner*>(data);
}

void Environment::AtExit(void* data) {
  auto* environment = static_cast<Environment*>(data);
  // Closing removes the handle from the set.
  while (!environment->handles_.empty()) {
    Handle* handle = *environment->handles_.begin();
    // There is nobody left to tell of a failure; the next opener of the file recovers.
    static_cast<void>(handle->Close());
    environment->handles_.erase(handle);
  }
}

}  // namespace pongo::node
