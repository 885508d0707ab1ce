// The nodes of the counted B+tree: byte layouts and checked access. docs/file_format.md draws them.
//
// Leaves and inner nodes exist keyed (Dict, Collection) and unkeyed (List). Arrays have room for `capacity` entries; the
// heap grows from the end of the block toward them, and heap positions are distances from the end, so that a node can be
// copied into a block of another size without touching its entries.
//
//   leaf    header | prefix * | fingerprints u8[capacity rounded up to 16] * | slots u32[capacity] * | words u64[capacity] | gap | heap
//   inner   header | prefix * | heads u64[capacity] * | children u64[capacity] | counts u32[capacity] | slots u32[capacity] * | gap | heap
//   (* only in keyed nodes; arrays of u64 begin at a multiple of 8, of u32 at a multiple of 4)
//
// What a point lookup needs first lies first: header, prefix, fingerprints and slots are in neighbouring cache lines, which
// are fetched together; key and value of an entry are neighbours in the heap.
//
// A Dict that is one leaf can leave its property names to a shape, which all Dicts with the same names share:
//
//   shaped leaf  header | Ref of the shape | words u64[capacity] | gap | heap
//   shape        a keyed leaf of another kind: its keys are the names, its words are null
//
// prefix: bytes that all keys (of an inner node: all separators) begin with. A key slot says where the rest is:
//   bits 0-15 distance from the end, 16-27 size, 28 overflow, 29 has form, 30 expires.
//   overflow: the heap holds a KeyOverflow, whose blob has the whole key.
//   has form: the heap holds suffix, form bytes and one byte with the number of form bytes.
//   expires: the 8 bytes before the key's bytes are the instant, microseconds since 1970, from which the entry is absent. Only in
//   leaves, whose header then has the flag kLeafExpires; who only looks for keys need not know.
// heads: the first 8 bytes of a separator behind the prefix, big-endian, zero-padded; separators that fit use no heap
// (distance 0). Separator 0 does not exist: child 0 takes everything below separator 1.
// children: a Ref; bits 40-47 are bits 32-39 of the subtree count, the rest of which is in counts.
#ifndef PONGO_FORMAT_NODE_H_
#define PONGO_FORMAT_NODE_H_

#include <cstddef>
#include <cstdint>

#include "format/ref.h"
#include "format/value.h"
#include "util/bits.h"
#include "util/check.h"

namespace pongo {

enum class NodeKind : uint8_t {
  kMapLeaf = 1,
  kMapInner = 2,
  kListLeaf = 3,
  kListInner = 4,
  kObjectLeaf = 5,
  kObjectInner = 6,
  kRoot = 7,
  kBlob = 8,
  kShape = 9,
  kShapedLeaf = 10,
};

struct NodeHeader {
  uint8_t kind;          // 0
  uint8_t level;         // 1   0 = leaf; a child has one less than its parent
  uint16_t count;        // 2
  uint16_t capacity;     // 4
  uint16_t prefix_size;  // 6
  uint16_t heap_size;    // 8   bytes from the lowest used one to the end
  uint16_t heap_dead;    // 10  of these, bytes that nothing refers to
  uint32_t reserved;     // 12  keyed leaf: flags (kLeafExpires); object table: bitmap; else zero
};
static_assert(sizeof(NodeHeader) == 16);

struct KeyOverflow {
  Ref blob;              // 0   BlobHeader with type 0, then the ordered form and the form bytes
  uint32_t size;         // 8   bytes of the ordered form
  uint32_t form_size;    // 12
};
static_assert(sizeof(KeyOverflow) == 16);

inline constexpr uint32_t kKeyInlineMax = 255;    // bytes of ordered form and form; longer keys overflow
inline constexpr uint32_t kLeafCountMax = 64;
inline constexpr uint32_t kLeafBytesMax = 2048;   // a leaf is split above it, unless it holds very few entries
inline constexpr uint32_t kInnerCountMax = 96;
inline constexpr uint32_t kInnerBytesMax = 4096;
inline constexpr uint32_t kListLeafCountMax = 128;
inline constexpr uint32_t kLevelMax = 30;

inline constexpr uint32_t kSlotOverflow = 1u << 28;
inline constexpr uint32_t kSlotForm = 1u << 29;
inline constexpr uint32_t kSlotExpires = 1u << 30;
inline constexpr uint32_t kLeafExpires = 1;       // flag of a leaf: entries of it may expire
inline constexpr uint32_t kExpirySize = 8;
constexpr uint32_t MakeSlot(uint32_t from_end, uint32_t size, uint32_t flags) { return from_end | (size << 16) | flags; }
constexpr uint32_t SlotFromEnd(uint32_t slot) { return slot & 0xffff; }
constexpr uint32_t SlotSize(uint32_t slot) { return (slot >> 16) & 0xfff; }

constexpr bool IsKeyed(NodeKind kind) {
  return kind == NodeKind::kMapLeaf || kind == NodeKind::kMapInner || kind == NodeKind::kShape || kind == NodeKind::kShapedLeaf;
}

// Offsets of the arrays of a node.
struct Layout {
  uint32_t first;    // fingerprints or heads
  uint32_t words;    // words or children
  uint32_t counts;   // inner only
  uint32_t slots;
  uint32_t end;      // of the arrays

