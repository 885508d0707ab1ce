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
// lru: the table of stamps in the control file has a word for each hash of an entry: what ControlHeader::use_clock, which goes on with
// each insertion, was at its last use. A use is one relaxed store: no lock, no commit. Stamps may be lost or shared by two entries; they are advice. Evicted is
// the one with the oldest stamp of a sample of the entries.
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
// Says that an entry of an LRU Collection was used. Any thread of any process.
void NoteUse(Mapping* mapping, uint64_t id, const Key& key);
// The bytes of a value outside its word. CORRUPT.
Status OutsideBytes(Mapping* mapping, Word word, uint64_t* bytes);
// Checks a bounded Collection and its companion. O(n log n).
Status CheckBounds(Mapping* mapping, const ObjectEntry& owner, const ObjectEntry& companion);

}  // namespace pongo

#endif  // PONGO_MODEL_BOUNDS_H_
