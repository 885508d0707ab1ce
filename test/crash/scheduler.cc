#include "test/crash/scheduler.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "util/testing.h"

namespace pongo::test {
namespace {

constexpr size_t kStackSize = 256u << 10;
constexpr uint64_t kStepsMax = 2'000'000;  // of one schedule: more means that it never ends

enum class FiberState { kReady, kEnded, kDead };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<uint8_t[]> stack;
  FiberState state = FiberState::kReady;
};

struct Schedule {
  Scenario* scenario = nullptr;
  std::vector<Fiber> fibers;
  ucontext_t main;
  int current = -1;
  uint64_t budget = 0;      // steps until the running fiber is preempted
  uint64_t taken = 0;
  uint64_t total = 0;
  bool gave_way = false;
};

Schedule* running = nullptr;
// Stacks are used again: most schedules are short.
std::vector<std::unique_ptr<uint8_t[]>> spare_stacks;

void ToMain() { swapcontext(&running->fibers[static_cast<size_t>(running->current)].context, &running->main); }

void OnStep(const char* name) {
  if (running == nullptr || running->current < 0 || running->scenario->Ignores(name)) return;
  if (++running->total > kStepsMax) std::abort();
  if (running->budget == 0) {
    ToMain();
    return;
  }
  running->budget--;
  running->taken++;
}

void FiberMain() {
  Schedule* schedule = running;
  const int self = schedule->current;
  schedule->scenario->Run(self);
  schedule->fibers[static_cast<size_t>(self)].state = FiberState::kEnded;
  ToMain();
}

[[gnu::noinline]] void Prepare(Fiber* fiber) {
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack.get();
  fiber->context.uc_stack.ss_size = kStackSize;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, FiberMain, 0);
}

// Runs a fiber until it ends, gives way or has taken `steps`.
uint64_t Resume(int thread, uint64_t steps) {
  running->current = thread;
  running->budget = steps;
  running->taken = 0;
  running->gave_way = false;
  // The step at which it was preempted counts as taken when it goes on.
  swapcontext(&running->main, &running->fibers[static_cast<size_t>(thread)].context);
  running->current = -1;
  return running->taken;
}

bool Ready(int thread) { return running->fibers[static_cast<size_t>(thread)].state == FiberState::kReady; }

// Runs a thread for so many steps; when it gives way, others go first, each as far as it can.
uint64_t RunFor(int thread, uint64_t steps) {
  uint64_t taken = 0;
  const int count = static_cast<int>(running->fibers.size());
  while (Ready(thread) && taken < steps) {
    taken += Resume(thread, steps - taken);
    if (!running->gave_way) break;
    for (int other = 0; other < count; other++)
      if (other != thread && Ready(other)) Resume(other, ~uint64_t{0});
  }
  return taken;
}

}  // namespace

bool InFiber() { return running != nullptr && running->current >= 0; }

bool OthersReady() {
  for (size_t i = 0; i < running->fibers.size(); i++)
    if (static_cast<int>(i) != running->current && running->fibers[i].state == FiberState::kReady) return true;
  return false;
}

void GiveWay() {
  if (!InFiber()) return;
  running->gave_way = true;
  ToMain();
}

std::string RunSchedule(Scenario* scenario, const std::vector<Segment>& segments, int last, std::vector<uint64_t>* taken, uint64_t* rest) {
  Schedule schedule;
  schedule.scenario = scenario;
  schedule.fibers.resize(static_cast<size_t>(scenario->thread_count()));
  for (Fiber& fiber : schedule.fibers) {
    if (spare_stacks.empty()) {
      fiber.stack = std::make_unique<uint8_t[]>(kStackSize);
    } else {
      fiber.stack = std::move(spare_stacks.back());
      spare_stacks.pop_back();
    }
    Prepare(&fiber);
  }
  running = &schedule;
  testing::step_hook = OnStep;
  taken->clear();
  for (const Segment& segment : segments) {
    taken->push_back(RunFor(segment.thread, segment.steps));
    if (segment.dies && Ready(segment.thread)) {
      schedule.fibers[static_cast<size_t>(segment.thread)].state = FiberState::kDead;
      scenario->Die(segment.thread);
    }
  }
  for (bool any = true; any;) {
    any = false;
    const int count = static_cast<int>(schedule.fibers.size());
    for (int i = 0; i < count; i++) {
      const int thread = (last + i) % count;
      if (!Ready(thread)) continue;
      any = true;
      const uint64_t steps = Resume(thread, ~uint64_t{0});
      if (rest != nullptr && thread == last) *rest += steps;
    }
  }
  testing::step_hook = nullptr;
  running = nullptr;
  for (Fiber& fiber : schedule.fibers) spare_stacks.push_back(std::move(fiber.stack));
  return scenario->Check();
}

