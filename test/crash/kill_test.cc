// SIGKILL at every step. A child performs one public operation, opens, recovers or closes, and is killed at its Nth step: each
// access to a shared word, each call to the operating system, each allocation of memory, each PONGO_POINT. Then: all or nothing of the operation is there,
// what was acknowledged is there, a complete gc finds everything again, and a crash of the machine after the next clean close
// finds the same content. Every second time a peer has the database open meanwhile.
//
// CI takes some steps of each operation and life, differently each time (SEED); PONGO_SCALE=100 takes all of them.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "child.h"
#include "model/database_file.h"
#include "test/crash/public_operations.h"

// Allocations are steps too: one that fails ends the process, for the engine is built without exceptions.
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

uint64_t boot = 1;
uint64_t kills = 0;

void Expect(bool condition, const std::string& where, const std::string& what) {
  if (!condition) Fail(__FILE__, __LINE__, where + ": " + what);
}

// Everything that a dead process held comes back: nothing cached, retired or orphaned is left once nobody needs it.
void CheckConservation(const std::string& where, Session* session) {
  Counts before, after;
  CHECK_OK(session->Sync());
  CHECK_OK(session->Gc(true, &before, &after));
  CHECK_OK(session->Sync());  // lets go of what only the older durable version needed
  CHECK_OK(session->Gc(true, &before, &after));
  Counts counts;
  std::string problem;
  const Status verified = session->Verify(&counts, &problem);
  Expect(verified.ok(), where, std::string("verify: ") + verified.text() + " " + problem);
  Expect(counts.orphans == 0, where, std::to_string(counts.orphans) + " orphans");
  Expect(counts.retired == 0, where, std::to_string(counts.retired) + " blocks stay retired");
}

// The content after a crash of the machine that follows a clean close.
void CheckAfterReboot(const std::string& where, const std::string& path, uint64_t fingerprint) {
  SetBootId(++boot);
  auto session = OpenSession(path, QuietOptions());
  Expect(session != nullptr, where, "cannot be opened after a reboot");
  if (session == nullptr) return;
  Expect(Fingerprint(session.get()) == fingerprint, where, "another content after a reboot");
  VerifyClean(session.get());
}

// Runs body in a child with its steps counted from *start on (the child calls it); kills at step `at`. True when it was killed.
template <class F>
bool KilledIn(const std::string& where, uint64_t at, uint64_t* steps, F&& body) {
  Pipe pipe;
  const int status = RunInChild([&] {
    const int result = body([&] { CountSteps(at); });
    pipe.Send(StepsCounted());
    return result;
  });
  pipe.CloseWriter();
  if (Killed(status)) {
    kills++;
    return true;
  }
  Expect(status == 0, where, "the child failed with status " + std::to_string(status));
  uint64_t counted = 0;
  if (pipe.Receive(&counted) && steps != nullptr) *steps = counted;
  return false;
}

// The steps at which to kill: all with a large scale, else the first `always` ones and a sample of the others, of which the last
// are the most interesting.
std::vector<uint64_t> Sample(uint64_t steps, uint64_t wanted, uint64_t always = 0) {
  std::vector<uint64_t> sample;
  const bool all = steps <= wanted * Scale();
  for (uint64_t step = 1; step <= (all ? steps : std::min(steps, always)); step++) sample.push_back(step);
  if (all) return sample;
  for (uint64_t i = 0; i < wanted * Scale(); i++) {
    const uint64_t back = i % 2 == 0 ? RandomBelow(steps) : RandomBelow(std::min<uint64_t>(steps, 60));
    sample.push_back(steps - back);
  }
  return sample;
}

