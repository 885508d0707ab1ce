// Interleavings that need more switches than interleaving_test explores, each at given places: every place is taken in every run.

#include <mutex>
#include <optional>

#include "store/checkpoint.h"
#include "store/commit_signal.h"
#include "store/group_commit.h"
#include "store/slab_map.h"
#include "store_support.h"
#include "test/crash/stage.h"

namespace pongo {
namespace {

using namespace pongo::test;

// -- a commit wakes who waits for it --

class CommitAndWait : public Staged {
 public:
  static constexpr const char* kName = "commit and wait";
  explicit CommitAndWait(Stage* stage) : Staged(stage), waiter_(stage), writer_(stage), known_(stage->mapping()->header()->root.load()) {
    ForgetLostSleeps();
  }
  void Run(int thread) override {
    if (thread == 1) {
      Must(writer_.Increment(stage_->id("x"), "n"));
      return;
    }
    Mapping* mapping = stage_->mapping();
    EnterCommitWait(mapping, waiter_->slot.line());
    // May return early, but not sleep on when the commit is there.
    for (int i = 0; i < 3 && SleepUntilCommit(mapping, known_, port::kForever, &stop_) == known_; i++) GiveWay();
    LeaveCommitWait(mapping, waiter_->slot.line());
  }
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0; }
  std::string Check() override {
    if (LostSleeps() != 0) Note("a thread sleeps although the commit that it waits for is there");
    if (stage_->mapping()->header()->commit_waiters.load() != 0) Note("a waiter that has gone is counted");
    return Staged::Check();
  }

 private:
  Actor waiter_, writer_;
  uint64_t known_;
  std::atomic<bool> stop_{false};
};

TEST(CommitsAndWaiters) {
  Stage stage;
  ExploreAll<CommitAndWait>(&stage);
}

// -- commits to different leaves of one container --

// Three keys with a leaf each. A commit that loses puts its leaf into the tree of the one that won, perhaps twice.
class LeavesOfOneTree : public Staged {
 public:
  static constexpr const char* kName = "commits to different leaves";
  explicit LeavesOfOneTree(Stage* stage) : Staged(stage), actors_{Actor(stage), Actor(stage), Actor(stage)} {}
  // Once, before the stage is saved.
  static void Fill(Stage* stage) {
    Actor actor(stage);
    const std::string text(100, 't');
    for (int i = 0; i < 60; i++) {
      const bool counter = i % 25 == 5;
      CHECK_OK(actor.Set(stage->id("y"), Name(i).c_str(), counter ? IntInput(0) : TextInput(text)));
    }
  }
  int thread_count() const override { return 3; }
  void Run(int thread) override { Must(actors_[thread].Increment(stage_->id("y"), Name(5 + 25 * thread).c_str())); }
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0 || strcmp(name, "load") == 0 || strcmp(name, "store") == 0; }
  std::string Check() override {
    for (int thread = 0; thread < 3; thread++) {
      int64_t n = 0;
      Must(actors_[0]->Read(0, [&](const ReadView& view) {
        return GetValue(view, stage_->id("y"), TextKey(Name(5 + 25 * thread)).key(), [&](const ValueView& v) { n = v.integer; });
      }));
      if (n != 1) Note("a leaf has " + std::to_string(n) + " of 1 increment");
    }
    return Staged::Check();
  }

 private:
  static std::string Name(int i) { return "key" + std::to_string(100 + i); }
  Actor actors_[3];
};

TEST(CommitsToDifferentLeaves) {
  Stage stage;
  LeavesOfOneTree::Fill(&stage);
  ExploreAll<LeavesOfOneTree>(&stage);
}

// -- the announcement of a committer does not rise between its reads and its last attempt --

