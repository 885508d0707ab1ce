// Small arithmetic that several layers share.
#ifndef PONGO_UTIL_BITS_H_
#define PONGO_UTIL_BITS_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pongo {

constexpr uint64_t RoundUp(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

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

inline uint64_t LoadBigEndian64(const void* from) { return __builtin_bswap64(Load<uint64_t>(from)); }

}  // namespace pongo

#endif  // PONGO_UTIL_BITS_H_
