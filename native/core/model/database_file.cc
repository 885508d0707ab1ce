#include "model/database_file.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include "format/node.h"
#include "model/container_gc.h"
#include "model/expiry_cleaner.h"
#include "model/recovery.h"
#include "model/shrink.h"
#include "model/value_view.h"
#include "store/allocator.h"
#include "store/checkpoint.h"
#include "store/group_commit.h"
#include "store/lock_table.h"
#include "store/reader_roots.h"
#include "store/revocation.h"
#include "util/check.h"
#include "util/testing.h"

namespace pongo {
namespace {

constexpr uint64_t kDefaultChunkSize = 16u << 20;
constexpr uint64_t kSmallestFile = 4 * kSlabSize;
constexpr uint64_t kGateWaitNs = 30'000'000'000u;
// Containers without a link before the first automatic collection.
constexpr uint64_t kCollectMin = 1000;
constexpr std::chrono::milliseconds kCollectInterval{1000};
constexpr std::chrono::milliseconds kCleanInterval{250};
// Versions that a crash rolled back are never given out again.
constexpr uint64_t kVersionGapAfterCrash = uint64_t{1} << 32;

struct FileIdLess {
  bool operator()(const port::FileId& a, const port::FileId& b) const {
    return a.device != b.device ? a.device < b.device : a.inode < b.inode;
  }
};

// What this process has open. Never destroyed: sessions may outlive static destruction in worker threads.
struct Registry {
  std::recursive_mutex mutex;  // closing the last handle may happen inside Open
  std::map<port::FileId, std::weak_ptr<DatabaseFile>, FileIdLess> files;
};
Registry& OpenDatabases() {
  static Registry* registry = new Registry;
  static_cast<void>(port::ForkGeneration());  // its handlers first: the last registered prepares first
  // A thread may hold the mutex while another forks: the child must find it free.
  static const int registered = pthread_atfork([] { registry->mutex.lock(); }, [] { registry->mutex.unlock(); },
                                               [] { new (&registry->mutex) std::recursive_mutex; });
  static_cast<void>(registered);
  return *registry;
}

// Waits for a lock whose holder is only ever busy for a moment.
Status LockSoon(const port::File& file, uint64_t byte, port::LockKind kind) {
  const uint64_t deadline = port::Nanoseconds() + kGateWaitNs;
  uint64_t pause = 50'000;
  for (;;) {
    const Status status = port::TryLockByte(file, byte, kind);
    if (status.code() != Code::kLOCKED || port::Nanoseconds() > deadline) return status;
    port::SleepNanoseconds(pause);
    pause = std::min<uint64_t>(pause * 2, 5'000'000);
  }
}

// Whether anybody got as far as writing the header, for which all pages that an opener looks at had to be allocated. An opener that
// found no room leaves a sparse file: through the mapping, even to read from it could be a SIGBUS on a full disk in memory.
Status ControlBegun(const port::File& control, bool* begun) {
  *begun = false;
  uint64_t size;
  PONGO_TRY(port::GetSize(control, &size));
  if (size < kSegmentsOffset) return Status::Ok();
  uint64_t magic;
  PONGO_TRY(port::ReadAt(control, offsetof(ControlHeader, magic), &magic, sizeof magic));
  *begun = magic == kControlMagic;
  return Status::Ok();
}

}  // namespace

bool DatabaseFile::InForkedChild() const { return port::ForkGeneration() != fork_generation_; }

Result<std::shared_ptr<DatabaseFile>> DatabaseFile::Open(const std::string& path, const OpenOptions& options, std::string* detail) {
  Registry& registry = OpenDatabases();
  const std::lock_guard<std::recursive_mutex> lock(registry.mutex);
  std::shared_ptr<DatabaseFile> existing;
  std::shared_ptr<DatabaseFile> file(new DatabaseFile);
  file->fork_generation_ = port::ForkGeneration();
  PONGO_TRY(file->OpenFiles(path, options, &existing, detail));
  if (existing != nullptr) {  // this process has it already
    PONGO_TRY(existing->CheckOptions(options));
    existing->sessions_[static_cast<size_t>(options.durability)].fetch_add(1, std::memory_order_relaxed);
    return existing;
  }
  file->sessions_[static_cast<size_t>(options.durability)].fetch_add(1, std::memory_order_relaxed);
  registry.files[file->id_] = file;
  return file;
}

Status DatabaseFile::OpenFiles(const std::string& path, const OpenOptions& options, std::shared_ptr<DatabaseFile>* existing,
                               std::string* detail) {
  path_ = path;
  options_ = options;
  if (options.chunk_size % kSlabSize != 0 || options.chunk_size > kFileSizeMax)
    return Status(Code::kARG, "chunksize must be a multiple of 65536 bytes and at most 2^40");
  if (options.max_size != 0 && (options.max_size < kSmallestFile || options.max_size > kFileSizeMax))
    return Status(Code::kARG, "maxSize must lie between 262144 bytes and 2^40");
  const port::OpenMode mode = options.create && !options.read_only ? port::OpenMode::kCreate : port::OpenMode::kReadWrite;
  port::File data;
  bool created = false;
  Status opened = port::OpenFile(path, mode, options.mode, &data, &created);
  const bool unwritable = options.read_only && opened.code() == Code::kREADONLY;
  if (unwritable) opened = port::OpenFile(path, port::OpenMode::kReadOnly, options.mode, &data, &created);
  PONGO_TRY(opened);
  PONGO_TRY(port::GetFileId(data, &id_));
  {
    // One mapping per file and process, whatever path leads to it.
    const auto found = OpenDatabases().files.find(id_);
    if (found != OpenDatabases().files.end()) *existing = found->second.lock();
    if (*existing != nullptr && !(*existing)->InForkedChild()) return Status::Ok();
    if (*existing != nullptr) new std::shared_ptr<DatabaseFile>(std::move(*existing));  // the parent's: see Session::Close
    existing->reset();
  }
  if (port::IsNetworkFileSystem(data))
    return Status(Code::kARG, "the file lies on a network file system, whose memory mappings are not shared between hosts");
  if (unwritable) {
    PONGO_TRY(JoinAsReader(std::move(data)));
    return Start();
  }
  PONGO_TRY(port::Reopen(data, true, &gate_));
  PONGO_TRY(port::Reopen(data, true, &presence_));
  PONGO_TRY(port::Reopen(data, true, &checkpoint_));
  const Status gate = LockSoon(gate_, kGateByte, port::LockKind::kExclusive);
  if (gate.code() == Code::kLOCKED)
    return Status(Code::kLOCKED, "another process has been opening or closing the database for 30 seconds");
  PONGO_TRY(gate);
  // A backup may have taken the name meanwhile: the control file beside it is no longer this file's.
  port::FileId named;
  if (!port::GetFileIdAt(path, &named).ok() || !(named == id_))
    return Status(Code::kLOCKED, "the file was replaced while it was being opened: open it again");
  Status joined = port::TryLockByte(presence_, kPresenceByte, port::LockKind::kExclusive);
  const bool alone = joined.ok();
  if (joined.code() == Code::kLOCKED) joined = port::TryLockByte(presence_, kPresenceByte, port::LockKind::kShared);
  uint64_t file_size = 0;
  if (joined.ok()) joined = port::GetSize(data, &file_size);
  if (joined.ok()) joined = Join(alone, file_size, std::move(data), detail);
  // From exclusive to shared in one step: nobody can come in between and believe to be alone.
  if (joined.ok() && alone && reader_ == nullptr) joined = port::TryLockByte(presence_, kPresenceByte, port::LockKind::kShared);
  if (joined.ok()) joined = Start();
  if (!joined.ok() || reader_ != nullptr) presence_.Close();  // a reader of checkpoints is none of those who share memory
  PONGO_TRY(port::UnlockByte(gate_, kGateByte));
  return joined;
}

// The files are joined: from here on this process has the database open.
Status DatabaseFile::Start() {
  sync_slot_ = std::make_unique<ThreadSlot>(&mapping_);
  PONGO_TRY(sync_slot_->Claim());
  open_ = true;
  StartBackground();
  return Status::Ok();
}

// Without the control file. `data` is empty when the mapping has the data file already.
Status DatabaseFile::JoinAsReader(port::File data) {
  auto reader = std::make_unique<DurableReader>(&mapping_);
  Superblock superblock;
  PONGO_TRY(reader->Lock(data.valid() ? data : mapping_.data_file(), &superblock));
  PONGO_TRY(CheckStored(superblock));
  max_size_ = superblock.max_size;
  if (data.valid()) {
    PONGO_TRY(mapping_.Reserve(max_size_));
    PONGO_TRY(mapping_.Attach(std::move(data), port::File(), 0, false));
  }
  PONGO_TRY(reader->Start(superblock));
  reader_ = std::move(reader);
  return Status::Ok();
}

// Options that contradict what the file stores.
Status DatabaseFile::CheckStored(const Superblock& superblock) const {
  if (options_.chunk_size != 0 && options_.chunk_size != superblock.chunk_size)
    return Status(Code::kARG, "chunksize differs from what the file stores");
  if (options_.max_size != 0 && options_.max_size != superblock.max_size)
    return Status(Code::kARG, "maxSize differs from what the file stores");
  return Status::Ok();
}

Status DatabaseFile::CheckOptions(const OpenOptions& options) const {
  if (options.read_only != options_.read_only)
    return Status(Code::kARG, "readOnly differs from another open handle of this process to the same file");
  if (options.chunk_size != 0 && options.chunk_size != mapping_.header()->chunk_size)
    return Status(Code::kARG, "chunksize differs from what the file stores");
  if (options.max_size != 0 && options.max_size != max_size_) return Status(Code::kARG, "maxSize differs from what the file stores");
  for (size_t mode = 0; mode < std::size(sessions_); mode++) {
    const bool used = sessions_[mode].load(std::memory_order_relaxed) != 0;
    if (used && options.durability_given && mode != static_cast<size_t>(options.durability))
      return Status(Code::kARG, "durability differs from another open handle of this process to the same file");
  }
  if (options.checkpoint_interval_given && options.checkpoint_interval_ms != options_.checkpoint_interval_ms)
    return Status(Code::kARG, "checkpointInterval differs from another open handle of this process to the same file");
  return Status::Ok();
}

void DatabaseFile::ForgetDurability(Durability durability) {
  sessions_[static_cast<size_t>(durability)].fetch_sub(1, std::memory_order_relaxed);
}

void DatabaseFile::ChangeDurability(Durability from, Durability to) {
  sessions_[static_cast<size_t>(to)].fetch_add(1, std::memory_order_relaxed);
  ForgetDurability(from);
}

// Whether the control file describes this very database in this run of the kernel. It has been begun.
bool DatabaseFile::ControlIsOurs(bool alone, const uint8_t uuid[16]) {
  const ControlHeader* header = mapping_.header();
  if (header->layout_hash != ControlLayoutHash()) return false;
  if (header->data_device != id_.device || header->data_inode != id_.inode) return false;
  if (std::memcmp(header->uuid, uuid, 16) != 0) return false;
  const auto state = static_cast<ControlState>(header->state.load(std::memory_order_acquire));
  if (state != ControlState::kReady && !(alone && state == ControlState::kClosed)) return false;
  if (PONGO_PLANTED(2)) return true;
  return std::memcmp(header->boot_id, boot_id_, sizeof boot_id_) == 0;
}

// Whether the control file has seen this superblock: if not, the data file was exchanged under it.
bool DatabaseFile::ControlFollows(const Superblock& superblock) {
  const ControlHeader* header = mapping_.header();
  const uint64_t sequence = header->durable_sequence.load(std::memory_order_acquire);
  if (superblock.sequence == sequence) return superblock.version == header->durable_pin.load(std::memory_order_acquire);
  // A checkpointer may have died after it wrote the superblock and before it said so.
  return superblock.sequence == sequence + 1 && superblock.version == header->checkpoint_pin.load(std::memory_order_acquire);
}

Status DatabaseFile::Join(bool alone, uint64_t file_size, port::File data, std::string* detail) {
  // Before anything is judged: a boot id that cannot be read must not look like another boot, and roll commits back.
  PONGO_TRY(port::BootId(boot_id_));
  // A creator that died before its first superblock leaves an empty file, or zeros.
  bool blank = file_size == 0;
  Superblock superblock;
  if (!blank) {
    const Status read = ReadSuperblock(data, &superblock);
    if (!read.ok()) {
      std::vector<uint8_t> start(2 * kPageSize);
      blank = options_.create && file_size >= start.size() && port::ReadAt(data, 0, start.data(), start.size()).ok() &&
              std::all_of(start.begin(), start.end(), [](uint8_t b) { return b == 0; });
      if (!blank) return read;
    }
  }
  if (blank && !alone) return Status(Code::kLOCKED, "another process is creating the database");
  if (blank && (!options_.create || options_.read_only)) return Status(Code::kCORRUPT, "the file is empty, not a PongoDB database");
  if (!blank) {
    if (file_size < superblock.length)
      return Status(Code::kCORRUPT, "the file is shorter than its superblock says: it was truncated");
    PONGO_TRY(CheckStored(superblock));
  }
  max_size_ = blank ? (options_.max_size != 0 ? options_.max_size : kFileSizeMax) : superblock.max_size;
  PONGO_TRY(mapping_.Reserve(max_size_));

  port::File control;
  bool control_created;
  const port::OpenMode control_mode = options_.read_only ? port::OpenMode::kReadWrite : port::OpenMode::kCreate;
  const Status opened = port::OpenFile(path_ + "-lock", control_mode, options_.mode & ~0111u, &control, &control_created);
  if (!opened.ok() && options_.read_only) {  // missing, or not ours to write
    PONGO_TRY(mapping_.Attach(std::move(data), port::File(), 0, false));
    return JoinAsReader(port::File());
  }
  if (!opened.ok()) {
    *detail = "the control file '" + path_ + "-lock' cannot be used";
    return opened;
  }
  bool begun;
  PONGO_TRY(ControlBegun(control, &begun));
  if (!alone) {
    if (!begun) return Status(Code::kLOCKED, "the control file is missing although other processes use the database");
    PONGO_TRY(mapping_.Attach(std::move(data), std::move(control), 0, !options_.read_only));
    if (!ControlIsOurs(false, superblock.uuid)) {
      if (mapping_.header()->layout_hash != ControlLayoutHash())
        return Status(Code::kVERSION, "processes with another version of PongoDB have the database open; close them or use the same version");
      return Status(Code::kLOCKED, "the control file does not belong to the database that other processes have open");
    }
    return mapping_.MapTo(mapping_.header()->length.load(std::memory_order_acquire));
  }
  const bool candidate = !blank && begun;
  if (!candidate && options_.read_only) control.Close();
  PONGO_TRY(mapping_.Attach(std::move(data), port::File(), 0, !options_.read_only));
  if (candidate) {
    PONGO_TRY(mapping_.AttachControl(std::move(control)));
    if (ControlIsOurs(true, superblock.uuid) && ControlFollows(superblock)) {
      // Nobody has died since without the kernel noticing: memory is as the last process left it.
      const uint64_t length = mapping_.header()->length.load(std::memory_order_acquire);
      if (length <= file_size) {
        PONGO_TRY(mapping_.MapTo(length));
        mapping_.header()->state.store(static_cast<uint32_t>(ControlState::kReady), std::memory_order_release);
        PONGO_TRY(LockTable::Reset(&mapping_));  // whoever held a lock is gone
        ThreadSlot reaper(&mapping_);
        PONGO_TRY(reaper.Claim());
        ReapDeadSlots(&reaper);
        // Alone and without watchers yet: what adopters that died have left of the count goes.
        mapping_.header()->commit_waiters.store(0, std::memory_order_seq_cst);
        reaper.Release();
        return Status::Ok();
      }
    }
  } else if (!options_.read_only) {
    PONGO_TRY(port::Truncate(control, kSegmentsOffset));
    PONGO_TRY(mapping_.AttachControl(std::move(control)));
  }
  if (options_.read_only) return JoinAsReader(port::File());  // to recover is for those who write
  if (!blank && OlderRootIsRead(checkpoint_, superblock.sequence))
    return Status(Code::kLOCKED, "a process without write permission still reads an older checkpoint, whose space recovery would give away; end it first");
  return blank ? CreateDatabase(mapping_.data_file()) : Rebuild(superblock);
}

// An empty control file for a data file of `length` bytes. Everything but the boot id, which comes last.
Status DatabaseFile::InitialiseControl(const uint8_t uuid[16], uint64_t length) {
  PONGO_TRY(port::Truncate(mapping_.control_file(), 0));  // whatever was there is garbage
  const uint64_t regions = (length + kRegionSize - 1) / kRegionSize;
  PONGO_TRY(port::Truncate(mapping_.control_file(), kSegmentsOffset));
  PONGO_TRY(mapping_.AllocateControl(0, kSlotAreasOffset));
  PONGO_TRY(mapping_.AllocateControl(kSegmentsOffset, regions * sizeof(RegionSegment)));
  PONGO_TRY(mapping_.MapTo(length));
  PONGO_TRY(LockTable::Reset(&mapping_));
  ControlHeader* header = mapping_.header();
  header->magic = kControlMagic;
  header->layout_hash = ControlLayoutHash();
  header->data_device = id_.device;
  header->data_inode = id_.inode;
  std::memcpy(header->uuid, uuid, sizeof header->uuid);
  PONGO_TRY(port::RandomBytes(&header->nonce, sizeof header->nonce));
  header->length.store(length, std::memory_order_release);
  header->turn.store(1, std::memory_order_relaxed);  // no ticket drawn yet
  if (PONGO_PLANTED(3)) {
    std::memcpy(header->boot_id, boot_id_, sizeof boot_id_);
    header->state.store(static_cast<uint32_t>(ControlState::kReady), std::memory_order_release);
  }
  mapping_.slab_state(0)->store(MakeSlabState(SlabUse::kReserved, 0), std::memory_order_release);
  for (uint64_t region = 0; region < regions; region++)
    mapping_.summaries()->free_slabs.words[region / 64].fetch_or(uint64_t{1} << (region % 64), std::memory_order_acq_rel);
  return Status::Ok();
}

Status DatabaseFile::CreateDatabase(const port::File& data) {
  const uint64_t chunk_size = options_.chunk_size != 0 ? options_.chunk_size : std::min(kDefaultChunkSize, max_size_ / kSlabSize * kSlabSize);
  const uint64_t length = std::max(std::min(chunk_size, max_size_ / kSlabSize * kSlabSize), kSmallestFile);
  PONGO_TRY(port::Allocate(data, 0, length));
  uint8_t uuid[16];
  PONGO_TRY(port::RandomBytes(uuid, sizeof uuid));
  uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0f) | 0x40);  // RFC 9562, version 4
  uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3f) | 0x80);
  PONGO_TRY(InitialiseControl(uuid, length));
  ControlHeader* header = mapping_.header();
  header->chunk_size = chunk_size;
  header->id_key_size = 3;
  std::memcpy(header->id_key, "_id", 3);
  header->version.store(1, std::memory_order_seq_cst);
  header->container_id_next.store(kCompanionsId + 1, std::memory_order_seq_cst);

  // The first version: an object table with the root collection and the registry of shapes, and a root record.
  ThreadSlot slot(&mapping_);
  PONGO_TRY(slot.Claim());
  Allocator allocator(&mapping_, &slot);
  WriteSet writes(&mapping_, &allocator);
  writes.Start(1, false);
  ObjectTable table;
  ObjectEntry entry;
  entry.root = ObjectEntry::PackRoot(kNullRef, static_cast<uint8_t>(Kind::kCollection));
  entry.parent = ObjectEntry::PackParent(0, 1);
  bool added;
  for (const uint64_t id : {kRootId, kShapesId}) PONGO_TRY(PutObject(&mapping_, &writes, &table, id, entry, &added));
  Ref ref;
  uint8_t* bytes;
  uint64_t size;
  PONGO_TRY(writes.Allocate(sizeof(RootRecord), &ref, &bytes, &size));
  RootRecord record;
  std::memset(&record, 0, sizeof record);
  record.kind = static_cast<uint8_t>(NodeKind::kRoot);
  record.object_levels = static_cast<uint8_t>(table.levels);
  record.size_class = static_cast<uint8_t>(RefClass(ref));
  record.version = 1;
  record.object_table = table.root;
  record.container_count = 2;
  Store(bytes, record);
  header->root.store(MakeRootWord(ref, 1), std::memory_order_seq_cst);
  bool wrote;
  PONGO_TRY(Checkpoint(&slot, checkpoint_, 1, true, &wrote));
  slot.Release();
  PONGO_TRY(port::SyncDirectoryOf(path_));
  header->state.store(static_cast<uint32_t>(ControlState::kReady), std::memory_order_release);
  std::memcpy(header->boot_id, boot_id_, sizeof boot_id_);
  return Status::Ok();
}

