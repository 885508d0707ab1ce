#include "model/companion.h"

#include <algorithm>
#include <cstring>

#include "format/wire_reader.h"
#include "model/bounds.h"
#include "model/operations.h"
#include "tree/tree.h"

namespace pongo {
namespace {

constexpr Status kLostCompanion(Code::kCORRUPT, "a Collection and its companion do not know each other");
constexpr Status kBadIndex(Code::kCORRUPT, "the time index of a Collection does not fit its entries");

// So many entries ahead the leaves are loaded: each is in another one, which nobody has looked at for long.
constexpr size_t kAhead = 4;

// The first element of each time key, alone: a tuple, then a datetime.
constexpr uint8_t kTimeKeyStart[] = {0x50, 0x30};

// Splits a time key: a tuple of a datetime and bytes.
class TimeKeyReader final : public KeyVisitor {
 public:
  explicit TimeKeyReader(std::vector<uint8_t>* key) : key_(key) {}
  bool complete() const { return elements_ == 2 && depth_ == 0 && fits_; }
  int64_t instant() const { return instant_; }

  void Null() override { fits_ = false; }
  void Bool(bool) override { fits_ = false; }
  void Int(int64_t) override { fits_ = false; }
  void Double(double) override { fits_ = false; }
  void BigInt(bool, const uint8_t*, size_t) override { fits_ = false; }
  void DateTime(int64_t microseconds) override {
    fits_ = fits_ && elements_++ == 0;
    instant_ = microseconds;
  }
  void Uuid(const uint8_t*) override { fits_ = false; }
  void String(const uint8_t*, size_t) override { fits_ = false; }
  void Bytes(const uint8_t* bytes, size_t size) override {
    fits_ = fits_ && elements_++ == 1;
    key_->assign(bytes, bytes + size);
  }
  void BeginTuple() override { fits_ = fits_ && depth_++ == 0; }
  void EndTuple() override { depth_--; }

