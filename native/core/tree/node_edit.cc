#include "tree/node_edit.h"

#include <algorithm>
#include <cstring>

#include "util/check.h"

namespace pongo {
namespace {

constexpr uint32_t kHeapMax = 0xffff;

// Bytes at the start that two stored keys share; at most `limit`.
uint32_t CommonPrefix(const StoredKey& a, const StoredKey& b, uint32_t limit) {
  const uint32_t n = std::min({a.size(), b.size(), limit});
  if (a.prefix_size == 0 && b.prefix_size == 0) return CommonLength(a.suffix, b.suffix, n);
  const auto at = [](const StoredKey& k, uint32_t i) {
    return i < k.prefix_size ? k.prefix[i] : k.suffix[i - k.prefix_size];
  };
  uint32_t i = 0;
  while (i < n && at(a, i) == at(b, i)) i++;
  return i;
}

constexpr Status kUnsorted(Code::kCORRUPT, "the keys of a tree node are out of order");
constexpr Status kNotLive(Code::kCORRUPT, "a tree node lies in a block that is marked as free");

// The bytes that all items begin with: what the first and the last have in common, as they are sorted. CORRUPT when another
// one does not share them, which only a damaged file brings about.
template <class Item>
Status SharedPrefix(const Item* items, size_t count, StoredKey Item::*key, uint32_t* prefix) {
  *prefix = 0;
  if (count < 2) return Status::Ok();  // a lone key has no prefix: the next one would seldom share all of it
  *prefix = CommonPrefix(items[0].*key, items[count - 1].*key, kKeyInlineMax);
  for (size_t i = 1; i + 1 < count; i++)
    if (CommonPrefix(items[0].*key, items[i].*key, *prefix) != *prefix) return kUnsorted;
  return Status::Ok();
}

// Copies the bytes of a stored key from `from` on.
void CopySuffix(const StoredKey& key, uint32_t from, uint8_t* to) {
  if (from < key.prefix_size) {
    std::memcpy(to, key.prefix + from, key.prefix_size - from);
    to += key.prefix_size - from;
    from = key.prefix_size;
  }
  const uint32_t rest = key.size() - from;
  if (rest != 0) std::memcpy(to, key.suffix + (from - key.prefix_size), rest);
}

void ShiftArray(uint8_t* base, uint32_t width, uint32_t at, uint32_t count, bool open) {
  uint8_t* p = base + width * at;
  if (open)
    std::memmove(p + width, p, size_t{width} * (count - at));
  else
    std::memmove(p, p + width, size_t{width} * (count - at - 1));
}

}  // namespace

Status NodeEditor::Read(Ref ref, int level, Node* node) const {
  uint64_t size = 0;
  uint8_t* bytes = mapping_->Block(ref, &size);
  if (!Node::Open(bytes, size, ref, keyed_, level, node)) return Status(Code::kCORRUPT, "a tree node holds impossible bytes");
  return Status::Ok();
}

Result<bool> NodeEditor::Own(Node* node, uint32_t slots, uint32_t heap) {
  const bool fresh = writes_->IsFresh(node->ref());
  const uint32_t count = node->count() + slots;
  if (fresh && count <= node->capacity() && heap <= node->gap()) return true;
  const bool leaf = node->leaf();
  const uint32_t count_max = leaf ? LeafCountMax() : kInnerCountMax;
  const uint32_t bytes_max = leaf ? kLeafBytesMax : kInnerBytesMax;
  const bool growing = slots != 0 || heap != 0;
  if (slots != 0 && (count > count_max || node->shaped())) return false;
  if (growing && node->heap_dead() > node->heap_size() / 2 && node->heap_dead() > kDeadMax) return false;  // compact instead
  uint32_t capacity = count;
  uint32_t heap_wanted = node->heap_size() + heap;
  const auto bytes_for = [&](uint32_t entries) {
    return (node->shaped() ? Layout::Shaped(entries) : leaf ? Layout::Leaf(entries, keyed_, node->prefix_size()) : Layout::Inner(entries, keyed_, node->prefix_size())).end;
  };
  if (growing && bytes_for(capacity) + heap_wanted > bytes_max) return false;
  if (heap_wanted > kHeapMax) return false;
  if (writes_->roomy() && !node->shaped()) {  // more edits will follow: take double the room, in proportion
    capacity = std::min(count_max, count + std::max<uint32_t>(4, count));
    while (capacity > count && bytes_for(capacity) + heap_wanted > bytes_max) capacity--;
    const uint32_t left = bytes_max - std::min(bytes_max, bytes_for(capacity) + heap_wanted);
    heap_wanted += std::min({left, heap_wanted, kHeapMax - heap_wanted});
  }
  Ref ref;
  uint8_t* bytes;
  uint64_t size;
  PONGO_TRY(writes_->Allocate(bytes_for(capacity) + heap_wanted, &ref, &bytes, &size, leaf ? Placement::kAnywhere : Placement::kInner));
  // In a damaged file. Copied onto itself, the node would no longer be what was looked at.
  if (PONGO_DAMAGED(bytes < node->end() && node->bytes() < bytes + size)) return kNotLive;
  // Same entries, other capacity: a handful of copies, none of them per entry.
  NodeHeader header = node->header();
  const Layout& from = node->layout();
  header.capacity = static_cast<uint16_t>(capacity);
  Store(bytes, header);
  Node copy(bytes, size, ref);
  const Layout& to = copy.layout();
  const uint32_t n = node->count();
  const uint8_t* source = node->bytes();
  if (node->shaped()) {
    Store(bytes + Layout::kPrefixOffset, node->shape());
  } else if (keyed_) {
    std::memcpy(bytes + to.first, source + from.first, leaf ? n : 8 * n);
    std::memcpy(bytes + to.slots, source + from.slots, 4 * n);
    std::memcpy(copy.prefix(), node->prefix(), node->prefix_size());
  }
  std::memcpy(bytes + to.words, source + from.words, 8 * n);
  if (!leaf) std::memcpy(bytes + to.counts, source + from.counts, 4 * n);
  std::memcpy(bytes + size - node->heap_size(), node->end() - node->heap_size(), node->heap_size());
  writes_->Drop(node->ref());
  *node = copy;
  return true;
}

uint8_t* NodeEditor::TakeHeap(Node* node, uint32_t size) {
  PONGO_ASSERT(size <= node->gap());
  NodeHeader header = node->header();
  header.heap_size = static_cast<uint16_t>(header.heap_size + size);
  node->set_header(header);
  return node->end() - header.heap_size;
}

void NodeEditor::DropHeap(Node* node, uint32_t size) {
  NodeHeader header = node->header();
  header.heap_dead = static_cast<uint16_t>(header.heap_dead + size);
  node->set_header(header);
}

void NodeEditor::StorePayload(Node* leaf, uint32_t at, const Payload& payload) {
  if (payload.local == nullptr) {
    leaf->set_word(at, payload.word);
    return;
  }
  uint8_t* to = TakeHeap(leaf, payload.local_size);
  std::memcpy(to, payload.local, payload.local_size);
  leaf->set_word(at, LocalWord(payload.type, payload.local_size, leaf->heap_size()));
}

bool NodeEditor::FitsPrefix(const Node& node, const Key& key, uint32_t* heap) const {
  const uint32_t n = node.prefix_size();
  if (key.size + key.form_size > kKeyInlineMax || node.shaped()) return false;
  if (key.size < n || (n != 0 && std::memcmp(node.prefix(), key.data, n) != 0)) return false;
  const uint32_t rest = key.size - n;
  *heap = !node.leaf() && rest <= 8 ? 0 : rest + (key.form_size != 0 ? key.form_size + 1 : 0);
  return true;
}

void NodeEditor::InsertLeaf(Node* leaf, uint32_t at, const Key* key, const Payload& payload) {
  const uint32_t count = leaf->count();
  PONGO_ASSERT(count < leaf->capacity());
  const Layout l = leaf->layout();
  uint8_t* p = leaf->bytes();
  ShiftArray(p + l.words, 8, at, count, true);
  if (keyed_) {
    ShiftArray(p + l.first, 1, at, count, true);
    ShiftArray(p + l.slots, 4, at, count, true);
    const uint32_t n = leaf->prefix_size();
    const uint32_t rest = key->size - n;
    const uint32_t form = key->form_size != 0 ? key->form_size + 1 : 0;
    uint8_t* to = TakeHeap(leaf, rest + form);
    if (rest != 0) std::memcpy(to, key->data + n, rest);
    if (form != 0) {
      std::memcpy(to + rest, key->form, key->form_size);
      to[rest + form - 1] = static_cast<uint8_t>(key->form_size);
    }
    leaf->set_slot(at, MakeSlot(leaf->heap_size(), rest + form, form != 0 ? kSlotForm : 0));
    p[l.first + at] = Fingerprint(key->data, key->size);
    if (payload.expires != 0) [[unlikely]] PutExpiry(leaf, at, payload.expires);
  }
  NodeHeader header = leaf->header();
  header.count++;
  leaf->set_header(header);
  StorePayload(leaf, at, payload);
}

void NodeEditor::ReplaceValue(Node* leaf, uint32_t at, const Payload& payload) {
  const Word old = leaf->word(at);
  if (IsLocal(old)) {
    // The new payload may lie in the old one's place.
    if (payload.local != nullptr && payload.local_size <= LocalSize(old)) {
      uint8_t* to = leaf->heap(LocalFromEnd(old), LocalSize(old));
      if (to != nullptr) {
        std::memcpy(to, payload.local, payload.local_size);
        leaf->set_word(at, LocalWord(payload.type, payload.local_size, LocalFromEnd(old)));
        DropHeap(leaf, LocalSize(old) - payload.local_size);
        return;
      }
    }
    DropHeap(leaf, LocalSize(old));
  }
  StorePayload(leaf, at, payload);
}

// The expiry of a key whose bytes were put into the heap last: it goes right before them.
void NodeEditor::PutExpiry(Node* leaf, uint32_t at, int64_t expires) {
  Store(TakeHeap(leaf, kExpirySize), expires);
  leaf->set_slot(at, leaf->slot(at) | kSlotExpires);
  NodeHeader header = leaf->header();
  header.reserved |= kLeafExpires;
  leaf->set_header(header);
}

uint32_t NodeEditor::ExpiryHeap(const Node& leaf, uint32_t at, int64_t expires) {
  if (expires == 0 || (leaf.slot(at) & kSlotExpires) != 0) return 0;
  return kExpirySize + SlotSize(leaf.slot(at));
}

void NodeEditor::SetExpiry(Node* leaf, uint32_t at, int64_t expires) {
  const uint32_t slot = leaf->slot(at);
  if ((slot & kSlotExpires) != 0) {
    uint8_t* to = leaf->heap(SlotFromEnd(slot) + kExpirySize, kExpirySize);
    if (expires == 0 || to == nullptr) {
      leaf->set_slot(at, slot & ~kSlotExpires);
      DropHeap(leaf, kExpirySize);
    } else {
      Store(to, expires);
    }
    return;
  }
  if (expires == 0) return;
  // The key moves to where there is room before it.
  const uint32_t size = SlotSize(slot);
  const uint8_t* from = leaf->heap(SlotFromEnd(slot), size);
  PONGO_ASSERT(from != nullptr);  // a key that was just compared
  std::memcpy(TakeHeap(leaf, size), from, size);
  leaf->set_slot(at, MakeSlot(leaf->heap_size(), size, slot & (kSlotOverflow | kSlotForm)));
  DropHeap(leaf, size);
  PutExpiry(leaf, at, expires);
}

void NodeEditor::EraseLeaf(Node* leaf, uint32_t at) {
  const uint32_t count = leaf->count();
  const Word old = leaf->word(at);
  uint32_t dead = IsLocal(old) ? LocalSize(old) : 0;
  const Layout l = leaf->layout();
  uint8_t* p = leaf->bytes();
  if (keyed_) {
    dead += SlotSize(leaf->slot(at)) + ((leaf->slot(at) & kSlotExpires) != 0 ? kExpirySize : 0);
    ShiftArray(p + l.first, 1, at, count, false);
    ShiftArray(p + l.slots, 4, at, count, false);
  }
  ShiftArray(p + l.words, 8, at, count, false);
  NodeHeader header = leaf->header();
  header.count--;
  header.heap_dead = static_cast<uint16_t>(std::min<uint32_t>(header.heap_size, header.heap_dead + dead));
  leaf->set_header(header);
}

void NodeEditor::InsertInner(Node* inner, uint32_t at, const Key& separator, Ref child, uint64_t count) {
  const uint32_t n = inner->count();
  PONGO_ASSERT(n < inner->capacity() && at > 0);
  const Layout l = inner->layout();
  uint8_t* p = inner->bytes();
  ShiftArray(p + l.words, 8, at, n, true);
  ShiftArray(p + l.counts, 4, at, n, true);
  if (keyed_) {
    ShiftArray(p + l.first, 8, at, n, true);
    ShiftArray(p + l.slots, 4, at, n, true);
    const uint8_t* rest = separator.data + inner->prefix_size();
    const uint32_t size = separator.size - inner->prefix_size();
    uint32_t from_end = 0;
    if (size > 8) {
      std::memcpy(TakeHeap(inner, size), rest, size);
      from_end = inner->heap_size();
    }
    inner->set_head(at, HeadOf(rest, size));
    inner->set_slot(at, MakeSlot(from_end, size, 0));
  }
  NodeHeader header = inner->header();
  header.count++;
  inner->set_header(header);
  inner->set_child(at, child, count);
}

void NodeEditor::EraseInner(Node* inner, uint32_t at) {
  const uint32_t n = inner->count();
  const Layout l = inner->layout();
  uint8_t* p = inner->bytes();
  uint32_t dead = 0;
  if (keyed_) {
    // Without child 0 the next one takes over its range and needs no separator.
    const uint32_t gone = at == 0 ? 1 : at;
    if (gone < n) {
      const uint32_t slot = inner->slot(gone);
      if (SlotFromEnd(slot) != 0) {
        dead = SlotSize(slot);
        const uint8_t* bytes = inner->heap(SlotFromEnd(slot), dead);
        if ((slot & kSlotOverflow) != 0 && bytes != nullptr && dead == sizeof(KeyOverflow))
          writes_->Drop(Load<KeyOverflow>(bytes).blob & kRefMask);
      }
    }
    ShiftArray(p + l.first, 8, at, n, false);
    ShiftArray(p + l.slots, 4, at, n, false);
    if (at == 0) {
      inner->set_head(0, 0);
      inner->set_slot(0, 0);
    }
  }
  ShiftArray(p + l.words, 8, at, n, false);
  ShiftArray(p + l.counts, 4, at, n, false);
  NodeHeader header = inner->header();
  header.count--;
  header.heap_dead = static_cast<uint16_t>(std::min<uint32_t>(header.heap_size, header.heap_dead + dead));
  inner->set_header(header);
}

Status NodeEditor::MakeBlob(uint8_t type, const uint8_t* a, uint64_t a_size, const uint8_t* b, uint64_t b_size, Ref* ref) {
  uint8_t* bytes;
  uint64_t size;
  PONGO_TRY(writes_->Allocate(sizeof(BlobHeader) + a_size + b_size, ref, &bytes, &size));
  BlobHeader header;
  std::memset(&header, 0, sizeof header);
  header.kind = static_cast<uint8_t>(NodeKind::kBlob);
  header.type = type;
  header.size = a_size + b_size;
  Store(bytes, header);
  if (a_size != 0) std::memcpy(bytes + sizeof header, a, a_size);
  if (b_size != 0) std::memcpy(bytes + sizeof header + a_size, b, b_size);
  return Status::Ok();
}

Status NodeEditor::MakeItemKey(const Key& key, LeafItem* item) {
  item->key = StoredKey{nullptr, 0, key.data, key.size, key.form, key.form_size};
  item->fingerprint = Fingerprint(key.data, key.size);
  item->overflow_blob = kNullRef;
  if (key.size + key.form_size > kKeyInlineMax)
    PONGO_TRY(MakeBlob(0, key.data, key.size, key.form, key.form_size, &item->overflow_blob));
  return Status::Ok();
}

Status NodeEditor::Explode(const Node& leaf, std::vector<LeafItem>* items) const {
  items->reserve(leaf.count() + 1);
  for (uint32_t i = 0; i < leaf.count(); i++) {
    LeafItem item;
    if (keyed_) {
      uint8_t scratch[8];
      if (!ReadKey(mapping_, leaf, i, &item.key, scratch)) return Status(Code::kCORRUPT, "a stored key holds impossible bytes");
      if (leaf.shaped()) {
        Node shape;
        if (!ReadShape(mapping_, leaf, &shape)) return Status(Code::kCORRUPT, "a shape holds impossible bytes");
        item.fingerprint = shape.fingerprints()[i];
      } else if ((leaf.slot(i) & kSlotOverflow) != 0) {
        item.overflow_blob = Load<KeyOverflow>(leaf.heap(SlotFromEnd(leaf.slot(i)), sizeof(KeyOverflow))).blob & kRefMask;
      }
      if (!leaf.shaped()) item.fingerprint = leaf.fingerprints()[i];
      if (leaf.may_expire() && !leaf.Expiry(i, &item.payload.expires))
        return Status(Code::kCORRUPT, "a stored expiry holds impossible bytes");
    }
    item.payload.word = leaf.word(i);
    if (IsLocal(item.payload.word)) {
      item.payload.local_size = LocalSize(item.payload.word);
      item.payload.type = LocalType(item.payload.word);
      item.payload.local = leaf.heap(LocalFromEnd(item.payload.word), item.payload.local_size);
      if (item.payload.local == nullptr) return Status(Code::kCORRUPT, "a stored value holds impossible bytes");
    }
    items->push_back(item);
  }
  return Status::Ok();
}

Status NodeEditor::ExplodeInner(const Node& inner, std::vector<InnerItem>* items, std::vector<uint8_t>* scratch) const {
  // Short separators are copied out: they have no bytes of their own to point at. The reservation keeps pointers valid.
  const size_t start = scratch->size();
  PONGO_CHECK(scratch->capacity() >= start + 8 * inner.count());
  scratch->resize(start + 8 * inner.count());
  for (uint32_t i = 0; i < inner.count(); i++) {
    InnerItem item;
    item.child = inner.child(i);
    item.count = inner.child_count(i);
    if (keyed_ && i > 0) {
      if (!ReadKey(mapping_, inner, i, &item.separator, scratch->data() + start + 8 * i))
        return Status(Code::kCORRUPT, "a separator holds impossible bytes");
      if ((inner.slot(i) & kSlotOverflow) != 0)
        item.overflow_blob = Load<KeyOverflow>(inner.heap(SlotFromEnd(inner.slot(i)), sizeof(KeyOverflow))).blob & kRefMask;
    }
    items->push_back(item);
  }
  return Status::Ok();
}

uint32_t NodeEditor::ItemKeyHeap(const LeafItem& item, uint32_t prefix) {
  const uint32_t expiry = item.payload.expires != 0 ? kExpirySize : 0;
  if (item.overflow_blob != kNullRef) return expiry + uint32_t{sizeof(KeyOverflow)};
  return expiry + item.key.size() - prefix + (item.key.form_size != 0 ? item.key.form_size + 1 : 0);
}

uint32_t NodeEditor::LeafBytes(const LeafItem* items, size_t count, bool keyed) {
  uint32_t bytes = 0;
  uint32_t prefix = 0;
  if (keyed && count > 1) prefix = CommonPrefix(items[0].key, items[count - 1].key, kKeyInlineMax);
  for (size_t i = 0; i < count; i++) {
    if (keyed) bytes += ItemKeyHeap(items[i], prefix);
    bytes += items[i].payload.heap_bytes();
  }
  return bytes + Layout::Leaf(static_cast<uint32_t>(count), keyed, prefix).end;
}

size_t NodeEditor::SplitPoint(const std::vector<LeafItem>& items, bool append) {
  if (append) return items.size() - 1;
  uint32_t total = 0;
  const auto weight = [](const LeafItem& item) {
    return 13 + (item.overflow_blob != kNullRef ? uint32_t{sizeof(KeyOverflow)} : item.key.suffix_size) + item.payload.heap_bytes() +
           (item.payload.expires != 0 ? kExpirySize : 0);
  };
  for (const LeafItem& item : items) total += weight(item);
  uint32_t left = 0;
  for (size_t i = 0; i + 1 < items.size(); i++) {
    left += weight(items[i]);
    if (left * 2 >= total) return i + 1;
  }
  return items.size() / 2;
}

Status NodeEditor::BuildLeaf(const LeafItem* items, size_t count, Node* leaf, bool spare) {
  PONGO_ASSERT(count > 0);
  uint32_t prefix = 0;
  if (keyed_) PONGO_TRY(SharedPrefix(items, count, &LeafItem::key, &prefix));
  uint32_t heap = 0;
  for (size_t i = 0; i < count; i++) heap += (keyed_ ? ItemKeyHeap(items[i], prefix) : 0) + items[i].payload.heap_bytes();
  if (heap > kHeapMax) return Status(Code::kCORRUPT, "the entries of a tree node are larger than a writer makes them");
  uint32_t capacity = static_cast<uint32_t>(count);
  uint32_t bytes_needed = Layout::Leaf(capacity, keyed_, prefix).end + heap;
  if (spare && writes_->roomy() && count > 1) {
    // A split leaf of a larger transaction will see more inserts.
    const uint32_t per_entry = std::max<uint32_t>(8, bytes_needed / capacity);
    const uint32_t room = bytes_needed < kLeafBytesMax ? (kLeafBytesMax - bytes_needed) / per_entry : 0;
    capacity = std::min(LeafCountMax(), capacity + std::min(room, capacity));
    capacity = std::max(capacity, static_cast<uint32_t>(count));
    bytes_needed = std::max(bytes_needed, std::min(kLeafBytesMax, per_entry * capacity + 64));
    bytes_needed = std::max(bytes_needed, Layout::Leaf(capacity, keyed_, prefix).end + heap);
  }
  Ref ref;
  uint8_t* bytes;
  uint64_t size;
  PONGO_TRY(writes_->Allocate(bytes_needed, &ref, &bytes, &size));
  NodeHeader header;
  std::memset(&header, 0, sizeof header);
  header.kind = static_cast<uint8_t>(keyed_ ? NodeKind::kMapLeaf : NodeKind::kListLeaf);
  header.count = static_cast<uint16_t>(count);
  header.capacity = static_cast<uint16_t>(capacity);
  header.prefix_size = static_cast<uint16_t>(prefix);
  Store(bytes, header);
  *leaf = Node(bytes, size, ref);
  if (prefix != 0) {
    StoredKey head = items[0].key;
    for (uint32_t i = 0; i < prefix; i++)
      leaf->prefix()[i] = i < head.prefix_size ? head.prefix[i] : head.suffix[i - head.prefix_size];
  }
  for (size_t n = 0; n < count; n++) {
    const LeafItem& item = items[n];
    const auto i = static_cast<uint32_t>(n);
    if (keyed_) {
      const uint32_t key_heap = ItemKeyHeap(item, prefix) - (item.payload.expires != 0 ? kExpirySize : 0);
      uint8_t* to = TakeHeap(leaf, key_heap);
      uint32_t flags = 0;
      if (item.overflow_blob != kNullRef) {
        flags = kSlotOverflow;
        Store(to, KeyOverflow{item.overflow_blob, item.key.size(), item.key.form_size});
      } else {
        CopySuffix(item.key, prefix, to);
        if (item.key.form_size != 0) {
          flags = kSlotForm;
          std::memcpy(to + item.key.size() - prefix, item.key.form, item.key.form_size);
          to[key_heap - 1] = static_cast<uint8_t>(item.key.form_size);
        }
      }
      leaf->set_slot(i, MakeSlot(leaf->heap_size(), key_heap, flags));
      leaf->fingerprints()[i] = item.fingerprint;
      if (item.payload.expires != 0) PutExpiry(leaf, i, item.payload.expires);
    }
    StorePayload(leaf, i, item.payload);
  }
  return Status::Ok();
}

Status NodeEditor::BuildShaped(const LeafItem* items, size_t count, Ref shape, Node* leaf) {
  uint32_t heap = 0;
  for (size_t i = 0; i < count; i++) heap += items[i].payload.heap_bytes();
  Ref ref;
  uint8_t* bytes;
  uint64_t size;
  PONGO_TRY(writes_->Allocate(Layout::Shaped(static_cast<uint32_t>(count)).end + heap, &ref, &bytes, &size));
  NodeHeader header;
  std::memset(&header, 0, sizeof header);
  header.kind = static_cast<uint8_t>(NodeKind::kShapedLeaf);
  header.count = header.capacity = static_cast<uint16_t>(count);
  Store(bytes, header);
  Store(bytes + Layout::kPrefixOffset, shape);
  *leaf = Node(bytes, size, ref);
  for (size_t i = 0; i < count; i++) StorePayload(leaf, static_cast<uint32_t>(i), items[i].payload);
  return Status::Ok();
}

Status NodeEditor::BuildShape(const LeafItem* items, size_t count, Ref* shape) {
  std::vector<LeafItem> names(items, items + count);
  for (LeafItem& name : names) name.payload = Payload{};
  Node leaf;
  PONGO_TRY(BuildLeaf(names.data(), count, &leaf, false));
  NodeHeader header = leaf.header();
  header.kind = static_cast<uint8_t>(NodeKind::kShape);
  leaf.set_header(header);
  *shape = leaf.ref();
  return Status::Ok();
}

Status NodeEditor::BuildInner(uint32_t level, const InnerItem* items, size_t count, Node* inner) {
  PONGO_ASSERT(count > 0);
  uint32_t prefix = 0;
  if (keyed_) PONGO_TRY(SharedPrefix(items + 1, count - 1, &InnerItem::separator, &prefix));
  uint32_t heap = 0;
  const auto separator_heap = [&](const InnerItem& item) -> uint32_t {
    if (item.overflow_blob != kNullRef) return sizeof(KeyOverflow);
    const uint32_t rest = item.separator.size() - prefix;
    return rest <= 8 ? 0 : rest;
  };
  for (size_t i = 1; keyed_ && i < count; i++) heap += separator_heap(items[i]);
  if (heap > kHeapMax - 512) return Status(Code::kCORRUPT, "the separators of a tree node are larger than a writer makes them");
  const auto capacity = static_cast<uint32_t>(writes_->roomy() ? std::max<size_t>(count, kInnerCountMax) : count + 1);
  const uint32_t heap_room = writes_->roomy() ? std::min(heap, 512u) : 0;
  Ref ref;
  uint8_t* bytes;
  uint64_t size;
  PONGO_TRY(writes_->Allocate(Layout::Inner(capacity, keyed_, prefix).end + heap + heap_room, &ref, &bytes, &size, Placement::kInner));
  NodeHeader header;
  std::memset(&header, 0, sizeof header);
  header.kind = static_cast<uint8_t>(keyed_ ? NodeKind::kMapInner : NodeKind::kListInner);
  header.level = static_cast<uint8_t>(level);
  header.count = static_cast<uint16_t>(count);
  header.capacity = static_cast<uint16_t>(capacity);
  header.prefix_size = static_cast<uint16_t>(prefix);
  Store(bytes, header);
  *inner = Node(bytes, size, ref);
  for (uint32_t i = 0; i < prefix; i++) {
    const StoredKey& s = items[1].separator;
    inner->prefix()[i] = i < s.prefix_size ? s.prefix[i] : s.suffix[i - s.prefix_size];
  }
  std::vector<uint8_t> rest;
  for (size_t n = 0; n < count; n++) {
    const auto i = static_cast<uint32_t>(n);
    const InnerItem& item = items[n];
    inner->set_child(i, item.child, item.count);
    if (!keyed_) continue;
    if (i == 0) {
      inner->set_head(0, 0);
      inner->set_slot(0, 0);
      continue;
    }
    rest.resize(item.separator.size() - prefix + 1);
    CopySuffix(item.separator, prefix, rest.data());
    const uint32_t rest_size = item.separator.size() - prefix;
    inner->set_head(i, HeadOf(rest.data(), rest_size));
    if (item.overflow_blob != kNullRef) {
      Store(TakeHeap(inner, sizeof(KeyOverflow)), KeyOverflow{item.overflow_blob, item.separator.size(), 0});
      inner->set_slot(i, MakeSlot(inner->heap_size(), sizeof(KeyOverflow), kSlotOverflow));
    } else if (rest_size > 8) {
      std::memcpy(TakeHeap(inner, rest_size), rest.data(), rest_size);
      inner->set_slot(i, MakeSlot(inner->heap_size(), rest_size, 0));
    } else {
      inner->set_slot(i, MakeSlot(0, rest_size, 0));
    }
  }
  return Status::Ok();
}

}  // namespace pongo
