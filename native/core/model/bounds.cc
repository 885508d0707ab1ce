#include "model/bounds.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "format/key_codec.h"
#include "format/wire_reader.h"
#include "model/companion.h"
#include "model/operations.h"
#include "tree/tree.h"

namespace pongo {
namespace {

constexpr Status kBadCompanion(Code::kCORRUPT, "the companion of a bounded Collection does not fit its entries");
constexpr Status kTooLarge(Code::kVALUE, "the entry alone is larger than the maxBytes of the Collection");

// First elements of the keys of a companion.
constexpr int64_t kCharges = 1;
constexpr int64_t kOrder = 2;
constexpr int64_t kOrdinals = 3;

constexpr uint32_t kSampleLeaves = 8;
constexpr uint32_t kSampleRun = 4;

PathStep StepOf(const Key& key) {
  PathStep step;
  step.key = key;
  return step;
}

Key BorrowBytes(const std::vector<uint8_t>& bytes) {
  Key key;
  key.data = bytes.data();
  key.size = static_cast<uint32_t>(bytes.size());
  return key;
}

class NameKey {
 public:
  explicit NameKey(const char* name) {
    status_ = buffer_.AddString(reinterpret_cast<const uint8_t*>(name), std::strlen(name));
  }
  Key key() const { return buffer_.key(); }
  const Status& status() const { return status_; }

