// Appends values in the wire form (format/wire.h) to a byte vector.
//
// Every value is written in its shortest form: an int32 where it fits, short ASCII, whole milliseconds. The writer
// trusts its caller (the core): strings are valid UTF-8, and after a head with count n exactly n elements or pairs are
// written. A head returns a position to pass to SetCount when the count is only known at the end. One caller at a time.
#ifndef PONGO_FORMAT_WIRE_WRITER_H_
#define PONGO_FORMAT_WIRE_WRITER_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "format/wire.h"
#include "util/utf8.h"

namespace pongo {

class WireWriter {
 public:
  explicit WireWriter(std::vector<uint8_t>* out) : out_(out) {}

  void Absent() { Tag(WireTag::kAbsent); }
  void Null() { Tag(WireTag::kNull); }
  void Bool(bool value) { Tag(value ? WireTag::kTrue : WireTag::kFalse); }

  void Int(int64_t value) {
    if (value >= INT32_MIN && value <= INT32_MAX) {
      Fixed(WireTag::kInt32, static_cast<int32_t>(value));
    } else {
      Fixed(WireTag::kInt64, value);
    }
  }

  void Double(double value) {
    uint64_t bits = 0x7ff8000000000000u;  // every NaN is written as this one
    if (!std::isnan(value)) std::memcpy(&bits, &value, sizeof bits);
    Fixed(WireTag::kFloat64, bits);
  }

  // Magnitude least significant byte first; leading zeros are left out.
  void BigInt(bool negative, const uint8_t* magnitude, uint32_t size) {
    while (size > 0 && magnitude[size - 1] == 0) --size;
    uint8_t* at = Grow(6 + size_t{size});
    at[0] = static_cast<uint8_t>(WireTag::kBigInt);
    at[1] = negative ? 1 : 0;
    std::memcpy(at + 2, &size, 4);
    if (size > 0) std::memcpy(at + 6, magnitude, size);
  }

  void DateTime(int64_t microseconds) {
    // Milliseconds as a double are exact up to 2^53, which an int64 of microseconds exceeds a little.
    constexpr int64_t kExactMax = int64_t{1} << 53;
    const int64_t milliseconds = microseconds / 1000;
    if (microseconds % 1000 == 0 && milliseconds >= -kExactMax && milliseconds <= kExactMax) {
      Fixed(WireTag::kDateTimeMs, static_cast<double>(milliseconds));
    } else {
      Fixed(WireTag::kDateTimeUs, microseconds);
    }
  }

  void Uuid(const uint8_t* bytes) {
    uint8_t* at = Grow(17);
    at[0] = static_cast<uint8_t>(WireTag::kUuid);
    std::memcpy(at + 1, bytes, 16);
  }

  void String(const uint8_t* utf8, uint32_t size) {
    if (size > 0xff || !IsAscii(utf8, size)) return Counted(WireTag::kString, utf8, size);
    uint8_t* at = Grow(2 + size_t{size});
    at[0] = static_cast<uint8_t>(WireTag::kShortAscii);
    at[1] = static_cast<uint8_t>(size);
    if (size > 0) std::memcpy(at + 2, utf8, size);
  }

  void Bytes(const uint8_t* bytes, uint32_t size) { Counted(WireTag::kBytes, bytes, size); }

  // kind: 1 to 4, as Kind.
  void Container(uint8_t kind, uint64_t id) {
    uint8_t* at = Grow(10);
    const double number = static_cast<double>(id);
    at[0] = static_cast<uint8_t>(WireTag::kContainer);
    at[1] = kind;
    std::memcpy(at + 2, &number, 8);
  }

  size_t List(uint32_t count = 0) { return Head(WireTag::kList, count); }
  size_t Dict(uint32_t count = 0) { return Head(WireTag::kDict, count); }
  size_t Collection(uint32_t count = 0) { return Head(WireTag::kCollection, count); }
  size_t Multi(uint32_t count = 0) { return Head(WireTag::kMulti, count); }
  size_t Tuple(uint32_t count = 0) { return Head(WireTag::kTuple, count); }
  void SetCount(size_t head, uint32_t count) { std::memcpy(out_->data() + head, &count, 4); }

 private:
  uint8_t* Grow(size_t bytes) {
    const size_t old = out_->size();
    out_->resize(old + bytes);
    return out_->data() + old;
  }

  void Tag(WireTag tag) { out_->push_back(static_cast<uint8_t>(tag)); }

  template <class T>
  void Fixed(WireTag tag, T value) {
    uint8_t* at = Grow(1 + sizeof(T));
    at[0] = static_cast<uint8_t>(tag);
    std::memcpy(at + 1, &value, sizeof(T));
  }

  void Counted(WireTag tag, const uint8_t* bytes, uint32_t size) {
    uint8_t* at = Grow(5 + size_t{size});
    at[0] = static_cast<uint8_t>(tag);
    std::memcpy(at + 1, &size, 4);
    if (size > 0) std::memcpy(at + 5, bytes, size);
  }

  size_t Head(WireTag tag, uint32_t count) {
    Fixed(tag, count);
    return out_->size() - 4;
  }

  std::vector<uint8_t>* out_;
};

}  // namespace pongo

#endif  // PONGO_FORMAT_WIRE_WRITER_H_
