// The protocols under a deterministic scheduler (scheduler.h): the schedules of two or three threads with at most two preemptions
// (PONGO_SCALE >= 100: three), the death of a preempted thread included where it matters. All of them, or where they are too many,
// every nth place of the last preemption, from a random one on. Memory that is reclaimed is
// overwritten at once, so that whoever reads it too late is found.

#include <string.h>

#include <optional>

#include "model/maintenance.h"
#include "store/checkpoint.h"
#include "test/crash/stage.h"

namespace pongo {
namespace {

using namespace pongo::test;

// -- a reader and a writer that reclaims --

class ReadAndReclaim : public Staged {
 public:
  static constexpr const char* kName = "read and reclaim";
  explicit ReadAndReclaim(Stage* stage) : Staged(stage), reader_(stage), writer_(stage) {}
  void Run(int thread) override {
    if (thread == 1) return WriteAndReclaim(&writer_, 1);
    Must(reader_->Read(0, [&](const ReadView& view) {
      Note(ReadBoth(view));
      return Status::Ok();
    }));
  }

 private:
  Actor reader_, writer_;
};

TEST(ReadersAndReclaimers) {
  Stage stage;
  ExploreAll<ReadAndReclaim>(&stage);
}

// -- a version moves from an announcement to a pin --

class PinAndReclaim : public Staged {
 public:
  static constexpr const char* kName = "pin and reclaim";
  explicit PinAndReclaim(Stage* stage) : Staged(stage), reader_(stage), writer_(stage) {}
  void Run(int thread) override {
    if (thread == 1) return WriteAndReclaim(&writer_, 1);
    Base base;
    const uint64_t word = reader_->slot.Announce();
    Must(ReadBase(stage_->mapping(), word, &base));
    const uint32_t cell = reader_->slot.Pin(base.version, base.word, PinKind::kSnapshot);
    reader_->slot.Clear();
    GiveWay();
    Note(ReadBoth(ReadView(stage_->mapping(), base.table), NumberOf(base)));
    reader_->slot.Unpin(cell);
  }

 private:
  Actor reader_, writer_;
};

TEST(PinsAndReclaimers) {
  Stage stage;
  ExploreAll<PinAndReclaim>(&stage);
}

class TransactionAndReclaim : public Staged {
 public:
  static constexpr const char* kName = "transaction and reclaim";
  explicit TransactionAndReclaim(Stage* stage) : Staged(stage), reader_(stage), writer_(stage) {}
  void Run(int thread) override {
    if (thread == 1) return WriteAndReclaim(&writer_, 1);
    Must(reader_->transaction.Start(true));
    GiveWay();
    Must(reader_->Read(0, [&](const ReadView& view) {
      Note(ReadBoth(view, NumberOf(reader_->transaction.base())));
      return Status::Ok();
    }));
    reader_->transaction.Abort();
  }

 private:
  Actor reader_, writer_;
};

TEST(TransactionsAndReclaimers) {
  Stage stage;
  ExploreAll<TransactionAndReclaim>(&stage);
}

// -- two writers: nothing is lost, whether they conflict or one builds on the other --

class TwoWriters : public Staged {
 public:
  static constexpr const char* kName = "commit and commit";
  explicit TwoWriters(Stage* stage) : Staged(stage), one_(stage), two_(stage) {}
  void Run(int thread) override {
    if (thread == 0) {
      Must(one_.Increment(stage_->id("x"), "n"));
      return;
    }
    Must(two_.Increment(stage_->id("y"), "n"));
    Must(two_.Increment(stage_->id("x"), "n"));
  }
  std::string Check() override {
    int64_t sum = 0;
    for (const char* name : {"x", "y"})
      Must(one_->Read(0, [&](const ReadView& view) {
        return GetValue(view, stage_->id(name), TextKey("n").key(), [&](const ValueView& v) { sum += v.integer; });
      }));
    if (sum != 5) Note("an increment is lost: " + std::to_string(sum) + " of 5");
    return Staged::Check();
  }

