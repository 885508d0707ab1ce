// The object table: container id -> where its tree is. It hangs under the root record of each version.
//
// A radix tree over the id: leaves of 16 entries, inner nodes of 32 children, both compact: a bitmap tells which positions
// exist, so that a table full of holes (old ids die, ids are never reused) stays small. One level more multiplies the range
// of ids by 32; ids only grow, so levels are added at the top.
//
//   leaf   NodeHeader (reserved: bitmap of 16) | ObjectEntry[capacity]
//   inner  NodeHeader (reserved: bitmap of 32) | Ref[capacity]
//
// Changes go through a WriteSet, like those of trees. O(levels).
#ifndef PONGO_MODEL_OBJECT_TABLE_H_
#define PONGO_MODEL_OBJECT_TABLE_H_

#include <cstdint>

#include "format/node.h"
#include "store/write_set.h"
#include "util/function_ref.h"
#include "util/status.h"

namespace pongo {

struct ObjectEntry {
  uint64_t root = 0;    // 0   bits 0-39 Ref of the tree's root (0: empty), 40-43 kind, 44-51 flags of a Collection
  uint64_t size = 0;    // 8   entries
  uint64_t parent = 0;  // 16  bits 0-39 id of one container that holds it, 0 unknown; 40-63 links (saturating)

  Ref tree() const { return root & kRefMask; }
  uint8_t kind() const { return static_cast<uint8_t>(root >> kRefBits) & 15; }
  bool has_companion() const { return (root & kHasCompanion) != 0; }
  void set_tree(Ref tree) { root = (root & ~kRefMask) | tree; }
  bool bounded() const { return (root & kBounded) != 0; }
  bool is_lru() const { return (root & kLru) != 0; }
  static constexpr uint64_t kHasCompanion = uint64_t{1} << 44;  // model/companion.h
  static constexpr uint64_t kBounded = uint64_t{1} << 45;       // model/bounds.h
  static constexpr uint64_t kLru = uint64_t{1} << 46;           // reads note the use of entries
  // The number of stamps of an LRU Collection, as a power of two: bits 47-51.
  uint32_t stamp_bits() const { return static_cast<uint32_t>(root >> kStampShift) & 31; }
  static constexpr uint32_t kStampShift = 47;
  uint64_t links() const { return parent >> 40; }
  uint64_t parent_id() const { return parent & kContainerIdMax; }
  static uint64_t PackRoot(Ref tree, uint8_t kind) { return tree | (static_cast<uint64_t>(kind) << kRefBits); }
  static uint64_t PackParent(uint64_t id, uint64_t links) { return id | (links << 40); }
};
static_assert(sizeof(ObjectEntry) == 24);
inline constexpr uint64_t kLinksMax = (1u << 24) - 1;

struct ObjectTable {
  Ref root = kNullRef;
  uint32_t levels = 0;
};

// *present = false when there is no such container. CORRUPT.
Status FindObject(Mapping* mapping, const ObjectTable& table, uint64_t id, bool* present, ObjectEntry* entry);
Status PutObject(Mapping* mapping, WriteSet* writes, ObjectTable* table, uint64_t id, const ObjectEntry& entry, bool* added);
Status RemoveObject(Mapping* mapping, WriteSet* writes, ObjectTable* table, uint64_t id, bool* removed);
// Visits what differs between two tables, in order of id: entries with other bytes, and those of one table only (the other is
// null then). Shared parts are skipped. Both versions must be protected.
Status DiffObjects(Mapping* mapping, const ObjectTable& before, const ObjectTable& after,
                   FunctionRef<Status(uint64_t id, const ObjectEntry* before, const ObjectEntry* after)> visit);
// Visits all blocks of the table and all entries in order of id.
// The greatest id in the table; 0 when it is empty. O(height).
Status LastObject(Mapping* mapping, const ObjectTable& table, uint64_t* id);

Status WalkObjects(Mapping* mapping, const ObjectTable& table, FunctionRef<Status(Ref block)> block,
                   FunctionRef<Status(uint64_t id, const ObjectEntry& entry)> entry);

}  // namespace pongo

#endif  // PONGO_MODEL_OBJECT_TABLE_H_
