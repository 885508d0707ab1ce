// The operations that write.
#include <algorithm>

#include "test/fuzz/generator.h"
#include "test/fuzz/generator_support.h"

namespace pongo::test {
namespace {

using Type = ValueView::Type;

}  // namespace

Operation Generator::Write(const Model& model) {
  switch (Below(24)) {
    case 0: return MakeContainer(model, SomeBox(model));
    case 1: return WriteWhole(model, SomeBox(model));
    case 2:
    case 3:
    case 4: return WritePath(model, SomeBox(model));
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10: return WriteList(model, SomeBoxOf(model, OneIn(30)));
    case 11:
    case 12:
    case 13:
    case 14: return WriteOne(model, SomeBoxOf(model, !OneIn(30)));
    default: return WriteKeyed(model, SomeBoxOf(model, !OneIn(30)));
  }
}

Operation Generator::WriteKeyed(const Model& model, int box) {
  Operation o;
  o.writes = true;
  o.touches = {box};
  const uint64_t id = names_->IdOf(box);
  const KeyText key = SomeKey(&model, box);
  const bool bounded = model.boxes.at(box).max_items != 0;
  switch (Below(8)) {
    case 0:
    case 1:
    case 2: {
      const Value some = SomeValue(model, &o, MayBeFresh(model, box), 0);
      const Shared value = Give(model, o, some);
      const uint32_t flags = (OneIn(8) ? kSetFailIfPresent : 0u) | (OneIn(20) ? kSetSync : 0u) | (OneIn(8) ? kSetKeepExpiry : 0u);
      o.name = "set";
      o.syncs = (flags & kSetSync) != 0;
      o.run = [=](Session* s, uint64_t, std::string*) { return s->Set(id, key.key(), value->input(), s->InTransaction() ? flags & ~kSetSync : flags); };
      o.model = [=](Model* m) { return m->Set(box, key, value->value, flags, {}); };
      return o;
    }
    case 3: {
      const Shared value = Give(model, o, SomePrimitive());
      const Expiry expiry = bounded ? Expiry{} : SomeExpiry(model);
      o.name = "set with expiry";
      o.run = [=](Session* s, uint64_t, std::string*) { return s->SetExpiring(id, key.key(), value->input(), 0, expiry); };
      o.model = [=](Model* m) { return m->Set(box, key, value->value, 0, expiry); };
      return o;
    }
    case 4: {
      const Expiry expiry = bounded ? Expiry{} : SomeExpiry(model);
      o.name = "expire or persist";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        bool was = false;
        const Status status = s->SetExpiry(id, key.key(), expiry, &was);
        *answer = Yes(was);
        return status;
      };
      o.model = [=](Model* m) { return m->SetExpiry(box, key, expiry); };
      return o;
    }
    case 5: {
      o.name = "delete";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        bool was = false;
        const Status status = s->Delete(id, key.key(), &was);
        *answer = Yes(was);
        return status;
      };
      o.model = [=](Model* m) { return m->Delete(box, key); };
      return o;
    }
    case 6: {
      Value some = SomeValue(model, &o, false, 0);
      for (const auto& [at, entry] : model.boxes.at(box).entries)  // one that is there
        if (entry.key.bytes == key.bytes && OneIn(2)) some = entry.value;
      const Shared value = Give(model, o, some);
      o.name = "delete of a pair";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        bool was = false;
        const Status status = s->DeletePair(id, key.key(), value->input(), &was);
        *answer = Yes(was);
        return status;
      };
      o.model = [=](Model* m) { return m->DeletePair(box, key, value->value); };
      return o;
    }
    default: {
      const auto entries = SomeEntries(model, box, &o);
      const auto wire = EntriesWire(model, o, entries);
      o.name = "update";
      o.run = [=](Session* s, uint64_t, std::string*) { return s->Update(id, wire.data(), wire.size()); };
      o.model = [=](Model* m) { return m->Update(box, entries); };
      return o;
    }
  }
}

