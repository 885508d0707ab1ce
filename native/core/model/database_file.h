// One database as this process has it open: files, locks, mapping, background thread. Shared by all sessions of the process.
//
// Presence is a shared lock on a byte of the data file (not of the control file: that one is garbage after a crash). Opening
// and closing run under an exclusive gate lock, so that only one process decides who is alone. The sole owner rebuilds the
// control file when it cannot be trusted; the last clean closer writes a final checkpoint.
// Killed at any time: the locks vanish with the process; the next opener that is alone finds either an intact control file of
// this kernel run, or recovers from the superblock.
#ifndef PONGO_MODEL_DATABASE_FILE_H_
#define PONGO_MODEL_DATABASE_FILE_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "format/superblock.h"
#include "model/durable_reader.h"
#include "model/lock_waiter.h"
#include "model/open_options.h"
#include "store/commit_waiter.h"
#include "store/mapping.h"
#include "store/thread_slot.h"
#include "util/function_ref.h"
#include "util/status.h"
#include "util/wait_hooks.h"

namespace pongo {

class DatabaseFile {
 public:
  // Handles to one file share one DatabaseFile. *detail receives what a user should read on failure.
  static Result<std::shared_ptr<DatabaseFile>> Open(const std::string& path, const OpenOptions& options, std::string* detail);
  ~DatabaseFile();
  DatabaseFile(const DatabaseFile&) = delete;
  DatabaseFile& operator=(const DatabaseFile&) = delete;

  Mapping* mapping() { return &mapping_; }
  LockWaiter* lock_waiter() { return lock_waiter_.get(); }
  const std::string& path() const { return path_; }
  bool read_only() const { return options_.read_only; }
  // The process may not write the file, or nobody has recovered it yet: it sees checkpoints.
  bool sees_checkpoints_only() const { return reader_ != nullptr; }
  uint64_t max_size() const { return max_size_; }

  // A session changes its durability, or ends. Any thread.
  void ChangeDurability(Durability from, Durability to);
  void ForgetDurability(Durability durability);

  // From now on the background thread makes commits durable. A process that only reads does so too: the writer may be gone.
  void WantCheckpoints() { want_checkpoints_.store(true, std::memory_order_relaxed); }
  // Blocks until `version` is durable. Any thread. Without write permission: shows the newest checkpoint. CLOSED when the hooks end
  // the wait.
  Status SyncTo(uint64_t version, const WaitHooks& hooks = {});
  // After a failed fdatasync: writes everything anew, then as SyncTo. READONLY.
  Status RewriteAndSync(uint64_t version);
  // Whether an fdatasync has failed since: nothing becomes durable.
  bool sync_failed() const { return mapping_.header()->sync_failed.load(std::memory_order_relaxed) != 0; }
  // For an allocation that finds no room: the older durable version may hold it, then the oldest snapshots. Any thread.
  bool MakeRoom(uint32_t resort);
  // Wakes the sessions of this process that wait for commits. Any thread; its thread runs from the first call on.
  CommitWaiter* commit_waiter();
  // A child made by fork() has this object, but nothing behind it.
  bool InForkedChild() const;
  // Stored settings. Any thread of any process, last one wins.
  Status SetChunkSize(uint64_t bytes);
  Status SetIdKey(const std::string& name);

 private:
  DatabaseFile() = default;
  Status OpenFiles(const std::string& path, const OpenOptions& options, std::shared_ptr<DatabaseFile>* existing,
                   std::string* detail);
  Status Join(bool alone, uint64_t file_size, port::File data, std::string* detail);
  Status JoinAsReader(port::File data);
  Status CheckStored(const Superblock& superblock) const;
  Status Start();
  Status CreateDatabase(const port::File& data);
  Status Rebuild(const Superblock& superblock);
  Status InitialiseControl(const uint8_t uuid[16], uint64_t length);
  bool ControlIsOurs(bool alone, const uint8_t uuid[16]);
  bool ControlFollows(const Superblock& superblock);
  Status CheckOptions(const OpenOptions& options) const;
  Status ChangeSettings(FunctionRef<void(ControlHeader* header)> change);
  void StartBackground();
  void Background();
  void CollectInBackground();
  void DescribeInBackground();
  void CollectWhenWorthwhile();
  void CleanInBackground();
  void CloseFiles();

  std::string path_;
  OpenOptions options_;
  uint64_t max_size_ = 0;
  std::atomic<uint32_t> sessions_[3] = {};  // the open sessions by durability
  uint64_t fork_generation_ = 0;
  bool open_ = false;
  port::FileId id_;
  uint8_t boot_id_[16] = {};
  port::File presence_;       // holds the presence lock
  port::File gate_;
  port::File checkpoint_;     // for the checkpoint lock of this process
  Mapping mapping_;
  std::unique_ptr<DurableReader> reader_;  // without write permission; used under sync_mutex_
  std::mutex sync_mutex_;     // one checkpoint at a time in this process; guards sync_slot_
  std::unique_ptr<ThreadSlot> sync_slot_;
  std::unique_ptr<LockWaiter> lock_waiter_;
  std::thread background_;    // checkpoints, dead slots
  std::thread collector_;
  std::thread cleaner_;       // expired entries
  std::mutex waiter_mutex_;   // guards the making of commit_waiter_
  std::unique_ptr<CommitWaiter> commit_waiter_;
  std::mutex background_mutex_;
  std::condition_variable background_wake_;
  std::atomic<bool> background_stop_{false};
  bool recovery_failed_ = false;  // the collector's own
  uint64_t collect_at_ = 0;   // unlinked containers; the collector's own
  std::atomic<bool> want_checkpoints_{false};
};

}  // namespace pongo

#endif  // PONGO_MODEL_DATABASE_FILE_H_
