// Collection of containers that nothing leads to any more, beside readers and writers of all processes.
//
// Link counts say when a collection is worth it; marking decides what dies, cycles included. Order (the rule that
// docs/design.md argues for; each step lets nothing slip between it and the next):
//   1. gc_epoch becomes odd. 2. S = root, pinned. 3. Wait until no thread announces a version below S.
//   4. Mark what older pins reach, from the root and from the cells. 5. Read the pidcache cells of all threads; start again when a thread that had some ended
//   since 2 (test/core/container_gc_test.cc: without this a container that it had put back was lost). 6. Mark in S from the root and every cell.
//   7. Remove what is in S and unmarked, in ordinary commits. 8. gc_epoch becomes even.
// What is unmarked can never be reached again, so the removal may be split into several commits.
// One collection at a time, by a lock on a byte of the data file. A collector that dies leaves an odd epoch and perhaps a
// pin, which the next one replaces.
#ifndef PONGO_MODEL_CONTAINER_GC_H_
#define PONGO_MODEL_CONTAINER_GC_H_

#include <atomic>
#include <cstdint>

#include "store/allocator.h"
#include "store/mapping.h"
#include "util/status.h"

namespace pongo {

// *removed: containers that died. *skipped: some thread stood in the way for too long (or another collection was running and
// `wait` was false); nothing was done. O(size of the database).
// `stop`, if given, ends the work early when it becomes true.
// make_room: as an Allocator wants it, for a full file.
Status CollectContainers(Mapping* mapping, bool wait, const std::atomic<bool>* stop, uint64_t* removed, bool* skipped,
                         const Allocator::MakeRoom& make_room = {});

// Ends the epoch of a collector that died, so that cells dropped in it can be used again.
void EndDeadCollection(Mapping* mapping);

}  // namespace pongo

#endif  // PONGO_MODEL_CONTAINER_GC_H_
