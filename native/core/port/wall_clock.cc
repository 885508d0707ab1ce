#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "port/port.h"

namespace pongo::port {
namespace {

// What a test has put in the place of the clock; its mapping stays for good, because another thread may be reading it.
std::atomic<const std::atomic<int64_t>*> followed{nullptr};

}  // namespace

int64_t WallClockMicroseconds() {
  const std::atomic<int64_t>* clock = followed.load(std::memory_order_acquire);
  if (clock != nullptr) [[unlikely]] {
    const int64_t now = clock->load(std::memory_order_acquire);
    return now > 0 ? now : 1;
  }
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

uint64_t ThreadNanoseconds() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * 1000000000u + static_cast<uint64_t>(used.tv_nsec);
}

Status FollowClockFile(const std::string& path) {
  if (path.empty()) {
    followed.store(nullptr, std::memory_order_release);
    return Status::Ok();
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Status(Code::kIO, "the clock file cannot be opened", errno);
  struct stat status;
  void* bytes = MAP_FAILED;
  if (::fstat(fd, &status) == 0 && status.st_size >= 8) bytes = ::mmap(nullptr, 8, PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  if (bytes == MAP_FAILED) return Status(Code::kIO, "the clock file needs 8 bytes");
  followed.store(static_cast<const std::atomic<int64_t>*>(bytes), std::memory_order_release);
  return Status::Ok();
}

}  // namespace pongo::port
