// Operations on Lists.
#include <algorithm>

#include "model/operations.h"

namespace pongo {
namespace {

constexpr Status kNotIndex(Code::kINDEX, "a List is addressed by an index, 0 or more");
constexpr Status kTooFar(Code::kINDEX, "a List grows by at most 33554432 elements at a time: the index is too far beyond the end");
constexpr uint64_t kListLengthMax = 0xffffffffu;   // as JavaScript's arrays
constexpr uint64_t kGrowthMax = uint64_t{1} << 25; // elements: a slip of the pen must not fill the disk with nulls
constexpr uint64_t kBulk = 2 * kListLeafCountMax;  // from here on whole leaves are added

// An element on its way from one tree to another. The bytes of a local value stay in the old leaf until that is dropped.
struct Element {
  Word word;
  const uint8_t* local;
};

}  // namespace

Status Operations::InsertAt(ContainerState* state, uint64_t position, Payload payload) {
  if (state->now.size >= kListLengthMax) return Status(Code::kINDEX, "a List holds at most 4294967295 elements");
  Place place;
  place.state = state;
  place.keyed = false;
  if (state->now.tree() != kNullRef)
    PONGO_TRY(TreeWriter(txn_->mapping(), txn_->writes(), false).SeekAt(state->now.tree(), position, &place.path));
  return Write(&place, nullptr, payload);
}

Status Operations::ListSet(uint64_t id, uint64_t index, const Input& value) {
  ContainerState* state;
  PONGO_TRY(State(id, false, &state));
  if (index >= kListLengthMax) return kNotIndex;
  return Guard([&]() -> Status {
    Payload payload;
    PONGO_TRY(builder_->Build(value, &payload));
    if (index < state->now.size) {
      Place place;
      PathStep step;
      step.index = static_cast<int64_t>(index);
      step.is_index = true;
      PONGO_TRY(Locate(id, step, &place));
      return Write(&place, nullptr, payload);
    }
    if (index > state->now.size) PONGO_TRY(AppendNulls(state, index - state->now.size));
    return InsertAt(state, index, payload);
  });
}

// There are no holes: what lies between the end and a new element is null.
Status Operations::AppendNulls(ContainerState* state, uint64_t count) {
  if (count > kGrowthMax) return kTooFar;
  if (count >= kBulk) {
    std::vector<LeafItem> nulls(std::min<uint64_t>(count, 32 * kListLeafCountMax));
    TreeWriter tree(txn_->mapping(), txn_->writes(), false);
    for (; count >= kBulk; count -= std::min<uint64_t>(count, nulls.size())) {
      const uint64_t n = std::min<uint64_t>(count, nulls.size());
      Ref root = state->now.tree();
      PONGO_TRY(tree.Append(nulls.data(), n, &root));
      Root(state, root, static_cast<int64_t>(n));
    }
  }
  for (; count > 0; count--) PONGO_TRY(InsertAt(state, state->now.size, Payload{}));
  return Status::Ok();
}

Status Operations::ListPush(uint64_t id, const Input& value, uint64_t* length) {
  ContainerState* state;
  PONGO_TRY(State(id, false, &state));
  return Guard([&]() -> Status {
    Payload payload;
    PONGO_TRY(builder_->Build(value, &payload));
    PONGO_TRY(InsertAt(state, state->now.size, payload));
    *length = state->now.size;
    return Status::Ok();
  });
}

Status Operations::ListSplice(uint64_t id, uint64_t start, uint64_t delete_count, const uint8_t* wire, size_t size,
                              uint64_t* length) {
  ContainerState* state;
  PONGO_TRY(State(id, false, &state));
  const uint64_t at = start > state->now.size ? state->now.size : start;
  WireReader reader(wire, size);
  WireItem head;
  if (wire != nullptr) {
    PONGO_TRY(reader.Next(&head));
    if (head.type != WireType::kList) return Status(Code::kTYPE, "a List takes elements");
  }
  return Guard([&]() -> Status {
    PONGO_TRY(RemoveRange(state, at, std::min(delete_count, state->now.size - at)));
    if (wire != nullptr && state->now.size == 0) {
      Ref root;
      uint64_t count;
      PONGO_TRY(builder_->BuildTree(false, wire, size, id, &root, &count));
      Root(state, root, static_cast<int64_t>(count));
    } else {
      for (uint32_t i = 0; wire != nullptr && i < head.count; i++) {
        Input value;
        value.wire = reader.here();
        const size_t from = reader.position();
        PONGO_TRY(reader.Skip());
        value.wire_size = reader.position() - from;
        Payload payload;
        PONGO_TRY(builder_->Build(value, &payload));
        PONGO_TRY(InsertAt(state, at + i, payload));
      }
    }
    *length = state->now.size;
    return Status::Ok();
  });
}

// Whole leaves go at once, single entries at both ends. Of any container of which nothing else stands anywhere: no expiry, no bounds.
Status Operations::RemoveRange(ContainerState* state, uint64_t at, uint64_t count) {
  const bool keyed = state->now.kind() != static_cast<uint8_t>(Kind::kList);
  if (count > 0 && count == state->now.size) {
    PONGO_TRY(ReleaseContent(state, keyed));
    Root(state, kNullRef, -static_cast<int64_t>(count));
    return Status::Ok();
  }
  TreeWriter tree(txn_->mapping(), txn_->writes(), keyed);
  std::vector<Word> words;
  while (count > 0) {
    Place place;
    place.state = state;
    place.keyed = keyed;
    place.present = true;
    PONGO_TRY(tree.SeekEntry(state->now.tree(), at, &place.path));
    const Node leaf = place.path.leaf();
    const uint32_t n = leaf.count();
    if (place.path.leaf_index() != 0 || n > count || n == 1) {
      PONGO_TRY(EraseStored(&place));
      count--;
      continue;
    }
    words.clear();
    for (uint32_t i = 0; i < n; i++) words.push_back(leaf.word(i));
    Ref root;
    PONGO_TRY(tree.EraseLeaf(&place.path, &root));
    for (const Word word : words) PONGO_TRY(ReleaseWord(txn_, word, state->id));
    Root(state, root, -static_cast<int64_t>(n));
    count -= n;
  }
  return Status::Ok();
}

Status Operations::ListArrange(uint64_t id, const uint32_t* positions, size_t count) {
  ContainerState* state;
  PONGO_TRY(State(id, false, &state));
  std::vector<Element> elements;
  elements.reserve(state->now.size);
  TreeWriter tree(txn_->mapping(), txn_->writes(), false);
  Status failed;
  PONGO_TRY(tree.Scan(state->now.tree(), 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
    Element element{leaf.word(i), nullptr};
    if (IsLocal(element.word)) {
      element.local = leaf.heap(LocalFromEnd(element.word), LocalSize(element.word));
      if (element.local == nullptr) failed = Status(Code::kCORRUPT, "a stored value holds impossible bytes");
    }
    elements.push_back(element);
    return failed.ok();
  }));
  PONGO_TRY(failed);
  for (size_t i = 0; i < count; i++)
    if (positions[i] >= elements.size()) return kNotIndex;
  return Guard([&]() -> Status {
    std::vector<bool> used(elements.size());
    std::vector<LeafItem> items(std::min<size_t>(count, 32 * kListLeafCountMax));
    Ref root = kNullRef;
    for (size_t from = 0; from < count; from += items.size()) {
      const size_t n = std::min(count - from, items.size());
      for (size_t i = 0; i < n; i++) {
        const uint32_t position = positions[from + i];
        PONGO_TRY(TakeElement(id, elements[position].word, elements[position].local, used[position], &items[i].payload));
        used[position] = true;
      }
      PONGO_TRY(tree.Append(items.data(), n, &root));
    }
    for (size_t i = 0; i < elements.size(); i++)
      if (!used[i]) PONGO_TRY(ReleaseWord(txn_, elements[i].word, id));
    PONGO_TRY(txn_->Read(id, &state));
    PONGO_TRY(tree.DropAll(state->now.tree()));
    Root(state, root, static_cast<int64_t>(count) - static_cast<int64_t>(state->now.size));
    return Status::Ok();
  });
}

