// Bounded Collections: caches that stay within a number of entries or of bytes, shared by all processes.
//
// The insertion that would exceed a bound evicts in its own commit, so that no version exceeds it. The bounds are fixed when the
// Collection is made. They stand in its companion (model/companion.h), as do:
//   'bytes'       with maxBytes: the sum over all entries, see below
//   [1, key]      with maxBytes: what a container that is a value was charged with when it was stored
//   [2, n, key]   fifo: the n-th insertion, in order
//   [3, key]      fifo: n
// where key is the ordered form of the entry's key, as bytes. All of it changes in the commit that changes the entry; verify() counts
// it all again.
//
// An entry counts with the bytes of its key, 8 of its word and those of its value outside the word; a container also with what it held,
// at any depth, when it was stored.
//
// lru: each Collection has some of the stamps in the control file, two to four for an entry, in buckets by a hash of the key. A stamp holds what
// ControlHeader::use_clock was at its last use. The clock goes on with each insertion, and in a Collection of up to kExactMax entries with each
// use of another entry than the last. A use is one relaxed store: no lock, no commit. Stamps may be lost or shared by two entries; they are
// advice. Evicted is the one with the oldest stamp, of all or of a sample of the entries.
#ifndef PONGO_MODEL_BOUNDS_H_
#define PONGO_MODEL_BOUNDS_H_

#include <cstdint>

#include "format/key.h"
#include "format/node.h"
#include "model/transaction.h"
#include "store/mapping.h"
#include "util/status.h"

namespace pongo {

struct CollectionBounds {
  uint64_t max_items = 0;  // 0: no bound
  uint64_t max_bytes = 0;
  bool fifo = false;
  uint64_t bytes = 0;      // now; only with max_bytes
};

Status ReadCollectionBounds(Mapping* mapping, const ObjectEntry& companion, CollectionBounds* bounds);
// Where the stamp of an entry of an LRU Collection is: in one of the words of a bucket. A stamp: bits 0-47 the clock at the last use,
// 48-63 the tag, bits of the hash that tell the entries of a bucket apart.
struct Stamp {
  Atomic64* bucket = nullptr;  // null while there is no room for stamps
  uint64_t tag = 0;
  bool exact = false;          // so few entries that the order of their uses is kept
};
// Up to so many entries the least recently used one is found exactly; among more, the oldest of a sample.
inline constexpr uint64_t kExactMax = 64;
inline constexpr uint64_t kStampClock = (uint64_t{1} << 48) - 1;
inline constexpr uint32_t kBucketSize = 4;  // within one cache line
// Any thread of any process.
Stamp StampOf(Mapping* mapping, uint64_t id, const ObjectEntry& entry, const Key& key);
// Says that the entry was used.
inline void NoteUse(Mapping* mapping, const Stamp& stamp) {
  if (stamp.bucket == nullptr) return;
  Atomic64& clock = mapping->header()->use_clock;
  uint64_t used = stamp.tag | (clock.load(std::memory_order_relaxed) & kStampClock);
  uint32_t place = 0;  // its own, or else that of the oldest
  uint64_t oldest = ~uint64_t{0};
  for (uint32_t i = 0; i < kBucketSize; i++) {
    const uint64_t word = stamp.bucket[i].load(std::memory_order_relaxed);
    if (word == used) return;  // entries that many use between two insertions cost their readers no cache line
    const uint64_t rank = (word & ~kStampClock) == stamp.tag ? 0 : (word & kStampClock) + 1;
    place = rank < oldest ? i : place;
    oldest = rank < oldest ? rank : oldest;
  }
  if (stamp.exact) used = stamp.tag | ((clock.fetch_add(1, std::memory_order_relaxed) + 1) & kStampClock);
  stamp.bucket[place].store(used, std::memory_order_relaxed);
}
// The bytes of a value outside its word. CORRUPT.
Status OutsideBytes(Mapping* mapping, Word word, uint64_t* bytes);
// Checks a bounded Collection and its companion. O(n log n).
Status CheckBounds(Mapping* mapping, const ObjectEntry& owner, const ObjectEntry& companion);

}  // namespace pongo

#endif  // PONGO_MODEL_BOUNDS_H_
