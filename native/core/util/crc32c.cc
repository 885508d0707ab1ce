#include "util/crc32c.h"

#include <array>
#include <cstring>

namespace pongo {
namespace {

// Eight bytes at a time ("slicing by 8", Kounavis and Berry 2008): table n gives the effect of a byte that n more bytes follow.
constexpr size_t kStride = 8;
using Tables = std::array<std::array<uint32_t, 256>, kStride>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    tables[0][i] = crc;
  }
  for (size_t n = 1; n < kStride; n++)
    for (size_t i = 0; i < 256; i++) tables[n][i] = (tables[n - 1][i] >> 8) ^ tables[0][tables[n - 1][i] & 0xff];
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint32_t Crc32c(const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  uint32_t crc = ~0u;
  for (; size >= kStride; size -= kStride, bytes += kStride) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    word ^= crc;
    crc = 0;
    for (size_t n = 0; n < kStride; n++) crc ^= kTables[kStride - 1 - n][(word >> (8 * n)) & 0xff];
  }
  for (; size > 0; size--, bytes++) crc = (crc >> 8) ^ kTables[0][(crc ^ *bytes) & 0xff];
  return ~crc;
}

}  // namespace pongo
