// Reads values in the wire form (format/wire.h), one item at a time, without recursion or allocation.
//
// The bytes come from a language binding and are untrusted. Promises, for any bytes whatever:
//   R1. Nothing outside [data, data + size) is read; a failure leaves the reader where it was.
//   R2. What Next returns is normalised: strings are valid UTF-8, NaN is canonical, an integer that fits int64 is kInt
//       (so a kBigInt never fits and has no leading zero), a datetime is in microseconds, a container has a known kind
//       and an id in [1, 2^53].
//   R3. The count of a list, tuple or dict is at most the number of bytes left: it is safe to reserve room for it.
// Malformed bytes: ARG; a value that cannot be represented (bad UTF-8, a datetime out of range): VALUE. The depth of
// nesting is for the caller to limit; Skip needs no stack. Items borrow from the input. One caller at a time.
#ifndef PONGO_FORMAT_WIRE_READER_H_
#define PONGO_FORMAT_WIRE_READER_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "format/wire.h"
#include "util/status.h"
#include "util/utf8.h"

namespace pongo {

enum class WireType : uint8_t {
  kAbsent,
  kNull,
  kFalse,
  kTrue,
  kInt,
  kDouble,
  kBigInt,
  kDateTime,
  kUuid,
  kString,
  kBytes,
  kContainer,   // up to here as in ValueView::Type, in the same order
  kList,        // `count` values follow
  kTuple,       // `count` keys follow; only inside keys
  kDict,        // `count` pairs of key and value follow; so for the next two
  kCollection,
  kMulti,
};

struct WireItem {
  WireType type = WireType::kAbsent;
  bool negative = false;   // kBigInt
  uint8_t kind = 0;        // kContainer: 1 to 4, as Kind
  uint32_t count = 0;      // kList and after
  union {
    int64_t integer;       // kInt, kDateTime (microseconds)
    double number;         // kDouble
    uint64_t id;           // kContainer
  };
  const uint8_t* data = nullptr;  // kString, kBytes, kUuid (16 bytes), kBigInt (least significant byte first)
  size_t size = 0;                // bytes at data
  WireItem() : integer(0) {}
};

// The canonical NaN: what every NaN becomes on its way in.
inline double CanonicalNaN() {
  constexpr uint64_t kBits = 0x7ff8000000000000u;
  double value;
  std::memcpy(&value, &kBits, sizeof value);
  return value;
}

class WireReader {
 public:
  WireReader(const uint8_t* data, size_t size) : begin_(data), at_(data), end_(data + size) {}

  // The next item. Of a list or dict only the head: its elements are the items that follow.
  Status Next(WireItem* item) {
    const uint8_t* const start = at_;
    *item = WireItem();
    const Status status = Parse(item);
    if (!status.ok()) [[unlikely]] at_ = start;
    return status;
  }

  // Passes over one whole value, with all that is in it, checking it on the way.
  Status Skip() {
    const uint8_t* const start = at_;
    // Each item pays one of the outstanding and adds its children. R3 bounds each count by the bytes left, so the sum
    // stays far below 2^64.
    uint64_t outstanding = 1;
    WireItem item;
    while (outstanding > 0) {
      if (const Status status = Next(&item); !status.ok()) [[unlikely]] {
        at_ = start;
        return status;
      }
      outstanding += Children(item) - 1;
    }
    return Status::Ok();
  }

  // The number of items directly inside: `count` elements of a list or tuple, twice that for pairs.
  static uint64_t Children(const WireItem& item) {
    if (item.type < WireType::kList) return 0;
    return item.type <= WireType::kTuple ? item.count : uint64_t{2} * item.count;
  }

  size_t position() const { return static_cast<size_t>(at_ - begin_); }
  size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  bool done() const { return at_ == end_; }
  // The unread bytes: where KeyBuffer::AddWire reads a key of a dict. Pass its *consumed to Advance.
  const uint8_t* here() const { return at_; }
  void Advance(size_t bytes) { at_ += bytes < remaining() ? bytes : remaining(); }

 private:
  static constexpr Status Truncated() { return Status(Code::kARG, "wire form: truncated value"); }

  template <class T>
  bool Read(T* value) {
    if (remaining() < sizeof(T)) [[unlikely]] return false;
    std::memcpy(value, at_, sizeof(T));
    at_ += sizeof(T);
    return true;
  }

  bool Take(size_t size, WireItem* item) {
    if (remaining() < size) [[unlikely]] return false;
    item->data = at_;
    item->size = size;
    at_ += size;
    return true;
  }

  bool TakeCounted(WireItem* item) {
    uint32_t size;
    return Read(&size) && Take(size, item);
  }

