// Blocks: none is lost, none is given out twice, whoever allocates, retires, drains and harvests at the same time.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "store/slab_map.h"
#include "regressions.h"
#include "store_support.h"
#include "util/bits.h"

namespace pongo {
namespace {

using test::Count;
using test::RandomBelow;
using test::Tally;
using test::TestFile;
using test::UseOf;
using test::Worker;

constexpr uint64_t kAll = ~uint64_t{0};

uint8_t* BytesOf(Mapping* mapping, Ref ref, uint64_t* size) {
  uint8_t* bytes = mapping->Block(ref, size);
  if (bytes == nullptr) std::abort();
  return bytes;
}

// Marks both ends of a block, so that two owners of one notice each other.
void Fill(Mapping* mapping, Ref ref, uint64_t mark) {
  uint64_t size;
  uint8_t* bytes = BytesOf(mapping, ref, &size);
  std::memcpy(bytes, &mark, 8);
  std::memcpy(bytes + size - 8, &mark, 8);
}
bool Holds(Mapping* mapping, Ref ref, uint64_t mark) {
  uint64_t size;
  const uint8_t* bytes = BytesOf(mapping, ref, &size);
  return std::memcmp(bytes, &mark, 8) == 0 && std::memcmp(bytes + size - 8, &mark, 8) == 0;
}

Ref Get(Worker* worker, uint64_t size, uint64_t birth = 2) {
  Ref ref = kNullRef;
  const Status status = worker->allocator->Allocate(size, birth, &ref);
  if (!status.ok()) std::fprintf(stderr, "allocate %llu: %s\n", static_cast<unsigned long long>(size), status.text());
  CHECK(status.ok());
  return ref;
}

// What is left when everybody has given back everything.
void CheckAllComesBack(const TestFile& file, const Tally& before) {
  Worker worker(file.mapping());
  worker.allocator->Drain(kAll);
  Tally after = Count(file.mapping());
  CHECK_EQ(after.live, before.live);
  CHECK_EQ(after.retired, before.retired);
  CHECK_EQ(after.cached, 0u);
  CHECK_EQ(after.spans, before.spans);
  CHECK_EQ(after.tails, before.tails);
  CHECK_EQ(after.claimed, 0u);
  // All that holds nothing goes back to the common pool.
  SlabMap(file.mapping()).HarvestEmptySlabs(worker.slot->index(), kAll);
  after = Count(file.mapping());
  CHECK_EQ(after.live, before.live);
  CHECK(after.small <= before.small);
  // And nothing is left behind in the words of slabs without use.
  for (uint64_t slab = 1; slab < file.length() / kSlabSize; slab++) {
    if (file.mapping()->slab_state(slab)->load() != 0) continue;
    for (uint32_t i = 0; i < kGranulesPerSlab; i++) CHECK_EQ(file.mapping()->block_states(slab)[i].load(), 0u);
  }
}

TEST(SizesGetTheSmallestClassThatHoldsThem) {
  for (uint32_t c = 0; c < kClassCount; c++) {
    CHECK_EQ(ClassForSize(kClassSizes[c]), c);
    CHECK_EQ(ClassForSize(kClassSizes[c] + 1), c + 1 < kClassCount ? c + 1 : kSpanClass);
    CHECK(BlocksPerSlab(c) * kClassSizes[c] + sizeof(SlabHeader) <= kSlabSize);
    for (uint32_t i = 0; i < BlocksPerSlab(c); i++)
      CHECK_EQ(BlockIndex(RefGranule(BlockAt(77, i, c)) % kGranulesPerSlab, c), i);
  }
  CHECK_EQ(ClassForSize(0), 0u);
  const TestFile file;
  Worker worker(file.mapping());
  for (uint32_t c = 0; c < kClassCount; c++) {
    const Ref ref = Get(&worker, kClassSizes[c]);
    CHECK_EQ(RefClass(ref), c);
    CHECK(SlabMap(file.mapping()).IsBlock(ref));
    if (c > 0) CHECK(!SlabMap(file.mapping()).IsBlock(ref + 1));
    CHECK(!SlabMap(file.mapping()).IsBlock(MakeRef(RefOffset(ref), (c + 1) % kClassCount)));
    CHECK_EQ(file.mapping()->block_state(ref)->load(), LiveState(2));
    worker.allocator->Discard(ref);
    CHECK_EQ(file.mapping()->block_state(ref)->load(), CachedState(worker.slot->index()));
    CHECK_EQ(Get(&worker, kClassSizes[c]), ref);  // the warm one again
    worker.allocator->Discard(ref);
  }
}

TEST(AMagazineOverflowsToEverybody) {
  const TestFile file;
  const Tally before = Count(file.mapping());
  {
    Worker a(file.mapping());
    Worker b(file.mapping());
    std::vector<Ref> blocks;
    for (int i = 0; i < 500; i++) blocks.push_back(Get(&a, 64));
    CHECK_EQ(std::set<Ref>(blocks.begin(), blocks.end()).size(), 500u);
    const uint32_t rest = a.slot->area()->magazines[0].count;
    for (const Ref ref : blocks) {
      a.allocator->Discard(ref);
      CHECK(a.slot->area()->magazines[0].count <= kMagazineSize);
    }
    CHECK(a.slot->area()->magazines[0].count > kMagazineSize / 2);
    CHECK_EQ(Count(file.mapping()).cached, a.slot->area()->magazines[0].count);
    // Without growth the other thread gets what overflowed.
    const uint64_t slabs = Count(file.mapping()).small;
    std::set<Ref> taken;
    for (uint32_t i = 0; i < 500 + rest - kMagazineSize; i++) taken.insert(Get(&b, 64));
    CHECK_EQ(Count(file.mapping()).small, slabs);
    uint64_t known = 0;
    for (const Ref ref : blocks) known += taken.count(ref);
    CHECK(known >= 500 - kMagazineSize - 32);
    for (const Ref ref : taken) b.allocator->Discard(ref);
  }
  CheckAllComesBack(file, before);
}

TEST(SpansAreRunsOfSlabs) {
  const TestFile file(1 << 20);
  const Tally before = Count(file.mapping());
  {
    Worker worker(file.mapping());
    Mapping* mapping = file.mapping();
    for (const uint64_t bytes : {uint64_t{kSmallMax} + 1, kSlabSize - 64, kSlabSize - 63, 3 * kSlabSize, uint64_t{40} << 20}) {
      const Ref ref = Get(&worker, bytes);
      CHECK_EQ(RefClass(ref), kSpanClass);
      uint64_t size;
      uint8_t* memory = BytesOf(mapping, ref, &size);
      const uint64_t slabs = (size + 64) / kSlabSize;
      CHECK(size >= bytes && size < bytes + kSlabSize);
      CHECK_EQ(Load<SlabHeader>(memory - 64).span_slabs, slabs);
      const uint64_t first = RefOffset(ref) / kSlabSize;
      CHECK_EQ(mapping->slab_state(first)->load(), MakeSlabState(SlabUse::kSpan, slabs));
      for (uint64_t i = 1; i < slabs; i++) CHECK_EQ(mapping->slab_state(first + i)->load(), MakeSlabState(SlabUse::kTail, 0));
      memory[0] = memory[size - 1] = 1;
      // It may end where the file ends, or be followed by anything else, but never by a tail of its own kind.
      if ((first + slabs) * kSlabSize < file.length()) CHECK(SlabUseOf(mapping->slab_state(first + slabs)->load()) != SlabUse::kTail);
      worker.allocator->Discard(ref);
      CHECK_EQ(Count(mapping).spans, before.spans);
    }
    // Retired ones wait where everybody finds them.
    file.set_version(9);
    const Ref ref = Get(&worker, 5 * kSlabSize, 9);
    const uint64_t length = file.length();
    worker.allocator->Retire(ref, 10);
    CHECK_EQ(worker.slot->area()->retired_count, 0u);
    CHECK_EQ(UseOf(mapping, ref), BlockUse::kRetired);
    Worker other(mapping);
    CHECK_EQ(other.allocator->Drain(kAll), 0u);  // V has not reached 10
    file.set_version(10);
    CHECK_EQ(other.allocator->Drain(kAll), 1u);
    CHECK_EQ(Count(mapping).spans, before.spans);
    for (int i = 0; i < 200; i++) {  // ten at a time would not fit without reuse
      const Ref again = Get(&worker, uint64_t{20} << 20, 11);
      worker.allocator->Retire(again, 12);
      file.set_version(12);
    }
    CHECK_EQ(file.length(), length);
  }
  CheckAllComesBack(file, before);
}

TEST(RetiredBlocksSpillAndComeBack) {
  const TestFile file;
  const Tally before = Count(file.mapping());
  {
    Worker worker(file.mapping());
    Worker reader(file.mapping());
    file.set_version(100);
    const uint32_t pin = test::Pin(reader.slot.get(), 100, PinKind::kSnapshot);
    std::vector<Ref> blocks;
    for (int i = 0; i < 300; i++) blocks.push_back(Get(&worker, 200, 90));
    for (const Ref ref : blocks) {
      worker.allocator->Retire(ref, 101);
      worker.allocator->Retire(ref, 101);  // somebody else was faster: nothing happens
      CHECK(worker.slot->area()->retired_count <= kRetiredMax);
      if (worker.allocator->WantsReclaim()) worker.allocator->Reclaim();
    }
    file.set_version(101);
    worker.allocator->Reclaim();
    CHECK_EQ(Count(file.mapping()).retired, 300u);
    worker.allocator->Drain(kAll);
    CHECK_EQ(Count(file.mapping()).retired, 300u);
    CHECK(SlabMap(file.mapping()).AnyRetired());  // a search that finds none leaves the hint
    reader.slot->Unpin(pin);
    // The pin has gone: the next rounds find them without being asked.
    for (int i = 0; i < 3; i++) worker.allocator->Reclaim();
    CHECK_EQ(Count(file.mapping()).retired, 0u);
  }
  CheckAllComesBack(file, before);
}

// -- harvest --

// Fills the file with blocks of one class; the blocks by slab.
std::map<uint64_t, std::vector<Ref>> FillFile(Worker* worker, uint32_t size_class) {
  std::map<uint64_t, std::vector<Ref>> blocks;
  for (;;) {
    Ref ref;
    const Status status = worker->allocator->Allocate(kClassSizes[size_class], 2, &ref);
    if (!status.ok()) {
      CHECK_CODE(status, FULL);
      return blocks;
    }
    blocks[RefOffset(ref) / kSlabSize].push_back(ref);
  }
}

TEST(EmptySlabsGoToOtherClasses) {
  const TestFile file(1 << 20, 4 << 20);
  const Tally before = Count(file.mapping());
  {
    Worker worker(file.mapping());
    for (uint32_t size_class : {28u, 24u, 10u, 17u}) {
      auto blocks = FillFile(&worker, size_class);
      CHECK(blocks.size() >= 60);  // 64 slabs, of which one holds the superblocks and a few the database
      // And a span needs them all side by side.
      Ref span;
      CHECK_CODE(worker.allocator->Allocate(20 * kSlabSize, 2, &span), FULL);
      for (const auto& [slab, refs] : blocks)
        for (const Ref ref : refs) worker.allocator->Discard(ref);
      worker.allocator->Flush();
      span = Get(&worker, 20 * kSlabSize);
      if (span != kNullRef) worker.allocator->Discard(span);
    }
  }
  CheckAllComesBack(file, before);
}

TEST(ASlabWithABlockInUseIsNeverHarvested) {
  const TestFile file(1 << 20, 4 << 20);
  const Tally before = Count(file.mapping());
  {
    Worker worker(file.mapping());
    Worker idle(file.mapping());
    file.set_version(10);
    const Ref cached = Get(&idle, kClassSizes[20]);
    idle.allocator->Discard(cached);
    auto blocks = FillFile(&worker, 20);
    std::vector<Ref> kept;
    uint64_t number = 0;
    uint64_t freed = 0;
    for (const auto& [slab, refs] : blocks) {
      // One block of each slab stays: live in every second one, retired and protected in the others. The idle thread's slab
      // keeps only what that thread has cached.
      const size_t keep = slab == RefOffset(cached) / kSlabSize ? kAll : RandomBelow(refs.size());
      for (size_t i = 0; i < refs.size(); i++)
        if (i != keep) worker.allocator->Discard(refs[i]), freed++;
      if (keep == kAll) continue;
      kept.push_back(refs[keep]);
      Fill(file.mapping(), refs[keep], ++number);
      if (number % 2 == 0) worker.allocator->Retire(refs[keep], 11);
    }
    worker.allocator->Flush();
    const Tally tally = Count(file.mapping());
    SlabMap slabs(file.mapping());
    slabs.HarvestEmptySlabs(worker.slot->index(), kAll);
    Ref ref;
    CHECK_CODE(worker.allocator->Allocate(kSmallMax, 2, &ref), FULL);
    CHECK_EQ(Count(file.mapping()).live, tally.live);
    CHECK_EQ(Count(file.mapping()).retired, tally.retired);
    number = 0;
    for (const Ref block : kept) {
      CHECK(slabs.IsBlock(block));
      CHECK(Holds(file.mapping(), block, ++number));
    }
    CHECK(slabs.IsBlock(cached));
    CHECK_EQ(file.mapping()->block_state(cached)->load(), CachedState(idle.slot->index()));
    // The free blocks are as they were: all can be had.
    uint64_t again = 0;
    while (worker.allocator->Allocate(kClassSizes[20], 2, &ref).ok()) again++;
    CHECK_EQ(again, freed);
    for (const auto& [slab, refs] : blocks)
      for (const Ref block : refs)
        if (UseOf(file.mapping(), block) == BlockUse::kLive) worker.allocator->Discard(block);
    file.set_version(11);
  }
  CheckAllComesBack(file, before);
}

TEST(TheLimitOfTheFileIsKept) {
  const TestFile file(1 << 20, 3 << 20);
  Worker worker(file.mapping());
  Ref ref;
  CHECK_CODE(worker.allocator->Allocate(uint64_t{4} << 20, 2, &ref), FULL);
  FillFile(&worker, 28);
  CHECK_EQ(file.length(), uint64_t{3} << 20);
  CHECK_CODE(worker.allocator->Allocate(64 << 10, 2, &ref), FULL);
}

// -- threads --

// A thread with its own random numbers, slot and blocks.
class Churner {
 public:
  struct Block {
    Ref ref;
    uint64_t mark;
    uint64_t birth;
  };
  Churner(const TestFile* file, uint64_t seed) : file_(file), worker_(file->mapping()), random_(seed) {}
  uint64_t wrong() const { return wrong_; }