// Slabs in which a block is free and that nobody will find it in.
uint64_t UnmarkedSlabs(const std::string& path) {
  std::string detail;
  auto file = DatabaseFile::Open(path, QuietOptions(), &detail);
  if (!file.ok()) std::abort();
  Mapping* mapping = file.value()->mapping();
  uint64_t unmarked = 0;
  for (uint64_t slab = 1; slab < mapping->mapped_length() / kSlabSize; slab++) {
    const uint64_t use = mapping->slab_state(slab)->load();
    if (SlabUseOf(use) != SlabUse::kSmall) continue;
    bool free = false;
    for (uint32_t i = 0; i < BlocksPerSlab(static_cast<uint32_t>(SlabDetail(use))); i++)
      free = free || mapping->block_states(slab)[i].load() == 0;
    const uint64_t region = slab / kSlabsPerRegion;
    const uint64_t bits = mapping->segment(region)->free_blocks[SlabDetail(use)][slab % kSlabsPerRegion / 64].load();
    const uint64_t regions = mapping->summaries()->free_blocks[SlabDetail(use)].words[region / 64].load();
    if (free && ((bits >> slab % 64) & (regions >> region % 64) & 1) == 0) unmarked++;
  }
  return unmarked;
}

struct Fixture {
  Fixture() {
    SkipSyncs(true);
    SetBootId(++boot);
    MakeTemplate(folder.File("template"));
    path = folder.File("db");
  }
  ~Fixture() { SetBootId(0); }
  // A fresh copy, opened once and closed, so that its control file is believed. Its content.
  uint64_t Reset() {
    CopyTemplate(folder.File("template"), path);
    auto session = OpenSession(path, QuietOptions());
    if (session == nullptr) std::abort();
    return Fingerprint(session.get());
  }
  Folder folder;
  std::string path;
};

void KillOperation(Fixture* fixture, const PublicOperation& operation, uint64_t at, uint64_t before, uint64_t after, bool with_peer) {
  const std::string where = std::string(operation.name) + ", killed at step " + std::to_string(at) + (with_peer ? " beside a peer" : "");
  fixture->Reset();
  std::unique_ptr<Session> peer;
  if (with_peer) peer = OpenSession(fixture->path, QuietOptions());
  const bool killed = KilledIn(where, at, nullptr, [&](auto&& start) {
    auto session = OpenSession(fixture->path, QuietOptions());
    if (session == nullptr) return 1;
    start();
    return operation.run(session.get()).ok() ? 0 : 2;
  });
  if (peer == nullptr) peer = OpenSession(fixture->path, QuietOptions());
  Expect(peer != nullptr, where, "cannot be opened");
  if (peer == nullptr) return;
  const uint64_t now = Fingerprint(peer.get());
  Expect(now == after || (killed && now == before), where, killed ? "half done" : "not done");
  Counts counts;
  std::string problem;
  const Status verified = peer->Verify(&counts, &problem);  // orphans are allowed
  Expect(verified.ok(), where, std::string("verify: ") + verified.text() + " " + problem);
  if (at % 3 == 0) {
    // No further commit: the close must make durable what the dead committed, whether or not it raised V.
    CHECK_OK(peer->Close());
    peer.reset();
    CheckAfterReboot(where, fixture->path, now);
    return;
  }
  // What the dead had retired is found without a mark, once nobody else keeps something privately.
  CHECK_OK(SetText(peer.get(), "number", "goes on"));
  CHECK_OK(peer->Sync());
  auto next = OpenSession(fixture->path, QuietOptions());
  REQUIRE(next != nullptr);
  CHECK_OK(peer->Close());
  peer = std::move(next);
  Counts quick, freed;
  CHECK_OK(peer->Gc(false, &quick, &freed));
  Expect(freed.retired == 0, where, std::to_string(freed.retired) + " blocks stay retired after a quick gc");
  CheckConservation(where, peer.get());
  const uint64_t last = Fingerprint(peer.get());
  CHECK_OK(peer->Close());
  peer.reset();
  CheckAfterReboot(where, fixture->path, last);
}

