#include "test/crash/system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "test/crash/scheduler.h"

extern "C" {
int __real_open(const char* path, int flags, ...);
void* __real_mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_fallocate(int fd, int mode, off_t offset, off_t size);
int __real_ftruncate(int fd, off_t size);
ssize_t __real_pwrite(int fd, const void* bytes, size_t size, off_t offset);
ssize_t __real_pwritev2(int fd, const struct iovec* parts, int count, off_t offset, int flags);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_fcntl(int fd, int command, ...);
int __real_sync_file_range(int fd, off_t offset, off_t size, unsigned int flags);
int __real_nanosleep(const struct timespec* wanted, struct timespec* left);
int __real_clock_gettime(clockid_t clock, struct timespec* time);
long __real_syscall(long number, ...);
}

namespace pongo::test {
namespace {

struct Fault {
  bool armed = false;
  Call call = Call::kOpen;
  uint64_t nth = 0;
  bool for_good = false;
  int error = 0;
  uint64_t seen = 0;
  bool happened = false;
};
thread_local Fault fault;

thread_local uint64_t steps = 0;
thread_local uint64_t kill_at = 0;
thread_local const char* kill_point = nullptr;
thread_local uint64_t kill_point_nth = 0;

uint64_t boot_id = 0;
uint64_t fiber_time = 1;
uint64_t fiber_wakes = 0;   // calls that wake who sleeps on a futex
uint64_t lost_sleeps = 0;
char boot_id_path[64] = "";
bool skip_syncs = false;
FileWatcher* watched = nullptr;
dev_t watched_device = 0;
ino_t watched_inode = 0;

void Step(const char* name) {
  steps++;
  if (steps == kill_at) raise(SIGKILL);
  if (kill_point != nullptr && strcmp(name, kill_point) == 0 && --kill_point_nth == 0) raise(SIGKILL);
}

// Whether the call has to fail now; errno is set then.
bool Fails(Call call) {
  testing::Step(CallName(call));
  if (!fault.armed || fault.call != call) return false;
  fault.seen++;
  if (fault.seen != fault.nth && !(fault.for_good && fault.seen > fault.nth)) return false;
  fault.happened = true;
  errno = fault.error;
  return true;
}

FileWatcher* WatcherOf(int fd) {
  if (watched == nullptr) return nullptr;
  struct stat info;
  if (fstat(fd, &info) != 0 || info.st_dev != watched_device || info.st_ino != watched_inode) return nullptr;
  return watched;
}

struct ReadPlanted {
  ReadPlanted() {
    const char* text = getenv("PONGO_PLANT");
    testing::planted = text == nullptr ? 0 : atoi(text);
  }
};
const ReadPlanted read_planted;

}  // namespace

const char* CallName(Call call) {
  constexpr const char* kNames[] = {"open", "mmap", "fallocate", "ftruncate", "pwrite", "pwritev2", "pwritev2.sync", "fdatasync", "fsync", "fcntl"};
  static_assert(sizeof kNames / sizeof *kNames == static_cast<size_t>(Call::kCount));
  return kNames[static_cast<size_t>(call)];
}

void ArmFault(Call call, uint64_t nth, bool for_good, int error) { fault = Fault{true, call, nth, for_good, error, 0, false}; }
uint64_t FaultCallsSeen() { return fault.seen; }
bool FaultHappened() { return fault.happened; }
void DisarmFaults() { fault.armed = false; }

void CountSteps(uint64_t at) {
  steps = 0;
  kill_at = at;
  testing::step_hook = Step;
}
uint64_t StepsCounted() { return steps; }
void KillAtPoint(const char* name, uint64_t nth) {
  kill_point = name;
  kill_point_nth = nth;
  testing::step_hook = Step;
}

void SetBootId(uint64_t id) {
  boot_id = id;
  if (boot_id_path[0] != 0) unlink(boot_id_path);
  boot_id_path[0] = 0;
  if (id == 0) return;
  strcpy(boot_id_path, "/tmp/pongo-boot-XXXXXX");
  const int fd = mkstemp(boot_id_path);
  char text[64];
  snprintf(text, sizeof text, "00000000-0000-4000-8000-%012llx\n", static_cast<unsigned long long>(id));
  if (fd < 0 || write(fd, text, strlen(text)) != static_cast<ssize_t>(strlen(text))) abort();
  close(fd);
  static const int registered = atexit([] { SetBootId(0); });
  static_cast<void>(registered);
}

void WatchFile(const std::string& path, FileWatcher* watcher) {
  watched = nullptr;
  if (watcher == nullptr) return;
  struct stat info;
  if (stat(path.c_str(), &info) != 0) abort();
  watched_device = info.st_dev;
  watched_inode = info.st_ino;
  watched = watcher;
}
void SkipSyncs(bool skip) { skip_syncs = skip; }
uint64_t LostSleeps() { return lost_sleeps; }
void ForgetLostSleeps() { lost_sleeps = 0; }
int Planted() { return testing::planted; }

namespace {

// A scheduled thread sleeps on a futex: until it is woken, or nobody is left who could wake it.
long FiberFutex(const std::atomic<uint32_t>* word, long operation, uint32_t expected) {
  testing::Step("futex");
  if (operation == FUTEX_WAKE) {
    fiber_wakes++;
    return 0;
  }
  if (word->load() != expected) {
    errno = EAGAIN;
    return -1;
  }
  const uint64_t before = fiber_wakes;
  while (fiber_wakes == before && OthersReady()) GiveWay();
  if (fiber_wakes == before) lost_sleeps++;
  return 0;
}

int Sync(int fd, bool with_length, Call call, int (*real)(int)) {
  if (Fails(call)) return -1;
  if (FileWatcher* watcher = WatcherOf(fd)) {
    watcher->BeforeSync();
    watcher->AfterSync(with_length);
    return 0;
  }
  return skip_syncs ? 0 : real(fd);
}

}  // namespace
}  // namespace pongo::test