// Builds the control file anew from what the superblock names. O(slabs); what is free in them is found later, beside the users.
Status DatabaseFile::Rebuild(const Superblock& superblock) {
  PONGO_TRY(InitialiseControl(superblock.uuid, superblock.length));
  ControlHeader* header = mapping_.header();
  header->chunk_size = superblock.chunk_size;
  header->id_key_size = superblock.id_key_size;
  std::memcpy(header->id_key, superblock.id_key, superblock.id_key_size);
  header->durable_pin.store(superblock.version, std::memory_order_seq_cst);
  header->durable_sequence.store(superblock.sequence, std::memory_order_seq_cst);
  header->version.store(superblock.version, std::memory_order_seq_cst);

  Base base;
  PONGO_TRY(ReadBase(&mapping_, MakeRootWord(superblock.root, superblock.version), &base));
  if (base.version != superblock.version || base.record != (superblock.root & kRefMask)) return Status(Code::kCORRUPT, "the root record is not the one that the superblock names");
  uint64_t last_id;
  PONGO_TRY(LastObject(&mapping_, base.table, &last_id));
  header->container_id_next.store(std::max(last_id + 1, superblock.container_id_next), std::memory_order_seq_cst);
  PONGO_TRY(BeginRecovery(&mapping_, base));
  header->root.store(base.word, std::memory_order_seq_cst);

  // Versions that were given out after this superblock may have been seen: a new one goes far beyond them, and becomes durable
  // before anybody can see it, so that the next recovery goes beyond it in turn.
  ThreadSlot slot(&mapping_);
  PONGO_TRY(slot.Claim());
  Allocator allocator(&mapping_, &slot);
  const uint64_t version = base.version + (PONGO_PLANTED(18) ? 1 : kVersionGapAfterCrash);
  Ref ref;
  Status allocated = allocator.Allocate(sizeof(RootRecord), version, &ref);
  if (!allocated.ok()) {  // no room behind the named length: look for it before
    PONGO_TRY(DescribeRecovered(&mapping_, true, nullptr));
    allocated = allocator.Allocate(sizeof(RootRecord), version, &ref);
  }
  PONGO_TRY(allocated);
  uint64_t size;
  uint8_t* bytes = mapping_.Block(ref, &size);
  auto record = Load<RootRecord>(mapping_.data() + RefOffset(base.record));
  record.size_class = static_cast<uint8_t>(RefClass(ref));
  record.version = version;
  Store(bytes, record);
  header->root.store(MakeRootWord(ref, version), std::memory_order_seq_cst);
  header->version.store(version, std::memory_order_seq_cst);
  allocator.Retire(base.record, version);
  bool wrote;
  PONGO_TRY(Checkpoint(&slot, checkpoint_, version, false, &wrote));
  slot.Release();
  header->state.store(static_cast<uint32_t>(ControlState::kReady), std::memory_order_release);
  std::memcpy(header->boot_id, boot_id_, sizeof boot_id_);  // last: until here a crash means recovering again
  return Status::Ok();
}