// The payload of an element for a new leaf; `again`: another leaf has it already.
Status Operations::TakeElement(uint64_t owner, Word word, const uint8_t* local, bool again, Payload* payload) {
  *payload = Payload{};
  payload->word = word;
  if (local != nullptr) {
    payload->local = local;
    payload->local_size = LocalSize(word);
    payload->type = LocalType(word);
  } else if (again && IsContainer(word)) {
    return txn_->Link(ContainerId(word), owner);
  } else if (again && IsBlock(word)) {
    const uint8_t* bytes;
    uint64_t size;
    if (!ReadBlob(txn_->mapping(), BlockRef(word), &bytes, &size))
      return Status(Code::kCORRUPT, "a stored value holds impossible bytes");
    Ref copy;
    NodeEditor editor(txn_->mapping(), txn_->writes(), false);
    PONGO_TRY(editor.MakeBlob(static_cast<uint8_t>(BlockType(word)), bytes, size, nullptr, 0, &copy));
    payload->word = BlockWord(BlockType(word), copy);
  }
  return Status::Ok();
}

Status Operations::ListTake(uint64_t id, bool first, ValueVisitor found) {
  ContainerState* state;
  PONGO_TRY(State(id, false, &state));
  if (state->now.size == 0) return Status::Ok();
  PathStep step;
  step.is_index = true;
  step.index = first ? 0 : static_cast<int64_t>(state->now.size - 1);
  Place place;
  PONGO_TRY(Locate(id, step, &place));
  ValueView value;
  const Node leaf = place.path.leaf();
  PONGO_TRY(DecodeWord(txn_->mapping(), leaf, leaf.word(place.path.leaf_index()), &value));
  found(value);
  return Guard([&] { return Remove(&place); });
}

}  // namespace pongo
