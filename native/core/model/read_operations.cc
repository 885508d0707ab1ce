#include <algorithm>

#include "format/wire_writer.h"
#include "model/multi.h"
#include "model/operations.h"

namespace pongo {
namespace {

constexpr Status kNoContainer(Code::kKEY, "the container no longer exists");
constexpr Status kNotKeyed(Code::kTYPE, "the operation needs a Dict or Collection, and this is a List");
constexpr Status kNotList(Code::kTYPE, "the operation needs a List, and this is a Dict or Collection");

bool IsMulti(const ObjectEntry& entry) { return entry.kind() == static_cast<uint8_t>(Kind::kMulti); }

Key BorrowBytes(const std::vector<uint8_t>& bytes) {
  Key key;
  key.data = bytes.data();
  key.size = static_cast<uint32_t>(bytes.size());
  return key;
}

// Positions [begin, end) of the pairs with this key.
Status PairRange(Mapping* mapping, const ObjectEntry& entry, const Key& key, uint64_t* begin, uint64_t* end) {
  std::vector<uint8_t> lo;
  std::vector<uint8_t> hi;
  PONGO_TRY(PairBounds(key, &lo, &hi));
  const TreeReader tree(mapping, true);
  bool equal;
  PONGO_TRY(tree.Rank(entry.tree(), BorrowBytes(lo), begin, &equal));
  return tree.Rank(entry.tree(), BorrowBytes(hi), end, &equal);
}

bool IsKeyedKind(uint8_t kind) { return kind != static_cast<uint8_t>(Kind::kList); }

Key BorrowStored(const StoredKey& stored, std::vector<uint8_t>* bytes) {
  bytes->resize(stored.size() + stored.form_size + 1);
  stored.CopyTo(bytes->data());
  if (stored.form_size != 0) std::memcpy(bytes->data() + stored.size(), stored.form, stored.form_size);
  Key key;
  key.data = bytes->data();
  key.size = stored.size();
  key.form = bytes->data() + stored.size();
  key.form_size = stored.form_size;
  return key;
}

Status VisitFound(Mapping* mapping, const Found& found, ValueVisitor visit) {
  ValueView value;
  PONGO_TRY(DecodeWord(mapping, found.leaf, found.word(), &value));
  visit(value);
  return Status::Ok();
}

}  // namespace

int64_t ReadView::now() const {
  if (transaction_ != nullptr) return transaction_->now();
  if (now_ == 0) now_ = port::WallClockMicroseconds();
  return now_;
}

Status LeafEntryExpired(const Node& leaf, uint32_t index, int64_t now, bool* expired) {
  int64_t at;
  if (!leaf.Expiry(index, &at)) return Status(Code::kCORRUPT, "a stored expiry holds impossible bytes");
  *expired = at != 0 && at <= now;
  return Status::Ok();
}

Status ReadView::Lookup(uint64_t id, bool* present, ObjectEntry* entry) const {
  if (known_ != nullptr && id == known_id_) {
    *present = true;
    *entry = *known_;
    return Status::Ok();
  }
  if (transaction_ == nullptr) return FindObject(mapping_, table_, id, present, entry);
  ContainerState* state;
  PONGO_TRY(transaction_->Read(id, &state));
  state->searches++;
  *present = state->exists;
  *entry = state->now;
  return Status::Ok();
}

Status ReadView::Keyed(uint64_t id, ObjectEntry* entry) const {
  bool present;
  PONGO_TRY(Lookup(id, &present, entry));
  if (!present) return kNoContainer;
  return IsKeyedKind(entry->kind()) ? Status::Ok() : kNotKeyed;
}

Status ReadView::List(uint64_t id, ObjectEntry* entry) const {
  bool present;
  PONGO_TRY(Lookup(id, &present, entry));
  if (!present) return kNoContainer;
  return IsKeyedKind(entry->kind()) ? kNotList : Status::Ok();
}

Status GetValue(const ReadView& view, uint64_t id, const Key& key, ValueVisitor visit) {
  ObjectEntry entry;
  PONGO_TRY(view.Keyed(id, &entry));
  if (IsMulti(entry)) {  // the first value
    uint64_t begin;
    uint64_t end;
    PONGO_TRY(PairRange(view.mapping(), entry, key, &begin, &end));
    if (begin == end) return Status::Ok();
    return PageEntries(view, id, begin, 1, 1, [&](const Key&, const ValueView& value) {
      visit(value);
      return true;
    });
  }
  bool present;
  Found found;
  PONGO_TRY(TreeReader(view.mapping(), true).Find(entry.tree(), key, &present, &found));
  if (!present) return Status::Ok();
  bool expired;
  PONGO_TRY(HasExpired(view, found.leaf, found.index, &expired));
  if (expired) return Status::Ok();
  if (entry.is_lru() && view.notes_uses()) NoteUse(view.mapping(), StampOf(view.mapping(), id, entry, key));
  return VisitFound(view.mapping(), found, visit);
}

Status GetAt(const ReadView& view, uint64_t id, uint64_t index, ValueVisitor visit) {
  ObjectEntry entry;
  PONGO_TRY(view.List(id, &entry));
  bool present;
  Found found;
  PONGO_TRY(TreeReader(view.mapping(), false).FindAt(entry.tree(), index, &present, &found));
  return present ? VisitFound(view.mapping(), found, visit) : Status::Ok();
}

Status GetPathValue(const ReadView& view, uint64_t id, const PathStep* steps, size_t count, ValueVisitor visit) {
  Mapping* mapping = view.mapping();
  for (size_t i = 0; i < count; i++) {
    bool present;
    ObjectEntry entry;
    PONGO_TRY(view.Lookup(id, &present, &entry));
    if (!present) return i == 0 ? kNoContainer : Status::Ok();
    const bool keyed = IsKeyedKind(entry.kind());
    Found found;
    if (IsMulti(entry)) {  // leads to the first value of the key
      ValueView first;
      PONGO_TRY(GetValue(view, id, steps[i].key, [&](const ValueView& value) {
        first.type = value.type;
        first.id = value.id;
        if (i + 1 == count) visit(value);
      }));
      if (i + 1 == count || first.type != ValueView::Type::kContainer) return Status::Ok();
      id = first.id;
      continue;
    }
    if (keyed) {
      PONGO_TRY(TreeReader(mapping, true).Find(entry.tree(), steps[i].key, &present, &found));
      bool expired = false;
      if (present) PONGO_TRY(HasExpired(view, found.leaf, found.index, &expired));
      present = present && !expired;
      if (present && entry.is_lru() && view.notes_uses()) NoteUse(mapping, StampOf(mapping, id, entry, steps[i].key));
    } else {
      present = false;
      if (steps[i].is_index && steps[i].index >= 0)
        PONGO_TRY(TreeReader(mapping, false).FindAt(entry.tree(), static_cast<uint64_t>(steps[i].index), &present, &found));
    }
    if (!present) return Status::Ok();
    if (i + 1 == count) return VisitFound(mapping, found, visit);
    if (!IsContainer(found.word())) return Status::Ok();
    id = ContainerId(found.word());
  }
  ValueView self;  // an empty path names the container itself
  bool present;
  ObjectEntry entry;
  PONGO_TRY(view.Lookup(id, &present, &entry));
  if (!present) return kNoContainer;
  self.type = ValueView::Type::kContainer;
  self.kind = static_cast<Kind>(entry.kind());
  self.id = id;
  visit(self);
  return Status::Ok();
}

namespace {

// Starts loading the first node of a container. Not in a transaction, for which this would be a read that others can conflict with.
void ExpectContent(const ReadView& view, Word word) {
  if (view.in_transaction()) return;
  bool present = false;
  ObjectEntry entry;
  if (IsContainer(word) && view.Lookup(ContainerId(word), &present, &entry).ok() && present) view.mapping()->Prefetch(entry.tree());
}

}  // namespace

Status PageEntries(const ReadView& view, uint64_t id, uint64_t start, uint64_t count, int step, EntryVisitor visit,
                   uint32_t flags, uint64_t* passed) {
  bool present;
  ObjectEntry entry;
  PONGO_TRY(view.Lookup(id, &present, &entry));
  if (!present) return kNoContainer;
  const bool keyed = IsKeyedKind(entry.kind());
  Mapping* mapping = view.mapping();
  std::vector<uint8_t> bytes;
  Status failed;
  const bool multi = IsMulti(entry);
  Pair pair;
  uint64_t positions = 0;
  PONGO_TRY(TreeReader(mapping, keyed).Scan(entry.tree(), start, count, step, [&](const Node& leaf, uint32_t i) {
    Key key;
    positions++;
    if (leaf.may_expire() && (flags & kExpiredToo) == 0) {
      bool expired;
      failed = HasExpired(view, leaf, i, &expired);
      if (!failed.ok()) return false;
      if (expired) return true;
    }
    if (keyed) {
      StoredKey stored;
      uint8_t scratch[8];
      if (!ReadKey(mapping, leaf, i, &stored, scratch)) {
        failed = Status(Code::kCORRUPT, "a stored key holds impossible bytes");
        return false;
      }
      key = BorrowStored(stored, &bytes);
    }
    if (multi) {
      failed = pair.Read(key);
      return failed.ok() && visit(pair.key(), pair.value());
    }
    if (const uint32_t next = i + static_cast<uint32_t>(step); (flags & kContents) != 0 && next < leaf.count()) ExpectContent(view, leaf.word(next));
    ValueView value;
    failed = DecodeWord(mapping, leaf, leaf.word(i), &value);
    return failed.ok() && visit(key, value);
  }));
  if (passed != nullptr) *passed = positions;
  return failed;
}

Status SkipEntries(const ReadView& view, uint64_t id, uint64_t start, uint64_t limit, uint64_t count, int step, uint64_t* passed) {
  bool present;
  ObjectEntry entry;
  PONGO_TRY(view.Lookup(id, &present, &entry));
  if (!present) return kNoContainer;
  *passed = std::min(count, limit);
  if (!entry.has_companion() || *passed == 0) return Status::Ok();
  *passed = 0;
  Status failed;
  PONGO_TRY(TreeReader(view.mapping(), true).Scan(entry.tree(), start, limit, step, [&](const Node& leaf, uint32_t i) {
    bool expired;
    failed = HasExpired(view, leaf, i, &expired);
    if (!failed.ok()) return false;
    ++*passed;
    return expired || --count != 0;
  }));
  return failed;
}

Status EdgeEntry(const ReadView& view, uint64_t id, int step, EntryVisitor visit, uint64_t* position) {
  bool present;
  ObjectEntry entry;
  PONGO_TRY(view.Lookup(id, &present, &entry));
  if (!present) return kNoContainer;
  *position = step > 0 ? 0 : entry.size - 1;
  if (entry.size == 0) return Status::Ok();
  uint64_t passed = 1;
  if (entry.has_companion()) PONGO_TRY(SkipEntries(view, id, *position, entry.size, 1, step, &passed));
  if (passed == 0) return Status::Ok();
  *position = step > 0 ? passed - 1 : entry.size - passed;
  return PageEntries(view, id, *position, 1, 1, visit);
}

Status FindExpiry(const ReadView& view, uint64_t id, const Key& key, int64_t* expires) {
  *expires = 0;
  ObjectEntry entry;
  PONGO_TRY(view.Keyed(id, &entry));
  if (!entry.has_companion()) return Status::Ok();
  bool present;
  Found found;
  PONGO_TRY(TreeReader(view.mapping(), true).Find(entry.tree(), key, &present, &found));
  if (!present || !found.leaf.may_expire()) return Status::Ok();
  if (!found.leaf.Expiry(found.index, expires)) return Status(Code::kCORRUPT, "a stored expiry holds impossible bytes");
  if (*expires <= view.now()) *expires = 0;
  return Status::Ok();
}

Status FindRank(const ReadView& view, uint64_t id, const Key& key, uint64_t* rank) {
  ObjectEntry entry;
  PONGO_TRY(view.Keyed(id, &entry));
  uint64_t end;
  if (IsMulti(entry)) return PairRange(view.mapping(), entry, key, rank, &end);
  bool equal;
  return TreeReader(view.mapping(), true).Rank(entry.tree(), key, rank, &equal);
}

Status FindBounds(const ReadView& view, uint64_t id, const Key& lo, const Key& hi, uint32_t flags, uint64_t* begin, uint64_t* end) {
  ObjectEntry entry;
  PONGO_TRY(view.Keyed(id, &entry));
  const TreeReader tree(view.mapping(), true);
  const bool multi = IsMulti(entry);
  *begin = 0;
  *end = entry.size;
  // Positions of the first entry with this key, and behind the last.
  const auto around = [&](const Key& key, uint64_t* from, uint64_t* to) -> Status {
    if (multi) return PairRange(view.mapping(), entry, key, from, to);
    bool equal;
    PONGO_TRY(tree.Rank(entry.tree(), key, from, &equal));
    *to = *from + (equal ? 1 : 0);
    return Status::Ok();
  };
  uint64_t from;
  uint64_t to;
  if ((flags & kPrefix) != 0) {
    std::vector<uint8_t> low;
    std::vector<uint8_t> high;
    PONGO_TRY(PrefixBounds(lo, &low, &high));
    if (multi) return Status(Code::kTYPE, "a MultiCollection has no prefix ranges");
    PONGO_TRY(around(BorrowBytes(low), begin, &to));
    PONGO_TRY(around(BorrowBytes(high), end, &to));
  }
  if ((flags & kLower) != 0) {
    PONGO_TRY(around(lo, &from, &to));
    *begin = std::max(*begin, (flags & kLowerInclusive) != 0 ? from : to);
  }
  if ((flags & kUpper) != 0) {
    PONGO_TRY(around(hi, &from, &to));
    *end = std::min(*end, (flags & kUpperInclusive) != 0 ? to : from);
  }
  if (*end < *begin) *end = *begin;
  return Status::Ok();
}

namespace {

void WriteView(WireWriter* writer, const ValueView& value) {
  using Type = ValueView::Type;
  switch (value.type) {
    case Type::kAbsent: writer->Absent(); break;
    case Type::kNull: writer->Null(); break;
    case Type::kFalse: writer->Bool(false); break;
    case Type::kTrue: writer->Bool(true); break;
    case Type::kInt: writer->Int(value.integer); break;
    case Type::kDouble: writer->Double(value.number); break;
    case Type::kBigInt: writer->BigInt(value.negative, value.data, static_cast<uint32_t>(value.size)); break;
    case Type::kDateTime: writer->DateTime(value.integer); break;
    case Type::kUuid: writer->Uuid(value.data); break;
    case Type::kString: writer->String(value.data, static_cast<uint32_t>(value.size)); break;
    case Type::kBytes: writer->Bytes(value.data, static_cast<uint32_t>(value.size)); break;
    case Type::kContainer: writer->Container(static_cast<uint8_t>(value.kind), value.id); break;
  }
}

// Copies containers depth first, with a stack of its own: a worker's may be small, and a visit of a tree needs much of it.
class NativeCopy {
 public:
  NativeCopy(const ReadView& view, std::vector<uint8_t>* wire) : view_(view), writer_(wire), wire_(wire) {}

