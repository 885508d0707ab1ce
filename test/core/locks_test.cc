// Locks through sessions: threads of one process, several processes, and processes that are killed or stopped at any moment.

#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "child.h"
#include "support.h"

namespace pongo {
namespace {

using test::Folder;
using test::OpenSession;
using test::Pipe;
using test::StartChild;

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kFailSafe = 60'000 * kMillisecond;

LockWish Wish(LockKind kind, std::string_view name, LockMode mode = LockMode::kExclusive, uint32_t permits = 0) {
  LockWish wish;
  wish.kind = kind;
  wish.name = name;
  wish.mode = mode;
  wish.permits = permits;
  return wish;
}
const LockWish kMutex = Wish(LockKind::kMutex, "m");

uint64_t Take(Session* session, const LockWish& wish, uint64_t timeout = kFailSafe) {
  uint64_t id = 0;
  CHECK_OK(session->Acquire(wish, timeout, &id));
  return id;
}

bool TryTake(Session* session, LockWish wish, uint64_t* id) {
  wish.if_available = true;
  CHECK_OK(session->Acquire(wish, 0, id));
  return *id != 0;
}

// Collects what a listener is told.
struct Ear final : LockListener {
  void OnLock(uint64_t id, LockOutcome outcome) override {
    const std::lock_guard<std::mutex> lock(mutex);
    heard.emplace_back(id, outcome);
    changed.notify_all();
  }
  std::pair<uint64_t, LockOutcome> Next() {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [this] { return heard.size() > taken; });
    return heard[taken++];
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<uint64_t, LockOutcome>> heard;
  size_t taken = 0;
};

TEST(SessionsWaitAndAreTold) {
  Folder folder;
  auto a = OpenSession(folder.File("db")), b = OpenSession(folder.File("db"));
  Ear ear;
  uint64_t id, other;
  bool granted;
  const uint64_t held = Take(a.get(), kMutex);
  CHECK_OK(b->AcquireLater(kMutex, kFailSafe, &ear, false, &id, &granted));
  CHECK(!granted);
  CHECK_OK(b->AcquireLater(kMutex, 2 * kMillisecond, &ear, false, &other, &granted));
  CHECK(ear.Next() == std::pair(other, LockOutcome::kTimeout));
  CHECK_CODE(a->Acquire(kMutex, 2 * kMillisecond, &other), TIMEOUT);
  CHECK_OK(a->ReleaseLock(held));
  CHECK(ear.Next() == std::pair(id, LockOutcome::kGranted));
  CHECK(!TryTake(a.get(), kMutex, &other));
  CHECK_OK(b->ReleaseLock(id));
  CHECK_OK(b->ReleaseLock(id));
  CHECK(TryTake(a.get(), kMutex, &other));
  // Closing a session gives back what it holds, and ends what it waits for.
  CHECK_OK(b->AcquireLater(kMutex, kFailSafe, &ear, false, &id, &granted));
  CHECK_OK(b->Close());
  CHECK_CODE(b->Acquire(kMutex, 0, &id), CLOSED);
  CHECK_OK(a->ReleaseLock(other));
  CHECK(TryTake(a.get(), kMutex, &other));
  CHECK_EQ(ear.heard.size(), 2u);
  auto c = OpenSession(folder.File("db"));
  CHECK_OK(a->Close());
  CHECK(TryTake(c.get(), kMutex, &other));
}

// As when a thread is to end: its hooks say so, and it gives up its place.
TEST(AWaitEndsWhenItsHooksSaySo) {
  Folder folder;
  auto a = OpenSession(folder.File("db")), b = OpenSession(folder.File("db")), c = OpenSession(folder.File("db"));
  const uint64_t held = Take(a.get(), kMutex);
  std::atomic<int> asked{0};
  WaitHooks hooks;
  hooks.interrupted = [](void* context) { return static_cast<std::atomic<int>*>(context)->fetch_add(1) == 2; };
  hooks.context = &asked;
  b->SetWaitHooks(hooks);
  uint64_t id;
  CHECK_CODE(b->Acquire(kMutex, kFailSafe, &id), CLOSED);
  CHECK_EQ(asked.load(), 3);
  CHECK_OK(a->ReleaseLock(held));
  CHECK(TryTake(c.get(), kMutex, &id));
}

TEST(AStolenLockIsTold) {
  Folder folder;
  auto a = OpenSession(folder.File("db")), b = OpenSession(folder.File("db"));
  Ear ear;
  uint64_t first, second;
  bool granted;
  LockWish wish = Wish(LockKind::kNamed, "n");
  CHECK_OK(a->AcquireLater(wish, kFailSafe, &ear, true, &first, &granted));
  CHECK(granted);
  wish.steal = true;
  CHECK_OK(b->AcquireLater(wish, kFailSafe, &ear, true, &second, &granted));
  CHECK(granted);
  CHECK(ear.Next() == std::pair(first, LockOutcome::kLost));
  CHECK_OK(a->ReleaseLock(first));
  std::vector<LockReport> reports;
  CHECK_OK(a->QueryLocks(&reports));
  CHECK_EQ(reports.size(), 1u);
}

TEST(LocksNeedAHandleThatMayWriteAndNoTransaction) {
  Folder folder;
  auto a = OpenSession(folder.File("db"));
  uint64_t id;
  bool set;
  CHECK_OK(a->Begin());
  CHECK_CODE(a->Acquire(kMutex, 0, &id), ARG);
  CHECK_CODE(a->SetEvent("e", true), ARG);
  CHECK_OK(a->Abort());
  a.reset();
  OpenOptions options;
  options.read_only = true;
  auto reader = OpenSession(folder.File("db"), options);
  CHECK_CODE(reader->Acquire(kMutex, 0, &id), READONLY);
  CHECK_CODE(reader->SetEvent("e", true), READONLY);
  CHECK_CODE(reader->EventIsSet("e", &set), READONLY);
}

// The number is an ordinary one: the sanitizer for threads sees it if two are inside.
TEST(ThreadsExcludeEachOther) {
  Folder folder;
  const std::string path = folder.File("db");
  auto keep = OpenSession(path);
  int number = 0;
  std::atomic<int> inside{0}, inside_max{0}, failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++)
    threads.emplace_back([&, t] {
      auto session = OpenSession(path);
      Ear ear;
      for (int i = 0; i < 500; i++) {
        uint64_t id, permit;
        bool granted;
        if (t % 2 == 0) {
          if (!session->Acquire(kMutex, kFailSafe, &id).ok()) failures++;
        } else {
          if (!session->AcquireLater(kMutex, kFailSafe, &ear, false, &id, &granted).ok()) failures++;
          if (!granted && ear.Next() != std::pair(id, LockOutcome::kGranted)) failures++;
        }
        number++;
        if (!session->ReleaseLock(id).ok()) failures++;
        if (!session->Acquire(Wish(LockKind::kSemaphore, "s", LockMode::kExclusive, 2), kFailSafe, &permit).ok()) failures++;
        const int now = ++inside;
        int most = inside_max.load();
        while (now > most && !inside_max.compare_exchange_weak(most, now)) {
        }
        inside--;
        if (!session->ReleaseLock(permit).ok()) failures++;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(number, 2000);
  CHECK_EQ(failures.load(), 0);
  CHECK(inside_max.load() <= 2);
}

// -- processes --

constexpr size_t kMembers = 4;
constexpr size_t kIncarnations = 1 << 16;
constexpr size_t kLocks = 3;

// What the members see of each other, beside the database. A member is condemned before it is killed: what it said of itself
// counts no more from then on.
struct Board {
  std::atomic<uint32_t> mutex[kLocks];
  std::atomic<uint32_t> permit[kMembers];
  std::atomic<uint32_t> reader[kMembers];
  std::atomic<uint32_t> writer[kMembers];
  std::atomic<uint64_t> entries;
  std::atomic<uint32_t> violations;
  std::atomic<uint32_t> condemned[kIncarnations];

  bool Lives(uint32_t who) const { return who != 0 && condemned[who].load() == 0; }
  size_t Others(const std::atomic<uint32_t>* cells, size_t member) const {
    size_t count = 0;
    for (size_t i = 0; i < kMembers; i++) count += i != member && Lives(cells[i].load()) ? 1u : 0u;
    return count;
  }
  void Expect(bool condition) {
    if (!condition) violations++;
  }
};

Board* MakeBoard() {
  void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return new (memory) Board();
}

void Use(Session* session, Board* board, size_t member, uint32_t who, std::mt19937_64* random) {
  const uint64_t which = (*random)() % 6;
  uint64_t id;
  if (which < 3) {
    const std::string name = "lock " + std::to_string(which);
    if (!session->Acquire(Wish(LockKind::kMutex, name), kFailSafe, &id).ok()) return board->Expect(false);
    board->Expect(!board->Lives(board->mutex[which].exchange(who)));
    board->Expect(board->mutex[which].exchange(0) == who);
  } else if (which == 3) {
    if (!session->Acquire(Wish(LockKind::kSemaphore, "s", LockMode::kExclusive, 2), kFailSafe, &id).ok()) return board->Expect(false);
    board->permit[member].store(who);
    board->Expect(board->Others(board->permit, member) <= 1);
    board->permit[member].store(0);
  } else if (which == 4) {
    const bool write = (*random)() % 3 == 0;
    if (!session->Acquire(Wish(LockKind::kReadWrite, "rw", write ? LockMode::kExclusive : LockMode::kShared), kFailSafe, &id).ok())
      return board->Expect(false);
    (write ? board->writer : board->reader)[member].store(who);
    board->Expect(board->Others(board->writer, member) == 0 && (!write || board->Others(board->reader, member) == 0));
    (write ? board->writer : board->reader)[member].store(0);
  } else {  // gives up now and then, and sets an event for whoever waits
    const Status status = session->Acquire(Wish(LockKind::kEvent, "e"), (*random)() % 200'000, &id);
    board->Expect(status.ok() || status.code() == Code::kTIMEOUT);
    board->Expect(session->SetEvent("e", (*random)() % 2 == 0).ok());
  }
  board->Expect(session->ReleaseLock(id).ok());
  board->entries++;
}

pid_t StartMember(const std::string& path, Board* board, size_t member, uint32_t who) {
  return StartChild([=] {
    auto session = OpenSession(path);
    if (session == nullptr) return 2;
    std::mt19937_64 random(test::Seed() + who);
    for (;;) Use(session.get(), board, member, who, &random);
    return 0;
  });
}

TEST(NothingIsLeftOfThoseWhoAreKilled) {
  Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path);
  Board* board = MakeBoard();
  const char* text = std::getenv("PONGO_KILLS");
  const int kills = text == nullptr ? 200 : std::atoi(text);
  pid_t pids[kMembers];
  uint32_t who[kMembers];
  uint32_t next = 1;
  for (size_t i = 0; i < kMembers; i++) pids[i] = StartMember(path, board, i, who[i] = next++);
  for (int n = 0; n < kills; n++) {
    // Progress first: whoever was killed before holds nobody up.
    const uint64_t goal = board->entries.load() + 50;
    const uint64_t deadline = port::Nanoseconds() + kFailSafe;
    while (board->entries.load() < goal && port::Nanoseconds() < deadline) port::SleepNanoseconds(100'000);
    CHECK(board->entries.load() >= goal);
    port::SleepNanoseconds(test::RandomBelow(1'000'000));  // any moment
    const size_t victim = test::RandomBelow(kMembers);
    board->condemned[who[victim]].store(1);
    kill(pids[victim], SIGKILL);
    CHECK(test::Killed(test::AwaitChild(pids[victim])));
    pids[victim] = StartMember(path, board, victim, who[victim] = next++);
  }
  for (size_t i = 0; i < kMembers; i++) {
    kill(pids[i], SIGKILL);
    CHECK(test::Killed(test::AwaitChild(pids[i])));
  }
  CHECK_EQ(board->violations.load(), 0u);
  for (const char* name : {"lock 0", "lock 1", "lock 2"}) Take(session.get(), Wish(LockKind::kMutex, name));
  Take(session.get(), Wish(LockKind::kReadWrite, "rw"));
  for (int i = 0; i < 2; i++) Take(session.get(), Wish(LockKind::kSemaphore, "s", LockMode::kExclusive, 2));
  CHECK_OK(session->SetEvent("e", true));
  Take(session.get(), Wish(LockKind::kEvent, "e"));
  test::VerifyClean(session.get());
  munmap(board, sizeof(Board));
}

TEST(AStoppedProcessKeepsItsPlaceAndHoldsUpNobodyElse) {
  Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path);
  const uint64_t held = Take(session.get(), kMutex);
  Pipe queued, got;
  const pid_t child = StartChild([&] {
    auto own = OpenSession(path);
    LockWish wish = Wish(LockKind::kNamed, "here");
    Take(own.get(), wish);
    queued.Send(char{1});
    Take(own.get(), kMutex);
    got.Send(char{1});
    pause();
    return 0;
  });
  char byte;
  REQUIRE(queued.Receive(&byte));
  // It waits, or will wait in a moment: a second waiter can only be behind it once it is there, so ask until it is.
  uint64_t id;
  CHECK_OK(session->ReleaseLock(held));
  REQUIRE(got.Receive(&byte));
  kill(child, SIGSTOP);
  int status;
  REQUIRE(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
  CHECK_CODE(session->Acquire(kMutex, 100 * kMillisecond, &id), TIMEOUT);
  CHECK_OK(session->ReleaseLock(Take(session.get(), Wish(LockKind::kMutex, "other"))));
  std::vector<LockReport> reports;
  CHECK_OK(session->QueryLocks(&reports));
  CHECK_EQ(reports.size(), 1u);
  kill(child, SIGKILL);
  CHECK_OK(session->ReleaseLock(Take(session.get(), kMutex)));
  test::AwaitChild(child);
}

TEST(AForkedChildHasNothingOfItsParents) {
  Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path), other = OpenSession(path);
  const uint64_t held = Take(session.get(), kMutex);
  Ear ear;
  uint64_t waiting;
  bool granted;
  CHECK_OK(other->AcquireLater(kMutex, kFailSafe, &ear, false, &waiting, &granted));
  const int status = test::RunInChild([&] {
    uint64_t id;
    bool set;
    CHECK_CODE(session->Acquire(kMutex, 0, &id), FORK);
    CHECK_CODE(session->ReleaseLock(held), FORK);
    CHECK_CODE(session->EventIsSet("e", &set), FORK);
    CHECK_CODE(other->AcquireLater(kMutex, 0, &ear, false, &id, &granted), FORK);
    CHECK_OK(other->Close());
    CHECK_OK(session->Close());
    auto own = OpenSession(path);
    CHECK(!TryTake(own.get(), kMutex, &id));
    Take(own.get(), Wish(LockKind::kMutex, "own"));
    return test::Failures();
  });
  CHECK_EQ(status, 0);
  uint64_t id;
  CHECK(!TryTake(other.get(), kMutex, &id));
  CHECK(TryTake(other.get(), Wish(LockKind::kMutex, "own"), &id));
  CHECK_OK(session->ReleaseLock(held));
  CHECK(ear.Next() == std::pair(waiting, LockOutcome::kGranted));
}

}  // namespace
}  // namespace pongo
