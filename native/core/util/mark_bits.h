// A set of blocks of the data file, one bit per granule.
#ifndef PONGO_UTIL_MARK_BITS_H_
#define PONGO_UTIL_MARK_BITS_H_

#include <cstdint>
#include <vector>

namespace pongo {

class MarkBits {
 public:
  explicit MarkBits(uint64_t granules) : words_((granules + 63) / 64) {}
  // False when it was set already.
  bool Set(uint64_t granule) {
    uint64_t& word = words_[granule / 64];
    const uint64_t bit = uint64_t{1} << (granule % 64);
    const bool fresh = (word & bit) == 0;
    word |= bit;
    return fresh;
  }
  bool Has(uint64_t granule) const { return Covers(granule) && (words_[granule / 64] >> (granule % 64) & 1) != 0; }
  bool Covers(uint64_t granule) const { return granule / 64 < words_.size(); }
  // Whether any of the granules [first, first + count), multiples of 64, is set.
  bool Any(uint64_t first, uint64_t count) const {
    for (uint64_t w = first / 64; w < (first + count) / 64 && w < words_.size(); w++)
      if (words_[w] != 0) return true;
    return false;
  }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace pongo

#endif  // PONGO_UTIL_MARK_BITS_H_
