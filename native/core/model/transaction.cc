#include "model/transaction.h"

#include <algorithm>
#include <cstring>

#include "model/value_view.h"
#include "store/commit_signal.h"
#include "util/check.h"
#include "util/testing.h"

namespace pongo {
namespace {

constexpr size_t kLinearStates = 8;
constexpr uint32_t kRebasesMax = 64;
constexpr uint32_t kLongRebasesMax = 8;  // each takes so long that the next one will hardly be in time either
constexpr size_t kManyContainers = 16;
constexpr Status kNoContainer(Code::kKEY, "the container no longer exists");

}  // namespace

Status ReadBase(Mapping* mapping, uint64_t root_word, Base* base) {
  const uint64_t offset = RootWordOffset(root_word);
  uint64_t size;
  const uint8_t* bytes = mapping->Block(MakeRef(offset, 0), &size);
  if (PONGO_DAMAGED(bytes == nullptr)) return Status(Code::kCORRUPT, "the root points outside the file");
  const auto record = Load<RootRecord>(bytes);
  if (PONGO_DAMAGED(record.kind != static_cast<uint8_t>(NodeKind::kRoot) || record.size_class >= kClassCount))
    return Status(Code::kCORRUPT, "the root record holds impossible bytes");
  base->word = root_word;
  base->record = MakeRef(offset, record.size_class);
  base->version = record.version;
  base->table.root = record.object_table & kRefMask;
  base->table.levels = record.object_levels;
  base->containers = record.container_count;
  return Status::Ok();
}

void LowerExpiryHint(Mapping* mapping, int64_t at) {
  auto& hint = mapping->header()->expiry_next;
  int64_t known = hint.load(std::memory_order_seq_cst);
  while (at < known && !hint.compare_exchange_weak(known, at, std::memory_order_seq_cst)) {
  }
}

Transaction::Transaction(Mapping* mapping, ThreadSlot* slot, Allocator* allocator)
    : mapping_(mapping), slot_(slot), allocator_(allocator), writes_(mapping, allocator), table_writes_(mapping, allocator) {}

Status Transaction::Start(bool is_explicit) {
  PONGO_ASSERT(!active_);
  const uint64_t word = slot_->Announce();
  const Status read = ReadBase(mapping_, word, &base_);
  if (!read.ok()) {
    slot_->Clear();
    return read;
  }
  explicit_ = is_explicit;
  if (explicit_) {
    if (PONGO_PLANTED(24)) slot_->Clear();
    pin_ = slot_->Pin(base_.version, base_.word, PinKind::kTransaction);  // before the slot is cleared
    slot_->Clear();
    if (pin_ == kPinCells) return Status(Code::kFULL, "too many snapshots and iterators are open in this thread");
  }
  active_ = true;
  serial_++;
  dirty_ = false;
  expiry_next_ = kNoExpiry;
  now_ = is_explicit ? port::WallClockMicroseconds() : 0;
  poison_ = Status::Ok();
  state_count_ = 0;
  swap_state_ = nullptr;
  index_.clear();
  writes_.Start(base_.version + 1, is_explicit);
  writes_.StaySideBySide(awaited_ && !is_explicit, {});
  return Status::Ok();
}

// Ends the transaction towards the process table.
void Transaction::Finish() {
  active_ = false;
  slot_->Clear();
  if (explicit_) slot_->Unpin(pin_);
  if (allocator_->WantsReclaim()) allocator_->Reclaim();
}

void Transaction::Abort() {
  if (!active_) return;
  writes_.Abandon();
  Finish();
}

ContainerState* Transaction::FindState(uint64_t id) {
  if (state_count_ <= kLinearStates) {
    for (size_t i = 0; i < state_count_; i++)
      if (states_[i]->id == id) return states_[i].get();
    return nullptr;
  }
  if (index_.empty())
    for (size_t i = 0; i < state_count_; i++) index_[states_[i]->id] = states_[i].get();
  const auto found = index_.find(id);
  return found == index_.end() ? nullptr : found->second;
}

Status Transaction::Touch(uint64_t id, ContainerState** state) {
  *state = FindState(id);
  if (*state != nullptr) return Status::Ok();
  ObjectEntry entry;
  bool present;
  PONGO_TRY(FindObject(mapping_, base_.table, id, &present, &entry));
  if (state_count_ == states_.size()) states_.push_back(std::make_unique<ContainerState>());
  ContainerState* fresh = states_[state_count_++].get();
  *fresh = ContainerState{};
  fresh->id = id;
  fresh->in_base = fresh->exists = present;
  if (present) fresh->base = fresh->now = entry;
  if (!index_.empty()) index_[id] = fresh;
  *state = fresh;
  return Status::Ok();
}

Status Transaction::Read(uint64_t id, ContainerState** state) {
  PONGO_TRY(Touch(id, state));
  (*state)->content_read = true;
  return Status::Ok();
}

Status Transaction::Create(uint8_t kind, ObjectEntry entry, uint64_t* id) {
  *id = mapping_->header()->container_id_next.fetch_add(1, std::memory_order_relaxed);
  if (*id > kContainerIdMax) return Status(Code::kFULL, "all container ids are used up");
  return CreateAs(*id, kind, entry);
}

Status Transaction::CreateAs(uint64_t id, uint8_t kind, ObjectEntry entry) {
  ContainerState* state;
  PONGO_TRY(Touch(id, &state));
  writes_.NoteActivity();
  entry.root = ObjectEntry::PackRoot(entry.tree(), kind);
  state->now = entry;
  state->exists = true;
  state->changed = true;
  dirty_ = true;
  return Status::Ok();
}

std::vector<uint64_t> Transaction::CreatedSince(uint64_t first_id) const {
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < state_count_; i++)
    if (states_[i]->id >= first_id && !states_[i]->in_base && states_[i]->exists) ids.push_back(states_[i]->id);
  return ids;
}