// The loser has read its container. Another commit to it makes the loser's attempt fail; a second one brings the container's root
// back to the place where the loser read it, if that can become free meanwhile.
class LoserAndOthers : public Staged {
 public:
  explicit LoserAndOthers(Stage* stage) : Staged(stage), loser_(stage), other_(stage), place_(PlaceOf("x")) {}
  int thread_count() const override { return 3; }
  void Run(int thread) override {
    if (thread == 0) return Must(loser_.Increment(stage_->id("x"), "n"));
    if (thread == 2 && !OfferPlace()) return;
    Must(other_.Increment(stage_->id("x"), "n"));
    others_++;
  }
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0 || strcmp(name, "load") == 0 || strcmp(name, "store") == 0; }
  std::string Check() override {
    int64_t n = 0;
    Must(loser_->Read(0, [&](const ReadView& view) {
      return GetValue(view, stage_->id("x"), TextKey("n").key(), [&](const ValueView& v) { n = v.integer; });
    }));
    if (n != 2 + others_) Note("an increment is lost: " + std::to_string(n) + " of " + std::to_string(2 + others_));
    return Staged::Check();
  }

 private:
  Ref PlaceOf(const char* name) {
    Base base;
    bool present;
    ObjectEntry entry;
    Must(ReadBase(stage_->mapping(), stage_->mapping()->header()->root.load(std::memory_order_relaxed), &base));
    Must(FindObject(stage_->mapping(), base.table, stage_->id(name), &present, &entry));
    return entry.tree();
  }
  // Makes the block that was the root of the container the next one that is taken; false when it is not free.
  bool OfferPlace() {
    constexpr int kTries = 2 * kMagazineSize;
    other_->allocator.Reclaim();
    std::vector<Ref> others;
    bool found = false;
    for (int i = 0; i < kTries && !found; i++) {
      Ref ref;
      Must(other_->allocator.Allocate(kClassSizes[RefClass(place_)], 1, &ref));
      found = ref == place_;
      if (!found) others.push_back(ref);
    }
    for (const Ref ref : others) other_->allocator.Discard(ref);
    if (found) other_->allocator.Discard(place_);
    return found;
  }

  Actor loser_, other_;
  Ref place_;
  int64_t others_ = 0;
};

TEST(ALostCommitAndTheSamePlace) {
  Stage stage;
  PrepareStage(&stage);
  uint64_t count = 0;
  std::vector<uint64_t> taken;
  for (uint64_t first = 0, all_first = false; !all_first; first++) {
    for (uint64_t second = 1, all_second = false; !all_second && !all_first; second++, count++) {
      LoserAndOthers scenario(&stage);
      const std::string wrong = RunSchedule(&scenario, {{0, first, false}, {1, ~uint64_t{0}, false}, {0, second, false}}, 2, &taken);
      all_first = taken[0] < first;
      all_second = taken[2] < second;
      if (wrong.empty()) continue;
      Fail(__FILE__, __LINE__, wrong + " (" + std::to_string(first) + ", " + std::to_string(second) + ")");
      return;
    }
  }
  std::printf("a lost commit and the same place: %llu schedules\n", static_cast<unsigned long long>(count));
}

// -- a checkpoint finds one whose owner died --

// What the disk is known to hold: the superblock of the last sync that has returned. Everything else may be there or not, so the
// version that it names must be whole in the file at every moment.
class SyncedSuperblock : public FileWatcher {
 public:
  explicit SyncedSuperblock(Stage* stage) : stage_(stage) {
    AfterSync(true);
    WatchFile(stage->path(), this);
  }
  ~SyncedSuperblock() override { WatchFile("", nullptr); }
  void BeforeSync() override { Look(); }
  void AfterSync(bool) override {
    if (!ReadSuperblock(stage_->mapping()->data_file(), &durable_).ok()) wrong_ = "no superblock is valid";
  }
  void AfterWrite() override {}
  void AfterDurableWrite(uint64_t, uint64_t) override { AfterSync(true); }  // only superblocks are written like that
  uint64_t durable_version() const { return durable_.version; }
  // An empty string, or what a crash of the machine would have lost.
  std::string Look() {
    Base base;
    ReachCounts counts;
    Mapping* mapping = stage_->mapping();
    Status status = ReadBase(mapping, MakeRootWord(durable_.root, durable_.version), &base);
    if (status.ok() && base.version != durable_.version) status = Status(Code::kCORRUPT, "the root record was reclaimed");
    if (status.ok()) status = WalkVersion(mapping, base, [](Ref) { return Status::Ok(); }, &counts);
    std::string torn = status.ok() ? ReadBoth(ReadView(mapping, base.table)) : status.text();
    if (wrong_.empty() && !torn.empty()) wrong_ = "the version that the disk names is gone: " + torn;
    return wrong_;
  }

 private:
  Stage* stage_;
  Superblock durable_;
  std::string wrong_;
};

