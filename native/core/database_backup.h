// A backup under way: a consistent, compact copy of one version, in a new file.
//
// Session::StartBackup pins the version; Copy writes it to a temporary file beside the target; Publish gives it the
// target's name. Between the two the caller may look at the result and drop the Backup instead, which removes the file.
//
// Copy and Publish may run on any thread, one after the other; the rest may be called beside them. The session must stay open
// until Copy has returned (its pin protects the version), not for Publish. Killed at any time: the target is untouched or
// whole; a temporary file may stay behind, `<target>.<random>.part`.
#ifndef PONGO_DATABASE_BACKUP_H_
#define PONGO_DATABASE_BACKUP_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "model/backup.h"
#include "model/database_file.h"
#include "port/port.h"
#include "util/status.h"

namespace pongo {

class Backup {
 public:
  Backup(std::shared_ptr<DatabaseFile> source, Base base, std::string target, bool overwrite);
  ~Backup();
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  // EXISTS before anything is written when the target is there and `overwrite` was not given; IO, NOSPACE, CORRUPT.
  Status Copy();
  // EXISTS; LOCKED when the file to be replaced is open in some process.
  Status Publish();
  // Makes Copy return early, with CLOSED.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  const BackupProgress& progress() const { return progress_; }
  uint64_t version() const { return base_.version; }
  const std::string& target() const { return target_; }

 private:
  void RemoveLeftOvers() const;
  Status CreateTemporary();
  Status ReplaceTarget();

  std::shared_ptr<DatabaseFile> source_;
  Base base_;
  std::string target_;
  bool overwrite_;
  std::string temporary_;  // empty when there is none
  port::File file_;
  BackupProgress progress_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace pongo

#endif  // PONGO_DATABASE_BACKUP_H_
