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
constexpr size_t kBatchMax = 128;             // containers removed by one commit
constexpr size_t kBatchMin = 8;

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
  Collector(Mapping* mapping, ThreadSlot* slot, const std::atomic<bool>* stop, const Allocator::MakeRoom& make_room)
      : mapping_(mapping), slot_(slot), stop_(stop), allocator_(mapping, slot, make_room), transaction_(mapping, slot, &allocator_), turn_(mapping, slot) {}

  // *disturbed: cells vanished meanwhile; nothing was removed.
  Status Run(uint64_t epoch, uint64_t* removed, bool* skipped, bool* disturbed);

 private:
  bool AwaitOlderOperations();
  bool AwaitOlderOperation(uint32_t slot, uint64_t deadline);
  Status Mark(const ObjectTable& table, std::vector<uint64_t> stack, IdSet* marked);
  Status MarkOlderPins(uint64_t epoch, std::vector<uint64_t>* reached, bool* complete);
  Status FindDead(const IdSet& marked, std::vector<uint64_t>* dead);
  Status Sweep(const std::vector<uint64_t>& dead, uint64_t* removed);
  bool Stopped() const { return stop_ != nullptr && stop_->load(std::memory_order_relaxed); }
  Status RemoveBatch(const std::vector<uint64_t>& ids, Turn::Attempts* attempts, bool* committed, uint64_t* removed);

  Mapping* mapping_;
  ThreadSlot* slot_;
  const std::atomic<bool>* stop_;
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
  for (uint32_t slot = 0; slot < header->slot_count.load(kOrder); slot++)
    if (!AwaitOlderOperation(slot, deadline)) return false;
  return true;
}

bool Collector::AwaitOlderOperation(uint32_t slot, uint64_t deadline) {
  uint64_t pause = 1'000;
  for (;;) {
    const uint64_t announced = mapping_->slot_line(slot)->announced.load(kOrder) & ~kExactly;
    if (announced == 0 || announced >= base_.version) return true;
    if (port::Nanoseconds() > deadline || Stopped()) return false;
    port::SleepNanoseconds(pause);
    pause = std::min<uint64_t>(pause * 2, 10'000'000);
    if (pause == 10'000'000) ReapDeadSlots(slot_);
  }
}

