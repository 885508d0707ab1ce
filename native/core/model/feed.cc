#include "model/feed.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "model/feed_marks.h"
#include "model/multi.h"
#include "model/operations.h"
#include "tree/diff.h"

namespace pongo {
namespace {

constexpr Status kBadKey(Code::kCORRUPT, "a stored key holds impossible bytes");
// A keyed container with more entries keeps an index of its containers.
constexpr uint64_t kScanMax = 1024;
// An instant before all expiries. An expired key is reported when it is taken out, like any other change of what is stored.
constexpr int64_t kNothingExpired = 1;
// Places looked at in one batch. Containers that share children on many levels have more paths than anybody can want.
constexpr uint64_t kVisitsMax = 1u << 20;

bool IsList(const ObjectEntry& entry) { return entry.kind() == static_cast<uint8_t>(Kind::kList); }
bool IsMulti(const ObjectEntry& entry) { return entry.kind() == static_cast<uint8_t>(Kind::kMulti); }

// A stored key in one piece.
class EntryKey {
 public:
  Status Read(Mapping* mapping, const Node& leaf, uint32_t i) {
    StoredKey stored;
    uint8_t scratch[8];
    if (!ReadKey(mapping, leaf, i, &stored, scratch)) return kBadKey;
    bytes_.resize(stored.size() + stored.form_size + 1);
    stored.CopyTo(bytes_.data());
    if (stored.form_size != 0) std::memcpy(bytes_.data() + stored.size(), stored.form, stored.form_size);
    key_.data = bytes_.data();
    key_.size = stored.size();
    key_.form = bytes_.data() + stored.size();
    key_.form_size = stored.form_size;
    return Status::Ok();
  }
  const Key& key() const { return key_; }

 private:
  std::vector<uint8_t> bytes_;
  Key key_;
};

PathStep KeyStep(const Key& key) {
  PathStep step;
  step.key = key;
  return step;
}

PathStep IndexStep(uint64_t index) {
  PathStep step;
  step.index = static_cast<int64_t>(index);
  step.is_index = true;
  return step;
}

std::string KeyText(const Key& key) { return std::string(reinterpret_cast<const char*>(key.data), key.size); }

// Bit by bit: 1 is not 1.0, -0 is not 0.
bool SameExactly(const ValueView& a, const ValueView& b) {
  return a.type == b.type && SameValue(a, b) &&
         (a.type != ValueView::Type::kDouble || std::signbit(a.number) == std::signbit(b.number));
}

// Where a container stands in another one.
struct Place {
  uint64_t id = 0;
  std::vector<uint8_t> key;  // ordered form, then form; a pair in a MultiCollection
  uint32_t key_size = 0;
  uint64_t index = 0;        // in a List
  Key AsKey() const {
    Key k;
    k.data = key.data();
    k.size = key_size;
    k.form = key.data() + key_size;
    k.form_size = static_cast<uint32_t>(key.size()) - key_size;
    return k;
  }
};

// Positions of a List whose elements are new there.
struct Range {
  uint64_t begin;
  uint64_t end;
};

class FeedWalk {
 public:
  FeedWalk(Mapping* mapping, Watcher* watcher, const Base& after, ChangeVisitor* visitor)
      : mapping_(mapping),
        watcher_(watcher),
        before_(watcher->base),
        after_(after),
        visitor_(visitor),
        marks_(mapping, after.table),
        outdated_(std::move(watcher->outdated)) {
    watcher->outdated.clear();
    watcher->shown.clear();
    watcher->shown_multis.clear();
  }

  Status Run();

 private:
  Status Target(const ValueView* old_value, const ValueView* value);
  Status Subtree(uint64_t top);
  Status Visit(uint64_t id);
  Status DiffKeyed(uint64_t id, const ObjectEntry& before, const ObjectEntry& after);
  Status DiffPairs(uint64_t id, const ObjectEntry& before, const ObjectEntry& after);
  Status DiffList(const ObjectEntry& before, const ObjectEntry& after, std::vector<Range>* fresh);
  Status Children(uint64_t id, const ObjectEntry& after, const std::vector<Range>& fresh);
  Status FindPlaces(uint64_t id, const ObjectEntry& after, const std::vector<Range>& fresh, std::vector<Place>* places);
  Status PlacesByIndex(uint64_t id, const ObjectEntry& after, std::vector<Place>* places);
  Status Child(uint64_t parent_id, const Place& place, const ObjectEntry& parent);
  Status ChangedPair(uint64_t multi, const Place& place, const ValueView& view);

