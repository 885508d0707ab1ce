// What the operations on containers mean, over a transaction (writes) or a version (reads).
//
// Reads borrow: visitors see bytes of the mapped file and must not keep them. Writes change only the transaction; when one
// fails after it has changed something, it poisons the transaction, so that half of an operation can never be committed.
// Complexity: O(log n) in the size of the container unless noted.
#ifndef PONGO_MODEL_OPERATIONS_H_
#define PONGO_MODEL_OPERATIONS_H_

#include <cstdint>
#include <vector>

#include "model/bounds.h"
#include "model/transaction.h"
#include "model/value_view.h"
#include "model/values.h"
#include "util/status.h"
#include "util/testing.h"

namespace pongo {

// Where reads look containers up: in a transaction, which remembers them, or in a protected version.
class ReadView {
 public:
  ReadView(Mapping* mapping, Transaction* transaction) : mapping_(mapping), transaction_(transaction) {}
  // now = 0: read when it is first needed.
  ReadView(Mapping* mapping, const ObjectTable& table, int64_t now = 0) : mapping_(mapping), table_(table), now_(now) {}
  // A read of a program in the live state: bounded Collections note the use of what it finds.
  ReadView& NotingUses(bool notes) {
    notes_uses_ = notes;
    return *this;
  }
  bool notes_uses() const { return notes_uses_; }
  // The entry of one container is known already; it must stay where it is.
  ReadView& Knowing(uint64_t id, const ObjectEntry* entry) {
    known_id_ = id;
    known_ = entry;
    return *this;
  }

  Status Lookup(uint64_t id, bool* present, ObjectEntry* entry) const;
  // KEY when the container does not exist, TYPE when it is not of the wanted sort.
  Status Keyed(uint64_t id, ObjectEntry* entry) const;
  Status List(uint64_t id, ObjectEntry* entry) const;
  Mapping* mapping() const { return mapping_; }
  bool in_transaction() const { return transaction_ != nullptr; }
  // The instant by which this view judges what has expired.
  int64_t now() const;

 private:
  Mapping* mapping_;
  Transaction* transaction_ = nullptr;
  ObjectTable table_;
  mutable int64_t now_ = 0;
  bool notes_uses_ = false;
  uint64_t known_id_ = 0;
  const ObjectEntry* known_ = nullptr;
};

// Whether an entry that was found has expired by the instant of the view. Costs one test where nothing in the leaf can.
Status LeafEntryExpired(const Node& leaf, uint32_t index, int64_t now, bool* expired);
inline Status HasExpired(const ReadView& view, const Node& leaf, uint32_t index, bool* expired) {
  *expired = false;
  return leaf.may_expire() ? LeafEntryExpired(leaf, index, view.now(), expired) : Status::Ok();
}

Status GetValue(const ReadView& view, uint64_t id, const Key& key, ValueVisitor found);
Status GetAt(const ReadView& view, uint64_t id, uint64_t index, ValueVisitor found);
Status GetPathValue(const ReadView& view, uint64_t id, const PathStep* steps, size_t count, ValueVisitor found);
// Visits the entries at `count` positions from `start` on, without those that have expired (kExpiredToo: with them).
// kContents: the visitor will read what is in containers; that of the next one is fetched meanwhile.
enum PageFlags : uint32_t { kExpiredToo = 1, kContents = 2 };
// *passed: the number of positions.
Status PageEntries(const ReadView& view, uint64_t id, uint64_t start, uint64_t count, int step, EntryVisitor visit, uint32_t flags = 0,
                   uint64_t* passed = nullptr);
// The first entry from one end (step 1: the least key, -1: the greatest) that has not expired. *position: where it is.
Status EdgeEntry(const ReadView& view, uint64_t id, int step, EntryVisitor visit, uint64_t* position);
// The position behind `count` entries that have not expired, going from `start` in steps of `step`; at most `limit` positions away.
// O(log n) when the container has none that can expire, else O(positions passed).
Status SkipEntries(const ReadView& view, uint64_t id, uint64_t start, uint64_t limit, uint64_t count, int step, uint64_t* passed);
// *expires: the instant at which a key will expire; 0 when it will not, or is absent.
Status FindExpiry(const ReadView& view, uint64_t id, const Key& key, int64_t* expires);
// Number of entries below `key`.
Status FindRank(const ReadView& view, uint64_t id, const Key& key, uint64_t* rank);
Status FindBounds(const ReadView& view, uint64_t id, const Key& lo, const Key& hi, uint32_t flags, uint64_t* begin, uint64_t* end);
// The deep plain copy of a container, appended in wire form. A cycle: TYPE; deeper than 512: DEPTH. O(size).
Status CopyNative(const ReadView& view, uint64_t id, std::vector<uint8_t>* wire);

// Deep equality of a stored value with a wire value. O(size of the wire value * log n).
Status SameAsWire(const ReadView& view, const ValueView& stored, const uint8_t* wire, size_t size, bool* same);

class Operations {
 public:
  Operations(Transaction* transaction, ValueBuilder* builder) : txn_(transaction), builder_(builder) {}

