// Waiting for commits of other processes, and the alignment of sequences.
//
// A release plays more: PONGODB_PINGPONGS=1000000.

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "child.h"
#include "support.h"
#include "store/commit_signal.h"

namespace pongo {
namespace {

using test::Folder;
using test::GetInt;
using test::IntInput;
using test::OpenSession;
using test::TextKey;
using test::VerifyClean;

// What a List was, made to what it is by what its watcher says.
class ListModel final : public ChangeVisitor {
 public:
  explicit ListModel(std::vector<int64_t> list) : list_(std::move(list)) {}
  void OnChange(const Change& change) override {
    changes_++;
    if (change.type == Change::Type::kSet && change.path_size == 1 && change.path[0].is_index) {
      list_[static_cast<size_t>(change.path[0].index)] = change.value->integer;
      return;
    }
    CHECK(change.type == Change::Type::kSplice);
    const auto at = list_.begin() + static_cast<ptrdiff_t>(change.index);
    place_ = static_cast<size_t>(change.index);
    list_.erase(at, at + static_cast<ptrdiff_t>(change.removed));
  }
  void OnInserted(const ValueView& value) override {
    list_.insert(list_.begin() + static_cast<ptrdiff_t>(place_++), value.integer);
  }
  const std::vector<int64_t>& list() const { return list_; }
  uint64_t changes() const { return changes_; }

 private:
  std::vector<int64_t> list_;
  size_t place_ = 0;
  uint64_t changes_ = 0;
};

std::vector<int64_t> Elements(Session* session, uint64_t id) {
  std::vector<int64_t> list;
  CHECK(session->Page(0, id, 0, ~uint64_t{0}, 1, [&](const Key&, const ValueView& value) {
    list.push_back(value.integer);
    return true;
  }).ok());
  return list;
}

TEST(ChangesOfAListMakeTheNewOneOfTheOld) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  uint64_t id;
  uint32_t cell;
  REQUIRE(session->Create(Kind::kList, nullptr, 0, &id, &cell).ok());
  for (int64_t i = 0; i < 3000; i++) {
    uint64_t length;
    REQUIRE(session->ListPush(id, IntInput(i), &length).ok());
  }
  uint64_t watcher;
  REQUIRE(session->Watch(id, nullptr, 0, 0, &watcher).ok());
  ListModel model(Elements(session.get(), id));
  for (int round = 0; round < 300; round++) {
    const uint64_t times = 1 + test::RandomBelow(20);
    for (uint64_t i = 0; i < times; i++) {
      uint64_t size;
      REQUIRE(session->Size(0, id, &size).ok());
      const auto value = static_cast<int64_t>(test::RandomBelow(50));
      uint64_t length;
      switch (test::RandomBelow(4)) {
        case 0:
          REQUIRE(session->ListPush(id, IntInput(value), &length).ok());
          break;
        case 1:
          REQUIRE(session->ListShift(id, [](const ValueView&) {}).ok());
          break;
        case 2:
          REQUIRE(session->ListSplice(id, test::RandomBelow(size), test::RandomBelow(5), nullptr, 0, &length).ok());
          break;
        default:
          REQUIRE(session->ListSet(id, test::RandomBelow(size), IntInput(value)).ok());
      }
    }
    REQUIRE(session->Changes(watcher, &model).ok());
    REQUIRE(model.list() == Elements(session.get(), id));
  }
  CHECK(model.changes() > 300u);
  session->Unwatch(watcher);
  VerifyClean(session.get());
}

// Waits, as often as it takes, until a key has a value.
bool AwaitValue(Session* session, uint64_t watcher, const char* key, int64_t wanted) {
  class Ignore final : public ChangeVisitor {
    void OnChange(const Change&) override {}
    void OnInserted(const ValueView&) override {}
  } ignore;
  for (;;) {
    if (!session->Changes(watcher, &ignore).ok()) return false;
    if (GetInt(session, 0, kRootId, key) == wanted) return true;
    bool changed;
    if (!session->WaitChanges(watcher, port::kForever, &changed).ok()) return false;
  }
}

int Play(Session* session, bool serves, int64_t times) {
  uint64_t watcher;
  if (!session->Watch(kRootId, nullptr, 0, 0, &watcher).ok()) return 1;
  for (int64_t i = 1; i <= times; i++) {
    if (serves && !session->Set(kRootId, TextKey("ping").key(), IntInput(i), 0).ok()) return 2;
    if (!AwaitValue(session, watcher, serves ? "pong" : "ping", i)) return 3;
    if (!serves && !session->Set(kRootId, TextKey("pong").key(), IntInput(i), 0).ok()) return 4;
  }
  session->Unwatch(watcher);
  return 0;
}

// Without a time-out anywhere: one wake-up that is lost, and it never ends.
TEST(PingPongLosesNoWakeUp) {
  const char* asked = std::getenv("PONGODB_PINGPONGS");
  const int64_t times = asked != nullptr ? std::atoll(asked) : 20000;
  const Folder folder;
  const std::string path = folder.File("db");
  const pid_t child = test::StartChild([&] {
    alarm(times > 20000 ? 3600 : test::kChildSeconds);
    auto session = OpenSession(path);
    return session == nullptr ? 9 : Play(session.get(), false, times);
  });
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  CHECK_EQ(Play(session.get(), true, times), 0);
  CHECK_EQ(test::AwaitChild(child), 0);
  VerifyClean(session.get());
}

TEST(AnInterruptedWaitReturns) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  uint64_t watcher;
  REQUIRE(session->Watch(kRootId, nullptr, 0, 0, &watcher).ok());
  bool changed = true;
  session->InterruptWait();  // before the wait: it must not be lost
  REQUIRE(session->WaitChanges(watcher, port::kForever, &changed).ok());
  CHECK(!changed);
  REQUIRE(session->WaitChanges(watcher, 1'000'000, &changed).ok());  // a millisecond
  CHECK(!changed);
}

}  // namespace
}  // namespace pongo