Operation Generator::WriteOne(const Model& model, int box) {
  Operation o;
  o.writes = true;
  o.touches = {box};
  const uint64_t id = names_->IdOf(box);
  const KeyText key = SomeKey(&model, box);
  Names* const names = names_;
  switch (Below(4)) {
    case 0: {
      const Value by = SomeNumber();
      o.name = "increment";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        ValueView view;
        by.View(0, Kind::kNone, &view);
        return s->Increment(id, key.key(), view, [&](const ValueView& v) { *answer = " " + ValueOf(v, *names).Text(); });
      };
      o.model = [=](Model* m) { return m->Increment(box, key, by); };
      return o;
    }
    case 1: {
      Value old = SomePrimitive();
      const auto found = model.boxes.at(box).entries.find(key.bytes);
      if (found != model.boxes.at(box).entries.end() && !OneIn(4)) old = found->second.value;
      const bool absent = OneIn(3);
      const bool deletes = OneIn(4);
      const Shared expected = Give(model, o, old);
      const Shared next = Give(model, o, SomeValue(model, &o, false, 0));
      o.name = "compare and set";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        bool swapped = false;
        const Input from = expected->input(), to = next->input();
        const Status status = s->CompareAndSet(id, key.key(), absent ? nullptr : &from, deletes ? nullptr : &to, &swapped);
        *answer = Yes(swapped);
        return status;
      };
      o.model = [=](Model* m) { return m->CompareAndSet(box, key, absent ? nullptr : &expected->value, deletes ? nullptr : &next->value); };
      return o;
    }
    case 2:
      o.name = "pop";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        return s->Pop(id, key.key(), [&](const ValueView& v) { *answer = v.type == Type::kAbsent ? "" : " " + ValueOf(v, *names).Text(); });
      };
      o.model = [=](Model* m) { return m->Pop(box, key); };
      return o;
    default:
      o.name = "shift";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        return s->Shift(id, [&](const Key& k, const ValueView& v) {
          *answer = v.type == Type::kAbsent ? "" : " " + TextOf(k).bytes + "=" + ValueOf(v, *names).Text();
          return true;
        });
      };
      o.model = [=](Model* m) { return m->Shift(box); };
      return o;
  }
}

Operation Generator::WritePath(const Model& model, int box) {
  Operation o;
  o.writes = true;
  const uint64_t id = names_->IdOf(box);
  int target;
  const std::vector<Step> steps = SomePath(model, box, &target);
  o.touches = {target};
  Names* const names = names_;
  switch (Below(4)) {
    case 0: {
      const Value some = SomeValue(model, &o, MayBeFresh(model, target), 0);
      const Shared value = Give(model, o, some);
      const uint32_t flags = OneIn(8) ? kSetFailIfPresent : 0u;
      o.name = "set by path";
      o.run = [=](Session* s, uint64_t, std::string*) {
        const std::vector<PathStep> path = Borrow(steps);
        return s->SetPath(id, path.data(), path.size(), value->input(), flags);
      };
      o.model = [=](Model* m) { return m->SetPath(box, steps, value->value, flags); };
      return o;
    }
    case 1:
      o.name = "delete by path";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        const std::vector<PathStep> path = Borrow(steps);
        bool was = false;
        const Status status = s->DeletePath(id, path.data(), path.size(), &was);
        *answer = Yes(was);
        return status;
      };
      o.model = [=](Model* m) { return m->DeletePath(box, steps); };
      return o;
    case 2: {
      const Value by = SomeNumber();
      o.name = "increment by path";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        const std::vector<PathStep> path = Borrow(steps);
        ValueView view;
        by.View(0, Kind::kNone, &view);
        return s->IncrementPath(id, path.data(), path.size(), view, [&](const ValueView& v) { *answer = " " + ValueOf(v, *names).Text(); });
      };
      o.model = [=](Model* m) { return m->IncrementPath(box, steps, by); };
      return o;
    }
    default: {
      const bool absent = OneIn(2);
      const Shared expected = Give(model, o, SomeNumber());
      const Shared next = Give(model, o, SomeNumber());
      o.name = "compare and set by path";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        const std::vector<PathStep> path = Borrow(steps);
        bool swapped = false;
        const Input from = expected->input(), to = next->input();
        const Status status = s->CompareAndSetPath(id, path.data(), path.size(), absent ? nullptr : &from, &to, &swapped);
        *answer = Yes(swapped);
        return status;
      };
      o.model = [=](Model* m) { return m->CompareAndSetPath(box, steps, absent ? nullptr : &expected->value, &next->value); };
      return o;
    }
  }
}

