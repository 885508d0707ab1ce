// Gives the free chunks at the end of the file back to the file system.
//
// Only for the last closer, which is alone and holds the gate: nobody else has either file mapped, and nobody can come. Where
// that makes the file much shorter, what lies near the end is moved before (model/tail_move.h). docs/design.md, "Shrinking", argues for the order.
#ifndef PONGO_MODEL_SHRINK_H_
#define PONGO_MODEL_SHRINK_H_

#include <cstdint>

#include "port/port.h"
#include "store/mapping.h"
#include "store/thread_slot.h"
#include "util/status.h"

namespace pongo {

// `version` is the newest and durable. A failure leaves the file as long as it was. O(size of the control file), or what MoveTail costs.
Status ReturnFreeChunks(Mapping* mapping, ThreadSlot* slot, const port::File& checkpoint_lock, uint64_t version);

}  // namespace pongo

#endif  // PONGO_MODEL_SHRINK_H_
