// One atomic change of the database: reads a base version, builds the next one beside it, publishes it with one CAS.
//
// Used for single operations (implicit: announced from start to end) and for transaction(fn) (explicit: the base is pinned
// and the slot announced only while committing, so that a slow fn stops nobody's reclamation).
//
// Order of a commit (docs/design.md, "Commit"; each step is there for a reason):
//   1. slot = V, then load the root word R.   2. Build, births version(R) + 1; remember each container that was read.
//   3. CAS root R -> R', then raise V.        4. CAS lost: if all remembered containers are unchanged in the new R2, build
//      only the object table and root record again on R2; if one has changed, but not in the only leaf that this operation has
//      looked at and changed, the nodes above that leaf too; else run the whole operation again. The slot never rises between
//      the first read and the last CAS.       5. Retire what was replaced, clear the slot.
// Not thread-safe: belongs to one thread. Other processes see nothing before the CAS and everything after it. Killed before
// the CAS: unreachable LIVE blocks, for the sweep. Killed after it: blocks that should be retired stay LIVE, for the sweep.
#ifndef PONGO_MODEL_TRANSACTION_H_
#define PONGO_MODEL_TRANSACTION_H_

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "format/superblock.h"
#include "model/object_table.h"
#include "port/port.h"
#include "store/allocator.h"
#include "store/thread_slot.h"
#include "store/write_set.h"
#include "tree/tree.h"
#include "util/status.h"

namespace pongo {

// A version of the database as a reader holds it.
struct Base {
  uint64_t word = 0;
  Ref record = kNullRef;  // the root record
  uint64_t version = 0;
  ObjectTable table;
  uint64_t containers = 0;
};

// Reads the root record that a root word names. The caller protects it. CORRUPT.
Status ReadBase(Mapping* mapping, uint64_t root_word, Base* base);

// Says that an entry expires at `at`: the hint is a lower bound of what the cleaner has to look for (model/expiry_cleaner.h).
// After the commit, or the cleaner could look too early; whoever dies in between has its slot adopted, which clears the hint.
void LowerExpiryHint(Mapping* mapping, int64_t at);

// What a transaction knows of one container.
struct ContainerState {
  uint64_t id = 0;
  ObjectEntry base;              // as in the base version
  ObjectEntry now;               // as this transaction sees it
  bool in_base = false;
  bool exists = false;
  bool content_read = false;     // a conflict if its tree changed meanwhile
  bool changed = false;
  bool removed = false;          // exists in the base and is taken out of the object table
  uint32_t searches = 0;         // how often it was looked into, for an entry or for all
  int64_t link_delta = 0;
  int64_t parent_net = 0;        // links from now.parent_id() that were added, less those removed
  // now.parent_id() surely holds the container. Removing the only known link makes the parent unknown.
  bool ParentHolds() const { return in_base && now.parent_id() == base.parent_id() ? parent_net >= 0 : parent_net > 0; }
};

class Transaction {
 public:
  Transaction(Mapping* mapping, ThreadSlot* slot, Allocator* allocator);

  // Announces (implicit) or pins (explicit) the newest version. FULL when no pin is free.
  Status Start(bool is_explicit);
  // A second attempt of an explicit transaction is a new Start. Leaves nothing behind.
  void Abort();
  // *committed = false: a conflict; everything was taken back.
  Status Commit(bool* committed);

  // Whether somebody will wait until the commit is durable: then it takes few requests to the disk, for which some blocks are larger
  // than they need to be. Before Start; for an explicit transaction before Commit.
  void set_awaited(bool awaited) { awaited_ = awaited; }
  bool active() const { return active_; }
  // Differs for every attempt of every transaction of this thread.
  uint64_t serial() const { return serial_; }
  bool is_explicit() const { return explicit_; }
  const Base& base() const { return base_; }
  // The one instant by which this attempt judges what has expired, microseconds since 1970. An explicit transaction takes it when
  // it starts, a single operation when it first needs it.
  int64_t now() {
    if (now_ == 0) now_ = port::WallClockMicroseconds();
    return now_;
  }
  uint64_t committed_version() const { return committed_version_; }

  // An entry that expires at `at` was stored.
  void NoteExpiry(int64_t at) { expiry_next_ = at < expiry_next_ ? at : expiry_next_; }

  // The state of a container, remembered as read. Valid until the next call.
  Status Read(uint64_t id, ContainerState** state);
  // The same without making its content part of what must not change (to link it).
  Status Touch(uint64_t id, ContainerState** state);
  // A new container with a new id.
  Status Create(uint8_t kind, ObjectEntry entry, uint64_t* id);
  // The same with an id that is set aside for it.
  Status CreateAs(uint64_t id, uint8_t kind, ObjectEntry entry);
  // The containers made here that exist, with this id or a higher one.
  std::vector<uint64_t> CreatedSince(uint64_t first_id) const;
  // The operation has changed one leaf of this container's tree, which was `before`. If that is all that the transaction does to
  // it, and it has not looked at anything else in it, a commit of somebody else to other leaves is no conflict.
  void NoteSwap(ContainerState* state, Ref before, const LeafSwap& swap);
  // The container goes; what its tree holds must have been released.
  Status Remove(ContainerState* state);
  void Changed(ContainerState* state) { state->changed = true; }
  // A container value was stored in, or removed from, `parent`. KEY when it does not exist.
  Status Link(uint64_t id, uint64_t parent);
  Status Unlink(uint64_t id, uint64_t parent);

  // Something failed after changes were made: an explicit transaction can only be aborted.
  void Poison(Status status) { poison_ = status; }
  const Status& poison() const { return poison_; }
  bool dirty() const { return dirty_; }
  void set_dirty() { dirty_ = true; }
  void NoteTreeChange() {
    writes_.NoteActivity();
    dirty_ = true;
    swap_state_ = nullptr;
  }

  WriteSet* writes() { return &writes_; }
  Mapping* mapping() const { return mapping_; }
  Allocator* allocator() const { return allocator_; }

 private:
  ContainerState* FindState(uint64_t id);
  uint64_t ParentOnto(const ContainerState& state, const ObjectEntry& newer) const;
  Status BuildVersion(const Base& on, Ref* root_record);
  Status Unchanged(const Base& newer, bool* unchanged);
  Status SwapOnto(const ObjectEntry& newer, bool* swapped);
  void Finish();

  Mapping* mapping_;
  ThreadSlot* slot_;
  Allocator* allocator_;
  WriteSet writes_;
  WriteSet table_writes_;
  bool active_ = false;
  uint64_t serial_ = 0;
  uint64_t unlinked_ = 0;        // containers whose last link goes with this commit
  bool explicit_ = false;
  bool dirty_ = false;
  bool awaited_ = false;
  int64_t now_ = 0;
  int64_t expiry_next_ = kNoExpiry;
  uint32_t pin_ = 0;
  Base base_;
  uint64_t committed_version_ = 0;
  Status poison_;
  ContainerState* swap_state_ = nullptr;                 // what `swap_` was done to; null: nothing
  Ref swap_root_ = kNullRef;                             // its tree since then
  LeafSwap swap_;
  std::vector<std::unique_ptr<ContainerState>> states_;
  size_t state_count_ = 0;                               // states_ beyond it are kept for reuse
  std::unordered_map<uint64_t, ContainerState*> index_;  // only once there are many
};

}  // namespace pongo

#endif  // PONGO_MODEL_TRANSACTION_H_
