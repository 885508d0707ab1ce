#include "tree/item_sort.h"

#include <algorithm>
#include <array>
#include <utility>

#include "util/bits.h"

namespace pongo {
namespace {

constexpr size_t kRadixMin = 256;  // below it the histograms cost more than comparisons

int Compare(const LeafItem& a, const LeafItem& b) {
  return CompareBytes(a.key.suffix, a.key.suffix_size, b.key.suffix, b.key.suffix_size);
}

}  // namespace

bool ItemSort::Below(const LeafItem* items, const Place& a, const Place& b) {
  if (a.head != b.head) return a.head < b.head;
  const int c = Compare(items[a.index], items[b.index]);
  return c != 0 ? c < 0 : a.index < b.index;
}

void ItemSort::SortByHead() {
  std::array<std::array<uint32_t, 256>, 8> counts{};
  for (const Place& place : places_)
    for (uint32_t digit = 0; digit < 8; digit++) counts[digit][place.head >> (8 * digit) & 0xff]++;
  spare_.resize(places_.size());
  for (uint32_t digit = 0; digit < 8; digit++) {
    std::array<uint32_t, 256>& starts = counts[digit];
    const auto of = [digit](const Place& place) { return place.head >> (8 * digit) & 0xff; };
    if (starts[of(places_[0])] == places_.size()) continue;  // all have the same
    uint32_t start = 0;
    for (uint32_t& count : starts) start += std::exchange(count, start);
    for (const Place& place : places_) spare_[starts[of(place)]++] = place;
    places_.swap(spare_);
  }
}

bool ItemSort::Sort(LeafItem* items, size_t count) {
  if (count < 2) return false;
  uint32_t shared = items[0].key.suffix_size;
  for (size_t i = 1; i < count; i++)
    shared = CommonLength(items[0].key.suffix, items[i].key.suffix, std::min(shared, items[i].key.suffix_size));
  places_.resize(count);
  for (size_t i = 0; i < count; i++) {
    const StoredKey& key = items[i].key;
    places_[i] = Place{HeadOf(key.suffix + shared, key.suffix_size - shared), static_cast<uint32_t>(i)};
  }
  const auto below = [items](const Place& a, const Place& b) { return Below(items, a, b); };
  if (count < kRadixMin) {
    std::sort(places_.begin(), places_.end(), below);
  } else {
    SortByHead();
    for (auto from = places_.begin(); from != places_.end();) {
      const auto to = std::find_if(from + 1, places_.end(), [&](const Place& place) { return place.head != from->head; });
      if (to - from > 1) std::sort(from, to, below);
      from = to;
    }
  }
  bool twice = false;
  for (size_t i = 1; i < count && !twice; i++)
    twice = places_[i].head == places_[i - 1].head && Compare(items[places_[i].index], items[places_[i - 1].index]) == 0;
  // Along each cycle of the permutation.
  for (size_t start = 0; start < count; start++) {
    if (places_[start].index == start) continue;
    const LeafItem first = items[start];
    size_t at = start;
    for (;;) {
      const size_t from = std::exchange(places_[at].index, static_cast<uint32_t>(at));
      if (from == start) break;
      items[at] = items[from];
      at = from;
    }
    items[at] = first;
  }
  return twice;
}

}  // namespace pongo