 private:
  KeyBuffer buffer_;
  Status status_;
};

// [group, n, key], without n or key where they are not given.
Status MakeKey(int64_t group, const uint64_t* n, const Key* key, KeyBuffer* to) {
  to->Clear();
  PONGO_TRY(to->BeginTuple());
  PONGO_TRY(to->AddInt(group));
  if (n != nullptr) PONGO_TRY(to->AddInt(static_cast<int64_t>(*n)));
  if (key != nullptr) PONGO_TRY(to->AddBytes(key->data, key->size));
  return to->EndTuple();
}

Status FindNumber(Mapping* mapping, const ObjectEntry& companion, const Key& key, bool* present, uint64_t* number) {
  *number = 0;
  Found found;
  PONGO_TRY(TreeReader(mapping, true).Find(companion.tree(), key, present, &found));
  if (!*present) return Status::Ok();
  ValueView value;
  PONGO_TRY(DecodeWord(mapping, found.leaf, found.word(), &value));
  if (value.type != ValueView::Type::kInt || value.integer < 0) return kBadCompanion;
  *number = static_cast<uint64_t>(value.integer);
  return Status::Ok();
}

// The number of keys of a group, and the position of its first.
Status GroupRange(Mapping* mapping, const ObjectEntry& companion, int64_t group, uint64_t* begin, uint64_t* end) {
  const TreeReader tree(mapping, true);
  KeyBuffer key;
  bool equal;
  PONGO_TRY(MakeKey(group, nullptr, nullptr, &key));
  PONGO_TRY(tree.Rank(companion.tree(), key.key(), begin, &equal));
  PONGO_TRY(MakeKey(group + 1, nullptr, nullptr, &key));
  return tree.Rank(companion.tree(), key.key(), end, &equal);
}

// Reads [2, n, key] at a position.
Status ReadOrder(Mapping* mapping, const ObjectEntry& companion, uint64_t position, uint64_t* n, std::vector<uint8_t>* key) {
  bool present;
  Found found;
  PONGO_TRY(TreeReader(mapping, true).FindAt(companion.tree(), position, &present, &found));
  if (!present) return kBadCompanion;
  std::vector<uint8_t> bytes;
  PONGO_TRY(CopyStoredKey(mapping, found.leaf, found.index, &bytes));
  std::vector<uint8_t> wire;
  PONGO_TRY(KeyToWire(BorrowBytes(bytes), &wire));
  WireReader reader(wire.data(), wire.size());
  WireItem item;
  PONGO_TRY(reader.Next(&item));
  if (item.type != WireType::kTuple || item.count != 3) return kBadCompanion;
  PONGO_TRY(reader.Next(&item));
  PONGO_TRY(reader.Next(&item));
  if (item.type != WireType::kInt || item.integer <= 0) return kBadCompanion;
  *n = static_cast<uint64_t>(item.integer);
  PONGO_TRY(reader.Next(&item));
  if (item.type != WireType::kBytes) return kBadCompanion;
  key->assign(item.data, item.data + item.size);
  return Status::Ok();
}

// Two to four stamps for each entry that there can be. Where the order is exact it must not be lost to a crowded bucket: 256 buckets at least.
uint64_t StampBitsFor(const CollectionBounds& bounds) {
  constexpr uint64_t kBytesOfAnEntry = 64;  // a guess
  constexpr uint64_t kStampBitsMin = 10;
  uint64_t entries = uint64_t{1} << kStampBits;
  if (bounds.max_items != 0) entries = std::min(entries, bounds.max_items);
  if (bounds.max_bytes != 0) entries = std::min(entries, bounds.max_bytes / kBytesOfAnEntry + 1);
  return std::clamp<uint64_t>(std::bit_width(entries) + 1, kStampBitsMin, kStampBits);
}

// The table takes its room in pieces, when they are first used. Without room nothing is noted there.
bool StampReady(Mapping* mapping, uint64_t index) {
  ControlHeader* header = mapping->header();
  const uint64_t piece = index >> (kStampBits - 6);
  const uint64_t bit = uint64_t{1} << piece;
  if ((header->stamps_ready.load(std::memory_order_acquire) & bit) != 0) [[likely]] return true;
  if (!mapping->AllocateControl(kStampsOffset + piece * (kStampsSize / 64), kStampsSize / 64).ok()) return false;
  header->stamps_ready.fetch_or(bit, std::memory_order_acq_rel);
  return true;
}

bool SameKey(const std::vector<uint8_t>& a, const Key& b) {
  return a.size() == b.size && (b.size == 0 || std::memcmp(a.data(), b.data, b.size) == 0);
}

}  // namespace

Stamp StampOf(Mapping* mapping, uint64_t id, const ObjectEntry& entry, const Key& key) {
  constexpr uint64_t kMultiplier = 0x9fb21c651e98df25u;
  uint64_t h = key.size * kMultiplier;
  uint32_t i = 0;
  for (; i + 8 <= key.size; i += 8) h = (h ^ Load<uint64_t>(key.data + i)) * kMultiplier, h ^= h >> 32;
  if (i < key.size) {
    uint64_t tail = 0;
    std::memcpy(&tail, key.data + i, key.size - i);
    h = (h ^ tail) * kMultiplier;
  }
  h ^= h >> 29;
  // A range of its own, as far as ranges do not overlap: what one Collection uses lies close together.
  const uint32_t bits = std::clamp(entry.stamp_bits(), 4u, kStampBits);
  const uint64_t from = id * kMultiplier >> (64 - kStampBits);
  const uint64_t index = (from + (h >> (64 - bits))) & ((uint64_t{1} << kStampBits) - kBucketSize);
  Stamp stamp;
  stamp.bucket = StampReady(mapping, index) ? mapping->stamps() + index : nullptr;
  stamp.tag = h << 48;
  stamp.exact = entry.size <= kExactMax;
  return stamp;
}

Status OutsideBytes(Mapping* mapping, Word word, uint64_t* bytes) {
  *bytes = IsLocal(word) ? LocalSize(word) : 0;
  const uint8_t* at;
  if (IsBlock(word) && !ReadBlob(mapping, BlockRef(word), &at, bytes)) return Status(Code::kCORRUPT, "a stored value holds impossible bytes");
  return Status::Ok();
}

Status ReadCollectionBounds(Mapping* mapping, const ObjectEntry& companion, CollectionBounds* bounds) {
  bool present;
  uint64_t fifo;
  PONGO_TRY(FindNumber(mapping, companion, NameKey("maxItems").key(), &present, &bounds->max_items));
  PONGO_TRY(FindNumber(mapping, companion, NameKey("maxBytes").key(), &present, &bounds->max_bytes));
  PONGO_TRY(FindNumber(mapping, companion, NameKey("fifo").key(), &present, &fifo));
  bounds->fifo = fifo != 0;
  return FindNumber(mapping, companion, NameKey("bytes").key(), &present, &bounds->bytes);
}

Status CheckBounds(Mapping* mapping, const ObjectEntry& owner, const ObjectEntry& companion) {
  CollectionBounds bounds;
  PONGO_TRY(ReadCollectionBounds(mapping, companion, &bounds));
  if (bounds.max_items != 0 && owner.size > bounds.max_items) return kBadCompanion;
  if (bounds.max_bytes != 0 && bounds.bytes > bounds.max_bytes) return kBadCompanion;
  if (owner.is_lru() == bounds.fifo) return kBadCompanion;
  uint64_t sum = 0;
  uint64_t charged = 0;
  Status failed;
  KeyBuffer key;
  const auto check = [&](const Node& leaf, uint32_t i) -> Status {
    StoredKey stored;
    uint8_t scratch[8];
    if (!ReadKey(mapping, leaf, i, &stored, scratch)) return kBadCompanion;
    std::vector<uint8_t> bytes(stored.size());
    stored.CopyTo(bytes.data());
    const Key entry = BorrowBytes(bytes);
    uint64_t outside;
    uint64_t number = 0;
    bool present = false;
    PONGO_TRY(OutsideBytes(mapping, leaf.word(i), &outside));
    PONGO_TRY(MakeKey(kCharges, nullptr, &entry, &key));
    PONGO_TRY(FindNumber(mapping, companion, key.key(), &present, &number));
    if (present != (bounds.max_bytes != 0 && IsContainer(leaf.word(i)))) return kBadCompanion;
    charged += present ? 1 : 0;
    sum += stored.size() + stored.form_size + sizeof(Word) + outside + number;
    if (!bounds.fifo) return Status::Ok();
    PONGO_TRY(MakeKey(kOrdinals, nullptr, &entry, &key));
    PONGO_TRY(FindNumber(mapping, companion, key.key(), &present, &number));
    if (!present) return kBadCompanion;
    Found found;
    PONGO_TRY(MakeKey(kOrder, &number, &entry, &key));
    PONGO_TRY(TreeReader(mapping, true).Find(companion.tree(), key.key(), &present, &found));
    return present ? Status::Ok() : kBadCompanion;
  };
  PONGO_TRY(TreeReader(mapping, true).Scan(owner.tree(), 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
    failed = check(leaf, i);
    return failed.ok();
  }));
  PONGO_TRY(failed);
  if (bounds.max_bytes != 0 && sum != bounds.bytes) return kBadCompanion;
  for (const int64_t group : {kCharges, kOrder, kOrdinals}) {
    uint64_t begin;
    uint64_t end;
    PONGO_TRY(GroupRange(mapping, companion, group, &begin, &end));
    if (end - begin != (group == kCharges ? charged : bounds.fifo ? owner.size : 0)) return kBadCompanion;
  }
  return Status::Ok();
}