TEST(KilledAtEachStepOfAnOperation) {
  Fixture fixture;
  for (const PublicOperation& operation : PublicOperations()) {
    const uint64_t before = fixture.Reset();
    uint64_t steps = 0;
    uint64_t after = 0;
    REQUIRE(!KilledIn(operation.name, 0, &steps, [&](auto&& start) {
      auto session = OpenSession(fixture.path, QuietOptions());
      if (session == nullptr) return 1;
      start();
      return operation.run(session.get()).ok() ? 0 : 2;
    }));
    {
      auto session = OpenSession(fixture.path, QuietOptions());
      REQUIRE(session != nullptr);
      after = Fingerprint(session.get());
    }
    for (const uint64_t at : Sample(steps, operation.writes ? 24 : 8))
      KillOperation(&fixture, operation, at, before, after, at % 2 == 0);
  }
  std::printf("kills at steps of operations: %llu\n", static_cast<unsigned long long>(kills));
}

// A small commit, killed at each of its steps in every run, beside a peer whose quick gc() then finds each block that was retired.
// The peer has looked at all slabs before, and writes nothing: no mark of a slab but those that the dead has set leads there.
TEST(KilledAtEachStepOfASmallCommit) {
  Fixture fixture;
  const auto set = [](Session* s) { return SetText(s, "key7", "changed"); };
  const uint64_t before = fixture.Reset();
  uint64_t after = before;
  uint64_t steps = 0;
  kills = 0;
  for (uint64_t at = 0; at <= steps; at++) {  // 0 counts them
    const std::string where = "small commit, killed at step " + std::to_string(at);
    fixture.Reset();
    auto peer = OpenSession(fixture.path, QuietOptions());
    REQUIRE(peer != nullptr);
    Counts first, last;
    CHECK_OK(peer->Sync());
    CHECK_OK(peer->Gc(false, &first, &last));
    Pipe counted;
    const int status = RunInChild([&] {
      auto session = OpenSession(fixture.path, QuietOptions());
      if (session == nullptr) return 1;
      CountSteps(at);
      if (!set(session.get()).ok()) return 2;
      counted.Send(StepsCounted());
      return 0;
    });
    if (at == 0) {
      REQUIRE(status == 0 && counted.Receive(&steps));
      after = Fingerprint(peer.get());
      continue;
    }
    Expect(Killed(status), where, "was not killed");
    kills++;
    const uint64_t now = Fingerprint(peer.get());
    Expect(now == before || now == after, where, "half done");
    CHECK_OK(peer->Sync());
    CHECK_OK(peer->Gc(false, &first, &last));
    Expect(last.retired == 0, where, std::to_string(last.retired) + " blocks stay retired after a quick gc");
  }
  std::printf("kills at steps of a small commit: %llu\n", static_cast<unsigned long long>(kills));
}

// A commit is there once its root is, although its owner died before V was raised: the close that follows makes it durable.
TEST(KilledBetweenTheRootAndTheVersion) {
  Fixture fixture;
  for (const PublicOperation& operation : KeyedOperations()) {
    if (!operation.writes) continue;
    const uint64_t before = fixture.Reset();
    const int status = RunInChild([&] {
      auto session = OpenSession(fixture.path, QuietOptions());
      if (session == nullptr) return 1;
      KillAtPoint("commit.published", 1);
      return operation.run(session.get()).ok() ? 0 : 2;
    });
    Expect(Killed(status), operation.name, "was not killed");
    auto session = OpenSession(fixture.path, QuietOptions());
    REQUIRE(session != nullptr);
    const uint64_t now = Fingerprint(session.get());
    Expect(now != before, operation.name, "the commit is not there");
    CHECK_OK(session->Close());
    session.reset();
    CheckAfterReboot(operation.name, fixture.path, now);
  }
}

