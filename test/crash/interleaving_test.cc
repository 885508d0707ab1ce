// The protocols under a deterministic scheduler (scheduler.h): the schedules of two or three threads with at most two preemptions
// (PONGO_SCALE >= 100: three), the death of a preempted thread included where it matters. All of them, or where they are too many,
// every nth place of the last preemption, from a random one on. Memory that is reclaimed is
// overwritten at once, so that whoever reads it too late is found.

#include <string.h>

#include <map>
#include <optional>
#include <set>

#include "database_impl.h"
#include "model/maintenance.h"
#include "model/reachability.h"
#include "store/checkpoint.h"
#include "test/crash/crash_support.h"
#include "test/crash/scheduler.h"

namespace pongo {
namespace {

using namespace pongo::test;

constexpr uint32_t kSlotsUsed = 10;

// One database that is put back to the same bytes before each schedule.
class Stage {
 public:
  Stage() {
    SkipSyncs(true);
    testing::poison = true;
    path_ = folder_.File("db");
    {
      auto session = OpenSession(path_, QuietOptions(1u << 20));
      if (session == nullptr || !SetText(session.get(), "a", Value(0)).ok() || !SetText(session.get(), "b", Value(0)).ok()) std::abort();
      for (const char* name : {"x", "y"}) {
        std::vector<uint8_t> wire;
        static_cast<void>(WireWriter(&wire).Dict(0));
        Input input;
        input.wire = wire.data();
        input.wire_size = wire.size();
        if (!session->Set(kRootId, TextKey(name).key(), input, 0).ok()) std::abort();
        uint64_t id = 0;
        if (!session->Get(0, kRootId, TextKey(name).key(), [&](const ValueView& v) { id = v.id; }).ok()) std::abort();
        if (!session->Set(id, TextKey("n").key(), IntInput(0), 0).ok() || !session->Set(id, TextKey("text").key(), TextInput(Value(0)), 0).ok())
          std::abort();
        ids_[name] = id;
      }
    }
    std::string detail;
    auto opened = DatabaseFile::Open(path_, QuietOptions(), &detail);
    if (!opened.ok()) std::abort();
    file_ = std::move(opened.value());
  }
  ~Stage() { testing::poison = false; }

  static std::string Value(int number) { return std::string(40, 'v') + std::to_string(number); }
  const std::shared_ptr<DatabaseFile>& file() const { return file_; }
  Mapping* mapping() const { return file_->mapping(); }
  const std::string& path() const { return path_; }
  uint64_t id(const char* name) { return ids_[name]; }

  // What changes from now on is undone by Restore.
  void Save() {
    parts_.clear();
    Mapping* m = mapping();
    auto* control = reinterpret_cast<uint8_t*>(m->header());
    const uint64_t slabs = m->mapped_length() / kSlabSize;
    Add(m->data(), m->mapped_length());
    Add(control, sizeof(ControlHeader));
    Add(control + kSlotLinesOffset, kSlotsUsed * sizeof(SlotLine));
    for (uint32_t c = 0; c < sizeof(Summaries) / sizeof(RegionBits); c++)
      Add(control + kSummariesOffset + c * sizeof(RegionBits), sizeof(uint64_t));
    Add(control + kSlotAreasOffset, kSlotsUsed * kSlotAreaSize);
    auto* segment = reinterpret_cast<uint8_t*>(m->segment(0));
    Add(segment, slabs * kGranulesPerSlab * sizeof(Atomic64));
    Add(segment + offsetof(RegionSegment, slabs), sizeof(RegionSegment) - offsetof(RegionSegment, slabs));
  }
  void Restore() {
    for (const auto& [at, bytes] : parts_) std::memcpy(at, bytes.data(), bytes.size());
  }

 private:
  void Add(uint8_t* at, size_t size) { parts_.emplace_back(at, std::vector<uint8_t>(at, at + size)); }

  Folder folder_;
  std::string path_;
  std::shared_ptr<DatabaseFile> file_;
  std::map<std::string, uint64_t> ids_;
  std::vector<std::pair<uint8_t*, std::vector<uint8_t>>> parts_;
};

// A thread of the database, without the Session around it, so that it can die.
class Actor {
 public:
  explicit Actor(Stage* stage) : impl_(std::make_unique<SessionImpl>(stage->file())) {
    if (!impl_->slot.Claim().ok()) std::abort();
  }
  ~Actor() {
    if (impl_ != nullptr) impl_->slot.Release();
  }
  void Die() { impl_.reset(); }  // the kernel closes its lock file
  SessionImpl* operator->() { return impl_.get(); }

  Status SetBoth(int number) {
    std::vector<uint8_t> wire;
    WireWriter writer(&wire);
    static_cast<void>(writer.Dict(2));
    const std::string text = Stage::Value(number);
    for (const char* name : {"a", "b"}) {
      writer.String(reinterpret_cast<const uint8_t*>(name), 1);
      writer.String(reinterpret_cast<const uint8_t*>(text.data()), static_cast<uint32_t>(text.size()));
    }
    return impl_->Write(false, [&](Operations& o) { return o.Update(kRootId, wire.data(), wire.size()); });
  }
  Status Set(uint64_t id, const char* key, const Input& value) {
    return impl_->Write(false, [&](Operations& o) { return o.Set(id, TextKey(key).key(), value, 0); });
  }
  Status Increment(uint64_t id, const char* key) {
    return impl_->Write(false, [&](Operations& o) { return o.Increment(id, TextKey(key).key(), IntInput(1).view, [](const ValueView&) {}); });
  }