  void Run(int steps, uint64_t most, bool harvests) {
    for (int i = 0; i < steps; i++) {
      switch (Below(16)) {
        case 0: case 1: case 2: case 3: case 4: case 5:
          if (blocks_.size() < most) Allocate();
          break;
        case 6: case 7: case 8:
          Drop(Pick());
          break;
        case 9: case 10: case 11: case 12:
          Commit();
          break;
        case 13:
          if (Below(4) == 0) worker_.allocator->Reclaim();
          break;
        case 14:
          if (Below(8) == 0) worker_.allocator->Drain(1 + Below(20));
          break;
        default:
          if (Below(16) == 0) worker_.allocator->Flush();
          if (harvests && Below(2) == 0) worker_.allocator->slabs().HarvestEmptySlabs(worker_.slot->index(), 1 + Below(8));
          break;
      }
    }
    while (!blocks_.empty()) Drop(blocks_.size() - 1);
  }

 private:
  uint64_t Below(uint64_t bound) { return random_() % bound; }
  size_t Pick() { return blocks_.empty() ? 0 : Below(blocks_.size()); }

  void Allocate() {
    // A few classes each, the larger ones often: their slabs become empty soon. Sometimes a span.
    const uint64_t kind = Below(10);
    const uint64_t size = kind == 0 ? kSmallMax + Below(3 * kSlabSize) : kind < 6 ? kClassSizes[22 + Below(7)] : kClassSizes[Below(22)];
    const uint64_t birth = file_->version() + 1;
    Ref ref;
    if (!worker_.allocator->Allocate(size, birth, &ref).ok()) return;  // the file has a limit
    const uint64_t mark = random_() | 1;
    if (!worker_.allocator->slabs().IsBlock(ref)) wrong_++;
    if (file_->mapping()->block_state(ref)->load() != LiveState(birth)) wrong_++;
    Fill(file_->mapping(), ref, mark);
    blocks_.push_back({ref, mark, birth});
  }

