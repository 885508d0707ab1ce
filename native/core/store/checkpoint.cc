#include "store/checkpoint.h"

#include <algorithm>
#include <cstring>

#include "store/reader_roots.h"
#include "util/bits.h"
#include "util/testing.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;

Status ReadRootRecord(Mapping* mapping, uint64_t root_word, RootRecord* record) {
  uint64_t size;
  const uint8_t* bytes = mapping->Block(MakeRef(RootWordOffset(root_word), 0), &size);
  if (bytes == nullptr) return Status(Code::kCORRUPT, "the root points outside the file");
  *record = Load<RootRecord>(bytes);
  return Status::Ok();
}

// The older root is held first if somebody without write permission reads it: its superblock is the older one by now, so that
// nobody can begin to.
// The pin before the sequence: a death in between leaves sequence + 1 == that of the superblock and the version in progress,
// which DatabaseFile::ControlFollows recognises. The other order would look like an exchanged file, and roll back.
void NameDurable(ControlHeader* header, const port::File& lock_file, const Superblock& superblock) {
  HoldDurableRoot(header, lock_file);
  header->durable_pin.store(superblock.version, kOrder);
  header->durable_sequence.store(superblock.sequence, kOrder);
}

}  // namespace

Status CheckpointUnderLock(ThreadSlot* slot, const port::File& lock_file, uint64_t version, bool clean, bool* wrote) {
  *wrote = false;
  Mapping* mapping = slot->mapping();
  ControlHeader* header = mapping->header();
  const port::File& file = mapping->data_file();
  ReleaseHeldRoots(header, lock_file);
  if (header->sync_failed.load(kOrder) != 0)
    return Status(Code::kIO, "the disk reported an error: what was written since the last checkpoint is not durable; back up the data, or sync with { rewrite: true }");
  if (!clean && header->durable_pin.load(kOrder) >= version) return Status::Ok();

  const uint64_t left_over = header->checkpoint_pin.load(kOrder);
  if (left_over != 0) {
    // Its owner died between its pin and the end. Sync first: what it wrote may be only in the page cache.
    if (const Status synced = PONGO_PLANTED(22) ? Status::Ok() : port::SyncData(file); !synced.ok()) {
      header->sync_failed.store(1, kOrder);
      return synced;
    }
    Superblock newest;
    PONGO_TRY(ReadSuperblock(file, &newest));
    if (newest.version == left_over) {
      NameDurable(header, lock_file, newest);
    }
    header->checkpoint_pin.store(0, kOrder);
    header->pin_epoch.fetch_add(1, std::memory_order_release);
  }

  const uint64_t root_word = slot->Announce();
  RootRecord record;
  const Status read = ReadRootRecord(mapping, root_word, &record);
  if (!read.ok()) {
    slot->Clear();
    return read;
  }
  header->checkpoint_pin.store(record.version, kOrder);  // before the slot is cleared
  slot->Clear();
  PONGO_POINT("checkpoint.pinned");

  Superblock next;
  std::memset(&next, 0, sizeof next);
  next.magic = kSuperblockMagic;
  next.format = kFormatVersion;
  std::memcpy(next.uuid, header->uuid, sizeof next.uuid);
  next.sequence = header->durable_sequence.load(kOrder) + 1;
  next.version = record.version;
  next.root = MakeRef(RootWordOffset(root_word), record.size_class);
  next.length = header->length.load(kOrder);
  next.max_size = mapping->max_size();
  next.chunk_size = header->chunk_size;
  next.container_id_next = header->container_id_next.load(kOrder);
  next.clean = clean ? 1 : 0;
  next.id_key_size = std::min<uint32_t>(header->id_key_size, kIdKeySizeMax);
  std::memcpy(next.id_key, header->id_key, next.id_key_size);
  SealSuperblock(&next);

  Status status = port::SyncData(file);  // every block of the version, and the file length, before its name
  PONGO_POINT("checkpoint.synced");
  const uint64_t copy = PONGO_PLANTED(20) ? 0 : next.sequence % 2;
  if (PONGO_PLANTED(1)) NameDurable(header, lock_file, next);
  if (PONGO_PLANTED(1)) header->checkpoint_pin.store(0, kOrder);
  if (PONGO_PLANTED(1)) header->pin_epoch.fetch_add(1, std::memory_order_release);
  if (status.ok()) status = port::WriteDurably(file, copy * kPageSize, &next, sizeof next);
  if (!status.ok()) {
    // Both pins stay: neither root is known to be intact on the device.
    header->sync_failed.store(PONGO_PLANTED(9) ? 0 : 1, kOrder);
    return status;
  }
  PONGO_POINT("checkpoint.durable");
  NameDurable(header, lock_file, next);
  header->checkpoint_pin.store(0, kOrder);
  header->pin_epoch.fetch_add(1, std::memory_order_release);
  *wrote = true;
  return Status::Ok();
}