Operation Generator::WriteList(const Model& model, int box) {
  Operation o;
  o.writes = true;
  o.touches = {box};
  const uint64_t id = names_->IdOf(box);
  const uint64_t size = model.boxes.at(box).list.size();
  Names* const names = names_;
  const auto taken = [names](std::string* answer) {
    return [answer, names](const ValueView& v) { *answer = v.type == Type::kAbsent ? "" : " " + ValueOf(v, *names).Text(); };
  };
  switch (Below(8)) {
    case 0: {
      const Value some = SomeValue(model, &o, MayBeFresh(model, box), 0);
      const Shared value = Give(model, o, some);
      const uint64_t index = OneIn(30) ? Below(size + 90) : Below(size + 2);
      o.name = "list set";
      o.run = [=](Session* s, uint64_t, std::string*) { return s->ListSet(id, index, value->input()); };
      o.model = [=](Model* m) { return m->ListSet(box, index, value->value); };
      return o;
    }
    case 1:
    case 2:
    case 3: {
      const uint64_t start = Below(size + 2);
      const uint64_t count = OneIn(8) ? Below(size + 1) : Below(5);
      std::vector<Value> elements;
      for (uint64_t n = size < 200 && OneIn(4) ? Below(90) : Below(4); n > 0; n--) elements.push_back(SomeValue(model, &o, MayBeFresh(model, box), 0));
      std::vector<uint8_t> wire;
      static_cast<void>(WireWriter(&wire).List(static_cast<uint32_t>(elements.size())));
      for (const Value& element : elements) WriteWire(model, o, element, &wire);
      o.name = "splice";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        uint64_t length = 0;
        const Status status = s->ListSplice(id, start, count, wire.data(), wire.size(), &length);
        *answer = " " + std::to_string(length);
        return status;
      };
      o.model = [=](Model* m) { return m->ListSplice(box, start, count, elements); };
      return o;
    }
    case 4: {
      const Value some = SomeValue(model, &o, MayBeFresh(model, box), 0);
      const Shared value = Give(model, o, some);
      o.name = "push";
      o.run = [=](Session* s, uint64_t, std::string* answer) {
        uint64_t length = 0;
        const Status status = s->ListPush(id, value->input(), &length);
        *answer = " " + std::to_string(length);
        return status;
      };
      o.model = [=](Model* m) { return m->ListPush(box, value->value); };
      return o;
    }
    case 5:
      o.name = "list pop";
      o.run = [=](Session* s, uint64_t, std::string* answer) { return s->ListPop(id, taken(answer)); };
      o.model = [=](Model* m) { return m->ListTake(box, false); };
      return o;
    case 6:
      o.name = "list shift";
      o.run = [=](Session* s, uint64_t, std::string* answer) { return s->ListShift(id, taken(answer)); };
      o.model = [=](Model* m) { return m->ListTake(box, true); };
      return o;
    default: {
      std::vector<uint32_t> positions;
      for (uint64_t i = 0; i < size; i++) positions.push_back(static_cast<uint32_t>(OneIn(8) ? Below(size + (OneIn(30) ? 1 : 0)) : i));
      if (OneIn(2)) std::shuffle(positions.begin(), positions.end(), random_);
      if (OneIn(2)) positions.resize(Below(positions.size() + 1));
      o.name = "arrange";
      o.run = [=](Session* s, uint64_t, std::string*) { return s->ListArrange(id, positions.data(), positions.size()); };
      o.model = [=](Model* m) { return m->ListArrange(box, positions); };
      return o;
    }
  }
}