  void CheckBlock(const Block& block) {
    if (!Holds(file_->mapping(), block.ref, block.mark)) wrong_++;
    if (file_->mapping()->block_state(block.ref)->load() != LiveState(block.birth)) wrong_++;
  }

  void Drop(size_t at) {
    if (blocks_.empty()) return;
    CheckBlock(blocks_[at]);
    worker_.allocator->Discard(blocks_[at].ref);
    Forget(at);
  }

  void Forget(size_t at) {
    blocks_[at] = blocks_.back();
    blocks_.pop_back();
  }

  // Retires a few blocks by a new version. Until the announcement is gone they keep their content.
  void Commit() {
    worker_.slot->Announce();
    std::vector<Block> retired;
    const uint64_t version = file_->header()->version.fetch_add(1) + 1;
    for (uint64_t n = Below(4); n > 0 && !blocks_.empty(); n--) {
      const size_t at = Pick();
      CheckBlock(blocks_[at]);
      worker_.allocator->Retire(blocks_[at].ref, version);
      retired.push_back(blocks_[at]);
      Forget(at);
    }
    if (Below(20) == 0) std::this_thread::yield();
    for (const Block& block : retired)
      if (!Holds(file_->mapping(), block.ref, block.mark)) wrong_++;
    worker_.slot->Clear();
    if (worker_.allocator->WantsReclaim()) worker_.allocator->Reclaim();
  }

