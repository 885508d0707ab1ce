#include <algorithm>
#include <cstring>

#include "tree/tree.h"
#include "util/check.h"
#include "util/testing.h"

namespace pongo {
namespace {

constexpr Status kBadSearch(Code::kCORRUPT, "a key of a tree node holds impossible bytes");

Key BorrowKey(const std::vector<uint8_t>& bytes) {
  Key key;
  key.data = bytes.data();
  key.size = static_cast<uint32_t>(bytes.size());
  return key;
}

}  // namespace

Status TreeWriter::Seek(Ref root, const Key& key, Path* path, bool* present) const {
  path->depth = 0;
  int level = -1;
  Ref ref = root;
  for (;;) {
    if (path->depth > kLevelMax) return kBadSearch;
    Node& node = path->nodes[path->depth];
    PONGO_TRY(Open(ref, level, &node));
    uint32_t& index = path->index[path->depth++];
    if (node.leaf()) {
      index = FindInLeaf(mapping_, node, key);
      *present = index != kAbsentIndex;
      if (!*present) {
        bool equal;
        index = LowerBoundInLeaf(mapping_, node, key, &equal);
      }
      return index == kCorruptIndex ? kBadSearch : Status::Ok();
    }
    index = FindChild(mapping_, node, key);
    if (index == kCorruptIndex) return kBadSearch;
    ref = node.child(index);
    PrefetchWhole(ref);
    level = static_cast<int>(node.level()) - 1;
  }
}

Status TreeWriter::SeekAt(Ref root, uint64_t position, Path* path) const {
  path->depth = 0;
  int level = -1;
  Ref ref = root;
  for (;;) {
    if (path->depth > kLevelMax) return kBadSearch;
    Node& node = path->nodes[path->depth];
    PONGO_TRY(Open(ref, level, &node));
    uint32_t& index = path->index[path->depth++];
    if (node.leaf()) {
      index = static_cast<uint32_t>(std::min<uint64_t>(position, node.count()));
      return Status::Ok();
    }
    index = FindChildAt(node, &position);
    if (index == kCorruptIndex) {  // behind the end: the last child takes it
      index = node.count() - 1;
      position = node.child_count(index);
    }
    ref = node.child(index);
    Prefetch(ref);
    level = static_cast<int>(node.level()) - 1;
  }
}

Status TreeWriter::SeekEntry(Ref root, uint64_t position, Path* path) const {
  PONGO_TRY(SeekAt(root, position, path));
  return path->leaf_index() < path->leaf().count() ? Status::Ok() : kBadSearch;
}

// The shortest bytes above the last key on the left and not above the first on the right.
Status TreeWriter::Separator(const LeafItem& left, const LeafItem& right, std::vector<uint8_t>* separator) {
  separator->clear();
  if (!editor_.keyed()) return Status::Ok();
  std::vector<uint8_t> a(left.key.size() + 1);
  std::vector<uint8_t> b(right.key.size() + 1);
  left.key.CopyTo(a.data());
  right.key.CopyTo(b.data());
  const uint32_t n = std::min(left.key.size(), right.key.size());
  uint32_t same = 0;
  while (same < n && a[same] == b[same]) same++;
  separator->assign(b.data(), b.data() + std::min(same + 1, right.key.size()));
  return Status::Ok();
}

Status TreeWriter::InsertFirst(const Key* key, const Payload& payload, Ref* root) {
  LeafItem item;
  if (key != nullptr) PONGO_TRY(editor_.MakeItemKey(*key, &item));
  item.payload = payload;
  Node leaf;
  PONGO_TRY(editor_.BuildLeaf(&item, 1, &leaf));
  *root = leaf.ref();
  return Status::Ok();
}

Status TreeWriter::Insert(Path* path, const Key* key, const Payload& payload, Ref* root) {
  Node& leaf = path->leaf();
  const uint32_t at = path->leaf_index();
  Change change;
  uint32_t key_heap = 0;
  if (key == nullptr || editor_.FitsPrefix(leaf, *key, &key_heap)) {
    Node quick = leaf;
    const uint32_t expiry = payload.expires != 0 ? kExpirySize : 0;
    const Result<bool> owned = editor_.Own(&quick, 1, key_heap + expiry + payload.heap_bytes());
    if (!owned.ok()) return owned.status();
    if (owned.value()) {
      editor_.InsertLeaf(&quick, at, key, payload);
      change.left = quick;
      return Rise(path, &change, 1, root);
    }
  }
  std::vector<LeafItem> items;
  PONGO_TRY(editor_.Explode(leaf, &items));
  LeafItem item;
  if (key != nullptr) PONGO_TRY(editor_.MakeItemKey(*key, &item));
  item.payload = payload;
  items.insert(items.begin() + at, item);
  if (items.size() <= editor_.LeafCountMax() && NodeEditor::LeafBytes(items.data(), items.size(), keyed_) <= kLeafBytesMax) {
    PONGO_TRY(editor_.BuildLeaf(items.data(), items.size(), &change.left));
    writes()->Drop(leaf.ref());
    return Rise(path, &change, 1, root);
  }
  // Ascending inserts leave full nodes behind: at the right edge of the tree only the new entry goes right.
  bool append = at + 1 == items.size();
  for (uint32_t d = 0; append && d + 1 < path->depth; d++) append = path->index[d] + 1 == path->nodes[d].count();
  const size_t cut = NodeEditor::SplitPoint(items, append);
  PONGO_TRY(Separator(items[cut - 1], items[cut], &change.separator));
  if (append) {
    change.left = leaf;
  } else {
    PONGO_TRY(editor_.BuildLeaf(items.data(), cut, &change.left));
  }
  PONGO_TRY(editor_.BuildLeaf(items.data() + cut, items.size() - cut, &change.right));
  if (!append) writes()->Drop(leaf.ref());
  change.split = true;
  change.right_count = items.size() - cut;
  return Rise(path, &change, 1, root);
}

Status TreeWriter::Replace(Path* path, const Payload& payload, Ref* root, LeafSwap* swap) {
  Node& leaf = path->leaf();
  const uint32_t at = path->leaf_index();
  Change change;
  Node quick = leaf;
  const Word old = leaf.word(at);
  // A damaged word may point outside the heap: the new payload then needs room of its own.
  const bool in_place =
      IsLocal(old) && payload.heap_bytes() <= LocalSize(old) && leaf.heap(LocalFromEnd(old), LocalSize(old)) != nullptr;
  const bool expires = keyed_ && !leaf.shaped() && (payload.expires != 0 || leaf.may_expire());
  const uint32_t expiry = expires ? NodeEditor::ExpiryHeap(leaf, at, payload.expires) : 0;
  Result<bool> owned(false);
  // An entry that expires cannot leave its key to a shape.
  if (payload.expires == 0 || !leaf.shaped()) owned = editor_.Own(&quick, 0, (in_place ? 0 : payload.heap_bytes()) + expiry);
  if (!owned.ok()) return owned.status();
  if (owned.value()) {
    editor_.ReplaceValue(&quick, at, payload);
    if (expires) editor_.SetExpiry(&quick, at, payload.expires);
    if (swap != nullptr && quick.ref() != leaf.ref()) return RiseSwapped(path, quick, root, swap);
    change.left = quick;
    return Rise(path, &change, 0, root);
  }
  std::vector<LeafItem> items;
  PONGO_TRY(editor_.Explode(leaf, &items));
  return Rebuild(path, std::move(items), payload, root);
}

Status TreeWriter::RiseSwapped(Path* path, const Node& leaf, Ref* root, LeafSwap* swap) {
  swap->old_leaf = path->leaf().ref();
  swap->new_leaf = leaf.ref();
  swap->depth = path->depth;
  std::copy_n(path->index, path->depth, swap->index);
  swap->above_begin = writes()->mark();
  Change change;
  change.left = leaf;
  PONGO_TRY(Rise(path, &change, 0, root));
  swap->above_end = writes()->mark();
  return Status::Ok();
}

Status TreeWriter::Swap(LeafSwap* swap, Ref base, Ref* root, bool* swapped) {
  *swapped = false;
  Path path;
  Ref ref = base;
  int level = -1;
  for (uint32_t d = 0; d < swap->depth; d++) {
    if (ref == kNullRef || (d + 1 == swap->depth && ref != swap->old_leaf && !PONGO_PLANTED(29))) return Status::Ok();
    Node& node = path.nodes[d];
    PONGO_TRY(Open(ref, level, &node));
    if (node.leaf() != (d + 1 == swap->depth) || swap->index[d] >= node.count()) return Status::Ok();
    path.index[d] = swap->index[d];
    path.depth = d + 1;
    if (node.leaf()) break;
    ref = node.child(swap->index[d]);
    level = static_cast<int>(node.level()) - 1;
  }
  if (!writes()->Undo(swap->above_begin, swap->above_end)) return Status::Ok();
  Node leaf;
  PONGO_TRY(Open(swap->new_leaf, 0, &leaf));
  *swapped = true;
  return RiseSwapped(&path, leaf, root, swap);
}

// The leaf of the path anew, with another payload for its entry.
Status TreeWriter::Rebuild(Path* path, std::vector<LeafItem> items, const Payload& payload, Ref* root) {
  Node& leaf = path->leaf();
  Change change;
  items[path->leaf_index()].payload = payload;
  if (NodeEditor::LeafBytes(items.data(), items.size(), keyed_) > kLeafBytesMax && items.size() > 1) {
    const size_t cut = NodeEditor::SplitPoint(items, false);
    PONGO_TRY(Separator(items[cut - 1], items[cut], &change.separator));
    PONGO_TRY(editor_.BuildLeaf(items.data(), cut, &change.left));
    PONGO_TRY(editor_.BuildLeaf(items.data() + cut, items.size() - cut, &change.right));
    change.split = true;
    change.right_count = items.size() - cut;
  } else {
    PONGO_TRY(editor_.BuildLeaf(items.data(), items.size(), &change.left));
  }
  writes()->Drop(leaf.ref());
  return Rise(path, &change, 0, root);
}

Status TreeWriter::ReplaceExpiry(Path* path, int64_t expires, Ref* root) {
  Node& leaf = path->leaf();
  const uint32_t at = path->leaf_index();
  if (!leaf.shaped()) {
    Node quick = leaf;
    const Result<bool> owned = editor_.Own(&quick, 0, NodeEditor::ExpiryHeap(leaf, at, expires));
    if (!owned.ok()) return owned.status();
    if (owned.value()) {
      editor_.SetExpiry(&quick, at, expires);
      Change change;
      change.left = quick;
      return Rise(path, &change, 0, root);
    }
  }
  std::vector<LeafItem> items;
  PONGO_TRY(editor_.Explode(leaf, &items));
  Payload payload = items[at].payload;
  if (IsLocal(payload.word)) payload.word = kNullWord;
  payload.expires = expires;
  return Rebuild(path, std::move(items), payload, root);
}

// Carries a changed node up to the root. delta: entries gained by the whole subtree.
Status TreeWriter::Rise(Path* path, Change* change, int64_t delta, Ref* root) {
  for (uint32_t d = path->depth - 1; d-- > 0;) {
    Node inner = path->nodes[d];
    const uint32_t i = path->index[d];
    const uint64_t before = inner.child_count(i);
    change->left_count = before + static_cast<uint64_t>(delta) - change->right_count;
    if (!change->split && delta == 0 && change->left.ref() == path->nodes[d + 1].ref()) {
      *root = path->nodes[0].ref();  // edited in place: nothing above changes
      return Status::Ok();
    }
    Change next;
    uint32_t heap = 0;
    Key separator = BorrowKey(change->separator);
    const bool quick = !change->split || !keyed_ || editor_.FitsPrefix(inner, separator, &heap);
    Result<bool> owned(false);
    if (quick) owned = editor_.Own(&inner, change->split ? 1 : 0, heap);
    if (!owned.ok()) return owned.status();
    if (owned.value()) {
      inner.set_child(i, change->left.ref(), change->left_count);
      if (change->split) editor_.InsertInner(&inner, i + 1, separator, change->right.ref(), change->right_count);
      next.left = inner;
    } else {
      PONGO_TRY(SplitInner(&inner, i, change, &next));
    }
    *change = std::move(next);
  }
  if (!change->split) {
    *root = change->left.ref();
    return Status::Ok();
  }
  // The root was split: a new one above the two.
  InnerItem items[2];
  items[0].child = change->left.ref();
  items[0].count = change->left.total();
  items[1].child = change->right.ref();
  items[1].count = change->right_count;
  if (keyed_) {
    LeafItem key;
    PONGO_TRY(editor_.MakeItemKey(BorrowKey(change->separator), &key));
    items[1].separator = key.key;
    items[1].overflow_blob = key.overflow_blob;
  }
  Node top;
  PONGO_TRY(editor_.BuildInner(change->left.level() + 1, items, 2, &top));
  *root = top.ref();
  return Status::Ok();
}

// Rebuilds an inner node whose child `at` became `below`; in two parts when it is too large.
Status TreeWriter::SplitInner(Node* inner, uint32_t at, Change* below, Change* change) {
  std::vector<InnerItem> items;
  std::vector<uint8_t> scratch;
  scratch.reserve(8 * inner->count());
  PONGO_TRY(editor_.ExplodeInner(*inner, &items, &scratch));
  items[at].child = below->left.ref();
  items[at].count = below->left_count;
  if (below->split) {
    InnerItem item;
    item.child = below->right.ref();
    item.count = below->right_count;
    if (keyed_) {
      LeafItem key;
      PONGO_TRY(editor_.MakeItemKey(BorrowKey(below->separator), &key));
      item.separator = key.key;
      item.overflow_blob = key.overflow_blob;
    }
    items.insert(items.begin() + at + 1, item);
  }
  const auto bytes_of = [&](size_t from, size_t to) {
    uint64_t bytes = Layout::Inner(static_cast<uint32_t>(to - from), keyed_, 0).end;
    for (size_t i = from; i < to; i++)
      bytes += items[i].overflow_blob != kNullRef ? sizeof(KeyOverflow) : items[i].separator.size();
    return bytes;
  };
  if (items.size() <= kInnerCountMax && bytes_of(0, items.size()) <= kInnerBytesMax * 2) {
    PONGO_TRY(editor_.BuildInner(inner->level(), items.data(), items.size(), &change->left));
  } else {
    // Appending keeps the left node nearly full, as in leaves.
    const size_t cut = at + 2 == items.size() ? items.size() * 7 / 8 : items.size() / 2;
    PONGO_CHECK(cut > 0 && cut < items.size());
    if (keyed_) {  // the separator of the right part's first child moves up
      const StoredKey& middle = items[cut].separator;
      change->separator.resize(middle.size() + 1);
      middle.CopyTo(change->separator.data());
      change->separator.resize(middle.size());
    }
    PONGO_TRY(editor_.BuildInner(inner->level(), items.data(), cut, &change->left));
    PONGO_TRY(editor_.BuildInner(inner->level(), items.data() + cut, items.size() - cut, &change->right));
    change->split = true;
    change->right_count = change->right.total();
    if (items[cut].overflow_blob != kNullRef) writes()->Drop(items[cut].overflow_blob);
  }
  writes()->Drop(inner->ref());
  return Status::Ok();
}

// The blob of a key that is long enough to have one.
Status TreeWriter::DropLongKey(const Node& leaf, uint32_t index) {
  if (!keyed_ || leaf.shaped() || (leaf.slot(index) & kSlotOverflow) == 0) return Status::Ok();
  const uint8_t* bytes = leaf.heap(SlotFromEnd(leaf.slot(index)), sizeof(KeyOverflow));
  if (bytes == nullptr) return kBadSearch;
  writes()->Drop(Load<KeyOverflow>(bytes).blob & kRefMask);
  return Status::Ok();
}

// By its entries, not its capacity: a roomy leaf of a large transaction may hold few.
bool TreeWriter::IsSmall(const Node& leaf) const {
  const uint32_t used = Layout::Leaf(leaf.count(), keyed_, leaf.prefix_size()).end + leaf.heap_size() - leaf.heap_dead();
  return used < kLeafBytesMax / 4 && leaf.count() < editor_.LeafCountMax() / 4;
}

// Whether the leaf that MergeSmall would join it with has few enough entries: the parent knows their number.
bool TreeWriter::HasSmallNeighbour(const Path& path, uint32_t count) const {
  if (path.depth == 1) return false;
  const Node& parent = path.nodes[path.depth - 2];
  const uint32_t at = path.index[path.depth - 2];
  if (parent.count() < 2) return false;
  return count + parent.child_count(at > 0 ? at - 1 : 1) <= editor_.LeafCountMax() * 3 / 4;
}

Status TreeWriter::Erase(Path* path, Ref* root) {
  Node leaf = path->leaf();
  const uint32_t at = path->leaf_index();
  PONGO_TRY(DropLongKey(leaf, at));
  if (leaf.count() == 1) {
    writes()->Drop(leaf.ref());
    path->depth--;
    return RiseErase(path, -1, root);
  }
  // Without one of its names a shaped leaf has another shape: from now on it has its own keys. And what is mostly dead is not carried on.
  if (leaf.shaped() || (leaf.heap_dead() > leaf.heap_size() / 2 && leaf.heap_dead() > kDeadMax)) {
    std::vector<LeafItem> items;
    PONGO_TRY(editor_.Explode(leaf, &items));
    items.erase(items.begin() + at);
    PONGO_TRY(editor_.BuildLeaf(items.data(), items.size(), &leaf));
    writes()->Drop(path->leaf().ref());
  } else {
    const Result<bool> owned = editor_.Own(&leaf, 0, 0);
    if (!owned.ok()) return owned.status();
    PONGO_CHECK(owned.value());
    editor_.EraseLeaf(&leaf, at);
  }
  const bool small = IsSmall(leaf) && HasSmallNeighbour(*path, leaf.count());
  Change change;
  change.left = leaf;
  PONGO_TRY(Rise(path, &change, -1, root));
  if (!small) return Status::Ok();
  // Merge with a neighbour. The path must be walked again: Rise has replaced its nodes.
  Path again;
  uint64_t position = 0;
  for (uint32_t d = 0; d + 1 < path->depth; d++)
    for (uint32_t i = 0; i < path->index[d]; i++) position += path->nodes[d].child_count(i);
  PONGO_TRY(SeekAt(*root, position, &again));
  bool merged = false;
  PONGO_TRY(MergeSmall(&again, again.depth - 2, &merged));
  if (!merged) return Status::Ok();
  *root = again.nodes[0].ref();
  // A root with one child is no node of its own.
  for (;;) {
    Node top;
    PONGO_TRY(Open(*root, -1, &top));
    if (top.leaf() || top.count() > 1) return Status::Ok();
    const Ref child = top.child(0);
    writes()->Drop(top.ref());
    *root = child;
  }
}

// The node below the end of the path is gone: removes it from its parent, and so on upward.
Status TreeWriter::RiseErase(Path* path, int64_t delta, Ref* root) {
  while (path->depth > 0) {
    Node inner = path->nodes[path->depth - 1];
    const uint32_t i = path->index[path->depth - 1];
    if (inner.count() == 1) {
      writes()->Drop(inner.ref());
      path->depth--;
      continue;
    }
    const Result<bool> owned = editor_.Own(&inner, 0, 0);
    if (!owned.ok()) return owned.status();
    PONGO_CHECK(owned.value());
    editor_.EraseInner(&inner, i);
    if (path->depth == 1 && inner.count() == 1) {
      Ref child = inner.child(0);
      writes()->Drop(inner.ref());
      *root = child;
      for (;;) {
        Node top;
        PONGO_TRY(Open(child, -1, &top));
        if (top.leaf() || top.count() > 1) return Status::Ok();
        *root = top.child(0);
        writes()->Drop(child);
        child = *root;
      }
    }
    Change change;
    change.left = inner;
    return Rise(path, &change, delta, root);
  }
  *root = kNullRef;
  return Status::Ok();
}

// Merges the child at path->index[d] of nodes[d] with a neighbour if both fit in one node. The path down to d is fresh.
Status TreeWriter::MergeSmall(Path* path, uint32_t d, bool* merged) {
  Node parent = path->nodes[d];
  const uint32_t i = path->index[d];
  if (parent.count() < 2) return Status::Ok();
  const uint32_t left_index = i > 0 ? i - 1 : 0;
  const int level = static_cast<int>(parent.level()) - 1;
  Node left;
  Node right;
  PONGO_TRY(editor_.Read(parent.child(left_index), level, &left));
  PONGO_TRY(editor_.Read(parent.child(left_index + 1), level, &right));
  const uint64_t total = parent.child_count(left_index) + parent.child_count(left_index + 1);
  Node joined;
  if (level == 0) {
    // Most neighbours are too large, which shows before they are taken apart: together they need no less than this.
    const uint32_t count = left.count() + right.count();
    const uint32_t heap = left.heap_size() - left.heap_dead() + right.heap_size() - right.heap_dead();
    if (count > editor_.LeafCountMax() * 3 / 4 || count * sizeof(Word) + heap > kLeafBytesMax * 3 / 4) return Status::Ok();
    std::vector<LeafItem> items;
    PONGO_TRY(editor_.Explode(left, &items));
    PONGO_TRY(editor_.Explode(right, &items));
    if (NodeEditor::LeafBytes(items.data(), items.size(), keyed_) > kLeafBytesMax * 3 / 4) return Status::Ok();
    PONGO_TRY(editor_.BuildLeaf(items.data(), items.size(), &joined));
  } else {
    if (left.count() + right.count() > kInnerCountMax * 3 / 4) return Status::Ok();
    std::vector<InnerItem> items;
    std::vector<uint8_t> scratch;
    scratch.reserve(8 * (left.count() + right.count() + 1));
    PONGO_TRY(editor_.ExplodeInner(left, &items, &scratch));
    const size_t first = items.size();
    PONGO_TRY(editor_.ExplodeInner(right, &items, &scratch));
    std::vector<uint8_t> middle;
    if (keyed_) {  // the separator between the two comes down; the parent's copy of a long one goes with its entry
      uint8_t short_separator[8];
      StoredKey separator;
      if (!ReadKey(mapping_, parent, left_index + 1, &separator, short_separator)) return kBadSearch;
      middle.resize(separator.size() + 1);
      separator.CopyTo(middle.data());
      middle.resize(separator.size());
      LeafItem key;
      PONGO_TRY(editor_.MakeItemKey(BorrowKey(middle), &key));
      items[first].separator = key.key;
      items[first].overflow_blob = key.overflow_blob;
    }
    PONGO_TRY(editor_.BuildInner(left.level(), items.data(), items.size(), &joined));
  }
  const Result<bool> owned = editor_.Own(&parent, 0, 0);
  if (!owned.ok()) return owned.status();
  PONGO_CHECK(owned.value() && parent.ref() == path->nodes[d].ref());
  editor_.EraseInner(&parent, left_index + 1);
  parent.set_child(left_index, joined.ref(), total);
  writes()->Drop(left.ref());
  writes()->Drop(right.ref());
  path->nodes[d] = parent;
  *merged = true;
  if (d == 0 || parent.count() >= kInnerCountMax / 4) return Status::Ok();
  return MergeSmall(path, d - 1, merged);
}

// As many as fit in a leaf. The estimate is exact but costs O(n), so it begins with the most and is cut back.
size_t TreeWriter::LeafFit(const LeafItem* items, size_t count) const {
  size_t n = std::min<size_t>(count, editor_.LeafCountMax());
  while (n > 1 && NodeEditor::LeafBytes(items, n, keyed_) > kLeafBytesMax) n -= std::max<size_t>(1, n / 8);
  return n;
}

Status TreeWriter::Append(LeafItem* items, size_t count, Ref* root) {
  if (*root == kNullRef) return Build(items, count, root);
  for (size_t from = 0; from < count;) {
    Path path;
    PONGO_TRY(SeekAt(*root, ~uint64_t{0}, &path));
    Change change;
    change.left = path.leaf();
    change.split = true;
    change.right_count = LeafFit(items + from, count - from);
    PONGO_TRY(editor_.BuildLeaf(items + from, change.right_count, &change.right, false));
    from += change.right_count;
    PONGO_TRY(Rise(&path, &change, static_cast<int64_t>(change.right_count), root));
  }
  return Status::Ok();
}

Status TreeWriter::EraseLeaf(Path* path, Ref* root) {
  const Node leaf = path->leaf();
  for (uint32_t i = 0; i < leaf.count(); i++) PONGO_TRY(DropLongKey(leaf, i));
  writes()->Drop(leaf.ref());
  path->depth--;
  return RiseErase(path, -static_cast<int64_t>(leaf.count()), root);
}

Status TreeWriter::Build(LeafItem* items, size_t count, Ref* root) {
  *root = kNullRef;
  if (count == 0) return Status::Ok();
  std::vector<InnerItem> level_items;
  std::vector<std::vector<uint8_t>> separators;  // own the bytes that the items point at
  const auto add = [&](const Node& node, uint64_t entries, std::vector<uint8_t> separator, std::vector<InnerItem>* to) -> Status {
    InnerItem item;
    item.child = node.ref();
    item.count = entries;
    if (keyed_ && !to->empty()) {
      separators.push_back(std::move(separator));
      LeafItem key;
      PONGO_TRY(editor_.MakeItemKey(BorrowKey(separators.back()), &key));
      item.separator = key.key;
      item.overflow_blob = key.overflow_blob;
    }
    to->push_back(item);
    return Status::Ok();
  };
  for (size_t from = 0; from < count;) {
    const size_t n = LeafFit(items + from, count - from);
    Node leaf;
    PONGO_TRY(editor_.BuildLeaf(items + from, n, &leaf, false));
    std::vector<uint8_t> separator;
    if (from > 0) PONGO_TRY(Separator(items[from - 1], items[from], &separator));
    PONGO_TRY(add(leaf, n, std::move(separator), &level_items));
    from += n;
  }
  for (uint32_t level = 1; level_items.size() > 1; level++) {
    std::vector<InnerItem> above;
    for (size_t from = 0; from < level_items.size();) {
      size_t n = std::min<size_t>(level_items.size() - from, kInnerCountMax);
      if (level_items.size() - from == n + 1) n--;  // never leave a lone child
      if (n == 0) n = 1;
      uint64_t total = 0;
      uint64_t bytes = 0;
      for (size_t i = from; i < from + n; i++) {
        bytes += level_items[i].overflow_blob != kNullRef ? sizeof(KeyOverflow) : level_items[i].separator.size();
        if (i > from + 1 && bytes > kInnerBytesMax) n = i - from;
        else total += level_items[i].count;
      }
      InnerItem first = level_items[from];
      std::vector<uint8_t> separator;
      if (keyed_ && from > 0) {  // the first child's separator moves up
        separator.resize(first.separator.size() + 1);
        first.separator.CopyTo(separator.data());
        separator.resize(first.separator.size());
        if (first.overflow_blob != kNullRef) writes()->Drop(first.overflow_blob);
        level_items[from].separator = StoredKey{};
        level_items[from].overflow_blob = kNullRef;
      }
      Node inner;
      PONGO_TRY(editor_.BuildInner(level, level_items.data() + from, n, &inner));
      PONGO_TRY(add(inner, total, std::move(separator), &above));
      from += n;
    }
    level_items = std::move(above);
  }
  *root = level_items[0].child;
  return Status::Ok();
}

Status TreeWriter::DropAll(Ref root) {
  std::vector<Ref> blocks;  // dropped after the walk: a fresh block could be reused at once
  PONGO_TRY(Walk(
      root,
      [&](Ref block) {
        blocks.push_back(block);
        return Status::Ok();
      },
      [](const Node&) { return Status::Ok(); }));
  for (const Ref block : blocks) writes()->Drop(block);
  return Status::Ok();
}

}  // namespace pongo