Status Transaction::Link(uint64_t id, uint64_t parent) {
  ContainerState* state;
  PONGO_TRY(Touch(id, &state));
  if (!state->exists) return kNoContainer;
  writes_.NoteActivity();
  state->link_delta++;
  state->changed = true;
  if (state->now.parent_id() != parent) state->parent_net = 0;
  state->parent_net++;
  state->now.parent = ObjectEntry::PackParent(parent, state->now.links());
  dirty_ = true;
  return Status::Ok();
}

Status Transaction::Unlink(uint64_t id, uint64_t parent) {
  ContainerState* state;
  PONGO_TRY(Touch(id, &state));
  if (!state->exists) return Status::Ok();
  writes_.NoteActivity();
  state->link_delta--;
  if (state->now.parent_id() == parent) state->parent_net--;
  state->changed = true;
  dirty_ = true;
  return Status::Ok();
}

Status Transaction::Remove(ContainerState* state) {
  writes_.NoteActivity();
  state->exists = false;
  state->removed = true;
  state->changed = true;
  dirty_ = true;
  return Status::Ok();
}

// The parent to record when another commit, which has not touched what this one did, has made the entry `newer`. Each of the
// two knows only of its own parents: the latest link that still stands wins.
uint64_t Transaction::ParentOnto(const ContainerState& state, const ObjectEntry& newer) const {
  const uint64_t ours = state.ParentHolds() ? state.now.parent_id() : 0;
  if (ours != 0 && ours != state.base.parent_id()) return ours;
  return newer.parent_id() != state.base.parent_id() ? newer.parent_id() : ours;
}

