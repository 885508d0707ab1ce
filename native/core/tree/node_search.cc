#include "tree/node_search.h"

#include <bit>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace pongo {
namespace {

// One bit for each of 16 entries whose fingerprint equals `wanted`.
inline uint32_t MatchSixteen(const uint8_t* fingerprints, uint8_t wanted) {
#if defined(__SSE2__)
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(fingerprints));
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(static_cast<char>(wanted)))));
#elif defined(__ARM_NEON)
  const uint8x16_t equal = vceqq_u8(vld1q_u8(fingerprints), vdupq_n_u8(wanted));
  const uint8x16_t bits = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t masked = vandq_u8(equal, bits);
  return static_cast<uint32_t>(vaddv_u8(vget_low_u8(masked))) | (static_cast<uint32_t>(vaddv_u8(vget_high_u8(masked))) << 8);
#else
  uint32_t mask = 0;
  for (uint32_t i = 0; i < 16; i++) mask |= static_cast<uint32_t>(fingerprints[i] == wanted) << i;
  return mask;
#endif
}

bool ReadOverflow(Mapping* mapping, const uint8_t* at, StoredKey* key) {
  const auto overflow = Load<KeyOverflow>(at);
  const uint8_t* bytes;
  uint64_t size;
  if (!ReadBlob(mapping, overflow.blob & kRefMask, &bytes, &size)) return false;
  if (uint64_t{overflow.size} + overflow.form_size != size) return false;
  key->prefix = nullptr;
  key->prefix_size = 0;
  key->suffix = bytes;
  key->suffix_size = overflow.size;
  key->form = bytes + overflow.size;
  key->form_size = overflow.form_size;
  return true;
}

// Order of the prefix of a node relative to the start of the key: 0 when the key begins with it.
int ComparePrefix(const Node& node, const Key& key) {
  const uint32_t n = node.prefix_size();
  if (n == 0) return 0;
  if (key.size >= n) return EqualBytes(node.prefix(), key.data, n) ? 0 : std::memcmp(node.prefix(), key.data, n);
  const int c = std::memcmp(node.prefix(), key.data, key.size);
  return c != 0 ? c : 1;
}

}  // namespace

bool ReadBlob(Mapping* mapping, Ref ref, const uint8_t** bytes, uint64_t* size) {
  uint64_t room;
  const uint8_t* block = mapping->Block(ref, &room);
  if (PONGO_DAMAGED(block == nullptr)) return false;
  const auto header = Load<BlobHeader>(block);
  if (PONGO_DAMAGED(header.kind != static_cast<uint8_t>(NodeKind::kBlob) || header.size > room - sizeof header)) return false;
  *bytes = block + sizeof header;
  *size = header.size;
  return true;
}

bool ReadShape(Mapping* mapping, const Node& leaf, Node* shape) {
  uint64_t size = 0;
  const Ref ref = leaf.shape();
  uint8_t* bytes = mapping->Block(ref, &size);
  return Node::OpenShape(bytes, size, ref, leaf.count(), shape);
}

bool ReadKey(Mapping* mapping, const Node& node, uint32_t i, StoredKey* key, uint8_t scratch[8]) {
  if (node.shaped()) {
    Node shape;
    if (!ReadShape(mapping, node, &shape)) return false;
    // A writer puts only short plain names into shapes.
    if ((shape.slot(i) & (kSlotOverflow | kSlotForm)) != 0 || shape.prefix_size() + SlotSize(shape.slot(i)) > kKeyInlineMax) return false;
    return ReadKey(mapping, shape, i, key, scratch);
  }
  const uint32_t slot = node.slot(i);
  const uint32_t size = SlotSize(slot);
  key->form_size = 0;
  if (!node.leaf() && SlotFromEnd(slot) == 0) {  // a short separator lives in its head
    if (size > 8) return false;
    Store(scratch, __builtin_bswap64(node.head(i)));
    key->prefix = node.prefix();
    key->prefix_size = node.prefix_size();
    key->suffix = scratch;
    key->suffix_size = size;
    return true;
  }
  const uint8_t* at = node.heap(SlotFromEnd(slot), size);
  if (at == nullptr) return false;
  if ((slot & kSlotOverflow) != 0) return size == sizeof(KeyOverflow) && ReadOverflow(mapping, at, key);
  key->prefix = node.prefix();
  key->prefix_size = node.prefix_size();
  key->suffix = at;
  key->suffix_size = size;
  if ((slot & kSlotForm) != 0) {
    if (size == 0) return false;
    const uint8_t form_size = at[size - 1];  // read once
    if (form_size >= size) return false;
    key->form_size = form_size;
    key->suffix_size = size - 1 - key->form_size;
    key->form = at + key->suffix_size;
  }
  return true;
}

