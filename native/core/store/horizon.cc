#include "store/horizon.h"

#include <algorithm>

#include "util/testing.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;

}  // namespace

void Horizon::Scan(const Mapping& mapping, FunctionRef<void()> after_slots) {
  ControlHeader* header = mapping.header();
  // Read first: a reader that announces after this point reads a version that is at least now_.
  now_ = header->version.load(kOrder);
  safe_ = writers_ = now_;
  pins_.clear();
  // Before the slots: only what was revoked by now may be ignored below. Its owner announces, then looks.
  revoked_ = header->revocations.load(kOrder);
  const uint32_t slots = header->slot_count.load(kOrder);
  if (PONGO_PLANTED(15)) ScanPins(mapping, slots);
  for (uint32_t slot = 0; slot < slots; slot++) {
    const uint64_t announced = mapping.slot_line(slot)->announced.load(kOrder);
    if ((announced & kExactly) != 0)
      pins_.push_back(announced & ~kExactly);
    else if (announced != 0)
      safe_ = std::min(safe_, announced);
  }
  writers_ = std::min(PONGO_PLANTED(15) ? writers_ : safe_, safe_);
  after_slots();
  if (!PONGO_PLANTED(15)) ScanPins(mapping, slots);
  if (PONGO_PLANTED(16)) pins_.push_back(header->durable_pin.load(kOrder));
  // The collector's copy of somebody's pin after that pin, the checkpoint before the durable root: what is copied or moved
  // goes forward in the order of the scan, so that it is seen in one of its places.
  for (Atomic64* cell : {&header->recovery_pin, &header->gc_pin, &header->checkpoint_pin, &header->durable_pin}) {
    if (PONGO_PLANTED(16) && cell == &header->durable_pin) continue;
    const uint64_t version = cell->load(kOrder);
    if (version != 0) pins_.push_back(version);
    if (cell == &header->durable_pin) durable_ = version;
    if (cell == &header->gc_pin) long_pins_ = pins_;
  }
  // After the durable root, which leaves its version to them; downwards, because a merge leaves its range to the lower one.
  held_.clear();
  for (uint32_t i = kHeldRootsMax; i-- > 0;) {
    const uint64_t low = header->held[i].low.load(kOrder);
    if (low != 0) held_.emplace_back(low, header->held[i].high.load(kOrder));
  }
  std::sort(pins_.begin(), pins_.end());
  pins_.erase(std::unique(pins_.begin(), pins_.end()), pins_.end());
}

// Pins of snapshots and transactions.
void Horizon::ScanPins(const Mapping& mapping, uint32_t slots) {
  for (uint32_t slot = 0; slot < slots; slot++) {
    const uint32_t cells = std::min(mapping.slot_line(slot)->pin_count.load(kOrder), kPinCells);
    for (uint32_t i = 0; i < cells; i++) {
      PinCell& cell = mapping.slot_area(slot)->pins[i];
      const uint64_t version = cell.version.load(kOrder);
      if (version == 0) continue;
      const auto kind = static_cast<PinKind>(cell.kind.load(std::memory_order_relaxed));
      const uint64_t stamp = cell.revoked.load(kOrder);
      if (kind == PinKind::kSnapshot && stamp != 0 && stamp <= revoked_) continue;
      pins_.push_back(version);
      if (kind == PinKind::kTransaction)
        writers_ = std::min(writers_, version);
    }
  }
}

}  // namespace pongo
