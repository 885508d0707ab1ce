// Making and changing nodes. Everything here works on fresh blocks of one transaction; committed nodes are only read.
//
// Two ways lead to a changed node: a quick edit (copy as it is, if it is not fresh yet, then shift a few arrays) when the key
// begins with the node's prefix and there is room, and a rebuild from a list of items otherwise (splits, merges, compaction).
#ifndef PONGO_TREE_NODE_EDIT_H_
#define PONGO_TREE_NODE_EDIT_H_

#include <cstdint>
#include <vector>

#include "format/key.h"
#include "format/node.h"
#include "store/write_set.h"
#include "tree/node_search.h"
#include "util/status.h"

namespace pongo {

// Up to so many bytes of a heap may be dead, however few are not: to leave them out means to build the node anew.
inline constexpr uint32_t kDeadMax = 128;

// A value ready for a leaf: a final word, or bytes that the leaf takes into its heap.
struct Payload {
  Word word = kNullWord;
  const uint8_t* local = nullptr;
  uint32_t local_size = 0;
  PayloadType type = PayloadType::kString;
  bool in_scratch = false;        // the bytes are those of `scratch`; `local` is set when the payload has come to rest
  int64_t scratch = 0;
  int64_t expires = 0;            // of the entry: microseconds since 1970, 0 never
  uint32_t heap_bytes() const { return local != nullptr ? local_size : 0; }
};

// An entry of a leaf outside any node. Borrows its bytes.
struct LeafItem {
  StoredKey key;
  Ref overflow_blob = kNullRef;  // set when the key lives in a blob
  uint8_t fingerprint = 0;
  Payload payload;
};

struct InnerItem {
  StoredKey separator;           // empty for the first child of a level
  Ref overflow_blob = kNullRef;
  Ref child = kNullRef;
  uint64_t count = 0;
};

class NodeEditor {
 public:
  NodeEditor(Mapping* mapping, WriteSet* writes, bool keyed) : mapping_(mapping), writes_(writes), keyed_(keyed) {}

  // Opens a node for reading. level < 0: any. CORRUPT.
  Status Read(Ref ref, int level, Node* node) const;

  // -- quick edits --
  // Makes `node` fresh with room for `slots` more entries and `heap` more bytes. False: not possible, rebuild.
  Result<bool> Own(Node* node, uint32_t slots, uint32_t heap);
  void InsertLeaf(Node* leaf, uint32_t at, const Key* key, const Payload& payload);
  void ReplaceValue(Node* leaf, uint32_t at, const Payload& payload);
  void EraseLeaf(Node* leaf, uint32_t at);
  // Gives an entry another expiry, 0 for none; and the heap bytes that takes.
  void SetExpiry(Node* leaf, uint32_t at, int64_t expires);
  static uint32_t ExpiryHeap(const Node& leaf, uint32_t at, int64_t expires);
  void InsertInner(Node* inner, uint32_t at, const Key& separator, Ref child, uint64_t count);
  void EraseInner(Node* inner, uint32_t at);
  // Whether a key can join by a quick edit, and the heap bytes it takes then.
  bool FitsPrefix(const Node& node, const Key& key, uint32_t* heap) const;

  // -- rebuilds --
  Status Explode(const Node& leaf, std::vector<LeafItem>* items) const;
  Status ExplodeInner(const Node& inner, std::vector<InnerItem>* items, std::vector<uint8_t>* scratch) const;
  // spare: leave room for more entries when the transaction is a larger one.
  Status BuildLeaf(const LeafItem* items, size_t count, Node* leaf, bool spare = true);
  // A leaf whose keys are those of a shape, in the same order.
  Status BuildShaped(const LeafItem* items, size_t count, Ref shape, Node* leaf);
  // A shape with the keys of these items.
  Status BuildShape(const LeafItem* items, size_t count, Ref* shape);
  Status BuildInner(uint32_t level, const InnerItem* items, size_t count, Node* inner);
  // Where to cut a list of items that is too large for one node; `append` favours a full left node.
  static size_t SplitPoint(const std::vector<LeafItem>& items, bool append);
  static uint32_t LeafBytes(const LeafItem* items, size_t count, bool keyed);
  uint32_t LeafCountMax() const { return keyed_ ? kLeafCountMax : kListLeafCountMax; }

  // A blob with these bytes, one after the other.
  Status MakeBlob(uint8_t type, const uint8_t* a, uint64_t a_size, const uint8_t* b, uint64_t b_size, Ref* ref);
  // The stored form of a new key, with its blob when it is long.
  Status MakeItemKey(const Key& key, LeafItem* item);

  bool keyed() const { return keyed_; }
  WriteSet* writes() const { return writes_; }
  Mapping* mapping() const { return mapping_; }

 private:
  uint8_t* TakeHeap(Node* node, uint32_t size);
  static void DropHeap(Node* node, uint32_t size);
  void StorePayload(Node* leaf, uint32_t at, const Payload& payload);
  void PutExpiry(Node* leaf, uint32_t at, int64_t expires);
  static uint32_t ItemKeyHeap(const LeafItem& item, uint32_t prefix);

  Mapping* mapping_;
  WriteSet* writes_;
  bool keyed_;
};

}  // namespace pongo

#endif  // PONGO_TREE_NODE_EDIT_H_