  Status Parse(WireItem* item) {
    uint8_t tag;
    if (!Read(&tag)) [[unlikely]] return Truncated();
    switch (static_cast<WireTag>(tag)) {
      case WireTag::kAbsent:
        return Status::Ok();
      case WireTag::kNull:
        item->type = WireType::kNull;
        return Status::Ok();
      case WireTag::kFalse:
        item->type = WireType::kFalse;
        return Status::Ok();
      case WireTag::kTrue:
        item->type = WireType::kTrue;
        return Status::Ok();
      case WireTag::kInt32: {
        int32_t value;
        if (!Read(&value)) [[unlikely]] return Truncated();
        item->type = WireType::kInt;
        item->integer = value;
        return Status::Ok();
      }
      case WireTag::kInt64:
        item->type = WireType::kInt;
        return Read(&item->integer) ? Status::Ok() : Truncated();
      case WireTag::kFloat64:
        item->type = WireType::kDouble;
        if (!Read(&item->number)) [[unlikely]] return Truncated();
        if (std::isnan(item->number)) item->number = CanonicalNaN();
        return Status::Ok();
      case WireTag::kBigInt:
        return ParseBigInt(item);
      case WireTag::kString:
        item->type = WireType::kString;
        if (!TakeCounted(item)) [[unlikely]] return Truncated();
        if (!IsUtf8(item->data, item->size)) [[unlikely]] return Status(Code::kVALUE, "a string is not valid UTF-8");
        return Status::Ok();
      case WireTag::kShortAscii: {
        uint8_t size;
        item->type = WireType::kString;
        if (!Read(&size) || !Take(size, item)) [[unlikely]] return Truncated();
        if (!IsAscii(item->data, item->size)) [[unlikely]] return Status(Code::kARG, "wire form: not ASCII");
        return Status::Ok();
      }
      case WireTag::kDateTimeMs:
        return ParseMilliseconds(item);
      case WireTag::kDateTimeUs:
        item->type = WireType::kDateTime;
        return Read(&item->integer) ? Status::Ok() : Truncated();
      case WireTag::kUuid:
        item->type = WireType::kUuid;
        return Take(16, item) ? Status::Ok() : Truncated();
      case WireTag::kBytes:
        item->type = WireType::kBytes;
        return TakeCounted(item) ? Status::Ok() : Truncated();
      case WireTag::kList:
        return ParseCount(WireType::kList, item);
      case WireTag::kDict:
        return ParseCount(WireType::kDict, item);
      case WireTag::kCollection:
        return ParseCount(WireType::kCollection, item);
      case WireTag::kContainer:
        return ParseContainer(item);
      case WireTag::kTuple:
        return ParseCount(WireType::kTuple, item);
      case WireTag::kMulti:
        return ParseCount(WireType::kMulti, item);
    }
    return Status(Code::kARG, "wire form: unknown tag");
  }

  Status ParseCount(WireType type, WireItem* item) {
    item->type = type;
    if (!Read(&item->count)) [[unlikely]] return Truncated();
    // Each child is at least one byte long.
    if (Children(*item) > remaining()) [[unlikely]] return Truncated();
    return Status::Ok();
  }

  Status ParseBigInt(WireItem* item) {
    uint8_t sign;
    if (!Read(&sign) || !TakeCounted(item)) [[unlikely]] return Truncated();
    if (sign > 1) [[unlikely]] return Status(Code::kARG, "wire form: bad sign of a big integer");
    while (item->size > 0 && item->data[item->size - 1] == 0) --item->size;
    item->negative = sign == 1;
    item->type = WireType::kBigInt;
    if (item->size > 8) return Status::Ok();
    uint64_t magnitude = 0;
    if (item->size > 0) std::memcpy(&magnitude, item->data, item->size);
    constexpr uint64_t kMinMagnitude = uint64_t{1} << 63;  // of INT64_MIN
    if (item->negative ? magnitude > kMinMagnitude : magnitude >= kMinMagnitude) return Status::Ok();
    item->type = WireType::kInt;
    item->integer = static_cast<int64_t>(item->negative ? 0 - magnitude : magnitude);
    item->negative = false;
    item->data = nullptr;
    item->size = 0;
    return Status::Ok();
  }

  Status ParseMilliseconds(WireItem* item) {
    double milliseconds;
    if (!Read(&milliseconds)) [[unlikely]] return Truncated();
    constexpr double kMillisecondsMax = 9.2e15;  // times 1000 is below 2^63; JavaScript's own limit is 8.64e15
    if (!(std::fabs(milliseconds) <= kMillisecondsMax) || std::trunc(milliseconds) != milliseconds) [[unlikely]] {
      return Status(Code::kVALUE, "a date is invalid or out of range");
    }
    item->type = WireType::kDateTime;
    item->integer = static_cast<int64_t>(milliseconds) * 1000;
    return Status::Ok();
  }

  Status ParseContainer(WireItem* item) {
    double id;
    if (!Read(&item->kind) || !Read(&id)) [[unlikely]] return Truncated();
    constexpr double kIdMax = 9007199254740992.0;  // 2^53
    if (item->kind < 1 || item->kind > 4 || !(id >= 1 && id <= kIdMax) || std::trunc(id) != id) [[unlikely]] {
      return Status(Code::kARG, "wire form: bad container reference");
    }
    item->type = WireType::kContainer;
    item->id = static_cast<uint64_t>(id);
    return Status::Ok();
  }

  const uint8_t* begin_;
  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace pongo

#endif  // PONGO_FORMAT_WIRE_READER_H_
