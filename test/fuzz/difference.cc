// What a whole file shows, beside the model.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "format/key_codec.h"
#include "test/fuzz/generator.h"
#include "test/fuzz/generator_support.h"

namespace pongo::test {
namespace {

using Type = ValueView::Type;

bool AppendNative(const Model& model, int box, std::set<int>* open, std::vector<uint8_t>* wire) {
  if (!open->insert(box).second) return false;
  const Box& b = model.boxes.at(box);
  WireWriter writer(wire);
  const auto append = [&](const Value& value) {
    if (value.type == Type::kContainer) return AppendNative(model, value.box, open, wire);
    WritePrimitive(value, &writer);
    return true;
  };
  const auto count = static_cast<uint32_t>(
      b.keyed() ? std::count_if(b.entries.begin(), b.entries.end(), [&](const auto& e) { return model.Shows(e.second); })
                : static_cast<std::ptrdiff_t>(b.list.size()));
  switch (b.kind) {
    case Kind::kList: static_cast<void>(writer.List(count)); break;
    case Kind::kDict: static_cast<void>(writer.Dict(count)); break;
    case Kind::kMulti: static_cast<void>(writer.Multi(count)); break;
    default: static_cast<void>(writer.Collection(count)); break;
  }
  for (const auto& [at, entry] : b.entries) {
    if (!model.Shows(entry)) continue;
    if (!KeyToWire(entry.key.key(), wire).ok()) std::abort();
    if (!append(entry.value)) return false;
  }
  for (const Value& element : b.list)
    if (!append(element)) return false;
  open->erase(box);
  return true;
}

}  // namespace

std::string NativeOf(const Model& model, int box) {
  std::set<int> open;
  std::vector<uint8_t> wire;
  if (!AppendNative(model, box, &open, &wire)) return "TYPE";
  return "OK" + std::string(wire.begin(), wire.end());
}

namespace {

// One way through a container.
std::string DifferenceOf(Session* session, uint64_t view, const Model& model, Names* names, int handle, int step) {
  const Box& box = model.boxes.at(handle);
  std::vector<std::pair<const Entry*, const Value*>> expected;
  for (const auto& [at, entry] : box.entries)
    if (model.Shows(entry)) expected.push_back({&entry, &entry.value});
  for (const Value& value : box.list) expected.push_back({nullptr, &value});
  if (step < 0) std::reverse(expected.begin(), expected.end());
  std::string wrong;
  size_t n = 0;
  const auto visit = [&](const Key& key, const ValueView& seen) {
    if (n == expected.size()) {
      wrong = "more entries than " + std::to_string(n);
      return false;
    }
    const auto [entry, value] = expected[n++];
    if (value->type == Type::kContainer && seen.type == Type::kContainer && names->IdOf(value->box) == 0 && !names->Learn(value->box, seen.id))
      wrong = "a container that is new has an id of another";
    const KeyText stored = TextOf(key);
    if (entry != nullptr && (stored.bytes != entry->key.bytes || stored.form != entry->key.form))
      wrong = "entry " + std::to_string(n - 1) + " has the key '" + stored.bytes + "', not '" + entry->key.bytes + "'";
    else if (const Value got = ValueOf(seen, *names); !(got == *value))
      wrong = "entry " + std::to_string(n - 1) + " is " + got.Text() + ", not " + value->Text();
    return wrong.empty();
  };
  const uint64_t start = step > 0 || box.size() == 0 ? 0 : box.size() - 1;
  const Status status = session->Page(view, names->IdOf(handle), start, ~uint64_t{0}, step, visit);
  if (!status.ok()) return std::string("iteration failed: ") + CodeName(status.code()) + " " + status.text();
  if (wrong.empty() && n != expected.size()) wrong = std::to_string(n) + " entries, not " + std::to_string(expected.size());
  return wrong;
}

}  // namespace

std::string Difference(Session* session, uint64_t view, const Model& model, Names* names, const std::vector<int>& boxes, bool backwards) {
  for (const int handle : boxes) {
    const Box& box = model.boxes.at(handle);
    const uint64_t id = names->IdOf(handle);
    const std::string where = "container #" + std::to_string(handle) + ": ";
    if (id == 0) return where + "nothing leads to it";
    Kind kind;
    uint64_t size = 0;
    if (const Status status = session->GetKind(view, id, &kind); !status.ok()) return where + CodeName(status.code());
    if (kind != box.kind) return where + "another kind";
    if (const Status status = session->Size(view, id, &size); !status.ok() || size != box.size())
      return where + "its size is " + std::to_string(size) + ", not " + std::to_string(box.size());
    for (const int step : {1, -1}) {
      if (step < 0 && !backwards) continue;
      if (const std::string wrong = DifferenceOf(session, view, model, names, handle, step); !wrong.empty()) return where + wrong;
    }
  }
  return "";
}

}  // namespace pongo::test
