// A deterministic scheduler: "threads" of a scenario are fibers of one thread, switched at steps (util/testing.h), so that a
// schedule can be repeated exactly, and all schedules with few preemptions be tried one after the other.
//
// A schedule says how many steps a thread runs before it is preempted, and by whom; a preempted thread may also die there: it
// never runs again, and Scenario::Die does what the kernel would do. A thread that sleeps or waits for a lock gives way without
// a preemption. Sequentially consistent: reorderings of weak memory are not explored.
#ifndef PONGO_TEST_CRASH_SCHEDULER_H_
#define PONGO_TEST_CRASH_SCHEDULER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pongo::test {

// One scenario; a fresh object for each schedule.
class Scenario {
 public:
  virtual ~Scenario() = default;
  virtual int thread_count() const = 0;
  virtual void Run(int thread) = 0;
  virtual void Die(int) {}
  virtual bool may_die() const { return false; }
  // After all threads have ended or died. An empty string, or what is wrong.
  virtual std::string Check() = 0;
  // Steps that no switch is tried at: what concerns one thread only, and what happens under a mutex of the process.
  virtual bool Ignores(const char*) const { return false; }
};

struct Segment {
  int thread = 0;
  uint64_t steps = 0;  // then it is preempted
  bool dies = false;
};

// Gives way to the others, once; no preemption. Only inside Scenario::Run.
void GiveWay();
// True inside a scheduled thread.
bool InFiber();
// Whether there is anybody to give way to: a thread that has neither ended nor died. A thread that waits counts.
bool OthersReady();

// Runs one schedule: the segments in turn, then `last` to its end, then the others in order. `taken` receives the steps that each
// segment really ran: fewer when the thread ended first. `rest` is raised by the steps of `last` after the segments.
std::string RunSchedule(Scenario* scenario, const std::vector<Segment>& segments, int last, std::vector<uint64_t>* taken,
                        uint64_t* rest = nullptr);

// How far Explore goes. When all schedules with `preemptions` would be more than about `limit`, those with one less are still all
// tried, and of the last preemption's places every nth, from a random first one on (`seed`).
struct Bound {
  int preemptions = 2;
  uint64_t limit = ~uint64_t{0};
  uint64_t seed = 1;
};

struct Explored {
  uint64_t count = 0;   // schedules
  uint64_t stride = 1;  // 1: all of them
  std::string failure;  // the first that failed, described; it ends the search
};

Explored Explore(const std::function<Scenario*()>& make, const Bound& bound);

}  // namespace pongo::test

#endif  // PONGO_TEST_CRASH_SCHEDULER_H_
