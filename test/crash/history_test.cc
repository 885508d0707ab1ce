// A history of operations with their commit versions is explained by one order: that of the versions. Threads increment, swap,
// transfer and read a few hot keys; each notes when it began and ended, which version it made or saw, and what was answered.
// Replayed in the order of versions, every answer must come out again (a read at the version that it saw), and whoever began
// after another had ended must have the later version. The same with processes that are killed: the operation that one was in may
// be in the history or not; everything else must be explained.

#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "child.h"
#include "database_impl.h"
#include "test/crash/crash_support.h"

namespace pongo {
namespace {

using namespace pongo::test;

constexpr int kThreads = 4;
constexpr int kKeys = 5;
constexpr uint64_t kOperations = 1'000'000;  // of all threads

enum class Kind8 : uint8_t { kIncrement, kSwap, kTransfer, kRead };

struct Event {
  uint64_t began, ended, version;
  int64_t answer[2];
  int64_t argument;
  uint8_t key[2];
  Kind8 kind;
};

std::string KeyName(int key) { return "k" + std::to_string(key); }

// Some neighbours share a leaf, others have enough between them for a leaf each: commits meet in one leaf, and pass in different ones.
void StartKeys(Session* session) {
  const std::string text(40, 't');
  for (int k = 0; k < kKeys; k++) {
    CHECK_OK(session->Set(kRootId, TextKey(KeyName(k)).key(), IntInput(0), 0));
    for (int i = 0; k % 2 == 1 && i < 80; i++) CHECK_OK(session->Set(kRootId, TextKey(KeyName(k) + std::to_string(i)).key(), TextInput(text), 0));
  }
}

Event SomeOperation(std::mt19937_64* random) {
  Event event{};
  event.kind = static_cast<Kind8>((*random)() % 4);
  event.key[0] = static_cast<uint8_t>((*random)() % kKeys);
  event.key[1] = static_cast<uint8_t>((event.key[0] + 1 + (*random)() % (kKeys - 1)) % kKeys);
  event.argument = static_cast<int64_t>((*random)() % 1000);
  return event;
}

// Fills in what was answered, and when.
Status Perform(SessionImpl* impl, Event* event) {
  const TextKey first(KeyName(event->key[0])), second(KeyName(event->key[1]));
  Status status;
  const auto noted = [event](int i) { return [event, i](const ValueView& v) { event->answer[i] = v.integer; }; };
  event->began = port::Nanoseconds();
  switch (event->kind) {
    case Kind8::kIncrement:
      status = impl->Write(false, [&](Operations& o) { return o.Increment(kRootId, first.key(), IntInput(event->argument).view, noted(0)); });
      break;
    case Kind8::kSwap:  // sets the value, answers what was there
      status = impl->Write(false, [&](Operations& o) -> Status {
        PONGO_TRY(o.Increment(kRootId, first.key(), IntInput(0).view, noted(0)));
        return o.Set(kRootId, first.key(), IntInput(event->argument), 0);
      });
      break;
    case Kind8::kTransfer:
      status = impl->Write(false, [&](Operations& o) -> Status {
        PONGO_TRY(o.Increment(kRootId, first.key(), IntInput(-event->argument).view, noted(0)));
        return o.Increment(kRootId, second.key(), IntInput(event->argument).view, noted(1));
      });
      break;
    case Kind8::kRead: {
      const uint64_t word = impl->slot.Announce();
      Base base;
      status = ReadBase(impl->mapping, word, &base);
      event->version = base.version;
      const ReadView view(impl->mapping, base.table);
      for (int k = 0; k < 2 && status.ok(); k++) status = GetValue(view, kRootId, (k == 0 ? first : second).key(), noted(k));
      impl->slot.Clear();
      break;
    }
  }
  if (event->kind != Kind8::kRead) event->version = impl->transaction.committed_version();
  event->ended = port::Nanoseconds();
  return status;
}

// One thread: a slot of its own.
void Play(const std::shared_ptr<DatabaseFile>& file, uint64_t seed, uint64_t count, std::vector<Event>* events, bool* failed) {
  SessionImpl impl(file);
  if (!impl.slot.Claim().ok()) std::abort();
  std::mt19937_64 random(seed);
  events->reserve(count);
  for (uint64_t i = 0; i < count && !*failed; i++) {
    Event event = SomeOperation(&random);
    if (!Perform(&impl, &event).ok()) *failed = true;
    events->push_back(event);
  }
  impl.slot.Release();
}

// Does an operation in the values that it met; false when its answer was another one.
bool Replay(const Event& e, int64_t (&values)[kKeys], bool answered = true) {
  int64_t& first = values[e.key[0]];
  int64_t& second = values[e.key[1]];
  int64_t expected[2] = {first, second};
  if (e.kind == Kind8::kIncrement) expected[0] = first += e.argument;
  if (e.kind == Kind8::kSwap) first = e.argument;
  if (e.kind == Kind8::kTransfer) {
    expected[0] = first -= e.argument;
    expected[1] = second += e.argument;
  }
  const bool both = e.kind == Kind8::kRead || e.kind == Kind8::kTransfer;
  return !answered || (e.answer[0] == expected[0] && (!both || e.answer[1] == expected[1]));
}

void SortByVersion(std::vector<Event>* events) {
  std::sort(events->begin(), events->end(), [](const Event& a, const Event& b) {
    return a.version != b.version ? a.version < b.version : a.kind != Kind8::kRead && b.kind == Kind8::kRead;
  });
}

// Every answer comes out again in the order of the versions.
void CheckAnswers(std::vector<Event> events) {
  SortByVersion(&events);
  int64_t values[kKeys] = {};
  uint64_t written = 0;
  for (const Event& e : events) {
    const bool read = e.kind == Kind8::kRead;
    if (!read && e.version == written) Fail(__FILE__, __LINE__, "two commits made version " + std::to_string(written));
    if (!read) written = e.version;
    if (!Replay(e, values)) Fail(__FILE__, __LINE__, "version " + std::to_string(e.version) + " answered " + std::to_string(e.answer[0]));
  }
}

// Whoever began after another had ended has at least its version, a writer a later one.
void CheckRealTime(const std::vector<Event>& events) {
  std::vector<const Event*> by_begin, by_end;
  for (const Event& e : events) by_begin.push_back(&e);
  by_end = by_begin;
  std::sort(by_begin.begin(), by_begin.end(), [](const Event* a, const Event* b) { return a->began < b->began; });
  std::sort(by_end.begin(), by_end.end(), [](const Event* a, const Event* b) { return a->ended < b->ended; });
  uint64_t newest = 0;
  size_t ended = 0;
  for (const Event* e : by_begin) {
    for (; ended < by_end.size() && by_end[ended]->ended < e->began; ended++) newest = std::max(newest, by_end[ended]->version);
    if (e->version < newest || (e->version == newest && e->kind != Kind8::kRead))
      Fail(__FILE__, __LINE__, "version " + std::to_string(e->version) + " began after version " + std::to_string(newest) + " had ended");
  }
}

TEST(VersionsExplainEveryAnswer) {
  SkipSyncs(true);
  const uint64_t rounds = Scale();
  uint64_t total = 0;
  for (uint64_t round = 0; round < rounds && Failures() == 0; round++) {
    const Folder folder;
    OpenOptions options = QuietOptions();
    options.checkpoint_interval_ms = 5;  // checkpoints come in between
    {
      auto session = OpenSession(folder.File("db"), options);
      REQUIRE(session != nullptr);
      StartKeys(session.get());
    }
    std::string detail;
    auto file = DatabaseFile::Open(folder.File("db"), options, &detail);
    REQUIRE(file.ok());
    file.value()->WantCheckpoints();
    std::vector<Event> events[kThreads];
    bool failed[kThreads] = {};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++)
      threads.emplace_back([&, t] { Play(file.value(), Seed() + round * 100 + static_cast<uint64_t>(t), kOperations / kThreads, &events[t], &failed[t]); });
    for (std::thread& thread : threads) thread.join();
    std::vector<Event> all;
    for (int t = 0; t < kThreads; t++) {
      CHECK(!failed[t]);
      all.insert(all.end(), events[t].begin(), events[t].end());
    }
    total += all.size();
    CheckRealTime(all);
    CheckAnswers(std::move(all));
  }
  std::printf("operations of the history: %llu\n", static_cast<unsigned long long>(total));
}

// -- processes that are killed --

constexpr int kProcesses = 4;
constexpr size_t kLifeMax = 4'000;  // operations

// What one life has told, in memory that it shares with who looks at it afterwards. The last operation may be under way.
struct Life {
  std::atomic<uint64_t> begun;
  std::atomic<uint64_t> ended;
  Event events[kLifeMax];
};

int PlayUntilKilled(const std::string& path, uint64_t seed, uint64_t kill_at, Life* life) {
  CountSteps(kill_at);
  std::mt19937_64 random(seed);
  OpenOptions options = QuietOptions();
  options.checkpoint_interval_ms = 5;
  std::string detail;
  auto file = DatabaseFile::Open(path, options, &detail);
  if (!file.ok()) return 2;
  file.value()->WantCheckpoints();
  SessionImpl impl(file.value());
  if (!impl.slot.Claim().ok()) return 3;
  for (uint64_t i = 0; i < kLifeMax; i++) {
    life->events[i] = SomeOperation(&random);
    life->events[i].began = port::Nanoseconds();
    life->begun.store(i + 1);
    if (!Perform(&impl, &life->events[i]).ok()) return 4;
    life->ended.store(i + 1);
  }
  return raise(SIGKILL);
}

// The operations that were under way at a death may have been committed, in versions of which nobody has told.
class Explanation {
 public:
  Explanation(std::vector<Event> told, std::vector<Event> open, uint64_t first) : told_(std::move(told)), open_(std::move(open)), first_(first) {
    SortByVersion(&told_);
    used_.resize(open_.size());
  }
  // Whether one order explains everything; the open operations that are in it have their versions then.
  bool Find() {
    int64_t values[kKeys] = {};
    return From(0, first_, values);
  }
  std::vector<Event> All() const {
    std::vector<Event> all = told_;
    for (size_t i = 0; i < open_.size(); i++)
      if (used_[i]) all.push_back(open_[i]);
    return all;
  }
  uint64_t reached() const { return reached_; }  // the latest version that was explained
  uint64_t committed() const { return static_cast<uint64_t>(std::count(used_.begin(), used_.end(), true)); }

