// Validation of UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. NUL is a
// character. And its making from UTF-16. Pure functions on borrowed bytes; they read exactly [data, data + size).
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

inline constexpr size_t kUtf8PerUnit = 3;  // bytes that one unit of UTF-16 takes at most
inline constexpr size_t kLoneSurrogate = SIZE_MAX;

// Writes a text in UTF-8 to `to`, which has room for kUtf8PerUnit bytes per unit. Returns their number, or kLoneSurrogate.
inline size_t Utf8FromUtf16(const char16_t* units, size_t count, uint8_t* to) {
  size_t i = 0;
  // ASCII in large steps; loops of fixed length become vector instructions.
  for (; i + 16 <= count; i += 16) {
    char16_t block[16];
    std::memcpy(block, units + i, sizeof block);
    char16_t all_bits = 0;
    for (const char16_t unit : block) all_bits |= unit;
    if (all_bits >= 0x80) break;
    uint8_t narrow[16];
    for (size_t j = 0; j < 16; j++) narrow[j] = static_cast<uint8_t>(block[j]);
    std::memcpy(to + i, narrow, sizeof narrow);
  }
  for (; i + 4 <= count; i += 4) {
    uint64_t w;
    std::memcpy(&w, units + i, sizeof w);
    if ((w & 0xff80ff80ff80ff80u) != 0) break;
    w |= w >> 8;
    const auto narrow = static_cast<uint32_t>((w & 0xffff) | ((w >> 16) & 0xffff0000u));
    std::memcpy(to + i, &narrow, sizeof narrow);
  }
  uint8_t* at = to + i;
  for (; i < count; i++) {
    char32_t c = units[i];
    if (c < 0x80) {
      *at++ = static_cast<uint8_t>(c);
      continue;
    }
    if (c < 0x800) {
      *at++ = static_cast<uint8_t>(0xc0 | (c >> 6));
      *at++ = static_cast<uint8_t>(0x80 | (c & 0x3f));
      continue;
    }
    if ((c & 0xf800) == 0xd800) {
      if ((c & 0xfc00) != 0xd800 || i + 1 == count || (units[i + 1] & 0xfc00) != 0xdc00) return kLoneSurrogate;
      c = 0x10000 + ((c & 0x3ff) << 10) + (units[++i] & 0x3ffu);
      *at++ = static_cast<uint8_t>(0xf0 | (c >> 18));
      *at++ = static_cast<uint8_t>(0x80 | ((c >> 12) & 0x3f));
    } else {
      *at++ = static_cast<uint8_t>(0xe0 | (c >> 12));
    }
    *at++ = static_cast<uint8_t>(0x80 | ((c >> 6) & 0x3f));
    *at++ = static_cast<uint8_t>(0x80 | (c & 0x3f));
  }
  return static_cast<size_t>(at - to);
}

}  // namespace pongo

#endif  // PONGO_UTIL_UTF8_H_