// -- operations --

Status Operations::PutNumber(ContainerState* companion, const Key& key, uint64_t number) {
  Place place;
  PONGO_TRY(Locate(companion->id, StepOf(key), &place));
  Payload payload;
  payload.word = MakeWord(WordTag::kSmallInt, number);
  return Write(&place, &key, payload);
}

Status Operations::DropKey(ContainerState* companion, const Key& key) {
  Place place;
  PONGO_TRY(Locate(companion->id, StepOf(key), &place));
  return place.stored ? RemoveStored(&place) : kBadCompanion;
}

Status Operations::CreateBounded(const CollectionBounds& bounds, uint64_t* id) {
  return Guard([&]() -> Status {
    PONGO_TRY(builder_->BuildContainer(Kind::kCollection, nullptr, 0, id));
    ContainerState* owner;
    PONGO_TRY(txn_->Read(*id, &owner));
    owner->now.root |= ObjectEntry::kBounded;
    if (!bounds.fifo) owner->now.root |= ObjectEntry::kLru | (StampBitsFor(bounds) << ObjectEntry::kStampShift);
    ContainerState* companion;
    PONGO_TRY(Companion(owner, true, &companion));
    return PutBounds(companion, bounds);
  });
}

Status Operations::PutBounds(ContainerState* companion, const CollectionBounds& bounds) {
  if (bounds.max_items != 0) PONGO_TRY(PutNumber(companion, NameKey("maxItems").key(), bounds.max_items));
  if (bounds.max_bytes != 0) {
    PONGO_TRY(PutNumber(companion, NameKey("maxBytes").key(), bounds.max_bytes));
    PONGO_TRY(PutNumber(companion, NameKey("bytes").key(), bounds.bytes));
  }
  return PutNumber(companion, NameKey("fifo").key(), bounds.fifo ? 1 : 0);
}

