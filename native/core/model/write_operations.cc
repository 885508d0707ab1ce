#include <cmath>
#include <cstring>

#include "model/multi.h"
#include "model/numbers.h"
#include "model/operations.h"

namespace pongo {
namespace {

constexpr Status kNoContainer(Code::kKEY, "the container no longer exists");
constexpr Status kNotKeyed(Code::kTYPE, "the operation needs a Dict or Collection, and this is a List");
constexpr Status kNotList(Code::kTYPE, "the operation needs a List, and this is a Dict or Collection");
constexpr Status kNotIndex(Code::kINDEX, "a List is addressed by an index, 0 or more");
constexpr Status kNoIntermediate(Code::kKEY, "an intermediate of the path is missing or is no container");
constexpr Status kPresent(Code::kEXISTS, "the key is already present");

constexpr Status kNeverExpires(Code::kTYPE, "only the entries of a Collection can expire");
constexpr Status kManyValues(Code::kTYPE, "the operation does not fit a MultiCollection: a key has many values");

bool IsMulti(const ContainerState& state) { return state.exists && state.now.kind() == static_cast<uint8_t>(Kind::kMulti); }

PathStep KeyStep(const Key& key) {
  PathStep step;
  step.key = key;
  return step;
}

}  // namespace

Status Operations::KindOf(uint64_t id, bool* keyed) {
  ContainerState* state;
  PONGO_TRY(txn_->Read(id, &state));
  if (!state->exists) return kNoContainer;
  *keyed = state->now.kind() != static_cast<uint8_t>(Kind::kList);
  return Status::Ok();
}

Status Operations::State(uint64_t id, bool keyed, ContainerState** state) {
  PONGO_TRY(txn_->Read(id, state));
  if (!(*state)->exists) return kNoContainer;
  const bool is_keyed = (*state)->now.kind() != static_cast<uint8_t>(Kind::kList);
  if (is_keyed != keyed) return keyed ? kNotKeyed : kNotList;
  return Status::Ok();
}

void Operations::Root(ContainerState* state, Ref root, int64_t delta) {
  state->now.set_tree(root);
  state->now.size += static_cast<uint64_t>(delta);
  state->changed = true;
  txn_->NoteTreeChange();
}

Status Operations::Locate(uint64_t id, const PathStep& step, Place* place) {
  PONGO_TRY(txn_->Read(id, &place->state));
  if (!place->state->exists) return kNoContainer;
  place->state->searches++;
  place->keyed = place->state->now.kind() != static_cast<uint8_t>(Kind::kList);
  const Ref root = place->root = place->state->now.tree();
  place->present = place->stored = false;
  TreeWriter tree(txn_->mapping(), txn_->writes(), place->keyed);
  if (place->keyed) {
    if (root == kNullRef) return Status::Ok();
    PONGO_TRY(tree.Seek(root, step.key, &place->path, &place->stored));
    place->present = place->stored;
    return place->stored && place->path.leaf().may_expire() ? JudgeExpiry(place) : Status::Ok();
  }
  if (!step.is_index || step.index < 0) return kNotIndex;
  place->present = place->stored = static_cast<uint64_t>(step.index) < place->state->now.size;
  if (place->present) return tree.SeekEntry(root, static_cast<uint64_t>(step.index), &place->path);
  return Status::Ok();
}

// Stores at a place that Locate found. `key` is needed when a keyed entry is new, or when it expires or did.
Status Operations::Write(Place* place, const Key* key, Payload payload) {
  if (payload.in_scratch) {
    payload.local = reinterpret_cast<const uint8_t*>(&payload.scratch);
    payload.local_size = 8;
  }
  if (place->state->now.bounded()) [[unlikely]] return WriteBounded(place, *key, payload);
  return WriteStored(place, key, payload);
}

Status Operations::BuildAndWrite(Place* place, const Key* key, const Input& value, int64_t expires) {
  const uint64_t before = txn_->writes()->activity();
  const uint64_t first_id = txn_->mapping()->header()->container_id_next.load(std::memory_order_relaxed);
  Payload payload;
  PONGO_TRY(builder_->Build(value, &payload));
  payload.expires = expires;
  const uint64_t built = txn_->writes()->activity();
  const Status written = Write(place, key, payload);
  if (written.code() != Code::kVALUE || txn_->writes()->activity() != built) return written;
  PONGO_TRY(TakeBack(payload, first_id));
  txn_->writes()->ForgetActivity(before);
  return written;
}

Status Operations::WriteAlone(Place* place, const Key* key, const Payload& payload) {
  PONGO_TRY(Write(place, key, payload));
  if (!place->state->now.bounded()) txn_->NoteSwap(place->state, place->root, place->swap);
  return Status::Ok();
}

Status Operations::BuildAndWriteAlone(Place* place, const Key* key, const Input& value, int64_t expires) {
  PONGO_TRY(BuildAndWrite(place, key, value, expires));
  if (!place->state->now.bounded()) txn_->NoteSwap(place->state, place->root, place->swap);
  return Status::Ok();
}

// What was built and not stored goes. Containers from first_id on are of this build: whatever else it names is older.
Status Operations::TakeBack(const Payload& payload, uint64_t first_id) {
  if (payload.local == nullptr && IsBlock(payload.word)) txn_->writes()->Drop(BlockRef(payload.word));
  for (const uint64_t id : txn_->CreatedSince(first_id)) {
    bool existed;
    PONGO_TRY(RemoveContainer(id, &existed));
  }
  return Status::Ok();
}

Status Operations::WriteStored(Place* place, const Key* key, const Payload& payload) {
  const uint64_t owner = place->state->id;
  PONGO_TRY(LinkPayload(txn_, payload, owner));
  TreeWriter tree(txn_->mapping(), txn_->writes(), place->keyed);
  Ref root = place->state->now.tree();
  int64_t delta = 0;
  if (place->stored) {
    const Word old = place->path.leaf().word(place->path.leaf_index());
    PONGO_TRY(tree.Replace(&place->path, payload, &root, place->keyed ? &place->swap : nullptr));
    PONGO_TRY(ReleaseWord(txn_, old, place->state->id));
  } else if (root == kNullRef) {
    PONGO_TRY(tree.InsertFirst(key, payload, &root));
    delta = 1;
  } else {
    PONGO_TRY(tree.Insert(&place->path, key, payload, &root));
    delta = 1;
  }
  Root(place->state, root, delta);
  if (payload.expires == place->expires) [[likely]] return Status::Ok();
  return MoveExpiry(place->state, *key, place->expires, payload.expires);
}

Status Operations::Remove(Place* place) {
  if (place->path.leaf().may_expire()) [[unlikely]] return RemoveWithExpiry(place);
  return RemoveStored(place);
}

Status Operations::RemoveStored(Place* place) {
  if (place->state->now.bounded()) [[unlikely]] return RemoveBounded(place);
  return EraseStored(place);
}

Status Operations::EraseStored(Place* place) {
  TreeWriter tree(txn_->mapping(), txn_->writes(), place->keyed);
  Ref root;
  const Word old = place->path.leaf().word(place->path.leaf_index());
  PONGO_TRY(tree.Erase(&place->path, &root));
  PONGO_TRY(ReleaseWord(txn_, old, place->state->id));
  Root(place->state, root, -1);
  return Status::Ok();
}

Status Operations::SetPair(ContainerState* state, const Key& key, const Input& value, uint32_t flags) {
  return Guard([&]() -> Status {
    Payload payload;
    ValueView view = value.view;
    if (value.wire != nullptr) {
      WireReader reader(value.wire, value.wire_size);
      WireItem item;
      PONGO_TRY(reader.Next(&item));
      view = ViewOfItem(item);
      if (item.type > WireType::kContainer) PONGO_TRY(builder_->Build(value, &payload));
    }
    if (view.type == ValueView::Type::kContainer) PONGO_TRY(builder_->FromView(view, &payload));
    if (IsContainer(payload.word)) {
      view.type = ValueView::Type::kContainer;
      view.id = ContainerId(payload.word);
      view.kind = static_cast<Kind>(ContainerKind(payload.word));
    }
    KeyBuffer pair;
    PONGO_TRY(MakePairKey(key, view, &pair));
    Place place;
    PONGO_TRY(Locate(state->id, KeyStep(pair.key()), &place));
    if (place.present) return (flags & kSetFailIfPresent) != 0 ? kPresent : Status::Ok();
    const Key stored = pair.key();
    return Write(&place, &stored, payload);
  });
}

Status Operations::DeletePair(uint64_t id, const Key& key, const Input& value, bool* was_present) {
  ContainerState* state;
  PONGO_TRY(State(id, true, &state));
  *was_present = false;
  if (!IsMulti(*state)) return Status(Code::kTYPE, "the operation needs a MultiCollection");
  ValueView view = value.view;
  if (value.wire != nullptr) {
    WireReader reader(value.wire, value.wire_size);
    WireItem item;
    PONGO_TRY(reader.Next(&item));
    if (item.type > WireType::kContainer) return Status::Ok();  // containers count by identity: a new one is not there
    view = ViewOfItem(item);
  }
  KeyBuffer pair;
  PONGO_TRY(MakePairKey(key, view, &pair));
  Place place;
  PONGO_TRY(Locate(id, KeyStep(pair.key()), &place));
  *was_present = place.present;
  return place.present ? Guard([&] { return Remove(&place); }) : Status::Ok();
}

Status Operations::DeletePairs(ContainerState* state, const Key& key, bool* was_present) {
  uint64_t begin;
  uint64_t end;
  PONGO_TRY(FindBounds(ReadView(txn_->mapping(), txn_), state->id, key, key, kLower | kLowerInclusive | kUpper | kUpperInclusive,
                       &begin, &end));
  *was_present = begin < end;
  return Guard([&]() -> Status {
    for (; begin < end; end--) {
      Place place;
      place.state = state;
      place.present = true;
      PONGO_TRY(TreeWriter(txn_->mapping(), txn_->writes(), true).SeekEntry(state->now.tree(), begin, &place.path));
      PONGO_TRY(Remove(&place));
    }
    return Status::Ok();
  });
}

Status Operations::SetStep(uint64_t id, const PathStep& step, const Input& value, uint32_t flags, const Expiry& expiry) {
  Place place;
  PONGO_TRY(txn_->Read(id, &place.state));
  const bool expires = expiry.kind != Expiry::Kind::kNever;
  if (expires && place.state->exists && place.state->now.kind() != static_cast<uint8_t>(Kind::kCollection)) return kNeverExpires;
  if (IsMulti(*place.state)) return SetPair(place.state, step.key, value, flags);
  PONGO_TRY(Locate(id, step, &place));
  if (place.present && (flags & kSetFailIfPresent) != 0) return kPresent;
  if (!place.keyed && !place.present) return ListSet(id, static_cast<uint64_t>(step.index), value);
  const int64_t instant = expires ? ExpiryInstant(expiry) : (flags & kSetKeepExpiry) != 0 && place.present ? place.expires : 0;
  if (expires && instant <= txn_->now())  // gone as soon as it is there
    return place.stored ? Guard([&] { return Remove(&place); }) : Status::Ok();
  return Guard([&] { return BuildAndWriteAlone(&place, &step.key, value, instant); });
}

Status Operations::Set(uint64_t id, const Key& key, const Input& value, uint32_t flags, const Expiry& expiry) {
  ContainerState* state;
  PONGO_TRY(State(id, true, &state));
  return SetStep(id, KeyStep(key), value, flags, expiry);
}

Status Operations::DeleteStep(uint64_t id, const PathStep& step, bool* was_present) {
  Place place;
  PONGO_TRY(txn_->Read(id, &place.state));
  if (IsMulti(*place.state)) return DeletePairs(place.state, step.key, was_present);
  *was_present = false;
  const bool list = place.state->exists && place.state->now.kind() == static_cast<uint8_t>(Kind::kList);
  if (list && (!step.is_index || step.index < 0)) return Status::Ok();  // a List has nothing there
  PONGO_TRY(Locate(id, step, &place));
  *was_present = place.present;
  if (!place.present) return Status::Ok();
  return Guard([&] { return Remove(&place); });
}

Status Operations::Delete(uint64_t id, const Key& key, bool* was_present) {
  ContainerState* state;
  PONGO_TRY(State(id, true, &state));
  return DeleteStep(id, KeyStep(key), was_present);
}

Status Operations::Pop(uint64_t id, const Key& key, ValueVisitor found) {
  Place place;
  ContainerState* state;
  PONGO_TRY(State(id, true, &state));
  if (IsMulti(*state)) {  // the first value of the key
    uint64_t begin;
    uint64_t end;
    const ReadView view(txn_->mapping(), txn_);
    PONGO_TRY(FindBounds(view, id, key, key, kLower | kLowerInclusive | kUpper | kUpperInclusive, &begin, &end));
    return begin == end ? Status::Ok() : TakeAt(state, begin, [&](const Key&, const ValueView& value) {
      found(value);
      return true;
    });
  }
  PONGO_TRY(Locate(id, KeyStep(key), &place));
  if (!place.present) return Status::Ok();
  // Visited first: removing may give its memory to somebody else. The visitor may be called again on a retry.
  ValueView value;
  const Node leaf = place.path.leaf();
  PONGO_TRY(DecodeWord(txn_->mapping(), leaf, leaf.word(place.path.leaf_index()), &value));
  found(value);
  return Guard([&] { return Remove(&place); });
}

// Visits the entry at a position, then removes it.
Status Operations::TakeAt(ContainerState* state, uint64_t position, EntryVisitor visit) {
  PONGO_TRY(PageEntries(ReadView(txn_->mapping(), txn_), state->id, position, 1, 1, visit));
  return RemoveAt(state, position);
}

Status Operations::RemoveAt(ContainerState* state, uint64_t position) {
  return Guard([&]() -> Status {
    Place place;
    place.state = state;
    place.present = true;
    PONGO_TRY(TreeWriter(txn_->mapping(), txn_->writes(), true).SeekEntry(state->now.tree(), position, &place.path));
    return Remove(&place);
  });
}

Status Operations::Shift(uint64_t id, EntryVisitor visit) {
  ContainerState* state;
  PONGO_TRY(State(id, true, &state));
  uint64_t position = 0;
  bool any = false;
  const auto first = [&](const Key& key, const ValueView& value) {
    any = true;
    return visit(key, value);
  };
  PONGO_TRY(EdgeEntry(ReadView(txn_->mapping(), txn_), id, 1, first, &position));
  return any ? RemoveAt(state, position) : Status::Ok();
}

Status Operations::Update(uint64_t id, const uint8_t* wire, size_t size) {
  ContainerState* state;
  PONGO_TRY(State(id, true, &state));
  WireReader reader(wire, size);
  WireItem head;
  PONGO_TRY(reader.Next(&head));
  if (head.type < WireType::kDict) return Status(Code::kTYPE, "update needs keys and values");
  if (state->now.size == 0 && !IsMulti(*state) && !state->now.bounded()) {  // nothing to merge with: built in one go
    return Guard([&]() -> Status {
      Ref root;
      uint64_t count;
      PONGO_TRY(builder_->BuildTree(true, wire, size, id, &root, &count));
      PONGO_TRY(txn_->Read(id, &state));
      Root(state, root, static_cast<int64_t>(count));
      return Status::Ok();
    });
  }
  return Guard([&]() -> Status {
    KeyBuffer key;
    for (uint32_t i = 0; i < head.count; i++) {
      key.Clear();
      size_t consumed;
      PONGO_TRY(key.AddWire(reader.here(), reader.remaining(), &consumed));
      reader.Advance(consumed);
      Input value;
      value.wire = reader.here();
      const size_t start = reader.position();
      PONGO_TRY(reader.Skip());
      value.wire_size = reader.position() - start;
      PONGO_TRY(SetStep(id, KeyStep(key.key()), value, 0));
    }
    return Status::Ok();
  });
}

Status Operations::IncrementStep(uint64_t id, const PathStep& step, const ValueView& by, ValueVisitor result) {
  Place place;
  PONGO_TRY(txn_->Read(id, &place.state));
  if (IsMulti(*place.state)) return kManyValues;
  PONGO_TRY(Locate(id, step, &place));
  ValueView old;
  old.type = ValueView::Type::kInt;
  old.integer = 0;
  if (place.present) {
    const Node& leaf = place.path.leaf();
    PONGO_TRY(DecodeWord(txn_->mapping(), leaf, leaf.word(place.path.leaf_index()), &old));
  }
  NumberSum sum;
  PONGO_TRY(AddNumbers(old, by, &sum));
  return Guard([&]() -> Status {
    if (!place.keyed && !place.present) {  // beyond the end of a List: nulls up to there, as an assignment makes them
      Input grown;
      grown.view = sum.view;
      PONGO_TRY(ListSet(id, static_cast<uint64_t>(step.index), grown));
      result(sum.view);
      return Status::Ok();
    }
    Payload payload;
    PONGO_TRY(builder_->FromView(sum.view, &payload));
    payload.expires = place.present ? place.expires : 0;  // a counter keeps its expiry
    PONGO_TRY(WriteAlone(&place, &step.key, payload));
    result(sum.view);
    return Status::Ok();
  });
}

Status Operations::Increment(uint64_t id, const Key& key, const ValueView& by, ValueVisitor result) {
  ContainerState* state;
  PONGO_TRY(State(id, true, &state));
  return IncrementStep(id, KeyStep(key), by, result);
}

Status Operations::Matches(const Place& place, const Input* expected, bool* same) {
  *same = place.present == (expected != nullptr);
  if (!place.present || expected == nullptr) return Status::Ok();
  const Node& leaf = place.path.nodes[place.path.depth - 1];
  ValueView stored;
  PONGO_TRY(DecodeWord(txn_->mapping(), leaf, leaf.word(place.path.index[place.path.depth - 1]), &stored));
  if (expected->wire == nullptr) {
    *same = SameValue(stored, expected->view);
    return Status::Ok();
  }
  return SameAsWire(ReadView(txn_->mapping(), txn_), stored, expected->wire, expected->wire_size, same);
}

Status Operations::CompareAndSetStep(uint64_t id, const PathStep& step, const Input* expected, const Input* next, bool* swapped) {
  Place place;
  PONGO_TRY(txn_->Read(id, &place.state));
  if (IsMulti(*place.state)) return kManyValues;
  PONGO_TRY(Locate(id, step, &place));
  PONGO_TRY(Matches(place, expected, swapped));
  if (!*swapped) return Status::Ok();
  if (next == nullptr) return place.present ? Guard([&] { return Remove(&place); }) : Status::Ok();
  if (!place.keyed && !place.present) return ListSet(id, static_cast<uint64_t>(step.index), *next);
  return Guard([&] { return BuildAndWriteAlone(&place, &step.key, *next, 0); });
}

Status Operations::CompareAndSet(uint64_t id, const Key& key, const Input* expected, const Input* next, bool* swapped) {
  ContainerState* state;
  PONGO_TRY(State(id, true, &state));
  return CompareAndSetStep(id, KeyStep(key), expected, next, swapped);
}

Status Operations::ResolvePath(uint64_t id, const PathStep* steps, size_t count, uint64_t* container, const PathStep** last) {
  if (count == 0) return Status(Code::kARG, "the path is empty");
  for (size_t i = 0; i + 1 < count; i++) {
    Place place;
    bool keyed;
    PONGO_TRY(KindOf(id, &keyed));
    if (!keyed && !steps[i].is_index) return kNoIntermediate;
    PONGO_TRY(Locate(id, steps[i], &place));
    if (!place.present) return kNoIntermediate;
    const Word word = place.path.leaf().word(place.path.leaf_index());
    if (!IsContainer(word)) return kNoIntermediate;
    id = ContainerId(word);
  }
  *container = id;
  *last = &steps[count - 1];
  return Status::Ok();
}

Status Operations::Create(Kind kind, const uint8_t* wire, size_t size, uint64_t* id) {
  if (kind == Kind::kMulti && wire != nullptr) {
    return Guard([&]() -> Status {
      PONGO_TRY(builder_->BuildContainer(kind, nullptr, 0, id));
      return Update(*id, wire, size);
    });
  }
  return Guard([&] { return builder_->BuildContainer(kind, wire, size, id); });
}

// Drops the whole tree and what its values hold. O(n).
Status Operations::ReleaseContent(ContainerState* state, bool keyed) {
  const Ref root = state->now.tree();
  if (root == kNullRef) return Status::Ok();
  TreeWriter tree(txn_->mapping(), txn_->writes(), keyed);
  std::vector<Word> words;
  PONGO_TRY(tree.Walk(
      root, [](Ref) { return Status::Ok(); },
      [&](const Node& node) {
        for (uint32_t i = 0; node.leaf() && i < node.count(); i++)
          if (IsBlock(node.word(i)) || IsContainer(node.word(i))) words.push_back(node.word(i));
        return Status::Ok();
      }));
  PONGO_TRY(tree.DropAll(root));
  for (const Word word : words) PONGO_TRY(ReleaseWord(txn_, word, state->id));
  return Status::Ok();
}

Status Operations::RemoveContainer(uint64_t id, bool* existed) {
  ContainerState* state;
  PONGO_TRY(txn_->Read(id, &state));
  *existed = state->exists;
  if (!state->exists) return Status::Ok();
  return Guard([&]() -> Status {
    PONGO_TRY(ReleaseContent(state, state->now.kind() != static_cast<uint8_t>(Kind::kList)));
    if (state->now.has_companion()) PONGO_TRY(RemoveCompanion(state));
    return txn_->Remove(state);
  });
}

Status Operations::Clear(uint64_t id) {
  bool keyed;
  PONGO_TRY(KindOf(id, &keyed));
  ContainerState* state;
  PONGO_TRY(txn_->Read(id, &state));
  if (state->now.size == 0) return Status::Ok();
  return Guard([&]() -> Status {
    PONGO_TRY(ReleaseContent(state, keyed));
    Root(state, kNullRef, -static_cast<int64_t>(state->now.size));
    if (state->now.has_companion()) PONGO_TRY(ClearCompanion(state));
    return Status::Ok();
  });
}

Status Operations::Replace(uint64_t id, const uint8_t* wire, size_t size) {
  bool keyed;
  PONGO_TRY(KindOf(id, &keyed));
  ContainerState* state;
  PONGO_TRY(txn_->Read(id, &state));
  if (IsMulti(*state) || state->now.bounded()) {
    return Guard([&]() -> Status {
      PONGO_TRY(Clear(id));
      return Update(id, wire, size);
    });
  }
  return Guard([&]() -> Status {
    // The new content first: it may hold containers that the old one holds.
    Ref root;
    uint64_t count;
    PONGO_TRY(builder_->BuildTree(keyed, wire, size, id, &root, &count));
    PONGO_TRY(ReleaseContent(state, keyed));
    if (state->now.has_companion()) PONGO_TRY(ClearCompanion(state));
    Root(state, root, static_cast<int64_t>(count) - static_cast<int64_t>(state->now.size));
    return Status::Ok();
  });
}

}  // namespace pongo
