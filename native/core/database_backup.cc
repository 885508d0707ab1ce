#include "database_backup.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include "database_impl.h"
#include "model/maintenance.h"

namespace pongo {
namespace {

constexpr std::string_view kEnding = ".part";  // of a temporary name: the target's, ".0123456789abcdef", and this

// Whether the path is that of the temporary file of some backup to the target, and not of a file that is called like one.
bool IsTemporaryOf(const std::string& target, const std::string& path) {
  constexpr size_t kDigits = 2 * sizeof(uint64_t);
  return path.size() == target.size() + 1 + kDigits + kEnding.size() &&
         std::all_of(path.begin() + static_cast<ptrdiff_t>(target.size()) + 1, path.end() - static_cast<ptrdiff_t>(kEnding.size()),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Status Session::StartBackup(uint64_t view, const std::string& target, bool overwrite, uint64_t* pinned,
                            std::unique_ptr<Backup>* backup) {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  // A pin of its own, which cannot be revoked, under the announcement of the version that it is to pin.
  SessionImpl::Pinned source;
  if (view == 0) {
    const uint64_t word = s.slot.Announce();
    const Status read = ReadBase(s.mapping, word, &source.base);
    if (!read.ok()) s.slot.Clear();
    PONGO_TRY(read);
  } else {
    const auto found = s.snapshots.find(view);
    if (found == s.snapshots.end()) return kNoSnapshot;
    PONGO_TRY(s.Enter(found->second));
    source.base = found->second.base;
  }
  source.cell = s.slot.Pin(source.base.version, source.base.word, PinKind::kMaintenance);
  s.slot.Clear();
  if (source.cell == kPinCells) return Status(Code::kFULL, "too many snapshots and iterators are open in this thread");
  *pinned = s.snapshot_next++;
  s.snapshots.emplace(*pinned, source);
  *backup = std::make_unique<Backup>(s.SharedFile(), s.snapshots.find(*pinned)->second.base, target, overwrite);
  return Status::Ok();
}

Backup::Backup(std::shared_ptr<DatabaseFile> source, Base base, std::string target, bool overwrite)
    : source_(std::move(source)), base_(base), target_(std::move(target)), overwrite_(overwrite) {}

Backup::~Backup() {
  // The kernel would remove nothing: a copy that nobody wants any more.
  if (!temporary_.empty()) static_cast<void>(port::RemoveFile(temporary_).ok());
}

// What killed backups to this target have left: whoever is still at work holds a lock on its file.
void Backup::RemoveLeftOvers() const {
  for (const std::string& path : port::NamesBeside(target_ + ".", std::string(kEnding))) {
    if (!IsTemporaryOf(target_, path)) continue;
    port::File file;
    bool created;
    if (!port::OpenFile(path, port::OpenMode::kReadWrite, 0, &file, &created).ok()) continue;
    if (port::TryLockByte(file, kCopyByte, port::LockKind::kExclusive).ok()) static_cast<void>(port::RemoveFile(path).ok());
  }
}

Status Backup::CreateTemporary() {
  RemoveLeftOvers();
  uint64_t random;
  PONGO_TRY(port::RandomBytes(&random, sizeof random));
  char suffix[32];
  std::snprintf(suffix, sizeof suffix, ".%016llx.part", static_cast<unsigned long long>(random));
  uint32_t mode;
  PONGO_TRY(port::GetMode(source_->mapping()->data_file(), &mode));
  bool created = false;
  const std::string path = target_ + suffix;
  PONGO_TRY(port::OpenFile(path, port::OpenMode::kCreate, mode | 0600, &file_, &created));
  if (!created) return Status(Code::kEXISTS, "the name of the temporary file is taken");
  temporary_ = path;
  // Somebody who found the file before it was locked has removed it, or is about to: LOCKED then, and the caller tries again.
  const Status locked = port::TryLockByte(file_, kCopyByte, port::LockKind::kExclusive);
  port::FileId own, named;
  if (locked.ok() && port::GetFileId(file_, &own).ok() && port::GetFileIdAt(path, &named).ok() && own == named) return Status::Ok();
  return Status(Code::kLOCKED, "another backup to the same target began at the same moment: try again");
}

Status Backup::Copy() {
  port::FileId existing;
  if (!overwrite_ && port::GetFileIdAt(target_, &existing).ok())
    return Status(Code::kEXISTS, "the target of the backup exists already");
  PONGO_TRY(CreateTemporary());
  Mapping* mapping = source_->mapping();
  std::vector<std::pair<std::string, double>> stats;
  DatabaseStats(mapping, &stats);
  for (const auto& [name, value] : stats)
    if (name == "liveBytes") progress_.bytes_total.store(static_cast<uint64_t>(value), std::memory_order_relaxed);
  const ControlHeader* header = mapping->header();
  // A reader without write permission knows no states of blocks.
  if (progress_.bytes_total.load(std::memory_order_relaxed) == 0)
    progress_.bytes_total.store(header->length.load(std::memory_order_acquire), std::memory_order_relaxed);
  BackupSettings settings;
  settings.max_size = mapping->max_size();
  settings.chunk_size = header->chunk_size;
  settings.container_id_next = header->container_id_next.load(std::memory_order_seq_cst);
  settings.id_key.assign(reinterpret_cast<const char*>(header->id_key), std::min<uint32_t>(header->id_key_size, kIdKeySizeMax));
  const auto proceed = [this]() -> Status {
    return cancelled_.load(std::memory_order_relaxed) ? Status(Code::kCLOSED, "the backup was cancelled") : Status::Ok();
  };
  return CopyVersion(mapping, base_, settings, file_, proceed, &progress_);
}

// Nobody may have the old file open, nor be about to open it: its control file would soon belong to the new one.
Status Backup::ReplaceTarget() {
  port::FileId old;
  if (!port::GetFileIdAt(target_, &old).ok()) return port::RenameFile(temporary_, target_, false);
  port::File target;
  bool created;
  PONGO_TRY(port::OpenFile(target_, port::OpenMode::kReadWrite, 0, &target, &created));
  for (const uint64_t byte : {kGateByte, kPresenceByte}) {
    const Status locked = port::TryLockByte(target, byte, port::LockKind::kExclusive);
    if (locked.code() == Code::kLOCKED) return Status(Code::kLOCKED, "the file to be replaced is open: close it everywhere first");
    PONGO_TRY(locked);
  }
  return port::RenameFile(temporary_, target_, true);  // an opener that waits for the gate finds that its file has gone
}

Status Backup::Publish() {
  if (temporary_.empty()) return Status(Code::kARG, "the backup has not been copied");
  PONGO_TRY(overwrite_ ? ReplaceTarget() : port::RenameFile(temporary_, target_, false));
  temporary_.clear();
  return port::SyncDirectoryOf(target_);
}

}  // namespace pongo
