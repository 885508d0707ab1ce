// The control file (NAME-lock): everything the running processes share beside the data. It is garbage after a machine
// crash and is rebuilt then; it never needs to be synced.
//
// Layout (bytes):
//   0         ControlHeader
//   64 KiB    slot lines: kSlotMax x 128 B, what the reclaimer scans
//   1 MiB     region summaries: for each size class, retired blocks and free slabs, one bit per region of 16 MiB
//   2 MiB     slot areas: kSlotMax x 32 KiB, magazines, retired list and pins of one thread
//   130 MiB   the lock table: see format/locks.h
//   150.1 MiB stamps: last uses of entries of LRU Collections: see model/bounds.h
//   182.1 MiB region segments: for each 16 MiB of the data file the states of its blocks and slabs
// The file is sparse; each part is allocated before it is used.
//
// Block state, one 64-bit word per block, those of a slab side by side in the order of its blocks (space for 1024):
//   bits 62-63 = 0 FREE      bits 0-61 zero
//              = 1 CACHED    bits 0-15 slot index of the thread that holds it in a magazine or is filling it
//              = 2 LIVE      bits 0-61 birth: the version that first contains it (may be rounded down)
//              = 3 RETIRED   bits 21-61 low 41 bits of the retire version; bits 0-20 distance to the birth, a float of
//                            5 exponent and 16 mantissa bits, rounded up
#ifndef PONGO_FORMAT_CONTROL_H_
#define PONGO_FORMAT_CONTROL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "format/locks.h"
#include "format/ref.h"
#include "util/testing.h"

namespace pongo {

using Atomic64 = SharedAtomic<uint64_t>;
using Atomic32 = SharedAtomic<uint32_t>;
static_assert(Atomic64::is_always_lock_free && sizeof(Atomic64) == 8);
static_assert(Atomic32::is_always_lock_free && sizeof(Atomic32) == 4);

inline constexpr uint64_t kControlMagic = 0x4c4f52544e4f4350u;  // "PCONTROL"
inline constexpr uint32_t kSlotMax = 4096;
inline constexpr uint32_t kPinCells = 256;       // per slot
inline constexpr uint32_t kCellPages = 256;      // pages of pidcache cells per slot, besides the one in its area
inline constexpr uint32_t kCellsPerPage = 512;
inline constexpr uint32_t kCellsMax = (kCellPages + 1) * kCellsPerPage;
inline constexpr uint32_t kRetiredMax = 64;      // retired blocks that stay private to a thread
inline constexpr uint32_t kMagazineSize = 64;    // free blocks of one class that a thread keeps

// kPrivate: no file at all, but memory of a process that may not write the database; it describes no blocks.
enum class ControlState : uint32_t { kUninitialised = 0, kReady = 1, kClosed = 2, kPrivate = 3 };

// Durable versions older than the newest one, which processes without write permission have open: every block that one of
// the versions low..high contains stays.
struct HeldRoots {
  Atomic64 low;             // 0 = free; stored last
  Atomic64 high;
  Atomic64 first_sequence;  // of their superblocks: whose bytes the readers have locked
  Atomic64 last_sequence;
};
inline constexpr uint32_t kHeldRootsMax = 16;
inline constexpr uint32_t kTurnsEnded = 16;

// The root word: bits 0-33 granule of the root record, 34-63 low 30 bits of its version.
constexpr uint64_t MakeRootWord(Ref root, uint64_t version) { return RefGranule(root) | (version << 34); }
constexpr uint64_t RootWordOffset(uint64_t word) { return (word & ((uint64_t{1} << 34) - 1)) * kGranule; }

struct ControlHeader {
  // Identity: written by the sole owner before the state becomes kReady.
  uint64_t magic;            // 0
  uint64_t layout_hash;      // 8    another build's control file is refused
  Atomic32 state;            // 16   ControlState
  uint32_t reserved0;        // 20
  uint64_t data_device;      // 24
  uint64_t data_inode;       // 32
  uint8_t uuid[16];          // 40
  uint8_t boot_id[16];       // 56   written last: names the kernel run whose page cache this file is true for
  uint64_t nonce;            // 72   differs in each run of the control file
  uint8_t reserved1[48];     // 80

