// Watchers: what has changed, as JavaScript objects, and the way from the engine's waiting thread to the event loop.
#include <memory>
#include <utility>
#include <vector>

#include "arguments.h"
#include "methods.h"
#include "results.h"

namespace pongo::node {
namespace {

// What one call of Session::Changes visits. As in results.h: captured inside the core call, released after it.
class ChangeList final : public ChangeVisitor {
 public:
  explicit ChangeList(const Handle& handle) : handle_(handle), env_(handle.env()) {}

  void OnChange(const Change& change) override {
    Item& item = items_.emplace_back();
    item.type = change.type;
    for (size_t i = 0; i < change.path_size; ++i) AddStep(change.path[i], &item);
    if (change.value != nullptr) Capture(handle_, *change.value, &item.value);
    if (change.old_copy != nullptr) {
      item.old_value.value = MakeBytes(env_, change.old_copy->data(), change.old_copy->size());
      item.old_is_copy = true;
    } else if (change.old_value != nullptr && change.old_value->type != ValueView::Type::kContainer) {
      Capture(handle_, *change.old_value, &item.old_value);
    }
    item.index = change.index;
    item.removed = change.removed;
  }

  void OnInserted(const ValueView& value) override { Capture(handle_, value, &items_.back().inserted.emplace_back()); }

  // After the core call: an array of changes. Null with an exception pending on failure.
  napi_value Release();

 private:
  struct Step {
    int64_t index = 0;
    bool is_index = false;
    size_t offset = 0;  // in keys_
    uint32_t size = 0;
    uint32_t form_size = 0;
  };
  struct Item {
    Change::Type type = Change::Type::kReset;
    std::vector<Step> path;
    Captured value;
    Captured old_value;
    bool old_is_copy = false;
    uint64_t index = 0;
    uint64_t removed = 0;
    std::vector<Captured> inserted;
  };

  void AddStep(const PathStep& from, Item* item) {
    Step& step = item->path.emplace_back();
    step.index = from.index;
    step.is_index = from.is_index;
    step.offset = keys_.size();
    step.size = from.key.size;
    step.form_size = from.key.form_size;
    if (from.key.size != 0) keys_.insert(keys_.end(), from.key.data, from.key.data + from.key.size);
    if (from.key.form_size != 0) keys_.insert(keys_.end(), from.key.form, from.key.form + from.key.form_size);
  }

  napi_value ReleasePath(const Item& item);
  napi_value ReleaseOld(Item& item);
  bool ReleaseInto(napi_value object, Item& item);

  const Handle& handle_;
  const napi_env env_;
  std::vector<Item> items_;
  std::vector<uint8_t> keys_;
};

napi_value ChangeList::ReleasePath(const Item& item) {
  napi_value path = nullptr;
  if (napi_create_array_with_length(env_, item.path.size(), &path) != napi_ok) return nullptr;
  uint32_t at = 0;
  for (const Step& step : item.path) {
    Key key;
    key.data = keys_.data() + step.offset;
    key.size = step.size;
    key.form = key.data + step.size;
    key.form_size = step.form_size;
    const napi_value made = step.is_index ? MakeInteger(env_, step.index) : MakeKey(handle_, key);
    if (made == nullptr || napi_set_element(env_, path, at++, made) != napi_ok) return nullptr;
  }
  return path;
}

napi_value ChangeList::ReleaseOld(Item& item) {
  if (!item.old_is_copy) return pongo::node::Release(handle_, 0, item.old_value);
  napi_value copy = nullptr;
  if (item.old_value.value == nullptr) return Throw(handle_, Status(Code::kVALUE, "the old value is too large for the JavaScript engine"));
  const bool done = napi_create_array_with_length(env_, 1, &copy) == napi_ok && napi_set_element(env_, copy, 0, item.old_value.value) == napi_ok;
  return done ? copy : nullptr;
}

bool ChangeList::ReleaseInto(napi_value object, Item& item) {
  constexpr const char* kTypes[] = {"set", "delete", "splice", "reset"};
  napi_value type = nullptr;
  if (!SetField(env_, object, "path", ReleasePath(item)) ||
      napi_create_string_latin1(env_, kTypes[static_cast<size_t>(item.type)], NAPI_AUTO_LENGTH, &type) != napi_ok ||
      !SetField(env_, object, "type", type)) {
    return false;
  }
  switch (item.type) {
    case Change::Type::kSet:
      return SetField(env_, object, "value", pongo::node::Release(handle_, 0, item.value)) &&
             SetField(env_, object, "oldValue", ReleaseOld(item));
    case Change::Type::kDelete:
      return SetField(env_, object, "oldValue", ReleaseOld(item));
    case Change::Type::kReset:
      return true;
    case Change::Type::kSplice:
      break;
  }
  napi_value inserted = nullptr;
  if (napi_create_array_with_length(env_, item.inserted.size(), &inserted) != napi_ok) return false;
  uint32_t at = 0;
  for (Captured& captured : item.inserted) {
    const napi_value value = pongo::node::Release(handle_, 0, captured);
    if (value == nullptr || napi_set_element(env_, inserted, at++, value) != napi_ok) return false;
  }
  return SetField(env_, object, "index", Number(env_, item.index)) &&
         SetField(env_, object, "removed", Number(env_, item.removed)) && SetField(env_, object, "inserted", inserted);
}

napi_value ChangeList::Release() {
  napi_value list = nullptr;
  if (napi_create_array_with_length(env_, items_.size(), &list) != napi_ok) return nullptr;
  uint32_t at = 0;
  for (Item& item : items_) {
    // Each change in a scope of its own: a batch can have very many.
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env_, &scope) != napi_ok) return nullptr;
    const napi_value object = Object(env_);
    const bool done = object != nullptr && ReleaseInto(object, item) && napi_set_element(env_, list, at++, object) == napi_ok;
    napi_close_handle_scope(env_, scope);
    if (!done) return nullptr;
  }
  return list;
}