  Status Set(uint64_t id, const Key& key, const Input& value, uint32_t flags, const Expiry& expiry = {});
  Status Delete(uint64_t id, const Key& key, bool* was_present);
  // One value of a key of a MultiCollection.
  Status DeletePair(uint64_t id, const Key& key, const Input& value, bool* was_present);
  Status Pop(uint64_t id, const Key& key, ValueVisitor found);
  Status Shift(uint64_t id, EntryVisitor visit);
  Status Update(uint64_t id, const uint8_t* wire, size_t size);
  Status Increment(uint64_t id, const Key& key, const ValueView& by, ValueVisitor result);
  Status CompareAndSet(uint64_t id, const Key& key, const Input* expected, const Input* next, bool* swapped);

  // The container and last step that a path leads to; KEY when an intermediate is missing.
  Status ResolvePath(uint64_t id, const PathStep* steps, size_t count, uint64_t* container, const PathStep** last);
  Status SetStep(uint64_t id, const PathStep& step, const Input& value, uint32_t flags, const Expiry& expiry = {});
  Status DeleteStep(uint64_t id, const PathStep& step, bool* was_present);
  Status IncrementStep(uint64_t id, const PathStep& step, const ValueView& by, ValueVisitor result);
  Status CompareAndSetStep(uint64_t id, const PathStep& step, const Input* expected, const Input* next, bool* swapped);

  // Gives a present key another expiry, or none. *was_present: whether it was there.
  Status SetExpiry(uint64_t id, const Key& key, const Expiry& expiry, bool* was_present);
  // Removes at most `limit` entries that have expired. *removed: how many; *next: when the next one will (0: none). For the cleaner.
  Status RemoveExpired(uint64_t id, uint64_t limit, uint64_t* removed, int64_t* next);

  Status Create(Kind kind, const uint8_t* wire, size_t size, uint64_t* id);
  // An empty Collection that keeps within bounds.
  Status CreateBounded(const CollectionBounds& bounds, uint64_t* id);
  // Takes a container that nothing leads to out of the database, with all it holds. For the collector.
  Status RemoveContainer(uint64_t id, bool* existed);
  Status Clear(uint64_t id);
  Status Replace(uint64_t id, const uint8_t* wire, size_t size);

  Status ListSet(uint64_t id, uint64_t index, const Input& value);
  Status ListSplice(uint64_t id, uint64_t start, uint64_t delete_count, const uint8_t* wire, size_t size, uint64_t* length);
  Status ListPush(uint64_t id, const Input& value, uint64_t* length);
  Status ListTake(uint64_t id, bool first, ValueVisitor found);
  // Makes the elements at these positions, in this order, the content. Elements move as they are stored; one that is named
  // again is copied (a container: linked again), one that is not named goes. O(n).
  Status ListArrange(uint64_t id, const uint32_t* positions, size_t count);