// Adds all that the given containers lead to in one version.
Status Collector::Mark(const ObjectTable& table, std::vector<uint64_t> stack, IdSet* marked) {
  while (!stack.empty() && !Stopped()) {
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

// What snapshots, iterators and transactions that began before S can still show. *complete = false: not all could be read.
Status Collector::MarkOlderPins(uint64_t epoch, std::vector<uint64_t>* reached, bool* complete) {
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
      const bool snapshot = pin.kind.load(std::memory_order_relaxed) == static_cast<uint32_t>(PinKind::kSnapshot);
      if (snapshot && pin.revoked.load(kOrder) != 0) {
        // Its blocks may be gone. An operation that began before the revocation sets its cells before it ends; none begins now.
        if (!AwaitOlderOperation(slot, port::Nanoseconds() + kWaitNs)) *complete = false;
      } else if (pin.version.load(kOrder) == version) {
        Base older;
        IdSet marked;
        status = ReadBase(mapping_, word, &older);
        if (status.ok() && older.version == version) {
          // From what proxies show as well: an iterator over a container that is nowhere in the tree yields what it held then.
          std::vector<uint64_t> roots = {kRootId};
          if (!ReadCells(mapping_, epoch, &roots)) *complete = false;
          status = Mark(older.table, std::move(roots), &marked);
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

// One attempt at a commit that takes these containers out. They can be neither reached nor changed by anybody else, but other
// commits change the object table.
Status Collector::RemoveBatch(const std::vector<uint64_t>& ids, Turn::Attempts* attempts, bool* committed, uint64_t* removed) {
  ValueBuilder builder(&transaction_);
  Operations operations(&transaction_, &builder);
  turn_.Yield(attempts);
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
  PONGO_TRY(transaction_.Commit(committed));
  if (*committed) *removed += count;
  return Status::Ok();
}

Status Collector::FindDead(const IdSet& marked, std::vector<uint64_t>* dead) {
  return WalkObjects(
      mapping_, base_.table, [](Ref) { return Status::Ok(); },
      [&](uint64_t id, const ObjectEntry&) {
        if (!marked.Has(id)) dead->push_back(id);
        return Status::Ok();
      });
}

// A batch that loses against shorter commits is made smaller, and takes a turn at once.
Status Collector::Sweep(const std::vector<uint64_t>& dead, uint64_t* removed) {
  size_t batch = kBatchMax;
  auto attempts = std::make_unique<Turn::Attempts>(&turn_, 1);
  for (size_t from = 0; from < dead.size() && !Stopped();) {
    const size_t count = std::min(batch, dead.size() - from);
    const auto first = dead.begin() + static_cast<ptrdiff_t>(from);
    bool committed = false;
    PONGO_TRY(RemoveBatch({first, first + static_cast<ptrdiff_t>(count)}, attempts.get(), &committed, removed));
    if (committed) {
      from += count;
      batch = std::min(batch * 2, kBatchMax);
      attempts = std::make_unique<Turn::Attempts>(&turn_, 1);
    } else {
      batch = std::max(batch / 2, kBatchMin);
      turn_.Lost(attempts.get());
    }
  }
  return Status::Ok();
}

Status Collector::Run(uint64_t epoch, uint64_t* removed, bool* skipped, bool* disturbed) {
  *disturbed = false;
  const uint64_t lost = mapping_->header()->cells_lost.load(kOrder);  // before S
  const uint64_t word = slot_->Announce();
  const Status read = ReadBase(mapping_, word, &base_);
  uint32_t cell = kPinCells;
  if (read.ok()) cell = slot_->Pin(base_.version, base_.word, PinKind::kMaintenance);
  slot_->Clear();
  PONGO_TRY(read);
  std::vector<uint64_t> roots = {kRootId, kShapesId, kCompanionsId};  // a companion goes with its Collection, not by itself
  IdSet marked;
  Status status;
  *skipped = cell == kPinCells || !AwaitOlderOperations();
  bool complete = true;
  if (!*skipped) status = MarkOlderPins(epoch, &roots, &complete);
  if (!*skipped && status.ok()) *skipped = !ReadCells(mapping_, epoch, &roots) || !complete;
  // A thread that put a container back after S and then ended would be missed.
  if (!*skipped && status.ok()) *disturbed = *skipped = mapping_->header()->cells_lost.load(kOrder) != lost;
  // What an older pin leads to may hold something new by now: it is a root in S too.
  if (!*skipped && status.ok()) status = Mark(base_.table, std::move(roots), &marked);
  if (!*skipped && status.ok()) *skipped = Stopped();  // marking may be incomplete
  std::vector<uint64_t> dead;
  if (!*skipped && status.ok()) status = FindDead(marked, &dead);
  if (cell != kPinCells) slot_->Unpin(cell);  // what is removed now need not be kept for us
  return status.ok() ? Sweep(dead, removed) : status;
}

}  // namespace

Status CollectContainers(Mapping* mapping, bool wait, const std::atomic<bool>* stop, uint64_t* removed, bool* skipped,
                         const Allocator::MakeRoom& make_room) {
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
  const uint64_t unlinked = header->unlinked.exchange(0, std::memory_order_relaxed);
  header->gc_pin.store(0, kOrder);  // a dead collector's
  const uint64_t before = header->gc_epoch.load(kOrder);
  const uint64_t epoch = before % 2 == 0 ? before + 1 : before + 2;  // odd, and not that of a dead collector
  header->gc_epoch.store(epoch, kOrder);
  Status status;
  Collector collector(mapping, &slot, stop, make_room);
  bool disturbed = true;
  for (int attempt = 0; attempt < kAttempts && disturbed && status.ok(); attempt++)
    status = collector.Run(epoch, removed, skipped, &disturbed);
  header->gc_epoch.store(epoch + 1, kOrder);
  if (*skipped || !status.ok()) header->unlinked.fetch_add(unlinked, std::memory_order_relaxed);
  slot.Release();
  return status;  // closing the file gives the lock back
}

void EndDeadCollection(Mapping* mapping) {
  ControlHeader* header = mapping->header();
  if (header->gc_epoch.load(kOrder) % 2 == 0) return;
  port::File lock;
  if (!port::Reopen(mapping->data_file(), true, &lock).ok()) return;
  if (!port::TryLockByte(lock, kGcByte, port::LockKind::kExclusive).ok()) return;  // it lives
  const uint64_t epoch = header->gc_epoch.load(kOrder);
  if (epoch % 2 == 0) return;
  header->gc_pin.store(0, kOrder);
  header->gc_epoch.store(epoch + 1, kOrder);
}

}  // namespace pongo