 private:
  std::vector<uint8_t>* key_;
  int64_t instant_ = 0;
  int depth_ = 0;
  int elements_ = 0;
  bool fits_ = true;
};

Key BorrowBytes(const std::vector<uint8_t>& bytes) {
  Key key;
  key.data = bytes.data();
  key.size = static_cast<uint32_t>(bytes.size());
  return key;
}

// A key of the registry.
Status KeyToId(const Key& key, uint64_t* id) {
  std::vector<uint8_t> wire;
  PONGO_TRY(KeyToWire(key, &wire));
  WireReader reader(wire.data(), wire.size());
  WireItem item;
  PONGO_TRY(reader.Next(&item));
  if (item.type != WireType::kInt) return kLostCompanion;
  *id = static_cast<uint64_t>(item.integer);
  return Status::Ok();
}

PathStep StepOf(const Key& key) {
  PathStep step;
  step.key = key;
  return step;
}

}  // namespace

Status CopyStoredKey(Mapping* mapping, const Node& leaf, uint32_t index, std::vector<uint8_t>* bytes) {
  StoredKey stored;
  uint8_t scratch[8];
  if (!ReadKey(mapping, leaf, index, &stored, scratch)) return Status(Code::kCORRUPT, "a stored key holds impossible bytes");
  bytes->resize(stored.size());
  stored.CopyTo(bytes->data());
  return Status::Ok();
}

Status MakeTimeKey(int64_t expires, const Key& key, KeyBuffer* index_key) {
  index_key->Clear();
  PONGO_TRY(index_key->BeginTuple());
  PONGO_TRY(index_key->AddDateTime(expires));
  PONGO_TRY(index_key->AddBytes(key.data, key.size));
  return index_key->EndTuple();
}

Status ReadTimeKey(const Key& index_key, bool* is_time, int64_t* expires, std::vector<uint8_t>* key) {
  *is_time = index_key.size >= sizeof kTimeKeyStart && std::memcmp(index_key.data, kTimeKeyStart, sizeof kTimeKeyStart) == 0;
  if (!*is_time) return Status::Ok();
  TimeKeyReader reader(key);
  PONGO_TRY(DecodeKey(index_key, &reader));
  *expires = reader.instant();
  return reader.complete() && *expires > 0 ? Status::Ok() : kBadIndex;
}

Status ScanTimeKeys(Mapping* mapping, const ObjectEntry& companion, uint64_t limit, uint64_t* position, TimeKeyVisitor visit) {
  Key start;
  start.data = kTimeKeyStart;
  start.size = sizeof kTimeKeyStart;
  const TreeReader tree(mapping, true);
  bool present;
  PONGO_TRY(tree.Rank(companion.tree(), start, position, &present));
  Status failed;
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> key;
  PONGO_TRY(tree.Scan(companion.tree(), *position, limit, 1, [&](const Node& leaf, uint32_t i) {
    bool is_time = false;
    int64_t expires = 0;
    failed = CopyStoredKey(mapping, leaf, i, &bytes);
    if (failed.ok()) failed = ReadTimeKey(BorrowBytes(bytes), &is_time, &expires, &key);
    return failed.ok() && is_time && visit(expires, key);
  }));
  return failed;
}

Status FirstTimeKey(Mapping* mapping, const ObjectEntry& companion, int64_t* expires, std::vector<uint8_t>* key, uint64_t* position) {
  *expires = 0;
  return ScanTimeKeys(mapping, companion, 1, position, [&](int64_t at, const std::vector<uint8_t>& bytes) {
    *expires = at;
    *key = bytes;
    return false;
  });
}

Status FindCompanion(const ReadView& view, uint64_t owner, uint64_t* companion) {
  *companion = 0;
  KeyBuffer key;
  PONGO_TRY(key.AddInt(static_cast<int64_t>(owner)));
  PONGO_TRY(GetValue(view, kCompanionsId, key.key(), [&](const ValueView& value) {
    if (value.type == ValueView::Type::kContainer) *companion = value.id;
  }));
  return *companion != 0 ? Status::Ok() : kLostCompanion;
}

Status EachCompanion(Mapping* mapping, const ObjectTable& table, FunctionRef<Status(uint64_t owner, uint64_t companion)> visit) {
  bool present;
  ObjectEntry registry;
  PONGO_TRY(FindObject(mapping, table, kCompanionsId, &present, &registry));
  if (!present) return Status::Ok();
  const ReadView view(mapping, table);
  Status failed;
  PONGO_TRY(PageEntries(view, kCompanionsId, 0, ~uint64_t{0}, 1, [&](const Key& key, const ValueView& value) {
    uint64_t owner = 0;
    failed = KeyToId(key, &owner);
    if (failed.ok()) failed = value.type == ValueView::Type::kContainer ? visit(owner, value.id) : kLostCompanion;
    return failed.ok();
  }));
  return failed;
}

Status CheckCompanions(Mapping* mapping, const ObjectTable& table) {
  uint64_t known = 0;
  PONGO_TRY(EachCompanion(mapping, table, [&](uint64_t owner, uint64_t companion) -> Status {
    known++;
    bool present;
    ObjectEntry entry;
    ObjectEntry index;
    PONGO_TRY(FindObject(mapping, table, owner, &present, &entry));
    if (!present || !entry.has_companion() || entry.kind() != static_cast<uint8_t>(Kind::kCollection)) return kLostCompanion;
    PONGO_TRY(FindObject(mapping, table, companion, &present, &index));
    if (!present || index.kind() != static_cast<uint8_t>(Kind::kCollection)) return kLostCompanion;
    const TreeReader tree(mapping, true);
    // Each entry with an expiry is in the index; then equal numbers say that nothing else is.
    uint64_t expiring = 0;
    Status failed;
    std::vector<uint8_t> bytes;
    KeyBuffer time_key;
    PONGO_TRY(tree.Scan(entry.tree(), 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
      int64_t at = 0;
      bool found = true;
      Found place;
      if (!leaf.Expiry(i, &at)) failed = kBadIndex;
      if (!failed.ok() || at == 0) return failed.ok();
      expiring++;
      failed = CopyStoredKey(mapping, leaf, i, &bytes);
      if (failed.ok()) failed = MakeTimeKey(at, BorrowBytes(bytes), &time_key);
      if (failed.ok()) failed = tree.Find(index.tree(), time_key.key(), &found, &place);
      if (failed.ok() && !found) failed = kBadIndex;
      return failed.ok();
    }));
    PONGO_TRY(failed);
    int64_t first;
    uint64_t position;
    PONGO_TRY(FirstTimeKey(mapping, index, &first, &bytes, &position));
    if (index.size - position != expiring) return kBadIndex;
    return entry.bounded() ? CheckBounds(mapping, entry, index) : Status::Ok();
  }));
  const auto nothing = [](Ref) { return Status::Ok(); };
  PONGO_TRY(WalkObjects(mapping, table, nothing, [&](uint64_t, const ObjectEntry& entry) {
    if (entry.has_companion()) known--;
    return Status::Ok();
  }));
  return known == 0 ? Status::Ok() : kLostCompanion;
}