Operation Generator::WriteWhole(const Model& model, int box) {
  Operation o;
  o.writes = true;
  o.touches = {box};
  const uint64_t id = names_->IdOf(box);
  // The root and others of many entries are emptied less often.
  if (OneIn(model.boxes.at(box).size() > 20 ? 20 : 3)) {
    o.name = "clear";
    o.run = [=](Session* s, uint64_t, std::string*) { return s->Clear(id); };
    o.model = [=](Model* m) { return m->Clear(box); };
    return o;
  }
  if (model.boxes.at(box).keyed()) {
    auto entries = SomeEntries(model, box, &o);
    for (const auto& [at, entry] : model.boxes.at(box).entries)  // most of what is there stays
      if (!OneIn(8) && model.boxes.at(box).kind != Kind::kMulti &&
          std::none_of(entries.begin(), entries.end(), [&](const auto& e) { return e.first.bytes == entry.key.bytes; }))
        entries.push_back({entry.key, entry.value});
    const auto wire = EntriesWire(model, o, entries);
    o.name = "replace";
    o.run = [=](Session* s, uint64_t, std::string*) { return s->Replace(id, wire.data(), wire.size()); };
    o.model = [=](Model* m) { return m->Replace(box, entries); };
    return o;
  }
  std::vector<Value> elements = model.boxes.at(box).list;
  for (Value& element : elements)
    if (OneIn(3)) element = SomeValue(model, &o, true, 0);
  std::vector<uint8_t> wire;
  static_cast<void>(WireWriter(&wire).List(static_cast<uint32_t>(elements.size())));
  for (const Value& element : elements) WriteWire(model, o, element, &wire);
  o.name = "replace of a list";
  o.run = [=](Session* s, uint64_t, std::string*) { return s->Replace(id, wire.data(), wire.size()); };
  o.model = [=](Model* m) { return m->ReplaceList(box, elements); };
  return o;
}

// A Collection, a bounded one or a MultiCollection, under a key of a Dict or Collection.
Operation Generator::MakeContainer(const Model& model, int box) {
  while (!model.boxes.at(box).keyed() || model.boxes.at(box).kind == Kind::kMulti) box = SomeBox(model);
  Operation o;
  o.writes = true;
  o.touches = {box};
  const uint64_t id = names_->IdOf(box);
  const KeyText key = SomeKey(&model, box);
  Value value;
  value.type = Type::kContainer;
  value.box = handle_next_++;
  Box made;
  made.kind = OneIn(2) ? Kind::kMulti : Kind::kCollection;
  if (made.kind == Kind::kCollection && OneIn(2)) made.max_items = 1 + Below(12);
  o.fresh.emplace(value.box, made);
  o.name = "create";
  o.run = [=](Session* s, uint64_t, std::string*) {
    uint64_t fresh;
    uint32_t cell;
    CollectionBounds bounds;
    bounds.max_items = made.max_items;
    bounds.fifo = true;
    PONGO_TRY(made.max_items != 0 ? s->CreateBounded(bounds, &fresh, &cell) : s->Create(made.kind, nullptr, 0, &fresh, &cell));
    Input input;
    value.View(fresh, made.kind, &input.view);
    const Status status = s->Set(id, key.key(), input, 0);
    s->UnpinContainer(cell);
    return status;
  };
  o.model = [=](Model* m) { return m->Set(box, key, value, 0, {}); };
  return o;
}

}  // namespace pongo::test
