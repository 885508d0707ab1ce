// Places in the process table: claimed, released, and adopted from threads and processes that died.

#include <signal.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "child.h"
#include "store/horizon.h"
#include "store/slab_map.h"
#include "store/turn.h"
#include "store_support.h"

namespace pongo {
namespace {

using test::Folder;
using test::TestFile;
using test::UseOf;
using test::Worker;

std::vector<uint64_t> Pins(Mapping* mapping) {
  Horizon horizon;
  horizon.Scan(*mapping);
  return horizon.pins();
}

bool IsClear(Mapping* mapping, uint32_t slot) {
  const SlotLine* line = mapping->slot_line(slot);
  const SlotArea* area = mapping->slot_area(slot);
  if (line->used.load() != 0 || line->announced.load() != 0 || line->pin_count.load() != 0) return false;
  if (area->retired_count != 0 || area->holding != 0) return false;
  for (const PinCell& cell : area->pins)
    if (cell.version.load() != 0) return false;
  for (const Magazine& magazine : area->magazines)
    if (magazine.count != 0) return false;
  return true;
}

// -- processes --

// The first test of the file: the children are forked before this process has opened a database or started a thread.
TEST(AKilledProcessIsReapedAndALiveOneIsNot) {
  const Folder folder;
  const std::string path = folder.File("db");
  test::Pipe pipes[2];
  const auto child = [&](test::Pipe* ready) -> int {
    const TestFile file(path);
    Worker worker(file.mapping());
    worker.slot->Announce();
    test::Pin(worker.slot.get(), 1, PinKind::kTransaction);
    Ref ref = kNullRef;
    if (!worker.allocator->Allocate(256, 2, &ref).ok()) return 1;
    worker.allocator->Discard(ref);
    const uint64_t told[2] = {worker.slot->index(), ref};
    ready->Send(told);
    for (;;) pause();
  };
  // The first one makes the file; the second joins it.
  uint64_t first[2];
  uint64_t second[2];
  const pid_t dying = test::StartChild([&] { return child(&pipes[0]); });
  pipes[0].CloseWriter();
  REQUIRE(pipes[0].Receive(&first));
  const pid_t living = test::StartChild([&] { return child(&pipes[1]); });
  pipes[1].CloseWriter();
  REQUIRE(pipes[1].Receive(&second));
  CHECK(first[0] != second[0]);
  {
    const TestFile file(path);
    Worker reaper(file.mapping());
    CHECK_EQ(ReapDeadSlots(reaper.slot.get()), 0u);
    CHECK_EQ(file.mapping()->slot_line(static_cast<uint32_t>(first[0]))->used.load(), 1u);
    kill(dying, SIGKILL);
    CHECK(test::Killed(test::AwaitChild(dying)));
    CHECK_EQ(ReapDeadSlots(reaper.slot.get()), 2u);  // its thread's and its background's
    CHECK(IsClear(file.mapping(), static_cast<uint32_t>(first[0])));
    CHECK_EQ(UseOf(file.mapping(), first[1]), BlockUse::kFree);
    const auto left = static_cast<uint32_t>(second[0]);
    CHECK_EQ(file.mapping()->slot_line(left)->announced.load(), 1u);
    CHECK_EQ(file.mapping()->slot_area(left)->pins[0].version.load(), 1u);
    CHECK_EQ(file.mapping()->block_state(second[1])->load(), CachedState(left));
    // Its process id stands for nothing: a slot with another one is neither more nor less alive.
    file.mapping()->slot_line(left)->process.store(static_cast<uint64_t>(dying));
    CHECK_EQ(ReapDeadSlots(reaper.slot.get()), 0u);
    kill(living, SIGKILL);
    CHECK(test::Killed(test::AwaitChild(living)));
    CHECK_EQ(ReapDeadSlots(reaper.slot.get()), 2u);
  }
}

// -- one process --

TEST(SlotsAreClaimedAndUsedAgain) {
  const TestFile file;
  // 0 is the background's.
  auto a = std::make_unique<Worker>(file.mapping());
  auto b = std::make_unique<Worker>(file.mapping());
  auto c = std::make_unique<Worker>(file.mapping());
  CHECK_EQ(a->slot->index(), 1u);
  CHECK_EQ(b->slot->index(), 2u);
  CHECK_EQ(c->slot->index(), 3u);
  CHECK_EQ(file.header()->slot_count.load(), 4u);
  CHECK_EQ(file.mapping()->slot_line(2)->used.load(), 1u);
  CHECK(b->slot->claimed());
  b.reset();
  CHECK(IsClear(file.mapping(), 2));
  CHECK_EQ(file.header()->slot_count.load(), 4u);  // it never falls: a scan may be under way
  b = std::make_unique<Worker>(file.mapping());
  CHECK_EQ(b->slot->index(), 2u);
}

TEST(ReleaseGivesEverythingBack) {
  const TestFile file;
  file.set_version(50);
  Ref cached;
  Ref retired;
  {
    Worker worker(file.mapping());
    worker.slot->Announce();
    test::Pin(worker.slot.get(), 50, PinKind::kSnapshot);
    test::Pin(worker.slot.get(), 40, PinKind::kTransaction);
    REQUIRE(worker.allocator->Allocate(100, 41, &cached).ok());
    REQUIRE(worker.allocator->Allocate(100, 41, &retired).ok());
    worker.allocator->Discard(cached);
    worker.allocator->Retire(retired, 50);
    CHECK_EQ(UseOf(file.mapping(), cached), BlockUse::kCached);
    CHECK_EQ(worker.slot->area()->retired_count, 1u);
  }
  CHECK(IsClear(file.mapping(), 1));
  CHECK(Pins(file.mapping()) == std::vector<uint64_t>{1});
  CHECK_EQ(UseOf(file.mapping(), cached), BlockUse::kFree);
  CHECK_EQ(UseOf(file.mapping(), retired), BlockUse::kRetired);
  Worker next(file.mapping());
  CHECK_EQ(next.allocator->Drain(~uint64_t{0}), 1u);  // the shared map knows it
  CHECK_EQ(UseOf(file.mapping(), retired), BlockUse::kFree);
}

TEST(PinsAreCounted) {
  const TestFile file;
  file.set_version(100);
  Worker worker(file.mapping());
  ThreadSlot* slot = worker.slot.get();
  const uint32_t a = test::Pin(slot, 30, PinKind::kSnapshot);
  CHECK_EQ(test::Pin(slot, 30, PinKind::kSnapshot), a);
  const uint32_t b = test::Pin(slot, 30, PinKind::kTransaction);
  CHECK(b != a);
  const uint32_t c = test::Pin(slot, 31, PinKind::kSnapshot);
  CHECK(c != a && c != b);
  const uint64_t epoch = file.header()->pin_epoch.load();
  slot->Unpin(a);
  slot->Unpin(b);
  CHECK((Pins(file.mapping()) == std::vector<uint64_t>{1, 30, 31}));
  CHECK_EQ(file.header()->pin_epoch.load(), epoch + 1);  // told only when a cell becomes free
  slot->Unpin(a);
  CHECK((Pins(file.mapping()) == std::vector<uint64_t>{1, 31}));
  CHECK_EQ(file.header()->pin_epoch.load(), epoch + 2);
  CHECK_EQ(test::Pin(slot, 32, PinKind::kSnapshot), a);  // the first free cell
}

TEST(APinNeedsACell) {
  const TestFile file;
  Worker worker(file.mapping());
  ThreadSlot* slot = worker.slot.get();
  for (uint32_t i = 0; i < kPinCells; i++) CHECK_EQ(test::Pin(slot, 1000 + i, PinKind::kSnapshot), i);
  CHECK_EQ(test::Pin(slot, 2000, PinKind::kSnapshot), kPinCells);
  CHECK_EQ(test::Pin(slot, 1100, PinKind::kSnapshot), 100u);  // one that is there can still be shared
  slot->Unpin(17);
  CHECK_EQ(test::Pin(slot, 2000, PinKind::kSnapshot), 17u);
  CHECK_EQ(Pins(file.mapping()).size(), 1u + kPinCells);
}

TEST(AThreadThatDiedIsAdopted) {
  const TestFile file;
  file.set_version(50);
  Worker dead(file.mapping());
  Worker alive(file.mapping());
  const uint32_t index = dead.slot->index();
  dead.slot->Announce();
  test::Pin(dead.slot.get(), 50, PinKind::kSnapshot);
  test::Pin(alive.slot.get(), 49, PinKind::kSnapshot);
  Ref cached;
  Ref retired;
  Ref orphan;
  for (Ref* ref : {&cached, &retired, &orphan}) REQUIRE(dead.allocator->Allocate(5000, 20, ref).ok());
  dead.allocator->Discard(cached);
  dead.allocator->Retire(retired, 30);
  alive.slot->AnnounceVersion(45);

  Worker reaper(file.mapping());
  CHECK_EQ(ReapDeadSlots(reaper.slot.get()), 0u);  // both still hold their bytes
  CHECK_EQ(dead.slot->announced(), 50u);
  dead.Die();
  CHECK_EQ(ReapDeadSlots(reaper.slot.get()), 1u);
  CHECK(IsClear(file.mapping(), index));
  CHECK_EQ(alive.slot->announced(), 45u);
  CHECK((Pins(file.mapping()) == std::vector<uint64_t>{1, 49}));
  CHECK_EQ(UseOf(file.mapping(), cached), BlockUse::kFree);
  CHECK_EQ(UseOf(file.mapping(), retired), BlockUse::kRetired);
  CHECK_EQ(UseOf(file.mapping(), orphan), BlockUse::kLive);  // for the sweep
  CHECK_EQ(reaper.allocator->Drain(~uint64_t{0}), 1u);
  CHECK_EQ(ReapDeadSlots(reaper.slot.get()), 0u);
  Worker next(file.mapping());
  CHECK_EQ(next.slot->index(), index);
}

TEST(AClaimAdoptsWhatItFinds) {
  const TestFile file;
  Worker dead(file.mapping());
  Ref ref;
  REQUIRE(dead.allocator->Allocate(64, 2, &ref).ok());
  dead.allocator->Discard(ref);
  test::Pin(dead.slot.get(), 7, PinKind::kSnapshot);
  dead.Die();
  Worker next(file.mapping());
  CHECK_EQ(next.slot->index(), 1u);
  CHECK(Pins(file.mapping()) == std::vector<uint64_t>{1});
  CHECK_EQ(UseOf(file.mapping(), ref), BlockUse::kFree);
  CHECK_EQ(next.slot->area()->magazines[0].count, 0u);
}

// An adopter may die too, at any step: whoever comes next starts again.
TEST(AdoptionTakesOnlyWhatIsStillThere) {
  const TestFile file;
  file.set_version(10);
  Worker dead(file.mapping());
  Worker other(file.mapping());
  const uint32_t index = dead.slot->index();
  Ref mine;
  Ref theirs;
  REQUIRE(dead.allocator->Allocate(64, 5, &mine).ok());
  REQUIRE(other.allocator->Allocate(64, 5, &theirs).ok());
  dead.allocator->Discard(mine);
  // As if an earlier adopter had freed entries of the magazine, and they had been taken since.
  Magazine& magazine = dead.slot->area()->magazines[0];
  magazine.items[magazine.count++] = theirs;
  REQUIRE(other.allocator->Allocate(64, 5, &theirs).ok());
  magazine.items[magazine.count++] = other.slot->area()->magazines[0].items[0];
  // And bytes that are no block at all.
  magazine.items[magazine.count++] = MakeRef(uint64_t{1} << 39, 3);
  magazine.items[magazine.count++] = theirs + 1;
  dead.slot->area()->magazines[5].count = 12'345;
  dead.slot->area()->retired_count = 777;
  const Ref cached = other.slot->area()->magazines[0].items[0];
  dead.Die();
  CHECK(AdoptSlot(file.mapping(), index));
  CHECK(AdoptSlot(file.mapping(), index));
  CHECK(IsClear(file.mapping(), index));
  CHECK_EQ(UseOf(file.mapping(), mine), BlockUse::kFree);
  CHECK_EQ(UseOf(file.mapping(), theirs), BlockUse::kLive);
  CHECK_EQ(file.mapping()->block_state(cached)->load(), CachedState(other.slot->index()));
}

TEST(ClaimedSlabsAndHalfSpansComeBack) {
  const TestFile file(4 << 20);
  Worker dead(file.mapping());
  const uint32_t index = dead.slot->index();
  SlabMap slabs(file.mapping());
  const uint64_t unassigned = test::Count(file.mapping()).unassigned;
  const uint64_t claimed = slabs.ClaimSlabs(3, index);
  const uint64_t span = slabs.ClaimSlabs(4, index);
  const uint64_t half = slabs.ClaimSlabs(5, index);
  REQUIRE(claimed != kNoSlab && span != kNoSlab && half != kNoSlab);
  // A span whose block was never handed out.
  file.mapping()->block_states(span)[0].store(CachedState(index));
  slabs.AssignSpan(span, 4);
  // Another that has given two of its tails back already.
  file.mapping()->block_states(half)[0].store(CachedState(index));
  slabs.AssignSpan(half, 5);
  slabs.Unassign(half + 3, 2);
  // A slab that it was harvesting.
  file.mapping()->block_states(claimed)[9].store(CachedState(index));
  CHECK_EQ(test::Count(file.mapping()).unassigned, unassigned - 10);
  dead.Die();
  Worker reaper(file.mapping());  // takes the dead one's place, and adopts it
  CHECK_EQ(reaper.slot->index(), index);
  const test::Tally tally = test::Count(file.mapping());
  CHECK_EQ(tally.unassigned, unassigned);
  CHECK_EQ(tally.claimed + tally.spans + tally.tails, 0u);
  for (const uint64_t slab : {claimed, span, half})
    for (uint32_t i = 0; i < kGranulesPerSlab; i++) CHECK_EQ(file.mapping()->block_states(slab)[i].load(), 0u);
}

TEST(TheHintThatADeadThreadHeldIsSetAgain) {
  const TestFile file;
  Worker dead(file.mapping());
  Ref ref;
  REQUIRE(dead.allocator->Allocate(64, 2, &ref).ok());
  SlabMap slabs(file.mapping());
  uint64_t holding = 0;
  const uint64_t slab = slabs.TakeSlabWithFreeBlocks(0, 0, &holding);
  REQUIRE(slab != kNoSlab);
  while (slabs.TakeSlabWithFreeBlocks(0, 0, &holding) != kNoSlab) {
  }
  dead.slot->area()->holding = slab + 1;
  // Its magazine is emptied, so that only the hint leads to the slab.
  for (Magazine& magazine : dead.slot->area()->magazines) magazine.count = 0;
  dead.Die();
  Worker reaper(file.mapping());
  CHECK_EQ(slabs.TakeSlabWithFreeBlocks(0, 0, &holding), slab);
}

// -- threads --

TEST(ThreadsNeverShareASlot) {
  const TestFile file;
  constexpr int kThreads = 6;
  std::atomic<int> owner[kThreads + 1] = {};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 1; t <= kThreads; t++)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 150; i++) {
        ThreadSlot slot(file.mapping());
        if (!slot.Claim().ok() || slot.index() > kThreads || owner[slot.index()].exchange(t) != 0) {
          wrong.fetch_add(1);
          return;
        }
        slot.Announce();
        test::Pin(&slot, 1, PinKind::kSnapshot);
        if (i % 5 == 0) ReapDeadSlots(&slot);
        if (slot.announced() != 1) wrong.fetch_add(1);
        owner[slot.index()].store(0);
        if (i % 3 != 0) slot.Release();  // else it dies
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
  Worker last(file.mapping());
  ReapDeadSlots(last.slot.get());
  for (uint32_t slot = 1; slot <= kThreads; slot++) CHECK(slot == last.slot->index() || IsClear(file.mapping(), slot));
}

TEST(AllSlotsCanBeTaken) {
  const TestFile file;
  port::File all;
  REQUIRE(port::Reopen(file.mapping()->control_file(), true, &all).ok());
  for (uint32_t slot = 1; slot < kSlotMax; slot++)
    REQUIRE(port::TryLockByte(all, kSlotByte + slot, port::LockKind::kExclusive).ok());
  ThreadSlot slot(file.mapping());
  CHECK_CODE(slot.Claim(), FULL);
  CHECK(!slot.claimed());
  slot.Release();  // nothing to give back
  REQUIRE(port::UnlockByte(all, kSlotByte + kSlotMax - 1).ok());
  CHECK_OK(slot.Claim());
  CHECK_EQ(slot.index(), kSlotMax - 1);
  CHECK_EQ(file.header()->slot_count.load(), kSlotMax);
  slot.AnnounceVersion(1);
  Horizon horizon;
  horizon.Scan(*file.mapping());
  CHECK_EQ(horizon.safe(), 1u);
  slot.Release();
}

port::File KeepCleanersOut(const TestFile& file) {
  port::File lock;
  CHECK(port::Reopen(file.mapping()->data_file(), true, &lock).ok());
  CHECK(port::LockByte(lock, kExpiryByte, port::LockKind::kExclusive).ok());
  return lock;
}

// Whoever adopts a dead thread says that it may have owed an expiry hint: also when it is for the sake of its place.
TEST(AClaimThatAdoptsMakesTheCleanerLook) {
  const TestFile file;
  const port::File cleaners = KeepCleanersOut(file);  // one would look, and say that it has
  Worker dying(file.mapping());
  const uint32_t place = dying.slot->index();
  dying.Die();
  file.header()->expiry_next.store(kNoExpiry);
  const Worker heir(file.mapping());
  CHECK_EQ(heir.slot->index(), place);
  CHECK_EQ(file.header()->expiry_next.load(), 0);
}

// The turn being served may last a minute: who waits for its end alone would be seen to hang.
void AllowAMinute(const TestFile& file) { file.header()->turn_grant.store((file.header()->turn.load() << 32) | 60'000); }

// A turn can be as long as a minute; those who wait for it notice when its holder is dead, though nobody else looks.
TEST(WhoWaitsForATurnBuriesItsHolder) {
  const TestFile file;
  const port::File cleaners = KeepCleanersOut(file);  // one would claim the place of the dead
  Worker living(file.mapping());
  Worker dying(file.mapping());
  const uint32_t place = dying.slot->index();
  {
    Turn turn(file.mapping(), dying.slot.get());
    Turn::Attempts attempts(&turn);
    turn.Draw(&attempts);
    turn.Yield(&attempts);
    AllowAMinute(file);
    attempts.Forget();
  }
  dying.Die();
  CHECK(!IsClear(file.mapping(), place));
  Turn turn(file.mapping(), living.slot.get());
  Turn::Attempts attempts(&turn);
  turn.Yield(&attempts);
  CHECK(IsClear(file.mapping(), place));
}

// A ticket that is given back, or whose owner dies, before its turn has come holds up nobody when it would have come.
TEST(ATurnThatIsOverBeforeItComesIsPassedOver) {
  const TestFile file;
  const port::File cleaners = KeepCleanersOut(file);
  Worker living(file.mapping());
  Worker dying(file.mapping());
  Worker leaving(file.mapping());
  const uint32_t place = dying.slot->index();
  {
    Turn turn(file.mapping(), living.slot.get());
    Turn::Attempts first(&turn);
    turn.Draw(&first);
    turn.Yield(&first);
    {
      Turn left(file.mapping(), leaving.slot.get());
      Turn::Attempts second(&left);
      left.Draw(&second);
    }
    Turn lost(file.mapping(), dying.slot.get());
    Turn::Attempts third(&lost);
    lost.Draw(&third);
    third.Forget();
  }
  dying.Die();
  CHECK_EQ(file.header()->turn.load() + 1, file.header()->turn_next.load());  // both are to come
  AllowAMinute(file);
  Turn turn(file.mapping(), living.slot.get());
  Turn::Attempts attempts(&turn);
  turn.Yield(&attempts);
  CHECK(IsClear(file.mapping(), place));
}

}  // namespace
}  // namespace pongo
