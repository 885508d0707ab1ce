#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "port/port.h"
#include "util/testing.h"

namespace pongo::port {
namespace {

// `text` says what cannot be done. Why not is in the number, and bindings say it in the words of the system.
Status FromErrno(const char* text) {
  const int error = errno;
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Status(Code::kNOSPACE, "the file system has no room left for the database to grow", error);
    case EACCES:
    case EPERM:
    case EROFS:
      return Status(Code::kREADONLY, text, error);
    default:
      return Status(Code::kIO, text, error);
  }
}

template <class F>
auto RetryInterrupted(F&& call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

Status ByteLock(const File& file, uint64_t byte, short type, bool wait, uint64_t count = 1) {
  struct flock lock;
  memset(&lock, 0, sizeof lock);
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(byte);
  lock.l_len = static_cast<off_t>(count);
  if (RetryInterrupted([&] { return fcntl(file.fd(), wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock); }) == 0)
    return Status::Ok();
  if (errno == EAGAIN || errno == EACCES) return Status(Code::kLOCKED, "another process holds the file");
  return FromErrno("the file cannot be locked");
}

std::atomic<uint64_t> fork_generation{0};

// The descriptors of all open Files, one bit each. Larger numbers than these are closed by the kernel at exec or exit only.
constexpr int kTrackedFiles = 1 << 16;
std::atomic<uint64_t> open_files[kTrackedFiles / 64];

void Track(int fd, bool open) {
  if (fd < 0 || fd >= kTrackedFiles) return;
  const uint64_t bit = uint64_t{1} << (fd % 64);
  if (open)
    open_files[fd / 64].fetch_or(bit, std::memory_order_relaxed);
  else
    open_files[fd / 64].fetch_and(~bit, std::memory_order_relaxed);
}

// Held from open to Track and from Track to close: a fork in between would leave the child a descriptor that nobody knows of,
// whose share of the open file keeps its locks.
std::mutex track_mutex;

// In the child: only what is allowed between fork and exec.
void AfterForkInChild() {
  fork_generation.fetch_add(1, std::memory_order_relaxed);
  for (int word = 0; word < kTrackedFiles / 64; word++) {
    uint64_t bits = open_files[word].exchange(0, std::memory_order_relaxed);
    if (PONGO_PLANTED(10)) continue;
    for (; bits != 0; bits &= bits - 1) ::close(word * 64 + __builtin_ctzll(bits));
  }
}

}  // namespace

uint64_t ForkGeneration() {
  static const int registered = pthread_atfork([] { track_mutex.lock(); }, [] { track_mutex.unlock(); }, [] {
    track_mutex.unlock();
    AfterForkInChild();
  });
  static_cast<void>(registered);
  return fork_generation.load(std::memory_order_relaxed);
}

File::File(int fd) : fd_(fd), generation_(ForkGeneration()) { Track(fd, true); }

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.fd_;
    generation_ = other.generation_;
    other.fd_ = -1;
  }
  return *this;
}

void File::Close() {
  if (fd_ >= 0 && generation_ == ForkGeneration()) {
    // A child that has just been forked may still have its copy: give the locks up explicitly.
    struct flock all = {};
    all.l_type = F_UNLCK;
    all.l_whence = SEEK_SET;
    fcntl(fd_, F_OFD_SETLK, &all);
    const std::lock_guard<std::mutex> lock(track_mutex);
    Track(fd_, false);
    ::close(fd_);
  }
  fd_ = -1;
}