 private:
  // From event i on, the next commit being that of `version`.
  bool From(size_t i, uint64_t version, const int64_t (&before)[kKeys]) {
    int64_t values[kKeys];
    std::copy(std::begin(before), std::end(before), values);
    for (; i < told_.size(); i++) {
      const Event& e = told_[i];
      const bool read = e.kind == Kind8::kRead;
      if (e.version >= version && (read || e.version > version)) return Missing(i, version, values);
      if (!Replay(e, values)) return false;
      if (!read) version++;
      reached_ = std::max(reached_, e.version);
    }
    return true;
  }
  // Nobody has told of `version`: one of the dead made it.
  bool Missing(size_t i, uint64_t version, const int64_t (&before)[kKeys]) {
    for (size_t k = 0; k < open_.size(); k++) {
      if (used_[k] || open_[k].kind == Kind8::kRead) continue;
      int64_t values[kKeys];
      std::copy(std::begin(before), std::end(before), values);
      static_cast<void>(Replay(open_[k], values, false));
      used_[k] = true;
      open_[k].version = version;
      if (InTime(open_[k]) && From(i, version + 1, values)) return true;
      used_[k] = false;
    }
    return false;
  }
  bool InTime(const Event& dead) const {
    return std::none_of(told_.begin(), told_.end(), [&](const Event& e) {
      return (e.ended < dead.began && e.version >= dead.version) ||
             (dead.ended < e.began && (e.version < dead.version));
    });
  }