 private:
  Actor one_, two_;
};

TEST(WritersAndWriters) {
  Stage stage;
  ExploreAll<TwoWriters>(&stage);
}

// A writer that loses its CAS builds on the newer version if what it read is the same there. Another one changes that twice, so
// that the block at the old place could come back.
class Rebase : public Staged {
 public:
  static constexpr const char* kName = "commit and rebase";
  explicit Rebase(Stage* stage) : Staged(stage), loser_(stage), other_(stage), twice_(stage) {}
  int thread_count() const override { return 3; }
  void Run(int thread) override {
    if (thread == 0) Must(loser_.Increment(stage_->id("x"), "n"));
    if (thread == 1) Must(other_.Increment(stage_->id("y"), "n"));
    if (thread == 2) {
      Must(twice_.Increment(stage_->id("x"), "n"));
      twice_->allocator.Reclaim();
      Must(twice_.Increment(stage_->id("x"), "n"));
    }
  }
  // What matters happens around the root word, the announcements and the reuse of blocks.
  bool Ignores(const char* name) const override {
    return strcmp(name, "block") == 0 || strcmp(name, "load") == 0 || strcmp(name, "store") == 0 || strcmp(name, "or") == 0;
  }
  std::string Check() override {
    int64_t n = 0;
    Must(loser_->Read(0, [&](const ReadView& view) {
      return GetValue(view, stage_->id("x"), TextKey("n").key(), [&](const ValueView& v) { n = v.integer; });
    }));
    if (n != 4) Note("an increment is lost: " + std::to_string(n) + " of 4");
    return Staged::Check();
  }

 private:
  Actor loser_, other_, twice_;
};

// The loser is preempted twice: for a commit that it can build on, and for two that bring its container back to the old place.
TEST(WritersAndRebase) {
  Stage stage;
  PrepareStage(&stage);
  uint64_t count = 0;
  std::vector<uint64_t> taken;
  for (uint64_t first = 0, all_first = false; !all_first; first++) {
    for (uint64_t second = 1, all_second = false; !all_second && !all_first; second++, count++) {
      Rebase scenario(&stage);
      const std::string wrong = RunSchedule(&scenario, {{0, first, false}, {1, ~uint64_t{0}, false}, {0, second, false}}, 2, &taken);
      all_first = taken[0] < first;  // the thread has ended before: everything was tried
      all_second = taken[2] < second;
      if (wrong.empty()) continue;
      Fail(__FILE__, __LINE__, wrong + " (" + std::to_string(first) + ", " + std::to_string(second) + ")");
      return;
    }
  }
  std::printf("%s: %llu schedules\n", Rebase::kName, static_cast<unsigned long long>(count));
}

// -- a checkpoint and a reclaimer --

class CheckpointAndReclaim : public Staged {
 public:
  static constexpr const char* kName = "checkpoint and reclaim";
  explicit CheckpointAndReclaim(Stage* stage) : Staged(stage), saver_(stage), writer_(stage) {
    Must(port::Reopen(stage->mapping()->data_file(), true, &lock_));
    Must(writer_.SetBoth(1));
  }
  void Run(int thread) override {
    if (thread == 1) return WriteAndReclaim(&writer_, 2);
    bool wrote;
    Must(Checkpoint(&saver_->slot, lock_, stage_->mapping()->header()->version.load(), false, &wrote));
  }
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0; }
  std::string Check() override {
    // What a crash of the machine would come back to is whole.
    Superblock superblock;
    Must(ReadSuperblock(lock_, &superblock));
    Base base;
    Must(ReadBase(stage_->mapping(), MakeRootWord(superblock.root, superblock.version), &base));
    if (base.version != superblock.version) Note("the durable root record was reclaimed");
    ReachCounts counts;
    if (wrong_.empty()) Must(WalkVersion(stage_->mapping(), base, [](Ref) { return Status::Ok(); }, &counts));
    if (wrong_.empty()) Note(ReadBoth(ReadView(stage_->mapping(), base.table)));
    return Staged::Check();
  }

 private:
  Actor saver_, writer_;
  port::File lock_;
};

TEST(CheckpointsAndReclaimers) {
  Stage stage;
  ExploreAll<CheckpointAndReclaim>(&stage);
}

// -- a slot that died is claimed and swept at once --

class ClaimAndSweep : public Staged {
 public:
  static constexpr const char* kName = "claim and sweep";
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0 || strcmp(name, "load") == 0 || strcmp(name, "or") == 0; }
  explicit ClaimAndSweep(Stage* stage) : Staged(stage), sweeper_(stage) {
    Actor dead(stage);
    Must(dead.SetBoth(1));
    dead->slot.Announce();
    dead.Die();
  }
  void Run(int thread) override {
    if (thread == 1) {
      ReapDeadSlots(&sweeper_->slot);
      return;
    }
    newcomer_.emplace(stage_);
    const uint64_t word = (*newcomer_)->slot.Announce();
    GiveWay();
    if ((*newcomer_)->slot.announced() == 0) Note("the announcement of a living thread was cleared");
    if ((*newcomer_)->slot.line()->used.load(std::memory_order_relaxed) == 0) Note("the slot of a living thread was cleared");
    static_cast<void>(word);
    (*newcomer_)->slot.Clear();
    Must(newcomer_->SetBoth(2));
  }