// What a container holds, at any depth: the bytes of keys and values as entries of a bounded Collection count them. Stops above `limit`.
Status Operations::DeepBytes(uint64_t id, uint64_t limit, uint64_t* bytes) {
  *bytes = 0;
  std::unordered_set<uint64_t> seen = {id};
  std::vector<uint64_t> open = {id};
  while (!open.empty() && *bytes <= limit) {
    ContainerState* state;
    PONGO_TRY(txn_->Read(open.back(), &state));
    open.pop_back();
    if (!state->exists) continue;
    const bool keyed = state->now.kind() != static_cast<uint8_t>(Kind::kList);
    Status failed;
    PONGO_TRY(TreeReader(txn_->mapping(), keyed).Scan(state->now.tree(), 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
      StoredKey key;
      uint8_t scratch[8];
      uint64_t outside = 0;
      failed = OutsideBytes(txn_->mapping(), leaf.word(i), &outside);
      if (failed.ok() && keyed && !ReadKey(txn_->mapping(), leaf, i, &key, scratch)) failed = kBadCompanion;
      *bytes += key.size() + key.form_size + sizeof(Word) + outside;
      if (IsContainer(leaf.word(i)) && seen.insert(ContainerId(leaf.word(i))).second) open.push_back(ContainerId(leaf.word(i)));
      return failed.ok() && *bytes <= limit;
    }));
    PONGO_TRY(failed);
  }
  return Status::Ok();
}

// What a stored entry counts with; its key is copied to *key.
Status Operations::MeasureStored(const Place& place, ContainerState* companion, std::vector<uint8_t>* key, uint64_t* bytes) {
  const Node& leaf = place.path.nodes[place.path.depth - 1];
  const uint32_t i = place.path.index[place.path.depth - 1];
  StoredKey stored;
  uint8_t scratch[8];
  if (!ReadKey(txn_->mapping(), leaf, i, &stored, scratch)) return kBadCompanion;
  key->resize(stored.size());
  stored.CopyTo(key->data());
  uint64_t outside;
  PONGO_TRY(OutsideBytes(txn_->mapping(), leaf.word(i), &outside));
  *bytes = stored.size() + stored.form_size + sizeof(Word) + outside;
  if (!IsContainer(leaf.word(i))) return Status::Ok();
  KeyBuffer charge;
  const Key borrowed = BorrowBytes(*key);
  PONGO_TRY(MakeKey(kCharges, nullptr, &borrowed, &charge));
  bool present;
  uint64_t number;
  PONGO_TRY(FindNumber(txn_->mapping(), companion->now, charge.key(), &present, &number));
  *bytes += number;
  return Status::Ok();
}

// Forgets all that the companion says of an entry but its expiry.
Status Operations::ForgetBounded(ContainerState* companion, const CollectionBounds& bounds, const Key& key, bool was_container,
                                 bool keep_order) {
  KeyBuffer buffer;
  if (bounds.max_bytes != 0 && was_container) {
    PONGO_TRY(MakeKey(kCharges, nullptr, &key, &buffer));
    PONGO_TRY(DropKey(companion, buffer.key()));
  }
  if (!bounds.fifo || keep_order) return Status::Ok();
  uint64_t n;
  bool present;
  PONGO_TRY(MakeKey(kOrdinals, nullptr, &key, &buffer));
  PONGO_TRY(FindNumber(txn_->mapping(), companion->now, buffer.key(), &present, &n));
  if (!present) return kBadCompanion;
  PONGO_TRY(DropKey(companion, buffer.key()));
  PONGO_TRY(MakeKey(kOrder, &n, &key, &buffer));
  return DropKey(companion, buffer.key());
}

