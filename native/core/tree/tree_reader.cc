#include <algorithm>

#include "tree/tree.h"

namespace pongo {
namespace {

constexpr Status kBadSearch(Code::kCORRUPT, "a key of a tree node holds impossible bytes");
constexpr Status kBadCount(Code::kCORRUPT, "the counts of a tree node are wrong");

}  // namespace

Status TreeReader::Find(Ref root, const Key& key, bool* present, Found* found) const {
  *present = false;
  if (root == kNullRef) return Status::Ok();
  int level = -1;
  Ref ref = root;
  for (;;) {
    Node& node = found->leaf;
    PONGO_TRY(Open(ref, level, &node));
    if (node.leaf()) {
      const uint32_t i = FindInLeaf(mapping_, node, key);
      if (i == kCorruptIndex) return kBadSearch;
      *present = i != kAbsentIndex;
      found->index = i;
      return Status::Ok();
    }
    const uint32_t i = FindChild(mapping_, node, key);
    if (i == kCorruptIndex) return kBadSearch;
    ref = node.child(i);
    Prefetch(ref);
    level = static_cast<int>(node.level()) - 1;
  }
}

Status TreeReader::FindAt(Ref root, uint64_t position, bool* present, Found* found) const {
  *present = false;
  if (root == kNullRef) return Status::Ok();
  int level = -1;
  Ref ref = root;
  for (;;) {
    Node& node = found->leaf;
    PONGO_TRY(Open(ref, level, &node));
    if (node.leaf()) {
      *present = position < node.count();
      found->index = static_cast<uint32_t>(position);
      return Status::Ok();
    }
    const uint32_t i = FindChildAt(node, &position);
    if (i == kCorruptIndex) return Status::Ok();  // behind the end
    ref = node.child(i);
    Prefetch(ref);
    level = static_cast<int>(node.level()) - 1;
  }
}

Status TreeReader::Expect(Ref root, const Key& key) const {
  if (root == kNullRef) return Status::Ok();
  Node node;
  PONGO_TRY(Open(root, -1, &node));
  for (uint32_t level = node.level(); level > 0; level--) {
    const uint32_t i = FindChild(mapping_, node, key);
    if (i == kCorruptIndex) return kBadSearch;
    const Ref child = node.child(i);
    if (level > 1) {
      PONGO_TRY(Open(child, static_cast<int>(level) - 1, &node));
      continue;
    }
    const uint8_t* bytes = mapping_->data() + RefOffset(child);
    for (uint32_t at = 0; at < kLeafBytesMax; at += 64) __builtin_prefetch(bytes + at);
  }
  return Status::Ok();
}

Status TreeReader::Rank(Ref root, const Key& key, uint64_t* rank, bool* equal) const {
  *rank = 0;
  *equal = false;
  if (root == kNullRef) return Status::Ok();
  int level = -1;
  Ref ref = root;
  for (;;) {
    Node node;
    PONGO_TRY(Open(ref, level, &node));
    if (node.leaf()) {
      const uint32_t i = LowerBoundInLeaf(mapping_, node, key, equal);
      if (i == kCorruptIndex) return kBadSearch;
      *rank += i;
      return Status::Ok();
    }
    const uint32_t i = FindChild(mapping_, node, key);
    if (i == kCorruptIndex) return kBadSearch;
    for (uint32_t k = 0; k < i; k++) *rank += node.child_count(k);
    ref = node.child(i);
    Prefetch(ref);
    level = static_cast<int>(node.level()) - 1;
  }
}

Status TreeReader::Count(Ref root, uint64_t* count) const {
  *count = 0;
  if (root == kNullRef) return Status::Ok();
  Node node;
  PONGO_TRY(Open(root, -1, &node));
  *count = node.total();
  return Status::Ok();
}

Status TreeReader::Scan(Ref root, uint64_t start, uint64_t limit, int step,
                        FunctionRef<bool(const Node& leaf, uint32_t index)> visit) const {
  if (root == kNullRef || limit == 0) return Status::Ok();
  Path path;
  uint64_t position = start;
  int level = -1;
  Ref ref = root;
  for (;;) {  // down to the first entry
    if (path.depth > kLevelMax) return kBadCount;
    Node& node = path.nodes[path.depth];
    PONGO_TRY(Open(ref, level, &node));
    if (node.leaf()) {
      if (position >= node.count()) return Status::Ok();
      path.index[path.depth++] = static_cast<uint32_t>(position);
      break;
    }
    const uint32_t i = FindChildAt(node, &position);
    if (i == kCorruptIndex) return Status::Ok();
    path.index[path.depth++] = i;
    ref = node.child(i);
    Prefetch(ref);
    level = static_cast<int>(node.level()) - 1;
  }
  for (;;) {
    const Node& leaf = path.leaf();
    for (;;) {
      if (!visit(leaf, path.leaf_index()) || --limit == 0) return Status::Ok();
      if (step > 0 ? path.leaf_index() + 1 >= leaf.count() : path.leaf_index() == 0) break;
      path.leaf_index() += static_cast<uint32_t>(step);
    }
    // Up until there is a neighbour, then down its near edge.
    uint32_t d = path.depth - 1;
    for (;;) {
      if (d == 0) return Status::Ok();
      d--;
      if (step > 0 ? path.index[d] + 1 < path.nodes[d].count() : path.index[d] > 0) break;
    }
    path.index[d] += static_cast<uint32_t>(step);
    while (!path.nodes[d].leaf()) {
      PONGO_TRY(Open(path.nodes[d].child(path.index[d]), static_cast<int>(path.nodes[d].level()) - 1, &path.nodes[d + 1]));
      d++;
      path.index[d] = step > 0 ? 0 : path.nodes[d].count() - 1;
    }
    path.depth = d + 1;
  }
}

Status TreeReader::Walk(Ref root, FunctionRef<Status(Ref block)> block, FunctionRef<Status(const Node& node)> visit) const {
  if (root == kNullRef) return Status::Ok();
  Path path;
  PONGO_TRY(block(root));
  PONGO_TRY(Open(root, -1, &path.nodes[0]));
  path.depth = 1;
  path.index[0] = 0;
  const auto enter = [&](const Node& node) -> Status {
    PONGO_TRY(visit(node));
    if (!keyed_ || node.shaped()) return Status::Ok();  // a shape is no part of the tree
    for (uint32_t i = node.leaf() ? 0 : 1; i < node.count(); i++) {
      const uint32_t slot = node.slot(i);
      if ((slot & kSlotOverflow) == 0) continue;
      const uint8_t* at = SlotSize(slot) == sizeof(KeyOverflow) ? node.heap(SlotFromEnd(slot), sizeof(KeyOverflow)) : nullptr;
      if (at == nullptr) return kBadSearch;
      PONGO_TRY(block(Load<KeyOverflow>(at).blob & kRefMask));
    }
    return Status::Ok();
  };
  PONGO_TRY(enter(path.nodes[0]));
  while (path.depth > 0) {
    const Node& top = path.nodes[path.depth - 1];
    uint32_t& i = path.index[path.depth - 1];
    if (top.leaf() || i == top.count()) {
      path.depth--;
      continue;
    }
    const Ref child = top.child(i);
    i++;
    PONGO_TRY(block(child));
    Node& node = path.nodes[path.depth];
    PONGO_TRY(Open(child, static_cast<int>(top.level()) - 1, &node));
    path.index[path.depth++] = 0;
    PONGO_TRY(enter(node));
  }
  return Status::Ok();
}

}  // namespace pongo
