// Defects that were found once and need other processes: handles over fork(), and processes that end beside an idle one. The
// children are forks of the test; pipes tell them when.

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "child.h"
#include "model/database_file.h"
#include "regressions.h"
#include "store/thread_slot.h"

namespace pongo {
namespace {

using test::AwaitChild;
using test::Create;
using test::Folder;
using test::GetInt;
using test::IntInput;
using test::Killed;
using test::OpenSession;
using test::Pipe;
using test::Quiet;
using test::RunInChild;
using test::SetInt;
using test::SetText;
using test::StartChild;
using test::Stat;
using test::TextKey;
using test::VerifyClean;

// -- fork --

// Each call of an inherited handle, and how many of them did not say FORK.
int CallsThatWork(Session* session, uint64_t view) {
  const TextKey key("a");
  const auto ignore = [](const ValueView&) {};
  const Input input = IntInput(1);
  bool flag;
  uint64_t number;
  Kind kind;
  Counts before;
  Counts after;
  std::string problem;
  std::vector<uint8_t> wire;
  const Status statuses[] = {
      session->Get(0, kRootId, key.key(), ignore),
      session->Get(view, kRootId, key.key(), ignore),
      session->Set(kRootId, key.key(), input, 0),
      session->Set(kRootId, key.key(), input, kSetSync),
      session->Delete(kRootId, key.key(), &flag),
      session->Pop(kRootId, key.key(), ignore),
      session->Increment(kRootId, key.key(), input.view, ignore),
      session->CompareAndSet(kRootId, key.key(), nullptr, &input, &flag),
      Create(session, Kind::kDict, &number),
      session->GetKind(0, kRootId, &kind),
      session->Size(view, kRootId, &number),
      session->Clear(kRootId),
      session->Native(0, kRootId, &wire),
      session->Page(0, kRootId, 0, 1, 1, [](const Key&, const ValueView&) { return true; }),
      session->ListPush(kRootId, input, &number),
      session->Begin(),
      session->Commit(&flag),
      session->Abort(),
      session->Snapshot(&number),
      session->Release(view),
      session->Version(0, &number),
      session->Sync(),
      session->Verify(&before, &problem),
      session->Gc(true, &before, &after),
      session->SetChunkSize(1 << 20),
      session->SetIdKey("id"),
  };
  int worked = 0;
  for (const Status& status : statuses) worked += status.code() != Code::kFORK;
  return worked;
}

TEST(AnInheritedHandleSaysForkAndCanBeDropped) {
  const Folder folder;
  const std::string path = folder.File("db");
  for (const bool in_transaction : {false, true}) {
    auto session = OpenSession(path, Quiet());
    auto winner = OpenSession(path);
    REQUIRE(session != nullptr && winner != nullptr);
    REQUIRE(SetInt(session.get(), "a", 7).ok());
    uint64_t view;
    REQUIRE(session->Snapshot(&view).ok());
    if (in_transaction) {  // one that holds a ticket, after conflicts
      for (int i = 0; i < 7; i++) {
        REQUIRE(session->Begin().ok());
        REQUIRE(SetInt(session.get(), "a", 8).ok());
        REQUIRE(SetInt(winner.get(), "a", 7).ok());
        bool committed;
        REQUIRE(session->Commit(&committed).ok());
      }
      REQUIRE(session->Begin().ok());
      REQUIRE(SetInt(session.get(), "b", 1).ok());
    }
    for (const bool close : {false, true}) {
      const int status = RunInChild([&] {
        if (CallsThatWork(session.get(), view) != 0) return 1;
        session->SetDurability(Durability::kSync);
        if (session->uuid() == nullptr || session->chunk_size() != 0 || session->max_size() != 0) return 2;
        if (close && !session->Close().ok()) return 3;
        session.reset();
        winner.reset();
        // The file is open to the child like to any process.
        auto own = OpenSession(path);
        if (own == nullptr || GetInt(own.get(), 0, kRootId, "a") != 7) return 4;
        if (!SetInt(own.get(), "child", 1).ok() || !own->Sync().ok()) return 5;
        return 0;
      });
      CHECK_EQ(status, 0);
    }
    if (in_transaction) {
      bool committed;
      CHECK(SetInt(session.get(), "b", 2).ok());
      CHECK(session->Abort().ok());
      CHECK(session->Begin().ok());
      CHECK(SetInt(session.get(), "b", 3).ok());
      CHECK(session->Commit(&committed).ok());
      CHECK(committed);
    }
    CHECK_EQ(GetInt(session.get(), view, kRootId, "a"), 7);
    CHECK_EQ(GetInt(session.get(), 0, kRootId, "child"), 1);
    CHECK(session->Release(view).ok());
    winner.reset();
    VerifyClean(session.get());
    CHECK_EQ(Stat(session.get(), "threads"), 2.0);
  }
}

// The child has nothing where the parent had mapped the files, and may get that memory for its own purposes.
TEST(DroppingAnInheritedHandleLeavesTheChildsMemory) {
  const Folder folder;
  const std::string path = folder.File("db");
  std::string detail;
  auto opened = DatabaseFile::Open(path, Quiet(), &detail);
  REQUIRE(opened.ok());
  uint8_t* ranges[] = {opened.value()->mapping()->data(), reinterpret_cast<uint8_t*>(opened.value()->mapping()->header())};
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  opened.value().reset();
  REQUIRE(SetInt(session.get(), "a", 7).ok());
  constexpr size_t kBytes = 4 << 20;
  const int status = RunInChild([&] {
    for (uint8_t* range : ranges) {
      void* own = mmap(range, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
      if (own != range) return 1;
      std::memset(own, 7, kBytes);
    }
    session.reset();
    for (const uint8_t* range : ranges)
      for (size_t i = 0; i < kBytes; i++)
        if (range[i] != 7) return 2;
    return 0;
  });
  CHECK_EQ(status, 0);
  CHECK_EQ(GetInt(session.get(), 0, kRootId, "a"), 7);
  VerifyClean(session.get());
}

TEST(AnInheritedHandleAndANewOneInTheChild) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, Quiet());
  REQUIRE(session != nullptr);
  REQUIRE(SetInt(session.get(), "a", 7).ok());
  const int status = RunInChild([&] {
    auto own = OpenSession(path);
    if (own == nullptr || GetInt(own.get(), 0, kRootId, "a") != 7) return 1;
    session.reset();  // must not take the new mapping away
    if (GetInt(own.get(), 0, kRootId, "a") != 7 || !SetInt(own.get(), "a", 8).ok()) return 2;
    auto second = OpenSession(path);
    own.reset();
    if (second == nullptr || GetInt(second.get(), 0, kRootId, "a") != 8) return 3;
    return 0;
  });
  CHECK_EQ(status, 0);
  CHECK_EQ(GetInt(session.get(), 0, kRootId, "a"), 8);
  VerifyClean(session.get());
}

// A child that merely lives must not keep the locks of its dead parent.
TEST(AKilledParentsSlotIsAdoptedWhileItsChildLives) {
  const Folder folder;
  const std::string path = folder.File("db");
  for (const bool others : {true, false}) {
    std::unique_ptr<Session> session;
    if (others) {
      session = OpenSession(path, Quiet());
      REQUIRE(session != nullptr);
    }
    Pipe stay;   // the grandchild ends when this can be read no more
    Pipe ended;  // and nobody can write here any more
    Pipe alive;  // it has given up what it inherited
    const int status = RunInChild([&]() -> int {
      auto parent = OpenSession(path, others ? OpenOptions{} : Quiet());
      uint64_t view;
      if (parent == nullptr || !SetInt(parent.get(), "a", 7).ok() || !parent->Snapshot(&view).ok()) return 1;
      if (!parent->Begin().ok() || !SetInt(parent.get(), "b", 1).ok()) return 2;
      StartChild([&] {
        char byte = 'a';
        stay.CloseWriter();
        alive.Send(byte);
        stay.Receive(&byte);
        return 0;
      });
      char byte;
      if (!alive.Receive(&byte)) return 3;
      return raise(SIGKILL);
    });
    CHECK(Killed(status));
    stay.CloseReader();
    ended.CloseWriter();
    if (!others) session = OpenSession(path, Quiet());
    REQUIRE(session != nullptr);
    Counts before;
    Counts after;
    CHECK(session->Gc(true, &before, &after).ok());
    CHECK_EQ(Stat(session.get(), "threads"), 2.0);
    CHECK_EQ(Stat(session.get(), "pins"), 1.0);  // the durable version
    CHECK_EQ(GetInt(session.get(), 0, kRootId, "a"), 7);
    VerifyClean(session.get());
    stay.CloseWriter();
    char byte;
    CHECK(!ended.Receive(&byte));
  }
}

// Not under the address sanitizer: the child of a fork beside threads that allocate may inherit a locked mutex of the sanitizer's own
// allocator (glibc unlocks its own at a fork). Seen so with gcc 12: the threads that the child starts wait for ever in
// __sanitizer::SizeClassAllocator64::GetFromAllocator, before their first instruction of ours, and the child in joining them.
#ifndef __SANITIZE_ADDRESS__
TEST(ForkingWhileThreadsOpenAndClose) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, Quiet());
  REQUIRE(session != nullptr);
  for (const char* name : {"other0", "other1"}) REQUIRE(OpenSession(folder.File(name), Quiet()) != nullptr);
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; t++)
    threads.emplace_back([&, t] {
      const std::string other = folder.File(t == 0 ? "other0" : "other1");
      while (!stop.load()) {
        std::string detail;
        if (!Session::Open(other, OpenOptions{}, &detail).ok()) failures++;
      }
    });
  for (int i = 0; i < 30; i++) {
    const int status = RunInChild([&] {
      for (const char* name : {"db", "other0", "other1"}) {
        auto own = OpenSession(folder.File(name));
        if (own == nullptr || !SetInt(own.get(), "b", 1).ok()) return 1;
      }
      session.reset();
      return 0;
    });
    CHECK_EQ(status, 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(failures.load(), 0);
  VerifyClean(session.get());
}
#endif

// -- processes that grow the file, and die --

constexpr int kLargeValues = 40;  // of 1 MiB each: more than two regions of the file

int GrowTheFile(const std::string& path, bool die) {
  auto session = OpenSession(path);
  if (session == nullptr) return 1;
  for (int i = 0; i < kLargeValues; i++) {
    if (!SetText(session.get(), "large" + std::to_string(i), std::string(1 << 20, 'x')).ok()) return 2;
    // Blocks of all classes in all regions, so that caches are full of them.
    for (size_t k = 0; k < 40; k++)
      if (!SetText(session.get(), "k" + std::to_string(k), std::string(300 + k * 700, 'y')).ok()) return 3;
  }
  return die ? raise(SIGKILL) : 0;
}

TEST(AnIdleSessionClosesAfterAPeerGrewTheFile) {
  const Folder folder;
  const std::string path = folder.File("db");
  const int status = RunInChild([&] {
    auto idle = OpenSession(path, Quiet());
    if (idle == nullptr || !SetInt(idle.get(), "a", 1).ok()) return 11;
    if (RunInChild([&] { return GrowTheFile(path, false); }) != 0) return 12;
    return idle->Close().ok() ? 0 : 13;
  });
  CHECK_EQ(status, 0);
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  VerifyClean(session.get());
}

TEST(AnIdleProcessReapsAPeerThatGrewTheFile) {
  const Folder folder;
  const std::string path = folder.File("db");
  const int status = RunInChild([&] {
    std::string detail;
    const auto file = DatabaseFile::Open(path, Quiet(), &detail);
    if (!file.ok()) return 11;
    ThreadSlot slot(file.value()->mapping());
    if (!slot.Claim().ok()) return 12;
    if (!Killed(RunInChild([&] { return GrowTheFile(path, true); }))) return 13;
    const uint32_t reaped = ReapDeadSlots(&slot);
    slot.Release();
    auto session = OpenSession(path);
    if (session == nullptr) return 14;
    VerifyClean(session.get());
    Counts before;
    Counts after;
    if (!session->Gc(true, &before, &after).ok()) return 15;
    if (Stat(session.get(), "threads") != 2.0) return 16;
    if (test::Failures() > 0) return 17;
    return reaped == 2 ? 0 : 18;  // the session, and the background thread
  });
  CHECK_EQ(status, 0);
}

// Killed between taking the bit of a slab with free blocks and taking a block: the slab is far beyond what this process has
// mapped, and nothing else of the dead slot makes it look there.
TEST(AnIdleProcessAdoptsASlotThatHeldAFarSlab) {
  const Folder folder;
  const std::string path = folder.File("db");
  Pipe opened;
  Pipe released;
  const int status = RunInChild([&] {
    std::string detail;
    const auto file = DatabaseFile::Open(path, Quiet(), &detail);
    if (!file.ok()) return 11;
    ThreadSlot slot(file.value()->mapping());
    ThreadSlot place(file.value()->mapping());  // a place before the peer's background thread: adopted first
    if (!slot.Claim().ok() || !place.Claim().ok()) return 12;
    const uint32_t index = place.index();
    const pid_t peer = StartChild([&]() -> int {
      const auto own = DatabaseFile::Open(path, Quiet(), &detail);
      if (!own.ok()) return 1;
      char byte = 'o';
      opened.Send(byte);
      if (!released.Receive(&byte)) return 2;
      ThreadSlot held(own.value()->mapping());
      if (!held.Claim().ok() || held.index() != index || GrowTheFile(path, false) != 0) return 3;
      held.area()->holding = own.value()->mapping()->MapPublished() / kSlabSize;  // the last slab, + 1
      return raise(SIGKILL);
    });
    opened.CloseWriter();
    char byte = 'r';
    if (!opened.Receive(&byte)) return 13;
    place.Release();
    released.Send(byte);
    if (!Killed(AwaitChild(peer))) return 14;
    const uint32_t reaped = ReapDeadSlots(&slot);
    slot.Release();
    return reaped == 2 ? 0 : 15;
  });
  CHECK_EQ(status, 0);
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  VerifyClean(session.get());
}

// Thousands of slabs become reclaimable at once, none of the size that is wanted: the search must not give up. The child
// does not close the file, whose contents need not reach the disk.
TEST(ALargeBacklogOfOtherSizesIsNoFullDatabase) {
  const Folder folder;
  const int status = RunInChild([&] {
    OpenOptions options = Quiet();
    options.chunk_size = 64 << 20;
    options.durability = Durability::kNone;
    auto session = OpenSession(folder.File("db"), options);
    if (session == nullptr) return 1;
    // Each large value has a slab of its own, kept by the snapshot when it is overwritten.
    constexpr int kSpans = 8400;
    constexpr int kBatch = 600;
    const std::string value(33000, 'x');
    uint64_t view = 0;
    for (const bool large : {true, false}) {
      for (int i = 0; i < kSpans; i += kBatch) {
        bool committed = false;
        if (!session->Begin().ok()) return 2;
        for (int k = i; k < i + kBatch; k++) {
          const std::string key = "k" + std::to_string(k);
          if (!(large ? SetText(session.get(), key, value) : SetInt(session.get(), key, 1)).ok()) return 3;
        }
        if (!session->Commit(&committed).ok() || !committed) return 4;
      }
      if (large && !session->Snapshot(&view).ok()) return 5;
    }
    if (!session->Release(view).ok()) return 6;
    auto other = OpenSession(folder.File("db"));
    if (other == nullptr) return 7;
    const Status status = SetText(other.get(), "z", std::string(6000, 'y'));
    if (!status.ok()) std::fprintf(stderr, "set: %s\n", status.text());
    return status.ok() ? 0 : 8;
  });
  CHECK_EQ(status, 0);
}

}  // namespace
}  // namespace pongo