Status ReadSuperblock(const port::File& file, Superblock* newest) {
  Superblock copies[2];
  Status status[2];
  for (uint32_t i = 0; i < 2; i++) {
    status[i] = port::ReadAt(file, uint64_t{i} * kPageSize, &copies[i], sizeof copies[i]);
    if (status[i].ok()) status[i] = CheckSuperblock(copies[i]);
  }
  if (!status[0].ok() && !status[1].ok()) {
    // A newer format is the more helpful answer.
    return status[0].code() == Code::kVERSION ? status[0] : status[1].code() == Code::kVERSION ? status[1] : status[0];
  }
  const bool second = !status[0].ok() || (status[1].ok() && copies[1].sequence > copies[0].sequence);
  *newest = copies[second ? 1 : 0];
  return Status::Ok();
}

Status Checkpoint(ThreadSlot* slot, const port::File& lock_file, uint64_t version, bool clean, bool* wrote) {
  *wrote = false;
  PONGO_TRY(port::LockByte(lock_file, kCheckpointByte, port::LockKind::kExclusive));
  const Status status = CheckpointUnderLock(slot, lock_file, version, clean, wrote);
  PONGO_TRY(UnlockCheckpoints(slot->mapping()->header(), lock_file));
  return status;
}

// The signal after the lock: see store/group_commit.h. Killed in between: the sleepers look by themselves.
Status UnlockCheckpoints(ControlHeader* header, const port::File& lock_file) {
  PONGO_TRY(port::UnlockByte(lock_file, kCheckpointByte));
  PONGO_POINT("checkpoint.unlocked");
  header->checkpoint_signal.fetch_add(1, kOrder);
  port::FutexWake(&header->checkpoint_signal, ~0u);
  return Status::Ok();
}

namespace {

Status RewriteLocked(Mapping* mapping) {
  ControlHeader* header = mapping->header();
  if (header->sync_failed.load(kOrder) == 0) return Status::Ok();
  const uint64_t length = mapping->MapPublished();
  // The superblocks last and apart: none may reach the disk before what it names.
  for (uint64_t offset = 2 * kPageSize; offset < length; offset += kPageSize) {
    // Atomically, for others write beside it; a compare-and-swap makes the page dirty though it changes nothing.
    auto* byte = reinterpret_cast<std::atomic<uint8_t>*>(mapping->data() + offset);
    uint8_t value = byte->load(std::memory_order_relaxed);
    byte->compare_exchange_strong(value, value, std::memory_order_relaxed);
  }
  const port::File& file = mapping->data_file();
  PONGO_TRY(port::SyncData(file));
  PONGO_POINT("rewrite.synced");
  Superblock newest;
  PONGO_TRY(ReadSuperblock(file, &newest));
  PONGO_TRY(port::WriteDurably(file, newest.sequence % 2 * kPageSize, &newest, sizeof newest));
  header->sync_failed.store(0, kOrder);
  return Status::Ok();
}

}  // namespace

Status RewriteFile(Mapping* mapping, const port::File& lock_file) {
  PONGO_TRY(port::LockByte(lock_file, kCheckpointByte, port::LockKind::kExclusive));
  const Status status = RewriteLocked(mapping);
  PONGO_TRY(UnlockCheckpoints(mapping->header(), lock_file));
  return status;
}

}  // namespace pongo
