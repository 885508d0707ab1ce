#include "test/fuzz/model.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <set>

#include "format/key_codec.h"
#include "model/multi.h"
#include "model/numbers.h"

namespace pongo::test {
namespace {

using Type = ValueView::Type;

std::string Yes(bool yes) { return yes ? "yes" : "no"; }

bool IsNumber(const Value& value) { return value.type == Type::kInt || value.type == Type::kDouble || value.type == Type::kBigInt; }

double NumberOf(const Value& value) {
  if (value.type == Type::kInt) return static_cast<double>(static_cast<int64_t>(value.bits));
  double number;
  std::memcpy(&number, &value.bits, sizeof number);
  return number;
}

// Stored primitives compare by what they are; an integer equals the float of the same number, NaN equals NaN.
bool Same(const Value& a, const Value& b) {
  if (a == b) return true;
  const bool comparable = IsNumber(a) && IsNumber(b) && a.type != Type::kBigInt && b.type != Type::kBigInt;
  return comparable && NumberOf(a) == NumberOf(b);
}

}  // namespace

Key KeyText::key() const {
  Key key;
  key.data = reinterpret_cast<const uint8_t*>(bytes.data());
  key.size = static_cast<uint32_t>(bytes.size());
  key.form = reinterpret_cast<const uint8_t*>(form.data());
  key.form_size = static_cast<uint32_t>(form.size());
  return key;
}

void Value::View(uint64_t id, Kind kind, ValueView* view) const {
  view->type = type;
  view->kind = kind;
  view->negative = negative;
  std::memcpy(&view->integer, &bits, sizeof bits);
  if (type == Type::kContainer) view->id = id;
  view->data = reinterpret_cast<const uint8_t*>(bytes.data());
  view->size = bytes.size();
}

std::string Value::Text() const {
  std::string text = std::to_string(static_cast<int>(type)) + ":";
  if (type == Type::kContainer) return text + "#" + std::to_string(box);
  if (type == Type::kInt || type == Type::kDouble || type == Type::kDateTime) return text + std::to_string(bits);
  if (bytes.size() > 40) return text + std::to_string(bytes.size()) + " bytes " + bytes.substr(0, 20);
  return text + (negative ? "-" : "") + bytes;
}

uint64_t Names::IdOf(int handle) const {
  const auto found = ids_.find(handle);
  return found == ids_.end() ? 0 : found->second;
}

int Names::HandleOf(uint64_t id) const {
  const auto found = handles_.find(id);
  return found == handles_.end() ? 0 : found->second;
}

bool Names::Learn(int handle, uint64_t id) {
  return ids_.emplace(handle, id).first->second == id && handles_.emplace(id, handle).first->second == handle;
}

Value ValueOf(const ValueView& view, const Names& names) {
  Value value;
  value.type = view.type;
  switch (view.type) {
    case Type::kInt:
    case Type::kDouble:
    case Type::kDateTime: std::memcpy(&value.bits, &view.integer, sizeof value.bits); break;
    case Type::kContainer: value.box = names.HandleOf(view.id); break;
    case Type::kBigInt: value.negative = view.negative; [[fallthrough]];
    case Type::kString:
    case Type::kBytes:
    case Type::kUuid:
      // A UUID has no size of its own in a view.
      value.bytes.assign(reinterpret_cast<const char*>(view.data), view.type == Type::kUuid ? 16 : view.size);
      break;
    default: break;
  }
  return value;
}

const Box* Model::Find(int box) const {
  const auto found = boxes.find(box);
  return found == boxes.end() ? nullptr : &found->second;
}

std::string Model::PairKey(const KeyText& key, const Value& value) const {
  KeyBuffer pair;
  ValueView view;
  const Box* inner = value.type == Type::kContainer ? Find(value.box) : nullptr;
  value.View(names_->IdOf(value.box), inner == nullptr ? Kind::kNone : inner->kind, &view);
  if (!MakePairKey(key.key(), view, &pair).ok()) std::abort();
  return std::string(reinterpret_cast<const char*>(pair.key().data), pair.key().size);
}

uint64_t Model::RankOf(const Box& box, const KeyText& key) const {
  return static_cast<uint64_t>(std::count_if(box.entries.begin(), box.entries.end(), [&](const auto& e) { return e.second.key.bytes < key.bytes; }));
}

// -- keyed --

std::string Model::Get(int box, const KeyText& key) const {
  const Box* b = Find(box);
  if (!b->keyed()) return "TYPE";
  if (b->kind == Kind::kMulti) {
    for (const auto& [at, entry] : b->entries)
      if (entry.key.bytes == key.bytes) return "OK " + entry.value.Text();
    return "OK";
  }
  const auto found = b->entries.find(key.bytes);
  return found == b->entries.end() || !Shows(found->second) ? "OK" : "OK " + found->second.value.Text();
}

// Stores in a Dict or Collection; what a bound does not allow goes.
void Model::Put(Box* b, const KeyText& key, const Value& value, int64_t expires) {
  changed = true;
  const auto [at, fresh] = b->entries.try_emplace(key.bytes);
  if (fresh) {
    at->second.key = key;  // the form that was stored first stays
    at->second.order = ++b->order_next;
  }
  at->second.value = value;
  at->second.expires = expires;
  while (b->max_items != 0 && b->entries.size() > b->max_items) {
    auto oldest = b->entries.end();
    for (auto i = b->entries.begin(); i != b->entries.end(); ++i)
      if (i != at && (oldest == b->entries.end() || i->second.order < oldest->second.order)) oldest = i;
    b->entries.erase(oldest);
  }
}

void Model::Erase(Box* b, const std::string& at) {
  changed = true;
  b->entries.erase(at);
}

std::string Model::SetStep(int box, const Step& step, const Value& value, uint32_t flags, const Expiry& expiry) {
  Box* b = &boxes.at(box);
  const bool expires = expiry.kind != Expiry::Kind::kNever;
  if (expires && b->kind != Kind::kCollection) return "TYPE";
  if (!b->keyed()) {
    if (!step.is_index || step.index < 0) return "INDEX";
    if (static_cast<uint64_t>(step.index) < b->list.size() && (flags & kSetFailIfPresent) != 0) return "EXISTS";
    return ListSet(box, static_cast<uint64_t>(step.index), value);
  }
  if (b->kind == Kind::kMulti) {
    const auto [at, fresh] = b->entries.try_emplace(PairKey(step.key, value), Entry{step.key, value});
    if (!fresh) return (flags & kSetFailIfPresent) != 0 ? "EXISTS" : "OK";
    changed = true;
    return "OK";
  }
  const auto found = b->entries.find(step.key.bytes);
  const bool stored = found != b->entries.end();
  const bool present = stored && Shows(found->second);
  if (present && (flags & kSetFailIfPresent) != 0) return "EXISTS";
  const int64_t instant = expiry.kind == Expiry::Kind::kAfter ? now + expiry.microseconds
                          : expires                           ? expiry.microseconds
                          : (flags & kSetKeepExpiry) != 0 && present ? found->second.expires
                                                                     : 0;
  if (!expires || instant > now) {
    Put(b, step.key, value, instant);
  } else if (stored) {
    Erase(b, step.key.bytes);
  }
  return "OK";
}

std::string Model::Set(int box, const KeyText& key, const Value& value, uint32_t flags, const Expiry& expiry) {
  return Find(box)->keyed() ? SetStep(box, Step{key}, value, flags, expiry) : "TYPE";
}

std::string Model::DeleteStep(int box, const Step& step) {
  Box* b = &boxes.at(box);
  if (!b->keyed()) {
    const bool there = step.is_index && step.index >= 0 && static_cast<uint64_t>(step.index) < b->list.size();
    if (there) b->list.erase(b->list.begin() + step.index);
    changed = changed || there;
    return "OK " + Yes(there);
  }
  bool there = false;
  for (auto i = b->entries.begin(); i != b->entries.end();) {
    if (i->second.key.bytes == step.key.bytes && Shows(i->second)) {
      i = b->entries.erase(i);
      there = changed = true;
    } else {
      ++i;
    }
  }
  return "OK " + Yes(there);
}

std::string Model::Delete(int box, const KeyText& key) { return Find(box)->keyed() ? DeleteStep(box, Step{key}) : "TYPE"; }

std::string Model::DeletePair(int box, const KeyText& key, const Value& value) {
  Box* b = &boxes.at(box);
  if (b->kind != Kind::kMulti) return "TYPE";
  const bool there = b->entries.erase(PairKey(key, value)) != 0;
  changed = changed || there;
  return "OK " + Yes(there);
}

std::string Model::Pop(int box, const KeyText& key) {
  Box* b = &boxes.at(box);
  if (!b->keyed()) return "TYPE";
  for (auto& [at, entry] : b->entries) {
    if (entry.key.bytes != key.bytes || !Shows(entry)) continue;
    const std::string text = "OK " + entry.value.Text();
    Erase(b, std::string(at));
    return text;
  }
  return "OK";
}

std::string Model::Update(int box, const std::vector<std::pair<KeyText, Value>>& entries) {
  if (!Find(box)->keyed()) return "TYPE";
  for (const auto& [key, value] : entries) SetStep(box, Step{key}, value, 0, {});
  return "OK";
}

std::string Model::IncrementStep(int box, const Step& step, const Value& by) {
  Box* b = &boxes.at(box);
  Value old;
  old.type = Type::kInt;
  int64_t expires = 0;
  if (b->kind == Kind::kMulti) return "TYPE";
  if (b->keyed()) {
    const auto found = b->entries.find(step.key.bytes);
    if (found != b->entries.end() && Shows(found->second)) {
      old = found->second.value;
      expires = found->second.expires;
    }
  } else {
    if (!step.is_index || step.index < 0) return "INDEX";
    if (static_cast<uint64_t>(step.index) < b->list.size()) old = b->list[static_cast<size_t>(step.index)];
  }
  ValueView a, add;
  NumberSum sum;
  old.View(0, Kind::kNone, &a);
  by.View(0, Kind::kNone, &add);
  if (!AddNumbers(a, add, &sum).ok()) return "TYPE";
  const Value result = ValueOf(sum.view, *names_);
  if (b->keyed())
    Put(b, step.key, result, expires);
  else
    ListSet(box, static_cast<uint64_t>(step.index), result);
  return "OK " + result.Text();
}

std::string Model::Increment(int box, const KeyText& key, const Value& by) {
  return Find(box)->keyed() ? IncrementStep(box, Step{key}, by) : "TYPE";
}

std::string Model::CompareAndSetStep(int box, const Step& step, const Value* expected, const Value* next) {
  Box* b = &boxes.at(box);
  if (b->kind == Kind::kMulti) return "TYPE";
  const Value* old = nullptr;
  if (b->keyed()) {
    const auto found = b->entries.find(step.key.bytes);
    if (found != b->entries.end() && Shows(found->second)) old = &found->second.value;
  } else {
    if (!step.is_index || step.index < 0) return "INDEX";
    if (static_cast<uint64_t>(step.index) < b->list.size()) old = &b->list[static_cast<size_t>(step.index)];
  }
  const bool same = (old == nullptr) == (expected == nullptr) && (old == nullptr || Same(*old, *expected));
  if (!same) return "OK no";
  if (next == nullptr) {
    if (old != nullptr) DeleteStep(box, step);
  } else if (b->keyed()) {
    Put(b, step.key, *next, 0);
  } else {
    ListSet(box, static_cast<uint64_t>(step.index), *next);
  }
  return "OK yes";
}

std::string Model::CompareAndSet(int box, const KeyText& key, const Value* expected, const Value* next) {
  return Find(box)->keyed() ? CompareAndSetStep(box, Step{key}, expected, next) : "TYPE";
}

std::string Model::Shift(int box) {
  Box* b = &boxes.at(box);
  if (!b->keyed()) return "TYPE";
  for (const auto& [at, entry] : b->entries) {
    if (!Shows(entry)) continue;
    const std::string text = "OK " + entry.key.bytes + "=" + entry.value.Text();
    Erase(b, std::string(at));
    return text;
  }
  return "OK";
}

std::string Model::Bounds(int box, const KeyText& lo, const KeyText& hi, uint32_t flags) const {
  const Box* b = Find(box);
  if (!b->keyed() || (b->kind == Kind::kMulti && (flags & kPrefix) != 0)) return "TYPE";
  uint64_t begin = 0;
  uint64_t end = 0;
  const auto before = [&](const Entry& e) {
    return ((flags & kLower) != 0 && (e.key.bytes < lo.bytes || ((flags & kLowerInclusive) == 0 && e.key.bytes == lo.bytes))) ||
           ((flags & kPrefix) != 0 && e.key.bytes < lo.bytes);
  };
  const auto behind = [&](const Entry& e) {
    return ((flags & kUpper) != 0 && (e.key.bytes > hi.bytes || ((flags & kUpperInclusive) == 0 && e.key.bytes == hi.bytes))) ||
           ((flags & kPrefix) != 0 && e.key.bytes > lo.bytes && e.key.bytes.compare(0, lo.bytes.size(), lo.bytes) != 0);
  };
  for (const auto& [at, entry] : b->entries) {
    begin += before(entry) ? 1 : 0;
    end += behind(entry) ? 0 : 1;
  }
  return "OK " + std::to_string(begin) + " " + std::to_string(std::max(begin, end));
}

std::string Model::Rank(int box, const KeyText& key) const {
  const Box* b = Find(box);
  return b->keyed() ? "OK " + std::to_string(RankOf(*b, key)) : "TYPE";
}

std::string Model::SetExpiry(int box, const KeyText& key, const Expiry& expiry) {
  Box* b = &boxes.at(box);
  if (b->kind != Kind::kCollection) return "TYPE";
  const auto found = b->entries.find(key.bytes);
  if (found == b->entries.end() || !Shows(found->second)) return "OK no";
  const int64_t instant = expiry.kind == Expiry::Kind::kNever ? 0 : expiry.microseconds + (expiry.kind == Expiry::Kind::kAfter ? now : 0);
  if (instant == found->second.expires) return "OK yes";
  changed = true;
  if (instant != 0 && instant <= now)
    Erase(b, key.bytes);
  else
    found->second.expires = instant;
  return "OK yes";
}

std::string Model::TimeLeft(int box, const KeyText& key) const {
  const Box* b = Find(box);
  if (!b->keyed()) return "TYPE";
  const auto found = b->entries.find(key.bytes);
  const bool expires = b->kind != Kind::kMulti && found != b->entries.end() && found->second.expires > now;
  return expires ? "OK " + std::to_string(found->second.expires - now) : "OK";
}

// -- paths --

std::string Model::GetPath(int box, const std::vector<Step>& steps) const {
  for (size_t i = 0; i < steps.size(); i++) {
    const Box* b = Find(box);
    const Value* value = nullptr;
    if (b->keyed()) {
      for (const auto& [at, entry] : b->entries)
        if (value == nullptr && entry.key.bytes == steps[i].key.bytes && Shows(entry)) value = &entry.value;
    } else if (steps[i].is_index && steps[i].index >= 0 && static_cast<uint64_t>(steps[i].index) < b->list.size()) {
      value = &b->list[static_cast<size_t>(steps[i].index)];
    }
    if (value == nullptr) return "OK";
    if (i + 1 == steps.size()) return "OK " + value->Text();
    if (value->type != Type::kContainer) return "OK";
    box = value->box;
  }
  return "OK";
}

std::string Model::Resolve(int* box, const std::vector<Step>& steps) const {
  for (size_t i = 0; i + 1 < steps.size(); i++) {
    const Box* b = Find(*box);
    const Value* value = nullptr;
    if (b->keyed()) {
      const auto found = b->entries.find(steps[i].key.bytes);  // nothing leads through a MultiCollection
      if (found != b->entries.end() && Shows(found->second)) value = &found->second.value;
    } else {
      if (!steps[i].is_index) return "KEY";
      if (steps[i].index < 0) return "INDEX";
      if (static_cast<uint64_t>(steps[i].index) < b->list.size()) value = &b->list[static_cast<size_t>(steps[i].index)];
    }
    if (value == nullptr || value->type != Type::kContainer) return "KEY";
    *box = value->box;
  }
  return "";
}

std::string Model::SetPath(int box, const std::vector<Step>& steps, const Value& value, uint32_t flags) {
  const std::string failed = Resolve(&box, steps);
  return failed.empty() ? SetStep(box, steps.back(), value, flags, {}) : failed;
}

std::string Model::DeletePath(int box, const std::vector<Step>& steps) {
  const std::string failed = Resolve(&box, steps);
  if (failed == "KEY") return "OK no";
  return failed.empty() ? DeleteStep(box, steps.back()) : failed;
}

std::string Model::IncrementPath(int box, const std::vector<Step>& steps, const Value& by) {
  const std::string failed = Resolve(&box, steps);
  return failed.empty() ? IncrementStep(box, steps.back(), by) : failed;
}

std::string Model::CompareAndSetPath(int box, const std::vector<Step>& steps, const Value* expected, const Value* next) {
  const std::string failed = Resolve(&box, steps);
  return failed.empty() ? CompareAndSetStep(box, steps.back(), expected, next) : failed;
}

// -- any container --

std::string Model::Size(int box) const { return "OK " + std::to_string(Find(box)->size()); }

std::string Model::Clear(int box) {
  Box* b = &boxes.at(box);
  changed = changed || b->size() != 0;
  b->entries.clear();
  b->list.clear();
  return "OK";
}

std::string Model::Replace(int box, const std::vector<std::pair<KeyText, Value>>& entries) {
  Clear(box);
  changed = true;
  return Update(box, entries);
}

std::string Model::ReplaceList(int box, const std::vector<Value>& elements) {
  changed = true;
  boxes.at(box).list = elements;
  return "OK";
}

std::string Model::Page(int box, uint64_t start, uint64_t count, int step) const {
  const Box* b = Find(box);
  std::string text = "OK";
  const auto size = static_cast<int64_t>(b->size());
  std::vector<const Entry*> entries;
  for (const auto& [at, entry] : b->entries) entries.push_back(&entry);
  int64_t at = static_cast<int64_t>(start);
  for (uint64_t n = 0; n < count && at >= 0 && at < size; n++, at += step) {
    const auto i = static_cast<size_t>(at);
    if (b->keyed() && !Shows(*entries[i])) continue;
    text += b->keyed() ? " " + entries[i]->key.bytes + "/" + entries[i]->key.form + "=" + entries[i]->value.Text() : " " + b->list[i].Text();
  }
  return text;
}

std::string Model::At(int box, uint64_t position) const {
  Model later = *this;  // shows what has expired
  later.now = 0;
  return later.Page(box, position, 1, 1);
}

std::string Model::Edge(int box, int step) const {
  const Box* b = Find(box);
  std::string text = "OK";
  for (int64_t i = 0; i < static_cast<int64_t>(b->size()); i++) {
    const uint64_t at = static_cast<uint64_t>(step > 0 ? i : static_cast<int64_t>(b->size()) - 1 - i);
    text = Page(box, at, 1, 1);
    if (text != "OK") break;
  }
  return text;
}

std::string Model::Skip(int box, uint64_t start, uint64_t limit, uint64_t count, int step) const {
  const Box* b = Find(box);
  uint64_t passed = 0;
  std::vector<bool> shows;
  for (const auto& [at, entry] : b->entries) shows.push_back(Shows(entry));
  int64_t at = static_cast<int64_t>(start);
  while (count > 0 && passed < limit && at >= 0 && at < static_cast<int64_t>(shows.size())) {
    passed++;
    if (shows[static_cast<size_t>(at)]) count--;
    at += step;
  }
  return "OK " + std::to_string(passed);
}

// -- List --

std::string Model::ListGet(int box, uint64_t index) const {
  const Box* b = Find(box);
  if (b->keyed()) return "TYPE";
  return index < b->list.size() ? "OK " + b->list[index].Text() : "OK";
}

std::string Model::ListSet(int box, uint64_t index, const Value& value) {
  Box* b = &boxes.at(box);
  if (b->keyed()) return "TYPE";
  Value null;
  null.type = Type::kNull;
  if (index >= b->list.size()) b->list.resize(index + 1, null);
  b->list[index] = value;
  changed = true;
  return "OK";
}

std::string Model::ListSplice(int box, uint64_t start, uint64_t count, const std::vector<Value>& elements) {
  Box* b = &boxes.at(box);
  if (b->keyed()) return "TYPE";
  start = std::min<uint64_t>(start, b->list.size());
  count = std::min<uint64_t>(count, b->list.size() - start);
  changed = changed || count != 0 || !elements.empty();
  const auto from = b->list.begin() + static_cast<std::ptrdiff_t>(start);
  b->list.insert(b->list.erase(from, from + static_cast<std::ptrdiff_t>(count)), elements.begin(), elements.end());
  return "OK " + std::to_string(b->list.size());
}

std::string Model::ListPush(int box, const Value& value) { return ListSplice(box, ~uint64_t{0}, 0, {value}); }

std::string Model::ListTake(int box, bool first) {
  Box* b = &boxes.at(box);
  if (b->keyed()) return "TYPE";
  if (b->list.empty()) return "OK";
  changed = true;
  const auto at = first ? b->list.begin() : b->list.end() - 1;
  const std::string text = "OK " + at->Text();
  b->list.erase(at);
  return text;
}

std::string Model::ListArrange(int box, const std::vector<uint32_t>& positions) {
  Box* b = &boxes.at(box);
  if (b->keyed()) return "TYPE";
  std::vector<Value> arranged;
  for (const uint32_t position : positions) {
    if (position >= b->list.size()) return "INDEX";
    arranged.push_back(b->list[position]);
  }
  b->list = std::move(arranged);
  changed = true;
  return "OK";
}

// -- the model itself --

std::vector<int> Model::Reachable() const {
  std::vector<int> reached{kRootBox};
  std::set<int> seen{kRootBox};
  const auto visit = [&](const Value& value) {
    if (value.type == Type::kContainer && seen.insert(value.box).second) reached.push_back(value.box);
  };
  for (size_t i = 0; i < reached.size(); i++) {
    const Box& box = boxes.at(reached[i]);
    for (const auto& [at, entry] : box.entries) visit(entry.value);
    for (const Value& value : box.list) visit(value);
  }
  return reached;
}

void Model::Prune() {
  const std::vector<int> reached = Reachable();
  const std::set<int> keep(reached.begin(), reached.end());
  std::erase_if(boxes, [&](const auto& box) { return !keep.contains(box.first); });
}

void Model::RemoveExpired() {
  for (auto& [handle, box] : boxes) std::erase_if(box.entries, [&](const auto& entry) { return !Shows(entry.second); });
}

}  // namespace pongo::test
