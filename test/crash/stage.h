// What the tests of interleavings share: one database that is put back before each schedule, threads that can die, the scenario
// that all others build on.
#ifndef PONGO_TEST_CRASH_STAGE_H_
#define PONGO_TEST_CRASH_STAGE_H_

#include <string.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "database_impl.h"
#include "model/maintenance.h"
#include "model/reachability.h"
#include "test/crash/crash_support.h"
#include "test/crash/scheduler.h"

namespace pongo::test {

inline constexpr uint32_t kSlotsUsed = 10;

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

// "a" and "b" are always set together: what a reader sees must agree, and be what its version has (number, if that is known).
inline std::string ReadBoth(const ReadView& view, int number = -1) {
  std::string seen[2];
  for (int i = 0; i < 2; i++) {
    const Status status = GetValue(view, kRootId, TextKey(i == 0 ? "a" : "b").key(), [&](const ValueView& v) {
      if (v.type == ValueView::Type::kString) seen[i].assign(reinterpret_cast<const char*>(v.data), v.size);
    });
    if (!status.ok()) return std::string("a read failed: ") + status.text();
  }
  if (seen[0] != seen[1]) return "torn: '" + seen[0] + "' and '" + seen[1] + "'";
  if (seen[0].compare(0, 40, std::string(40, 'v')) != 0) return "a read of reclaimed memory: '" + seen[0] + "'";
  if (number >= 0 && seen[0] != Stage::Value(number)) return "another version than that of the view: '" + seen[0] + "'";
  return "";
}

// A base for the scenarios: restores the stage; at the end verify() must be clean.
class Staged : public Scenario {
 public:
  explicit Staged(Stage* stage) : stage_(stage) {
    stage->Restore();
    first_ = stage->mapping()->header()->version.load();
  }
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

  // The number that WriteAndReclaim(actor, 1) sets in a version; 0 before.
  int NumberOf(const Base& base) const { return static_cast<int>(base.version - first_); }

  Stage* stage_;
  uint64_t first_;  // the version that the scenario begins with
  std::string wrong_;
};

inline void PrepareStage(Stage* stage) {
  {
    // The version that the threads begin with is not the durable one, which would protect its blocks.
    Actor actor(stage);
    bool ok = actor.SetBoth(0).ok();
    for (const char* name : {"x", "y"}) ok = ok && actor.Increment(stage->id(name), "n").ok();
    CHECK(ok);
  }
  stage->Save();
}

inline constexpr uint64_t kSchedules = 50'000;  // of one scenario, about; times PONGO_SCALE

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

}  // namespace pongo::test

#endif  // PONGO_TEST_CRASH_STAGE_H_
