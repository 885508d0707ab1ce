// MultiCollection: one key, many values, each once, in value order.
//
// It is a keyed tree whose keys are pairs: the tuple of key and value. A container as a value stands in the tuple as
// [id, kind] (a tuple cannot be a value otherwise), so that containers sort by identity. The word of the entry is the
// container's, so that its links are counted, or null.
#ifndef PONGO_MODEL_MULTI_H_
#define PONGO_MODEL_MULTI_H_

#include <cstdint>
#include <vector>

#include "format/key_codec.h"
#include "model/value_view.h"
#include "util/status.h"

namespace pongo {

// A pair taken apart. Borrows nothing: the bytes are its own.
class Pair {
 public:
  // CORRUPT when the stored key is no pair.
  Status Read(const Key& stored);
  Key key() const { return key_.key(); }
  const ValueView& value() const { return value_; }

 private:
  friend class PairReader;
  KeyBuffer key_;
  ValueView value_;
  std::vector<uint8_t> bytes_;
};

// The stored key of a pair. NaN as a value is the greatest number.
Status MakePairKey(const Key& key, const ValueView& value, KeyBuffer* pair);
// The stored keys [lo, hi) of all pairs with this key.
Status PairBounds(const Key& key, std::vector<uint8_t>* lo, std::vector<uint8_t>* hi);

}  // namespace pongo

#endif  // PONGO_MODEL_MULTI_H_