  Status EmitSet(const ValueView* old_value, const ValueView& value, uint64_t multi = 0);
  Status EmitDelete(const ValueView& old_value);
  void EmitReset();
  Status CopyOld(const ValueView* old_value, Change* change);
  void Emit(Change* change);
  ValueView ContainerView(uint64_t id, const ObjectEntry& entry) const;

  Mapping* const mapping_;
  Watcher* const watcher_;
  const Base& before_;
  const Base& after_;
  ChangeVisitor* const visitor_;
  std::unordered_map<uint64_t, std::pair<ObjectEntry, ObjectEntry>> changed_;
  FeedMarks marks_;
  std::unordered_set<uint64_t> outdated_;
  std::unordered_set<uint64_t> visited_;
  std::unordered_set<uint64_t> open_;  // the containers that the present path leads through
  std::vector<PathStep> path_;
  std::vector<uint8_t> copy_;
  uint64_t visits_ = 0;
  bool lost_ = false;
};

void FeedWalk::Emit(Change* change) {
  change->path = path_.data();
  change->path_size = path_.size();
  visitor_->OnChange(*change);
}

Status FeedWalk::CopyOld(const ValueView* old_value, Change* change) {
  change->old_value = old_value;
  if (old_value == nullptr || old_value->type != ValueView::Type::kContainer) return Status::Ok();
  copy_.clear();
  const Status copied = CopyNative(ReadView(mapping_, before_.table, kNothingExpired), old_value->id, &copy_);
  if (copied.ok()) change->old_copy = &copy_;
  return copied.code() == Code::kTYPE || copied.code() == Code::kDEPTH ? Status::Ok() : copied;
}

// `multi`: the MultiCollection that the value is one of.
Status FeedWalk::EmitSet(const ValueView* old_value, const ValueView& value, uint64_t multi) {
  Change change;
  change.type = Change::Type::kSet;
  change.value = &value;
  PONGO_TRY(CopyOld(old_value, &change));
  if (value.type == ValueView::Type::kContainer) {
    watcher_->shown.insert(value.id);
    if (multi != 0) watcher_->shown_multis.insert(multi);
  }
  Emit(&change);
  return Status::Ok();
}

Status FeedWalk::EmitDelete(const ValueView& old_value) {
  Change change;
  change.type = Change::Type::kDelete;
  PONGO_TRY(CopyOld(&old_value, &change));
  Emit(&change);
  return Status::Ok();
}

void FeedWalk::EmitReset() {
  path_.clear();
  Change change;
  Emit(&change);
}

ValueView FeedWalk::ContainerView(uint64_t id, const ObjectEntry& entry) const {
  ValueView view;
  view.type = ValueView::Type::kContainer;
  view.kind = static_cast<Kind>(entry.kind());
  view.id = id;
  return view;
}

// -- what is watched --

Status FeedWalk::Run() {
  const auto resolve = [this](const Base& base, ValueVisitor visit) {
    return GetPathValue(ReadView(mapping_, base.table, kNothingExpired), watcher_->id, watcher_->path.data(), watcher_->path.size(), visit);
  };
  const auto missing = [](const Status& status) { return status.ok() || status.code() == Code::kKEY; };
  if (watcher_->reset) {  // the base may not be protected any more
    const Status read = resolve(after_, [&](const ValueView& value) {
      if (value.type == ValueView::Type::kContainer) watcher_->shown.insert(value.id);
    });
    EmitReset();
    return missing(read) ? Status::Ok() : read;
  }
  bool had = false;
  bool has = false;
  Status result;
  const Status old_read = resolve(before_, [&](const ValueView& old_value) {
    had = true;
    const Status read = resolve(after_, [&](const ValueView& value) {
      has = true;
      result = Target(&old_value, &value);
    });
    if (!has) result = missing(read) ? Target(&old_value, nullptr) : read;
  });
  if (had || !missing(old_read)) return had ? result : old_read;
  const Status read = resolve(after_, [&](const ValueView& value) {
    has = true;
    result = Target(nullptr, &value);
  });
  return has || missing(read) ? result : read;
}

Status FeedWalk::Target(const ValueView* old_value, const ValueView* value) {
  const bool same_container = old_value != nullptr && value != nullptr && old_value->type == ValueView::Type::kContainer &&
                              value->type == ValueView::Type::kContainer && old_value->id == value->id;
  if (same_container && outdated_.contains(value->id) && watcher_->path.empty()) {
    watcher_->places.clear();
    watcher_->shown.insert(value->id);
    EmitReset();
    return Status::Ok();
  }
  if (same_container && !outdated_.contains(value->id)) {
    PONGO_TRY(Subtree(value->id));
    if (lost_) {
      watcher_->places.clear();
      watcher_->shown = {value->id};
      watcher_->shown_multis.clear();
      EmitReset();
    }
    return Status::Ok();
  }
  watcher_->places.clear();
  if (value == nullptr) return EmitDelete(*old_value);
  if (old_value != nullptr && !same_container && SameExactly(*old_value, *value)) return Status::Ok();
  return EmitSet(old_value, *value);
}

Status FeedWalk::Subtree(uint64_t top) {
  std::vector<uint64_t> ids(outdated_.begin(), outdated_.end());
  PONGO_TRY(DiffObjects(mapping_, before_.table, after_.table,
                        [&](uint64_t id, const ObjectEntry* before, const ObjectEntry* after) {
                          if (before == nullptr || after == nullptr) {
                            watcher_->places.erase(id);
                          } else if (before->root != after->root || before->size != after->size) {
                            changed_.emplace(id, std::make_pair(*before, *after));
                            ids.push_back(id);
                          }
                          return Status::Ok();
                        }));
  if (ids.empty()) return Status::Ok();
  marks_.AddTop(top);
  PONGO_TRY(marks_.Find(ids));
  if (changed_.contains(top) || marks_.Leads(top)) PONGO_TRY(Visit(top));
  // An index that has missed a change is of no use.
  for (const auto& [id, entries] : changed_)
    if (!visited_.contains(id)) watcher_->places.erase(id);
  return Status::Ok();
}

// -- down the marked containers --

// Recursion ends at kDepthMax; what is large lives on the heap.
Status FeedWalk::Visit(uint64_t id) {
  if (++visits_ > kVisitsMax) lost_ = true;
  if (lost_) return Status::Ok();
  ObjectEntry after;
  std::vector<Range> fresh;
  if (const auto found = changed_.find(id); found != changed_.end()) {
    const ObjectEntry before = found->second.first;
    after = found->second.second;
    if (IsList(after))
      PONGO_TRY(DiffList(before, after, &fresh));
    else if (IsMulti(after))
      PONGO_TRY(DiffPairs(id, before, after));
    else
      PONGO_TRY(DiffKeyed(id, before, after));
  } else {
    bool present;
    PONGO_TRY(FindObject(mapping_, after_.table, id, &present, &after));
    if (!present) return Status::Ok();
  }
  visited_.insert(id);
  if (!marks_.Leads(id)) return Status::Ok();
  open_.insert(id);
  const Status status = Children(id, after, fresh);
  open_.erase(id);
  return status;
}

Status FeedWalk::Children(uint64_t id, const ObjectEntry& after, const std::vector<Range>& fresh) {
  std::vector<Place> places;
  PONGO_TRY(FindPlaces(id, after, fresh, &places));
  const auto changed = changed_.find(id);
  for (const Place& place : places) {
    if (changed != changed_.end() && !IsList(after)) {
      // What has come to its key with this batch was shown as a whole.
      bool present;
      Found found;
      PONGO_TRY(TreeReader(mapping_, true).Find(changed->second.first.tree(), place.AsKey(), &present, &found));
      if (!present || IsDouble(found.word()) || !IsContainer(found.word()) || ContainerId(found.word()) != place.id) continue;
    }
    PONGO_TRY(Child(id, place, after));
  }
  return Status::Ok();
}

// A container that was at this place before and still is, and has changed somewhere below.
Status FeedWalk::Child(uint64_t parent_id, const Place& place, const ObjectEntry& parent) {
  if (open_.contains(place.id)) return Status::Ok();
  bool present;
  ObjectEntry entry;
  PONGO_TRY(FindObject(mapping_, after_.table, place.id, &present, &entry));
  if (!present) return Status::Ok();
  const ValueView view = ContainerView(place.id, entry);
  if (IsMulti(parent)) return ChangedPair(parent_id, place, view);
  path_.push_back(IsList(parent) ? IndexStep(place.index) : KeyStep(place.AsKey()));
  const bool whole = outdated_.contains(place.id) || open_.size() >= kDepthMax;
  const Status status = whole ? EmitSet(&view, view) : Visit(place.id);
  path_.pop_back();
  return status;
}

// No path leads to one of many values of a key: the changed value goes and comes.
Status FeedWalk::ChangedPair(uint64_t multi, const Place& place, const ValueView& view) {
  Pair pair;
  PONGO_TRY(pair.Read(place.AsKey()));
  path_.push_back(KeyStep(pair.key()));
  Status status = EmitDelete(view);
  if (status.ok()) status = EmitSet(nullptr, view, multi);
  path_.pop_back();
  return status;
}

Status FeedWalk::FindPlaces(uint64_t id, const ObjectEntry& after, const std::vector<Range>& fresh, std::vector<Place>* places) {
  const bool keyed = !IsList(after);
  if (keyed && !IsMulti(after) && after.size > kScanMax) return PlacesByIndex(id, after, places);
  const std::unordered_set<uint64_t>& wanted = marks_.ChildrenOf(id);
  std::unordered_set<uint64_t> found;
  uint64_t position = 0;
  auto range = fresh.begin();
  Status failed;
  EntryKey key;
  PONGO_TRY(TreeReader(mapping_, keyed).Scan(after.tree(), 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
    const uint64_t here = position++;
    const Word word = leaf.word(i);
    if (IsDouble(word) || !IsContainer(word) || !wanted.contains(ContainerId(word))) return true;
    found.insert(ContainerId(word));
    while (range != fresh.end() && range->end <= here) ++range;
    if (range != fresh.end() && range->begin <= here) return true;
    Place place;
    place.id = ContainerId(word);
    place.index = here;
    if (keyed) {
      failed = key.Read(mapping_, leaf, i);
      if (!failed.ok()) return false;
      place.key.assign(key.key().data, key.key().data + key.key().size);
      place.key_size = key.key().size;
      if (key.key().form_size != 0) place.key.insert(place.key.end(), key.key().form, key.key().form + key.key().form_size);
    }
    places->push_back(std::move(place));
    return true;
  }));
  if (found.size() != wanted.size()) lost_ = true;  // a parent that is none: only a damaged file has one
  return failed;
}

Status FeedWalk::PlacesByIndex(uint64_t id, const ObjectEntry& after, std::vector<Place>* places) {
  auto known = watcher_->places.find(id);
  if (known == watcher_->places.end()) {
    known = watcher_->places.emplace(id, std::unordered_multimap<uint64_t, std::string>()).first;
    Status failed;
    EntryKey key;
    PONGO_TRY(TreeReader(mapping_, true).Scan(after.tree(), 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
      const Word word = leaf.word(i);
      if (IsDouble(word) || !IsContainer(word)) return true;
      failed = key.Read(mapping_, leaf, i);
      if (failed.ok()) known->second.emplace(ContainerId(word), KeyText(key.key()));
      return failed.ok();
    }));
    PONGO_TRY(failed);
  }
  const TreeReader tree(mapping_, true);
  for (const uint64_t child : marks_.ChildrenOf(id)) {
    const auto [begin, end] = known->second.equal_range(child);
    if (begin == end) lost_ = true;
    for (auto at = begin; at != end; ++at) {
      Key key;
      key.data = reinterpret_cast<const uint8_t*>(at->second.data());
      key.size = static_cast<uint32_t>(at->second.size());
      // The form, 1 or 1.0, is read where the key is stored.
      bool present;
      Found found;
      PONGO_TRY(tree.Find(after.tree(), key, &present, &found));
      EntryKey stored;
      if (present) PONGO_TRY(stored.Read(mapping_, found.leaf, found.index));
      if (!present || IsDouble(found.word()) || !IsContainer(found.word()) || ContainerId(found.word()) != child) {
        lost_ = true;
        continue;
      }
      Place place;
      place.id = child;
      place.key.assign(stored.key().data, stored.key().data + stored.key().size);
      place.key_size = stored.key().size;
      if (stored.key().form_size != 0)
        place.key.insert(place.key.end(), stored.key().form, stored.key().form + stored.key().form_size);
      places->push_back(std::move(place));
    }
  }
  return Status::Ok();
}

