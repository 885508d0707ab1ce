// Locks, semaphores and events between processes.
#include <cmath>
#include <string>
#include <vector>

#include "arguments.h"
#include "lock_notifier.h"
#include "methods.h"

namespace pongo::node {
namespace {

enum Flags : uint32_t { kIfAvailable = 1, kSteal = 2, kUntilLost = 4 };

// The name of a lock: any JavaScript string, lone surrogates too, as UTF-8 with surrogates encoded like other code points. Cut
// when it is too long for the engine, which then refuses it.
bool ReadName(const Handle& handle, napi_value value, std::string* name) {
  char16_t units[kLockNameMax + 2];
  size_t count = 0;
  if (napi_get_value_string_utf16(handle.env(), value, units, kLockNameMax + 2, &count) != napi_ok) {
    Throw(handle, Status(Code::kARG, "the name must be a string"));
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    uint32_t point = units[i];
    if ((point & 0xfc00) == 0xd800 && i + 1 < count && (units[i + 1] & 0xfc00) == 0xdc00)
      point = 0x10000 + ((point & 0x3ff) << 10) + (units[++i] & 0x3ffu);
    if (point < 0x80) {
      name->push_back(static_cast<char>(point));
      continue;
    }
    const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    constexpr uint32_t kLead[] = {0, 0xc0, 0xe0, 0xf0};
    name->push_back(static_cast<char>(kLead[more] | (point >> (6 * more))));
    for (int shift = 6 * (more - 1); shift >= 0; shift -= 6) name->push_back(static_cast<char>(0x80 | ((point >> shift) & 0x3f)));
  }
  return true;
}

// Back again. What another program has stored need not be well-formed: then as far as it is.
napi_value MakeName(napi_env env, const std::string& name) {
  std::u16string units;
  for (size_t i = 0; i < name.size();) {
    const auto lead = static_cast<uint8_t>(name[i]);
    const size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (i + more >= name.size()) break;
    uint32_t point = more == 0 ? lead : lead & (0x3fu >> more);
    for (size_t j = 1; j <= more; j++) point = point << 6 | (static_cast<uint8_t>(name[i + j]) & 0x3fu);
    i += more + 1;
    if (point >= 0x10000) {
      units.push_back(static_cast<char16_t>(0xd800 + (((point - 0x10000) >> 10) & 0x3ff)));
      units.push_back(static_cast<char16_t>(0xdc00 + (point & 0x3ff)));
    } else {
      units.push_back(static_cast<char16_t>(point));
    }
  }
  napi_value value = nullptr;
  napi_create_string_utf16(env, units.data(), units.size(), &value);
  return value;
}

// The arguments that all requests begin with: kind, shared, permits, name, and the time limit in milliseconds.
struct WishArgument {
  LockWish wish;
  uint64_t timeout_ns = 0;
  std::string name;

