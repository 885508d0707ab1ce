// Defects that were found once, each with the smallest story that showed it. Those that need other processes are in
// regressions_fork_test.cc and regressions_recovery_test.cc.

#include <unistd.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "format/wire_writer.h"
#include "model/database_file.h"
#include "model/transaction.h"
#include "regressions.h"
#include "store/allocator.h"
#include "store/write_set.h"

namespace pongo {
namespace {

using test::Chunked;
using test::Create;
using test::Folder;
using test::GetInt;
using test::GetText;
using test::IntInput;
using test::OpenSession;
using test::Quiet;
using test::RandomBelow;
using test::SetInt;
using test::SetText;
using test::Stat;
using test::TextInput;
using test::TextKey;
using test::VerifyClean;

Status Delete(Session* session, const std::string& key, bool* present, uint64_t id = kRootId) {
  return session->Delete(id, TextKey(key).key(), present);
}

// -- fresh blocks of a transaction --

// The set keeps its blocks in a list while they are few and in a hash table later: going to and fro must lose none.
TEST(FreshBlocksStayKnownAfterDrops) {
  const Folder folder;
  std::string detail;
  auto opened = DatabaseFile::Open(folder.File("db"), Chunked(1 << 20), &detail);
  REQUIRE(opened.ok());
  const std::shared_ptr<DatabaseFile> file = opened.value();
  ThreadSlot slot(file->mapping());
  REQUIRE(slot.Claim().ok());
  {
    Allocator allocator(file->mapping(), &slot);
    WriteSet writes(file->mapping(), &allocator);
    for (int round = 0; round < 20; round++) {
      writes.Start(2, true);
      std::set<Ref> fresh;
      for (int i = 0; i < 2000; i++) {
        // Waves: between none and a few dozen blocks at a time.
        const uint64_t target = (i / 100) % 2 == 0 ? 40 : 4;
        if (fresh.empty() || RandomBelow(2 * target) >= fresh.size()) {
          Ref ref;
          uint8_t* bytes;
          uint64_t size;
          REQUIRE(writes.Allocate(1 + RandomBelow(2000), &ref, &bytes, &size).ok());
          CHECK(fresh.insert(ref).second);
        } else {
          auto victim = fresh.begin();
          std::advance(victim, static_cast<ptrdiff_t>(RandomBelow(fresh.size())));
          const Ref ref = *victim;
          fresh.erase(victim);
          writes.Drop(ref);
          CHECK(!writes.IsFresh(ref));
        }
        for (const Ref ref : fresh) CHECK(writes.IsFresh(ref));
      }
      writes.Abandon();
    }
  }
  slot.Release();
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  VerifyClean(session.get());
}

// A value above 255 bytes has a block of its own; overwriting it drops a fresh block each time. Then leaves merge.
TEST(OverwritesBeforeAMergeInOneTransaction) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"), Chunked(1 << 20));
  REQUIRE(session != nullptr);
  for (const int overwrites : {1, 14, 15, 16, 17, 18, 19, 31, 32, 33, 70, 200}) {
    uint64_t dict;
    REQUIRE(Create(session.get(), Kind::kDict, &dict).ok());
    const auto name = [](int i) { return "key" + std::to_string(10000 + i); };
    for (int i = 0; i < 400; i++) REQUIRE(SetInt(session.get(), name(i), i, dict).ok());
    bool present;
    for (int i = 0; i < 49; i++) REQUIRE(Delete(session.get(), name(i), &present, dict).ok());
    for (int i = 64; i < 95; i++) REQUIRE(Delete(session.get(), name(i), &present, dict).ok());
    REQUIRE(session->Begin().ok());
    std::string big;
    for (int i = 0; i < overwrites; i++) {
      big = std::string(static_cast<size_t>(300 + i), 'y');
      REQUIRE(SetText(session.get(), "big", big).ok());
    }
    for (int i = 49; i < 64; i++) REQUIRE(Delete(session.get(), name(i), &present, dict).ok());
    for (int i = 95; i < 300; i++) REQUIRE(Delete(session.get(), name(i), &present, dict).ok());
    bool committed;
    CHECK(session->Commit(&committed).ok());
    CHECK(committed);
    std::string text;
    CHECK(GetText(session.get(), 0, kRootId, "big", &text));
    CHECK_EQ(text, big);
    uint64_t size = 0;
    CHECK(session->Size(0, dict, &size).ok());
    CHECK_EQ(size, 100u);
    for (int i = 300; i < 400; i++) CHECK_EQ(GetInt(session.get(), 0, dict, name(i)), i);
    VerifyClean(session.get());
  }
}

TEST(ManyTransactionsOfOverwritesAndDeletes) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"), Chunked(1 << 20));
  REQUIRE(session != nullptr);
  constexpr int kKeys = 2000;
  const auto name = [](int i) { return "user:" + std::to_string(10000 + i); };
  for (int i = 0; i < kKeys; i++) REQUIRE(SetText(session.get(), name(i), std::string(40, 'v')).ok());
  uint64_t list;
  uint64_t length;
  REQUIRE(Create(session.get(), Kind::kList, &list).ok());
  REQUIRE(session->ListPush(list, IntInput(1), &length).ok());
  for (int i = 0; i < kKeys; i++) {
    REQUIRE(session->Begin().ok());
    for (int k = 0; k < 16 + i % 4; k++)
      REQUIRE(session->ListSet(list, 0, TextInput(std::string(static_cast<size_t>(1000 + k), 'b'))).ok());
    bool present;
    bool committed;
    REQUIRE(Delete(session.get(), name(i * 7919 % kKeys), &present).ok());
    CHECK(present);
    REQUIRE(session->Commit(&committed).ok());
    CHECK(committed);
  }
  uint64_t size = ~uint64_t{0};
  CHECK(session->Size(0, kRootId, &size).ok());
  CHECK_EQ(size, 0u);
  VerifyClean(session.get());
}

