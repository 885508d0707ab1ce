// Finding keys in nodes. Pure functions over checked nodes; any thread. Bad bytes make them return kCorrupt.
#ifndef PONGO_TREE_NODE_SEARCH_H_
#define PONGO_TREE_NODE_SEARCH_H_

#include <cstdint>

#include "format/key.h"
#include "format/node.h"
#include "store/mapping.h"

namespace pongo {

inline constexpr uint32_t kCorruptIndex = ~0u;
inline constexpr uint32_t kAbsentIndex = ~0u - 1;

// The parts of a stored key: prefix and suffix, or one piece when it overflowed.
struct StoredKey {
  const uint8_t* prefix = nullptr;
  uint32_t prefix_size = 0;
  const uint8_t* suffix = nullptr;
  uint32_t suffix_size = 0;
  const uint8_t* form = nullptr;
  uint32_t form_size = 0;
  uint32_t size() const { return prefix_size + suffix_size; }
  // Copies the ordered form to `to`, which has room for size() bytes.
  void CopyTo(uint8_t* to) const {
    if (prefix_size != 0) std::memcpy(to, prefix, prefix_size);
    if (suffix_size != 0) std::memcpy(to + prefix_size, suffix, suffix_size);
  }
};

// The key of a leaf entry, or separator i > 0 of an inner node; `scratch` (8 bytes) holds a short separator.
bool ReadKey(Mapping* mapping, const Node& node, uint32_t i, StoredKey* key, uint8_t scratch[8]);
// Its order relative to `key`: < 0 when the stored key is smaller. *corrupt is set on bad bytes.
int CompareStored(const StoredKey& stored, const Key& key);

// Index of the entry with this key, kAbsentIndex or kCorruptIndex. Uses the fingerprints.
uint32_t FindInLeaf(Mapping* mapping, const Node& leaf, const Key& key);
// Index of the first entry whose key is >= key; kCorruptIndex.
uint32_t LowerBoundInLeaf(Mapping* mapping, const Node& leaf, const Key& key, bool* equal);
// Index of the child that holds the key; kCorruptIndex.
uint32_t FindChild(Mapping* mapping, const Node& inner, const Key& key);
// Index of the child that holds position *position, which becomes relative to that child.
uint32_t FindChildAt(const Node& inner, uint64_t* position);

// The shape of a shaped leaf; false on bad bytes.
bool ReadShape(Mapping* mapping, const Node& leaf, Node* shape);
// The bytes of a blob; false on bad bytes.
bool ReadBlob(Mapping* mapping, Ref ref, const uint8_t** bytes, uint64_t* size);

}  // namespace pongo

#endif  // PONGO_TREE_NODE_SEARCH_H_