 private:
  std::unique_ptr<SessionImpl> impl_;
};

// "a" and "b" are always set together: what a reader sees must agree.
std::string ReadBoth(const ReadView& view) {
  std::string seen[2];
  for (int i = 0; i < 2; i++) {
    const Status status = GetValue(view, kRootId, TextKey(i == 0 ? "a" : "b").key(), [&](const ValueView& v) {
      if (v.type == ValueView::Type::kString) seen[i].assign(reinterpret_cast<const char*>(v.data), v.size);
    });
    if (!status.ok()) return std::string("a read failed: ") + status.text();
  }
  if (seen[0] != seen[1]) return "torn: '" + seen[0] + "' and '" + seen[1] + "'";
  if (seen[0].compare(0, 40, std::string(40, 'v')) != 0) return "a read of reclaimed memory: '" + seen[0] + "'";
  return "";
}

// A base for the scenarios: restores the stage; at the end verify() must be clean.
class Staged : public Scenario {
 public:
  explicit Staged(Stage* stage) : stage_(stage) { stage->Restore(); }
  int thread_count() const override { return 2; }
  std::string Check() override {
    if (!wrong_.empty()) return wrong_;
    Counts counts;
    std::string problem;
    const Status status = VerifyDatabase(stage_->mapping(), &counts, &problem);
    if (!status.ok()) return std::string("verify: ") + status.text() + " " + problem;
    if (counts.orphans != 0 && !may_die()) return "orphans: " + std::to_string(counts.orphans) + Orphans();
    return "";
  }

 protected:
  // Which blocks are LIVE and in no version.
  std::string Orphans() {
    Mapping* mapping = stage_->mapping();
    std::set<Ref> reached;
    Base base;
    ReachCounts counts;
    Must(ReadBase(mapping, mapping->header()->root.load(), &base));
    Must(WalkVersion(mapping, base, [&](Ref ref) { reached.insert(ref); return Status::Ok(); }, &counts));
    std::string text;
    for (uint64_t slab = 1; slab < mapping->mapped_length() / kSlabSize; slab++) {
      const uint64_t use = mapping->slab_state(slab)->load();
      if (SlabUseOf(use) != SlabUse::kSmall) continue;
      const auto size_class = static_cast<uint32_t>(SlabDetail(use));
      for (uint32_t i = 0; i < BlocksPerSlab(size_class); i++) {
        const uint64_t state = mapping->block_states(slab)[i].load();
        const Ref ref = BlockAt(slab, i, size_class);
        if (BlockUseOf(state) != BlockUse::kLive || reached.contains(ref)) continue;
        text += " (block " + std::to_string(i) + " of slab " + std::to_string(slab) + ", " + std::to_string(kClassSizes[size_class]) +
                " bytes, born in " + std::to_string(LiveBirth(state)) + " of " + std::to_string(base.version) + ", first byte " +
                std::to_string(mapping->data()[RefOffset(ref)]) + ")";
      }
    }
    return text;
  }
  void Must(const Status& status) {
    if (!status.ok() && wrong_.empty()) wrong_ = status.text();
  }
  void Note(const std::string& wrong) {
    if (wrong_.empty()) wrong_ = wrong;
  }
  void WriteAndReclaim(Actor* actor, int from) {
    for (int i = from; i < from + 2; i++) Must(actor->SetBoth(i));
    (*actor)->allocator.Reclaim();
    for (int i = from + 2; i < from + 4; i++) Must(actor->SetBoth(i));
  }

  Stage* stage_;
  std::string wrong_;
};

void PrepareStage(Stage* stage) {
  {
    // The version that the threads begin with is not the durable one, which would protect its blocks.
    Actor actor(stage);
    bool ok = actor.SetBoth(0).ok();
    for (const char* name : {"x", "y"}) ok = ok && actor.Increment(stage->id(name), "n").ok();
    CHECK(ok);
  }
  stage->Save();
}

constexpr uint64_t kSchedules = 50'000;  // of one scenario, about; times PONGO_SCALE

template <class S>
void ExploreAll(Stage* stage, int preemptions = 2) {
  PrepareStage(stage);
  Bound bound;
  bound.preemptions = Scale() >= 100 ? preemptions + 1 : preemptions;
  bound.limit = kSchedules * Scale();
  bound.seed = Seed();
  const Explored explored = Explore([&]() -> Scenario* { return new S(stage); }, bound);
  if (!explored.failure.empty()) Fail(__FILE__, __LINE__, explored.failure);
  std::printf("%s: %llu schedules", S::kName, static_cast<unsigned long long>(explored.count));
  if (explored.stride > 1) std::printf(", the last preemption at one place of %llu", static_cast<unsigned long long>(explored.stride));
  std::printf("\n");
  std::fflush(stdout);
}

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
    Note(ReadBoth(ReadView(stage_->mapping(), base.table)));
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
      Note(ReadBoth(view));
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
