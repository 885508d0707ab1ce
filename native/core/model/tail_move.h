// Moves what is live near the end of the file to free places before it, so that the end can be given back.
//
// Only for the last closer (model/shrink.h), which is alone and holds the gate: nobody remembers a ref, a shape or a version from
// before, and nobody watches, but readers of checkpoints: their version stays whole, and they remember no shape (CopyPlain). Containers, keys, values, order, expiries and ids stay; one version is added.
//
// All is moved by one ordinary commit: each block at the end is copied into a block of its class, and so is what leads to it.
// Killed before the CAS, the copies are orphans; killed after it, the next opener finds the new version. The last durable
// version keeps its blocks until the next one is durable.
#ifndef PONGO_MODEL_TAIL_MOVE_H_
#define PONGO_MODEL_TAIL_MOVE_H_

#include "store/mapping.h"
#include "store/thread_slot.h"

namespace pongo {

// Whether anything was moved: not unless a good part of the file could go, for what a close may cost. The magazines of the slot must be
// empty and all garbage drained. A failure leaves everything where it was. O(size of the database) when it is worth it, else
// O(size of the control file).
bool MoveTail(Mapping* mapping, ThreadSlot* slot);

}  // namespace pongo

#endif  // PONGO_MODEL_TAIL_MOVE_H_
