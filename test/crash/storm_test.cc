// A storm of kills: processes work on one file at once, each killed at a random step (any access to a shared word, any call, any
// allocation of memory, in opening, committing, checkpointing, adopting, closing), and replaced. What was acknowledged is there.

#include <sys/wait.h>

#include "child.h"
#include "test/crash/operations.h"

void* operator new(size_t size) {
  pongo::testing::Step("malloc");
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace pongo {
namespace {

using namespace pongo::test;

constexpr int kProcesses = 5;

OpenOptions StormOptions() {
  OpenOptions options;
  options.checkpoint_interval_ms = 20;
  options.chunk_size = 256u << 10;
  return options;
}

struct Member {
  pid_t pid = -1;
  std::unique_ptr<Pipe> acknowledged;
  uint64_t lives = 0;
  uint64_t acks = 0;
};

// Increments its own key, and tells each increment that has returned; other work of all kinds in between.
int Live(const std::string& path, const std::string& own, uint64_t seed, uint64_t kill_at, Pipe* acknowledged) {
  CountSteps(kill_at);
  std::mt19937_64 random(seed);
  for (;;) {
    auto session = OpenSession(path, StormOptions());
    if (session == nullptr) return 2;
    RandomOperations operations(session.get(), &random, {80, 300, 60'000});
    for (uint64_t i = 1 + random() % 300; i > 0; i--) {
      if (!session->Increment(kRootId, TextKey(own).key(), IntInput(1).view, [](const ValueView&) {}).ok()) return 3;
      acknowledged->Send('a');
      if (!operations.Next().ok()) return 4;
      if (random() % 40 == 0 && !session->Sync().ok()) return 5;
      Counts before, after;
      if (random() % 200 == 0 && !session->Gc(random() % 2 == 0, &before, &after).ok()) return 6;
    }
    if (!session->Close().ok()) return 7;
  }
}

TEST(KillStorm) {
  SkipSyncs(true);
  const Folder folder;
  const std::string path = folder.File("db");
  std::mt19937_64 random(Seed());
  {
    auto session = OpenSession(path, StormOptions());
    REQUIRE(session != nullptr);
    // So many other keys that no shift() of the storm reaches the counters, which sort last.
    for (int i = 0; i < 80; i++) CHECK_OK(SetText(session.get(), "key" + std::to_string(i), "x"));
  }
  Member members[kProcesses];
  const auto start = [&](int i) {
    Member& member = members[i];
    member.acknowledged = std::make_unique<Pipe>();
    const uint64_t seed = random();
    // Many die young: in opening, or adopting what the one before has left.
    const uint64_t kill_at = 1 + random() % (random() % 3 == 0 ? 3'000 : 300'000);
    member.pid = StartChild([&] { return Live(path, "~own" + std::to_string(i), seed, kill_at, member.acknowledged.get()); });
    member.acknowledged->CloseWriter();
    member.lives++;
  };
  for (int i = 0; i < kProcesses; i++) start(i);
  const uint64_t wanted = 200 * Scale();
  uint64_t kills = 0;
  // Each is waited for in turn while the others go on; its pipe holds more than it can acknowledge in a life.
  for (int i = 0; kills < wanted; i = (i + 1) % kProcesses) {
    Member& member = members[i];
    char byte;
    while (member.acknowledged->Receive(&byte)) member.acks++;
    const int status = AwaitChild(member.pid);
    CHECK(Killed(status));
    if (!Killed(status)) std::fprintf(stderr, "  status %d, SEED=%llu\n", status, static_cast<unsigned long long>(Seed()));
    kills++;
    if (kills + kProcesses <= wanted) {
      start(i);
    } else {
      member.acknowledged = std::make_unique<Pipe>();
      member.acknowledged->CloseWriter();
      member.pid = -1;
      bool any = false;
      for (const Member& other : members) any = any || other.pid >= 0;
      if (!any) break;
      while (members[(i + 1) % kProcesses].pid < 0) i = (i + 1) % kProcesses;
    }
  }
  auto session = OpenSession(path, StormOptions());
  REQUIRE(session != nullptr);
  for (int i = 0; i < kProcesses; i++) {
    const int64_t value = GetInt(session.get(), 0, kRootId, "~own" + std::to_string(i));
    const auto acks = static_cast<int64_t>(members[i].acks);
    // Each life may have committed one more than it could tell.
    CHECK(std::max<int64_t>(value, 0) >= acks && value <= acks + static_cast<int64_t>(members[i].lives));
  }
  Counts before, after;
  CHECK_OK(session->Gc(true, &before, &after));
  VerifyClean(session.get());
  std::printf("kills of the storm: %llu\n", static_cast<unsigned long long>(kills));
}

}  // namespace
}  // namespace pongo
