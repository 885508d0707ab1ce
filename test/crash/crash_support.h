// What the programs of the test build share: quiet databases, fingerprints of their content, random operations.
#ifndef PONGO_TEST_CRASH_CRASH_SUPPORT_H_
#define PONGO_TEST_CRASH_CRASH_SUPPORT_H_

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "format/wire_writer.h"
#include "support.h"
#include "test/crash/system.h"

namespace pongo::test {

// No background work interferes within an hour; small chunks, so that files grow often.
inline OpenOptions QuietOptions(uint64_t chunk_size = 0) {
  OpenOptions options;
  options.checkpoint_interval_ms = 3'600'000;
  options.chunk_size = chunk_size;
  return options;
}

// 1 in CI; the release column multiplies what the tests do.
inline uint64_t Scale() {
  const char* text = std::getenv("PONGO_SCALE");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

// All that the database shows, as one number.
inline uint64_t Fingerprint(Session* session, uint64_t view = 0) {
  std::vector<uint8_t> wire;
  if (const Status status = session->Native(view, kRootId, &wire); !status.ok()) {
    Fail(__FILE__, __LINE__, std::string("Native: ") + status.text());
    return 0;
  }
  uint64_t hash = 0xcbf29ce484222325u ^ wire.size();
  for (const uint8_t byte : wire) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

inline uint64_t VersionOf(Session* session) {
  uint64_t version = 0;
  if (!session->Version(0, &version).ok()) std::abort();
  return version;
}

inline Status SetText(Session* session, const std::string& key, const std::string& text) {
  return session->Set(kRootId, TextKey(key).key(), TextInput(text), 0);
}

}  // namespace pongo::test

#endif  // PONGO_TEST_CRASH_CRASH_SUPPORT_H_
