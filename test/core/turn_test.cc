// Turns: no transaction can lose for ever.

#include <atomic>
#include <thread>

#include "store/turn.h"
#include "store_support.h"

namespace pongo {
namespace {

using test::Folder;
using test::GetInt;
using test::IntInput;
using test::OpenSession;
using test::TextKey;

// The rival commits to what the transaction has read, in each of its runs, unless it is kept waiting: without turns the transaction
// would lose for ever.
TEST(ATransactionThatAlwaysLosesGetsItsTurn) {
  constexpr int64_t kRunsMax = 100'000;  // ends a test that has failed
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  auto rival = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr && rival != nullptr);
  std::atomic<bool> waits{false};
  WaitHooks hooks;
  hooks.before = [](void* context) { static_cast<std::atomic<bool>*>(context)->store(true); };
  hooks.after = [](void* context) { static_cast<std::atomic<bool>*>(context)->store(false); };
  hooks.context = &waits;
  rival->SetWaitHooks(hooks);
  std::atomic<int64_t> commits{0};
  std::atomic<bool> stop{false};
  CHECK(session->Set(kRootId, TextKey("n").key(), IntInput(0), 0).ok());
  std::thread rivalry([&] {
    while (!stop) {
      CHECK(rival->Set(kRootId, TextKey("n").key(), IntInput(commits + 1), 0).ok());
      commits++;
    }
  });
  int64_t runs = 0;
  bool committed = false;
  while (!committed && ++runs < kRunsMax) {
    CHECK(session->Begin().ok());
    const int64_t before = commits;
    CHECK(GetInt(session.get(), 0, kRootId, "n") >= 0);
    CHECK(session->Set(kRootId, TextKey("m").key(), IntInput(runs), 0).ok());
    while (commits < before + 2 && !waits) port::YieldProcessor();  // the first may have been committed before Begin
    CHECK(session->Commit(&committed).ok());
  }
  stop = true;
  rivalry.join();
  CHECK(committed);
  CHECK(runs > static_cast<int64_t>(Turn::kLongPatience));
  CHECK_EQ(GetInt(session.get(), 0, kRootId, "m"), runs);
  CHECK_EQ(GetInt(session.get(), 0, kRootId, "n"), commits.load());
}

// It has drawn a ticket, and no pin is free for the next attempt: the others must not wait for it.
TEST(ATransactionThatCannotBeginGivesItsTurnBack) {
  const test::TestFile file;
  auto session = OpenSession(file.path());
  auto rival = OpenSession(file.path());
  REQUIRE(session != nullptr && rival != nullptr);
  int64_t n = 0;
  const auto change = [&] { CHECK(rival->Set(kRootId, TextKey("n").key(), IntInput(++n), 0).ok()); };
  uint64_t view = 0;
  for (uint32_t i = 0; i + 1 < kPinCells; i++) {
    change();
    CHECK(session->Snapshot(&view).ok());
  }
  for (uint32_t i = 0; i < Turn::kLongPatience; i++) {
    CHECK(session->Begin().ok());
    CHECK_EQ(GetInt(session.get(), 0, kRootId, "n"), n);
    CHECK(session->Set(kRootId, TextKey("m").key(), IntInput(n), 0).ok());
    change();
    bool committed = true;
    CHECK(session->Commit(&committed).ok());
    CHECK(!committed);
  }
  CHECK(session->Snapshot(&view).ok());  // the last pin
  const uint64_t drawn = file.header()->turn_next.load();
  CHECK(!session->Begin().ok());
  CHECK_EQ(file.header()->turn_next.load(), drawn + 1);
  CHECK(file.header()->turn.load() > file.header()->turn_next.load());
}

// A transaction that has lost and is not run again holds nobody up: neither the writes of its own session nor others.
TEST(ATransactionThatIsGivenUpHasNoTurn) {
  const test::TestFile file;
  auto session = OpenSession(file.path());
  auto rival = OpenSession(file.path());
  REQUIRE(session != nullptr && rival != nullptr);
  int64_t n = 0;
  const auto change = [&](Session* who) { CHECK(who->Set(kRootId, TextKey("n").key(), IntInput(++n), 0).ok()); };
  change(rival.get());
  for (uint32_t i = 0; i <= Turn::kLongPatience; i++) {
    CHECK(session->Begin().ok());
    CHECK_EQ(GetInt(session.get(), 0, kRootId, "n"), n);
    CHECK(session->Set(kRootId, TextKey("m").key(), IntInput(n), 0).ok());
    if (i < Turn::kLongPatience) change(rival.get());  // in its last run it has the turn, and the rival would wait
    if (i == Turn::kLongPatience) break;
    bool committed = true;
    CHECK(session->Commit(&committed).ok());
    CHECK(!committed);
    CHECK(file.header()->turn.load() > file.header()->turn_next.load());
  }
  CHECK_EQ(file.header()->turn.load(), file.header()->turn_next.load());
  CHECK(session->Abort().ok());
  CHECK(file.header()->turn.load() > file.header()->turn_next.load());
  change(session.get());
}

}  // namespace
}  // namespace pongo
