#include "model/uuid.h"

#include <atomic>

#include "port/port.h"

namespace pongo {

Status MakeUuid4(uint8_t bytes[16]) {
  PONGO_TRY(port::RandomBytes(bytes, 16));
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  return Status::Ok();
}

Status MakeUuid7(uint8_t bytes[16]) {
  PONGO_TRY(port::RandomBytes(bytes + 8, 8));
  const auto now = static_cast<uint64_t>(port::WallClockMicroseconds());
  uint64_t stamp = now / 1000 << 12 | now % 1000 * 4096 / 1000;
  // The last stamp that was given out. Relaxed: nothing else is published by it, and the swap alone makes it unique.
  static std::atomic<uint64_t> last_stamp{0};
  uint64_t last = last_stamp.load(std::memory_order_relaxed);
  do {
    if (stamp <= last) stamp = last + 1;
  } while (!last_stamp.compare_exchange_weak(last, stamp, std::memory_order_relaxed));
  const uint64_t milliseconds = stamp >> 12;
  for (int i = 0; i < 6; ++i) bytes[i] = static_cast<uint8_t>(milliseconds >> (40 - 8 * i));
  bytes[6] = static_cast<uint8_t>(0x70 | (stamp >> 8 & 0x0f));
  bytes[7] = static_cast<uint8_t>(stamp);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  return Status::Ok();
}

std::string UuidText(const uint8_t bytes[16]) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
  }
  return text;
}

}  // namespace pongo
