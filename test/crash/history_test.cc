// A history of operations with their commit versions is explained by one order: that of the versions. Threads increment, swap,
// transfer and read a few hot keys; each notes when it began and ended, which version it made or saw, and what was answered.
// Replayed in the order of versions, every answer must come out again (a read at the version that it saw), and whoever began
// after another had ended must have the later version.

#include <algorithm>
#include <map>
#include <thread>
#include <vector>

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

// One thread: a slot of its own.
void Play(const std::shared_ptr<DatabaseFile>& file, uint64_t seed, uint64_t count, std::vector<Event>* events, bool* failed) {
  SessionImpl impl(file);
  if (!impl.slot.Claim().ok()) std::abort();
  std::mt19937_64 random(seed);
  events->reserve(count);
  for (uint64_t i = 0; i < count && !*failed; i++) {
    Event event{};
    event.kind = static_cast<Kind8>(random() % 4);
    event.key[0] = static_cast<uint8_t>(random() % kKeys);
    event.key[1] = static_cast<uint8_t>((event.key[0] + 1 + random() % (kKeys - 1)) % kKeys);
    event.argument = static_cast<int64_t>(random() % 1000);
    const TextKey first(KeyName(event.key[0])), second(KeyName(event.key[1]));
    Status status;
    event.began = port::Nanoseconds();
    switch (event.kind) {
      case Kind8::kIncrement:
        status = impl.Write(false, [&](Operations& o) {
          return o.Increment(kRootId, first.key(), IntInput(event.argument).view, [&](const ValueView& v) { event.answer[0] = v.integer; });
        });
        event.version = impl.transaction.committed_version();
        break;
      case Kind8::kSwap:  // sets the value, answers what was there
        status = impl.Write(false, [&](Operations& o) -> Status {
          const Input zero = IntInput(0);
          PONGO_TRY(o.Increment(kRootId, first.key(), zero.view, [&](const ValueView& v) { event.answer[0] = v.integer; }));
          return o.Set(kRootId, first.key(), IntInput(event.argument), 0);
        });
        event.version = impl.transaction.committed_version();
        break;
      case Kind8::kTransfer:
        status = impl.Write(false, [&](Operations& o) -> Status {
          PONGO_TRY(o.Increment(kRootId, first.key(), IntInput(-event.argument).view, [&](const ValueView& v) { event.answer[0] = v.integer; }));
          return o.Increment(kRootId, second.key(), IntInput(event.argument).view, [&](const ValueView& v) { event.answer[1] = v.integer; });
        });
        event.version = impl.transaction.committed_version();
        break;
      case Kind8::kRead: {
        const uint64_t word = impl.slot.Announce();
        Base base;
        status = ReadBase(impl.mapping, word, &base);
        event.version = base.version;
        const ReadView view(impl.mapping, base.table);
        for (int k = 0; k < 2 && status.ok(); k++)
          status = GetValue(view, kRootId, (k == 0 ? first : second).key(), [&](const ValueView& v) { event.answer[k] = v.integer; });
        impl.slot.Clear();
        break;
      }
    }
    event.ended = port::Nanoseconds();
    if (!status.ok()) *failed = true;
    events->push_back(event);
  }
  impl.slot.Release();
}

// Every answer comes out again in the order of the versions.
void CheckAnswers(std::vector<Event> events) {
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return a.version != b.version ? a.version < b.version : a.kind != Kind8::kRead && b.kind == Kind8::kRead;
  });
  int64_t values[kKeys] = {};
  uint64_t written = 0;
  for (const Event& e : events) {
    int64_t& first = values[e.key[0]];
    int64_t& second = values[e.key[1]];
    const bool read = e.kind == Kind8::kRead;
    if (!read && e.version == written) Fail(__FILE__, __LINE__, "two commits made version " + std::to_string(written));
    if (!read) written = e.version;
    int64_t expected[2] = {first, second};
    if (e.kind == Kind8::kIncrement) expected[0] = first += e.argument;
    if (e.kind == Kind8::kSwap) first = e.argument;
    if (e.kind == Kind8::kTransfer) {
      expected[0] = first -= e.argument;
      expected[1] = second += e.argument;
    }
    const bool both = read || e.kind == Kind8::kTransfer;
    if (e.answer[0] != expected[0] || (both && e.answer[1] != expected[1]))
      Fail(__FILE__, __LINE__, "version " + std::to_string(e.version) + " answered " + std::to_string(e.answer[0]) + ", not " + std::to_string(expected[0]));
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
      for (int k = 0; k < kKeys; k++) CHECK_OK(session->Set(kRootId, TextKey(KeyName(k)).key(), IntInput(0), 0));
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

}  // namespace
}  // namespace pongo
