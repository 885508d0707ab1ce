// Snapshots are taken away when their space is needed: the order of stamp, number, announcement and scan; what is never revoked;
// and what the holder is told.

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "child.h"
#include "regressions.h"
#include "store/horizon.h"
#include "store/revocation.h"
#include "store_support.h"

namespace pongo {
namespace {

using test::Folder;
using test::GetText;
using test::OpenSession;
using test::Pipe;
using test::Quiet;
using test::RandomBelow;
using test::SetText;
using test::TestFile;
using test::TextKey;
using test::VerifyClean;
using test::Worker;

bool Reusable(const TestFile& file, uint64_t birth, uint64_t retire) {
  Horizon horizon;
  horizon.Scan(*file.mapping());
  return horizon.Reusable(RetiredState(birth, retire));
}

// -- the order --

// A stamp alone takes no protection away: a scan under way may have passed the slot before the owner announced.
TEST(AStampWithoutItsNumberProtects) {
  const TestFile file;
  file.set_version(1000);
  Worker worker(file.mapping());
  const uint32_t cell = test::Pin(worker.slot.get(), 500, PinKind::kSnapshot);
  PinCell& pin = worker.slot->area()->pins[cell];
  const uint64_t number = file.header()->revocations.load();
  CHECK(!Reusable(file, 500, 501));
  pin.revoked.store(number + 1);  // a revoker that died here
  CHECK(worker.slot->Revoked(cell));
  CHECK(!Reusable(file, 500, 501));
  // The next revoker completes it, whatever it revokes itself.
  const uint32_t other = test::Pin(worker.slot.get(), 600, PinKind::kSnapshot);
  CHECK(RevokePin(file.header(), &worker.slot->area()->pins[other], 600));
  CHECK(Reusable(file, 500, 501));
  CHECK(Reusable(file, 600, 601));
  // An operation that announced before it was revoked still protects all it can see.
  worker.slot->AnnounceExactly(500);
  CHECK(!Reusable(file, 500, 501));
  CHECK(Reusable(file, 501, 502));  // and nothing else
  worker.slot->Clear();
  CHECK(Reusable(file, 500, 501));
  worker.slot->Unpin(cell);
  worker.slot->Unpin(other);
}

// The same when there is nothing else to revoke: its space is what is needed.
TEST(WhatADeadRevokerLeftIsCompleted) {
  const TestFile file;
  file.set_version(1000);
  Worker worker(file.mapping());
  const uint32_t cell = test::Pin(worker.slot.get(), 500, PinKind::kSnapshot);
  worker.slot->area()->pins[cell].revoked.store(file.header()->revocations.load() + 1);
  CHECK(!Reusable(file, 500, 501));
  CHECK_EQ(RevokeOldestSnapshots(file.mapping(), 1), 1u);
  CHECK(Reusable(file, 500, 501));
  CHECK_EQ(RevokeOldestSnapshots(file.mapping(), 1), 0u);
  worker.slot->Unpin(cell);
}

// Announced and revoked after a scan has passed the slot: that scan must still see the pin; the next one sees the slot.
TEST(ARevocationCountsFromTheNextScan) {
  const TestFile file;
  file.set_version(1000);
  Worker worker(file.mapping());
  ThreadSlot* slot = worker.slot.get();
  const uint32_t cell = test::Pin(slot, 500, PinKind::kSnapshot);
  Horizon horizon;
  horizon.Scan(*file.mapping(), [&] {
    slot->AnnounceExactly(500);
    CHECK(!slot->Revoked(cell));  // the operation goes on
    CHECK(RevokePin(file.header(), &slot->area()->pins[cell], 500));
  });
  CHECK(!horizon.Reusable(RetiredState(500, 501)));
  horizon.Scan(*file.mapping());
  CHECK(!horizon.Reusable(RetiredState(500, 501)));
  slot->Clear();
  horizon.Scan(*file.mapping());
  CHECK(horizon.Reusable(RetiredState(500, 501)));
  slot->Unpin(cell);
}

TEST(OnlySnapshotsCanBeRevoked) {
  const TestFile file;
  file.set_version(1000);
  Worker worker(file.mapping());
  ThreadSlot* slot = worker.slot.get();
  const uint32_t transaction = test::Pin(slot, 400, PinKind::kTransaction);
  const uint32_t backup = test::Pin(slot, 401, PinKind::kMaintenance);
  const uint32_t old = test::Pin(slot, 402, PinKind::kSnapshot);
  const uint32_t young = test::Pin(slot, 900, PinKind::kSnapshot);
  const uint32_t newest = test::Pin(slot, 1000, PinKind::kSnapshot);
  CHECK_EQ(RevokeOldestSnapshots(file.mapping(), 1), 1u);
  CHECK(slot->Revoked(old));
  CHECK(!slot->Revoked(young));
  CHECK_EQ(RevokeOldestSnapshots(file.mapping(), 100), 1u);
  CHECK(slot->Revoked(young));
  CHECK_EQ(RevokeOldestSnapshots(file.mapping(), 100), 0u);  // the newest version is needed anyhow
  CHECK(!slot->Revoked(newest) && !slot->Revoked(transaction) && !slot->Revoked(backup));
  CHECK(!Reusable(file, 400, 401));
  CHECK(!Reusable(file, 401, 402));
  CHECK(Reusable(file, 402, 403));
  // Even if a revoker came late and stamped a cell that has become a transaction's.
  slot->area()->pins[transaction].revoked.store(file.header()->revocations.load());
  CHECK(!Reusable(file, 400, 401));
  // A new pin of a revoked version is a pin of its own, and unrevoked.
  const uint32_t again = test::Pin(slot, 900, PinKind::kSnapshot);
  CHECK(again != young && !slot->Revoked(again));
  CHECK(!Reusable(file, 900, 901));
  slot->Unpin(old);
  CHECK_EQ(test::Pin(slot, 950, PinKind::kSnapshot), old);  // the cell starts afresh
  CHECK(!slot->Revoked(old));
}

// Poison on reuse: each version is one block, filled with its number. Readers pin versions and look at their block, as the
// operations on snapshots do; a revoker takes pins away; the writer reuses whatever the rule lets it.
TEST(NobodyReadsPoison) {
  const TestFile file(1 << 20);
  Mapping* mapping = file.mapping();
  ControlHeader* header = file.header();
  file.set_version(100);
  constexpr uint64_t kSize = 512;
  constexpr uint64_t kWords = kSize / sizeof(uint64_t);
  struct Newest {
    uint64_t version;
    Ref ref;
  };
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> looked{0};
  std::atomic<uint64_t> refused{0};
  std::atomic<uint64_t> poisoned{0};
  // The version that stands for the root word: its ref is in a table, as readers find it through the root record.
  constexpr uint64_t kTable = 1 << 16;
  std::vector<std::atomic<Ref>> refs(kTable);
  std::atomic<uint64_t> root{100};
  const auto fill = [&](Ref ref, uint64_t number) {
    uint64_t size;
    auto* words = reinterpret_cast<Atomic64*>(mapping->Block(ref, &size));
    for (uint64_t i = 0; i < kWords; i++) words[i].store(number, std::memory_order_relaxed);
  };
  Worker writer(mapping);
  {
    Ref ref;
    REQUIRE(writer.allocator->Allocate(kSize, 100, &ref).ok());
    fill(ref, 100);
    refs[100 % kTable].store(ref);
  }
  std::vector<std::unique_ptr<Worker>> readers;
  for (int r = 0; r < 2; r++) readers.push_back(std::make_unique<Worker>(mapping));
  std::vector<std::thread> threads;
  for (auto& reader : readers)
    threads.emplace_back([&, slot = reader->slot.get()] {
      while (!stop.load()) {
        slot->Announce();
        const uint64_t version = root.load();
        const Ref ref = refs[version % kTable].load();
        const uint32_t cell = test::Pin(slot, version, PinKind::kSnapshot);
        slot->Clear();
        for (int i = 0; i < 1000 && !stop.load(); i++) {
          slot->AnnounceExactly(version);
          if (slot->Revoked(cell)) {
            slot->Clear();
            refused++;
            break;
          }
          uint64_t size;
          const auto* words = reinterpret_cast<const Atomic64*>(mapping->Block(ref, &size));
          for (uint64_t w = 0; w < kWords; w++)
            if (words[w].load(std::memory_order_relaxed) != version) poisoned++;
          slot->Clear();
          looked++;
        }
        slot->Unpin(cell);
      }
    });
  threads.emplace_back([&] {
    while (!stop.load()) {
      RevokeOldestSnapshots(mapping, 1);
      std::this_thread::yield();
    }
  });
  for (uint64_t n = 0; n < 60'000 || ((looked.load() < 20'000 || refused.load() < 100) && n < 60'000'000); n++) {
    const uint64_t version = root.load() + 1;
    Ref ref;
    if (!writer.allocator->Allocate(kSize, version, &ref).ok()) {
      CHECK(false);
      break;
    }
    fill(ref, version);
    const Ref old = refs[root.load() % kTable].load();
    refs[version % kTable].store(ref);
    root.store(version);
    header->version.store(version);
    writer.allocator->Retire(old, version);
    if (writer.allocator->WantsReclaim()) writer.allocator->Reclaim();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(poisoned.load(), 0u);
  CHECK(looked.load() > 0 && refused.load() > 0);
}

// -- the space limit --

std::string Value(int round, int key) { return std::to_string(round * 1000 + key) + std::string(2000, static_cast<char>('a' + round % 26)); }

constexpr int kRows = 200;

bool Fill(Session* session, int round) {
  for (int k = 0; k < kRows; k++)
    if (const Status set = SetText(session, "k" + std::to_string(k), Value(round, k)); !set.ok()) {
      std::fprintf(stderr, "round %d: %s\n", round, set.text());
      return false;
    }
  return true;
}

// OK with all the values of the round, or the failure; anything else fails the test.
Status Check(Session* session, uint64_t view, int round) {
  for (int k = 0; k < kRows; k++) {
    std::string text;
    PONGO_TRY(session->Get(view, kRootId, TextKey("k" + std::to_string(k)).key(),
                           [&](const ValueView& v) { text.assign(reinterpret_cast<const char*>(v.data), v.size); }));
    CHECK_EQ(text, Value(round, k));
  }
  return Status::Ok();
}

TEST(TheOldestSnapshotsMakeRoom) {
  const Folder folder;
  OpenOptions options = Quiet();
  options.max_size = 3 << 20;  // three or four rounds of values
  options.chunk_size = 1 << 20;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, options);
  auto other = OpenSession(path, options);
  REQUIRE(session != nullptr && other != nullptr);
  std::vector<uint64_t> views;
  constexpr int kRounds = 12;
  for (int round = 0; round < kRounds; round++) {
    REQUIRE(Fill(session.get(), round));
    uint64_t view = 0;
    REQUIRE((round % 2 == 0 ? session : other)->Snapshot(&view).ok());
    views.push_back(view);
  }
  int revoked = 0;
  bool earlier = true;
  for (int round = 0; round < kRounds; round++) {
    Session* owner = (round % 2 == 0 ? session : other).get();
    const Status seen = Check(owner, views[static_cast<size_t>(round)], round);
    if (seen.ok()) {
      earlier = false;
      continue;
    }
    CHECK_CODE(seen, SNAPSHOT);
    CHECK(std::strstr(seen.text(), "revoked") != nullptr);
    CHECK(earlier);  // the oldest first: none is revoked while an older one stands
    revoked++;
    uint64_t version = 0;
    CHECK(owner->Version(views[static_cast<size_t>(round)], &version).ok());
    CHECK_CODE(owner->Page(views[static_cast<size_t>(round)], kRootId, 0, 10, 1, [](const Key&, const ValueView&) { return true; }), SNAPSHOT);
  }
  CHECK(revoked >= kRounds / 2);
  CHECK(revoked < kRounds);  // the newest is there still
  for (size_t round = 0; round < views.size(); round++) CHECK((round % 2 == 0 ? session : other)->Release(views[round]).ok());
  VerifyClean(session.get());
}

