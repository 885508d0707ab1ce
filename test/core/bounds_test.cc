// Bounded Collections: never above their bounds, what they give up, and what they count.
#include <algorithm>
#include <cmath>
#include <list>
#include <map>
#include <unordered_map>

#include "format/wire_writer.h"
#include "support.h"

namespace pongo::test {
namespace {

uint64_t NewBounded(Session* session, const CollectionBounds& bounds) {
  uint64_t id = 0;
  uint32_t cell = 0;
  CHECK(session->CreateBounded(bounds, &id, &cell).ok());
  Input input;
  input.view.type = ValueView::Type::kContainer;
  input.view.kind = Kind::kCollection;
  input.view.id = id;
  CHECK(session->Set(kRootId, TextKey("c").key(), input, 0).ok());
  return id;
}

CollectionBounds BoundsOf(Session* session, uint64_t id) {
  CollectionBounds bounds;
  bool bounded = false;
  CHECK(session->GetBounds(0, id, &bounded, &bounds).ok());
  CHECK(bounded);
  return bounds;
}

uint64_t SizeOf(Session* session, uint64_t id) {
  uint64_t size = 0;
  CHECK(session->Size(0, id, &size).ok());
  return size;
}

bool Has(Session* session, uint64_t id, const std::string& key) {
  bool found = false;
  CHECK(session->Get(0, id, TextKey(key).key(), [&](const ValueView&) { found = true; }).ok());
  return found;
}

TEST(TheFirstInIsTheFirstOut) {
  Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  const uint64_t id = NewBounded(session.get(), {.max_items = 50, .fifo = true});
  std::list<std::string> order;
  for (int step = 0; step < 20000; step++) {
    const std::string key = "k" + std::to_string(RandomBelow(120));
    const bool present = std::find(order.begin(), order.end(), key) != order.end();
    if (RandomBelow(4) == 0) {
      bool was = false;
      CHECK(session->Delete(id, TextKey(key).key(), &was).ok());
      CHECK_EQ(was, present);
      order.remove(key);
    } else {
      CHECK(session->Set(id, TextKey(key).key(), IntInput(step), 0).ok());
      if (!present) order.push_back(key);  // a new value does not change the place
      if (order.size() > 50) order.pop_front();
    }
    CHECK_EQ(SizeOf(session.get(), id), order.size());
    CHECK_EQ(Has(session.get(), id, key), std::find(order.begin(), order.end(), key) != order.end());
    if (step == 10000) {
      VerifyClean(session.get());
      session.reset();
      session = OpenSession(folder.File("db"));
      REQUIRE(session != nullptr);
    }
  }
  for (const std::string& key : order) CHECK(Has(session.get(), id, key));
  VerifyClean(session.get());
}

TEST(BytesAreThoseOfKeysAndValues) {
  for (const bool fifo : {false, true}) {
    Folder folder;
    const auto session = OpenSession(folder.File("db"));
    REQUIRE(session != nullptr);
    const uint64_t id = NewBounded(session.get(), {.max_items = 0, .max_bytes = 20000, .fifo = fifo});
    std::map<std::string, uint64_t> stored;
    for (int step = 0; step < 5000; step++) {
      const std::string key = "key" + std::string(RandomBelow(20) == 0 ? 300 : 0, 'x') + std::to_string(RandomBelow(100));
      const uint64_t size = RandomBelow(900);
      bool was = false;
      if (RandomBelow(5) == 0) {
        CHECK(session->Delete(id, TextKey(key).key(), &was).ok());
      } else {
        const std::string text(size, 'v');
        CHECK(session->Set(id, TextKey(key).key(), TextInput(text), 0).ok());
        stored[key] = key.size() + 1 + 8 + (size > 5 ? size : 0);
      }
      uint64_t sum = 0;
      CHECK(session->Page(0, id, 0, ~uint64_t{0}, 1, [&](const Key& k, const ValueView&) {
        sum += stored[std::string(reinterpret_cast<const char*>(k.data) + 1, k.size - 1)];
        return true;
      }).ok());
      CHECK_EQ(BoundsOf(session.get(), id).bytes, sum);
      CHECK(sum <= 20000);
    }
    const std::string large(30000, 'v');
    const uint64_t size = SizeOf(session.get(), id);
    CHECK(session->Set(id, TextKey("large").key(), TextInput(large), 0).code() == Code::kVALUE);
    CHECK_EQ(SizeOf(session.get(), id), size);
    VerifyClean(session.get());
    CHECK(session->Clear(id).ok());
    CHECK_EQ(BoundsOf(session.get(), id).bytes, 0u);
    CHECK(session->Set(id, TextKey("k").key(), IntInput(1), 0).ok());
    CHECK_EQ(BoundsOf(session.get(), id).bytes, 10u);
    VerifyClean(session.get());
  }
}
// Refused because it alone is too large, an entry changes nothing: neither the values nor the containers that were built for it stay,
// and the transaction goes on.
TEST(ARefusedEntryLeavesItsTransactionAsItWas) {
  Folder folder;
  const auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  const uint64_t id = NewBounded(session.get(), {.max_items = 0, .max_bytes = 1000, .fifo = false});
  Counts before;
  std::string problem;
  const auto add = [](WireWriter* writer, const std::string& text) {
    writer->String(reinterpret_cast<const uint8_t*>(text.data()), static_cast<uint32_t>(text.size()));
  };
  const std::string large(5000, 'v');
  const std::string just_too_large(1001, 'v');
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  writer.Dict(3);
  add(&writer, "text");
  add(&writer, large);
  add(&writer, "list");
  writer.List(2);
  writer.Dict(0);
  add(&writer, large);
  add(&writer, "shared");
  writer.Container(static_cast<uint8_t>(Kind::kCollection), id);
  Input nested;
  nested.wire = wire.data();
  nested.wire_size = wire.size();
  CHECK(session->Set(id, TextKey("a").key(), IntInput(0), 0).ok());
  REQUIRE(session->Verify(&before, &problem).ok());
  bool flag = false;
  for (int round = 0; round < 3; round++) {
    REQUIRE(session->Begin().ok());
    for (const Input& refused : {TextInput(large), nested, TextInput(just_too_large)}) {
      CHECK(session->Set(id, TextKey("new").key(), refused, 0).code() == Code::kVALUE);
      CHECK(session->Set(id, TextKey("a").key(), refused, 0).code() == Code::kVALUE);
      const Input expected = IntInput(round);
      CHECK(session->CompareAndSet(id, TextKey("a").key(), &expected, &refused, &flag).code() == Code::kVALUE);
    }
    CHECK_EQ(GetInt(session.get(), 0, id, "a"), round);
    CHECK(!Has(session.get(), id, "new"));
    CHECK(session->Set(id, TextKey("a").key(), IntInput(round + 1), 0).ok());
    CHECK(session->Commit(&flag).ok());
    CHECK(flag);
  }
  Counts after;
  REQUIRE(session->Verify(&after, &problem).ok());
  CHECK_EQ(after.containers, before.containers);
  CHECK_EQ(after.orphans, 0u);
  CHECK_EQ(GetInt(session.get(), 0, id, "a"), 3);
  // What was changed before in the same operation stays poison.
  wire.clear();
  writer.Dict(2);
  add(&writer, "x");
  writer.Int(1);
  add(&writer, "y");
  add(&writer, large);
  REQUIRE(session->Begin().ok());
  CHECK(session->Update(id, wire.data(), wire.size()).code() == Code::kVALUE);
  CHECK(session->Set(id, TextKey("a").key(), IntInput(9), 0).code() == Code::kVALUE);
  CHECK(session->Abort().ok());
  CHECK(!Has(session.get(), id, "x"));
  VerifyClean(session.get());
}

TEST(AFewEntriesAreEvictedExactly) {
  Folder folder;
  const auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  const uint64_t id = NewBounded(session.get(), {.max_items = 3});
  for (const char* key : {"a", "b", "c"}) CHECK(session->Set(id, TextKey(key).key(), IntInput(1), 0).ok());
  CHECK(Has(session.get(), id, "a"));
  CHECK(session->Set(id, TextKey("d").key(), IntInput(1), 0).ok());
  CHECK(!Has(session.get(), id, "b"));
  CHECK(Has(session.get(), id, "a"));
  CHECK(session->Set(id, TextKey("c").key(), IntInput(2), 0).ok());
  CHECK(session->Set(id, TextKey("e").key(), IntInput(1), 0).ok());
  CHECK(!Has(session.get(), id, "d"));
  VerifyClean(session.get());
}

// A trace in which the k-th of n keys has a share of 1 / k^0.99.
class Zipfian {
 public:
  explicit Zipfian(uint64_t n) : sums_(n) {
    double sum = 0;
    for (uint64_t k = 0; k < n; k++) sums_[k] = sum += 1 / std::pow(static_cast<double>(k + 1), 0.99);
  }
  uint64_t Next() {
    const double at = static_cast<double>(Random()() >> 11) * 0x1p-53 * sums_.back();
    return static_cast<uint64_t>(std::lower_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

class ExactLru {
 public:
  explicit ExactLru(uint64_t capacity) : capacity_(capacity) {}
  bool Use(uint64_t key) {
    const auto found = places_.find(key);
    const bool hit = found != places_.end();
    if (hit) order_.erase(found->second);
    order_.push_front(key);
    places_[key] = order_.begin();
    if (order_.size() > capacity_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    return hit;
  }

 private:
  uint64_t capacity_;
  std::list<uint64_t> order_;
  std::unordered_map<uint64_t, std::list<uint64_t>::iterator> places_;
};

TEST(HitsAreThoseOfAnExactLru) {
  constexpr uint64_t kKeys = 20000;
  constexpr int kRequests = 100000;
  for (const uint64_t capacity : {uint64_t{200}, uint64_t{2000}}) {
    Folder folder;
    const auto session = OpenSession(folder.File("db"));
    REQUIRE(session != nullptr);
    const uint64_t id = NewBounded(session.get(), {.max_items = capacity});
    Zipfian trace(kKeys);
    ExactLru model(capacity);
    int exact = 0;
    int hits = 0;
    for (int i = 0; i < kRequests; i++) {
      // Neighbours in the order of keys are no neighbours in popularity.
      const uint64_t key = trace.Next();
      const std::string name = std::to_string(key * 0x9e3779b97f4a7c15u % 1000000007);
      const bool hit = Has(session.get(), id, name);
      if (!hit) CHECK(session->Set(id, TextKey(name).key(), IntInput(i), 0).ok());
      const bool expected = model.Use(key);
      if (i < kRequests / 5) continue;  // while the caches fill
      exact += expected ? 1 : 0;
      hits += hit ? 1 : 0;
    }
    CHECK_EQ(SizeOf(session.get(), id), capacity);
    CHECK(static_cast<double>(hits) >= 0.98 * static_cast<double>(exact));
    VerifyClean(session.get());
  }
}

}  // namespace
}  // namespace pongo::test
