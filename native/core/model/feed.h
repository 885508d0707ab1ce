// The change feed: what differs between two versions below a container, as changes to apply in order.
//
// Applied in order to a deep copy of the old state, the changes give the new state exactly. They are found by the diff of the
// two object tables, which tells which containers changed, by climbing from these to the watched one, and by the diffs of the
// trees on the way down again (tree/diff.h). Nothing is recorded when a commit is made: a feed costs writers nothing.
//
// A container in several places below the watched one gives its changes once for each place, and none for places that lead
// through itself (cycles).
//
// A Watcher belongs to one session, and its base version is pinned by it. Not thread-safe.
#ifndef PONGO_MODEL_FEED_H_
#define PONGO_MODEL_FEED_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "model/transaction.h"
#include "model/value_view.h"
#include "util/status.h"

namespace pongo {

struct Change {
  enum class Type : uint8_t {
    kSet,      // what `path` leads to is now `value`; in a MultiCollection: the pair of the last key and `value` is new
    kDelete,   // what `path` leads to is gone; in a MultiCollection: the pair with `old_value` is
    kSplice,   // in the List that `path` leads to, at `index`: `removed` elements went, `inserted` came
    kReset,    // read everything again
  };
  Type type = Type::kReset;
  const PathStep* path = nullptr;   // relative to what is watched; empty: that itself
  size_t path_size = 0;
  const ValueView* value = nullptr;        // kSet
  const ValueView* old_value = nullptr;    // kSet, kDelete; null: there was none
  const std::vector<uint8_t>* old_copy = nullptr;  // the wire form of an old value that is a container; null when it has no plain
                                                   // copy, because it holds itself or is too deep
  uint64_t index = 0;
  uint64_t removed = 0;
  uint64_t inserted = 0;
};

// Receives what is borrowed, until it returns. Must not use the session.
class ChangeVisitor {
 public:
  virtual ~ChangeVisitor() = default;
  virtual void OnChange(const Change& change) = 0;
  // `inserted` calls follow a splice.
  virtual void OnInserted(const ValueView& value) = 0;
};

struct Watcher {
  // What is watched: what the path leads to from the container; an empty path: the container.
  uint64_t id = 0;
  std::vector<PathStep> path;
  std::vector<std::string> path_bytes;    // what the keys of `path` borrow

  Base base;                              // the state that the watcher knows
  uint32_t cell = 0;                      // its pin
  bool reset = false;                     // its base is lost

  // Containers that the last batch has shown as new. Whoever copies one may copy a later state than that of the batch: if it
  // changes before he is done with the batch, it is shown again, whole, with the next one.
  std::unordered_set<uint64_t> shown;
  std::unordered_set<uint64_t> shown_multis;  // the MultiCollections of which a pair with such a value was shown
  std::unordered_set<uint64_t> outdated;      // what is to be shown again: of the shown, and of their MultiCollections
  bool settled = true;                    // shown has been looked through

  // Where the containers of a large keyed container are, once one of them has changed: kept up to date by each batch.
  std::unordered_map<uint64_t, std::unordered_multimap<uint64_t, std::string>> places;
};

// Visits the changes from watcher->base to `after`, both protected. The base stays; the caller moves it.
Status VisitChanges(Mapping* mapping, Watcher* watcher, const Base& after, ChangeVisitor* visitor);

// The reader of the last batch is done with it, at version `now`: decides what was outdated while he read.
Status SettleBatch(Mapping* mapping, Watcher* watcher, const Base& now);

}  // namespace pongo

#endif  // PONGO_MODEL_FEED_H_
