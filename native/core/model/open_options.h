// How a database is opened.
#ifndef PONGO_MODEL_OPEN_OPTIONS_H_
#define PONGO_MODEL_OPEN_OPTIONS_H_

#include <cstdint>

namespace pongo {

enum class Durability : uint8_t { kCheckpoint = 0, kSync = 1, kNone = 2 };

struct OpenOptions {
  bool create = true;
  bool read_only = false;
  uint32_t mode = 0600;
  uint64_t chunk_size = 0;   // bytes; 0: stored value, or the default of 16 MiB
  uint64_t max_size = 0;     // bytes; 0: stored value, or the default of 2^40
  Durability durability = Durability::kCheckpoint;
  uint32_t checkpoint_interval_ms = 1000;
  bool describe_in_background = true;  // after a crash of the machine; tests do it step by step
  // Whether the caller chose them: what is chosen must agree with the other handles of the process.
  bool durability_given = false;
  bool checkpoint_interval_given = false;
};

}  // namespace pongo

#endif  // PONGO_MODEL_OPEN_OPTIONS_H_