  Status Run(uint64_t id) {
    PONGO_TRY(Enter(id));
    while (!open_.empty()) {
      uint64_t nested = 0;
      PONGO_TRY(Advance(&open_.back(), &nested));
      if (nested != 0) {
        PONGO_TRY(Enter(nested));
      } else {
        writer_.SetCount(open_.back().head, open_.back().count);
        open_.pop_back();
      }
    }
    return Status::Ok();
  }

 private:
  struct Open {
    uint64_t id;
    uint64_t position = 0;  // of the next entry
    uint32_t count = 0;     // entries written: those that have expired are passed over
    size_t head;            // where the count is written
    bool keyed;
  };

  Status Enter(uint64_t id) {
    if (open_.size() >= kDepthMax) return Status(Code::kDEPTH, "containers are nested deeper than 512 levels");
    for (const Open& outer : open_)
      if (outer.id == id) return Status(Code::kTYPE, "a container that holds itself has no plain copy");
    bool present;
    ObjectEntry entry;
    PONGO_TRY(view_.Lookup(id, &present, &entry));
    if (!present) return kNoContainer;
    const bool keyed = IsKeyedKind(entry.kind());
    const size_t head = !keyed                                               ? writer_.List()
                        : entry.kind() == static_cast<uint8_t>(Kind::kDict) ? writer_.Dict()
                        : IsMulti(entry)                                     ? writer_.Multi()
                                                                             : writer_.Collection();
    open_.push_back(Open{.id = id, .head = head, .keyed = keyed});
    return Status::Ok();
  }