Status OpenFile(const std::string& path, OpenMode mode, uint32_t permissions, File* file, bool* created) {
  *created = false;
  const int access = mode == OpenMode::kReadOnly ? O_RDONLY : O_RDWR;
  static_cast<void>(ForkGeneration());
  std::unique_lock<std::mutex> lock(track_mutex);
  int fd = RetryInterrupted([&] { return ::open(path.c_str(), access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); });
  if (fd < 0 && errno == ENOENT && mode == OpenMode::kCreate) {
    fd = RetryInterrupted([&] {
      return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, permissions & 07777);
    });
    if (fd >= 0) {
      *created = true;
    } else if (errno == EEXIST) {  // another process made it in between
      fd = RetryInterrupted([&] { return ::open(path.c_str(), access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); });
    }
  }
  if (fd < 0) {
    if (errno == EISDIR) return Status(Code::kARG, "the path is a directory, not a file", EISDIR);
    return FromErrno("the file cannot be opened");
  }
  File opened(fd);
  lock.unlock();
  *file = std::move(opened);
  struct stat info;
  if (fstat(fd, &info) != 0) return FromErrno("the file cannot be examined");
  if (S_ISDIR(info.st_mode)) return Status(Code::kARG, "the path is a directory, not a file", EISDIR);
  if (!S_ISREG(info.st_mode)) return Status(Code::kARG, "the path is not a regular file");
  if (*created && fchmod(fd, permissions & 07777) != 0) return FromErrno("the permissions cannot be set");
  return Status::Ok();
}

Status Reopen(const File& file, bool writable, File* again) {
  const std::string path = "/proc/self/fd/" + std::to_string(file.fd());
  static_cast<void>(ForkGeneration());
  std::unique_lock<std::mutex> lock(track_mutex);
  const int fd = RetryInterrupted([&] { return ::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC); });
  if (fd < 0) return FromErrno("the file cannot be opened once more");
  File opened(fd);
  lock.unlock();
  *again = std::move(opened);
  return Status::Ok();
}

Status AnonymousFile(uint64_t size, File* file) {
  static_cast<void>(ForkGeneration());
  std::unique_lock<std::mutex> lock(track_mutex);
  const int fd = ::memfd_create("pongodb", MFD_CLOEXEC);
  if (fd < 0) return FromErrno("no memory for a file");
  File made(fd);
  lock.unlock();
  *file = std::move(made);
  return Truncate(*file, size);
}

Status GetFileId(const File& file, FileId* id) {
  struct stat info;
  if (fstat(file.fd(), &info) != 0) return FromErrno("the file cannot be examined");
  id->device = info.st_dev;
  id->inode = info.st_ino;
  return Status::Ok();
}

Status GetSize(const File& file, uint64_t* size) {
  struct stat info;
  if (fstat(file.fd(), &info) != 0) return FromErrno("the file cannot be examined");
  *size = static_cast<uint64_t>(info.st_size);
  return Status::Ok();
}

Status Allocate(const File& file, uint64_t offset, uint64_t size) {
  // fallocate, not posix_fallocate: the latter writes zeros over live data where the file system lacks the call.
  if (RetryInterrupted([&] {
        return ::fallocate(file.fd(), 0, static_cast<off_t>(offset), static_cast<off_t>(size));
      }) == 0)
    return Status::Ok();
  if (errno == EOPNOTSUPP || errno == ENOSYS)
    return Status(Code::kIO, "the file system cannot reserve space (fallocate), which the database needs", errno);
  return FromErrno("the file cannot be extended");
}

Status Truncate(const File& file, uint64_t size) {
  if (RetryInterrupted([&] { return ::ftruncate(file.fd(), static_cast<off_t>(size)); }) == 0) return Status::Ok();
  return FromErrno("the file cannot be cut");
}

