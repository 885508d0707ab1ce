// Random operations of the whole facade, each in two forms: on a Session, and on the Model (model.h).
#ifndef PONGO_TEST_FUZZ_GENERATOR_H_
#define PONGO_TEST_FUZZ_GENERATOR_H_

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "database.h"
#include "test/fuzz/model.h"

namespace pongo::test {

struct Operation {
  std::string name;
  bool writes = false;
  bool syncs = false;          // an error may come after the commit
  std::map<int, Box> fresh;    // the containers that it makes
  std::vector<int> touches;    // the containers that it may change
  std::function<Status(Session* session, uint64_t view, std::string* answer)> run;
  std::function<std::string(Model* model)> model;

  // "OK" and what came back, or the code of the failure.
  std::string Run(Session* session, uint64_t view, Status* status) const;
  std::string Apply(Model* to) const;
};

class Generator {
 public:
  Generator(uint64_t seed, Names* names) : random_(seed), names_(names) {}

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  // Whether values should be so large that the file grows.
  void set_large(bool large) { large_ = large; }
  // An operation on a container that the model shows; for the live state, or only one that reads.
  Operation Read(const Model& model);
  Operation Write(const Model& model);

 private:
  // A value on its way in, and the bytes that its Input borrows.
  struct Given {
    Value value;
    std::vector<uint8_t> wire;  // empty: the view is used
    uint64_t id = 0;
    Kind kind = Kind::kNone;
    Input input() const;
  };
  using Shared = std::shared_ptr<Given>;

  int SomeBox(const Model& model);
  int SomeBoxOf(const Model& model, bool keyed);
  KeyText SomeKey(const Model* model = nullptr, int box = 0);
  std::string SomeText();
  Value SomePrimitive();
  Value SomeNumber();
  Value SomeValue(const Model& model, Operation* operation, bool may_be_fresh, int depth);
  int Fresh(const Model& model, Operation* operation, bool list, int depth);
  Shared Give(const Model& model, const Operation& operation, const Value& value);
  void WriteWire(const Model& model, const Operation& operation, const Value& value, std::vector<uint8_t>* wire);
  std::vector<Step> SomePath(const Model& model, int box, int* target);
  std::vector<std::pair<KeyText, Value>> SomeEntries(const Model& model, int box, Operation* operation);
  std::vector<uint8_t> EntriesWire(const Model& model, const Operation& operation, const std::vector<std::pair<KeyText, Value>>& entries);
  Expiry SomeExpiry(const Model& model);
  bool MayBeFresh(const Model& model, int box);

  Operation WriteKeyed(const Model& model, int box);
  Operation WriteOne(const Model& model, int box);
  Operation WritePath(const Model& model, int box);
  Operation WriteList(const Model& model, int box);
  Operation WriteWhole(const Model& model, int box);
  Operation MakeContainer(const Model& model, int box);
  Operation ReadKeyed(const Model& model, int box);
  Operation ReadAny(const Model& model, int box);

  std::mt19937_64 random_;
  Names* names_;
  int handle_next_ = kRootBox + 1;
  bool large_ = false;
};

// What the file shows, beside the model: an empty string, or the first difference. Containers that the model does not know by
// their ids yet become known. `backwards`: iterates both ways.
std::string Difference(Session* session, uint64_t view, const Model& model, Names* names, const std::vector<int>& boxes, bool backwards);
// The plain copy of a container in wire form, as Session::Native gives it, or "TYPE" when it holds itself.
std::string NativeOf(const Model& model, int box);

}  // namespace pongo::test

#endif  // PONGO_TEST_FUZZ_GENERATOR_H_