  // Writes entries up to the end or to one whose value is a container: then *nested is its id.
  Status Advance(Open* open, uint64_t* nested) {
    Status failed;
    uint64_t passed = 0;
    const auto write = [&](const Key& key, const ValueView& value) {
      if (open->keyed) failed = KeyToWire(key, wire_);
      if (!failed.ok()) return false;
      open->count++;
      if (value.type == ValueView::Type::kContainer) {
        *nested = value.id;
        return false;
      }
      WriteView(&writer_, value);
      return true;
    };
    PONGO_TRY(PageEntries(view_, open->id, open->position, ~uint64_t{0}, 1, write, 0, &passed));
    open->position += passed;
    return failed;
  }

  const ReadView& view_;
  WireWriter writer_;
  std::vector<uint8_t>* wire_;
  std::vector<Open> open_;
};

}  // namespace

Status CopyNative(const ReadView& view, uint64_t id, std::vector<uint8_t>* wire) { return NativeCopy(view, wire).Run(id); }

namespace {

// The entries that have not expired. O(n).
Status CountLive(const ReadView& view, const ObjectEntry& entry, uint64_t* count) {
  *count = 0;
  Status failed;
  PONGO_TRY(TreeReader(view.mapping(), true).Scan(entry.tree(), 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
    bool expired;
    failed = HasExpired(view, leaf, i, &expired);
    if (failed.ok() && !expired) ++*count;
    return failed.ok();
  }));
  return failed;
}

// Compares containers with wire values depth first, with a stack of its own.
class WireComparison {
 public:
  WireComparison(const ReadView& view, WireReader* reader) : view_(view), reader_(reader) {}

