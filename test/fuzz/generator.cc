#include "test/fuzz/generator.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "format/key_codec.h"
#include "test/fuzz/generator_support.h"

namespace pongo::test {
namespace {

using Type = ValueView::Type;

Value Primitive(Type type, uint64_t bits = 0) {
  Value value;
  value.type = type;
  value.bits = bits;
  return value;
}

Value Float(double number) {
  uint64_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return Primitive(Type::kDouble, bits);
}

}  // namespace

std::string Operation::Run(Session* session, uint64_t view, Status* status) const {
  std::string answer;
  *status = run(session, view, &answer);
  return status->ok() ? "OK" + answer : CodeName(status->code());
}

std::string Operation::Apply(Model* to) const {
  to->boxes.insert(fresh.begin(), fresh.end());
  return model(to);
}

Input Generator::Given::input() const {
  Input input;
  if (wire.empty()) {
    value.View(id, kind, &input.view);
  } else {
    input.wire = wire.data();
    input.wire_size = wire.size();
  }
  return input;
}

// -- what operations are made of --

int Generator::SomeBox(const Model& model) {
  // Those that the root leads to soon come first: they live longest.
  const std::vector<int> reachable = model.Reachable();
  return reachable[std::min(Below(reachable.size()), Below(reachable.size()))];
}

int Generator::SomeBoxOf(const Model& model, bool keyed) {
  int box = SomeBox(model);
  for (int i = 0; i < 20 && model.boxes.at(box).keyed() != keyed; i++) box = SomeBox(model);
  return box;
}

std::string Generator::SomeText() {
  const uint64_t size = OneIn(large_ ? 2 : 400) ? Below(large_ ? 400'000 : 150'000) : OneIn(10) ? Below(700) : Below(24);
  return std::string(size, static_cast<char>('a' + Below(26)));
}

KeyText Generator::SomeKey(const Model* model, int box) {
  // Half of them are there.
  if (model != nullptr && OneIn(2)) {
    const auto& entries = model->boxes.at(box).entries;
    if (!entries.empty()) return std::next(entries.begin(), static_cast<std::ptrdiff_t>(Below(entries.size())))->second.key;
  }
  KeyBuffer key;
  Status status;
  const std::string name = "k" + std::to_string(Below(150));
  switch (Below(16)) {
    case 0: status = key.AddInt(static_cast<int64_t>(Below(40)) - 10); break;
    case 1: status = key.AddDouble(static_cast<double>(Below(40)) / 2 - 5); break;
    case 2: status = OneIn(2) ? key.AddNull() : key.AddBool(OneIn(2)); break;
    case 3: status = key.AddDateTime(static_cast<int64_t>(Below(20)) * 86'400'000'000); break;
    case 4: status = key.AddBytes(BytesOf(name), name.size()); break;
    case 5:
      status = key.BeginTuple();
      if (status.ok()) status = key.AddString(BytesOf(name), Below(3));
      if (status.ok()) status = key.AddInt(static_cast<int64_t>(Below(5)));
      if (status.ok()) status = key.EndTuple();
      break;
    case 6: {
      const std::string longer = std::string(30 + Below(4) * 200, 'q') + name;
      status = key.AddString(BytesOf(longer), longer.size());
      break;
    }
    default: status = key.AddString(BytesOf(name), name.size()); break;
  }
  if (!status.ok()) std::abort();
  return TextOf(key.key());
}

Value Generator::SomeNumber() {
  if (OneIn(4)) return Float(static_cast<double>(Below(200)) / 4 - 20);
  return Primitive(Type::kInt, Below(200) - 100);
}

Value Generator::SomePrimitive() {
  Value value;
  switch (Below(12)) {
    case 0: return Primitive(OneIn(3) ? Type::kNull : OneIn(2) ? Type::kTrue : Type::kFalse);
    case 1: return Primitive(Type::kInt, random_());
    case 2: return Float(OneIn(5) ? INFINITY : static_cast<double>(Below(1000)) * 1.25e10);
    case 3: return Primitive(Type::kDateTime, Below(1'000'000) * 1'000'003);
    case 4:
      value.type = Type::kBigInt;
      value.negative = OneIn(2);
      for (uint64_t n = 9 + Below(30); n > 0; n--) value.bytes.push_back(static_cast<char>(1 + Below(255)));
      return value;
    case 5:
      value.type = Type::kUuid;
      for (int i = 0; i < 16; i++) value.bytes.push_back(static_cast<char>(Below(256)));
      return value;
    case 6:
      value.type = Type::kBytes;
      value.bytes = SomeText();
      return value;
    case 7:
    case 8: return SomeNumber();
    default:
      value.type = Type::kString;
      value.bytes = SomeText();
      return value;
  }
}

bool Generator::MayBeFresh(const Model& model, int box) { return model.boxes.at(box).kind != Kind::kMulti && model.boxes.size() < 150; }

// May be a new List or Dict, with what it holds, or one that is there already.
Value Generator::SomeValue(const Model& model, Operation* operation, bool may_be_fresh, int depth) {
  Value value;
  if (OneIn(30)) {
    value.type = Type::kContainer;
    value.box = SomeBox(model);
    return value;
  }
  if (!may_be_fresh || depth > 3 || !OneIn(depth == 0 ? 7 : 4)) return SomePrimitive();
  value.type = Type::kContainer;
  value.box = Fresh(model, operation, OneIn(2), depth + 1);
  return value;
}

int Generator::Fresh(const Model& model, Operation* operation, bool list, int depth) {
  const int handle = handle_next_++;
  Box box;
  box.kind = list ? Kind::kList : Kind::kDict;
  const uint64_t count = depth == 1 && OneIn(6) ? Below(160) : Below(6);
  const bool shaped = OneIn(2);  // the same names as others have
  for (uint64_t i = 0; i < count; i++) {
    const Value value = SomeValue(model, operation, true, depth);
    if (list) {
      box.list.push_back(value);
      continue;
    }
    KeyBuffer name;
    const std::string text = "field" + std::to_string(i);
    if (!name.AddString(BytesOf(text), text.size()).ok()) std::abort();
    const KeyText key = shaped ? TextOf(name.key()) : SomeKey();
    box.entries.emplace(key.bytes, Entry{key, value});
  }
  operation->fresh.emplace(handle, std::move(box));
  return handle;
}

void Generator::WriteWire(const Model& model, const Operation& operation, const Value& value, std::vector<uint8_t>* wire) {
  WireWriter writer(wire);
  if (value.type != Type::kContainer) return WritePrimitive(value, &writer);
  const auto fresh = operation.fresh.find(value.box);
  if (fresh == operation.fresh.end()) return writer.Container(static_cast<uint8_t>(model.boxes.at(value.box).kind), names_->IdOf(value.box));
  const Box& box = fresh->second;
  static_cast<void>(box.keyed() ? writer.Dict(static_cast<uint32_t>(box.size())) : writer.List(static_cast<uint32_t>(box.size())));
  for (const auto& [at, entry] : box.entries) {
    if (!KeyToWire(entry.key.key(), wire).ok()) std::abort();
    WriteWire(model, operation, entry.value, wire);
  }
  for (const Value& element : box.list) WriteWire(model, operation, element, wire);
}

Generator::Shared Generator::Give(const Model& model, const Operation& operation, const Value& value) {
  auto given = std::make_shared<Given>();
  given->value = value;
  const bool fresh = operation.fresh.contains(value.box);
  if (value.type == Type::kContainer && !fresh) {
    given->id = names_->IdOf(value.box);
    given->kind = model.boxes.at(value.box).kind;
  }
  if (fresh || OneIn(2)) WriteWire(model, operation, value, &given->wire);
  return given;
}

// From a container down through those that it holds; *target is the last one, where the last step is taken.
std::vector<Step> Generator::SomePath(const Model& model, int box, int* target) {
  std::vector<Step> steps;
  for (;;) {
    const Box& b = model.boxes.at(box);
    Step step;
    step.key = SomeKey(&model, box);
    if (OneIn(b.keyed() ? 8 : 40)) {
      step.is_index = b.keyed();
      step.index = static_cast<int64_t>(Below(4)) - 1;
    } else if (!b.keyed()) {
      step.is_index = true;
      step.index = static_cast<int64_t>(Below(b.list.size() + 3));
    }
    std::vector<Step> inner;
    if (steps.size() < 4 && !OneIn(3)) {  // go on where a container is
      std::vector<std::pair<Step, int>> ways;
      for (const auto& [at, entry] : b.entries)
        if (entry.value.type == Type::kContainer) ways.push_back({Step{entry.key}, entry.value.box});
      for (size_t i = 0; i < b.list.size(); i++)
        if (b.list[i].type == Type::kContainer) ways.push_back({Step{step.key, true, static_cast<int64_t>(i)}, b.list[i].box});
      if (!ways.empty() && b.kind != Kind::kMulti) {
        const auto& way = ways[Below(ways.size())];
        steps.push_back(way.first);
        box = way.second;
        continue;
      }
    }
    steps.push_back(step);
    *target = box;
    return steps;
  }
}

std::vector<std::pair<KeyText, Value>> Generator::SomeEntries(const Model& model, int box, Operation* operation) {
  std::map<std::string, std::pair<KeyText, Value>> entries;
  const bool may_be_fresh = MayBeFresh(model, box);
  for (uint64_t n = OneIn(6) ? Below(120) : Below(6); n > 0; n--) {
    const KeyText key = SomeKey(&model, box);
    entries.emplace(key.bytes, std::pair{key, SomeValue(model, operation, may_be_fresh, 0)});
  }
  std::vector<std::pair<KeyText, Value>> shuffled;
  for (auto& [at, entry] : entries) shuffled.push_back(entry);
  std::shuffle(shuffled.begin(), shuffled.end(), random_);
  return shuffled;
}

std::vector<uint8_t> Generator::EntriesWire(const Model& model, const Operation& operation,
                                            const std::vector<std::pair<KeyText, Value>>& entries) {
  std::vector<uint8_t> wire;
  static_cast<void>(WireWriter(&wire).Dict(static_cast<uint32_t>(entries.size())));
  for (const auto& [key, value] : entries) {
    if (!KeyToWire(key.key(), &wire).ok()) std::abort();
    WriteWire(model, operation, value, &wire);
  }
  return wire;
}

Expiry Generator::SomeExpiry(const Model& model) {
  const int64_t in = static_cast<int64_t>(Below(50)) - 5;
  switch (Below(4)) {
    case 0: return {Expiry::Kind::kNever, 0};
    case 1: return {Expiry::Kind::kAt, model.now + in};
    default: return {Expiry::Kind::kAfter, in};
  }
}

// -- reads --

Operation Generator::Read(const Model& model) {
  return OneIn(2) ? ReadKeyed(model, SomeBoxOf(model, !OneIn(30))) : ReadAny(model, SomeBox(model));
}

Operation Generator::ReadKeyed(const Model& model, int box) {
  Operation o;
  const uint64_t id = names_->IdOf(box);
  const KeyText key = SomeKey(&model, box);
  Names* const names = names_;
  switch (Below(5)) {
    case 0:
    case 1:
      o.name = "get";
      o.run = [=](Session* s, uint64_t view, std::string* answer) {
        return s->Get(view, id, key.key(), [&](const ValueView& v) { *answer = " " + ValueOf(v, *names).Text(); });
      };
      o.model = [=](Model* m) { return m->Get(box, key); };
      return o;
    case 2: {
      const bool prefix = OneIn(4) && key.bytes[0] == 0x40;
      const KeyText lo = prefix && key.bytes.size() > 2 ? KeyText{key.bytes.substr(0, 2), ""} : key;
      const KeyText hi = SomeKey(&model, box);
      const auto flags = static_cast<uint32_t>(prefix ? uint64_t{kPrefix} : Below(16));
      o.name = "bounds";
      o.run = [=](Session* s, uint64_t view, std::string* answer) {
        uint64_t begin = 0, end = 0;
        const Status status = s->Bounds(view, id, lo.key(), hi.key(), flags, &begin, &end);
        *answer = " " + std::to_string(begin) + " " + std::to_string(end);
        return status;
      };
      o.model = [=](Model* m) { return m->Bounds(box, lo, hi, flags); };
      return o;
    }
    case 3:
      o.name = "rank";
      o.run = [=](Session* s, uint64_t view, std::string* answer) {
        uint64_t rank = 0;
        const Status status = s->Rank(view, id, key.key(), &rank);
        *answer = " " + std::to_string(rank);
        return status;
      };
      o.model = [=](Model* m) { return m->Rank(box, key); };
      return o;
    default:
      o.name = "time left";
      o.run = [=](Session* s, uint64_t view, std::string* answer) {
        bool expires = false;
        int64_t left = 0;
        const Status status = s->TimeLeft(view, id, key.key(), &expires, &left);
        if (expires) *answer = " " + std::to_string(left);
        return status;
      };
      o.model = [=](Model* m) { return m->TimeLeft(box, key); };
      return o;
  }
}

Operation Generator::ReadAny(const Model& model, int box) {
  Operation o;
  const uint64_t id = names_->IdOf(box);
  const Box& b = model.boxes.at(box);
  const uint64_t at = Below(b.size() + 1);
  const int step = OneIn(2) ? 1 : -1;
  const uint64_t there = at >= b.size() ? 0 : step > 0 ? b.size() - at : at + 1;
  Names* const names = names_;
  const auto entry = [=](std::string* answer) {
    return [=](const Key& k, const ValueView& v) {
      const KeyText key = TextOf(k);
      *answer += " " + (key.bytes.empty() ? "" : key.bytes + "/" + key.form + "=") + ValueOf(v, *names).Text();
      return true;
    };
  };
  switch (Below(8)) {
    case 0: {
      int target;
      const std::vector<Step> steps = SomePath(model, box, &target);
      o.name = "get by path";
      o.run = [=](Session* s, uint64_t view, std::string* answer) {
        const std::vector<PathStep> path = Borrow(steps);
        return s->GetPath(view, id, path.data(), path.size(), [&](const ValueView& v) { *answer = " " + ValueOf(v, *names).Text(); });
      };
      o.model = [=](Model* m) { return m->GetPath(box, steps); };
      return o;
    }
    case 1:
      o.name = "size";
      o.run = [=](Session* s, uint64_t view, std::string* answer) {
        uint64_t size = 0;
        const Status status = s->Size(view, id, &size);
        *answer = " " + std::to_string(size);
        return status;
      };
      o.model = [=](Model* m) { return m->Size(box); };
      return o;
    case 2:
      o.name = "list get";
      o.run = [=](Session* s, uint64_t view, std::string* answer) {
        return s->ListGet(view, id, at, [&](const ValueView& v) { *answer = " " + ValueOf(v, *names).Text(); });
      };
      o.model = [=](Model* m) { return m->ListGet(box, at); };
      return o;
    case 3: {
      o.name = "edge";
      o.run = [=](Session* s, uint64_t view, std::string* answer) { return s->Edge(view, id, step, entry(answer)); };
      o.model = [=](Model* m) { return m->Edge(box, step); };
      return o;
    }
    case 4:
      o.name = "entry at a position";
      o.run = [=](Session* s, uint64_t view, std::string* answer) { return s->At(view, id, at, entry(answer)); };
      o.model = [=](Model* m) { return m->At(box, at); };
      return o;
    case 5: {
      if (!b.keyed()) break;
      const uint64_t limit = Below(there + 1);
      const uint64_t count = Below(limit + 1);
      o.name = "skip";
      o.run = [=](Session* s, uint64_t view, std::string* answer) {
        uint64_t passed = 0;
        const Status status = s->Skip(view, id, at, limit, count, step, &passed);
        *answer = " " + std::to_string(passed);
        return status;
      };
      o.model = [=](Model* m) { return m->Skip(box, at, limit, count, step); };
      return o;
    }
    case 6:
      if (!OneIn(8)) break;
      o.name = "native";
      o.run = [=](Session* s, uint64_t view, std::string* answer) {
        std::vector<uint8_t> wire;
        const Status status = s->Native(view, id, &wire);
        *answer = std::string(wire.begin(), wire.end());
        return status;
      };
      o.model = [=](Model* m) { return NativeOf(*m, box); };
      return o;
    default: break;
  }
  const uint64_t count = Below(there + 2);
  o.name = "page";
  o.run = [=](Session* s, uint64_t view, std::string* answer) { return s->Page(view, id, at, count, step, entry(answer)); };
  o.model = [=](Model* m) { return m->Page(box, at, count, step); };
  return o;
}

}  // namespace pongo::test
