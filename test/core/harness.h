// A unit-test harness of one header: no library, no exceptions.
//
//   #include "harness.h"
//   TEST(RootIsEmpty) { CHECK_EQ(Count(), 0u); }
//
// One test file makes a program, and so do several linked together: main() is here, weak. It runs every test, or those
// whose name contains argv[1], prints `N passed, N failed` as its last line and exits 1 if any failed. A failed CHECK
// is reported with file and line and the test goes on; REQUIRE ends the test function that it stands in. Only the
// thread of main() may check. Random() is seeded from the environment variable SEED, or the time; a failing test prints
// the seed that repeats it.
#ifndef PONGO_TEST_CORE_HARNESS_H_
#define PONGO_TEST_CORE_HARNESS_H_

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "util/status.h"

namespace pongo::test {

struct TestCase {
  const char* name;
  void (*run)();
};

inline std::vector<TestCase>& Cases() {
  static std::vector<TestCase> cases;
  return cases;
}

struct Registrar {
  Registrar(const char* name, void (*run)()) { Cases().push_back({name, run}); }
};

// The failures of the running test.
inline int& Failures() {
  static int failures = 0;
  return failures;
}

inline uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("SEED");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : static_cast<uint64_t>(std::time(nullptr));
  }();
  return seed;
}

// One generator per test: a test alone sees the same numbers as in a run of all.
inline std::mt19937_64& Random() {
  static std::mt19937_64 random;
  return random;
}

inline uint64_t RandomBelow(uint64_t bound) { return Random()() % bound; }
inline uint8_t RandomByte() { return static_cast<uint8_t>(Random()()); }

template <class T>
std::string Describe(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    return Describe(static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", static_cast<double>(value));
    return text;
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return '"' + std::string(std::string_view(value)) + '"';
  } else {
    return "(value)";
  }
}

inline void Fail(const char* file, int line, const std::string& text) {
  // The first failures tell the story; a loop that fails a million times should not bury them.
  if (++Failures() <= 20) std::fprintf(stderr, "%s:%d: %s\n", file, line, text.c_str());
}

template <class A, class B>
bool Equal(const char* file, int line, const char* a_text, const char* b_text, const A& a, const B& b) {
  if (a == b) return true;
  Fail(file, line, std::string(a_text) + " == " + b_text + ": " + Describe(a) + " is not " + Describe(b));
  return false;
}

inline void CheckCode(const char* file, int line, const char* text, const Status& status, Code expected) {
  if (status.code() == expected) return;
  Fail(file, line,
       std::string(text) + ": " + CodeName(status.code()) + " (" + status.text() + "), not " + CodeName(expected));
}

inline int Main(int argc, char** argv) {
  int passed = 0, failed = 0;
  for (const TestCase& test : Cases()) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    Failures() = 0;
    Random().seed(Seed());
    test.run();
    if (Failures() == 0) {
      ++passed;
    } else {
      ++failed;
      std::fprintf(stderr, "FAILED %s: %d checks (SEED=%" PRIu64 ")\n", test.name, Failures(), Seed());
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  // A filter that matches nothing is a mistake, not a success.
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace pongo::test

#define TEST(name)                                                           \
  static void Test##name();                                                  \
  static const ::pongo::test::Registrar registrar_##name(#name, Test##name); \
  static void Test##name()

#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) ::pongo::test::Fail(__FILE__, __LINE__, "CHECK " #condition); \
  } while (0)

#define CHECK_EQ(a, b) static_cast<void>(::pongo::test::Equal(__FILE__, __LINE__, #a, #b, (a), (b)))

// A Status is expected to be OK, or to have a code: CHECK_OK(s), CHECK_CODE(s, CORRUPT).
#define CHECK_OK(status) ::pongo::test::CheckCode(__FILE__, __LINE__, #status, (status), ::pongo::Code::kOK)
#define CHECK_CODE(status, expected) \
  ::pongo::test::CheckCode(__FILE__, __LINE__, #status, (status), ::pongo::Code::k##expected)

#define REQUIRE(condition)                                            \
  do {                                                                \
    if (!(condition)) {                                               \
      ::pongo::test::Fail(__FILE__, __LINE__, "REQUIRE " #condition); \
      return;                                                         \
    }                                                                 \
  } while (0)

#ifndef PONGO_TEST_OWN_MAIN  // a test that is its own child process brings its own
[[gnu::weak]] int main(int argc, char** argv) { return pongo::test::Main(argc, argv); }
#endif

#endif  // PONGO_TEST_CORE_HARNESS_H_