// -- operations --

Status Operations::JudgeExpiry(Place* place) {
  if (!place->path.leaf().Expiry(place->path.leaf_index(), &place->expires)) return kBadIndex;
  place->present = place->expires == 0 || place->expires > txn_->now();
  return Status::Ok();
}

int64_t Operations::ExpiryInstant(const Expiry& expiry) {
  if (expiry.kind == Expiry::Kind::kAt) return expiry.microseconds;
  return expiry.microseconds > kNoExpiry - 1 - txn_->now() ? kNoExpiry - 1 : txn_->now() + expiry.microseconds;
}

Status Operations::Companion(ContainerState* owner, bool create, ContainerState** companion) {
  *companion = nullptr;
  if (!owner->now.has_companion() && !create) return Status::Ok();
  ContainerState* registry;
  PONGO_TRY(txn_->Read(kCompanionsId, &registry));
  if (!registry->exists) {
    if (owner->now.has_companion()) return kLostCompanion;
    ObjectEntry entry;
    entry.parent = ObjectEntry::PackParent(0, 1);
    PONGO_TRY(txn_->CreateAs(kCompanionsId, static_cast<uint8_t>(Kind::kCollection), entry));
  }
  KeyBuffer key;
  PONGO_TRY(key.AddInt(static_cast<int64_t>(owner->id)));
  Place place;
  PONGO_TRY(Locate(kCompanionsId, StepOf(key.key()), &place));
  if (place.present != owner->now.has_companion()) return kLostCompanion;
  if (place.present) {
    const Word word = place.path.leaf().word(place.path.leaf_index());
    if (!IsContainer(word)) return kLostCompanion;
    PONGO_TRY(txn_->Read(ContainerId(word), companion));
    return (*companion)->exists ? Status::Ok() : kLostCompanion;
  }
  uint64_t id;
  PONGO_TRY(txn_->Create(static_cast<uint8_t>(Kind::kCollection), ObjectEntry{}, &id));
  Payload payload;
  payload.word = ContainerWord(static_cast<uint8_t>(Kind::kCollection), id);
  const Key stored = key.key();
  PONGO_TRY(Write(&place, &stored, payload));
  owner->now.root |= ObjectEntry::kHasCompanion;
  owner->changed = true;
  return txn_->Read(id, companion);
}

// Follows a change of an entry's expiry in the time index; 0 stands for none.
Status Operations::MoveExpiry(ContainerState* owner, const Key& key, int64_t from, int64_t to) {
  ContainerState* companion;
  PONGO_TRY(Companion(owner, to != 0, &companion));
  if (companion == nullptr) return kLostCompanion;
  KeyBuffer time_key;
  if (from != 0) {
    PONGO_TRY(MakeTimeKey(from, key, &time_key));
    Place place;
    PONGO_TRY(Locate(companion->id, StepOf(time_key.key()), &place));
    if (!place.stored) return kBadIndex;
    PONGO_TRY(RemoveStored(&place));
  }
  if (to == 0) return Status::Ok();
  PONGO_TRY(MakeTimeKey(to, key, &time_key));
  Place place;
  PONGO_TRY(Locate(companion->id, StepOf(time_key.key()), &place));
  if (place.stored) return kBadIndex;
  const Key stored = time_key.key();
  txn_->NoteExpiry(to);
  return Write(&place, &stored, Payload{});
}

// Removes an entry of a leaf in which entries may expire.
Status Operations::RemoveWithExpiry(Place* place) {
  int64_t expires;
  std::vector<uint8_t> key;
  if (!place->path.leaf().Expiry(place->path.leaf_index(), &expires)) return kBadIndex;
  if (expires != 0) PONGO_TRY(CopyStoredKey(txn_->mapping(), place->path.leaf(), place->path.leaf_index(), &key));
  ContainerState* owner = place->state;
  PONGO_TRY(RemoveStored(place));
  return expires == 0 ? Status::Ok() : MoveExpiry(owner, BorrowBytes(key), expires, 0);
}

