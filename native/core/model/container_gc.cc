#include "model/container_gc.h"

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <vector>

#include "model/operations.h"
#include "store/allocator.h"
#include "store/pidcache.h"
#include "store/turn.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;
constexpr uint64_t kWaitNs = 2'000'000'000;   // for threads in the middle of an operation; they take microseconds
constexpr int kAttempts = 20;                 // while threads that had proxies come and go
constexpr size_t kBatch = 128;                // containers removed by one commit

// A set of container ids: pages of bits, for ids are dense where they are many.
class IdSet {
 public:
  // False when it was in the set already.
  bool Add(uint64_t id) {
    std::unique_ptr<Page>& page = pages_[id / kPageIds];
    if (page == nullptr) page = std::make_unique<Page>();
    uint64_t& word = page->words[id % kPageIds / 64];
    const uint64_t bit = uint64_t{1} << (id % 64);
    const bool fresh = (word & bit) == 0;
    word |= bit;
    return fresh;
  }
  void AppendTo(std::vector<uint64_t>* ids) const {
    for (const auto& [number, page] : pages_)
      for (uint64_t i = 0; i < kPageIds; i++)
        if ((page->words[i / 64] >> (i % 64) & 1) != 0) ids->push_back(number * kPageIds + i);
  }
  bool Has(uint64_t id) const {
    const auto page = pages_.find(id / kPageIds);
    return page != pages_.end() && (page->second->words[id % kPageIds / 64] >> (id % 64) & 1) != 0;
  }

 private:
  static constexpr uint64_t kPageIds = 32768;
  struct Page {
    uint64_t words[kPageIds / 64] = {};
  };
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
};

class Collector {
 public:
  Collector(Mapping* mapping, ThreadSlot* slot)
      : mapping_(mapping), slot_(slot), allocator_(mapping, slot), transaction_(mapping, slot, &allocator_), turn_(mapping) {}

  // *disturbed: cells vanished meanwhile; nothing was removed.
  Status Run(uint64_t epoch, uint64_t* removed, bool* skipped, bool* disturbed);

 private:
  bool AwaitOlderOperations();
  Status Mark(const ObjectTable& table, std::vector<uint64_t> stack, IdSet* marked);
  Status MarkOlderPins(std::vector<uint64_t>* reached);
  Status Sweep(const IdSet& marked, uint64_t* removed);
  Status RemoveBatch(const std::vector<uint64_t>& ids, uint64_t* removed);

  Mapping* mapping_;
  ThreadSlot* slot_;
  Allocator allocator_;
  Transaction transaction_;
  Turn turn_;
  Base base_;  // S
};

// Whether every thread that could still act on a version before S has finished.
bool Collector::AwaitOlderOperations() {
  ControlHeader* header = mapping_->header();
  // S is the root, so V may be raised to it; a committer that died before it did must not keep announcements low for ever.
  uint64_t v = header->version.load(kOrder);
  while (v < base_.version && !header->version.compare_exchange_weak(v, base_.version, kOrder)) {
  }
  const uint64_t deadline = port::Nanoseconds() + kWaitNs;
  uint64_t pause = 1'000;
  for (uint32_t slot = 0; slot < header->slot_count.load(kOrder);) {
    const uint64_t announced = mapping_->slot_line(slot)->announced.load(kOrder);
    if (announced == 0 || announced >= base_.version) {
      slot++;
      continue;
    }
    if (port::Nanoseconds() > deadline) return false;
    port::SleepNanoseconds(pause);
    pause = std::min<uint64_t>(pause * 2, 10'000'000);
    if (pause == 10'000'000) ReapDeadSlots(slot_);
  }
  return true;
}

// Adds all that the given containers lead to in one version.
Status Collector::Mark(const ObjectTable& table, std::vector<uint64_t> stack, IdSet* marked) {
  while (!stack.empty()) {
    const uint64_t id = stack.back();
    stack.pop_back();
    bool present;
    ObjectEntry entry;
    PONGO_TRY(FindObject(mapping_, table, id, &present, &entry));
    if (!present || !marked->Add(id)) continue;  // a cell may name what this version does not have
    const bool keyed = entry.kind() != static_cast<uint8_t>(Kind::kList);
    PONGO_TRY(TreeReader(mapping_, keyed).Walk(
        entry.tree(), [](Ref) { return Status::Ok(); },
        [&](const Node& node) {
          for (uint32_t i = 0; node.leaf() && i < node.count(); i++) {
            const Word word = node.word(i);
            if (IsContainer(word) && !marked->Has(ContainerId(word))) stack.push_back(ContainerId(word));
          }
          return Status::Ok();
        }));
  }
  return Status::Ok();
}

