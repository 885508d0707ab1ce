// A Ref names a block of the data file: an offset, never a pointer, and the size class of the block.
//
//   bits 0-33   offset / 64 (granules; 2^34 * 64 B = 1 TiB)
//   bits 34-39  size class (size_class.h)
//   bits 40-63  zero in a Ref; containers of refs may keep a value of their own there
//
// The class makes every dereference checkable without another memory access: block = [offset, offset + size).
#ifndef PONGO_FORMAT_REF_H_
#define PONGO_FORMAT_REF_H_

#include <array>
#include <cstdint>

namespace pongo {

inline constexpr uint32_t kGranule = 64;            // bytes; the smallest block and the alignment of all
inline constexpr uint64_t kSlabSize = 64u << 10;    // bytes
inline constexpr uint64_t kRegionSize = 16u << 20;  // bytes of data file described by one segment of the control file
inline constexpr uint32_t kPageAlignment = 4096;       // bytes; what files are mapped in
inline constexpr uint32_t kGranulesPerSlab = kSlabSize / kGranule;
inline constexpr uint32_t kSlabsPerRegion = kRegionSize / kSlabSize;
inline constexpr uint64_t kFileSizeMax = uint64_t{1} << 40;

using Ref = uint64_t;
inline constexpr Ref kNullRef = 0;
inline constexpr uint64_t kRefBits = 40;
inline constexpr uint64_t kRefMask = (uint64_t{1} << kRefBits) - 1;

// Block sizes in bytes. Multiples of 64 up to 512, then four per doubling, then what divides a slab well.
inline constexpr std::array<uint32_t, 29> kClassSizes = {
    64,   128,  192,  256,  320,  384,  448,  512,  640,  768,   896,   1024,  1280,  1536, 1792,
    2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10880, 13056, 16320, 21824, 32704};
inline constexpr uint32_t kClassCount = kClassSizes.size();
// A span: one block in a run of whole slabs, for what no class holds. Its length is in the slab header.
inline constexpr uint32_t kSpanClass = 63;
inline constexpr uint32_t kSmallMax = kClassSizes[kClassCount - 1];

constexpr uint64_t RefGranule(Ref ref) { return ref & ((uint64_t{1} << 34) - 1); }
constexpr uint64_t RefOffset(Ref ref) { return RefGranule(ref) * kGranule; }
constexpr uint32_t RefClass(Ref ref) { return static_cast<uint32_t>(ref >> 34) & 63; }
constexpr Ref MakeRef(uint64_t offset, uint32_t size_class) {
  return (offset / kGranule) | (static_cast<uint64_t>(size_class) << 34);
}

// The smallest class that holds `size` bytes; kSpanClass above kSmallMax.
namespace internal {
constexpr std::array<uint8_t, 65> MakeSmallClassTable() {  // index: size in units of 64 bytes, up to 4096
  std::array<uint8_t, 65> table{};
  uint8_t c = 0;
  for (uint32_t units = 0; units <= 64; units++) {
    while (kClassSizes[c] < units * 64) c++;
    table[units] = c;
  }
  return table;
}
inline constexpr std::array<uint8_t, 65> kSmallClassTable = MakeSmallClassTable();
}  // namespace internal

constexpr uint32_t ClassForSize(uint64_t size) {
  if (size <= 4096) return internal::kSmallClassTable[(size + 63) / 64];
  for (uint32_t c = 20; c < kClassCount; c++)
    if (size <= kClassSizes[c]) return c;
  return kSpanClass;
}

// Number of a block in its slab, without a division: multiplication by the reciprocal is exact for the 1024 granules of a slab.
namespace internal {
constexpr std::array<uint32_t, kClassCount> MakeReciprocals() {
  std::array<uint32_t, kClassCount> table{};
  for (uint32_t c = 0; c < kClassCount; c++) table[c] = ((1u << 20) + kClassSizes[c] / kGranule - 1) / (kClassSizes[c] / kGranule);
  return table;
}
inline constexpr std::array<uint32_t, kClassCount> kReciprocals = MakeReciprocals();
constexpr bool ReciprocalsAreExact() {
  for (uint32_t c = 0; c < kClassCount; c++)
    for (uint32_t g = 0; g < kGranulesPerSlab; g++)
      if (((g * kReciprocals[c]) >> 20) != g / (kClassSizes[c] / kGranule)) return false;
  return true;
}
static_assert(ReciprocalsAreExact());
}  // namespace internal

// Index of the block that begins at this granule of a slab (counted behind the slab header); 0 for a span.
constexpr uint32_t BlockIndex(uint64_t granule_in_slab, uint32_t size_class) {
  return size_class >= kClassCount ? 0 : (static_cast<uint32_t>(granule_in_slab - 1) * internal::kReciprocals[size_class]) >> 20;
}
constexpr Ref BlockAt(uint64_t slab, uint32_t index, uint32_t size_class) {
  const uint64_t granules = size_class >= kClassCount ? 0 : kClassSizes[size_class] / kGranule;
  return (slab * kGranulesPerSlab + 1 + index * granules) | (static_cast<uint64_t>(size_class) << 34);
}

// Whether a block of the class can begin at this granule of a slab.
constexpr bool BeginsBlock(uint64_t granule_in_slab, uint32_t size_class) {
  if (granule_in_slab == 0) return false;
  if (size_class >= kClassCount) return size_class == kSpanClass && granule_in_slab == 1;
  const uint64_t granules = kClassSizes[size_class] / kGranule;
  return (granule_in_slab - 1) % granules == 0 && granule_in_slab - 1 + granules < kGranulesPerSlab;
}

// The first slab of the file holds the superblocks; each other slab begins with this header.
struct SlabHeader {
  uint32_t magic;        // 0   kSlabMagic
  uint8_t size_class;    // 4   kSpanClass for the first slab of a span
  uint8_t reserved0[3];  // 5   zero
  uint32_t span_slabs;   // 8   slabs of the span, else 1
  uint32_t reserved1;    // 12  zero
  uint8_t reserved2[48]; // 16  zero
};
static_assert(sizeof(SlabHeader) == kGranule);
inline constexpr uint32_t kSlabMagic = 0x42414c53;  // "SLAB"

constexpr uint32_t BlocksPerSlab(uint32_t size_class) {
  return static_cast<uint32_t>((kSlabSize - sizeof(SlabHeader)) / kClassSizes[size_class]);
}
static_assert(BlocksPerSlab(kClassCount - 1) == 2);

}  // namespace pongo

#endif  // PONGO_FORMAT_REF_H_