// Two processes share checkpoints, and one is killed while it leads: the other one goes on, and all that was acknowledged is there.
TEST(KilledWhileOthersWaitForItsCheckpoint) {
  Fixture fixture;
  OpenOptions options = QuietOptions();
  options.durability = Durability::kSync;
  for (const char* point : {"checkpoint.pinned", "checkpoint.synced", "pwritev2.sync", "checkpoint.durable", "checkpoint.unlocked"}) {
    fixture.Reset();
    Pipe acknowledged;
    // Commits until there is a key "stop"; tells of its first commit, and how many there were.
    const pid_t waiter = StartChild([&] {
      auto session = OpenSession(fixture.path, options);
      if (session == nullptr) return 1;
      std::string stop;
      int count = 0;
      while (!GetText(session.get(), 0, kRootId, "stop", &stop)) {
        if (!SetText(session.get(), "waiter", std::to_string(++count)).ok()) return 2;
        if (count == 1) acknowledged.Send(count);
      }
      acknowledged.Send(count);
      return 0;
    });
    acknowledged.CloseWriter();
    int count = 0;
    REQUIRE(acknowledged.Receive(&count));
    const int status = RunInChild([&] {
      auto session = OpenSession(fixture.path, options);
      if (session == nullptr) return 1;
      KillAtPoint(point, 10);
      while (SetText(session.get(), "leader", "goes on").ok()) continue;
      return 2;
    });
    Expect(Killed(status), point, "was not killed");
    auto session = OpenSession(fixture.path, options);
    REQUIRE(session != nullptr);
    CHECK_OK(SetText(session.get(), "stop", "now"));
    Expect(AwaitChild(waiter) == 0, point, "the one who waits does not go on");
    REQUIRE(acknowledged.Receive(&count));
    std::string text;
    const bool there = GetText(session.get(), 0, kRootId, "waiter", &text) && text == std::to_string(count);
    Expect(there, point, "of " + std::to_string(count) + " acknowledged commits the last one is \"" + text + "\"");
    VerifyClean(session.get());
  }
}

// Killed when it passes a point for the nth time, beside a peer; all that the dead had freed or retired is found without a complete
// gc(). False when the point was passed less often.
bool KilledAtAMark(Fixture* fixture, const char* point, uint64_t nth) {
  const std::string where = std::string("killed at ") + point + ", number " + std::to_string(nth);
  fixture->Reset();
  auto peer = OpenSession(fixture->path, QuietOptions());
  if (peer == nullptr) std::abort();
  const int status = RunInChild([&] {
    auto session = OpenSession(fixture->path, QuietOptions());
    if (session == nullptr) return 1;
    KillAtPoint(point, nth);
    Counts before, after;
    // So many retired blocks that most of them are nobody's own.
    for (int i = 0; i < 200; i++)
      if (!SetText(session.get(), "key" + std::to_string(i % 60), std::string(static_cast<size_t>(i % 90), 's')).ok()) return 2;
    return session->Gc(false, &before, &after).ok() ? 0 : 3;
  });
  const bool killed = Killed(status);
  Expect(killed || status == 0, where, "the child failed with status " + std::to_string(status));
  CHECK_OK(SetText(peer.get(), "number", "goes on"));
  CHECK_OK(peer->Sync());
  Counts before, after;
  CHECK_OK(peer->Gc(false, &before, &after));
  CHECK_OK(SetText(peer.get(), "number", "goes on again"));
  CHECK_OK(peer->Sync());
  peer.reset();
  auto last = OpenSession(fixture->path, QuietOptions());
  if (last == nullptr) std::abort();
  CHECK_OK(last->Gc(false, &before, &after));
  Expect(after.retired == 0, where, std::to_string(after.retired) + " blocks stay retired after a quick gc");
  Expect(UnmarkedSlabs(fixture->path) == 0, where, "a slab with free blocks has no mark");
  return killed;
}