// Explicit transactions get the room too; but a transaction's own base is nobody's to take.
TEST(TransactionsAreNotRevoked) {
  const Folder folder;
  OpenOptions options = Quiet();
  options.max_size = 3 << 19;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, options);
  auto other = OpenSession(path, options);
  REQUIRE(session != nullptr && other != nullptr);
  REQUIRE(Fill(session.get(), 1));
  uint64_t view = 0;
  REQUIRE(other->Snapshot(&view).ok());
  REQUIRE(Fill(session.get(), 2));
  REQUIRE(Fill(session.get(), 3));
  REQUIRE(session->Begin().ok());
  REQUIRE(Fill(session.get(), 4));  // revokes the snapshot
  bool committed = false;
  CHECK(session->Commit(&committed).ok());
  CHECK(committed);
  // An open transaction reads its base to the end, however much the others need.
  REQUIRE(other->Begin().ok());
  CHECK(Check(other.get(), 0, 4).ok());
  Status full;
  for (int round = 5; round < 12 && full.ok(); round++)
    for (int k = 0; k < kRows && full.ok(); k++) full = SetText(session.get(), "k" + std::to_string(k), Value(round, k));
  CHECK(Check(other.get(), 0, 4).ok());
  CHECK(other->Abort().ok());
  CHECK(full.ok() || full.code() == Code::kFULL);
  CHECK_CODE(Check(other.get(), view, 1), SNAPSHOT);
  VerifyClean(session.get());
}