Status Operations::WriteBounded(Place* place, const Key& key, const Payload& payload) {
  ContainerState* owner = place->state;
  ContainerState* companion;
  CollectionBounds bounds;
  PONGO_TRY(Companion(owner, false, &companion));
  if (companion == nullptr) return kBadCompanion;
  PONGO_TRY(ReadCollectionBounds(txn_->mapping(), companion->now, &bounds));
  const bool is_container = payload.local == nullptr && IsContainer(payload.word);
  const bool renewed = place->stored && !place->present;  // expired: a new entry as everybody sees it
  const bool keeps_order = place->stored && !renewed;
  std::vector<uint8_t> name(key.data, key.data + key.size);
  uint64_t before = 0;
  uint64_t after = key.size + key.form_size + sizeof(Word);
  uint64_t charge = 0;
  if (place->stored) {
    PONGO_TRY(MeasureStored(*place, companion, &name, &before));
    StoredKey stored;  // its form stays
    uint8_t scratch[8];
    if (!ReadKey(txn_->mapping(), place->path.leaf(), place->path.leaf_index(), &stored, scratch)) return kBadCompanion;
    after = stored.size() + stored.form_size + sizeof(Word);
  }
  if (bounds.max_bytes != 0) {
    uint64_t outside;
    PONGO_TRY(OutsideBytes(txn_->mapping(), payload.word, &outside));
    if (is_container) PONGO_TRY(DeepBytes(ContainerId(payload.word), bounds.max_bytes, &charge));
    after += payload.local != nullptr ? payload.local_size : outside;
    after += charge;
    if (after > bounds.max_bytes) return kTooLarge;
  }
  const Key borrowed = BorrowBytes(name);
  if (place->stored) {
    const bool was_container = IsContainer(place->path.leaf().word(place->path.leaf_index()));
    PONGO_TRY(ForgetBounded(companion, bounds, borrowed, was_container, keeps_order));
  }
  PONGO_TRY(WriteStored(place, &key, payload));
  KeyBuffer buffer;
  if (bounds.max_bytes != 0) {
    if (is_container) {
      PONGO_TRY(MakeKey(kCharges, nullptr, &borrowed, &buffer));
      PONGO_TRY(PutNumber(companion, buffer.key(), charge));
    }
    PONGO_TRY(PutNumber(companion, NameKey("bytes").key(), bounds.bytes - before + after));
  }
  if (owner->now.is_lru()) {
    // The clock goes on before a new entry, so that it is younger than all, and after it: what is used next is younger still.
    auto& clock = txn_->mapping()->header()->use_clock;
    if (!keeps_order) clock.fetch_add(1, std::memory_order_relaxed);
    NoteUse(txn_->mapping(), StampOf(txn_->mapping(), owner->id, owner->now, borrowed));
    if (!keeps_order) clock.fetch_add(1, std::memory_order_relaxed);
  } else if (!keeps_order) {
    PONGO_TRY(Enrol(companion, borrowed));
  }
  return Evict(owner, companion, name);
}

// A new entry goes to the end of the order.
Status Operations::Enrol(ContainerState* companion, const Key& key) {
  uint64_t begin;
  uint64_t end;
  uint64_t n = 0;
  std::vector<uint8_t> last;
  PONGO_TRY(GroupRange(txn_->mapping(), companion->now, kOrder, &begin, &end));
  if (begin < end) PONGO_TRY(ReadOrder(txn_->mapping(), companion->now, end - 1, &n, &last));
  n++;
  KeyBuffer buffer;
  PONGO_TRY(MakeKey(kOrdinals, nullptr, &key, &buffer));
  PONGO_TRY(PutNumber(companion, buffer.key(), n));
  PONGO_TRY(MakeKey(kOrder, &n, &key, &buffer));
  return PutNumber(companion, buffer.key(), 0);
}

// Removes others until the bounds hold.
Status Operations::Evict(ContainerState* owner, ContainerState* companion, const std::vector<uint8_t>& keep) {
  for (;;) {
    CollectionBounds bounds;
    PONGO_TRY(ReadCollectionBounds(txn_->mapping(), companion->now, &bounds));
    const bool within = (bounds.max_items == 0 || owner->now.size <= bounds.max_items) &&
                        (bounds.max_bytes == 0 || bounds.bytes <= bounds.max_bytes);
    if (within) return Status::Ok();
    std::vector<uint8_t> victim;
    PONGO_TRY(ChooseVictim(owner, companion, bounds, BorrowBytes(keep), &victim));
    Place place;
    PONGO_TRY(Locate(owner->id, StepOf(BorrowBytes(victim)), &place));
    if (!place.stored) return kBadCompanion;
    PONGO_TRY(Remove(&place));
  }
}