// A thread that looks at a slab has taken its mark, or that of a region: the adopter sets it again.
TEST(KilledWithTheMarkOfASlab) {
  Fixture fixture;
  for (const char* point : {"slab.taken", "region.cleared"}) {
    uint64_t nth = 1;
    while (KilledAtAMark(&fixture, point, nth)) nth++;
    CHECK(nth > 3);
  }
}

// A whole life: open or recover or create, one commit, close.
enum class Condition { kNew, kClosed, kCrashed, kPeer, kCount };
constexpr const char* kConditionNames[] = {"life in a new file", "life after a close", "life after a crash", "life beside a peer"};

int Live(const std::string& path) {
  auto session = OpenSession(path, QuietOptions());
  if (session == nullptr) return 1;
  if (!SetText(session.get(), "life", "was lived").ok()) return 2;
  return session->Close().ok() ? 0 : 3;
}

void KillLife(Fixture* fixture, Condition condition, uint64_t at, uint64_t* steps) {
  const std::string where = std::string(kConditionNames[static_cast<int>(condition)]) + ", killed at step " + std::to_string(at);
  uint64_t before = fixture->Reset();
  if (condition == Condition::kNew) {
    unlink(fixture->path.c_str());
    unlink((fixture->path + "-lock").c_str());
  }
  if (condition == Condition::kCrashed) SetBootId(++boot);
  std::unique_ptr<Session> peer;
  if (condition == Condition::kPeer) peer = OpenSession(fixture->path, QuietOptions());
  const bool killed = KilledIn(where, at, steps, [&](auto&& start) {
    start();
    return Live(fixture->path);
  });
  // In the same boot: a control file is believed only if it was finished.
  if (peer == nullptr) peer = OpenSession(fixture->path, QuietOptions());
  Expect(peer != nullptr, where, "cannot be opened");
  if (peer == nullptr) return;
  std::string text;
  const bool lived = GetText(peer.get(), 0, kRootId, "life", &text);
  Expect(lived || killed, where, "the commit is lost");
  if (lived) {
    bool present;
    CHECK_OK(peer->Delete(kRootId, TextKey("life").key(), &present));
  }
  const uint64_t now = Fingerprint(peer.get());
  Expect(condition == Condition::kNew || now == before, where, "another content");
  CheckConservation(where, peer.get());
  CHECK_OK(peer->Close());
  peer.reset();
  CheckAfterReboot(where, fixture->path, now);
}

TEST(KilledAtEachStepOfALife) {
  Fixture fixture;
  kills = 0;
  for (int i = 0; i < static_cast<int>(Condition::kCount); i++) {
    const auto condition = static_cast<Condition>(i);
    uint64_t steps = 0;
    KillLife(&fixture, condition, 0, &steps);
    // The first steps decide whether the control file is believed and when it becomes believable: each is taken in every run.
    for (const uint64_t at : Sample(steps, 120, 60)) KillLife(&fixture, condition, at, nullptr);
  }
  std::printf("kills at steps of lives: %llu\n", static_cast<unsigned long long>(kills));
}

// The last close gives free chunks at the end of the file back.
void KillShrink(Fixture* fixture, uint64_t at, uint64_t* steps, uint64_t* shrinks) {
  const std::string where = "shrinking, killed at step " + std::to_string(at);
  const uint64_t before = fixture->Reset();
  const uint64_t small = std::filesystem::file_size(fixture->path);
  const bool killed = KilledIn(where, at, steps, [&](auto&& start) {
    auto session = OpenSession(fixture->path, QuietOptions());
    bool present = false;
    if (session == nullptr || !SetText(session.get(), "cut off", std::string(4 << 20, 'x')).ok()) return 1;
    if (!session->Delete(kRootId, TextKey("cut off").key(), &present).ok() || !present) return 2;
    if (std::filesystem::file_size(fixture->path) <= small) return 3;
    start();
    return session->Close().ok() ? 0 : 4;
  });
  // Not always shorter: a block of the deletion may lie behind the large one, and keeps the chunks before it.
  if (!killed && std::filesystem::file_size(fixture->path) <= small) (*shrinks)++;
  auto session = OpenSession(fixture->path, QuietOptions());
  Expect(session != nullptr, where, "cannot be opened");
  if (session == nullptr) return;
  Expect(Fingerprint(session.get()) == before, where, "another content");
  // What is behind the end must be as good as new when the file grows again.
  CHECK_OK(SetText(session.get(), "cut off", std::string(4 << 20, 'y')));
  std::string text;
  Expect(GetText(session.get(), 0, kRootId, "cut off", &text) && text == std::string(4 << 20, 'y'), where, "another text");
  bool present = false;
  CHECK_OK(session->Delete(kRootId, TextKey("cut off").key(), &present));
  CheckConservation(where, session.get());
  CHECK_OK(session->Close());
  session.reset();
  CheckAfterReboot(where, fixture->path, before);
}