  static constexpr uint32_t Align(uint32_t offset, uint32_t to) { return (offset + to - 1) / to * to; }
  static constexpr Layout Leaf(uint32_t capacity, bool keyed, uint32_t prefix_size) {
    Layout l{};
    l.first = kPrefixOffset + prefix_size;
    l.slots = keyed ? Align(l.first + (capacity + 15) / 16 * 16, 4) : l.first;
    l.words = keyed ? Align(l.slots + 4 * capacity, 8) : kPrefixOffset;
    l.counts = l.end = l.words + 8 * capacity;
    return l;
  }
  static constexpr Layout Shaped(uint32_t capacity) {
    Layout l{};
    l.first = l.slots = l.words = kPrefixOffset + sizeof(Ref);
    l.counts = l.end = l.words + 8 * capacity;
    return l;
  }
  static constexpr Layout Inner(uint32_t capacity, bool keyed, uint32_t prefix_size) {
    Layout l{};
    l.first = Align(kPrefixOffset + prefix_size, 8);
    l.words = l.first + (keyed ? 8 * capacity : 0);
    l.counts = l.words + 8 * capacity;
    l.slots = l.counts + 4 * capacity;
    l.end = l.slots + (keyed ? 4 * capacity : 0);
    return l;
  }
  static constexpr uint32_t kPrefixOffset = sizeof(NodeHeader);
};

// A node in memory. Open() is the only way to get one from untrusted bytes.
class Node {
 public:
  Node() = default;
  Node(uint8_t* bytes, uint64_t size, Ref ref) : p_(bytes), size_(static_cast<uint32_t>(size)), ref_(ref) { Relayout(); }

  // Checks kind, level and the sum of the parts against the block; false for anything a writer cannot have made.
  static bool Open(uint8_t* bytes, uint64_t size, Ref ref, bool keyed, int level, Node* node) {
    if (PONGO_DAMAGED(bytes == nullptr)) return false;
    const auto h = Load<NodeHeader>(bytes);
    const bool leaf = h.level == 0;
    const NodeKind kind = keyed ? (leaf ? NodeKind::kMapLeaf : NodeKind::kMapInner)
                                : (leaf ? NodeKind::kListLeaf : NodeKind::kListInner);
    const bool shaped = h.kind == static_cast<uint8_t>(NodeKind::kShapedLeaf) && keyed && leaf;
    if (PONGO_DAMAGED((h.kind != static_cast<uint8_t>(kind) && !shaped) || h.level > kLevelMax || (level >= 0 && h.level != level)))
      return false;
    if (PONGO_DAMAGED(h.count > h.capacity || h.count == 0)) return false;
    const Layout l = shaped ? Layout::Shaped(h.capacity)
                     : leaf ? Layout::Leaf(h.capacity, keyed, h.prefix_size)
                            : Layout::Inner(h.capacity, keyed, h.prefix_size);
    if (PONGO_DAMAGED(uint64_t{l.end} + h.heap_size > size || h.heap_dead > h.heap_size)) return false;
    node->p_ = bytes;
    node->size_ = static_cast<uint32_t>(size);
    node->ref_ = ref;
    node->header_ = h;
    node->layout_ = l;
    return true;
  }

  // Opens the shape that a shaped leaf names.
  static bool OpenShape(uint8_t* bytes, uint64_t size, Ref ref, uint32_t count, Node* node) {
    if (bytes == nullptr) return false;
    const auto h = Load<NodeHeader>(bytes);
    if (h.kind != static_cast<uint8_t>(NodeKind::kShape) || h.level != 0 || h.count != count || h.count > h.capacity) return false;
    const Layout l = Layout::Leaf(h.capacity, true, h.prefix_size);
    if (uint64_t{l.end} + h.heap_size > size) return false;
    node->p_ = bytes;
    node->size_ = static_cast<uint32_t>(size);
    node->ref_ = ref;
    node->header_ = h;
    node->layout_ = l;
    return true;
  }

  NodeKind kind() const { return static_cast<NodeKind>(header_.kind); }
  bool keyed() const { return IsKeyed(kind()); }
  bool leaf() const { return header_.level == 0; }
  bool shaped() const { return kind() == NodeKind::kShapedLeaf; }
  Ref shape() const { return Load<Ref>(p_ + Layout::kPrefixOffset) & kRefMask; }
  uint32_t level() const { return header_.level; }
  uint32_t count() const { return header_.count; }
  uint32_t capacity() const { return header_.capacity; }
  uint32_t prefix_size() const { return header_.prefix_size; }
  uint32_t heap_size() const { return header_.heap_size; }
  uint32_t heap_dead() const { return header_.heap_dead; }
  uint32_t size() const { return size_; }
  Ref ref() const { return ref_; }
  uint8_t* bytes() const { return p_; }
  const NodeHeader& header() const { return header_; }
  const Layout& layout() const { return layout_; }

