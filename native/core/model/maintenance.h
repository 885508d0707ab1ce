// Work on the whole database: verification, collection, reports. Each call uses a slot of its own and may run on any thread,
// beside readers and writers of all processes; nobody waits for it.
#ifndef PONGO_MODEL_MAINTENANCE_H_
#define PONGO_MODEL_MAINTENANCE_H_

#include <string>
#include <utility>
#include <vector>

#include "model/counts.h"
#include "store/allocator.h"
#include "store/mapping.h"
#include "util/status.h"

namespace pongo {

// Walks the newest version and compares it with the states of all blocks: the conservation law of store/allocator.h.
// CORRUPT, with a sentence in *problem. O(size of the database).
Status VerifyDatabase(Mapping* mapping, Counts* counts, std::string* problem);

// Frees what is retired and no longer protected; with `complete` also the blocks that killed processes left behind.
Status CollectGarbage(Mapping* mapping, bool complete, const Allocator::MakeRoom& make_room, Counts* before, Counts* after);

void DatabaseStats(Mapping* mapping, std::vector<std::pair<std::string, double>>* stats);

}  // namespace pongo

#endif  // PONGO_MODEL_MAINTENANCE_H_
