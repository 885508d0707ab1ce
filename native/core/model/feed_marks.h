// Which containers lie between the watched one and those that changed.
//
// Climbs by the parent that the object table records, which is the only one of a container with one link. Where that does
// not tell (several links, or the recorded parent has let go), everything below the watched container is read instead.
// Not thread-safe; works on one protected version.
#ifndef PONGO_MODEL_FEED_MARKS_H_
#define PONGO_MODEL_FEED_MARKS_H_

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "model/object_table.h"
#include "util/status.h"

namespace pongo {

class FeedMarks {
 public:
  FeedMarks(Mapping* mapping, const ObjectTable& table) : mapping_(mapping), table_(table) {}

  // What the ways shall lead to. A way ends at the first top.
  void AddTop(uint64_t id) { tops_.insert(id); }
  // Marks the ways to the tops. O(ids * depth), or O(size of what is below the tops).
  Status Find(const std::vector<uint64_t>& ids);
  // All tops that some of these lie below, or are: those above another top too. At the same cost.
  Status Reached(const std::vector<uint64_t>& ids, std::unordered_set<uint64_t>* tops);

  // Whether something marked lies below a marked container.
  bool Leads(uint64_t id) const { return children_.contains(id); }
  // The containers in it that are marked.
  const std::unordered_set<uint64_t>& ChildrenOf(uint64_t id) const { return children_.find(id)->second; }

 private:
  Status Parent(uint64_t id, bool* sure, uint64_t* parent);
  Status Climb(uint64_t id, bool* sure, uint64_t* top);
  Status ReadAll(const std::vector<uint64_t>& ids);

  Mapping* const mapping_;
  const ObjectTable table_;
  std::unordered_set<uint64_t> tops_;
  std::unordered_map<uint64_t, uint64_t> known_;  // container -> the top above it, or 0
  std::unordered_map<uint64_t, std::unordered_set<uint64_t>> children_;
};

}  // namespace pongo

#endif  // PONGO_MODEL_FEED_MARKS_H_