// -- one container --

namespace {

// Visits the entries of the two sides in the order of their keys; a null index stands for "not on this side".
constexpr size_t kNone = ~size_t{0};

Status MergeGap(Mapping* mapping, const Gap& gap, FunctionRef<Status(const Key& key, size_t i, size_t j)> visit) {
  EntryKey a;
  EntryKey b;
  size_t i = 0;
  size_t j = 0;
  const size_t n = gap.before.size();
  const size_t m = gap.after.size();
  if (n != 0) PONGO_TRY(a.Read(mapping, gap.before.leaf(0), gap.before.index(0)));
  if (m != 0) PONGO_TRY(b.Read(mapping, gap.after.leaf(0), gap.after.index(0)));
  while (i < n || j < m) {
    const int order = i == n ? 1 : j == m ? -1 : CompareBytes(a.key().data, a.key().size, b.key().data, b.key().size);
    if (order < 0) {
      PONGO_TRY(visit(a.key(), i, kNone));
    } else if (order > 0) {
      PONGO_TRY(visit(b.key(), kNone, j));
    } else {
      const bool same_form = a.key().form_size == b.key().form_size &&
                             (a.key().form_size == 0 || std::memcmp(a.key().form, b.key().form, a.key().form_size) == 0);
      if (!same_form || !SameEntry(mapping, gap.before.leaf(i), gap.before.index(i), gap.after.leaf(j), gap.after.index(j)))
        PONGO_TRY(visit(b.key(), i, j));
    }
    if (order <= 0 && ++i < n) PONGO_TRY(a.Read(mapping, gap.before.leaf(i), gap.before.index(i)));
    if (order >= 0 && ++j < m) PONGO_TRY(b.Read(mapping, gap.after.leaf(j), gap.after.index(j)));
  }
  return Status::Ok();
}

bool IsContainerWord(Word word) { return !IsDouble(word) && IsContainer(word); }

}  // namespace