 private:
  Actor sweeper_;
  std::optional<Actor> newcomer_;
};

TEST(ClaimsAndSweeps) {
  Stage stage;
  ExploreAll<ClaimAndSweep>(&stage);
}

// -- a sweep of orphans beside a writer --

class SweepAndCommit : public Staged {
 public:
  static constexpr const char* kName = "sweep and commit";
  explicit SweepAndCommit(Stage* stage) : Staged(stage), writer_(stage) {}
  void Run(int thread) override {
    if (thread == 0) {
      Counts before, after;
      Must(CollectGarbage(stage_->mapping(), true, {}, &before, &after));
      return;
    }
    Must(writer_.SetBoth(1));
    Must(writer_.SetBoth(2));
  }
  bool Ignores(const char* name) const override {
    return strcmp(name, "block") == 0 || strcmp(name, "load") == 0 || strcmp(name, "or") == 0 || strcmp(name, "fcntl") == 0;
  }

 private:
  Actor writer_;
};

TEST(SweepsAndWriters) {
  Stage stage;
  ExploreAll<SweepAndCommit>(&stage, 1);
}

// -- a writer dies at any step, another adopts what it left --

class DeathAndAdoption : public Staged {
 public:
  static constexpr const char* kName = "commit, death and adoption";
  explicit DeathAndAdoption(Stage* stage) : Staged(stage), victim_(stage), heir_(stage) {}
  bool may_die() const override { return true; }
  void Die(int thread) override { (thread == 0 ? victim_ : heir_).Die(); }
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0; }
  void Run(int thread) override {
    if (thread == 0) {
      WriteAndReclaim(&victim_, 1);
      return;
    }
    ReapDeadSlots(&heir_->slot);
    Must(heir_.SetBoth(9));
  }
  std::string Check() override {
    Counts before, after;
    Must(CollectGarbage(stage_->mapping(), true, {}, &before, &after));
    Counts counts;
    std::string problem;
    Must(VerifyDatabase(stage_->mapping(), &counts, &problem));
    if (counts.orphans != 0) Note("orphans stay: " + std::to_string(counts.orphans));
    return Staged::Check();
  }

 private:
  Actor victim_, heir_;
};

TEST(DeathsAndAdoptions) {
  Stage stage;
  ExploreAll<DeathAndAdoption>(&stage, 1);
}

// -- a slab changes its use while another thread takes blocks from it --

class HarvestAndTake : public Staged {
 public:
  static constexpr const char* kName = "harvest and take";
  static constexpr uint64_t kOld = 16000, kNew = 13000;  // bytes: four and five blocks per slab
  explicit HarvestAndTake(Stage* stage) : Staged(stage), taker_(stage), harvester_(stage) {
    // A slab of the old class, empty, and no unassigned slab beside it.
    Actor maker(stage);
    Ref ref;
    Must(maker->allocator.Allocate(kOld, 1, &ref));
    maker->allocator.Discard(ref);
    maker->allocator.Flush();
  }
  void Run(int thread) override {
    std::vector<Ref>& got = got_[thread];
    Actor& actor = thread == 0 ? taker_ : harvester_;
    if (thread == 1) actor->allocator.slabs().HarvestEmptySlabs(actor->slot.index(), 64);
    for (int i = 0; i < 3; i++) {
      Ref ref;
      Must(actor->allocator.Allocate(thread == 0 ? kOld : kNew, 2, &ref));
      got.push_back(ref);
    }
  }
  bool Ignores(const char* name) const override { return strcmp(name, "block") == 0; }
  std::string Check() override {
    for (const Ref a : got_[0])
      for (const Ref b : got_[1])
        if (RefOffset(a) < RefOffset(b) + kClassSizes[RefClass(b)] && RefOffset(b) < RefOffset(a) + kClassSizes[RefClass(a)])
          Note("two threads have been given the same bytes");
    SlabMap slabs(stage_->mapping());
    for (const auto& refs : got_)
      for (const Ref ref : refs)
        if (!slabs.IsBlock(ref)) Note("a block of a slab that has another use");
    Actor* const actors[] = {&taker_, &harvester_};
    for (int i = 0; i < 2; i++)
      for (const Ref ref : got_[i]) (*actors[i])->allocator.Discard(ref);
    return Staged::Check();
  }

 private:
  Actor taker_, harvester_;
  std::vector<Ref> got_[2];
};

TEST(HarvestersAndTakers) {
  Stage stage;
  ExploreAll<HarvestAndTake>(&stage);
}

}  // namespace
}  // namespace pongo