using pongo::test::Call;
using pongo::test::Fails;
using pongo::test::FileWatcher;
using pongo::test::WatcherOf;

extern "C" {

int __wrap_open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  if (Fails(Call::kOpen)) return -1;
  if (pongo::test::boot_id != 0 && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) path = pongo::test::boot_id_path;
  return __real_open(path, flags, mode);
}

void* __wrap_mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) {
  if (Fails(Call::kMmap)) return MAP_FAILED;
  return __real_mmap(at, size, protection, flags, fd, offset);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t size) {
  if (Fails(Call::kFallocate)) return -1;
  const int result = __real_fallocate(fd, mode, offset, size);
  if (FileWatcher* watcher = WatcherOf(fd)) watcher->AfterWrite();
  return result;
}

int __wrap_ftruncate(int fd, off_t size) {
  if (Fails(Call::kFtruncate)) return -1;
  const int result = __real_ftruncate(fd, size);
  if (FileWatcher* watcher = WatcherOf(fd)) watcher->AfterWrite();
  return result;
}

ssize_t __wrap_pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  if (Fails(Call::kPwrite)) return -1;
  const ssize_t result = __real_pwrite(fd, bytes, size, offset);
  if (FileWatcher* watcher = WatcherOf(fd)) watcher->AfterWrite();
  return result;
}

// RWF_DSYNC in two halves, so that a fault or a death can come between them.
ssize_t __wrap_pwritev2(int fd, const struct iovec* parts, int count, off_t offset, int flags) {
  if (Fails(Call::kPwritev2)) return -1;
  const ssize_t result = __real_pwritev2(fd, parts, count, offset, flags & ~RWF_DSYNC);
  FileWatcher* watcher = WatcherOf(fd);
  if (watcher != nullptr) watcher->AfterWrite();
  if (result < 0 || (flags & RWF_DSYNC) == 0) return result;
  if (Fails(Call::kPwritev2Sync)) return -1;
  if (watcher != nullptr) {
    watcher->BeforeSync();
    watcher->AfterDurableWrite(static_cast<uint64_t>(offset), static_cast<uint64_t>(result));
    return result;
  }
  return pongo::test::skip_syncs || __real_fdatasync(fd) == 0 ? result : -1;
}

int __wrap_fdatasync(int fd) { return pongo::test::Sync(fd, true, Call::kFdatasync, __real_fdatasync); }
int __wrap_fsync(int fd) { return pongo::test::Sync(fd, true, Call::kFsync, __real_fsync); }
// What the engine never calls, but a planted bug does: content reaches the device, the length does not.
int __wrap_sync_file_range(int fd, off_t, off_t, unsigned int) {
  return pongo::test::Sync(fd, false, Call::kFdatasync, __real_fdatasync);
}

int __wrap_fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  // Giving a lock back cannot fail in the kernel.
  const bool takes = (command == F_OFD_SETLK || command == F_OFD_SETLKW) && static_cast<struct flock*>(argument)->l_type != F_UNLCK;
  if (takes && Fails(Call::kFcntl)) return -1;
  if (command == F_OFD_SETLKW && pongo::test::InFiber()) {  // waiting would stop the other fibers as well
    for (;;) {
      const int result = __real_fcntl(fd, F_OFD_SETLK, argument);
      if (result == 0 || errno != EAGAIN) return result;
      pongo::test::GiveWay();
    }
  }
  return __real_fcntl(fd, command, argument);
}

long __wrap_syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  long a[6];
  for (long& argument : a) argument = va_arg(arguments, long);
  va_end(arguments);
  if (number == SYS_futex && pongo::test::InFiber())
    return pongo::test::FiberFutex(reinterpret_cast<const std::atomic<uint32_t>*>(a[0]), a[1], static_cast<uint32_t>(a[2]));
  return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// In a scheduled thread time is our own, so that a schedule can be repeated: it passes when somebody looks, or sleeps.
int __wrap_clock_gettime(clockid_t clock, struct timespec* time) {
  if (!pongo::test::InFiber()) return __real_clock_gettime(clock, time);
  pongo::test::fiber_time += 1'000;
  time->tv_sec = static_cast<time_t>(pongo::test::fiber_time / 1'000'000'000);
  time->tv_nsec = static_cast<long>(pongo::test::fiber_time % 1'000'000'000);
  return 0;
}

int __wrap_nanosleep(const struct timespec* wanted, struct timespec* left) {
  if (!pongo::test::InFiber()) return __real_nanosleep(wanted, left);
  pongo::test::fiber_time += static_cast<uint64_t>(wanted->tv_sec) * 1'000'000'000 + static_cast<uint64_t>(wanted->tv_nsec);
  pongo::test::GiveWay();
  return 0;
}

}  // extern "C"