Status FeedWalk::DiffKeyed(uint64_t id, const ObjectEntry& before, const ObjectEntry& after) {
  const auto known = watcher_->places.find(id);
  const bool keep = known != watcher_->places.end() && !visited_.contains(id);
  return DiffTrees(mapping_, true, before.tree(), after.tree(), [&](const Gap& gap) {
    return MergeGap(mapping_, gap, [&](const Key& key, size_t i, size_t j) -> Status {
      if (keep && i != kNone && IsContainerWord(gap.before.word(i))) {
        const auto [begin, end] = known->second.equal_range(ContainerId(gap.before.word(i)));
        const auto at = std::find_if(begin, end, [&](const auto& place) { return place.second == KeyText(key); });
        if (at != end) known->second.erase(at);
      }
      if (keep && j != kNone && IsContainerWord(gap.after.word(j))) known->second.emplace(ContainerId(gap.after.word(j)), KeyText(key));
      ValueView old_value;
      ValueView value;
      if (i != kNone) PONGO_TRY(DecodeWord(mapping_, gap.before.leaf(i), gap.before.word(i), &old_value));
      if (j != kNone) PONGO_TRY(DecodeWord(mapping_, gap.after.leaf(j), gap.after.word(j), &value));
      path_.push_back(KeyStep(key));
      const Status status = j == kNone ? EmitDelete(old_value) : EmitSet(i == kNone ? nullptr : &old_value, value);
      path_.pop_back();
      return status;
    });
  });
}

