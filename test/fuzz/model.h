// What the operations of the facade mean, over std::map and std::vector: what test/fuzz/operations_test.cc compares the engine with.
//
// A container is a Box, named by a handle of the model: its id in the file is known once it is there (Names). A Model is copied for
// each snapshot and transaction. Every operation answers with a text, which begins with the code when it fails.
#ifndef PONGO_TEST_FUZZ_MODEL_H_
#define PONGO_TEST_FUZZ_MODEL_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "format/key.h"
#include "model/value_view.h"

namespace pongo::test {

// A key that owns its bytes.
struct KeyText {
  std::string bytes;
  std::string form;
  Key key() const;
};

struct Value {
  ValueView::Type type = ValueView::Type::kAbsent;
  uint64_t bits = 0;          // of an integer or a double
  bool negative = false;      // kBigInt
  std::string bytes;          // kString, kBytes, kUuid, kBigInt
  int box = 0;                // kContainer: a handle

  bool operator==(const Value&) const = default;
  // The view borrows from the value. `id` is that of the container.
  void View(uint64_t id, Kind kind, ValueView* view) const;
  std::string Text() const;
};

// Which handle stands for which container of the file. Shared by all copies of the model; ids are never used again.
class Names {
 public:
  uint64_t IdOf(int handle) const;    // 0: not known yet
  int HandleOf(uint64_t id) const;    // 0: of no box
  bool Learn(int handle, uint64_t id);  // false: one of them stands for another already
  const std::map<int, uint64_t>& ids() const { return ids_; }

 private:
  std::map<int, uint64_t> ids_;
  std::map<uint64_t, int> handles_;
};

// A view of the file as a value of the model.
Value ValueOf(const ValueView& view, const Names& names);

struct Entry {
  KeyText key;
  Value value;
  int64_t expires = 0;      // microseconds; 0: never
  uint64_t order = 0;       // of insertion, in a bounded Collection
};

struct Box {
  Kind kind = Kind::kNone;
  uint64_t max_items = 0;   // of a bounded Collection that evicts first in, first out
  uint64_t order_next = 0;
  std::map<std::string, Entry> entries;  // by the ordered form: of the key, or in a MultiCollection of the pair
  std::vector<Value> list;

  bool keyed() const { return kind != Kind::kList; }
  uint64_t size() const { return keyed() ? entries.size() : list.size(); }
};

struct Step {
  KeyText key;
  bool is_index = false;
  int64_t index = 0;
};

constexpr int kRootBox = 1;

class Model {
 public:
  explicit Model(const Names* names) : names_(names) { boxes[kRootBox].kind = Kind::kCollection; }

  std::map<int, Box> boxes;
  int64_t now = 0;
  bool changed = false;     // by a write since this was last cleared

  // -- keyed --
  std::string Get(int box, const KeyText& key) const;
  std::string Set(int box, const KeyText& key, const Value& value, uint32_t flags, const Expiry& expiry);
  std::string Delete(int box, const KeyText& key);
  std::string DeletePair(int box, const KeyText& key, const Value& value);
  std::string Pop(int box, const KeyText& key);
  std::string Update(int box, const std::vector<std::pair<KeyText, Value>>& entries);
  std::string Increment(int box, const KeyText& key, const Value& by);
  // Null: absent.
  std::string CompareAndSet(int box, const KeyText& key, const Value* expected, const Value* next);
  std::string Shift(int box);
  std::string Bounds(int box, const KeyText& lo, const KeyText& hi, uint32_t flags) const;
  std::string Rank(int box, const KeyText& key) const;
  std::string SetExpiry(int box, const KeyText& key, const Expiry& expiry);
  std::string TimeLeft(int box, const KeyText& key) const;

  // -- paths --
  std::string GetPath(int box, const std::vector<Step>& steps) const;
  std::string SetPath(int box, const std::vector<Step>& steps, const Value& value, uint32_t flags);
  std::string DeletePath(int box, const std::vector<Step>& steps);
  std::string IncrementPath(int box, const std::vector<Step>& steps, const Value& by);
  std::string CompareAndSetPath(int box, const std::vector<Step>& steps, const Value* expected, const Value* next);

  // -- any container --
  std::string Size(int box) const;
  std::string Clear(int box);
  std::string Replace(int box, const std::vector<std::pair<KeyText, Value>>& entries);
  std::string ReplaceList(int box, const std::vector<Value>& elements);
  std::string Page(int box, uint64_t start, uint64_t count, int step) const;
  std::string At(int box, uint64_t position) const;  // expired or not
  std::string Edge(int box, int step) const;
  // Within the container: from `start` at most `limit` positions, which there are.
  std::string Skip(int box, uint64_t start, uint64_t limit, uint64_t count, int step) const;

  // -- List --
  std::string ListGet(int box, uint64_t index) const;
  std::string ListSet(int box, uint64_t index, const Value& value);
  std::string ListSplice(int box, uint64_t start, uint64_t count, const std::vector<Value>& elements);
  std::string ListPush(int box, const Value& value);
  std::string ListTake(int box, bool first);
  std::string ListArrange(int box, const std::vector<uint32_t>& positions);

  // -- the model itself --
  // The handles that can be reached from the root, it included; in the order of a walk.
  std::vector<int> Reachable() const;
  // Forgets the boxes that cannot be reached.
  void Prune();
  // What the cleaner of the engine does.
  void RemoveExpired();
  bool Shows(const Entry& entry) const { return entry.expires == 0 || entry.expires > now; }

 private:
  const Box* Find(int box) const;
  // The box that a path of writes leads to, or a failure.
  std::string Resolve(int* box, const std::vector<Step>& steps) const;
  std::string SetStep(int box, const Step& step, const Value& value, uint32_t flags, const Expiry& expiry);
  std::string DeleteStep(int box, const Step& step);
  std::string IncrementStep(int box, const Step& step, const Value& by);
  std::string CompareAndSetStep(int box, const Step& step, const Value* expected, const Value* next);
  void Put(Box* box, const KeyText& key, const Value& value, int64_t expires);
  void Erase(Box* box, const std::string& at);
  std::string PairKey(const KeyText& key, const Value& value) const;
  uint64_t RankOf(const Box& box, const KeyText& key) const;

  const Names* names_;
};

}  // namespace pongo::test

#endif  // PONGO_TEST_FUZZ_MODEL_H_