Status Operations::ChooseVictim(ContainerState* owner, ContainerState* companion, const CollectionBounds& bounds, const Key& keep,
                                std::vector<uint8_t>* victim) {
  Mapping* mapping = txn_->mapping();
  int64_t expires;
  uint64_t position;
  PONGO_TRY(FirstTimeKey(mapping, companion->now, &expires, victim, &position));
  if (expires != 0 && expires <= txn_->now() && !SameKey(*victim, keep)) return Status::Ok();  // what has expired goes first
  if (bounds.fifo) {
    uint64_t begin;
    uint64_t end;
    uint64_t n;
    PONGO_TRY(GroupRange(mapping, companion->now, kOrder, &begin, &end));
    for (; begin < end; begin++) {
      PONGO_TRY(ReadOrder(mapping, companion->now, begin, &n, victim));
      if (!SameKey(*victim, keep)) return Status::Ok();
    }
    return kBadCompanion;
  }
  return ChooseOldest(owner, keep, victim);
}

// The oldest of a sample: some neighbours at some places, for a place costs more to find than its neighbours.
Status Operations::ChooseOldest(ContainerState* owner, const Key& keep, std::vector<uint8_t>* victim) {
  Mapping* mapping = txn_->mapping();
  const TreeReader tree(mapping, true);
  const uint64_t size = owner->now.size;
  const bool exact = size <= kExactMax;
  const uint64_t clock = mapping->header()->use_clock.load(std::memory_order_relaxed);
  bool any = false;
  uint64_t oldest = 0;
  Status failed;
  std::vector<uint8_t> bytes;
  const auto consider = [&](const Node& leaf, uint32_t i) {
    failed = CopyStoredKey(mapping, leaf, i, &bytes);
    if (!failed.ok()) return false;
    if (SameKey(bytes, keep)) return true;
    const Stamp stamp = StampOf(mapping, owner->id, owner->now, BorrowBytes(bytes));
    // Without a stamp it has not been used for long, or all others of its bucket have been used since.
    uint64_t used = 0;
    for (uint32_t k = 0; stamp.bucket != nullptr && k < kBucketSize; k++) {
      const uint64_t word = stamp.bucket[k].load(std::memory_order_relaxed);
      if ((word & ~kStampClock) == stamp.tag) used = std::max(used, word & kStampClock);
    }
    const uint64_t age = (clock - used) & kStampClock;
    if (!any || age > oldest) {
      any = true;
      oldest = age;
      victim->swap(bytes);
    }
    return true;
  };
  for (uint32_t sample = 0; sample < (exact ? 1 : kSampleLeaves) || !any; sample++) {
    random_ ^= random_ << 13;  // xorshift64
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    PONGO_TRY(tree.Scan(owner->now.tree(), exact ? 0 : random_ % size, exact ? kExactMax : kSampleRun, 1, consider));
    PONGO_TRY(failed);
    if (exact && !any) return kBadCompanion;
  }
  return Status::Ok();
}

Status Operations::RemoveBounded(Place* place) {
  ContainerState* owner = place->state;
  ContainerState* companion;
  CollectionBounds bounds;
  PONGO_TRY(Companion(owner, false, &companion));
  if (companion == nullptr) return kBadCompanion;
  PONGO_TRY(ReadCollectionBounds(txn_->mapping(), companion->now, &bounds));
  std::vector<uint8_t> key;
  uint64_t bytes;
  PONGO_TRY(MeasureStored(*place, companion, &key, &bytes));
  const bool was_container = IsContainer(place->path.leaf().word(place->path.leaf_index()));
  PONGO_TRY(EraseStored(place));
  PONGO_TRY(ForgetBounded(companion, bounds, BorrowBytes(key), was_container, false));
  return bounds.max_bytes == 0 ? Status::Ok() : PutNumber(companion, NameKey("bytes").key(), bounds.bytes - bytes);
}

}  // namespace pongo
