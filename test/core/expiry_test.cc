// Entries that expire, against a model, by a clock that only the test moves.
#include <sys/mman.h>
#include <fcntl.h>

#include <atomic>
#include <map>
#include <optional>

#include "model/expiry_cleaner.h"
#include "port/port.h"
#include "support.h"

namespace pongo::test {
namespace {

constexpr int64_t kSecond = 1'000'000;

// The wall clock of this process, standing still.
class TestClock {
 public:
  explicit TestClock(const Folder& folder) : path_(folder.File("clock")) {
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ftruncate(fd, 8) != 0) std::abort();
    now_ = static_cast<std::atomic<int64_t>*>(mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ::close(fd);
    Set(1000 * kSecond);
    CHECK(port::FollowClockFile(path_).ok());
  }
  ~TestClock() { CHECK(port::FollowClockFile("").ok()); }
  int64_t now() const { return now_->load(); }
  void Set(int64_t now) { now_->store(now); }
  void Advance(int64_t by) { now_->fetch_add(by); }

 private:
  std::string path_;
  std::atomic<int64_t>* now_;
};

Expiry After(int64_t microseconds) { return {Expiry::Kind::kAfter, microseconds}; }

uint64_t NewCollection(Session* session) {
  uint64_t id = 0;
  uint32_t cell = 0;
  CHECK(session->Create(Kind::kCollection, nullptr, 0, &id, &cell).ok());
  Input input;
  input.view.type = ValueView::Type::kContainer;
  input.view.kind = Kind::kCollection;
  input.view.id = id;
  CHECK(session->Set(kRootId, TextKey("c").key(), input, 0).ok());
  return id;
}

bool Has(Session* session, uint64_t view, uint64_t id, const std::string& key) {
  bool found = false;
  CHECK(session->Get(view, id, TextKey(key).key(), [&](const ValueView&) { found = true; }).ok());
  return found;
}

int64_t Left(Session* session, uint64_t view, uint64_t id, const std::string& key) {
  bool expires = false;
  int64_t left = 0;
  CHECK(session->TimeLeft(view, id, TextKey(key).key(), &expires, &left).ok());
  return expires ? left : -1;
}

uint64_t SizeOf(Session* session, uint64_t id) {
  uint64_t size = 0;
  CHECK(session->Size(0, id, &size).ok());
  return size;
}

// Waits for the background cleaner; the deadline only ends a test that has failed.
bool AwaitSize(Session* session, uint64_t id, uint64_t size) {
  const uint64_t deadline = port::Nanoseconds() + 60'000'000'000u;
  while (SizeOf(session, id) != size) {
    if (port::Nanoseconds() > deadline) return false;
    port::SleepNanoseconds(1'000'000);
  }
  return true;
}

TEST(AnEntryIsAbsentFromItsInstantOn) {
  Folder folder;
  TestClock clock(folder);
  const auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  const uint64_t id = NewCollection(session.get());
  CHECK(session->SetExpiring(id, TextKey("a").key(), IntInput(1), 0, After(kSecond)).ok());
  CHECK(session->Set(id, TextKey("b").key(), IntInput(2), 0).ok());
  CHECK_EQ(Left(session.get(), 0, id, "a"), kSecond);
  CHECK_EQ(Left(session.get(), 0, id, "b"), -1);
  clock.Advance(kSecond - 1);
  CHECK(Has(session.get(), 0, id, "a"));
  uint64_t view = 0;
  CHECK(session->Snapshot(&view).ok());
  clock.Advance(1);
  CHECK(!Has(session.get(), 0, id, "a"));
  CHECK(Has(session.get(), view, id, "a"));  // a snapshot judges by its own time
  CHECK_EQ(Left(session.get(), view, id, "a"), 1);
  CHECK(session->Release(view).ok());
  bool was = true;
  CHECK(session->Delete(id, TextKey("a").key(), &was).ok());
  CHECK(!was);
  CHECK(session->Set(id, TextKey("a").key(), IntInput(3), kSetFailIfPresent).ok());
  clock.Advance(100 * kSecond);
  CHECK_EQ(GetInt(session.get(), 0, id, "a"), 3);  // the new entry has no expiry
  VerifyClean(session.get());
}

TEST(ATransactionHasOneInstant) {
  Folder folder;
  TestClock clock(folder);
  const auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  const uint64_t id = NewCollection(session.get());
  CHECK(session->SetExpiring(id, TextKey("a").key(), IntInput(1), 0, After(kSecond)).ok());
  CHECK(session->Begin().ok());
  clock.Advance(2 * kSecond);
  CHECK(Has(session.get(), 0, id, "a"));
  CHECK(session->SetExpiring(id, TextKey("b").key(), IntInput(1), 0, After(5 * kSecond)).ok());
  bool committed = false;
  CHECK(session->Commit(&committed).ok());
  CHECK(!Has(session.get(), 0, id, "a"));
  CHECK_EQ(Left(session.get(), 0, id, "b"), 3 * kSecond);  // counted from the beginning of the transaction
  VerifyClean(session.get());
}

TEST(TheCleanerRemovesWhatIsDue) {
  Folder folder;
  TestClock clock(folder);
  const auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  const uint64_t id = NewCollection(session.get());
  for (int i = 0; i < 5000; i++)
    CHECK(session->SetExpiring(id, TextKey("k" + std::to_string(i)).key(), IntInput(i), 0, After((1 + i % 10) * kSecond)).ok());
  clock.Advance(5 * kSecond);
  CHECK(AwaitSize(session.get(), id, 2500));
  clock.Advance(5 * kSecond);
  CHECK(AwaitSize(session.get(), id, 0));
  VerifyClean(session.get());
}

// Keys that have blocks of their own, in the Collection and in its time index, of which whole leaves go at once.
TEST(TheCleanerLeavesNothingOfLongKeys) {
  Folder folder;
  TestClock clock(folder);
  const auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  const uint64_t id = NewCollection(session.get());
  for (int i = 0; i < 3000; i++) {
    const std::string key = std::string(300 + i % 300, 'k') + std::to_string(i);
    CHECK(session->SetExpiring(id, TextKey(key).key(), IntInput(i), 0, After((1 + i % 2) * kSecond)).ok());
  }
  clock.Advance(kSecond);
  CHECK(AwaitSize(session.get(), id, 1500));
  VerifyClean(session.get());
  clock.Advance(kSecond);
  CHECK(AwaitSize(session.get(), id, 0));
  Counts before;
  Counts after;
  CHECK(session->Gc(true, &before, &after).ok());
  CHECK_EQ(before.orphans, 0u);
  VerifyClean(session.get());
}

TEST(TheCleanerRestsLessTheMoreIsOverdue) {
  CHECK_EQ(RestAfter(1000, -kSecond), 24'000u);
  CHECK_EQ(RestAfter(1000, 30 * kSecond), 24'000u);
  CHECK_EQ(RestAfter(1000, 60 * kSecond), 6'000u);
  CHECK_EQ(RestAfter(1000, 300 * kSecond), 240u);
  CHECK_EQ(RestAfter(1000, kNoExpiry), 0u);
}

TEST(ExpiriesSurviveTheLastClose) {
  Folder folder;
  TestClock clock(folder);
  uint64_t id = 0;
  {
    const auto session = OpenSession(folder.File("db"));
    REQUIRE(session != nullptr);
    id = NewCollection(session.get());
    for (int i = 0; i < 100; i++)
      CHECK(session->SetExpiring(id, TextKey("k" + std::to_string(i)).key(), IntInput(i), 0, After(kSecond)).ok());
  }
  unlink(folder.File("db-lock").c_str());  // as after a crash of the machine
  const auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  CHECK_EQ(Left(session.get(), 0, id, "k7"), kSecond);
  VerifyClean(session.get());
  clock.Advance(kSecond);
  CHECK(!Has(session.get(), 0, id, "k7"));
  CHECK(AwaitSize(session.get(), id, 0));
  VerifyClean(session.get());
}

TEST(ACollectionGoesWithItsTimeIndex) {
  Folder folder;
  TestClock clock(folder);
  const auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  Counts before;
  Counts after;
  Counts empty;
  std::string problem;
  CHECK(session->Verify(&empty, &problem).ok());
  for (int round = 0; round < 10; round++) {
    uint64_t id = 0;
    uint32_t cell = 0;
    CHECK(session->Create(Kind::kCollection, nullptr, 0, &id, &cell).ok());
    for (int i = 0; i < 100; i++)
      CHECK(session->SetExpiring(id, TextKey("k" + std::to_string(i)).key(), IntInput(i), 0, After(kSecond)).ok());
    if (round % 2 == 0) CHECK(session->Clear(id).ok());
    session->UnpinContainer(cell);
  }
  VerifyClean(session.get());
  CHECK(session->Gc(true, &before, &after).ok());
  Counts left;
  CHECK(session->Verify(&left, &problem).ok());
  CHECK_EQ(left.containers, empty.containers + 1);  // the registry stays
  CHECK_EQ(left.values, empty.values);
}

// The model: what a key holds, and until when.
struct Modelled {
  int64_t value = 0;
  int64_t expires = 0;
};
using Model = std::map<std::string, Modelled>;

bool Live(const Model& model, const std::string& key, int64_t now) {
  const auto found = model.find(key);
  return found != model.end() && (found->second.expires == 0 || found->second.expires > now);
}

// Long keys live in blobs, numbers of one size in their words, and texts in the heap: each kind of leaf entry occurs.
std::string KeyOf(uint64_t n) { return n % 17 == 0 ? "long" + std::string(300, 'x') + std::to_string(n) : "key" + std::to_string(n); }

void CompareAll(Session* session, uint64_t view, uint64_t id, const Model& model, int64_t now) {
  auto expected = model.begin();
  const auto skip = [&] {
    while (expected != model.end() && !Live(model, expected->first, now)) ++expected;
  };
  bool same = true;
  skip();
  CHECK(session->Page(view, id, 0, ~uint64_t{0}, 1, [&](const Key& key, const ValueView& value) {
    const std::string text(reinterpret_cast<const char*>(key.data) + 1, key.size - 1);
    same = same && expected != model.end() && text == expected->first && value.integer == expected->second.value;
    if (expected != model.end()) ++expected;
    skip();
    return true;
  }).ok());
  CHECK(same && expected == model.end());
}

TEST(RandomOperationsEqualAModel) {
  Folder folder;
  TestClock clock(folder);
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  const uint64_t id = NewCollection(session.get());
  Model model;
  for (int step = 0; step < 30000; step++) {
    const std::string name = KeyOf(RandomBelow(400));
    const TextKey key(name);
    const int64_t value = RandomBelow(3) == 0 ? static_cast<int64_t>(Random()()) : static_cast<int64_t>(RandomBelow(1000));
    const bool live = Live(model, name, clock.now());
    switch (RandomBelow(12)) {
      case 0:
      case 1:
      case 2: {
        const int64_t ttl = static_cast<int64_t>(RandomBelow(20)) * kSecond;
        CHECK(session->SetExpiring(id, key.key(), IntInput(value), 0, After(ttl)).ok());
        if (ttl == 0)
          model.erase(name);
        else
          model[name] = {value, clock.now() + ttl};
        break;
      }
      case 3:
        CHECK(session->Set(id, key.key(), IntInput(value), 0).ok());
        model[name] = {value, 0};
        break;
      case 4: {
        const bool refused = session->Set(id, key.key(), IntInput(value), kSetFailIfPresent).code() == Code::kEXISTS;
        CHECK_EQ(refused, live);
        if (!live) model[name] = {value, 0};
        break;
      }
      case 5: {
        CHECK(session->Set(id, key.key(), IntInput(value), kSetKeepExpiry).ok());
        model[name] = {value, live ? model[name].expires : 0};
        break;
      }
      case 6: {
        bool was = false;
        CHECK(session->Delete(id, key.key(), &was).ok());
        CHECK_EQ(was, live);
        model.erase(name);
        break;
      }
      case 7: {
        bool was = false;
        const int64_t ttl = static_cast<int64_t>(RandomBelow(10)) * kSecond;
        const Expiry expiry = RandomBelow(2) == 0 ? After(ttl) : Expiry{};
        CHECK(session->SetExpiry(id, key.key(), expiry, &was).ok());
        CHECK_EQ(was, live);
        if (!live) break;
        if (expiry.kind == Expiry::Kind::kNever)
          model[name].expires = 0;
        else if (ttl == 0)
          model.erase(name);
        else
          model[name].expires = clock.now() + ttl;
        break;
      }
      case 8: {
        int64_t sum = 0;
        CHECK(session->Increment(id, key.key(), IntInput(1).view, [&](const ValueView& v) { sum = v.integer; }).ok() ||
              live);  // an int64 that overflows becomes a big integer, which the model does not follow
        const Modelled old = live ? model[name] : Modelled{};
        if (old.value == INT64_MAX) break;
        CHECK_EQ(sum, old.value + 1);
        model[name] = {old.value + 1, old.expires};
        break;
      }
      case 9: {
        const Input expected = IntInput(live ? model[name].value : 0);
        const Input next = IntInput(value);
        bool swapped = false;
        CHECK(session->CompareAndSet(id, key.key(), live ? &expected : nullptr, &next, &swapped).ok());
        CHECK(swapped);
        model[name] = {value, 0};
        break;
      }
      case 10: {
        std::optional<std::string> least;
        for (const auto& [candidate, modelled] : model)
          if (Live(model, candidate, clock.now())) {
            least = candidate;
            break;
          }
        std::optional<std::string> shifted;
        CHECK(session->Shift(id, [&](const Key& k, const ValueView& v) {
          shifted.reset();
          if (v.type != ValueView::Type::kAbsent) shifted = std::string(reinterpret_cast<const char*>(k.data) + 1, k.size - 1);
          return true;
        }).ok());
        CHECK(least == shifted);
        if (least.has_value()) model.erase(*least);
        break;
      }
      default:
        if (RandomBelow(4) == 0) clock.Advance(static_cast<int64_t>(RandomBelow(3)) * kSecond);
        CHECK_EQ(Has(session.get(), 0, id, name), Live(model, name, clock.now()));
    }
    if (step % 500 == 0) CompareAll(session.get(), 0, id, model, clock.now());
    if (step % 5000 == 0) VerifyClean(session.get());
    if (step % 10000 == 9999) {
      session.reset();
      session = OpenSession(folder.File("db"));
      REQUIRE(session != nullptr);
    }
  }
  uint64_t view = 0;
  CHECK(session->Snapshot(&view).ok());
  const int64_t then = clock.now();
  clock.Advance(100 * kSecond);
  uint64_t lasting = 0;
  for (const auto& [name, modelled] : model) lasting += modelled.expires == 0 ? 1 : 0;
  CHECK(AwaitSize(session.get(), id, lasting));
  CompareAll(session.get(), view, id, model, then);
  CompareAll(session.get(), 0, id, model, clock.now());
  CHECK(session->Release(view).ok());
  VerifyClean(session.get());
}

TEST(OnlyACollectionHasExpiries) {
  Folder folder;
  TestClock clock(folder);
  const auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  for (const Kind kind : {Kind::kDict, Kind::kMulti}) {
    uint64_t id = 0;
    uint32_t cell = 0;
    CHECK(session->Create(kind, nullptr, 0, &id, &cell).ok());
    CHECK(session->SetExpiring(id, TextKey("a").key(), IntInput(1), 0, After(kSecond)).code() == Code::kTYPE);
    bool was = false;
    CHECK(session->SetExpiry(id, TextKey("a").key(), After(kSecond), &was).code() == Code::kTYPE);
    CHECK_EQ(SizeOf(session.get(), id), 0u);
  }
  VerifyClean(session.get());
}

}  // namespace
}  // namespace pongo::test
