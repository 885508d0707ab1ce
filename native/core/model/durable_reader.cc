#include "model/durable_reader.h"

#include <algorithm>
#include <cstring>

#include "model/transaction.h"
#include "store/checkpoint.h"
#include "store/commit_signal.h"
#include "store/horizon.h"
#include "store/reader_roots.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;

uint64_t ControlSizeFor(uint64_t length) {
  return kSegmentsOffset + (length + kRegionSize - 1) / kRegionSize * sizeof(RegionSegment);
}

}  // namespace

Status DurableReader::Lock(const port::File& data, Superblock* superblock) {
  PONGO_TRY(port::Reopen(data, false, &lock_file_));
  PONGO_TRY(LockNewestRoot(lock_file_, superblock));
  roots_.push_back({superblock->sequence, superblock->version});
  return Status::Ok();
}

Status DurableReader::Start(const Superblock& superblock) {
  port::File control;
  PONGO_TRY(port::AnonymousFile(ControlSizeFor(superblock.length), &control));
  PONGO_TRY(mapping_->AttachControl(std::move(control)));
  ControlHeader* header = mapping_->header();
  header->magic = kControlMagic;
  header->layout_hash = ControlLayoutHash();
  std::memcpy(header->uuid, superblock.uuid, sizeof header->uuid);
  header->turn.store(1, std::memory_order_relaxed);
  header->state.store(static_cast<uint32_t>(ControlState::kPrivate), std::memory_order_release);
  return Show(superblock);
}

// The root first, V after it, as a commit does: an announcement is a lower bound of what is read under it.
Status DurableReader::Show(const Superblock& superblock) {
  uint64_t file_size;
  PONGO_TRY(port::GetSize(lock_file_, &file_size));
  uint64_t length = superblock.length;
  if (file_size < length) {
    // A last closer may have given free chunks back since: nothing that our checkpoint needs, for we have its byte locked.
    Superblock newest;
    PONGO_TRY(ReadSuperblock(lock_file_, &newest));
    if (newest.sequence == superblock.sequence) return Status(Code::kCORRUPT, "the file is shorter than its superblock says: it was truncated");
    length = file_size / kSlabSize * kSlabSize;
  }
  uint64_t control_size;
  PONGO_TRY(port::GetSize(mapping_->control_file(), &control_size));
  if (control_size < ControlSizeFor(superblock.length)) PONGO_TRY(port::Truncate(mapping_->control_file(), ControlSizeFor(superblock.length)));
  PONGO_TRY(mapping_->MapTo(length));
  const uint64_t word = MakeRootWord(superblock.root, superblock.version);
  Base base;
  PONGO_TRY(ReadBase(mapping_, word, &base));
  if (base.version != superblock.version) return Status(Code::kCORRUPT, "the root record is not the one that the superblock names");
  ControlHeader* header = mapping_->header();
  header->length.store(std::max(length, header->length.load(kOrder)), kOrder);
  header->chunk_size = superblock.chunk_size;
  header->id_key_size = std::min<uint32_t>(superblock.id_key_size, kIdKeySizeMax);
  std::memcpy(header->id_key, superblock.id_key, header->id_key_size);
  header->container_id_next.store(superblock.container_id_next, kOrder);
  header->durable_pin.store(superblock.version, kOrder);
  header->durable_sequence.store(superblock.sequence, kOrder);
  header->root.store(word, kOrder);
  header->version.store(superblock.version, kOrder);
  SignalCommit(header);
  return Status::Ok();
}

Status DurableReader::Follow() {
  Superblock newest;
  PONGO_TRY(ReadSuperblock(lock_file_, &newest));
  if (newest.sequence != roots_.back().sequence) {
    PONGO_TRY(LockNewestRoot(lock_file_, &newest));
    if (newest.sequence != roots_.back().sequence) {
      const Status shown = Show(newest);
      if (!shown.ok()) {
        UnlockRoot(lock_file_, newest.sequence);
        return shown;
      }
      roots_.push_back({newest.sequence, newest.version});
    }
  }
  if (roots_.size() == 1) return Status::Ok();
  // A root is gone from the view as a block is that was born in its version and retired in that of the next one.
  Horizon horizon;
  horizon.Scan(*mapping_);
  size_t kept = 0;
  for (size_t i = 0; i < roots_.size(); i++) {
    const bool needed =
        i + 1 == roots_.size() || horizon.safe() < roots_[i + 1].version ||
        std::any_of(horizon.pins().begin(), horizon.pins().end(),
                    [&](uint64_t pin) { return roots_[i].version <= pin && pin < roots_[i + 1].version; });
    if (needed)
      roots_[kept++] = roots_[i];
    else
      UnlockRoot(lock_file_, roots_[i].sequence);
  }
  roots_.resize(kept);
  return Status::Ok();
}

}  // namespace pongo