// What snapshots, iterators and transactions that began before S can still show.
Status Collector::MarkOlderPins(std::vector<uint64_t>* reached) {
  ControlHeader* header = mapping_->header();
  std::vector<uint64_t> done;
  for (uint32_t slot = 0; slot < header->slot_count.load(kOrder); slot++) {
    const uint32_t cells = std::min(mapping_->slot_line(slot)->pin_count.load(kOrder), kPinCells);
    for (uint32_t i = 0; i < cells; i++) {
      PinCell& pin = mapping_->slot_area(slot)->pins[i];
      const uint64_t version = pin.version.load(kOrder);
      if (version == 0 || version >= base_.version || std::find(done.begin(), done.end(), version) != done.end()) continue;
      const uint64_t word = pin.root.load(std::memory_order_relaxed);
      // Our copy stands behind the pin in every reclaimer's scan: seen there, or here. If the pin has gone by now, what was
      // found under it has its cells already, and they are read later.
      header->gc_pin.store(version, kOrder);
      Status status;
      if (pin.version.load(kOrder) == version) {
        Base older;
        IdSet marked;
        status = ReadBase(mapping_, word, &older);
        if (status.ok() && older.version == version) {
          status = Mark(older.table, {kRootId}, &marked);
          marked.AppendTo(reached);
          done.push_back(version);
        }
      }
      header->gc_pin.store(0, kOrder);
      header->pin_epoch.fetch_add(1, std::memory_order_release);
      PONGO_TRY(status);
    }
  }
  return Status::Ok();
}

// One commit that takes these containers out. They can be neither reached nor changed by anybody else.
Status Collector::RemoveBatch(const std::vector<uint64_t>& ids, uint64_t* removed) {
  ValueBuilder builder(&transaction_);
  Operations operations(&transaction_, &builder);
  Turn::Attempts attempts(&turn_);
  for (bool committed = false; !committed;) {
    turn_.Yield(&attempts);
    PONGO_TRY(transaction_.Start(true));
    uint64_t count = 0;
    for (const uint64_t id : ids) {
      bool existed = false;
      if (const Status status = operations.RemoveContainer(id, &existed); !status.ok()) {
        transaction_.Abort();
        return status;
      }
      count += existed ? 1 : 0;
    }
    PONGO_TRY(transaction_.Commit(&committed));
    if (committed)
      *removed += count;
    else
      turn_.Lost(&attempts);
  }
  return Status::Ok();
}

Status Collector::Sweep(const IdSet& marked, uint64_t* removed) {
  // The ids first: removing needs no pin on S, and would only keep its own garbage there.
  std::vector<uint64_t> dead;
  PONGO_TRY(WalkObjects(
      mapping_, base_.table, [](Ref) { return Status::Ok(); },
      [&](uint64_t id, const ObjectEntry&) {
        if (!marked.Has(id)) dead.push_back(id);
        return Status::Ok();
      }));
  for (size_t from = 0; from < dead.size(); from += kBatch) {
    const std::vector<uint64_t> batch(dead.begin() + static_cast<ptrdiff_t>(from),
                                      dead.begin() + static_cast<ptrdiff_t>(std::min(from + kBatch, dead.size())));
    PONGO_TRY(RemoveBatch(batch, removed));
  }
  return Status::Ok();
}

Status Collector::Run(uint64_t epoch, uint64_t* removed, bool* skipped, bool* disturbed) {
  *disturbed = false;
  const uint64_t lost = mapping_->header()->cells_lost.load(kOrder);  // before S
  const uint64_t word = slot_->Announce();
  const Status read = ReadBase(mapping_, word, &base_);
  uint32_t cell = kPinCells;
  if (read.ok()) cell = slot_->Pin(base_.version, base_.word, PinKind::kSnapshot);
  slot_->Clear();
  PONGO_TRY(read);
  std::vector<uint64_t> roots = {kRootId, kShapesId};
  IdSet marked;
  Status status;
  *skipped = cell == kPinCells || !AwaitOlderOperations();
  if (!*skipped) status = MarkOlderPins(&roots);
  if (!*skipped && status.ok()) *skipped = !ReadCells(mapping_, epoch, &roots);
  // A thread that put a container back after S and then ended would be missed.
  if (!*skipped && status.ok()) *disturbed = *skipped = mapping_->header()->cells_lost.load(kOrder) != lost;
  // What an older pin leads to may hold something new by now: it is a root in S too.
  if (!*skipped && status.ok()) status = Mark(base_.table, std::move(roots), &marked);
  if (!*skipped && status.ok()) status = Sweep(marked, removed);
  if (cell != kPinCells) slot_->Unpin(cell);
  return status;
}

}  // namespace

Status CollectContainers(Mapping* mapping, bool wait, uint64_t* removed, bool* skipped) {
  *removed = 0;
  *skipped = true;
  port::File lock;
  PONGO_TRY(port::Reopen(mapping->data_file(), true, &lock));
  const Status locked = wait ? port::LockByte(lock, kGcByte, port::LockKind::kExclusive)
                             : port::TryLockByte(lock, kGcByte, port::LockKind::kExclusive);
  if (locked.code() == Code::kLOCKED) return Status::Ok();
  PONGO_TRY(locked);
  ThreadSlot slot(mapping);
  PONGO_TRY(slot.Claim());
  ControlHeader* header = mapping->header();
  header->unlinked.store(0, std::memory_order_relaxed);
  header->gc_pin.store(0, kOrder);  // a dead collector's
  const uint64_t before = header->gc_epoch.load(kOrder);
  const uint64_t epoch = before % 2 == 0 ? before + 1 : before + 2;  // odd, and not that of a dead collector
  header->gc_epoch.store(epoch, kOrder);
  Status status;
  Collector collector(mapping, &slot);
  bool disturbed = true;
  for (int attempt = 0; attempt < kAttempts && disturbed && status.ok(); attempt++)
    status = collector.Run(epoch, removed, skipped, &disturbed);
  header->gc_epoch.store(epoch + 1, kOrder);
  slot.Release();
  return status;  // closing the file gives the lock back
}

}  // namespace pongo
