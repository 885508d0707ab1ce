#include "handle.h"

#include <span>
#include <utility>

#include "errors.h"
#include "methods.h"

namespace pongo::node {
namespace {

using Owner = std::shared_ptr<Handle>;

void DeleteOwner(napi_env, void* data, void*) { delete static_cast<Owner*>(data); }

// Whether JavaScript can no longer run here: the worker is being terminated, or its process ends. An operation that could call into
// JavaScript fails then, whatever it is.
bool IsStopping(void* context) {
  const auto env = static_cast<napi_env>(context);
  napi_value undefined = nullptr;
  bool same = false;
  return napi_get_undefined(env, &undefined) != napi_ok || napi_strict_equals(env, undefined, undefined, &same) != napi_ok;
}

constexpr const char* kHookNames[kHookCount] = {"error", "container", "uuid"};

}  // namespace

Handle::Handle(napi_env env, std::shared_ptr<Environment> environment, std::unique_ptr<Session> session)
    : env_(env), environment_(std::move(environment)), session_(std::move(session)) {
  environment_->Add(this);
  WaitHooks hooks;
  hooks.interrupted = IsStopping;
  hooks.context = env_;
  session_->SetWaitHooks(hooks);
}

// No background work is under way: it would share this object.
Handle::~Handle() {
  static_cast<void>(Close());
  environment_->Remove(this);
  for (napi_ref reference : hooks_) {
    if (reference != nullptr) napi_delete_reference(env_, reference);
  }
  if (anchor_ != nullptr) napi_delete_reference(env_, anchor_);
}

napi_value Handle::Create(napi_env env, std::unique_ptr<Session> session, const napi_value hooks[kHookCount],
                          napi_value numbers) {
  auto handle = std::make_shared<Handle>(env, Environment::Of(env), std::move(session));
  napi_value object = nullptr;
  if (napi_create_object(env, &object) == napi_ok && handle->Bind(object, hooks, numbers)) return object;
  static_cast<void>(handle->Close());
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) {
    napi_throw_error(env, nullptr, "the JavaScript engine refused to create the database handle");
  }
  return nullptr;
}

bool Handle::Bind(napi_value object, const napi_value hooks[kHookCount], napi_value numbers) {
  napi_value anchor, description, symbol, root;
  if (napi_create_object(env_, &anchor) != napi_ok) return false;
  for (size_t i = 0; i < kHookCount; ++i) {
    if (napi_set_named_property(env_, anchor, kHookNames[i], hooks[i]) != napi_ok) return false;
    if (napi_create_reference(env_, hooks[i], 0, &hooks_[i]) != napi_ok) return false;
  }
  void* data = nullptr;
  size_t length = 0;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env_, numbers, &type, &length, &data, nullptr, nullptr) != napi_ok || type != napi_float64_array ||
      length < kRecordNumbersMax || napi_set_named_property(env_, anchor, "numbers", numbers) != napi_ok) {
    return false;
  }
  record_numbers_ = static_cast<double*>(data);
  if (napi_create_reference(env_, anchor, 0, &anchor_) != napi_ok) return false;
  auto* owner = new Owner(shared_from_this());
  if (napi_add_finalizer(env_, anchor, owner, DeleteOwner, nullptr, nullptr) != napi_ok) {
    delete owner;
    return false;
  }
  if (napi_create_string_utf8(env_, "pongodb.handle", NAPI_AUTO_LENGTH, &description) != napi_ok ||
      napi_create_symbol(env_, description, &symbol) != napi_ok) {
    return false;
  }
  const napi_property_descriptor keep = {nullptr, symbol, nullptr, nullptr, nullptr, anchor, napi_default, nullptr};
  for (const std::span<const Method> methods :
       {KeyedMethods(), PathMethods(), ContainerMethods(), ListMethods(), DatabaseMethods(), ExpiryMethods(), BoundsMethods(),
        BackgroundMethods(), BackupMethods(), CoordinationMethods(), FeedMethods()}) {
    for (const Method& method : methods) {
      napi_value function;
      if (napi_create_function(env_, method.name, NAPI_AUTO_LENGTH, method.callback, this, &function) != napi_ok ||
          napi_define_properties(env_, function, 1, &keep) != napi_ok ||
          napi_set_named_property(env_, object, method.name, function) != napi_ok) {
        return false;
      }
    }
  }
  return napi_create_double(env_, static_cast<double>(kRootId), &root) == napi_ok &&
         napi_set_named_property(env_, object, "rootId", root) == napi_ok;
}

napi_value Handle::hook(Hook hook) const {
  napi_value function = nullptr;
  napi_get_reference_value(env_, hooks_[static_cast<size_t>(hook)], &function);
  return function;
}

void Handle::SetListener(std::shared_ptr<Listener> listener) {
  if (listener_ != nullptr) listener_->Stop();
  // The one before may still be the context of an entry that is armed: JavaScript replaces it when there is none.
  listener_ = std::move(listener);
}

Status Handle::Close() {
  if (listener_ != nullptr) listener_->Stop();
  if (session_ != nullptr) {
    session_->ReleaseLocks();
    lock_notifier_.reset();  // nobody tells it anything any more
    closing_ = std::move(session_);
  }
  return CloseSession();
}

Status Handle::CloseSession() {
  if (closing_ == nullptr || works_ > 0) return Status::Ok();
  const std::unique_ptr<Session> session = std::move(closing_);
  environment_->Remove(this);
  return session->Close();
}

Status Handle::BeginWork(napi_ref* anchor) {
  napi_value object = nullptr;
  if (napi_get_reference_value(env_, anchor_, &object) != napi_ok || object == nullptr ||
      napi_create_reference(env_, object, 1, anchor) != napi_ok) {
    return Status(Code::kCLOSED, "the JavaScript environment is ending");
  }
  ++works_;
  return Status::Ok();
}

void Handle::EndWork(napi_ref anchor) {
  napi_delete_reference(env_, anchor);
  if (works_ > 0) --works_;
  // A close() that could not wait has already returned: its failure has no one to go to.
  static_cast<void>(CloseSession());
}

}  // namespace pongo::node