  std::vector<Event> told_, open_;
  uint64_t first_;
  std::vector<bool> used_;
  uint64_t reached_ = 0;
};

TEST(VersionsExplainEveryAnswerOfTheDead) {
  SkipSyncs(true);
  uint64_t kills = 0, told = 0, open = 0, committed = 0;
  for (uint64_t round = 0; round < 4 * Scale() && Failures() == 0; round++) {
    const Folder folder;
    const std::string path = folder.File("db");
    uint64_t first;
    {
      auto session = OpenSession(path, QuietOptions());
      REQUIRE(session != nullptr);
      StartKeys(session.get());
      first = VersionOf(session.get()) + 1;
    }
    void* shared = mmap(nullptr, kProcesses * sizeof(Life), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    Life* lives = static_cast<Life*>(shared);
    std::mt19937_64 random(Seed() + round);
    pid_t pids[kProcesses];
    std::vector<Event> done, under_way;
    const auto start = [&](int i) {
      lives[i].begun.store(0);
      lives[i].ended.store(0);
      const uint64_t seed = random();
      const uint64_t kill_at = 1 + random() % (random() % 4 == 0 ? 3'000 : 60'000);
      pids[i] = StartChild([&] { return PlayUntilKilled(path, seed, kill_at, &lives[i]); });
    };
    for (int i = 0; i < kProcesses; i++) start(i);
    for (int n = 0; n < 50; n++) {
      const int i = n % kProcesses;
      CHECK(Killed(AwaitChild(pids[i])));
      kills++;
      const uint64_t ended = lives[i].ended.load();
      done.insert(done.end(), lives[i].events, lives[i].events + ended);
      if (lives[i].begun.load() > ended) {
        under_way.push_back(lives[i].events[ended]);
        under_way.back().ended = port::Nanoseconds();
      }
      if (n + kProcesses < 50) start(i);
    }
    munmap(shared, kProcesses * sizeof(Life));
    told += done.size();
    open += under_way.size();
    Explanation explanation(done, under_way, first);
    if (!explanation.Find()) {
      Fail(__FILE__, __LINE__, "no order explains the answers; version " + std::to_string(explanation.reached()) + " was reached");
      return;
    }
    committed += explanation.committed();
    CheckRealTime(explanation.All());
    auto session = OpenSession(path, QuietOptions());
    REQUIRE(session != nullptr);
    Counts before, after;
    CHECK_OK(session->Gc(true, &before, &after));
    VerifyClean(session.get());
  }
  std::printf("history with %llu kills: %llu operations; %llu were under way, of which %llu committed\n", static_cast<unsigned long long>(kills),
              static_cast<unsigned long long>(told), static_cast<unsigned long long>(open), static_cast<unsigned long long>(committed));
}

}  // namespace
}  // namespace pongo
