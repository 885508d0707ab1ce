// What differs between two versions of a tree: a walk that skips the subtrees that both have.
//
// Nodes never change once they are published, and both versions are protected by the caller: equal refs are equal subtrees.
// What is left between shared subtrees comes as gaps, in order: the entries of the one version and those of the other that
// stand between the same neighbours. In a keyed tree the keys of the two sides of a gap lie between the same two keys.
// O(changed nodes * fan-out). Not thread-safe; nothing here is seen by others.
#ifndef PONGO_TREE_DIFF_H_
#define PONGO_TREE_DIFF_H_

#include <cstdint>
#include <vector>

#include "tree/tree.h"
#include "util/function_ref.h"
#include "util/status.h"

namespace pongo {

// The entries of one version in a gap: positions [begin, begin + size()) of that version.
class GapSide {
 public:
  uint64_t begin = 0;
  size_t size() const { return entries_.size(); }
  const Node& leaf(size_t i) const { return leaves_[entries_[i].leaf]; }
  uint32_t index(size_t i) const { return entries_[i].index; }
  Word word(size_t i) const { return leaf(i).word(index(i)); }
  void Add(const Node& leaf);
  void Clear(uint64_t position);

 private:
  struct Entry {
    uint32_t leaf;
    uint32_t index;
  };
  std::vector<Node> leaves_;
  std::vector<Entry> entries_;
};

struct Gap {
  GapSide before;
  GapSide after;
};

Status DiffTrees(Mapping* mapping, bool keyed, Ref before, Ref after, FunctionRef<Status(const Gap& gap)> visit);

// Whether two entries hold the same value, bit by bit; containers by id. False on bad bytes.
bool SameEntry(Mapping* mapping, const Node& a, uint32_t i, const Node& b, uint32_t j);

// A run of entries of a gap that was replaced: [before, before + removed) by [after, after + inserted), counted in the gap.
struct Hunk {
  size_t before;
  size_t after;
  size_t removed;
  size_t inserted;
};
// The hunks that turn one side of a gap into the other, in order. The least number of single changes when it is small
// (Myers' algorithm, O((n + m) * changes)); else one hunk, which is still right.
std::vector<Hunk> AlignGap(Mapping* mapping, const Gap& gap);

}  // namespace pongo

#endif  // PONGO_TREE_DIFF_H_
