// The only contract with the operating system. Everything above this layer is portable C++.
//
// Locks are open-file-description locks: they belong to the open file, not to the process, so that a thread can hold one
// of its own and a close of an unrelated descriptor releases nothing. A killed process loses its locks when the kernel
// closes its files.
//
// All descriptors are close-on-exec; all mappings are left out of a forked child.
#ifndef PONGO_PORT_PORT_H_
#define PONGO_PORT_PORT_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "util/status.h"

static_assert(std::endian::native == std::endian::little, "the file format is little-endian");
static_assert(sizeof(void*) == 8, "the mapping needs a 64-bit address space");

namespace pongo::port {

struct FileId {
  uint64_t device = 0;
  uint64_t inode = 0;
  bool operator==(const FileId&) const = default;
};

// How often this process has been forked from the one that first asked: handles of an older generation belong to the
// parent.
uint64_t ForkGeneration();

// An open file; closes on destruction. Movable, not copyable.
//
// fork: the child's copies are closed in the child at once, because its share of the open file would keep the locks of a
// parent that dies; a File object of the parent's generation is then empty of meaning and closes nothing.
class File {
 public:
  File() = default;
  explicit File(int fd);
  File(File&& other) noexcept : fd_(other.fd_), generation_(other.generation_) { other.fd_ = -1; }
  File& operator=(File&& other) noexcept;
  ~File() { Close(); }
  void Close();
  bool valid() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  uint64_t generation_ = 0;
};

enum class OpenMode { kReadOnly, kReadWrite, kCreate };  // kCreate: read-write, made if absent

// Opens a regular file, never through a symbolic link when it has to be created. *created tells whether this call made it.
Status OpenFile(const std::string& path, OpenMode mode, uint32_t permissions, File* file, bool* created);
// Opens the file behind `file` once more: another open file description, with locks of its own.
Status Reopen(const File& file, bool writable, File* again);
// A file without a name, in the memory of this process: `size` bytes of zeros that cost nothing until they are written.
Status AnonymousFile(uint64_t size, File* file);
Status GetFileId(const File& file, FileId* id);
Status GetSize(const File& file, uint64_t* size);
// Makes [offset, offset + size) part of the file with space reserved on the device; existing bytes keep their content.
Status Allocate(const File& file, uint64_t offset, uint64_t size);
Status Truncate(const File& file, uint64_t size);
Status WriteAt(const File& file, uint64_t offset, const void* data, size_t size);
// Fewer bytes than asked for: CORRUPT.
Status ReadAt(const File& file, uint64_t offset, void* data, size_t size);
// fdatasync: content and length.
Status SyncData(const File& file);
// WriteAt, and what was written is on the device when it returns; nothing is said about any other part of the file.
Status WriteDurably(const File& file, uint64_t offset, const void* data, size_t size);
// Makes a new directory entry of `path` durable.
Status SyncDirectoryOf(const std::string& path);
// The names in the directory of `path` that begin with the last part of it, and end with `suffix`; as paths beside it.
std::vector<std::string> NamesBeside(const std::string& path, const std::string& suffix);
// Gives a file another name on the same file system, in one step. EXISTS when something has that name and `replace` is false.
Status RenameFile(const std::string& from, const std::string& to, bool replace);
Status RemoveFile(const std::string& path);
// The file that a path leads to now. IO when there is none.
Status GetFileIdAt(const std::string& path, FileId* id);
// Permission bits.
Status GetMode(const File& file, uint32_t* mode);
// True on file systems that do not share memory mappings between hosts.
bool IsNetworkFileSystem(const File& file);

// Address space without memory behind it; nullptr when there is none left.
uint8_t* ReserveAddresses(size_t size);
void ReleaseAddresses(uint8_t* base, size_t size);
// Maps part of a file, shared, over reserved addresses.
Status MapFile(const File& file, uint64_t offset, size_t size, bool writable, uint8_t* at);

enum class LockKind { kShared, kExclusive };
// Takes the lock on one byte of the file without waiting. A conflict: LOCKED. Converts a lock that this open file holds.
Status TryLockByte(const File& file, uint64_t byte, LockKind kind);
// As above, waiting.
Status LockByte(const File& file, uint64_t byte, LockKind kind);
Status UnlockByte(const File& file, uint64_t byte);
// The same for `count` bytes from `first`.
Status TryLockBytes(const File& file, uint64_t first, uint64_t count, LockKind kind);
Status UnlockBytes(const File& file, uint64_t first, uint64_t count);

// Identifies this run of the kernel: 16 bytes.
Status BootId(uint8_t id[16]);
// Monotonic time in nanoseconds.
uint64_t Nanoseconds();
// Processor time that this thread has used, in nanoseconds.
uint64_t ThreadNanoseconds();
// Microseconds since 1970: by which entries expire.
int64_t WallClockMicroseconds();
// For tests: from now on the wall clock of this process is what the first 8 bytes of a file say (microseconds, at least 1), which
// several processes may share; an empty path gives the real one back. IO.
Status FollowClockFile(const std::string& path);
Status RandomBytes(void* bytes, size_t size);
int ProcessId();
void SleepNanoseconds(uint64_t nanoseconds);
// Lets another thread that is ready have the processor.
void YieldProcessor();

inline constexpr uint64_t kForever = ~uint64_t{0};
// Sleeps while *word == expected, at most so many nanoseconds; false when that time has passed. May return early. The word may
// lie in memory that processes share: whoever wakes need not be of this one.
bool FutexWait(const std::atomic<uint32_t>* word, uint32_t expected, uint64_t nanoseconds);
// Wakes up to `count` of those who sleep on the word.
void FutexWake(const std::atomic<uint32_t>* word, uint32_t count);

// Tells the processor that this is a spin loop.
inline void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace pongo::port

#endif  // PONGO_PORT_PORT_H_
