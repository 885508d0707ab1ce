// Companions: what a Collection keeps beside its entries, in an ordinary container of its own that no program can reach.
//
// The time index: for each entry that expires a key [instant, ordered form of the entry's key] without a value, so that what is
// due stands in front. It is changed in the commit that changes the entry. A Collection gets a companion with its first expiry and
// keeps it; one without pays nothing.
//
// A bounded Collection also keeps its bounds and its order there (model/bounds.h); it has its companion from the beginning.
//
// The registry (container kCompanionsId) maps the id of the Collection to its companion; bit 44 of the Collection's object entry
// says that there is one. Both are made in the transaction that first needs them. The companion is linked by the registry alone and
// goes when its Collection is taken out of the database (Operations::RemoveContainer).
//
// Invariant, checked by verify(): the index has a key for each entry with an expiry, with the same instant, and no others.
#ifndef PONGO_MODEL_COMPANION_H_
#define PONGO_MODEL_COMPANION_H_

#include <cstdint>
#include <vector>

#include "format/key_codec.h"
#include "format/node.h"
#include "model/transaction.h"
#include "util/status.h"

namespace pongo {

class ReadView;

// The key of the time index for an entry.
Status MakeTimeKey(int64_t expires, const Key& key, KeyBuffer* index_key);
// Reads one back: *is_time tells whether it is one; *key receives the ordered form of the entry's key. CORRUPT.
Status ReadTimeKey(const Key& index_key, bool* is_time, int64_t* expires, std::vector<uint8_t>* key);
// Visits up to `limit` keys of the time index of a companion in the order of their instants, until `visit` returns false. *position: of the
// first one. CORRUPT.
using TimeKeyVisitor = FunctionRef<bool(int64_t expires, const std::vector<uint8_t>& key)>;
Status ScanTimeKeys(Mapping* mapping, const ObjectEntry& companion, uint64_t limit, uint64_t* position, TimeKeyVisitor visit);
// The first entry of the time index of a companion; *expires = 0 when there is none. *position: where it stands.
Status FirstTimeKey(Mapping* mapping, const ObjectEntry& companion, int64_t* expires, std::vector<uint8_t>* key, uint64_t* position);
// The companion of a Collection that has one. CORRUPT.
Status FindCompanion(const ReadView& view, uint64_t owner, uint64_t* companion);
// Visits all pairs of the registry in a version.
Status EachCompanion(Mapping* mapping, const ObjectTable& table, FunctionRef<Status(uint64_t owner, uint64_t companion)> visit);
// The ordered form of the key of a leaf entry. CORRUPT.
Status CopyStoredKey(Mapping* mapping, const Node& leaf, uint32_t index, std::vector<uint8_t>* bytes);
// Checks a version: see the invariant. O(entries of Collections with a companion * log n).
Status CheckCompanions(Mapping* mapping, const ObjectTable& table);

}  // namespace pongo

#endif  // PONGO_MODEL_COMPANION_H_
