// What a test build of the engine adds, and a product build does not contain: without PONGO_TESTING every macro here is
// nothing, and SharedAtomic is std::atomic.
//
// In a test build every access to a shared word and every PONGO_POINT is a *step*: the harness may end the process there,
// hand over to another thread of a scheduled test, or only count. A *planted* bug is a known mistake that one test of the
// harness must catch; at most one is switched on at a time, by number. docs/reliability.md lists them.
#ifndef PONGO_UTIL_TESTING_H_
#define PONGO_UTIL_TESTING_H_

#include <atomic>
#include <cstddef>

#ifndef PONGO_TESTING

#define PONGO_POINT(name) static_cast<void>(0)
#define PONGO_PLANTED(number) false
#define PONGO_POISON(bytes, size) static_cast<void>(0)

namespace pongo {
template <class T>
using SharedAtomic = std::atomic<T>;
}

#else

#define PONGO_POINT(name) ::pongo::testing::Step(name)
#define PONGO_PLANTED(number) (::pongo::testing::planted == (number))
// Memory that nobody may read any more.
#define PONGO_POISON(bytes, size) ::pongo::testing::Poison(bytes, size)

namespace pongo {
namespace testing {

// Called at each step of the calling thread, before it is taken; `name` is that of a PONGO_POINT, or of a kind of access.
inline thread_local void (*step_hook)(const char* name) = nullptr;
inline int planted = 0;
inline bool poison = false;

inline void Step(const char* name) {
  if (step_hook != nullptr) step_hook(name);
}

inline void Poison(void* bytes, size_t size) {
  if (poison) __builtin_memset(bytes, 0xdb, size);
}

}  // namespace testing

template <class T>
class SharedAtomic : public std::atomic<T> {
 public:
  using Base = std::atomic<T>;
  using Base::Base;
  static constexpr bool is_always_lock_free = Base::is_always_lock_free;

  T load(std::memory_order order = std::memory_order_seq_cst) const {
    if (order != std::memory_order_relaxed) testing::Step(order == std::memory_order_seq_cst ? "seq_load" : "load");
    return Base::load(order);
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) {
    testing::Step(order == std::memory_order_seq_cst ? "seq_store" : "store");
    Base::store(value, order);
  }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) {
    testing::Step("exchange");
    return Base::exchange(value, order);
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order order = std::memory_order_seq_cst) {
    testing::Step("cas");
    return Base::compare_exchange_strong(expected, desired, order);
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order order = std::memory_order_seq_cst) {
    testing::Step("cas");
    return Base::compare_exchange_strong(expected, desired, order);
  }
  T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst) {
    testing::Step("add");
    return Base::fetch_add(value, order);
  }
  T fetch_sub(T value, std::memory_order order = std::memory_order_seq_cst) {
    testing::Step("sub");
    return Base::fetch_sub(value, order);
  }
  T fetch_or(T value, std::memory_order order = std::memory_order_seq_cst) {
    testing::Step("or");
    return Base::fetch_or(value, order);
  }
  T fetch_and(T value, std::memory_order order = std::memory_order_seq_cst) {
    testing::Step("and");
    return Base::fetch_and(value, order);
  }
};

}  // namespace pongo

#endif  // PONGO_TESTING

#endif  // PONGO_UTIL_TESTING_H_