// -- threads --

TEST(ThreadsOpenAndCloseOneFileAtOnce) {
  const Folder folder;
  const std::string path = folder.File("db");
  {
    auto session = OpenSession(path, Chunked(1 << 20));
    REQUIRE(session != nullptr);
    REQUIRE(SetInt(session.get(), "a", 5).ok());
  }
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++)
    threads.emplace_back([&] {
      for (int i = 0; i < 150; i++) {
        std::string detail;
        const auto session = Session::Open(path, OpenOptions{}, &detail);
        int64_t value = -1;
        const auto found = [&](const ValueView& v) { value = v.integer; };
        if (!session.ok() || !session.value()->Get(0, kRootId, TextKey("a").key(), found).ok() || value != 5) failures++;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(failures.load(), 0);
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  VerifyClean(session.get());
  CHECK_EQ(Stat(session.get(), "threads"), 2.0);  // the session and the background thread
}

// Sync, Verify and Gc may be called from any thread, at any time: they work or say CLOSED.
TEST(OtherThreadsCallWhileASessionCloses) {
  const Folder folder;
  std::atomic<int> unexpected{0};
  for (int i = 0; i < 150; i++) {
    auto session = OpenSession(folder.File("db"), Chunked(1 << 20));
    REQUIRE(session != nullptr);
    REQUIRE(SetInt(session.get(), "a", i).ok());
    std::atomic<int> ready{0};
    const auto expect = [&](const Status& status) {
      if (!status.ok() && status.code() != Code::kCLOSED) unexpected++;
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++)
      threads.emplace_back([&, t] {
        ready++;
        for (int k = 0; k < 5; k++) {
          Counts before;
          Counts after;
          std::string problem;
          if (t == 0) expect(session->Sync());
          expect(session->Verify(&before, &problem));
          if (t == 1) expect(session->Gc(k % 2 == 0, &before, &after));
        }
      });
    while (ready.load() < 2) std::this_thread::yield();
    CHECK(session->Close().ok());
    for (std::thread& thread : threads) thread.join();
    CHECK_CODE(session->Sync(), CLOSED);
    CHECK_CODE(SetInt(session.get(), "a", 0), CLOSED);
    CHECK(session->uuid() != nullptr && session->uuid()[6] >> 4 == 4);
  }
  CHECK_EQ(unexpected.load(), 0);
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  CHECK_EQ(GetInt(session.get(), 0, kRootId, "a"), 149);
  VerifyClean(session.get());
}

// A transaction that keeps losing draws a ticket; the handle may be closed, or dropped, while it holds it.
TEST(ClosingAfterLostConflicts) {
  const Folder folder;
  for (const bool in_transaction : {false, true}) {
    auto session = OpenSession(folder.File("db"));
    auto winner = OpenSession(folder.File("db"));
    REQUIRE(session != nullptr && winner != nullptr);
    REQUIRE(SetInt(session.get(), "a", 0).ok());
    for (int i = 0; i < 7; i++) {
      REQUIRE(session->Begin().ok());
      REQUIRE(SetInt(session.get(), "a", 1).ok());
      REQUIRE(SetInt(winner.get(), "a", 2).ok());
      bool committed = true;
      REQUIRE(session->Commit(&committed).ok());
      CHECK(!committed);
    }
    if (in_transaction) REQUIRE(session->Begin().ok());
    winner.reset();   // the session is the last user of the file, and takes the mapping with it
    session.reset();
    session = OpenSession(folder.File("db"));
    REQUIRE(session != nullptr);
    REQUIRE(SetInt(session.get(), "a", 3).ok());
    CHECK_EQ(GetInt(session.get(), 0, kRootId, "a"), 3);
    VerifyClean(session.get());
  }
}

// -- space --

// In the smaller file there is room for two values only: the durable version has to give up its own.
TEST(OverwritingALargeValueInASmallFile) {
  for (const uint64_t max_size : {uint64_t{8} << 20, uint64_t{3} << 20}) {
    const Folder folder;
    OpenOptions options = Quiet();
    options.max_size = max_size;
    auto session = OpenSession(folder.File("db"), options);
    REQUIRE(session != nullptr);
    std::string value(1 << 20, ' ');
    for (int i = 0; i < 60; i++) {
      value.assign(value.size(), static_cast<char>('a' + i % 26));
      CHECK_OK(SetText(session.get(), "big", value));
      if (i % 5 == 0) CHECK_OK(session->Sync());
    }
    std::string text;
    CHECK(GetText(session.get(), 0, kRootId, "big", &text));
    CHECK(text == value);
    CHECK(Stat(session.get(), "fileBytes") <= static_cast<double>(max_size));
    bool present = false;
    CHECK_OK(Delete(session.get(), "big", &present));
    CHECK(present);
    VerifyClean(session.get());
  }
}

TEST(OverwritingALargeValueKeepsTheFileSmall) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"), Chunked(1 << 20));
  REQUIRE(session != nullptr);
  std::string value(3 << 20, ' ');
  for (int i = 0; i < 60; i++) {
    value.assign(value.size(), static_cast<char>('a' + i % 26));
    REQUIRE(SetText(session.get(), "big", value).ok());
    if (i % 10 == 0) REQUIRE(session->Sync().ok());
  }
  // The live value, the next one, the durable one, the one being made durable; and as much again for where they lie.
  CHECK(Stat(session.get(), "fileBytes") <= 8 * (3 << 20));
  VerifyClean(session.get());
}

// What an idle thread has retired is everybody's: it must not keep whole spans.
TEST(SpansThatAnIdleSessionRetiredAreFreed) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"), Chunked(1 << 20));
  auto idle = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr && idle != nullptr);
  REQUIRE(SetInt(session.get(), "a", 1).ok());
  for (int i = 0; i < 6; i++) {
    REQUIRE(SetText(idle.get(), "big", std::string(2 << 20, 'x')).ok());
    REQUIRE(session->Sync().ok());
  }
  bool present;
  REQUIRE(Delete(idle.get(), "big", &present).ok());
  REQUIRE(SetInt(session.get(), "a", 2).ok());
  REQUIRE(session->Sync().ok());
  Counts before;
  Counts after;
  REQUIRE(session->Gc(false, &before, &after).ok());
  CHECK(after.retired_bytes < 1 << 20);
  VerifyClean(session.get());
}