// The object table and root record of the next version, on top of `on`.
Status Transaction::BuildVersion(const Base& on, Ref* root_record) {
  table_writes_.Start(on.version + 1, false);
  // A table of one node may have a larger block than it needs; a large one would waste many.
  table_writes_.StaySideBySide(awaited_ && on.table.levels <= 1, writes_.run());
  unlinked_ = 0;
  ObjectTable table = on.table;
  uint64_t containers = on.containers;
  for (size_t i = 0; i < state_count_; i++) {
    ContainerState& state = *states_[i];
    if (!state.changed) continue;
    if (state.removed) {
      bool removed;
      PONGO_TRY(RemoveObject(mapping_, &table_writes_, &table, state.id, &removed));
      if (removed) containers--;
      continue;
    }
    ObjectEntry entry = state.now;
    if (state.in_base && on.word != base_.word) {
      // Another commit may have linked it meanwhile: counts add up, they do not conflict.
      ObjectEntry newer;
      bool present;
      PONGO_TRY(FindObject(mapping_, on.table, state.id, &present, &newer));
      if (!present) return kNoContainer;
      if (!state.content_read) {
        entry.root = newer.root;
        entry.size = newer.size;
      }
      entry.parent = ObjectEntry::PackParent(ParentOnto(state, newer), newer.links());
    } else if (!state.ParentHolds()) {
      entry.parent = ObjectEntry::PackParent(0, entry.links());
    }
    const int64_t links = std::clamp<int64_t>(static_cast<int64_t>(entry.links()) + state.link_delta, 0, kLinksMax);
    entry.parent = ObjectEntry::PackParent(entry.parent_id(), static_cast<uint64_t>(links));
    bool added;
    PONGO_TRY(PutObject(mapping_, &table_writes_, &table, state.id, entry, &added));
    if (added) containers++;
    if (links == 0 && state.link_delta < 0) unlinked_++;
  }
  table_writes_.StaySideBySide(awaited_, table_writes_.run());
  uint8_t* bytes;
  uint64_t size;
  PONGO_TRY(table_writes_.Allocate(sizeof(RootRecord), root_record, &bytes, &size, Placement::kTop));
  RootRecord record;
  std::memset(&record, 0, sizeof record);
  record.kind = static_cast<uint8_t>(NodeKind::kRoot);
  record.object_levels = static_cast<uint8_t>(table.levels);
  record.size_class = static_cast<uint8_t>(RefClass(*root_record));
  record.version = on.version + 1;
  record.object_table = table.root;
  record.container_count = containers;
  Store(bytes, record);
  // The record that the new one takes the place of.
  table_writes_.Drop(on.record);
  return Status::Ok();
}

void Transaction::NoteSwap(ContainerState* state, Ref before, const LeafSwap& swap) {
  if (explicit_ || swap.old_leaf == kNullRef || before != state->base.tree()) return;
  swap_state_ = state;
  swap_root_ = state->now.tree();
  swap_ = swap;
}

// Puts the changed leaf into the tree of a newer version of its container, where the old one still is.
Status Transaction::SwapOnto(const ObjectEntry& newer, bool* swapped) {
  ContainerState& state = *swap_state_;
  *swapped = false;
  if (state.searches != 1) return Status::Ok();  // a path or a comparison has led through it as well
  if (state.now.tree() != swap_root_ || state.now.size != state.base.size) return Status::Ok();  // more than the leaf has changed
  if (((newer.root ^ state.base.root) & ~kRefMask) != 0) return Status::Ok();                     // another kind, or bounds
  Ref root;
  PONGO_TRY(TreeWriter(mapping_, &writes_, true).Swap(&swap_, newer.tree(), &root, swapped));
  if (!*swapped) return Status::Ok();
  state.base.root = newer.root;
  state.base.size = newer.size;
  state.now.set_tree(root);
  state.now.size = newer.size;
  swap_root_ = root;
  return Status::Ok();
}

