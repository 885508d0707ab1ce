// What the operations on containers mean, over a transaction (writes) or a version (reads).
//
// Reads borrow: visitors see bytes of the mapped file and must not keep them. Writes change only the transaction; when one
// fails after it has changed something, it poisons the transaction, so that half of an operation can never be committed.
// Complexity: O(log n) in the size of the container unless noted.
#ifndef PONGO_MODEL_OPERATIONS_H_
#define PONGO_MODEL_OPERATIONS_H_

#include <cstdint>
#include <vector>

#include "model/transaction.h"
#include "model/value_view.h"
#include "model/values.h"
#include "util/status.h"

namespace pongo {

// Where reads look containers up: in a transaction, which remembers them, or in a protected version.
class ReadView {
 public:
  ReadView(Mapping* mapping, Transaction* transaction) : mapping_(mapping), transaction_(transaction) {}
  ReadView(Mapping* mapping, const ObjectTable& table) : mapping_(mapping), table_(table) {}

  Status Lookup(uint64_t id, bool* present, ObjectEntry* entry) const;
  // KEY when the container does not exist, TYPE when it is not of the wanted sort.
  Status Keyed(uint64_t id, ObjectEntry* entry) const;
  Status List(uint64_t id, ObjectEntry* entry) const;
  Mapping* mapping() const { return mapping_; }
  bool in_transaction() const { return transaction_ != nullptr; }

 private:
  Mapping* mapping_;
  Transaction* transaction_ = nullptr;
  ObjectTable table_;
};

Status GetValue(const ReadView& view, uint64_t id, const Key& key, ValueVisitor found);
Status GetAt(const ReadView& view, uint64_t id, uint64_t index, ValueVisitor found);
Status GetPathValue(const ReadView& view, uint64_t id, const PathStep* steps, size_t count, ValueVisitor found);
Status PageEntries(const ReadView& view, uint64_t id, uint64_t start, uint64_t count, int step, EntryVisitor visit);
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

  Status Set(uint64_t id, const Key& key, const Input& value, uint32_t flags);
  Status Delete(uint64_t id, const Key& key, bool* was_present);
  Status Pop(uint64_t id, const Key& key, ValueVisitor found);
  Status Shift(uint64_t id, EntryVisitor visit);
  Status Update(uint64_t id, const uint8_t* wire, size_t size);
  Status Increment(uint64_t id, const Key& key, const ValueView& by, ValueVisitor result);
  Status CompareAndSet(uint64_t id, const Key& key, const Input* expected, const Input* next, bool* swapped);

  // The container and last step that a path leads to; KEY when an intermediate is missing.
  Status ResolvePath(uint64_t id, const PathStep* steps, size_t count, uint64_t* container, const PathStep** last);
  Status SetStep(uint64_t id, const PathStep& step, const Input& value, uint32_t flags);
  Status DeleteStep(uint64_t id, const PathStep& step, bool* was_present);
  Status IncrementStep(uint64_t id, const PathStep& step, const ValueView& by, ValueVisitor result);
  Status CompareAndSetStep(uint64_t id, const PathStep& step, const Input* expected, const Input* next, bool* swapped);

  Status Create(Kind kind, const uint8_t* wire, size_t size, uint64_t* id);
  // Takes a container that nothing leads to out of the database, with all it holds. For the collector.
  Status RemoveContainer(uint64_t id, bool* existed);
  Status Clear(uint64_t id);
  Status Replace(uint64_t id, const uint8_t* wire, size_t size);

  Status ListSet(uint64_t id, uint64_t index, const Input& value);
  Status ListSplice(uint64_t id, uint64_t start, uint64_t delete_count, const uint8_t* wire, size_t size, uint64_t* length);
  Status ListPush(uint64_t id, const Input& value, uint64_t* length);
  Status ListTake(uint64_t id, bool first, ValueVisitor found);

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
    bool keyed = true;
  };
  Status Locate(uint64_t id, const PathStep& step, Place* place);
  Status Write(Place* place, const Key* key, Payload payload);
  Status Remove(Place* place);
  Status State(uint64_t id, bool keyed, ContainerState** state);
  Status KindOf(uint64_t id, bool* keyed);
  Status Matches(const Place& place, const Input* expected, bool* same);
  Status InsertAt(ContainerState* state, uint64_t position, Payload payload);
  Status ReleaseContent(ContainerState* state, bool keyed);
  void Root(ContainerState* state, Ref root, int64_t delta);
  template <class F>
  Status Guard(F&& body);

  Transaction* txn_;
  ValueBuilder* builder_;
};

}  // namespace pongo

#endif  // PONGO_MODEL_OPERATIONS_H_