// After FULL nothing of the transaction can be used, or committed by mistake.
TEST(ATransactionThatWasFullFailsToTheEnd) {
  const Folder folder;
  OpenOptions options = Chunked(64 << 10);
  options.max_size = 2 << 20;
  auto session = OpenSession(folder.File("db"), options);
  REQUIRE(session != nullptr);
  uint64_t list;
  uint64_t length;
  REQUIRE(Create(session.get(), Kind::kList, &list).ok());
  REQUIRE(session->ListPush(list, IntInput(1), &length).ok());
  for (int i = 0; i < 100; i++) REQUIRE(SetInt(session.get(), "key" + std::to_string(i), i).ok());
  // More than fits, in one call: it fails when half of it has been built.
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  writer.Dict(3000);
  const std::string value(1000, 'v');
  for (int i = 0; i < 3000; i++) {
    const std::string key = "new" + std::to_string(i);
    writer.String(reinterpret_cast<const uint8_t*>(key.data()), static_cast<uint32_t>(key.size()));
    writer.String(reinterpret_cast<const uint8_t*>(value.data()), static_cast<uint32_t>(value.size()));
  }
  for (const bool commit : {false, true}) {
    REQUIRE(session->Begin().ok());
    REQUIRE(SetInt(session.get(), "key0", -5).ok());
    const Status full = session->Update(kRootId, wire.data(), wire.size());
    CHECK_CODE(full, FULL);
    bool flag;
    uint64_t number;
    const auto ignore = [](const ValueView&) {};
    CHECK_CODE(SetInt(session.get(), "key1", -5), FULL);
    CHECK_CODE(Delete(session.get(), "key1", &flag), FULL);
    CHECK_CODE(session->Pop(kRootId, TextKey("key1").key(), ignore), FULL);
    CHECK_CODE(session->Increment(kRootId, TextKey("key1").key(), IntInput(1).view, ignore), FULL);
    CHECK_CODE(session->Get(0, kRootId, TextKey("key1").key(), ignore), FULL);
    CHECK_CODE(session->Size(0, kRootId, &number), FULL);
    CHECK_CODE(session->Page(0, kRootId, 0, 10, 1, [](const Key&, const ValueView&) { return true; }), FULL);
    CHECK_CODE(session->ListGet(0, list, 0, ignore), FULL);
    CHECK_CODE(session->ListPush(list, IntInput(2), &number), FULL);
    CHECK_CODE(Create(session.get(), Kind::kDict, &number), FULL);
    CHECK_CODE(session->Clear(kRootId), FULL);
    CHECK_CODE(session->Update(kRootId, wire.data(), wire.size()), FULL);
    CHECK(session->InTransaction());
    if (commit) {
      bool committed = true;
      const Status status = session->Commit(&committed);
      CHECK_EQ(std::string(status.text()), std::string(full.text()));
      CHECK(!committed);
    }
    CHECK(session->Abort().ok());
    CHECK(!session->InTransaction());
    for (int i = 0; i < 100; i++) CHECK_EQ(GetInt(session.get(), 0, kRootId, "key" + std::to_string(i)), i);
    CHECK(session->Size(0, kRootId, &number).ok());
    CHECK_EQ(number, 100u);
    VerifyClean(session.get());
    CHECK_OK(SetText(session.get(), "after", value));
    CHECK_OK(Delete(session.get(), "after", &flag));
    CHECK_OK(session->ListPush(list, IntInput(2), &number));
  }
}

