// Assertion tiers. All of them are for broken code only: bad bytes and failing systems are statuses (util/status.h).
//
//   PONGO_ASSERT   cheap, on in debug and sanitizer builds, off with NDEBUG
//   PONGO_CHECK    always on: continuing would damage shared data
//
// PONGO_DAMAGED(condition) is no assertion: it is true when bytes of the file, or a ref, cannot be what a writer made, and the caller
// answers CORRUPT. PONGO_UNCHECKED leaves the conditions out, to measure what they cost (bench/dereference_checks.mjs): nothing else
// may be built so.
#ifndef PONGO_UTIL_CHECK_H_
#define PONGO_UTIL_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define PONGO_CHECK(condition)                                                                        \
  do {                                                                                                \
    if (!(condition)) [[unlikely]] {                                                                  \
      std::fprintf(stderr, "pongodb: broken invariant: %s (%s:%d)\n", #condition, __FILE__, __LINE__); \
      std::abort();                                                                                   \
    }                                                                                                 \
  } while (0)

#ifdef NDEBUG
#define PONGO_ASSERT(condition) static_cast<void>(sizeof(!(condition)))
#else
#define PONGO_ASSERT(condition) PONGO_CHECK(condition)
#endif

#ifdef PONGO_UNCHECKED
#define PONGO_DAMAGED(condition) (false && (condition))
#else
#define PONGO_DAMAGED(condition) (condition)
#endif

#endif  // PONGO_UTIL_CHECK_H_
