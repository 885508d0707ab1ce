// Small arithmetic that several layers share.
#ifndef PONGO_UTIL_BITS_H_
#define PONGO_UTIL_BITS_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pongo {

constexpr uint64_t RoundUp(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Bits that are set. Written out, because without a compiler flag for newer processors std::popcount is a library call.
constexpr uint32_t CountBits(uint32_t x) {
  x = x - ((x >> 1) & 0x55555555u);
  x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
  return (((x + (x >> 4)) & 0x0f0f0f0fu) * 0x01010101u) >> 24;
}
static_assert(CountBits(0) == 0 && CountBits(0xffffffffu) == 32 && CountBits(0x80000001u) == 2);

// Unaligned loads and stores in the byte order of the machine; the file format is little-endian and so is every platform
// that is supported (port.h asserts it).
template <class T>
inline T Load(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
inline void Store(void* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

// Equality of short byte strings without a call; reads nothing outside them.
inline bool EqualBytes(const uint8_t* a, const uint8_t* b, size_t size) {
  if (size > 32) [[unlikely]] return std::memcmp(a, b, size) == 0;
  if (size >= 8) {
    uint64_t difference = Load<uint64_t>(a + size - 8) ^ Load<uint64_t>(b + size - 8);
    for (size_t i = 0; i + 8 < size; i += 8) difference |= Load<uint64_t>(a + i) ^ Load<uint64_t>(b + i);
    return difference == 0;
  }
  if (size >= 4) return ((Load<uint32_t>(a) ^ Load<uint32_t>(b)) | (Load<uint32_t>(a + size - 4) ^ Load<uint32_t>(b + size - 4))) == 0;
  uint32_t difference = 0;
  for (size_t i = 0; i < size; i++) difference |= static_cast<uint32_t>(a[i] ^ b[i]);
  return difference == 0;
}

// How many bytes at the start of both are the same; reads nothing outside them.
inline uint32_t CommonLength(const uint8_t* a, const uint8_t* b, uint32_t size) {
  uint32_t i = 0;
  for (; i + 8 <= size; i += 8) {
    const uint64_t difference = Load<uint64_t>(a + i) ^ Load<uint64_t>(b + i);
    if (difference != 0) return i + static_cast<uint32_t>(std::countr_zero(difference)) / 8;
  }
  while (i < size && a[i] == b[i]) i++;
  return i;
}

inline uint64_t LoadBigEndian64(const void* from) { return __builtin_bswap64(Load<uint64_t>(from)); }

}  // namespace pongo

#endif  // PONGO_UTIL_BITS_H_
