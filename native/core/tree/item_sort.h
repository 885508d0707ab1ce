// Puts entries in the order of their keys.
//
// What all keys begin with is left out, and the next 8 bytes are compared as a number: a radix sort, least significant digit
// first (Knuth, The Art of Computer Programming 3, 5.2.5), then comparisons where these bytes are equal. The entries themselves
// are moved once. Not thread-safe.
#ifndef PONGO_TREE_ITEM_SORT_H_
#define PONGO_TREE_ITEM_SORT_H_

#include <cstdint>
#include <vector>

#include "tree/node_edit.h"

namespace pongo {

class ItemSort {
 public:
  // The keys are whole in their suffixes. Entries with equal keys stay in their order; false when there are none. O(n) and
  // O(m log m) for m entries that begin alike.
  bool Sort(LeafItem* items, size_t count);

 private:
  struct Place {
    uint64_t head;
    uint32_t index;
  };
  static bool Below(const LeafItem* items, const Place& a, const Place& b);
  void SortByHead();

  std::vector<Place> places_;
  std::vector<Place> spare_;
};

}  // namespace pongo

#endif  // PONGO_TREE_ITEM_SORT_H_
