// The lock table: the part of the control file that holds locks, semaphores and events. Like the rest of that file it is
// garbage after a crash of the machine; it is emptied too when the file is opened while nobody else has it open.
//
// Layout, from kLocksOffset on:
//   0         LockTableHeader
//   64 KiB    records: kLockRecordMax x 1 KiB, one for each name that is in use
//   16.06 MiB requests: kLockRequestMax x 64 B, one for each hold, each waiter and each handle to a semaphore
// The file is sparse: records and requests are allocated in steps, and numbered from 1. 0 stands for none.
//
// Facts: what is true whatever happens. Everything else is derived from them and can be built anew (store/lock_table.h).
#ifndef PONGO_FORMAT_LOCKS_H_
#define PONGO_FORMAT_LOCKS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pongo {

inline constexpr uint32_t kLockRecordMax = 16384;
inline constexpr uint32_t kLockRequestMax = 65536;
inline constexpr uint32_t kLockBuckets = 4096;
inline constexpr uint32_t kLockNameMax = 952;   // bytes
inline constexpr uint32_t kPermitsMax = 1u << 30;

// Names of different kinds are different names.
enum class LockKind : uint32_t { kMutex = 1, kReadWrite = 2, kSemaphore = 3, kEvent = 4, kNamed = 5 /* Web Locks */ };
enum class LockMode : uint32_t { kExclusive = 0, kShared = 1 };

enum class RequestState : uint32_t {
  kFree = 0,
  kPending = 1,   // waits in the queue of its record
  kHeld = 2,      // was granted
  kLost = 3,      // was granted, and then stolen; stays until its owner gives it back
  kAttached = 4,  // holds nothing, but keeps a semaphore in being
};

struct LockRequest {
  std::atomic<uint32_t> state;   // 0   fact  RequestState; stored last when a request is made
  uint32_t record;               // 4   fact
  uint64_t ticket;               // 8   fact  unique; the order of the queue
  uint32_t owner;                // 16  fact  slot of the thread that asked; its death ends the request
  uint32_t waker;                // 20  fact  slot of the thread that sleeps until the request is granted
  uint32_t mode;                 // 24  fact  LockMode
  uint32_t next;                 // 28        neighbours in the queue; holders come first
  uint32_t previous;             // 32
  uint32_t reserved0;            // 36
  uint64_t client;               // 40  fact  for reports
  uint64_t reserved1[2];         // 48
};
static_assert(sizeof(LockRequest) == 64);
static_assert(offsetof(LockRequest, ticket) == 8 && offsetof(LockRequest, client) == 40);

struct LockRecord {
  std::atomic<uint32_t> used;    // 0   fact  1 while the rest is valid
  uint32_t kind;                 // 4   fact  LockKind
  uint64_t hash;                 // 8   fact  of kind and name
  uint32_t permits;              // 16  fact  of a semaphore
  std::atomic<uint32_t> set;     // 20  fact  of an event
  uint32_t name_size;            // 24  fact
  uint32_t next;                 // 28        in the bucket
  uint32_t head;                 // 32        the queue
  uint32_t tail;                 // 36
  uint32_t waiting;              // 40        the first request that is pending
  uint32_t held;                 // 44        requests in state kHeld
  uint32_t exclusive;            // 48        those of mode kExclusive among them
  uint32_t attached;             // 52        requests in state kAttached
  uint32_t lost;                 // 56        requests in state kLost
  uint32_t reserved;             // 60
  uint8_t reserved1[8];          // 64
  uint8_t name[kLockNameMax];    // 72  fact
};
static_assert(sizeof(LockRecord) == 1024);
static_assert(offsetof(LockRecord, permits) == 16 && offsetof(LockRecord, name) == 72);

struct LockTableHeader {
  // 0: free. Else bits 0-15 the slot of its owner + 1, and bit 31 when somebody sleeps on it.
  alignas(128) std::atomic<uint32_t> mutex;
  uint32_t reserved0;
  alignas(128) uint64_t ticket_next;  // fact  greater than every ticket in use
  uint32_t records;                   // fact  how many there is room for
  uint32_t requests;                  // fact
  uint32_t record_hint;               // where the search for a free one begins
  uint32_t request_hint;
  uint64_t seed;                      // of the hashes of names
  uint64_t reserved1[3];
  uint32_t buckets[kLockBuckets];
};
static_assert(sizeof(LockTableHeader) <= 64u << 10);

inline constexpr uint32_t kLockOwnerMask = 0xffff;
inline constexpr uint32_t kLockContended = 1u << 31;

inline constexpr uint64_t kLockRecordsOffset = 64u << 10;  // from kLocksOffset
inline constexpr uint64_t kLockRequestsOffset = kLockRecordsOffset + uint64_t{kLockRecordMax} * sizeof(LockRecord);
inline constexpr uint64_t kLocksSize = kLockRequestsOffset + uint64_t{kLockRequestMax} * sizeof(LockRequest);
inline constexpr uint32_t kLockRecordStep = 64;
inline constexpr uint32_t kLockRequestStep = 1024;
static_assert(kLockRecordMax % kLockRecordStep == 0 && kLockRequestMax % kLockRequestStep == 0);
static_assert(kLocksSize % 4096 == 0);

}  // namespace pongo

#endif  // PONGO_FORMAT_LOCKS_H_
