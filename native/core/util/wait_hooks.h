// What a language binding does around a wait inside the engine: a Python thread lets other threads run meanwhile.
//
// before and after: called on the waiting thread, in pairs, never nested, only at points where the session that waits holds nothing that
// another session of the process needs. The hooks must not use the session.
#ifndef PONGO_UTIL_WAIT_HOOKS_H_
#define PONGO_UTIL_WAIT_HOOKS_H_

namespace pongo {

struct WaitHooks {
  void (*before)(void* context) = nullptr;
  void (*after)(void* context) = nullptr;
  void* context = nullptr;
  // Between before and after, every now and then in a wait that may last for ever: true ends it.
  bool (*interrupted)(void* context) = nullptr;
};

class WaitScope {
 public:
  explicit WaitScope(const WaitHooks& hooks) : hooks_(hooks) {
    if (hooks_.before != nullptr) hooks_.before(hooks_.context);
  }
  ~WaitScope() {
    if (hooks_.after != nullptr) hooks_.after(hooks_.context);
  }
  WaitScope(const WaitScope&) = delete;
  WaitScope& operator=(const WaitScope&) = delete;

 private:
  const WaitHooks& hooks_;
};

}  // namespace pongo

#endif  // PONGO_UTIL_WAIT_HOOKS_H_
