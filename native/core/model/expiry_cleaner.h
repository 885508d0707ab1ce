// The background cleaner: takes entries out that have expired. Everybody judges expiry by the clock, so nothing depends on it but space,
// positions, and the moment at which a watcher sees the removal.
//
// One thread of one process cleans at a time, by a lock on a byte of the data file; the kernel frees it when its holder dies. A database
// in which nothing is due costs a comparison with the hint in the control file (ControlHeader::expiry_next).
// Killed at any time: the removals are ordinary commits. The hint, which the dead had taken, is cleared when its slot is adopted.
#ifndef PONGO_MODEL_EXPIRY_CLEANER_H_
#define PONGO_MODEL_EXPIRY_CLEANER_H_

#include <cstdint>

#include "store/mapping.h"
#include "util/function_ref.h"
#include "util/status.h"

namespace pongo {

// Removes what has expired, in small commits, as long as `pause(nanoseconds)` answers true: called after each commit with how long the
// cleaner should rest so that it stays within its share of a core. *removed counts entries. Nothing due, or another one at work: at once.
Status CleanExpired(Mapping* mapping, FunctionRef<bool(uint64_t nanoseconds)> pause, uint64_t* removed);

// How long it rests after so many nanoseconds of work, when the first entry left is overdue by so many microseconds.
uint64_t RestAfter(uint64_t worked, int64_t overdue);

}  // namespace pongo

#endif  // PONGO_MODEL_EXPIRY_CLEANER_H_