  const TestFile* file_;
  Worker worker_;
  std::mt19937_64 random_;
  std::vector<Block> blocks_;
  uint64_t wrong_ = 0;
};

void Churn(const TestFile& file, int threads, int steps, uint64_t most, bool harvests) {
  file.set_version(10);
  const Tally before = Count(file.mapping());
  std::atomic<uint64_t> wrong{0};
  std::vector<std::thread> running;
  for (int t = 0; t < threads; t++)
    running.emplace_back([&, seed = test::Random()()] {
      Churner churner(&file, seed);
      churner.Run(steps, most, harvests);
      wrong.fetch_add(churner.wrong());
    });
  for (std::thread& thread : running) thread.join();
  CHECK_EQ(wrong.load(), 0u);
  CheckAllComesBack(file, before);
}

TEST(OneThreadLosesNothing) { Churn(TestFile(1 << 20), 1, 60'000, 400, true); }

TEST(ThreadsLoseNothing) { Churn(TestFile(1 << 20), 4, 40'000, 300, false); }

// The file is too small for all that they want: slabs change their use all the time.
TEST(ThreadsHarvestAndRefillAtOnce) {
  for (int round = 0; round < 4; round++) Churn(TestFile(1 << 20, 6 << 20), 4, 15'000, 60, true);
}

// What an interrupted operation holds comes back: a patient caller is told so, but not twice of the same operation.
TEST(NobodyGrowsTheFileForAnInterruptedOperation) {
  const TestFile file(1 << 20, 1 << 20);  // and it cannot grow
  Worker w(file.mapping());
  Worker other(file.mapping());
  file.set_version(10);
  other.slot->Announce();
  std::vector<Ref> refs;
  Ref ref;
  while (w.allocator->Allocate(kSmallMax, 5, &ref).ok()) refs.push_back(ref);
  file.set_version(11);
  for (const Ref block : refs) w.allocator->Retire(block, 11);
  CHECK_EQ(w.allocator->Allocate(kSmallMax, 11, &ref).os_error(), 0);  // who cannot begin again is not told to wait
  w.allocator->set_patient(true);
  CHECK(IsSpaceSoon(w.allocator->Allocate(kSmallMax, 11, &ref)));
  w.allocator->AwaitSpace();
  const Status again = w.allocator->Allocate(kSmallMax, 11, &ref);
  CHECK(again.code() == Code::kFULL && !IsSpaceSoon(again));
  other.slot->Clear();
  CHECK(w.allocator->Allocate(kSmallMax, 11, &ref).ok());
}

// An operation that waits for space says so, as it does for every other wait: a Python thread lets others run meanwhile.
TEST(AWaitForSpaceIsTold) {
  const TestFile file(1 << 20);
  const auto session = test::OpenSession(file.path());
  REQUIRE(session != nullptr);
  Worker other(file.mapping());
  struct Told {
    ThreadSlot* slot;
    bool waits = false;
  } told{other.slot.get()};
  WaitHooks hooks;
  hooks.before = [](void* context) {
    static_cast<Told*>(context)->waits = true;
    static_cast<Told*>(context)->slot->Clear();
  };
  hooks.after = [](void*) {};
  hooks.context = &told;
  session->SetWaitHooks(hooks);
  CHECK(test::SetText(session.get(), "k", "v").ok());
  other.slot->Announce();
  const std::string value(20'000, 'v');
  for (int i = 0; i < 1000 && !told.waits; i++) CHECK(test::SetText(session.get(), "k", value).ok());
  CHECK(told.waits);
}

// Once, draining went around in the region in which it had begun, and never came to the others.
TEST(DrainingComesByEveryRegion) {
  const TestFile file(3 * kRegionSize);
  Worker w(file.mapping());
  file.set_version(10);
  std::vector<Ref> refs;
  while (refs.empty() || RefOffset(refs.back()) < 2 * kRegionSize + kSlabSize) {
    Ref ref;
    REQUIRE(w.allocator->Allocate(kSmallMax, 5, &ref).ok());
    refs.push_back(ref);
  }
  // In the first region nothing can go, in the others everything.
  Worker holder(file.mapping());
  REQUIRE(test::Pin(holder.slot.get(), 5, PinKind::kSnapshot) != kPinCells);
  for (const Ref ref : refs) {
    if (RefOffset(ref) >= kRegionSize) file.mapping()->block_state(ref)->store(LiveState(6));
    w.allocator->Retire(ref, 9);
  }
  w.allocator->Flush();
  w.allocator->Drain(~uint64_t{0});
  uint64_t left = 0;
  for (const Ref ref : refs) left += RefOffset(ref) >= kRegionSize && UseOf(file.mapping(), ref) == BlockUse::kRetired ? 1 : 0;
  CHECK_EQ(left, 0u);
}

// Once, draining brought blocks of the wanted class, and only whole slabs were looked for afterwards.
TEST(DrainedBlocksAreUsedBeforeFull) {
  const TestFile file(1 << 20, 4 << 20);
  Worker w(file.mapping());
  file.set_version(10);
  std::vector<Ref> other;
  std::vector<Ref> wanted;
  Ref ref;
  for (int i = 0; i < 12 * 12; i++) {  // twelve slabs of twelve blocks
    REQUIRE(w.allocator->Allocate(5120, 5, &ref).ok());
    other.push_back(ref);
  }
  while (w.allocator->Allocate(kSmallMax, 5, &ref).ok()) wanted.push_back(ref);
  REQUIRE(wanted.size() > 20);
  // One block of each slab is reusable, so that no slab becomes empty.
  for (size_t i = 0; i < other.size(); i += 12) w.allocator->Retire(other[i], 9);
  for (size_t i = 0; i < wanted.size(); i += 2) w.allocator->Retire(wanted[i], 9);
  w.allocator->Flush();
  for (size_t i = 0; i < wanted.size() / 2; i++) CHECK(w.allocator->Allocate(kSmallMax, 11, &ref).ok());
}

}  // namespace
}  // namespace pongo