napi_value Watch(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  const Handle& handle = call.handle();
  uint64_t id, since;
  napi_valuetype type = napi_undefined;
  PathArgument path;
  if (!ReadCount(handle, call[0], "id", &id) || napi_typeof(env, call[1], &type) != napi_ok ||
      (type != napi_undefined && !path.Read(handle, call[1], call[2])) || !ReadCount(handle, call[3], "since", &since)) {
    return nullptr;
  }
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  uint64_t watcher = 0;
  const Status status = session->Watch(id, path.steps(), path.count(), since, &watcher);
  return status.ok() ? Number(env, watcher) : Throw(handle, status);
}

bool ReadWatcher(const Call<1>& call, uint64_t* watcher, Session** session) {
  if (!ReadCount(call.handle(), call[0], "watcher", watcher)) return false;
  *session = Live(call.handle());
  return *session != nullptr;
}

napi_value Unwatch(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  uint64_t watcher;
  Session* session;
  if (ReadWatcher(call, &watcher, &session)) session->Unwatch(watcher);
  return nullptr;
}

napi_value Changes(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  uint64_t watcher;
  Session* session;
  if (!ReadWatcher(call, &watcher, &session)) return nullptr;
  ChangeList list(handle);
  const Status status = session->Changes(watcher, &list);
  return status.ok() ? list.Release() : Throw(handle, status);
}

napi_value ArmChanges(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  uint64_t watcher;
  Session* session;
  if (!ReadWatcher(call, &watcher, &session)) return nullptr;
  bool changed = false;
  Listener* listener = call.handle().listener();
  if (listener == nullptr) return Throw(call.handle(), Status(Code::kARG, "nobody listens"));
  const Status status = session->ArmChanges(watcher, Listener::Notify, listener, &changed);
  return status.ok() ? Boolean(env, changed) : Throw(call.handle(), status);
}

napi_value Listen(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env, call[0], &type) != napi_ok) return nullptr;
  std::shared_ptr<Listener> listener;
  if (type == napi_function) {
    listener = Listener::Create(env, call[0]);
    if (listener == nullptr) return Throw(call.handle(), Status(Code::kIO, "the event loop takes no more listeners"));
  }
  call.handle().SetListener(std::move(listener));
  return nullptr;
}

napi_value HoldLoop(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  bool hold = false;
  napi_get_value_bool(env, call[0], &hold);
  if (call.handle().listener() != nullptr) call.handle().listener()->HoldLoop(env, hold);
  return nullptr;
}

constexpr Method kMethods[] = {
    {"watch", Watch},   {"unwatch", Unwatch},   {"changes", Changes},
    {"listen", Listen}, {"holdLoop", HoldLoop}, {"armChanges", ArmChanges},
};

}  // namespace

std::span<const Method> FeedMethods() { return kMethods; }

}  // namespace pongo::node
