// What the regression tests share: short forms of common calls.
#ifndef PONGO_TEST_CORE_REGRESSIONS_H_
#define PONGO_TEST_CORE_REGRESSIONS_H_

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "support.h"

namespace pongo::test {

inline Status SetText(Session* session, const std::string& key, const std::string& value, uint64_t id = kRootId) {
  return session->Set(id, TextKey(key).key(), TextInput(value), 0);
}

inline Status SetInt(Session* session, const std::string& key, int64_t value, uint64_t id = kRootId) {
  return session->Set(id, TextKey(key).key(), IntInput(value), 0);
}

// An empty container, or one from wire bytes; pinned as long as the session is open.
inline Status Create(Session* session, Kind kind, uint64_t* id, const std::vector<uint8_t>& wire = {}) {
  uint32_t cell;
  return session->Create(kind, wire.empty() ? nullptr : wire.data(), wire.size(), id, &cell);
}

inline double Stat(Session* session, const char* name) {
  std::vector<std::pair<std::string, double>> stats;
  session->Stats(&stats);
  for (const auto& [stat, value] : stats)
    if (stat == name) return value;
  std::abort();
}

inline OpenOptions Chunked(uint64_t chunk_size) {
  OpenOptions options;
  options.chunk_size = chunk_size;
  return options;
}

// Nothing happens behind the test's back: the background thread sleeps.
inline OpenOptions Quiet() {
  OpenOptions options = Chunked(1 << 20);
  options.checkpoint_interval_ms = 3'600'000;
  return options;
}

}  // namespace pongo::test

#endif  // PONGO_TEST_CORE_REGRESSIONS_H_