Status DatabaseFile::SyncTo(uint64_t version, const WaitHooks& hooks) {
  if (reader_ != nullptr) {
    const std::lock_guard<std::mutex> lock(sync_mutex_);
    return reader_->Follow();
  }
  if (mapping_.header()->durable_pin.load(std::memory_order_seq_cst) + (PONGO_PLANTED(26) ? 1 : 0) >= version) return Status::Ok();
  return AwaitDurable(sync_slot_.get(), &sync_mutex_, checkpoint_, version, hooks);
}

Status DatabaseFile::RewriteAndSync(uint64_t version) {
  if (options_.read_only) return Status(Code::kREADONLY, "a read-only handle cannot write the file anew");
  {
    const std::lock_guard<std::mutex> lock(sync_mutex_);
    PONGO_TRY(RewriteFile(&mapping_, checkpoint_));
  }
  return SyncTo(version);
}

bool DatabaseFile::MakeRoom(uint32_t resort) {
  if (resort == 0) {
    static_cast<void>(SyncTo(mapping_.header()->version.load(std::memory_order_seq_cst)).ok());  // if it fails, snapshots are next
    return true;
  }
  return RevokeOldestSnapshots(&mapping_, uint32_t{1} << std::min<uint32_t>(resort - 1, 16)) > 0;
}

