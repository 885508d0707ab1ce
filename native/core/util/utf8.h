// Validation of UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. NUL is a
// character. Pure functions on borrowed bytes; they read exactly [data, data + size).
#ifndef PONGO_UTIL_UTF8_H_
#define PONGO_UTIL_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pongo {

// The length of the longest prefix without a byte above 0x7f, rounded down to a multiple of 8 unless it is everything.
inline size_t AsciiPrefix(const uint8_t* data, size_t size) {
  constexpr uint64_t kHighBits = 0x8080808080808080u;
  size_t i = 0;
  for (; i + 32 <= size; i += 32) {  // four words at a time: the loop is then bound by memory, not by branches
    uint64_t w[4];
    std::memcpy(w, data + i, sizeof w);
    if (((w[0] | w[1] | w[2] | w[3]) & kHighBits) != 0) break;
  }
  for (; i + 8 <= size; i += 8) {
    uint64_t w;
    std::memcpy(&w, data + i, sizeof w);
    if ((w & kHighBits) != 0) return i;
  }
  uint8_t rest = 0;
  for (size_t j = i; j < size; ++j) rest |= data[j];
  return rest < 0x80 ? size : i;
}

inline bool IsAscii(const uint8_t* data, size_t size) { return AsciiPrefix(data, size) == size; }

inline bool IsUtf8(const uint8_t* data, size_t size) {
  size_t i = AsciiPrefix(data, size);
  while (i < size) {
    const uint8_t lead = data[i];
    if (lead < 0x80) {
      ++i;
      continue;
    }
    size_t tail;
    uint8_t lo = 0x80, hi = 0xbf;  // the range of the second byte, which excludes overlongs, surrogates and > U+10FFFF
    if (lead >= 0xc2 && lead <= 0xdf) {
      tail = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      tail = 2;
      if (lead == 0xe0) lo = 0xa0;
      if (lead == 0xed) hi = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      tail = 3;
      if (lead == 0xf0) lo = 0x90;
      if (lead == 0xf4) hi = 0x8f;
    } else {
      return false;
    }
    if (size - i <= tail || data[i + 1] < lo || data[i + 1] > hi) return false;
    for (size_t j = 2; j <= tail; ++j) {
      if ((data[i + j] & 0xc0) != 0x80) return false;
    }
    i += tail + 1;
  }
  return true;
}

}  // namespace pongo

#endif  // PONGO_UTIL_UTF8_H_
