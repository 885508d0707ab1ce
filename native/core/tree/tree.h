// The counted B+tree: map from keys to values, or sequence of values (List).
//
// All changes are made through a WriteSet: the changed path is copied (fresh nodes are edited in place) and the new root
// is returned; the old version stays as it was. Reads work on any root. A null root is the empty tree.
// After a failure the write set must be abandoned: the tree may be half-built, but nothing of it was published.
// Complexity: O(log n) for each call unless noted.
#ifndef PONGO_TREE_TREE_H_
#define PONGO_TREE_TREE_H_

#include <cstdint>
#include <vector>

#include "format/key.h"
#include "format/node.h"
#include "store/write_set.h"
#include "tree/node_edit.h"
#include "util/function_ref.h"
#include "util/status.h"

namespace pongo {

// Where a read found an entry: valid as long as the version is.
struct Found {
  Node leaf;
  uint32_t index = 0;
  Word word() const { return leaf.word(index); }
};

// The way from the root to a leaf entry.
struct Path {
  Path() {}  // leaves the nodes as they are: a visit sets each before it is looked at, and clearing all would cost more than the visit
  union {
    Node nodes[kLevelMax + 1];
  };
  uint32_t index[kLevelMax + 1];
  uint32_t depth = 0;  // nodes[0] is the root, nodes[depth - 1] the leaf
  Node& leaf() { return nodes[depth - 1]; }
  uint32_t& leaf_index() { return index[depth - 1]; }
};

// A change that gave one leaf of a tree another content and left all else as it was: enough to make the same change to another
// version of the tree that has the same leaf.
struct LeafSwap {
  Ref old_leaf = kNullRef;  // null: the change was another one
  Ref new_leaf = kNullRef;
  uint32_t depth = 0;
  uint32_t index[kLevelMax + 1];
  // Between them the nodes above were copied.
  WriteSet::Mark above_begin;
  WriteSet::Mark above_end;
};

class TreeReader {
 public:
  TreeReader(Mapping* mapping, bool keyed) : mapping_(mapping), keyed_(keyed) {}

  // *present tells whether *found was set.
  Status Find(Ref root, const Key& key, bool* present, Found* found) const;
  Status FindAt(Ref root, uint64_t position, bool* present, Found* found) const;
  // Starts loading the leaf that holds the key, or would: for a caller that has something else to do before it needs it.
  Status Expect(Ref root, const Key& key) const;
  // Number of entries whose key is below `key`, and whether the key itself is there.
  Status Rank(Ref root, const Key& key, uint64_t* rank, bool* equal) const;
  Status Count(Ref root, uint64_t* count) const;
  // Visits entries from `start` upward (step 1) or downward (step -1) until `visit` returns false or `limit` is reached.
  Status Scan(Ref root, uint64_t start, uint64_t limit, int step, FunctionRef<bool(const Node& leaf, uint32_t index)> visit) const;
  // Visits all nodes, children after their parent, and all blobs of long keys.
  Status Walk(Ref root, FunctionRef<Status(Ref block)> block, FunctionRef<Status(const Node& node)> node) const;

 protected:
  // Starts loading what a visit of the node will need first: the lines are independent, so their misses overlap.
  void Prefetch(Ref ref) const {
    const uint8_t* p = mapping_->data() + RefOffset(ref);
    __builtin_prefetch(p);
    __builtin_prefetch(p + 64);
    __builtin_prefetch(p + 128);
    __builtin_prefetch(p + 192);
  }
  // As Prefetch for a node that will be replaced: it is read to its end, and its state word is written.
  void PrefetchWhole(Ref ref) const {
    if (RefClass(ref) >= kClassCount || RefOffset(ref) >= mapping_->mapped_length()) [[unlikely]] return;
    mapping_->Prefetch(ref);
    __builtin_prefetch(mapping_->block_state(ref), 1);
  }

  Status Open(Ref ref, int level, Node* node) const {
    uint64_t size = 0;
    uint8_t* bytes = mapping_->Block(ref, &size);
    if (!Node::Open(bytes, size, ref, keyed_, level, node)) [[unlikely]]
      return Status(Code::kCORRUPT, "a tree node holds impossible bytes");
    return Status::Ok();
  }

  Mapping* mapping_;
  bool keyed_;
};

class TreeWriter : public TreeReader {
 public:
  TreeWriter(Mapping* mapping, WriteSet* writes, bool keyed) : TreeReader(mapping, keyed), editor_(mapping, writes, keyed) {}

  // Goes to the key's entry, or to where it would be inserted.
  Status Seek(Ref root, const Key& key, Path* path, bool* present) const;
  // Goes to the entry at a position; position == count goes behind the last.
  Status SeekAt(Ref root, uint64_t position, Path* path) const;
  // As SeekAt for an entry that must exist: CORRUPT where the counts of inner nodes promise more than there is.
  Status SeekEntry(Ref root, uint64_t position, Path* path) const;

  // Each takes the path of the last Seek and sets the new root; the path is used up.
  // `key` is null for sequences. Values that are dropped must have been released by the caller (block words, links).
  Status Insert(Path* path, const Key* key, const Payload& payload, Ref* root);
  // `swap`, unless null, is set when the leaf is all that changes.
  Status Replace(Path* path, const Payload& payload, Ref* root, LeafSwap* swap = nullptr);
  // Makes the same change to another version of the tree. *swapped is false where that has another leaf in this place.
  Status Swap(LeafSwap* swap, Ref base, Ref* root, bool* swapped);
  // The entry keeps its value and gets another expiry; 0: none.
  Status ReplaceExpiry(Path* path, int64_t expires, Ref* root);
  Status Erase(Path* path, Ref* root);
  // Starts a tree with one entry.
  Status InsertFirst(const Key* key, const Payload& payload, Ref* root);
  // Builds a tree from sorted items. O(n).
  Status Build(LeafItem* items, size_t count, Ref* root);
  // Sequences: adds entries behind the last one, as leaves of their own. O(n).
  Status Append(LeafItem* items, size_t count, Ref* root);
  // Removes the whole leaf at the end of the path, of a tree that has more than one.
  Status EraseLeaf(Path* path, Ref* root);
  // Drops all nodes and long keys (not the blobs of values). O(n).
  Status DropAll(Ref root);

  NodeEditor& editor() { return editor_; }

 private:
  struct Change {                // what became of the node at one level of the path
    Node left;
    uint64_t left_count = 0;
    bool split = false;
    Node right;
    uint64_t right_count = 0;
    std::vector<uint8_t> separator;
  };
  Status Separator(const LeafItem& left, const LeafItem& right, std::vector<uint8_t>* separator);
  Status RiseSwapped(Path* path, const Node& leaf, Ref* root, LeafSwap* swap);
  Status Rise(Path* path, Change* change, int64_t delta, Ref* root);
  Status Rebuild(Path* path, std::vector<LeafItem> items, const Payload& payload, Ref* root);
  Status SplitInner(Node* inner, uint32_t at, Change* below, Change* change);
  Status RiseErase(Path* path, int64_t delta, Ref* root);
  size_t LeafFit(const LeafItem* items, size_t count) const;
  Status DropLongKey(const Node& leaf, uint32_t index);
  bool IsSmall(const Node& leaf) const;
  bool HasSmallNeighbour(const Path& path, uint32_t count) const;
  Status MergeSmall(Path* path, uint32_t level_index, bool* merged);
  WriteSet* writes() const { return editor_.writes(); }

  NodeEditor editor_;
};

}  // namespace pongo

#endif  // PONGO_TREE_TREE_H_