CommitWaiter* DatabaseFile::commit_waiter() {
  const std::lock_guard<std::mutex> lock(waiter_mutex_);
  if (commit_waiter_ == nullptr) commit_waiter_ = std::make_unique<CommitWaiter>(&mapping_, sync_slot_->line());
  return commit_waiter_.get();
}

Status DatabaseFile::SetChunkSize(uint64_t bytes) {
  if (bytes == 0 || bytes % kSlabSize != 0 || bytes > kFileSizeMax)
    return Status(Code::kARG, "chunksize must be a multiple of 65536 bytes and at most 2^40");
  return ChangeSettings([&](ControlHeader* header) { header->chunk_size = bytes; });
}

Status DatabaseFile::SetIdKey(const std::string& name) {
  if (name.empty() || name.size() > kIdKeySizeMax) return Status(Code::kARG, "the id property must have 1 to 255 bytes");
  return ChangeSettings([&](ControlHeader* header) {
    std::memcpy(header->id_key, name.data(), name.size());
    header->id_key_size = static_cast<uint32_t>(name.size());
  });
}

// Under the lock of checkpoints, so that no superblock gets half a setting.
Status DatabaseFile::ChangeSettings(FunctionRef<void(ControlHeader* header)> change) {
  const std::lock_guard<std::mutex> lock(sync_mutex_);
  PONGO_TRY(port::LockByte(checkpoint_, kCheckpointByte, port::LockKind::kExclusive));
  change(mapping_.header());
  return UnlockCheckpoints(mapping_.header(), checkpoint_);
}