  Status Run(const ValueView& stored, bool* same) {
    PONGO_TRY(Compare(stored, same));
    while (*same && !open_.empty()) {
      Open* const top = &open_.back();
      if (top->position == top->count) {
        open_.pop_back();
        continue;
      }
      Found found;
      bool present;
      if (top->list) {
        PONGO_TRY(TreeReader(view_.mapping(), false).FindAt(top->root, top->position, &present, &found));
      } else {
        key_.Clear();
        size_t consumed;
        PONGO_TRY(key_.AddWire(reader_->here(), reader_->remaining(), &consumed));
        reader_->Advance(consumed);
        PONGO_TRY(TreeReader(view_.mapping(), true).Find(top->root, key_.key(), &present, &found));
      }
      top->position++;
      *same = present;
      if (!present) return Status::Ok();
      bool expired;
      PONGO_TRY(HasExpired(view_, found.leaf, found.index, &expired));
      *same = !expired;
      if (expired) return Status::Ok();
      ValueView value;
      PONGO_TRY(DecodeWord(view_.mapping(), found.leaf, found.word(), &value));
      PONGO_TRY(Compare(value, same));
    }
    return Status::Ok();
  }

 private:
  struct Open {
    Ref root;
    uint32_t count;
    bool list;
    uint32_t position = 0;
  };