Status FeedWalk::DiffPairs(uint64_t id, const ObjectEntry& before, const ObjectEntry& after) {
  Pair pair;
  return DiffTrees(mapping_, true, before.tree(), after.tree(), [&](const Gap& gap) {
    return MergeGap(mapping_, gap, [&](const Key& key, size_t i, size_t j) -> Status {
      PONGO_TRY(pair.Read(key));
      path_.push_back(KeyStep(pair.key()));
      Status status;
      if (i != kNone) status = EmitDelete(pair.value());
      if (j != kNone && status.ok()) status = EmitSet(nullptr, pair.value(), id);
      path_.pop_back();
      return status;
    });
  });
}

// The changes of the elements left of a position have been made when its change is: positions are those of the new state.
Status FeedWalk::DiffList(const ObjectEntry& before, const ObjectEntry& after, std::vector<Range>* fresh) {
  const auto decode = [this](const GapSide& side, size_t i, ValueView* view) {
    return DecodeWord(mapping_, side.leaf(i), side.word(i), view);
  };
  return DiffTrees(mapping_, false, before.tree(), after.tree(), [&](const Gap& gap) -> Status {
    for (const Hunk& hunk : AlignGap(mapping_, gap)) {
      const uint64_t index = gap.after.begin + hunk.after;
      if (hunk.removed == hunk.inserted) {
        for (size_t k = 0; k < hunk.removed; k++) {
          const size_t i = hunk.before + k;
          const size_t j = hunk.after + k;
          if (SameEntry(mapping_, gap.before.leaf(i), gap.before.index(i), gap.after.leaf(j), gap.after.index(j))) continue;
          ValueView old_value;
          ValueView value;
          PONGO_TRY(decode(gap.before, i, &old_value));
          PONGO_TRY(decode(gap.after, j, &value));
          path_.push_back(IndexStep(index + k));
          const Status status = EmitSet(&old_value, value);
          path_.pop_back();
          PONGO_TRY(status);
          fresh->push_back({index + k, index + k + 1});
        }
        continue;
      }
      Change change;
      change.type = Change::Type::kSplice;
      change.index = index;
      change.removed = hunk.removed;
      change.inserted = hunk.inserted;
      Emit(&change);
      for (size_t k = 0; k < hunk.inserted; k++) {
        ValueView value;
        PONGO_TRY(decode(gap.after, hunk.after + k, &value));
        if (value.type == ValueView::Type::kContainer) watcher_->shown.insert(value.id);
        visitor_->OnInserted(value);
      }
      if (hunk.inserted != 0) fresh->push_back({index, index + hunk.inserted});
    }
    return Status::Ok();
  });
}

}  // namespace