void DatabaseFile::StartBackground() {
  lock_waiter_ = std::make_unique<LockWaiter>(&mapping_);
  background_ = std::thread([this] { Background(); });
  collector_ = std::thread([this] { CollectInBackground(); });
  if (!options_.read_only) cleaner_ = std::thread([this] { CleanInBackground(); });
}

// Checkpoints while there is something to write, and looks for threads that died.
void DatabaseFile::Background() {
  const auto interval = std::chrono::milliseconds(std::max<uint32_t>(options_.checkpoint_interval_ms, 1));
  std::unique_lock<std::mutex> lock(background_mutex_);
  while (!background_wake_.wait_for(lock, interval, [this] { return background_stop_.load(); })) {
    lock.unlock();
    if (!InForkedChild()) {
      if (reader_ == nullptr) {
        const std::lock_guard<std::mutex> sync_lock(sync_mutex_);
        ReapDeadSlots(sync_slot_.get());
      }
      // A failure shows itself to whoever asks for durability.
      if (reader_ != nullptr || want_checkpoints_.load(std::memory_order_relaxed))
        static_cast<void>(SyncTo(mapping_.header()->version.load(std::memory_order_acquire)).ok());
    }
    lock.lock();
  }
}

// On a thread of its own: marking a large database must not hold up checkpoints.
void DatabaseFile::CollectInBackground() {
  DescribeInBackground();
  std::unique_lock<std::mutex> lock(background_mutex_);
  while (!background_wake_.wait_for(lock, kCollectInterval, [this] { return background_stop_.load(); })) {
    lock.unlock();
    if (!InForkedChild() && reader_ == nullptr) {
      DescribeInBackground();  // whoever began it may have died
      EndDeadCollection(&mapping_);
      if (!options_.read_only) CollectWhenWorthwhile();
    }
    lock.lock();
  }
}

