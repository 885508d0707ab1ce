// Making the current version durable, and reading back which one is.
//
// Order (engine invariant: no older root may be released before the newer one is proven durable):
//   pin R as in progress -> file length -> fdatasync -> write one whole superblock durably into the slot not in use ->
//   durable = R -> clear the in-progress pin. Only then are blocks that only the older root needs free.
// The two pins belong to the file: a checkpointer that finds one in progress finishes the dead one's work first.
// One at a time, by a lock on a byte of the data file. Any thread of any process; a peer's death at any step leaves pins
// that protect more than necessary, never less.
#ifndef PONGO_STORE_CHECKPOINT_H_
#define PONGO_STORE_CHECKPOINT_H_

#include <cstdint>

#include "format/superblock.h"
#include "store/mapping.h"
#include "store/thread_slot.h"
#include "util/status.h"

namespace pongo {

// The newest valid superblock of the file. CORRUPT, VERSION.
Status ReadSuperblock(const port::File& file, Superblock* newest);

// Makes at least `version` durable; returns at once when it is. `clean` marks the file as closed in good order.
// *wrote tells whether a superblock was written.
Status Checkpoint(ThreadSlot* slot, const port::File& lock_file, uint64_t version, bool clean, bool* wrote);
// The same by a caller who has the checkpoint lock.
Status CheckpointUnderLock(ThreadSlot* slot, const port::File& lock_file, uint64_t version, bool clean, bool* wrote);
// Gives the checkpoint lock back, and wakes who waits for it in AwaitDurable (store/group_commit.h).
Status UnlockCheckpoints(ControlHeader* header, const port::File& lock_file);

// After a failed fdatasync (ControlHeader::sync_failed): writes every page of the file anew, syncs, writes the newest
// superblock anew, syncs; only if all of that succeeds checkpoints go on. The pages come from memory: what the kernel dropped
// and read back since is as old as the disk had it, which only verify() can tell. O(size of the file).
Status RewriteFile(Mapping* mapping, const port::File& lock_file);

}  // namespace pongo

#endif  // PONGO_STORE_CHECKPOINT_H_
