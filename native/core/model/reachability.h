// Everything that a version of the database is made of: what marking, verifying and recovery walk.
#ifndef PONGO_MODEL_REACHABILITY_H_
#define PONGO_MODEL_REACHABILITY_H_

#include <cstdint>

#include "model/transaction.h"
#include "util/function_ref.h"
#include "util/status.h"

namespace pongo {

struct ReachCounts {
  uint64_t containers = 0;
  uint64_t nodes = 0;
  uint64_t values = 0;
  uint64_t blobs = 0;
  uint64_t container_id_max = 0;
};

// Calls `block` once for each block of the version, parents before children. Checks on the way that entry counts match. O(size of the database). CORRUPT.
Status WalkVersion(Mapping* mapping, const Base& base, FunctionRef<Status(Ref block)> block, ReachCounts* counts);

// Whether a block of its class begins here, by the header of its slab alone. CORRUPT.
Status CheckPlace(Mapping* mapping, Ref ref);

}  // namespace pongo

#endif  // PONGO_MODEL_REACHABILITY_H_