// Also on a thread of its own: it must not wait for a checkpoint, nor hold one up.
void DatabaseFile::CleanInBackground() {
  const auto pause = [this](uint64_t nanoseconds) {
    std::unique_lock<std::mutex> lock(background_mutex_);
    return !background_wake_.wait_for(lock, std::chrono::nanoseconds(nanoseconds), [this] { return background_stop_.load(); });
  };
  while (pause(std::chrono::nanoseconds(kCleanInterval).count())) {
    uint64_t removed;
    if (InForkedChild()) continue;
    // A failure shows itself to whoever writes or verifies, and another round follows. Without room it may help to let the older durable
    // version go, as when a program writes.
    const Code failed = CleanExpired(&mapping_, pause, &removed).code();
    if (failed == Code::kFULL || failed == Code::kNOSPACE)
      static_cast<void>(SyncTo(mapping_.header()->version.load(std::memory_order_seq_cst)).ok());
  }
}

// A failure shows itself to whoever asks for verify(); it is not tried again.
void DatabaseFile::DescribeInBackground() {
  if (recovery_failed_ || reader_ != nullptr || !options_.describe_in_background || InForkedChild()) return;
  const Status described = DescribeRecovered(&mapping_, false, &background_stop_);
  recovery_failed_ = !described.ok() && !background_stop_.load();
}

