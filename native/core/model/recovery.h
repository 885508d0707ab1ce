// After a crash of the machine: which blocks of the file are in use.
//
// The file opens at once. The slabs that the superblock's version may use are OLD: nobody allocates from them, and a zero word
// of a block in them stands for LIVE(0), which a committer may retire (Allocator::Retire). The recovered version is pinned, so
// that nothing in an OLD slab can be reused. Describing walks that version, which no longer changes, and gives each OLD slab
// its class: blocks that the version has become LIVE(0) unless they are RETIRED by now, all others are free, for no version
// ever had them. Only when every slab is described the pin goes.
//
// Thread safety: any thread of any process; one at a time by a lock on a byte of the data file. Killed in the middle: the next
// one walks again and goes on with the slabs that are still OLD.
#ifndef PONGO_MODEL_RECOVERY_H_
#define PONGO_MODEL_RECOVERY_H_

#include <atomic>
#include <cstdint>

#include "model/transaction.h"
#include "store/mapping.h"
#include "util/status.h"

namespace pongo {

inline constexpr uint64_t kRecoveryByte = (uint64_t{1} << 62) + 6;  // data file

// Makes all slabs of the file OLD and pins the version. The sole owner, before anybody can use the file. O(slabs).
Status BeginRecovery(Mapping* mapping, const Base& base);
inline bool RecoveryPending(const Mapping& mapping) {
  return mapping.header()->recovery_root.load(std::memory_order_acquire) != 0;
}
// Describes what is still OLD. wait: also waits for somebody who is doing that already. Ends early when *stop is raised. O(size
// of the database). CORRUPT: the version is damaged; its slabs stay OLD, so that nothing in them is reused.
Status DescribeRecovered(Mapping* mapping, bool wait, const std::atomic<bool>* stop);

}  // namespace pongo

#endif  // PONGO_MODEL_RECOVERY_H_
