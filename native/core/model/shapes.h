// Shapes: the property names that many Dicts have in common, stored once.
//
// A registry (an ordinary container, id kShapesId, in the same transaction as what uses it) maps a hash of the names to the
// shape. A shape never changes, and neither dies nor moves while anybody has the file open, so leaves may share it although blocks
// otherwise have one parent; only who reads checkpoints without write permission may see another place of it after the last close of
// the others. What looks like a map with names of its own is left alone: a shape is made when the same names have been seen a few times in this
// session, and there are never more than kShapesMax.
// Not thread-safe: one per session.
#ifndef PONGO_MODEL_SHAPES_H_
#define PONGO_MODEL_SHAPES_H_

#include <cstdint>
#include <unordered_map>

#include "model/transaction.h"
#include "tree/node_edit.h"
#include "util/status.h"

namespace pongo {

inline constexpr size_t kShapeNamesMin = 2;
inline constexpr size_t kShapeNamesMax = 48;
inline constexpr uint32_t kShapeSightings = 4;   // of the same names before they become a shape
inline constexpr uint64_t kShapesMax = 4096;

class ShapeCache {
 public:
  explicit ShapeCache(Transaction* transaction) : transaction_(transaction) {}

  // The shape of a Dict with these keys, in order; kNullRef when it should have keys of its own. O(names).
  Status Find(const LeafItem* items, size_t count, Ref* shape);

 private:
  struct Known {
    Ref shape = kNullRef;
    uint32_t sightings = 0;
    uint64_t serial = 0;     // of the transaction that made it, until it is seen committed
  };
  Status Lookup(uint64_t hash, const LeafItem* items, size_t count, Known* known);
  bool Matches(Ref shape, const LeafItem* items, size_t count) const;

  Transaction* transaction_;
  std::unordered_map<uint64_t, Known> known_;
};

}  // namespace pongo

#endif  // PONGO_MODEL_SHAPES_H_