int CompareStored(const StoredKey& stored, const Key& key) {
  const uint32_t n = stored.prefix_size;
  if (n != 0) {
    const int c = CompareBytes(stored.prefix, n, key.data, key.size < n ? key.size : n);
    if (c != 0) return c;
  }
  return CompareBytes(stored.suffix, stored.suffix_size, key.data + n, key.size - n);
}

uint32_t FindInLeaf(Mapping* mapping, const Node& leaf, const Key& key) {
  if (leaf.shaped()) {
    Node shape;
    return ReadShape(mapping, leaf, &shape) ? FindInLeaf(mapping, shape, key) : kCorruptIndex;
  }
  const uint32_t n = leaf.prefix_size();
  const uint8_t wanted = Fingerprint(key.data, key.size);
  const uint32_t count = leaf.count();
  const uint8_t* fingerprints = leaf.fingerprints();
  for (uint32_t base = 0; base < count; base += 16) {
    uint32_t mask = MatchSixteen(fingerprints + base, wanted);
    if (count - base < 16) mask &= (1u << (count - base)) - 1;
    for (; mask != 0; mask &= mask - 1) {
      const uint32_t i = base + static_cast<uint32_t>(std::countr_zero(mask));
      const uint32_t slot = leaf.slot(i);
      if ((slot & (kSlotOverflow | kSlotForm)) == 0) [[likely]] {
        const uint32_t size = SlotSize(slot);
        if (size + n != key.size) continue;
        const uint8_t* at = leaf.heap(SlotFromEnd(slot), size);
        if (PONGO_DAMAGED(at == nullptr)) return kCorruptIndex;
        __builtin_prefetch(at - kGranule / 2);  // a local value was stored just below its key
        if (EqualBytes(at, key.data + n, size) && EqualBytes(leaf.prefix(), key.data, n)) return i;
        continue;
      }
      StoredKey stored;
      uint8_t scratch[8];
      if (!ReadKey(mapping, leaf, i, &stored, scratch)) return kCorruptIndex;
      if (stored.size() == key.size && CompareStored(stored, key) == 0) return i;
    }
  }
  return kAbsentIndex;
}

uint32_t LowerBoundInLeaf(Mapping* mapping, const Node& leaf, const Key& key, bool* equal) {
  *equal = false;
  if (leaf.shaped()) {
    Node shape;
    return ReadShape(mapping, leaf, &shape) ? LowerBoundInLeaf(mapping, shape, key, equal) : kCorruptIndex;
  }
  const int c = ComparePrefix(leaf, key);
  if (c != 0) return c > 0 ? 0 : leaf.count();
  uint32_t low = 0;
  uint32_t high = leaf.count();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    StoredKey stored;
    uint8_t scratch[8];
    if (!ReadKey(mapping, leaf, middle, &stored, scratch)) return kCorruptIndex;
    const int order = CompareStored(stored, key);
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
      if (order == 0) *equal = true;
    }
  }
  return low;
}

uint32_t FindChild(Mapping* mapping, const Node& inner, const Key& key) {
  const int c = ComparePrefix(inner, key);
  if (c != 0) return c > 0 ? 0 : inner.count() - 1;
  const uint32_t n = inner.prefix_size();
  const uint8_t* rest = key.data + n;
  const uint32_t rest_size = key.size - n;
  const uint64_t head = HeadOf(rest, rest_size);
  // The last child whose separator's head is below the key's, without a branch that could be mispredicted.
  uint32_t low = 0;
  uint32_t length = inner.count() - 1;  // separators 1..count-1
  while (length > 0) {
    const uint32_t half = (length + 1) / 2;
    low = inner.head(low + half) < head ? low + half : low;
    length -= half;
  }
  // Separators with the same head: compare in full.
  while (low + 1 < inner.count() && inner.head(low + 1) == head) {
    StoredKey stored;
    uint8_t scratch[8];
    if (!ReadKey(mapping, inner, low + 1, &stored, scratch)) return kCorruptIndex;
    if (CompareStored(stored, key) > 0) break;
    low++;
  }
  return low;
}

uint32_t FindChildAt(const Node& inner, uint64_t* position) {
  for (uint32_t i = 0; i < inner.count(); i++) {
    const uint64_t n = inner.child_count(i);
    if (*position < n) return i;
    *position -= n;
  }
  return kCorruptIndex;
}

}  // namespace pongo