// Whether every remembered container is in `newer` as it was in the base, but for what can be done again there at once. Blocks of
// the base cannot have been reused, so equal refs mean equal trees, and equal leaves.
Status Transaction::Unchanged(const Base& newer, bool* unchanged) {
  *unchanged = PONGO_PLANTED(11);
  for (size_t i = 0; i < state_count_ && !PONGO_PLANTED(11); i++) {
    const ContainerState& state = *states_[i];
    // Created here, with an id that nobody else has; only the registry of companions can be made by two at once.
    if (!state.in_base && state.exists && state.id != kCompanionsId) continue;
    ObjectEntry entry;
    bool present;
    PONGO_TRY(FindObject(mapping_, newer.table, state.id, &present, &entry));
    if (present != state.in_base) return Status::Ok();
    if (!present || !state.content_read || (entry.root == state.base.root && entry.size == state.base.size)) continue;
    if (&state != swap_state_) return Status::Ok();
    bool swapped;
    PONGO_TRY(SwapOnto(entry, &swapped));
    if (!swapped) return Status::Ok();
  }
  *unchanged = true;
  return Status::Ok();
}

Status Transaction::Commit(bool* committed) {
  *committed = false;
  PONGO_ASSERT(active_);
  const auto fail = [this](Status status) {
    table_writes_.Abandon();
    Abort();
    return status;
  };
  if (!poison_.ok()) return fail(poison_);
  if (!dirty_) {
    // Nothing to publish. An explicit transaction has read one pinned version: it is serialised there.
    writes_.Abandon();
    Finish();
    *committed = true;
    committed_version_ = base_.version;
    return Status::Ok();
  }
  ControlHeader* header = mapping_->header();
  Base on = base_;
  if (explicit_) {
    const uint64_t word = slot_->Announce();
    if (word != base_.word) {
      if (const Status read = ReadBase(mapping_, word, &on); !read.ok()) return fail(read);
      bool unchanged;
      if (const Status same = Unchanged(on, &unchanged); !same.ok()) return fail(same);
      if (!unchanged) {
        Abort();
        return Status::Ok();
      }
    }
  }
  const uint32_t rebases_max = state_count_ > kManyContainers ? kLongRebasesMax : kRebasesMax;
  for (uint32_t attempt = 0;; attempt++) {
    Ref record = kNullRef;
    if (const Status built = BuildVersion(on, &record); !built.ok()) return fail(built);
    uint64_t expected = on.word;
    PONGO_POINT("commit.publish");
    if (PONGO_PLANTED(13)) header->version.store(on.version + 1, std::memory_order_seq_cst);
    // seq_cst: publishes all blocks of the new version. A crash before: orphans. After: the version is complete.
    if (header->root.compare_exchange_strong(expected, MakeRootWord(record, on.version + 1), std::memory_order_seq_cst)) break;
    table_writes_.Abandon();
    if (PONGO_PLANTED(14)) expected = slot_->Announce();
    if (attempt == rebases_max) {  // others are too fast: the announcement must not stand still, and a turn will help
      Abort();
      return Status::Ok();
    }
    Base newer;
    if (const Status read = ReadBase(mapping_, expected, &newer); !read.ok()) return fail(read);
    bool unchanged;
    if (const Status same = Unchanged(newer, &unchanged); !same.ok()) return fail(same);
    if (!unchanged) {
      Abort();
      return Status::Ok();
    }
    on = newer;
  }
  committed_version_ = on.version + 1;
  PONGO_POINT("commit.published");
  // After the CAS, never before: V may lag behind the root, and then only keeps more.
  uint64_t v = header->version.load(std::memory_order_relaxed);
  while (v < committed_version_ && !header->version.compare_exchange_weak(v, committed_version_, std::memory_order_seq_cst)) {
  }
  PONGO_POINT("commit.raised");
  if (unlinked_ != 0) header->unlinked.fetch_add(unlinked_, std::memory_order_relaxed);
  if (expiry_next_ != kNoExpiry) [[unlikely]] LowerExpiryHint(mapping_, expiry_next_);
  writes_.Committed(committed_version_);
  table_writes_.Committed(committed_version_);
  Finish();
  SignalCommit(header);
  *committed = true;
  return Status::Ok();
}

}  // namespace pongo