Status WriteAt(const File& file, uint64_t offset, const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  while (size > 0) {
    const ssize_t n = RetryInterrupted([&] { return ::pwrite(file.fd(), bytes, size, static_cast<off_t>(offset)); });
    if (n < 0) return FromErrno("the file cannot be written");
    bytes += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return Status::Ok();
}

Status ReadAt(const File& file, uint64_t offset, void* data, size_t size) {
  auto* bytes = static_cast<uint8_t*>(data);
  while (size > 0) {
    const ssize_t n = RetryInterrupted([&] { return ::pread(file.fd(), bytes, size, static_cast<off_t>(offset)); });
    if (n < 0) return FromErrno("the file cannot be read");
    if (n == 0) return Status(Code::kCORRUPT, "the file is shorter than it must be");
    bytes += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return Status::Ok();
}

Status SyncData(const File& file) {
  if (PONGO_PLANTED(4)) return ::sync_file_range(file.fd(), 0, 0, 7) == 0 ? Status::Ok() : FromErrno("not synchronised");
  if (RetryInterrupted([&] { return ::fdatasync(file.fd()); }) == 0) return Status::Ok();
  return FromErrno("the file cannot be synchronised with the device");
}

// One system call, and it waits for these bytes alone. An fdatasync would wait as well for what others have dirtied meanwhile.
Status WriteDurably(const File& file, uint64_t offset, const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  while (size > 0) {
    const iovec part = {const_cast<uint8_t*>(bytes), size};
    const ssize_t n = RetryInterrupted([&] { return ::pwritev2(file.fd(), &part, 1, static_cast<off_t>(offset), RWF_DSYNC); });
    if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) {  // the kernel or the file system lacks it
      PONGO_TRY(WriteAt(file, offset, bytes, size));
      return SyncData(file);
    }
    if (n < 0) return FromErrno("the file cannot be written");
    bytes += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return Status::Ok();
}

namespace {

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::vector<std::string> NamesBeside(const std::string& path, const std::string& suffix) {
  const std::string beginning = path.substr(path.rfind('/') + 1);
  const std::string folder = path.substr(0, path.size() - beginning.size());
  std::vector<std::string> found;
  DIR* directory = ::opendir(DirectoryOf(path).c_str());
  if (directory == nullptr) return found;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name.size() >= beginning.size() + suffix.size() && name.starts_with(beginning) && name.ends_with(suffix)) found.push_back(folder + name);
  }
  ::closedir(directory);
  return found;
}

Status SyncDirectoryOf(const std::string& path) {
  const std::string directory = DirectoryOf(path);
  const int fd = RetryInterrupted([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) return FromErrno("the directory cannot be opened");
  const File file(fd);
  if (RetryInterrupted([&] { return ::fsync(fd); }) == 0 || errno == EINVAL) return Status::Ok();
  return FromErrno("the directory cannot be synchronised with the device");
}

Status RenameFile(const std::string& from, const std::string& to, bool replace) {
  if (replace) {
    if (::rename(from.c_str(), to.c_str()) == 0) return Status::Ok();
    return FromErrno("the file cannot be given its name");
  }
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return Status::Ok();
  if (errno == EINVAL || errno == ENOSYS) {
    // The file system cannot refuse by itself: a second name, which never replaces, and the first one goes.
    if (::link(from.c_str(), to.c_str()) == 0) return RemoveFile(from);
  }
  if (errno == EEXIST) return Status(Code::kEXISTS, "a file of that name exists", EEXIST);
  return FromErrno("the file cannot be given its name");
}

Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return Status::Ok();
  return FromErrno("the file cannot be removed");
}

Status GetFileIdAt(const std::string& path, FileId* id) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return FromErrno("the file cannot be examined");
  id->device = info.st_dev;
  id->inode = info.st_ino;
  return Status::Ok();
}

Status GetMode(const File& file, uint32_t* mode) {
  struct stat info;
  if (fstat(file.fd(), &info) != 0) return FromErrno("the file cannot be examined");
  *mode = info.st_mode & 07777;
  return Status::Ok();
}

bool IsNetworkFileSystem(const File& file) {
  struct statfs info;
  if (fstatfs(file.fd(), &info) != 0) return false;
  switch (static_cast<uint32_t>(info.f_type)) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case 0xff534d42u:  // CIFS
    case 0xfe534d42u:  // SMB2
    case CEPH_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
    case V9FS_MAGIC:
      return true;
    default:
      return false;
  }
}