// Random transactions near the limit: whatever fails, the rest of the database is as the commits left it.
TEST(TransactionsNearTheLimitLeaveACleanDatabase) {
  const Folder folder;
  OpenOptions options = Chunked(64 << 10);
  options.max_size = 2 << 20;
  auto session = OpenSession(folder.File("db"), options);
  REQUIRE(session != nullptr);
  uint64_t full = 0;
  for (int round = 0; round < 120; round++) {
    REQUIRE(session->Begin().ok());
    bool failed = false;
    for (int i = 0; i < 300; i++) {
      const uint64_t number = RandomBelow(600);
      const std::string key = RandomBelow(3) != 0 ? "user:" + std::to_string(number)
                                                  : std::string(300 + number % 50, 'L') + std::to_string(number);
      bool present;
      const Status status = RandomBelow(3) != 0 ? SetText(session.get(), key, std::string(RandomBelow(3000), 'v'))
                                                : Delete(session.get(), key, &present);
      if (!status.ok()) CHECK_CODE(status, FULL);
      failed = failed || !status.ok();
    }
    full += failed;
    bool committed;
    const Status status = session->Commit(&committed);
    if (!status.ok()) CHECK_CODE(status, FULL);
    if (round % 20 == 19) {
      VerifyClean(session.get());
      REQUIRE(session->Clear(kRootId).ok());
      REQUIRE(session->Sync().ok());
    }
  }
  CHECK(full > 0);
  Counts before;
  Counts after;
  CHECK(session->Gc(true, &before, &after).ok());
  CHECK_OK(SetText(session.get(), "after", std::string(1000, 'x')));
  VerifyClean(session.get());
}