// Marking costs as much as the database is large: it is worth it when a good part of the containers have lost their last link.
void DatabaseFile::CollectWhenWorthwhile() {
  ControlHeader* header = mapping_.header();
  const uint64_t unlinked = header->unlinked.load(std::memory_order_relaxed);
  if (unlinked < kCollectMin || unlinked < collect_at_) return;
  uint64_t removed;
  bool skipped;
  // A failure shows itself to whoever asks for gc() or verify().
  if (!CollectContainers(&mapping_, false, &background_stop_, &removed, &skipped, [this](uint32_t resort) { return MakeRoom(resort); }).ok() || skipped) return;
  Base base;
  const std::lock_guard<std::mutex> sync_lock(sync_mutex_);
  const uint64_t word = sync_slot_->Announce();
  if (ReadBase(&mapping_, word, &base).ok()) collect_at_ = base.containers / 4;
  sync_slot_->Clear();
}

DatabaseFile::~DatabaseFile() {
  if (!open_) return;
  PONGO_CHECK(!InForkedChild());  // Session::Close sees to that: nothing here is the child's
  {
    const std::lock_guard<std::mutex> lock(background_mutex_);
    background_stop_ = true;
  }
  background_wake_.notify_all();
  background_.join();
  collector_.join();
  lock_waiter_.reset();
  if (cleaner_.joinable()) cleaner_.join();
  commit_waiter_.reset();
  CloseFiles();
  Registry& registry = OpenDatabases();
  const std::lock_guard<std::recursive_mutex> lock(registry.mutex);
  const auto found = registry.files.find(id_);
  if (found != registry.files.end() && found->second.expired()) registry.files.erase(found);
}

