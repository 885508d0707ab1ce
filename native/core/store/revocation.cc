#include "store/revocation.h"

#include <algorithm>
#include <vector>

#include "port/port.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;
constexpr uint64_t kWaitNs = 100'000'000;  // for one operation on a snapshot that has been revoked

struct Target {
  uint64_t version;
  uint32_t slot;
  uint32_t cell;
};

bool IsSnapshot(const PinCell& cell) {
  return cell.kind.load(std::memory_order_relaxed) == static_cast<uint32_t>(PinKind::kSnapshot);
}

std::vector<Target> FindSnapshots(Mapping* mapping) {
  ControlHeader* header = mapping->header();
  const uint64_t newest = header->version.load(kOrder);
  std::vector<Target> found;
  for (uint32_t slot = 0; slot < header->slot_count.load(kOrder); slot++) {
    const uint32_t cells = std::min(mapping->slot_line(slot)->pin_count.load(kOrder), kPinCells);
    for (uint32_t i = 0; i < cells; i++) {
      const PinCell& cell = mapping->slot_area(slot)->pins[i];
      const uint64_t version = cell.version.load(kOrder);
      if (version != 0 && version < newest && IsSnapshot(cell) && cell.revoked.load(kOrder) == 0) found.push_back({version, slot, i});
    }
  }
  std::sort(found.begin(), found.end(), [](const Target& a, const Target& b) { return a.version < b.version; });
  return found;
}

// Completes what a revoker left that died between stamp and number. Whether there was anything.
bool CompleteRevocation(Mapping* mapping) {
  ControlHeader* header = mapping->header();
  const uint64_t number = header->revocations.load(kOrder);
  for (uint32_t slot = 0; slot < header->slot_count.load(kOrder); slot++) {
    const uint32_t cells = std::min(mapping->slot_line(slot)->pin_count.load(kOrder), kPinCells);
    for (uint32_t i = 0; i < cells; i++) {
      const PinCell& cell = mapping->slot_area(slot)->pins[i];
      if (cell.version.load(kOrder) == 0 || !IsSnapshot(cell) || cell.revoked.load(kOrder) != number + 1) continue;
      header->revocations.store(number + 1, kOrder);
      header->pin_epoch.fetch_add(1, std::memory_order_release);
      return true;
    }
  }
  return false;
}

// The announcement of an operation protects everything since its version: soon it is over, and the space free.
void AwaitEnd(const Mapping& mapping, const std::vector<Target>& revoked) {
  const uint64_t deadline = port::Nanoseconds() + kWaitNs;
  for (const Target& target : revoked)
    while (mapping.slot_line(target.slot)->announced.load(kOrder) == (target.version | kExactly) && port::Nanoseconds() < deadline)
      port::SleepNanoseconds(50'000);
}

}  // namespace

bool RevokePin(ControlHeader* header, PinCell* cell, uint64_t version) {
  const uint64_t stamp = header->revocations.load(kOrder) + 1;
  uint64_t none = 0;
  // The owner may have given the cell to a newer snapshot in between: then that one is revoked, which is as good a reason for
  // SNAPSHOT. It cannot become a transaction's that a reclaimer ignores: reclaimers look at the kind.
  if (cell->version.load(kOrder) != version || !cell->revoked.compare_exchange_strong(none, stamp, kOrder)) return false;
  header->revocations.store(stamp, kOrder);  // after the stamp: a scan that reads this number sees the stamp, or the slot
  header->pin_epoch.fetch_add(1, std::memory_order_release);
  return true;
}

uint32_t RevokeOldestSnapshots(Mapping* mapping, uint32_t versions) {
  port::File lock;
  if (!port::Reopen(mapping->data_file(), true, &lock).ok()) return 0;
  if (!port::LockByte(lock, kRevokeByte, port::LockKind::kExclusive).ok()) return 0;
  std::vector<Target> revoked;
  uint64_t last = 0;
  const uint32_t completed = CompleteRevocation(mapping) ? 1 : 0;
  for (const Target& target : FindSnapshots(mapping)) {
    if (target.version != last) {
      if (versions == 0) break;
      versions--;
      last = target.version;
    }
    PinCell* cell = &mapping->slot_area(target.slot)->pins[target.cell];
    if (RevokePin(mapping->header(), cell, target.version)) revoked.push_back(target);
  }
  AwaitEnd(*mapping, revoked);
  return completed + static_cast<uint32_t>(revoked.size());  // closing the file gives the lock back
}

}  // namespace pongo