uint8_t* ReserveAddresses(size_t size) {
  void* base = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  ::madvise(base, size, MADV_DONTFORK);
  return static_cast<uint8_t*>(base);
}

void ReleaseAddresses(uint8_t* base, size_t size) {
  if (base != nullptr) ::munmap(base, size);
}

Status MapFile(const File& file, uint64_t offset, size_t size, bool writable, uint8_t* at) {
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* mapped = ::mmap(at, size, protection, MAP_SHARED | MAP_FIXED, file.fd(), static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return FromErrno("the file cannot be mapped into memory");
  ::madvise(mapped, size, MADV_DONTFORK);
  return Status::Ok();
}

Status TryLockByte(const File& file, uint64_t byte, LockKind kind) {
  return ByteLock(file, byte, kind == LockKind::kShared ? F_RDLCK : F_WRLCK, false);
}
Status LockByte(const File& file, uint64_t byte, LockKind kind) {
  return ByteLock(file, byte, kind == LockKind::kShared ? F_RDLCK : F_WRLCK, true);
}
Status UnlockByte(const File& file, uint64_t byte) { return ByteLock(file, byte, F_UNLCK, false); }
Status TryLockBytes(const File& file, uint64_t first, uint64_t count, LockKind kind) {
  return ByteLock(file, first, kind == LockKind::kShared ? F_RDLCK : F_WRLCK, false, count);
}
Status UnlockBytes(const File& file, uint64_t first, uint64_t count) { return ByteLock(file, first, F_UNLCK, false, count); }

Status BootId(uint8_t id[16]) {
  const int fd = RetryInterrupted([] { return ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC); });
  if (fd < 0) return FromErrno("the boot id cannot be read");
  const File file(fd);
  char text[40] = {};
  if (RetryInterrupted([&] { return ::read(fd, text, 36); }) != 36) return FromErrno("the boot id cannot be read");
  int n = 0;
  for (const char* p = text; *p != 0 && n < 32; p++) {
    if (*p == '-') continue;
    const char digit[2] = {*p, 0};
    const auto nibble = static_cast<uint8_t>(strtoul(digit, nullptr, 16));
    id[n / 2] = static_cast<uint8_t>(n % 2 == 0 ? nibble << 4 : id[n / 2] | nibble);
    n++;
  }
  return Status::Ok();
}

uint64_t Nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

Status RandomBytes(void* bytes, size_t size) {
  auto* at = static_cast<uint8_t*>(bytes);
  while (size > 0) {
    const ssize_t n = RetryInterrupted([&] { return ::getrandom(at, size, 0); });
    if (n < 0) return FromErrno("no random bytes");
    at += n;
    size -= static_cast<size_t>(n);
  }
  return Status::Ok();
}

int ProcessId() { return ::getpid(); }

void YieldProcessor() { sched_yield(); }

void SleepNanoseconds(uint64_t nanoseconds) {
  timespec time{static_cast<time_t>(nanoseconds / 1000000000u), static_cast<long>(nanoseconds % 1000000000u)};
  ::nanosleep(&time, nullptr);
}

// Not the PRIVATE kind: the kernel finds sleepers of other processes by the file's page.
bool FutexWait(const std::atomic<uint32_t>* word, uint32_t expected, uint64_t nanoseconds) {
  timespec limit{static_cast<time_t>(nanoseconds / 1000000000u), static_cast<long>(nanoseconds % 1000000000u)};
  const timespec* timeout = nanoseconds == kForever ? nullptr : &limit;
  return ::syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout, nullptr, 0) == 0 || errno != ETIMEDOUT;
}

void FutexWake(const std::atomic<uint32_t>* word, uint32_t count) {
  ::syscall(SYS_futex, word, FUTEX_WAKE, std::min<uint32_t>(count, INT32_MAX), nullptr, nullptr, 0);
}

}  // namespace pongo::port