Status VisitChanges(Mapping* mapping, Watcher* watcher, const Base& after, ChangeVisitor* visitor) {
  const Status status = FeedWalk(mapping, watcher, after, visitor).Run();
  watcher->settled = watcher->shown.empty();
  watcher->reset = !status.ok();
  if (!status.ok()) watcher->places.clear();
  return status;
}

Status SettleBatch(Mapping* mapping, Watcher* watcher, const Base& now) {
  if (watcher->settled) return Status::Ok();
  watcher->settled = true;
  if (now.word == watcher->base.word) return Status::Ok();
  std::vector<uint64_t> ids;
  PONGO_TRY(DiffObjects(mapping, watcher->base.table, now.table,
                        [&](uint64_t id, const ObjectEntry* before, const ObjectEntry* after) {
                          if (before != nullptr && after != nullptr && (before->root != after->root || before->size != after->size))
                            ids.push_back(id);
                          return Status::Ok();
                        }));
  FeedMarks marks(mapping, now.table);
  for (const uint64_t id : watcher->shown) marks.AddTop(id);
  PONGO_TRY(marks.Reached(ids, &watcher->outdated));
  // The value of a pair may hold any of the outdated ones, and it is by its value that a reader finds a pair.
  if (!watcher->outdated.empty()) watcher->outdated.insert(watcher->shown_multis.begin(), watcher->shown_multis.end());
  return Status::Ok();
}

}  // namespace pongo