  // Each hot word has 128 bytes of its own: adjacent-line prefetch makes 64 too few.
  alignas(128) Atomic64 root;              // the newest version
  alignas(128) Atomic64 version;           // V: raised after the root, never before
  alignas(128) Atomic64 length;            // published length of the data file
  Atomic64 container_id_next;              // fetch_add gives a new container id
  Atomic64 reserved3;
  alignas(128) Atomic32 slot_count;        // slots at and above it have never been used
  Atomic32 reserved2;
  Atomic64 pin_epoch;                      // raised whenever a pin goes away: retired blocks may have become free
  Atomic64 revocations;                    // number of the last revocation: raised after its stamp is in the cell
  alignas(128) Atomic64 checkpoint_pin;    // version being made durable, or 0; belongs to the file, not to a process
  Atomic64 durable_pin;                    // version that the newest superblock names
  Atomic64 durable_sequence;               // sequence number of that superblock
  Atomic64 sync_failed;                    // 1 after an fdatasync error
  alignas(128) Atomic64 durable_requests;  // how often a thread has asked for durability: see store/group_commit.h
  Atomic64 durable_requests_served;        // that number when the last shared checkpoint began; this and the next two are changed under the checkpoint lock
  Atomic64 committers_expected;            // how many may ask again soon
  Atomic64 checkpoint_nanoseconds;         // how long the last one took
  Atomic32 checkpoint_signal;              // futex word: raised when the checkpoint lock is given back
  Atomic32 reserved5;
  alignas(128) Atomic64 gc_epoch;          // odd while containers are being collected
  Atomic64 gc_pin;                         // an older version that the collector marks; scanned after all other pins
  Atomic64 cells_lost;                     // slots with pidcache cells that were released or adopted
  Atomic64 unlinked;                       // links that fell to zero since the last collection
  Atomic64 recovery_pin;                   // the version that recovery began with, until all its slabs are described, or 0
  Atomic64 recovery_root;                  // its root word; 0: nothing left to describe
  Atomic64 recovery_slabs;                 // slabs of the file then
  alignas(128) Atomic64 turn;              // advisory FIFO for committers that keep losing: see store/turn.h
  Atomic64 turn_next;
  Atomic64 turn_since;
  Atomic64 turn_grant;                     // low half of the ticket that took its turn up last << 32 | its limit in milliseconds
  Atomic64 reserved4;
  alignas(128) HeldRoots held[kHeldRootsMax];  // changed under the checkpoint lock: see store/reader_roots.h
  alignas(128) Atomic32 commit_waiters;    // threads that sleep until a commit, or are about to; never too low, see store/commit_signal.h
  Atomic32 commit_signal;                  // futex word: raised by a commit that finds a waiter
  alignas(128) uint64_t chunk_size;        // meta, as stored in the next superblock; changed under the checkpoint lock
  uint32_t id_key_size;
  uint8_t id_key[256];
  // Microseconds since 1970: no entry expires before it, except through a hint that its writer still owes. 0: nobody has looked yet.
  alignas(128) std::atomic<int64_t> expiry_next;
  Atomic64 stamps_ready;                   // a bit for each 64th of the table of stamps: it has its room
  alignas(128) Atomic64 use_clock;         // the time of the stamps of LRU Collections: see model/bounds.h
  alignas(128) Atomic64 turns_ended[kTurnsEnded];  // ticket n at n % kTurnsEnded when its turn was over before it came
};
inline constexpr int64_t kNoExpiry = INT64_MAX;
static_assert(offsetof(ControlHeader, root) == 128);
static_assert(sizeof(ControlHeader) <= kGranule * 1024);

// What reclaimers read of a thread. 0 = not inside an operation; else a lower bound of the versions it may read, or with
// kExactly the one version that an operation on a snapshot reads: it protects no more than the snapshot's pin does.
inline constexpr uint64_t kExactly = uint64_t{1} << 63;
struct alignas(128) SlotLine {
  Atomic64 announced;      // 0
  Atomic32 pin_count;      // 8   pin cells at and above it are unused
  Atomic32 used;           // 12  1 while claimed; cleared only under the slot's byte lock
  Atomic64 process;        // 16  process id, for reports only, never for liveness
  Atomic32 cells_full;     // 24  1 once the thread shows more containers than it has cells: nothing may die
  Atomic32 waiting;        // 28  1 while this thread counts in commit_waiters
  Atomic64 ticket;         // 32  the ticket of the turn that this thread has drawn, or 0
  uint8_t reserved[88];
};
static_assert(sizeof(SlotLine) == 128);

// A pinned version: every block that it contains stays. count is used by the owner alone.
struct PinCell {
  Atomic64 version;        // 0 = free cell; stored last
  Atomic64 root;           // its root word
  Atomic32 count;
  Atomic32 kind;           // PinKind
  Atomic64 revoked;        // 0, or the number of the revocation that took the snapshot away: see store/revocation.h
};
static_assert(sizeof(PinCell) == 32);
// kMaintenance: of verification, marking and backups, which read without announcing. Only snapshots can be revoked.
enum class PinKind : uint32_t { kSnapshot = 1, kTransaction = 2, kMaintenance = 3 };

struct Magazine {
  uint32_t count;
  uint32_t reserved;
  Ref items[kMagazineSize];
};

struct RetiredEntry {
  Ref ref;
  uint64_t state;          // the RETIRED word that was stored
};

// The larger part of a slot: only its owner writes it, and whoever adopts it after the owner's death.
struct SlotArea {
  PinCell pins[kPinCells];
  uint32_t retired_count;
  uint32_t reserved;
  uint64_t holding;        // slab + 1 whose bit in free_blocks or retired this thread has taken, or 0
  RetiredEntry retired[kRetiredMax];
  // The pidcache: one word for each container that the thread shows. The first page is here, where a handle that may not write
  // the data file can use it too; the others are blocks of the data file, CACHED by the slot.
  Atomic32 cell_page_count;
  Atomic32 cells_used;     // 1 once own_cells may hold any
  Ref cell_pages[kCellPages];
  Magazine magazines[kClassCount];
  // Locks: the futex word that this thread sleeps on, and an upper bound of its entries in the lock table.
  alignas(64) Atomic32 lock_wake;
  Atomic32 lock_requests;
  Atomic32 pin_since[kPinCells];  // for reports only: when each pin was taken, in seconds of the monotonic clock
  Atomic64 own_cells[kCellsPerPage];
};
inline constexpr uint64_t kSlotAreaSize = 32u << 10;
static_assert(sizeof(SlotArea) <= kSlotAreaSize);

inline constexpr uint32_t kRegionMax = kFileSizeMax / kRegionSize;

// A cell of the pidcache: bits 0-39 container id (0: free), bit 63 dropped during a collection, bits 40-62 its epoch.
inline constexpr uint32_t kNoCell = ~0u;            // instead of the number of a cell
inline constexpr uint32_t kOverflowCell = ~0u - 1;  // counted, not stored
constexpr uint64_t kCellDropped = uint64_t{1} << 63;
constexpr uint64_t CellId(uint64_t cell) { return cell & ((uint64_t{1} << 40) - 1); }
constexpr uint64_t DroppedCell(uint64_t id, uint64_t epoch) { return id | ((epoch & 0x7fffff) << 40) | kCellDropped; }
// Whether the collection of this (odd) epoch must keep what the cell names.
constexpr bool CellCounts(uint64_t cell, uint64_t epoch) {
  return CellId(cell) != 0 && ((cell & kCellDropped) == 0 || ((cell >> 40) & 0x7fffff) == (epoch & 0x7fffff));
}

// One bit per region.
struct RegionBits {
  Atomic64 words[kRegionMax / 64];
};
struct Summaries {
  RegionBits free_blocks[kClassCount];  // regions with a slab of the class that may have free blocks
  RegionBits retired;                   // regions with retired blocks that no thread keeps privately
  RegionBits free_slabs;                // regions that may have unassigned slabs
};

// Slab state: what a slab is used for.
//   bits 60-63 = 0 UNASSIGNED, 1 SMALL (bits 0-5 class), 2 SPAN (bits 0-31 slabs), 3 TAIL of a span, 4 CLAIMED (bits 0-15 slot),
//                5 RESERVED (the first slab of the file), 6 OLD (recovered, not yet described: see model/recovery.h)
enum class SlabUse : uint64_t { kUnassigned = 0, kSmall = 1, kSpan = 2, kTail = 3, kClaimed = 4, kReserved = 5, kOld = 6 };
constexpr uint64_t MakeSlabState(SlabUse use, uint64_t detail) { return (static_cast<uint64_t>(use) << 60) | detail; }
constexpr SlabUse SlabUseOf(uint64_t state) { return static_cast<SlabUse>(state >> 60); }
constexpr uint64_t SlabDetail(uint64_t state) { return state & 0xffffffffu; }

// Everything about 16 MiB of the data file.
struct RegionSegment {
  Atomic64 blocks[kRegionSize / kGranule];
  Atomic64 slabs[kSlabsPerRegion];
  Atomic64 free_blocks[kClassCount][kSlabsPerRegion / 64];  // slabs of the class that may have free blocks
  Atomic64 retired[kSlabsPerRegion / 64];
  uint8_t reserved[4096 - 8 * (kSlabsPerRegion + (kClassCount + 1) * (kSlabsPerRegion / 64))];
};
static_assert(sizeof(RegionSegment) == (2u << 20) + 4096);

inline constexpr uint64_t kSlotLinesOffset = 64u << 10;
inline constexpr uint64_t kSummariesOffset = 1u << 20;
inline constexpr uint64_t kSlotAreasOffset = 2u << 20;
inline constexpr uint64_t kLocksOffset = kSlotAreasOffset + kSlotMax * kSlotAreaSize;
inline constexpr uint64_t kStampsOffset = kLocksOffset + kLocksSize;
inline constexpr uint32_t kStampBits = 22;
inline constexpr uint64_t kStampsSize = sizeof(Atomic64) << kStampBits;  // last uses of entries: model/bounds.h
inline constexpr uint64_t kSegmentsOffset = kStampsOffset + kStampsSize;
static_assert(kSlotLinesOffset + kSlotMax * sizeof(SlotLine) <= kSummariesOffset);
static_assert(kSummariesOffset + sizeof(Summaries) <= kSlotAreasOffset);

// -- block states --

enum class BlockUse : uint64_t { kFree = 0, kCached = 1, kLive = 2, kRetired = 3 };
inline constexpr uint64_t kRetireBits = 41;
inline constexpr uint64_t kRetireMask = (uint64_t{1} << kRetireBits) - 1;

constexpr BlockUse BlockUseOf(uint64_t state) { return static_cast<BlockUse>(state >> 62); }
constexpr uint64_t CachedState(uint32_t slot) { return (uint64_t{1} << 62) | slot; }
constexpr uint32_t CachedSlot(uint64_t state) { return static_cast<uint32_t>(state & 0xffff); }
constexpr uint64_t LiveState(uint64_t birth) { return (uint64_t{2} << 62) | birth; }
constexpr uint64_t LiveBirth(uint64_t state) { return state & ((uint64_t{1} << 62) - 1); }

// Rounds a distance up to 16 significant bits, so that a birth is only ever rounded down.
constexpr uint64_t PackDistance(uint64_t distance) {
  uint64_t exponent = 0;
  while ((distance >> exponent) > 0xffff) exponent++;
  uint64_t mantissa = distance >> exponent;
  if ((mantissa << exponent) != distance) mantissa++;
  if (mantissa > 0xffff) {
    mantissa = 0x8000;
    exponent++;
  }
  return exponent > 31 ? 0x1fffff : (exponent << 16) | mantissa;
}
constexpr uint64_t UnpackDistance(uint64_t packed) { return (packed & 0xffff) << (packed >> 16); }

constexpr uint64_t RetiredState(uint64_t birth, uint64_t retire) {
  return (uint64_t{3} << 62) | ((retire & kRetireMask) << 21) | PackDistance(retire - birth);
}
// The full retire version: the one nearest to `now` with these low bits.
constexpr uint64_t RetireVersion(uint64_t state, uint64_t now) {
  const uint64_t low = (state >> 21) & kRetireMask;
  const uint64_t delta = (low - now) & kRetireMask;  // 41-bit difference, sign-extended
  return delta >> (kRetireBits - 1) ? now - ((kRetireMask + 1) - delta) : now + delta;
}
constexpr uint64_t RetiredBirth(uint64_t state, uint64_t retire) {
  const uint64_t distance = UnpackDistance(state & 0x1fffff);
  return distance > retire ? 0 : retire - distance;
}
static_assert(RetireVersion(RetiredState(5, 9), 100) == 9);
static_assert(RetireVersion(RetiredState(5, uint64_t{1} << 41), (uint64_t{1} << 41) + 3) == uint64_t{1} << 41);
static_assert(RetiredBirth(RetiredState(5, 9), 9) == 5);
static_assert(RetiredBirth(RetiredState(1, 100000), 100000) <= 1);

// Changes whenever a struct of this file does.
constexpr uint64_t ControlLayoutHash() {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const uint64_t part : {sizeof(ControlHeader), sizeof(SlotLine), sizeof(SlotArea), sizeof(Summaries), sizeof(RegionSegment),
                              offsetof(ControlHeader, length), offsetof(ControlHeader, checkpoint_pin),
                              offsetof(ControlHeader, turn), offsetof(SlotArea, retired), offsetof(SlotArea, magazines),
                              offsetof(ControlHeader, gc_epoch), offsetof(SlotArea, cell_pages),
                              offsetof(RegionSegment, slabs), offsetof(RegionSegment, retired), size_t{kClassCount},
                              offsetof(SlotArea, lock_wake), sizeof(LockTableHeader), sizeof(LockRecord), sizeof(LockRequest),
                              offsetof(SlotArea, own_cells), size_t{kSegmentsOffset}, offsetof(ControlHeader, durable_requests), size_t{13} /* raised when the meaning of a field changes */})
    hash = (hash ^ part) * 0x100000001b3u;
  return hash;
}

}  // namespace pongo

#endif  // PONGO_FORMAT_CONTROL_H_
