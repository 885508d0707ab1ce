// What may be reclaimed now: the exact rule of docs/design.md, section "Reclamation".
//
// A retired block is reusable iff  retire <= safe  and no pinned version p has  birth <= p < retire.
// `safe` is min(V read before the scan, all announced versions). The order of the scan is part of the rule: slots first,
// then pins of snapshots and transactions, then the checkpoint in progress, then the durable root, then older durable roots
// that are still read. The number of the last revocation is read before the slots: pins revoked up to it protect nothing.
// A pin is always set before the slot (or pin) that led to its version is cleared, so a version in use is seen in at least one of the two.
#ifndef PONGO_STORE_HORIZON_H_
#define PONGO_STORE_HORIZON_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "store/mapping.h"
#include "util/function_ref.h"

namespace pongo {

class Horizon {
 public:
  // Scans the process table; all loads are seq_cst. O(slots + pins).
  void Scan(const Mapping& mapping) {
    Scan(mapping, [] {});
  }
  // `after_slots` runs between the slots and the pins: for tests of the order.
  void Scan(const Mapping& mapping, FunctionRef<void()> after_slots);

  uint64_t now() const { return now_; }
  uint64_t safe() const { return safe_; }
  // The oldest version that a slot or a transaction may still commit from: what a sweep of orphans may touch.
  uint64_t writers() const { return writers_; }
  const std::vector<uint64_t>& pins() const { return pins_; }
  // Ranges of older durable versions that readers without write permission have open.
  const std::vector<std::pair<uint64_t, uint64_t>>& held() const { return held_; }

  // The rule, for a block in state RETIRED.
  bool Reusable(uint64_t retired_state) const {
    const uint64_t retire = RetireVersion(retired_state, now_);
    if (retire > safe_) return false;
    const uint64_t birth = RetiredBirth(retired_state, retire);
    for (const uint64_t pin : pins_)
      if (birth <= pin && pin < retire) return false;
    for (const auto& [low, high] : held_)
      if (birth <= high && low < retire) return false;
    return true;
  }

  // What a retired block that is not reusable waits for, the longest of it: a snapshot, a transaction or a collection; the next
  // checkpoint; or only the end of an operation or of the checkpoint under way.
  enum Hold : uint32_t { kLong, kDurable, kBrief };
  Hold HeldBy(uint64_t retired_state) const {
    const uint64_t retire = RetireVersion(retired_state, now_);
    const uint64_t birth = RetiredBirth(retired_state, retire);
    for (const uint64_t pin : long_pins_)
      if (birth <= pin && pin < retire) return kLong;
    for (const auto& [low, high] : held_)
      if (birth <= high && low < retire) return kLong;
    return birth <= durable_ && durable_ < retire ? kDurable : kBrief;
  }

 private:
  void ScanPins(const Mapping& mapping, uint32_t slots);

  uint64_t now_ = 0;
  uint64_t safe_ = 0;
  uint64_t writers_ = 0;
  uint64_t revoked_ = 0;
  uint64_t durable_ = 0;
  std::vector<uint64_t> pins_;
  std::vector<std::pair<uint64_t, uint64_t>> held_;  // all versions from first to second
  std::vector<uint64_t> long_pins_;  // of these, all but those of checkpoints
};

}  // namespace pongo

#endif  // PONGO_STORE_HORIZON_H_