// -- links --

// 1 and 1.0 are one key: only the pair that wins links its container, and the other gives back nothing it did not take.
TEST(EqualKeysOfAWireDictKeepLinkCounts) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  std::string detail;
  auto opened = DatabaseFile::Open(folder.File("db"), OpenOptions{}, &detail);
  REQUIRE(opened.ok());
  const std::shared_ptr<DatabaseFile> file = opened.value();
  const auto links = [&](uint64_t id) {
    Base base;
    bool present = false;
    ObjectEntry entry;
    if (!ReadBase(file->mapping(), file->mapping()->header()->root.load(), &base).ok()) return -1;
    if (!FindObject(file->mapping(), base.table, id, &present, &entry).ok() || !present) return -1;
    return static_cast<int>(entry.links());
  };
  uint64_t first;
  uint64_t second;
  for (uint64_t* list : {&first, &second}) {
    REQUIRE(Create(session.get(), Kind::kList, list).ok());
    Input input;
    input.view.type = ValueView::Type::kContainer;
    input.view.kind = Kind::kList;
    input.view.id = *list;
    REQUIRE(session->Set(kRootId, TextKey("list" + std::to_string(*list)).key(), input, 0).ok());
    CHECK_EQ(links(*list), 1);
  }
  constexpr uint8_t kList = static_cast<uint8_t>(Kind::kList);
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  writer.Dict(2);
  writer.Int(1);
  writer.Container(kList, first);
  writer.Double(1.0);
  writer.Container(kList, first);
  uint64_t dict;
  REQUIRE(Create(session.get(), Kind::kDict, &dict, wire).ok());
  CHECK_EQ(links(first), 2);
  // The loser names another container than the winner; a string that loses takes its block with it.
  wire.clear();
  writer.Dict(5);
  writer.Int(1);
  writer.Container(kList, first);
  writer.Double(1.0);
  writer.Container(kList, second);
  writer.Int(2);
  const std::string text(1000, 't');
  writer.String(reinterpret_cast<const uint8_t*>(text.data()), static_cast<uint32_t>(text.size()));
  writer.Double(2.0);
  writer.Container(kList, second);
  writer.Double(2.0);
  writer.Int(7);
  REQUIRE(Create(session.get(), Kind::kDict, &dict, wire).ok());
  CHECK_EQ(links(first), 2);
  CHECK_EQ(links(second), 2);
  uint64_t size = 0;
  CHECK(session->Size(0, dict, &size).ok());
  CHECK_EQ(size, 2u);
  VerifyClean(session.get());
}

// -- conflicts --

// A page fetches what the entry behind it holds, which the transaction has not read.
TEST(ATransactionDoesNotConflictWithWhatLiesBehindItsPage) {
  struct Sink : PlainSink {
    void Primitive(const ValueView&) override { values++; }
    bool Record(uint64_t, const ValueView*, uint32_t) override { return false; }
    void Wire(std::vector<uint8_t>) override { values++; }
    int values = 0;
  };
  const Folder folder;
  const auto session = OpenSession(folder.File("db"));
  const auto other = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr && other != nullptr);
  uint64_t pair;
  REQUIRE(Create(session.get(), Kind::kDict, &pair).ok());
  uint64_t dicts[2];
  for (const int i : {0, 1}) {
    REQUIRE(Create(session.get(), Kind::kDict, &dicts[i]).ok());
    REQUIRE(SetInt(session.get(), "n", 1, dicts[i]).ok());
    Input input;
    input.view.type = ValueView::Type::kContainer;
    input.view.kind = Kind::kDict;
    input.view.id = dicts[i];
    REQUIRE(session->Set(pair, TextKey(std::to_string(i)).key(), input, 0).ok());
  }
  for (const int changed : {1, 0}) {
    REQUIRE(session->Begin().ok());
    Sink sink;
    CHECK(session->PlainPage(0, pair, 0, 1, 1, [](const Key&) {}, &sink).ok());
    CHECK_EQ(sink.values, 1);
    REQUIRE(SetInt(other.get(), "n", 2, dicts[changed]).ok());
    REQUIRE(SetInt(session.get(), "copied", 1).ok());
    bool committed;
    REQUIRE(session->Commit(&committed).ok());
    CHECK_EQ(committed, changed == 1);
  }
}

}  // namespace
}  // namespace pongo