  // The next wire value: equal so far, and what it holds is on the stack.
  Status Compare(const ValueView& stored, bool* same) {
    WireItem item;
    PONGO_TRY(reader_->Next(&item));
    if (item.type <= WireType::kContainer) {
      *same = SameValue(stored, ViewOfItem(item));
      return Status::Ok();
    }
    *same = false;
    if (open_.size() >= kDepthMax) return Status(Code::kDEPTH, "a value is nested deeper than 512 levels");
    if (stored.type != ValueView::Type::kContainer) return Status::Ok();
    ObjectEntry entry;
    bool present;
    PONGO_TRY(view_.Lookup(stored.id, &present, &entry));
    const bool list = item.type == WireType::kList;
    if (!present || list == IsKeyedKind(entry.kind()) || IsMulti(entry)) return Status::Ok();
    uint64_t size = entry.size;
    if (entry.has_companion()) PONGO_TRY(CountLive(view_, entry, &size));
    if (size != item.count) return Status::Ok();
    open_.push_back(Open{entry.tree(), item.count, list});
    *same = true;
    return Status::Ok();
  }

  const ReadView& view_;
  WireReader* reader_;
  KeyBuffer key_;
  std::vector<Open> open_;
};

}  // namespace

Status SameAsWire(const ReadView& view, const ValueView& stored, const uint8_t* wire, size_t size, bool* same) {
  WireReader reader(wire, size);
  return WireComparison(view, &reader).Run(stored, same);
}

}  // namespace pongo