 private:
  // MultiCollections: the same operations on pairs.
  Status SetPair(ContainerState* state, const Key& key, const Input& value, uint32_t flags);
  Status DeletePairs(ContainerState* state, const Key& key, bool* was_present);
  Status TakeAt(ContainerState* state, uint64_t position, EntryVisitor visit);
  // The entry that a step names: path into the tree, present or not.
  struct Place {
    ContainerState* state = nullptr;
    Path path;
    bool present = false;
    bool stored = false;     // the tree has it: present, or expired and not yet cleaned away
    bool keyed = true;
    int64_t expires = 0;     // of what is stored
    Ref root = kNullRef;     // of the tree when it was searched
    LeafSwap swap;           // set by Write
  };
  Status Locate(uint64_t id, const PathStep& step, Place* place);
  Status Write(Place* place, const Key* key, Payload payload);
  // Builds a value and stores it. A value that a bounded Collection refuses (VALUE) is taken back: nothing has changed then.
  Status BuildAndWrite(Place* place, const Key* key, const Input& value, int64_t expires);
  Status TakeBack(const Payload& payload, uint64_t first_id);
  // As Write and BuildAndWrite, for an operation whose only change to the container this is.
  Status WriteAlone(Place* place, const Key* key, const Payload& payload);
  Status BuildAndWriteAlone(Place* place, const Key* key, const Input& value, int64_t expires);
  Status Remove(Place* place);
  Status WriteStored(Place* place, const Key* key, const Payload& payload);
  Status RemoveStored(Place* place);
  Status EraseStored(Place* place);
  Status RemoveAt(ContainerState* state, uint64_t position);
  Status State(uint64_t id, bool keyed, ContainerState** state);
  Status KindOf(uint64_t id, bool* keyed);
  Status Matches(const Place& place, const Input* expected, bool* same);
  Status InsertAt(ContainerState* state, uint64_t position, Payload payload);
  Status AppendNulls(ContainerState* state, uint64_t count);
  Status RemoveRange(ContainerState* state, uint64_t at, uint64_t count);
  Status TakeElement(uint64_t owner, Word word, const uint8_t* local, bool again, Payload* payload);
  Status ReleaseContent(ContainerState* state, bool keyed);
  // bounds.cc
  Status WriteBounded(Place* place, const Key& key, const Payload& payload);
  Status RemoveBounded(Place* place);
  Status PutNumber(ContainerState* companion, const Key& key, uint64_t number);
  Status DropKey(ContainerState* companion, const Key& key);
  Status PutBounds(ContainerState* companion, const CollectionBounds& bounds);
  Status DeepBytes(uint64_t id, uint64_t limit, uint64_t* bytes);
  Status MeasureStored(const Place& place, ContainerState* companion, std::vector<uint8_t>* key, uint64_t* bytes);
  Status ForgetBounded(ContainerState* companion, const CollectionBounds& bounds, const Key& key, bool was_container, bool keep_order);
  Status Enrol(ContainerState* companion, const Key& key);
  Status Evict(ContainerState* owner, ContainerState* companion, const std::vector<uint8_t>& keep);
  Status ChooseVictim(ContainerState* owner, ContainerState* companion, const CollectionBounds& bounds, const Key& keep,
                      std::vector<uint8_t>* victim);
  Status ChooseOldest(ContainerState* owner, const Key& keep, std::vector<uint8_t>* victim);
  // companion.cc
  Status JudgeExpiry(Place* place);
  int64_t ExpiryInstant(const Expiry& expiry);
  Status Companion(ContainerState* owner, bool create, ContainerState** companion);
  Status MoveExpiry(ContainerState* owner, const Key& key, int64_t from, int64_t to);
  Status RemoveWithExpiry(Place* place);
  Status ClearCompanion(ContainerState* owner);
  Status RemoveCompanion(ContainerState* owner);
  void Root(ContainerState* state, Ref root, int64_t delta);
  // Runs a body that changes the transaction; a failure after the first change poisons it.
  template <class F>
  Status Guard(F&& body) {
    const uint64_t before = txn_->writes()->activity();
    const Status status = body();
    if (PONGO_PLANTED(25)) return status;
    if (!status.ok() && txn_->is_explicit() && txn_->writes()->activity() != before) txn_->Poison(status);
    return status;
  }

  Transaction* txn_;
  ValueBuilder* builder_;
  uint64_t random_ = port::Nanoseconds() | 1;  // for samples: needs no quality
};

}  // namespace pongo

#endif  // PONGO_MODEL_OPERATIONS_H_
