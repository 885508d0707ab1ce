#include "store/write_set.h"

#include <algorithm>

#include "util/check.h"

namespace pongo {
namespace {

constexpr size_t kNone = ~size_t{0};

size_t HashRef(Ref ref) { return static_cast<size_t>((ref * 0x9e3779b97f4a7c15u) >> 20); }

}  // namespace

void WriteSet::Start(uint64_t birth, bool roomy) {
  birth_ = birth;
  roomy_ = roomy;
  StaySideBySide(false, {});
  fresh_.clear();
  replaced_.clear();
  table_.clear();
  table_used_ = 0;
}

size_t WriteSet::Find(Ref ref) const {
  if (table_.empty()) {
    for (size_t i = fresh_.size(); i-- > 0;)
      if (fresh_[i] == ref) return i;
    return kNone;
  }
  const size_t mask = table_.size() - 1;
  for (size_t h = HashRef(ref) & mask; table_[h] != 0; h = (h + 1) & mask)
    if (fresh_[table_[h] - 1] == ref) return table_[h] - 1;
  return kNone;
}

// Entries of dropped blocks stay as tombstones (their fresh_ entry is null, which equals no ref).
void WriteSet::Index(Ref ref, size_t at) {
  if (table_.empty() && fresh_.size() <= kLinear) return;
  if (table_.empty() || (table_used_ + 1) * 2 > table_.size()) {
    // Drop the tombstones while growing.
    std::erase(fresh_, kNullRef);
    at = fresh_.size() - 1;
    table_.assign(std::max<size_t>(128, table_.empty() ? 128 : fresh_.size() * 8 <= table_.size() ? table_.size() : table_.size() * 2), 0);
    table_used_ = fresh_.size();
    const size_t mask = table_.size() - 1;
    for (size_t i = 0; i < fresh_.size(); i++) {
      size_t h = HashRef(fresh_[i]) & mask;
      while (table_[h] != 0) h = (h + 1) & mask;
      table_[h] = i + 1;
    }
    return;
  }
  const size_t mask = table_.size() - 1;
  size_t h = HashRef(ref) & mask;
  for (; table_[h] != 0; h = (h + 1) & mask) {
    if (fresh_[table_[h] - 1] != kNullRef) continue;
    // A tombstone is used again. The allocator hands out the block that was dropped last: otherwise each turn of a block
    // would make its chain longer, and a large transaction quadratic.
    fresh_[table_[h] - 1] = ref;
    fresh_.pop_back();
    return;
  }
  table_[h] = at + 1;
  table_used_++;
}

Status WriteSet::Allocate(uint64_t bytes_needed, Ref* ref, uint8_t** bytes, uint64_t* size, Placement placement) {
  const bool beside = side_by_side_ && (placement == Placement::kTop || (placement == Placement::kInner && run_is_inner_));
  if (!beside || !allocator_->AllocateBeside(&run_, bytes_needed, birth_, ref)) {
    const bool begins = side_by_side_ && placement == Placement::kInner;
    PONGO_TRY(begins ? allocator_->AllocateAtRun(bytes_needed, birth_, ref) : allocator_->Allocate(bytes_needed, birth_, ref));
    if (placement != Placement::kAnywhere || !run_is_inner_) run_ = {*ref, *ref};
    run_is_inner_ |= placement == Placement::kInner;
  }
  *bytes = mapping_->Block(*ref, size);
  PONGO_CHECK(*bytes != nullptr);
  activity_++;
  fresh_.push_back(*ref);
  Index(*ref, fresh_.size() - 1);
  return Status::Ok();
}

bool WriteSet::IsFresh(Ref ref) const { return Find(ref) != kNone; }

void WriteSet::Forget(size_t at) {
  if (table_.empty() && at + 1 == fresh_.size())
    fresh_.pop_back();
  else
    fresh_[at] = kNullRef;
}

void WriteSet::Drop(Ref ref) {
  if (ref == kNullRef) return;
  activity_++;
  const size_t at = Find(ref);
  if (at != kNone) {
    Forget(at);
    allocator_->Discard(ref);
  } else {
    replaced_.push_back(ref);
  }
}

bool WriteSet::Undo(const Mark& from, const Mark& to) {
  if (!table_.empty()) return false;
  for (size_t i = to.fresh; i-- > from.fresh;) allocator_->Discard(fresh_[i]);
  fresh_.erase(fresh_.begin() + static_cast<ptrdiff_t>(from.fresh), fresh_.begin() + static_cast<ptrdiff_t>(to.fresh));
  replaced_.erase(replaced_.begin() + static_cast<ptrdiff_t>(from.replaced), replaced_.begin() + static_cast<ptrdiff_t>(to.replaced));
  return true;
}

void WriteSet::Committed(uint64_t version) {
  for (const Ref ref : replaced_) allocator_->Retire(ref, version);
  fresh_.clear();
  replaced_.clear();
  table_.clear();
  table_used_ = 0;
}

void WriteSet::Abandon() {
  for (const Ref ref : fresh_)
    if (ref != kNullRef) allocator_->Discard(ref);
  fresh_.clear();
  replaced_.clear();
  table_.clear();
  table_used_ = 0;
}

}  // namespace pongo
