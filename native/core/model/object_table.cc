#include "model/object_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "util/check.h"

namespace pongo {
namespace {

constexpr uint32_t kLeafBits = 4;
constexpr uint32_t kInnerBits = 5;
constexpr uint32_t kLevelsMax = 9;  // 4 + 8 * 5 = 44 bits of id
constexpr Status kBadTable(Code::kCORRUPT, "the object table holds impossible bytes");

// A checked view of one node.
struct TableNode {
  uint8_t* bytes = nullptr;
  uint64_t size = 0;
  Ref ref = kNullRef;
  NodeHeader header{};

  bool leaf() const { return header.level == 0; }
  uint32_t bitmap() const { return header.reserved; }
  bool Has(uint32_t at) const { return (bitmap() >> at & 1) != 0; }
  uint32_t IndexOf(uint32_t at) const {
    return CountBits(bitmap() & ((uint32_t{1} << at) - 1));
  }
  uint32_t width() const { return leaf() ? sizeof(ObjectEntry) : sizeof(Ref); }
  uint8_t* item(uint32_t index) const { return bytes + sizeof(NodeHeader) + size_t{width()} * index; }
  void Write() { Store(bytes, header); }
};

bool OpenNode(Mapping* mapping, Ref ref, uint32_t level, TableNode* node) {
  node->bytes = mapping->Block(ref, &node->size);
  if (PONGO_DAMAGED(node->bytes == nullptr)) return false;
  node->ref = ref;
  node->header = Load<NodeHeader>(node->bytes);
  const NodeHeader& h = node->header;
  const NodeKind kind = level == 0 ? NodeKind::kObjectLeaf : NodeKind::kObjectInner;
  if (PONGO_DAMAGED(h.kind != static_cast<uint8_t>(kind) || h.level != level)) return false;
  if (PONGO_DAMAGED(h.count != CountBits(h.reserved) || h.count > h.capacity || h.count == 0)) return false;
  if (PONGO_DAMAGED(level == 0 && (h.reserved >> 16) != 0)) return false;
  return !PONGO_DAMAGED(sizeof(NodeHeader) + uint64_t{h.capacity} * node->width() > node->size);
}

uint32_t Shift(uint32_t level) { return level == 0 ? 0 : kLeafBits + (level - 1) * kInnerBits; }
uint32_t Position(uint64_t id, uint32_t level) {
  return static_cast<uint32_t>(id >> Shift(level)) & ((1u << (level == 0 ? kLeafBits : kInnerBits)) - 1);
}
bool Covers(uint32_t levels, uint64_t id) { return levels > 0 && levels <= kLevelsMax && (id >> Shift(levels)) == 0; }

Status NewNode(WriteSet* writes, uint32_t level, uint32_t capacity, TableNode* node) {
  const uint32_t width = level == 0 ? sizeof(ObjectEntry) : sizeof(Ref);
  PONGO_TRY(writes->Allocate(sizeof(NodeHeader) + uint64_t{capacity} * width, &node->ref, &node->bytes, &node->size, Placement::kTop));
  std::memset(&node->header, 0, sizeof node->header);
  node->header.kind = static_cast<uint8_t>(level == 0 ? NodeKind::kObjectLeaf : NodeKind::kObjectInner);
  node->header.level = static_cast<uint8_t>(level);
  node->header.capacity = static_cast<uint16_t>(capacity);
  node->Write();
  return Status::Ok();
}

// Makes the node fresh, with room for `extra` more items.
Status OwnNode(WriteSet* writes, uint32_t extra, TableNode* node) {
  const uint32_t wanted = node->header.count + extra;
  if (writes->IsFresh(node->ref) && wanted <= node->header.capacity) return Status::Ok();
  const uint32_t full = node->leaf() ? 1u << kLeafBits : 1u << kInnerBits;
  TableNode copy;
  PONGO_TRY(NewNode(writes, node->header.level, writes->roomy() ? full : wanted, &copy));
  const uint16_t capacity = copy.header.capacity;
  copy.header = node->header;
  copy.header.capacity = capacity;
  copy.Write();
  std::memcpy(copy.item(0), node->item(0), size_t{node->width()} * node->header.count);
  writes->Drop(node->ref);
  *node = copy;
  return Status::Ok();
}

void InsertItem(TableNode* node, uint32_t at, const void* item) {
  const uint32_t index = node->IndexOf(at);
  std::memmove(node->item(index + 1), node->item(index), size_t{node->width()} * (node->header.count - index));
  std::memcpy(node->item(index), item, node->width());
  node->header.reserved |= uint32_t{1} << at;
  node->header.count++;
  node->Write();
}

void EraseItem(TableNode* node, uint32_t at) {
  const uint32_t index = node->IndexOf(at);
  std::memmove(node->item(index), node->item(index + 1), size_t{node->width()} * (node->header.count - index - 1));
  node->header.reserved &= ~(uint32_t{1} << at);
  node->header.count--;
  node->Write();
}

}  // namespace

Status FindObject(Mapping* mapping, const ObjectTable& table, uint64_t id, bool* present, ObjectEntry* entry) {
  *present = false;
  if (table.levels > kLevelsMax) return kBadTable;
  if (!Covers(table.levels, id)) return Status::Ok();
  Ref ref = table.root;
  for (uint32_t level = table.levels - 1;; level--) {
    TableNode node;
    if (!OpenNode(mapping, ref, level, &node)) return kBadTable;
    const uint32_t at = Position(id, level);
    if (!node.Has(at)) return Status::Ok();
    if (level == 0) {
      *entry = Load<ObjectEntry>(node.item(node.IndexOf(at)));
      *present = true;
      return Status::Ok();
    }
    ref = Load<Ref>(node.item(node.IndexOf(at))) & kRefMask;
    // In a full node, which most are, an item lies where its position says: its line comes together with the header's.
    const uint8_t* below = mapping->data() + RefOffset(ref);
    __builtin_prefetch(below);
    __builtin_prefetch(below + sizeof(NodeHeader) + (level == 1 ? sizeof(ObjectEntry) : sizeof(Ref)) * Position(id, level - 1));
  }
}

Status LastObject(Mapping* mapping, const ObjectTable& table, uint64_t* id) {
  *id = 0;
  if (table.levels > kLevelsMax) return kBadTable;
  Ref ref = table.root;
  for (uint32_t level = table.levels; level-- > 0;) {
    TableNode node;
    if (!OpenNode(mapping, ref, level, &node)) return kBadTable;
    const uint32_t at = 31 - static_cast<uint32_t>(std::countl_zero(node.bitmap()));
    *id |= static_cast<uint64_t>(at) << Shift(level);
    ref = level == 0 ? kNullRef : Load<Ref>(node.item(node.header.count - 1)) & kRefMask;
  }
  return Status::Ok();
}

Status PutObject(Mapping* mapping, WriteSet* writes, ObjectTable* table, uint64_t id, const ObjectEntry& entry, bool* added) {
  *added = false;
  while (!Covers(table->levels, id)) {  // one level more on top
    if (table->levels >= kLevelsMax) return kBadTable;
    if (table->root != kNullRef) {
      TableNode top;
      PONGO_TRY(NewNode(writes, table->levels, 1, &top));
      InsertItem(&top, 0, &table->root);
      table->root = top.ref;
    }
    table->levels++;
  }
  // Down, owning each node; a new child is entered into its parent at once.
  Ref* link = &table->root;
  Ref link_value;
  uint8_t* parent_item = nullptr;
  for (uint32_t level = table->levels - 1;; level--) {
    TableNode node;
    const uint32_t at = Position(id, level);
    if (*link == kNullRef) {
      PONGO_TRY(NewNode(writes, level, writes->roomy() ? (level == 0 ? 16 : 32) : 1, &node));
    } else {
      if (!OpenNode(mapping, *link, level, &node)) return kBadTable;
      PONGO_TRY(OwnNode(writes, node.Has(at) ? 0 : 1, &node));
    }
    if (parent_item == nullptr)
      table->root = node.ref;
    else
      Store(parent_item, node.ref);
    if (level == 0) {
      if (node.Has(at)) {
        Store(node.item(node.IndexOf(at)), entry);
      } else {
        InsertItem(&node, at, &entry);
        *added = true;
      }
      return Status::Ok();
    }
    if (!node.Has(at)) {
      const Ref none = kNullRef;
      InsertItem(&node, at, &none);
    }
    parent_item = node.item(node.IndexOf(at));
    link_value = Load<Ref>(parent_item) & kRefMask;
    link = &link_value;
  }
}

Status RemoveObject(Mapping* mapping, WriteSet* writes, ObjectTable* table, uint64_t id, bool* removed) {
  *removed = false;
  ObjectEntry entry;
  PONGO_TRY(FindObject(mapping, *table, id, removed, &entry));
  if (!*removed) return Status::Ok();
  TableNode path[kLevelsMax];
  Ref ref = table->root;
  for (uint32_t level = table->levels; level-- > 0;) {
    if (!OpenNode(mapping, ref, level, &path[level])) return kBadTable;
    ref = level == 0 ? kNullRef : Load<Ref>(path[level].item(path[level].IndexOf(Position(id, level)))) & kRefMask;
  }
  Ref child = kNullRef;  // what the level below has become
  for (uint32_t level = 0; level < table->levels; level++) {
    TableNode& node = path[level];
    const uint32_t at = Position(id, level);
    if (child == kNullRef && node.header.count == 1) {
      writes->Drop(node.ref);
      continue;
    }
    PONGO_TRY(OwnNode(writes, 0, &node));
    if (child == kNullRef)
      EraseItem(&node, at);
    else
      Store(node.item(node.IndexOf(at)), child);
    child = node.ref;
  }
  table->root = child;
  if (child == kNullRef) table->levels = 0;
  return Status::Ok();
}

namespace {

using DiffVisitor = FunctionRef<Status(uint64_t id, const ObjectEntry* before, const ObjectEntry* after)>;

// One of two tables that are walked together from the level of the higher one. Above its own top a table counts as a node whose
// only child, the first, is the top. A null ref is an empty node.
struct TableSide {
  Mapping* mapping;
  uint32_t levels;
  Ref Child(Ref ref, uint32_t level, uint32_t at, const TableNode& node) const {
    if (ref == kNullRef) return kNullRef;
    if (level >= levels) return at == 0 ? ref : kNullRef;
    return node.Has(at) ? Load<Ref>(node.item(node.IndexOf(at))) & kRefMask : kNullRef;
  }
  Status Open(Ref ref, uint32_t level, TableNode* node) const {
    if (ref == kNullRef || level >= levels) return Status::Ok();
    return OpenNode(mapping, ref, level, node) ? Status::Ok() : kBadTable;
  }
};

Status DiffLeaves(const TableNode& a, const TableNode& b, uint64_t base, DiffVisitor visit) {
  for (uint32_t at = 0; at < 1u << kLeafBits; at++) {
    const bool in_a = a.bytes != nullptr && a.Has(at);
    const bool in_b = b.bytes != nullptr && b.Has(at);
    if (!in_a && !in_b) continue;
    ObjectEntry before;
    ObjectEntry after;
    if (in_a) before = Load<ObjectEntry>(a.item(a.IndexOf(at)));
    if (in_b) after = Load<ObjectEntry>(b.item(b.IndexOf(at)));
    if (in_a && in_b && std::memcmp(&before, &after, sizeof before) == 0) continue;
    PONGO_TRY(visit(base | at, in_a ? &before : nullptr, in_b ? &after : nullptr));
  }
  return Status::Ok();
}

// Recursion is at most kLevelsMax deep.
Status DiffNodes(const TableSide& before, Ref a_ref, const TableSide& after, Ref b_ref, uint32_t level, uint64_t base,
                 DiffVisitor visit) {
  if (a_ref == b_ref) return Status::Ok();
  TableNode a;
  TableNode b;
  PONGO_TRY(before.Open(a_ref, level, &a));
  PONGO_TRY(after.Open(b_ref, level, &b));
  if (level == 0) return DiffLeaves(a, b, base, visit);
  for (uint32_t at = 0; at < 1u << kInnerBits; at++) {
    const Ref a_child = before.Child(a_ref, level, at, a);
    const Ref b_child = after.Child(b_ref, level, at, b);
    PONGO_TRY(DiffNodes(before, a_child, after, b_child, level - 1, base | (static_cast<uint64_t>(at) << Shift(level)), visit));
  }
  return Status::Ok();
}

}  // namespace

Status DiffObjects(Mapping* mapping, const ObjectTable& before, const ObjectTable& after, DiffVisitor visit) {
  if (before.levels > kLevelsMax || after.levels > kLevelsMax) return kBadTable;
  const uint32_t levels = std::max(before.levels, after.levels);
  if (levels == 0) return Status::Ok();
  return DiffNodes({mapping, before.levels}, before.root, {mapping, after.levels}, after.root, levels - 1, 0, visit);
}

Status WalkObjects(Mapping* mapping, const ObjectTable& table, FunctionRef<Status(Ref block)> block,
                   FunctionRef<Status(uint64_t id, const ObjectEntry& entry)> visit) {
  if (table.levels == 0) return table.root == kNullRef ? Status::Ok() : kBadTable;
  if (table.levels > kLevelsMax) return kBadTable;
  struct Step {
    TableNode node;
    uint32_t next = 0;
    uint64_t base = 0;
  };
  Step path[kLevelsMax];
  uint32_t level = table.levels - 1;
  PONGO_TRY(block(table.root));
  if (!OpenNode(mapping, table.root, level, &path[level].node)) return kBadTable;
  for (;;) {
    Step& step = path[level];
    const uint32_t width = level == 0 ? 1u << kLeafBits : 1u << kInnerBits;
    while (step.next < width && !step.node.Has(step.next)) step.next++;
    if (step.next == width) {
      if (level + 1 == table.levels) return Status::Ok();
      level++;
      continue;
    }
    const uint32_t at = step.next++;
    const uint64_t id = step.base | (static_cast<uint64_t>(at) << Shift(level));
    const uint8_t* item = step.node.item(step.node.IndexOf(at));
    if (level == 0) {
      PONGO_TRY(visit(id, Load<ObjectEntry>(item)));
      continue;
    }
    const Ref child = Load<Ref>(item) & kRefMask;
    PONGO_TRY(block(child));
    level--;
    path[level] = Step{};
    path[level].base = id;
    if (!OpenNode(mapping, child, level, &path[level].node)) return kBadTable;
  }
}

}  // namespace pongo
