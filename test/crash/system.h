// The harness between the engine and the operating system: faults, kills at steps, a boot id of our own, and syncs that a
// simulated disk sees instead of the device.
//
// The linker redirects the engine's calls here (programs.cmake). Everything is off until a test arms it, and faults and
// kills concern only the thread that armed them.
#ifndef PONGO_TEST_CRASH_SYSTEM_H_
#define PONGO_TEST_CRASH_SYSTEM_H_

#include <cstdint>
#include <string>

#include "util/testing.h"

namespace pongo::test {

// kPwritev2Sync: the second half of a pwritev2 with RWF_DSYNC. The file is written by then, and not yet durable.
enum class Call { kOpen, kMmap, kFallocate, kFtruncate, kPwrite, kPwritev2, kPwritev2Sync, kFdatasync, kFsync, kFcntl, kCount };
const char* CallName(Call call);

// The nth call of this kind from now on fails with `error`; with `for_good` all later ones as well.
void ArmFault(Call call, uint64_t nth, bool for_good, int error);
// Calls of the armed kind seen since, and whether one has failed.
uint64_t FaultCallsSeen();
bool FaultHappened();
void DisarmFaults();

// Steps of this thread: shared words touched, points passed, calls made. kill_at = 0 only counts.
void CountSteps(uint64_t kill_at);
uint64_t StepsCounted();
// At the nth time that a PONGO_POINT of this name is passed, the process is killed.
void KillAtPoint(const char* name, uint64_t nth);

// The run of the kernel that the engine believes in; 0: the real one.
void SetBootId(uint64_t id);

// Who sees the calls of this process for one file.
class FileWatcher {
 public:
  virtual ~FileWatcher() = default;
  virtual void BeforeSync() = 0;
  virtual void AfterSync(bool with_length) = 0;
  virtual void AfterWrite() = 0;  // pwrite, pwritev2, ftruncate or fallocate
  // After AfterWrite and BeforeSync: pwritev2 with RWF_DSYNC, which makes durable what it has written, and nothing else.
  virtual void AfterDurableWrite(uint64_t offset, uint64_t size) = 0;
};
// From now on syncs of the file do not reach the device. nullptr ends it.
void WatchFile(const std::string& path, FileWatcher* watcher);
// Syncs that nobody watches do nothing: for the databases of tests that are thrown away.
void SkipSyncs(bool skip);

// Scheduled threads (scheduler.h) that slept on a futex when nobody was left to wake them.
uint64_t LostSleeps();
void ForgetLostSleeps();

// The planted bug of this run, from the environment variable PONGO_PLANT; 0: none. Called before main().
int Planted();

}  // namespace pongo::test

#endif  // PONGO_TEST_CRASH_SYSTEM_H_