  uint8_t* fingerprints() const { return p_ + layout_.first; }
  uint8_t* prefix() const { return p_ + Layout::kPrefixOffset; }
  uint8_t* end() const { return p_ + size_; }
  uint32_t gap() const { return size_ - layout_.end - header_.heap_size; }

  Word word(uint32_t i) const { return Load<Word>(p_ + layout_.words + 8 * i); }
  void set_word(uint32_t i, Word w) { Store(p_ + layout_.words + 8 * i, w); }
  uint64_t head(uint32_t i) const { return Load<uint64_t>(p_ + layout_.first + 8 * i); }
  void set_head(uint32_t i, uint64_t h) { Store(p_ + layout_.first + 8 * i, h); }
  uint32_t slot(uint32_t i) const { return Load<uint32_t>(p_ + layout_.slots + 4 * i); }
  void set_slot(uint32_t i, uint32_t s) { Store(p_ + layout_.slots + 4 * i, s); }
  // Whether entries of this leaf may have an expiry: the one test that leaves without any pay.
  bool may_expire() const { return header_.reserved != 0; }
  // The instant from which an entry of a keyed leaf is absent; 0: never. False on bad bytes.
  bool Expiry(uint32_t i, int64_t* at) const {
    *at = 0;
    if (kind() != NodeKind::kMapLeaf || (slot(i) & kSlotExpires) == 0) return true;
    const uint8_t* bytes = heap(SlotFromEnd(slot(i)) + kExpirySize, kExpirySize);
    if (bytes != nullptr) *at = Load<int64_t>(bytes);
    return bytes != nullptr && *at > 0;
  }
  Ref child(uint32_t i) const { return word(i) & kRefMask; }
  uint64_t child_count(uint32_t i) const {
    return Load<uint32_t>(p_ + layout_.counts + 4 * i) | (((word(i) >> kRefBits) & 0xff) << 32);
  }
  void set_child(uint32_t i, Ref ref, uint64_t count) {
    set_word(i, ref | (((count >> 32) & 0xff) << kRefBits));
    Store(p_ + layout_.counts + 4 * i, static_cast<uint32_t>(count));
  }

  // Entries in the subtree. O(count) for inner nodes.
  uint64_t total() const {
    if (leaf()) return count();
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count(); i++) sum += child_count(i);
    return sum;
  }

  // The heap bytes [from_end, from_end - size); nullptr when they lie outside the heap.
  uint8_t* heap(uint32_t from_end, uint32_t size) const {
    return PONGO_DAMAGED(from_end > header_.heap_size || size > from_end) ? nullptr : p_ + size_ - from_end;
  }

  // The header as changed by an edit, written back to the block.
  void set_header(const NodeHeader& header) {
    header_ = header;
    Store(p_, header);
    Relayout();
  }

 private:
  void Relayout() {
    header_ = Load<NodeHeader>(p_);
    layout_ = shaped() ? Layout::Shaped(header_.capacity)
              : leaf() ? Layout::Leaf(header_.capacity, keyed(), header_.prefix_size)
                       : Layout::Inner(header_.capacity, keyed(), header_.prefix_size);
  }

  uint8_t* p_ = nullptr;
  uint32_t size_ = 0;
  Ref ref_ = kNullRef;
  NodeHeader header_{};
  Layout layout_{};
};

// One byte of a hash of the whole key: a point lookup compares it with all entries of a leaf at once.
inline uint8_t Fingerprint(const uint8_t* key, uint32_t size) {
  constexpr uint64_t kMultiplier = 0x9fb21c651e98df25u;
  uint64_t h = size * kMultiplier;
  uint32_t i = 0;
  for (; i + 8 <= size; i += 8) h = (h ^ Load<uint64_t>(key + i)) * kMultiplier, h ^= h >> 32;
  if (i < size) {
    uint64_t tail = 0;
    std::memcpy(&tail, key + i, size - i);
    h = (h ^ tail) * kMultiplier;
  }
  return static_cast<uint8_t>(h >> 56);
}

// The first eight bytes, big-endian, zero-padded.
inline uint64_t HeadOf(const uint8_t* bytes, uint32_t size) {
  if (size >= 8) return LoadBigEndian64(bytes);
  uint64_t head = 0;
  for (uint32_t i = 0; i < size; i++) head |= static_cast<uint64_t>(bytes[i]) << (56 - 8 * i);
  return head;
}

}  // namespace pongo

#endif  // PONGO_FORMAT_NODE_H_
