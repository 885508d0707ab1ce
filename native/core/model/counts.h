// What verification and garbage collection report.
#ifndef PONGO_MODEL_COUNTS_H_
#define PONGO_MODEL_COUNTS_H_

#include <cstdint>

namespace pongo {

struct Counts {
  uint64_t containers = 0;      // in the version that was looked at
  // Reachable from it: of verification only, which reads everything.
  uint64_t nodes = 0;
  uint64_t values = 0;
  uint64_t blobs = 0;
  // Blocks of the file by state.
  uint64_t live = 0;
  uint64_t retired = 0;
  uint64_t cached = 0;
  uint64_t free = 0;
  uint64_t live_bytes = 0;
  uint64_t retired_bytes = 0;
  uint64_t free_bytes = 0;      // free and cached blocks, and unassigned slabs
  uint64_t orphans = 0;         // LIVE, but unreachable: left by a process that was killed
  bool skipped = false;         // of a complete gc: containers were not collected (docs/design.md, "Limits")
};

}  // namespace pongo

#endif  // PONGO_MODEL_COUNTS_H_