class DeadCheckpoint : public Staged {
 public:
  explicit DeadCheckpoint(Stage* stage) : Staged(stage), dead_(stage), heir_(stage), writer_(stage), disk_(stage) {
    for (port::File* lock : {&dead_lock_, &heir_lock_}) Must(port::Reopen(stage->mapping()->data_file(), true, lock));
    Must(writer_.SetBoth(1));
  }
  int thread_count() const override { return 3; }
  bool may_die() const override { return true; }
  void Die(int) override {
    dead_.Die();
    dead_lock_.Close();
  }
  void Run(int thread) override {
    if (thread == 2) {
      WriteAndReclaim(&writer_, 2);
      disk_.Look();
      return;
    }
    bool wrote;
    const uint64_t version = stage_->mapping()->header()->version.load();
    Must(thread == 0 ? Checkpoint(&dead_->slot, dead_lock_, version, false, &wrote) : Checkpoint(&heir_->slot, heir_lock_, version, true, &wrote));
  }
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0; }
  std::string Check() override {
    Note(disk_.Look());
    return Staged::Check();
  }

 private:
  Actor dead_, heir_, writer_;
  port::File dead_lock_, heir_lock_;
  SyncedSuperblock disk_;
};

// The first dies at each of its steps, the second is interrupted at each of its own.
TEST(ADeadCheckpointIsSyncedBeforeItIsBelieved) {
  Stage stage;
  PrepareStage(&stage);
  uint64_t count = 0;
  std::vector<uint64_t> taken;
  for (uint64_t first = 0, all_first = false; !all_first; first++) {
    for (uint64_t second = 0, all_second = false; !all_second && !all_first; second++, count++) {
      DeadCheckpoint scenario(&stage);
      const std::string wrong = RunSchedule(&scenario, {{0, first, true}, {1, second, false}}, 2, &taken);
      all_first = taken[0] < first;
      all_second = taken[1] < second;
      if (wrong.empty()) continue;
      Fail(__FILE__, __LINE__, wrong + " (" + std::to_string(first) + ", " + std::to_string(second) + ")");
      return;
    }
  }
  std::printf("a dead checkpoint: %llu schedules\n", static_cast<unsigned long long>(count));
}

// -- committers of several processes wait for the same checkpoint --

// The first two ask for durability of what they have committed, beside each other; the first may die, and then the third does so too.
class SharedCheckpoints : public Staged {
 public:
  explicit SharedCheckpoints(Stage* stage) : Staged(stage), disk_(stage) {
    for (auto& member : members_) {
      member.actor.emplace(stage);
      Must(port::Reopen(stage->mapping()->data_file(), true, &member.lock));
    }
    // As if a checkpoint had covered two before: whoever leads waits for the other one.
    stage->mapping()->header()->committers_expected.store(2);
    stage->mapping()->header()->checkpoint_nanoseconds.store(20'000);
    ForgetLostSleeps();
  }
  int thread_count() const override { return 3; }
  bool may_die() const override { return true; }
  void Die(int thread) override {
    members_[thread].actor->Die();
    members_[thread].lock.Close();
    died_ = true;
  }
  void Run(int thread) override {
    if (thread == 2 && !died_) return;  // whoever comes later would wake a committer that sleeps for nothing
    Member& member = members_[thread];
    Must(member.actor->SetBoth(thread + 1));
    const uint64_t version = (*member.actor)->transaction.committed_version();
    Must(AwaitDurable(&(*member.actor)->slot, &member.mutex, member.lock, version));
    if (disk_.durable_version() < version) Note("a commit is not durable although it was said");
    disk_.Look();
  }
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0; }
  std::string Check() override {
    // Nobody wakes the sleepers when the one who leads dies: they look by themselves.
    if (!died_ && LostSleeps() != 0) Note("a committer sleeps although the checkpoint lock is free");
    Note(disk_.Look());
    return Staged::Check();
  }

 private:
  struct Member {
    std::optional<Actor> actor;
    port::File lock;
    std::mutex mutex;
  };
  Member members_[3];
  SyncedSuperblock disk_;
  bool died_ = false;
};

constexpr uint64_t kSecondStride = 29;