Status Operations::SetExpiry(uint64_t id, const Key& key, const Expiry& expiry, bool* was_present) {
  *was_present = false;
  ContainerState* state;
  PONGO_TRY(State(id, true, &state));
  if (state->now.kind() != static_cast<uint8_t>(Kind::kCollection))
    return Status(Code::kTYPE, "only the entries of a Collection can expire");
  Place place;
  PONGO_TRY(Locate(id, StepOf(key), &place));
  *was_present = place.present;
  if (!place.present) return Status::Ok();
  const int64_t instant = expiry.kind == Expiry::Kind::kNever ? 0 : ExpiryInstant(expiry);
  if (instant == place.expires) return Status::Ok();
  if (instant != 0 && instant <= txn_->now()) return Guard([&] { return Remove(&place); });
  return Guard([&]() -> Status {
    TreeWriter tree(txn_->mapping(), txn_->writes(), true);
    Ref root;
    PONGO_TRY(tree.ReplaceExpiry(&place.path, instant, &root));
    Root(state, root, 0);
    return MoveExpiry(state, key, place.expires, instant);
  });
}

// In bulk: the time keys are neighbours and go as whole leaves, and the entries go in the order of their keys, so that the path to one is
// mostly fresh from the one before.
Status Operations::RemoveExpired(uint64_t id, uint64_t limit, uint64_t* removed, int64_t* next) {
  *removed = 0;
  *next = 0;
  ContainerState* state;
  PONGO_TRY(txn_->Read(id, &state));
  if (!state->exists) return Status::Ok();
  ContainerState* companion;
  PONGO_TRY(Companion(state, false, &companion));
  if (companion == nullptr) return Status::Ok();
  struct Due {
    std::vector<uint8_t> key;
    int64_t expires;
  };
  std::vector<Due> due;
  uint64_t position;
  PONGO_TRY(ScanTimeKeys(txn_->mapping(), companion->now, limit + 1, &position, [&](int64_t at, const std::vector<uint8_t>& key) {
    if (at > txn_->now() || due.size() == limit) {
      *next = at;
      return false;
    }
    due.push_back({key, at});
    return true;
  }));
  if (due.empty()) return Status::Ok();
  std::sort(due.begin(), due.end(), [](const Due& a, const Due& b) {
    const Key one = BorrowBytes(a.key);
    const Key other = BorrowBytes(b.key);
    return CompareBytes(one.data, one.size, other.data, other.size) < 0;
  });
  return Guard([&]() -> Status {
    PONGO_TRY(RemoveRange(companion, position, due.size()));
    const TreeReader tree(txn_->mapping(), true);
    for (size_t i = 0; i < due.size(); i++) {
      if (i + kAhead < due.size()) PONGO_TRY(tree.Expect(state->now.tree(), BorrowBytes(due[i + kAhead].key)));
      Place place;
      PONGO_TRY(Locate(id, StepOf(BorrowBytes(due[i].key)), &place));
      if (!place.stored || place.expires != due[i].expires) return kBadIndex;
      PONGO_TRY(RemoveStored(&place));
      ++*removed;
    }
    return Status::Ok();
  });
}

// The Collection was emptied.
Status Operations::ClearCompanion(ContainerState* owner) {
  ContainerState* companion;
  PONGO_TRY(Companion(owner, false, &companion));
  if (companion == nullptr || companion->now.size == 0) return Status::Ok();
  CollectionBounds bounds;
  if (owner->now.bounded()) PONGO_TRY(ReadCollectionBounds(txn_->mapping(), companion->now, &bounds));
  PONGO_TRY(ReleaseContent(companion, true));
  Root(companion, kNullRef, -static_cast<int64_t>(companion->now.size));
  bounds.bytes = 0;
  return owner->now.bounded() ? PutBounds(companion, bounds) : Status::Ok();
}

// The Collection goes.
Status Operations::RemoveCompanion(ContainerState* owner) {
  ContainerState* companion;
  PONGO_TRY(Companion(owner, false, &companion));
  KeyBuffer key;
  PONGO_TRY(key.AddInt(static_cast<int64_t>(owner->id)));
  Place place;
  PONGO_TRY(Locate(kCompanionsId, StepOf(key.key()), &place));
  PONGO_TRY(RemoveStored(&place));
  PONGO_TRY(ReleaseContent(companion, true));
  return txn_->Remove(companion);
}

}  // namespace pongo