namespace {

struct Search {
  const std::function<Scenario*()>* make;
  Explored* result;
  int threads;
  bool may_die;
  uint64_t random;  // the state of an xorshift generator, never 0
  uint64_t places = 0;  // steps after the last preemption of each schedule

  uint64_t Below(uint64_t end) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random % end;
  }

  // Runs the schedule with every order of the end; false when it failed. *taken: of the last segment.
  bool Try(const std::vector<Segment>& segments, uint64_t* taken) {
    for (int last = 0; last < threads; last++) {
      if (!segments.empty() && last == segments.back().thread) continue;  // that would be no preemption
      std::unique_ptr<Scenario> scenario((*make)());
      std::vector<uint64_t> ran;
      const std::string wrong = RunSchedule(scenario.get(), segments, last, &ran, &places);
      result->count++;
      *taken = ran.empty() ? 0 : ran.back();
      if (wrong.empty()) continue;
      result->failure = wrong + "; schedule:";
      for (const Segment& segment : segments)
        result->failure += " thread " + std::to_string(segment.thread) + " for " + std::to_string(segment.steps) + " steps" +
                    (segment.dies ? " and dies," : ",");
      result->failure += " then thread " + std::to_string(last);
      return false;
    }
    return true;
  }

  // Threads that a schedule lets run to their end, which costs no preemption.
  static int Ended(const std::vector<Segment>& segments) {
    return static_cast<int>(std::count_if(segments.begin(), segments.end(), [](const Segment& s) { return s.steps == ~uint64_t{0}; }));
  }

  bool Extend(std::vector<Segment>* segments, int preemptions) {
    if (preemptions == 0) return true;
    for (int thread = 0; thread < threads; thread++) {
      if (!segments->empty() && segments->back().thread == thread) continue;
      for (const bool dies : {false, true}) {
        if (dies && !may_die) continue;
        const uint64_t stride = preemptions == 1 ? result->stride : 1;
        for (uint64_t steps = (segments->empty() ? 0 : 1) + (stride == 1 ? 0 : Below(stride));; steps += stride) {
          segments->push_back({thread, steps, dies});
          uint64_t taken = 0;
          const bool ok = Try(*segments, &taken) && (taken < steps || Extend(segments, preemptions - 1));
          segments->pop_back();
          if (!ok) return false;
          if (taken < steps) {  // it ended before: no place is left
            segments->push_back({thread, ~uint64_t{0}, false});
            const bool fine = dies || Ended(*segments) + 1 >= threads || Extend(segments, preemptions);
            segments->pop_back();
            if (!fine) return false;
            break;
          }
        }
      }
    }
    return true;
  }
};

}  // namespace

Explored Explore(const std::function<Scenario*()>& make, const Bound& bound) {
  std::unique_ptr<Scenario> probe(make());
  const int threads = probe->thread_count();
  const bool may_die = probe->may_die();
  probe.reset();
  Explored result;
  Search search{&make, &result, threads, may_die, bound.seed * 0x9e3779b97f4a7c15u | 1};
  const auto run = [&](int preemptions) {
    std::vector<Segment> segments;
    uint64_t taken;
    search.places = 0;
    return search.Try(segments, &taken) && search.Extend(&segments, preemptions);
  };
  // The schedules with one preemption less tell at how many places there could be one more.
  if (bound.preemptions > 1 && !run(bound.preemptions - 1)) return result;
  result.stride = bound.preemptions > 1 ? search.places / bound.limit + 1 : 1;
  static_cast<void>(run(bound.preemptions));
  return result;
}

}  // namespace pongo::test