// The first is interrupted, or dies, at each of its steps; the second is interrupted at every 29th of its own, at others each time, and
// then the first goes on, or the third comes in.
TEST(CommittersShareCheckpoints) {
  Stage stage;
  PrepareStage(&stage);
  uint64_t count = 0;
  std::vector<uint64_t> taken;
  for (const bool dies : {false, true}) {
    for (uint64_t first = 0, all_first = false; !all_first; first++) {
      for (uint64_t second = first % kSecondStride, all_second = false; !all_second && !all_first; second += kSecondStride, count++) {
        SharedCheckpoints scenario(&stage);
        const std::string wrong = RunSchedule(&scenario, {{0, first, dies}, {1, second, false}}, dies ? 2 : 0, &taken);
        all_first = taken[0] < first;
        all_second = taken[1] < second;
        if (wrong.empty()) continue;
        Fail(__FILE__, __LINE__, wrong + " (" + std::to_string(first) + ", " + std::to_string(second) + (dies ? ", dies)" : ")"));
        return;
      }
    }
  }
  std::printf("committers share checkpoints: %llu schedules\n", static_cast<unsigned long long>(count));
}

// Two ask for durability beside each other, and one sync fails, or one write of a superblock.
class FailedSharedCheckpoint : public Staged {
 public:
  FailedSharedCheckpoint(Stage* stage, Call failing, uint64_t nth) : Staged(stage), disk_(stage) {
    for (auto& member : members_) {
      member.actor.emplace(stage);
      Must(port::Reopen(stage->mapping()->data_file(), true, &member.lock));
    }
    ForgetLostSleeps();
    ArmFault(failing, nth, false, EIO);
  }
  ~FailedSharedCheckpoint() override { DisarmFaults(); }
  int thread_count() const override { return 2; }
  void Run(int thread) override {
    Member& member = members_[thread];
    Status status = member.actor->SetBoth(thread + 1);  // refused when the sync has failed before
    if (status.ok()) {
      const uint64_t version = (*member.actor)->transaction.committed_version();
      status = AwaitDurable(&(*member.actor)->slot, &member.mutex, member.lock, version);
      if (status.ok() && disk_.durable_version() < version) Note("a commit is not durable although it was said");
    }
    if (!status.ok() && status.code() != Code::kIO) Note(status.text());
    failures_ += status.ok() ? 0 : 1;
  }
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0; }
  std::string Check() override {
    if (LostSleeps() != 0) Note("a committer sleeps although the checkpoint lock is free");
    if (FaultHappened() != (failures_ != 0)) Note("nobody was told that a sync has failed");
    Note(disk_.Look());
    return Staged::Check();
  }

 private:
  struct Member {
    std::optional<Actor> actor;
    port::File lock;
    std::mutex mutex;
  };
  Member members_[2];
  SyncedSuperblock disk_;
  int failures_ = 0;
};

// Whoever waited for the checkpoint that failed is told so too, and does not wait for ever.
TEST(AFailedCheckpointIsToldToAllWhoWait) {
  Stage stage;
  PrepareStage(&stage);
  uint64_t count = 0;
  std::vector<uint64_t> taken;
  for (uint64_t failing = 0; failing < 6; failing++) {
    constexpr Call kCalls[] = {Call::kFdatasync, Call::kPwritev2, Call::kPwritev2Sync};
    for (uint64_t first = 0, all = false; !all; first++, count++) {
      FailedSharedCheckpoint scenario(&stage, kCalls[failing % 3], 1 + failing / 3);
      const std::string wrong = RunSchedule(&scenario, {{0, first, false}}, 1, &taken);
      all = taken[0] < first;
      if (wrong.empty()) continue;
      Fail(__FILE__, __LINE__, wrong + " (" + std::to_string(failing) + ", " + std::to_string(first) + ")");
      return;
    }
  }
  std::printf("a failed shared checkpoint: %llu schedules\n", static_cast<unsigned long long>(count));
}

// -- a search leaves what it passes by to be found by others --

thread_local Mapping* searched = nullptr;
thread_local int hidden = 0;

void LookFromOutside(const char*) {
  testing::step_hook = nullptr;  // looking has steps too
  if (!SlabMap(searched).AnyRetired()) hidden++;
  testing::step_hook = LookFromOutside;
}

// What is marked lies before the place where the search begins, in the same region: it comes there last.
TEST(ASearchHidesNoRegion) {
  SkipSyncs(true);
  const TestFile file(1 << 20);
  searched = file.mapping();
  SlabMap slabs(searched);
  slabs.NoteRetiredSlab(1);
  uint64_t holding = 0;
  testing::step_hook = LookFromOutside;
  const uint64_t found = slabs.TakeSlabWithRetired(8, &holding);
  testing::step_hook = nullptr;
  CHECK_EQ(found, 1u);
  CHECK_EQ(hidden, 0);
}

}  // namespace
}  // namespace pongo