void DatabaseFile::CloseFiles() {
  if (reader_ != nullptr) {
    sync_slot_->Release();
    return;
  }
  if (!LockSoon(gate_, kGateByte, port::LockKind::kExclusive).ok()) return;  // the kernel tidies up
  const bool alone = port::TryLockByte(presence_, kPresenceByte, port::LockKind::kExclusive).ok();
  if (alone) {
    ControlHeader* header = mapping_.header();
    Superblock newest;
    // The version of the root, not V: a committer may have died between the two.
    Base base;
    const bool readable = ReadBase(&mapping_, header->root.load(std::memory_order_acquire), &base).ok();
    const uint64_t version = readable && !PONGO_PLANTED(23) ? base.version : header->version.load(std::memory_order_acquire);
    const bool stored = ReadSuperblock(mapping_.data_file(), &newest).ok() && newest.version == version && newest.clean == 1 &&
                        newest.chunk_size == header->chunk_size && newest.id_key_size == header->id_key_size &&
                        std::memcmp(newest.id_key, header->id_key, newest.id_key_size) == 0 &&
                        newest.container_id_next == header->container_id_next.load(std::memory_order_acquire);
    bool wrote = false;
    const bool safe = stored || Checkpoint(sync_slot_.get(), checkpoint_, version, true, &wrote).ok();
    // A failure costs space only: what counts is on disk already.
    if (wrote && !options_.read_only) static_cast<void>(ReturnFreeChunks(&mapping_, sync_slot_.get(), checkpoint_, version).ok());
    sync_slot_->Release();
    PONGO_POINT("close.checkpointed");
    if (safe) header->state.store(static_cast<uint32_t>(ControlState::kClosed), std::memory_order_release);
  } else {
    sync_slot_->Release();
  }
  presence_.Close();
  gate_.Close();
}

}  // namespace pongo
