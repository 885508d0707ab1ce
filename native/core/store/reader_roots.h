// Durable roots that processes without write permission read.
//
// Such a process cannot announce itself in the control file. It holds a read lock on the byte of the data file that stands
// for the sequence number of its checkpoint. Order, on both sides:
//   reader:       read the superblock -> lock its byte -> read the superblock again: still the newest, or begin anew.
//   checkpointer: write the next superblock -> try to write-lock the byte of the one before -> let `durable` move on.
// The two lock calls have an order. Reader first: the checkpointer fails, and keeps that root in ControlHeader::held before
// `durable` moves. Checkpointer first: the reader finds the next superblock and begins anew.
//
// Thread safety: the functions that change `held` run under the checkpoint lock. A checkpointer that dies in between leaves
// a root held too long, never too short. A reader that dies loses its lock with its open file.
#ifndef PONGO_STORE_READER_ROOTS_H_
#define PONGO_STORE_READER_ROOTS_H_

#include <cstdint>

#include "format/control.h"
#include "format/superblock.h"
#include "port/port.h"
#include "util/function_ref.h"
#include "util/status.h"

namespace pongo {

// The byte of a checkpoint: far above any content, below the other locks.
inline constexpr uint64_t kRootByte = uint64_t{1} << 61;
inline constexpr uint64_t kRootBytes = uint64_t{1} << 60;
constexpr uint64_t RootByte(uint64_t sequence) { return kRootByte + sequence % kRootBytes; }

// Reads the newest superblock and locks its root for reading, through `lock_file`. `before_lock` runs between the two: for
// tests of the order. LOCKED when checkpoints follow each other too fast; CORRUPT, VERSION.
Status LockNewestRoot(const port::File& lock_file, Superblock* superblock, FunctionRef<void()> before_lock);
Status LockNewestRoot(const port::File& lock_file, Superblock* superblock);
void UnlockRoot(const port::File& lock_file, uint64_t sequence);

// Before `durable` moves on from its present root: keeps that root if somebody reads it.
void HoldDurableRoot(ControlHeader* header, const port::File& lock_file);
// Lets go of the roots that nobody reads any more.
void ReleaseHeldRoots(ControlHeader* header, const port::File& lock_file);
// Whether somebody reads a root older than that of `sequence`.
bool OlderRootIsRead(const port::File& lock_file, uint64_t sequence);

}  // namespace pongo

#endif  // PONGO_STORE_READER_ROOTS_H_