// The last close moves what lies at the end. *content: what the database holds then, found by the first run, which is not killed.
void KillMove(Fixture* fixture, uint64_t at, uint64_t* steps, uint64_t* content) {
  const std::string where = "moving the end, killed at step " + std::to_string(at);
  fixture->Reset();
  Pipe sizes;
  const bool killed = KilledIn(where, at, steps, [&](auto&& start) {
    auto session = OpenSession(fixture->path, QuietOptions());
    if (session == nullptr || !Scatter(session.get()).ok()) return 1;
    sizes.Send(std::filesystem::file_size(fixture->path));
    start();
    return session->Close().ok() ? 0 : 2;
  });
  sizes.CloseWriter();
  uint64_t scattered = 0;
  Expect(sizes.Receive(&scattered), where, "nothing was scattered");
  const uint64_t closed = std::filesystem::file_size(fixture->path);
  Expect(killed || closed <= scattered / 2, where, "the file stays " + std::to_string(closed) + " of " + std::to_string(scattered) + " bytes long");
  if (at % 3 == 1) {  // what was durable before the close must not have been written over
    CheckAfterReboot(where, fixture->path, *content);
    return;
  }
  auto session = OpenSession(fixture->path, QuietOptions());
  Expect(session != nullptr, where, "cannot be opened");
  if (session == nullptr) return;
  if (at == 0) *content = Fingerprint(session.get());
  Expect(Fingerprint(session.get()) == *content, where, "another content");
  if (at % 2 == 0) {  // else the next close moves what this one has not
    CHECK_OK(SetText(session.get(), "scattered996", "goes on"));
    CHECK_OK(SetText(session.get(), "scattered996", std::string(900, 's')));
    CheckConservation(where, session.get());
  }
  CHECK_OK(session->Close());
  session.reset();
  CheckAfterReboot(where, fixture->path, *content);
}

TEST(KilledWhileTheEndIsMoved) {
  Fixture fixture;
  kills = 0;
  uint64_t steps = 0;
  uint64_t content = 0;
  KillMove(&fixture, 0, &steps, &content);
  for (const uint64_t at : Sample(steps, 60)) KillMove(&fixture, at, nullptr, &content);
  std::printf("kills at steps of moving the end: %llu of %llu\n", static_cast<unsigned long long>(kills), static_cast<unsigned long long>(steps));
}

TEST(KilledAtEachStepOfShrinking) {
  Fixture fixture;
  kills = 0;
  uint64_t steps = 0;
  uint64_t shrinks = 0;
  for (int i = 0; i < 8 && shrinks == 0; i++) KillShrink(&fixture, 0, &steps, &shrinks);
  CHECK(shrinks > 0);
  for (const uint64_t at : Sample(steps, 60)) KillShrink(&fixture, at, nullptr, &shrinks);
  std::printf("kills at steps of shrinking: %llu\n", static_cast<unsigned long long>(kills));
}

}  // namespace
}  // namespace pongo