// The holder is another process that reads all the while: it gets the right values or SNAPSHOT, never anything else.
TEST(AReaderThatIsRevokedInTheMiddle) {
  const Folder folder;
  OpenOptions options = Quiet();
  options.max_size = (1 << 20) + (128 << 10);  // not for three rounds: newest, durable, snapshot
  const std::string path = folder.File("db");
  auto session = OpenSession(path, options);
  REQUIRE(session != nullptr);
  REQUIRE(Fill(session.get(), 0));
  Pipe ready;
  const pid_t child = test::StartChild([&]() -> int {
    auto reader = OpenSession(path, options);
    if (reader == nullptr) return 1;
    int revoked = 0;
    char byte = 0;
    while (revoked < 20) {
      uint64_t view = 0;
      std::string round;
      if (!reader->Snapshot(&view).ok()) return 2;
      if (revoked == 0) ready.Send(byte);
      Status status;
      std::vector<std::string> first(kRows);
      for (int pass = 0; status.ok(); pass++)
        for (int k = 0; k < kRows && status.ok(); k++) {
          std::string text;
          status = reader->Get(view, kRootId, TextKey("k" + std::to_string(k)).key(),
                               [&](const ValueView& v) { text.assign(reinterpret_cast<const char*>(v.data), v.size); });
          if (!status.ok()) break;
          if (pass == 0) first[static_cast<size_t>(k)] = text;
          if (text.size() < 2000 || text != first[static_cast<size_t>(k)]) return 3;
        }
      if (status.code() != Code::kSNAPSHOT) return 4;
      if (!reader->Release(view).ok()) return 5;
      revoked++;
    }
    return 0;
  });
  ready.CloseWriter();
  char byte = 0;
  REQUIRE(ready.Receive(&byte));
  int status = -1;
  for (int round = 1; waitpid(child, &status, WNOHANG) == 0; round++)
    if (!Fill(session.get(), round)) {
      CHECK(false);
      break;
    }
  CHECK_EQ(status, 0);
  VerifyClean(session.get());
}

}  // namespace
}  // namespace pongo