  bool Read(const Handle& handle, const Call<6>& call) {
    uint32_t kind = 0;
    bool shared = false;
    double milliseconds = 0;
    napi_get_value_uint32(handle.env(), call[0], &kind);
    napi_get_value_bool(handle.env(), call[1], &shared);
    napi_get_value_uint32(handle.env(), call[2], &wish.permits);
    if (!ReadName(handle, call[3], &name)) return false;
    napi_get_value_double(handle.env(), call[4], &milliseconds);
    wish.kind = static_cast<LockKind>(kind);
    wish.mode = shared ? LockMode::kShared : LockMode::kExclusive;
    wish.name = name;
    timeout_ns = milliseconds >= 0 && milliseconds < 1e12 ? static_cast<uint64_t>(std::ceil(milliseconds * 1e6)) : port::kForever;
    return true;
  }
};

// Blocks. The id of the hold; 0 when it is not available and that was asked for.
napi_value LockAcquire(napi_env env, napi_callback_info info) {
  const Call<6> call(env, info);
  const Handle& handle = call.handle();
  WishArgument argument;
  bool if_available = false;
  if (!argument.Read(handle, call)) return nullptr;
  napi_get_value_bool(env, call[5], &if_available);
  argument.wish.if_available = if_available;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  uint64_t id;
  const Status status = session->Acquire(argument.wish, argument.timeout_ns, &id);
  return status.ok() ? Number(env, id) : Throw(handle, status);
}

// Does not block. The id of the hold, or minus the id of what is waiting, or 0 when it is not available.
napi_value LockRequest(napi_env env, napi_callback_info info) {
  const Call<6> call(env, info);
  const Handle& handle = call.handle();
  WishArgument argument;
  uint32_t flags = 0;
  if (!argument.Read(handle, call)) return nullptr;
  napi_get_value_uint32(env, call[5], &flags);
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  argument.wish.if_available = (flags & kIfAvailable) != 0;
  argument.wish.steal = (flags & kSteal) != 0;
  argument.wish.client = session->lock_client();
  uint64_t id = 0;
  bool granted = false;
  const Status status = handle.lock_notifier() == nullptr
                            ? Status(Code::kARG, "lockListen() comes before lockRequest()")
                            : session->AcquireLater(argument.wish, argument.timeout_ns, handle.lock_notifier(),
                                                    (flags & kUntilLost) != 0, &id, &granted);
  if (!status.ok()) return Throw(handle, status);
  return Number(env, granted ? static_cast<double>(id) : -static_cast<double>(id));
}

napi_value LockListen(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  if (Live(call.handle()) != nullptr && call.handle().lock_notifier() == nullptr)
    call.handle().set_lock_notifier(LockNotifier::Make(env, call[0]));
  return nullptr;
}

napi_value LockKeepAlive(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  bool keep = false;
  napi_get_value_bool(env, call[0], &keep);
  if (call.handle().lock_notifier() != nullptr) call.handle().lock_notifier()->KeepAlive(keep);
  return nullptr;
}

napi_value LockAttach(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  std::string name;
  if (!ReadName(handle, call[0], &name)) return nullptr;
  LockWish wish;
  wish.kind = LockKind::kSemaphore;
  wish.name = name;
  napi_get_value_uint32(env, call[1], &wish.permits);
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  uint64_t id;
  const Status status = session->AttachSemaphore(wish, &id);
  return status.ok() ? Number(env, id) : Throw(handle, status);
}

// Nothing when the handle is closed: that gave everything back.
napi_value LockRelease(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  double id = 0;
  napi_get_value_double(env, call[0], &id);
  if (handle.session() == nullptr) return nullptr;
  const Status status = handle.session()->ReleaseLock(static_cast<uint64_t>(id));
  return status.ok() ? nullptr : Throw(handle, status);
}

napi_value LockQuery(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  Session* session = Live(call.handle());
  if (session == nullptr) return nullptr;
  std::vector<LockReport> reports;
  const Status status = session->QueryLocks(&reports);
  if (!status.ok()) return Throw(call.handle(), status);
  napi_value list = nullptr;
  if (napi_create_array(env, &list) != napi_ok) return nullptr;
  uint32_t next = 0;
  for (const LockReport& report : reports) {
    char client[20];
    snprintf(client, sizeof client, "%016llx", static_cast<unsigned long long>(report.client));
    napi_value text = nullptr;
    napi_create_string_utf8(env, client, NAPI_AUTO_LENGTH, &text);
    for (const napi_value value :
         {MakeName(env, report.name), Boolean(env, report.mode == LockMode::kShared), text, Boolean(env, report.held)}) {
      if (value == nullptr || napi_set_element(env, list, next++, value) != napi_ok) return nullptr;
    }
  }
  return list;
}

napi_value EventSet(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const Handle& handle = call.handle();
  std::string name;
  bool set = false;
  if (!ReadName(handle, call[0], &name)) return nullptr;
  napi_get_value_bool(env, call[1], &set);
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  const Status status = session->SetEvent(name, set);
  return status.ok() ? nullptr : Throw(handle, status);
}

napi_value EventIsSet(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Handle& handle = call.handle();
  std::string name;
  if (!ReadName(handle, call[0], &name)) return nullptr;
  Session* session = Live(handle);
  if (session == nullptr) return nullptr;
  bool set = false;
  const Status status = session->EventIsSet(name, &set);
  return status.ok() ? Boolean(env, set) : Throw(handle, status);
}

constexpr Method kMethods[] = {
    {"lockAcquire", LockAcquire}, {"lockRequest", LockRequest},     {"lockListen", LockListen},
    {"lockAttach", LockAttach},   {"lockKeepAlive", LockKeepAlive}, {"lockRelease", LockRelease},
    {"lockQuery", LockQuery},     {"eventSet", EventSet},           {"eventIsSet", EventIsSet},
};

}  // namespace

std::span<const Method> CoordinationMethods() { return kMethods; }

}  // namespace pongo::node
