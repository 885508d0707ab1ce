#include "format/key_codec.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "util/utf8.h"

namespace pongo {
namespace {

constexpr uint8_t kEnd = 0x00;          // of a string, bytes or tuple inside a tuple
constexpr uint8_t kEscape = 0xff;       // after a 0x00 that is content
constexpr uint8_t kNull = 0x05;
constexpr uint8_t kFalse = 0x06;
constexpr uint8_t kTrue = 0x07;
constexpr uint8_t kMinusInfinity = 0x10;
constexpr uint8_t kPlusInfinity = 0x2f;
constexpr uint8_t kZero = 0x20;         // a positive class is kZero + c, its negative kZero - c
constexpr uint8_t kClassBelowOne = 1;
constexpr uint8_t kClassWhole = 1;      // plus the number of bytes of the integer part, 1 to 8
constexpr uint8_t kClassLarge = 10;
constexpr uint8_t kDateTime = 0x30;
constexpr uint8_t kUuid = 0x34;
constexpr uint8_t kString = 0x40;
constexpr uint8_t kBytes = 0x44;
constexpr uint8_t kTuple = 0x50;
constexpr uint8_t kDigits = 0x80;       // set in each group of a fraction, and above all first bytes
constexpr uint8_t kNegativeEnd = 0xff;  // of the inverted fraction of a negative number

constexpr int kExponentBias = 1075;     // the least double is 2^-1074: biased exponents begin at 1
constexpr size_t kFractionMax = 8;      // groups: 52 binary digits and padding
constexpr double kTwo64 = 18446744073709551616.0;
constexpr uint64_t kSignBit = uint64_t{1} << 63;

constexpr Status TooLarge() { return Status(Code::kVALUE, "the key is too large"); }
constexpr Status Corrupt() { return Status(Code::kCORRUPT, "malformed key"); }

uint32_t ByteWidth(uint64_t value) { return value == 0 ? 0 : (71 - static_cast<uint32_t>(__builtin_clzll(value))) / 8; }

void StoreBigEndian(uint8_t* at, uint64_t value, uint32_t bytes) {
  for (uint32_t i = bytes; i-- > 0; value >>= 8) at[i] = static_cast<uint8_t>(value);
}

uint64_t LoadBigEndian(const uint8_t* at, uint32_t bytes) {
  uint64_t value = 0;
  for (uint32_t i = 0; i < bytes; ++i) value = value << 8 | at[i];
  return value;
}

// Writes the binary digits of 0 <= fraction < 1 in groups of seven and returns how many. All steps are exact: a
// multiplication by a power of two and the removal of leading digits.
size_t StoreFraction(uint8_t* at, double fraction) {
  size_t n = 0;
  while (fraction > 0) {
    fraction *= 128;
    const auto group = static_cast<uint8_t>(fraction);
    fraction -= group;
    at[n++] = static_cast<uint8_t>(kDigits | group);
  }
  return n;
}

// Turns the payload of a positive number into that of the negative one; returns the bytes added.
size_t Negate(uint8_t* at, size_t size) {
  for (size_t i = 0; i < size; ++i) at[i] = static_cast<uint8_t>(~at[i]);
  at[size] = kNegativeEnd;
  return 1;
}

uint8_t NumberTag(bool negative, uint32_t number_class) {
  return static_cast<uint8_t>(negative ? kZero - number_class : kZero + number_class);
}

}  // namespace

// -- building --

KeyBuffer::~KeyBuffer() {
  if (data_ != inline_) std::free(data_);
}

void KeyBuffer::Clear() {
  size_ = 0;
  depth_ = 0;
  numbers_ = 0;
  form_.clear();
}

Key KeyBuffer::key() const {
  Key key;
  key.data = data_;
  key.size = static_cast<uint32_t>(size_);
  key.form_size = static_cast<uint32_t>(form_.size());
  key.form = form_.data();
  return key;
}

// Room for `extra` bytes at the end, or null when the key would be too large (or memory is).
uint8_t* KeyBuffer::Reserve(size_t extra) {
  if (extra > kKeySizeMax - size_) [[unlikely]] return nullptr;
  const size_t needed = size_ + extra;
  if (needed > capacity_) [[unlikely]] {
    size_t capacity = capacity_ * 2;
    if (capacity < needed) capacity = needed;
    auto* grown = static_cast<uint8_t*>(std::malloc(capacity));
    if (grown == nullptr) return nullptr;
    std::memcpy(grown, data_, size_);
    if (data_ != inline_) std::free(data_);
    data_ = grown;
    capacity_ = capacity;
  }
  return data_ + size_;
}

Status KeyBuffer::AddByte(uint8_t byte) {
  uint8_t* at = Reserve(1);
  if (at == nullptr) [[unlikely]] return TooLarge();
  *at = byte;
  ++size_;
  return Status::Ok();
}

Status KeyBuffer::AddNull() { return AddByte(kNull); }

Status KeyBuffer::AddBool(bool value) { return AddByte(value ? kTrue : kFalse); }

Status KeyBuffer::AddInt(int64_t value) {
  const bool negative = value < 0;
  const auto bits = static_cast<uint64_t>(value);
  return AddParts(negative, negative ? 0 - bits : bits, 0);
}

Status KeyBuffer::AddDouble(double value) {
  if (std::isnan(value)) [[unlikely]] return Status(Code::kVALUE, "NaN cannot be a key");
  const bool negative = value < 0;
  if (std::isinf(value)) {
    ++numbers_;
    return AddByte(negative ? kMinusInfinity : kPlusInfinity);
  }
  const double magnitude = std::fabs(value);
  if (magnitude > 0 && magnitude < 1) return AddBelowOne(negative, magnitude);
  if (magnitude < kTwo64) {
    const auto whole = static_cast<uint64_t>(magnitude);
    // Beyond 2^53 the difference is zero because `whole` is then exactly `magnitude`.
    const double fraction = magnitude - static_cast<double>(whole);
    if (fraction == 0) MarkFloat();
    return AddParts(negative, whole, fraction);
  }
  MarkFloat();
  uint64_t bits;
  std::memcpy(&bits, &magnitude, sizeof bits);
  const uint64_t mantissa = (bits & ((uint64_t{1} << 52) - 1)) | uint64_t{1} << 52;
  const auto shift = static_cast<uint32_t>(bits >> 52) - 1075;  // magnitude = mantissa * 2^shift, 12 <= shift <= 971
  uint8_t bytes[128] = {};
  uint64_t low = mantissa << shift % 8;  // 53 + 7 bits
  for (uint32_t i = shift / 8; low != 0; ++i, low >>= 8) bytes[i] = static_cast<uint8_t>(low);
  return AddBigInt(negative, bytes, sizeof bytes);
}

// Above +infinity: what follows an element in a tuple is below kDigits.
Status KeyBuffer::AddNaN() {
  ++numbers_;
  PONGO_TRY(AddByte(kPlusInfinity));
  return AddByte(kDigits);
}

Status KeyBuffer::AddBigInt(bool negative, const uint8_t* magnitude, size_t size) {
  while (size > 0 && magnitude[size - 1] == 0) --size;
  if (size > 8) return AddLarge(negative, magnitude, size);
  uint64_t whole = 0;
  for (size_t i = size; i-- > 0;) whole = whole << 8 | magnitude[i];
  return AddParts(negative && whole != 0, whole, 0);
}

// An integer of more than 8 bytes. It has no fraction, and its length is known: no terminator is needed.
Status KeyBuffer::AddLarge(bool negative, const uint8_t* magnitude, size_t size) {
  uint8_t* at = size > kKeySizeMax ? nullptr : Reserve(5 + size);
  if (at == nullptr) [[unlikely]] return TooLarge();
  ++numbers_;
  const uint8_t mask = negative ? 0xff : 0x00;
  at[0] = NumberTag(negative, kClassLarge);
  StoreBigEndian(at + 1, size, 4);
  for (size_t i = 1; i < 5; ++i) at[i] ^= mask;
  for (size_t i = 0; i < size; ++i) at[5 + i] = magnitude[size - 1 - i] ^ mask;
  size_ += 5 + size;
  return Status::Ok();
}

// whole + fraction, where whole is zero only if all is.
Status KeyBuffer::AddParts(bool negative, uint64_t whole, double fraction) {
  uint8_t* at = Reserve(1 + 8 + kFractionMax + 1);
  if (at == nullptr) [[unlikely]] return TooLarge();
  ++numbers_;
  const uint32_t width = ByteWidth(whole);
  if (width == 0) {
    at[0] = kZero;
    size_ += 1;
    return Status::Ok();
  }
  at[0] = NumberTag(negative, kClassWhole + width);
  StoreBigEndian(at + 1, whole, width);
  size_t size = width;
  if (fraction != 0) size += StoreFraction(at + 1 + size, fraction);
  if (negative) size += Negate(at + 1, size);
  size_ += 1 + size;
  return Status::Ok();
}

Status KeyBuffer::AddBelowOne(bool negative, double magnitude) {
  uint8_t* at = Reserve(1 + 2 + kFractionMax + 1);
  if (at == nullptr) [[unlikely]] return TooLarge();
  ++numbers_;
  int exponent;
  const double mantissa = std::frexp(magnitude, &exponent) * 2;  // in [1, 2): magnitude = mantissa * 2^(exponent - 1)
  at[0] = NumberTag(negative, kClassBelowOne);
  StoreBigEndian(at + 1, static_cast<uint64_t>(exponent - 1 + kExponentBias), 2);
  size_t size = 2 + StoreFraction(at + 3, mantissa - 1);
  if (negative) size += Negate(at + 1, size);
  size_ += 1 + size;
  return Status::Ok();
}

// Called before the number is added: numbers_ is its index.
void KeyBuffer::MarkFloat() {
  if (form_.size() <= numbers_ / 8) form_.resize(numbers_ / 8 + 1);
  form_[numbers_ / 8] |= static_cast<uint8_t>(1u << numbers_ % 8);
}

Status KeyBuffer::AddDateTime(int64_t microseconds) {
  uint8_t* at = Reserve(9);
  if (at == nullptr) [[unlikely]] return TooLarge();
  at[0] = kDateTime;
  StoreBigEndian(at + 1, static_cast<uint64_t>(microseconds) ^ kSignBit, 8);
  size_ += 9;
  return Status::Ok();
}

Status KeyBuffer::AddUuid(const uint8_t bytes[16]) {
  uint8_t* at = Reserve(17);
  if (at == nullptr) [[unlikely]] return TooLarge();
  at[0] = kUuid;
  std::memcpy(at + 1, bytes, 16);
  size_ += 17;
  return Status::Ok();
}

Status KeyBuffer::AddString(const uint8_t* utf8, size_t size) { return AddText(kString, utf8, size); }

Status KeyBuffer::AddBytes(const uint8_t* bytes, size_t size) { return AddText(kBytes, bytes, size); }

Status KeyBuffer::AddText(uint8_t tag, const uint8_t* bytes, size_t size) {
  // At worst every byte is escaped. The bound is checked first so that the sum cannot overflow.
  uint8_t* at = size > kKeySizeMax ? nullptr : Reserve(1 + size);
  if (at == nullptr) [[unlikely]] return TooLarge();
  if (depth_ == 0) {
    at[0] = tag;
    if (size > 0) std::memcpy(at + 1, bytes, size);
    size_ += 1 + size;
    return Status::Ok();
  }
  size_t zeros = 0;
  for (size_t i = 0; i < size; ++i) zeros += bytes[i] == 0 ? 1 : 0;
  at = Reserve(2 + size + zeros);
  if (at == nullptr) [[unlikely]] return TooLarge();
  *at++ = tag;
  for (size_t i = 0; i < size; ++i) {
    *at++ = bytes[i];
    if (bytes[i] == 0) *at++ = kEscape;
  }
  *at = kEnd;
  size_ += 2 + size + zeros;
  return Status::Ok();
}

Status KeyBuffer::BeginTuple() {
  if (depth_ == kKeyDepthMax) [[unlikely]] return Status(Code::kDEPTH, "a key is nested deeper than 512 levels");
  ++depth_;
  return AddByte(kTuple);
}

Status KeyBuffer::EndTuple() {
  if (depth_ == 0) [[unlikely]] return Status(Code::kARG, "no tuple is open");
  --depth_;
  return depth_ == 0 ? Status::Ok() : AddByte(kEnd);
}

uint8_t* KeyBuffer::BeginString(size_t size) {
  Clear();
  uint8_t* at = size >= kKeySizeMax ? nullptr : Reserve(1 + size);
  if (at == nullptr) [[unlikely]] return nullptr;
  at[0] = kString;
  return at + 1;
}

void KeyBuffer::FinishString(size_t size) { size_ = 1 + size; }

// -- reading --

namespace {

class KeyReader {
 public:
  KeyReader(const Key& key, KeyVisitor* visitor) : key_(key), visitor_(visitor) {}

  Status Read() {
    if (key_.size > kKeySizeMax || (key_.form_size > 0 && key_.form[key_.form_size - 1] == 0)) return Corrupt();
    do {
      PONGO_TRY(ReadElement());
    } while (depth_ > 0 && at_ < key_.size);
    // A top-level tuple ends with the key; every other element has ended by itself.
    if (at_ != key_.size || depth_ > 1) return Corrupt();
    if (depth_ == 1) visitor_->EndTuple();
    return floats_ == FloatsInForm() ? Status::Ok() : Corrupt();
  }

 private:
  size_t remaining() const { return key_.size - at_; }
  const uint8_t* here() const { return key_.data + at_; }

  Status ReadElement() {
    if (remaining() == 0) return Corrupt();
    const uint8_t tag = *here();
    ++at_;
    if (tag >= kMinusInfinity && tag <= kPlusInfinity) return ReadNumber(tag);
    switch (tag) {
      case kEnd:
        // The outermost tuple has no end of its own.
        if (depth_ < 2) return Corrupt();
        --depth_;
        visitor_->EndTuple();
        return Status::Ok();
      case kNull:
        visitor_->Null();
        return Status::Ok();
      case kFalse:
      case kTrue:
        visitor_->Bool(tag == kTrue);
        return Status::Ok();
      case kDateTime:
        if (remaining() < 8) return Corrupt();
        visitor_->DateTime(static_cast<int64_t>(LoadBigEndian(here(), 8) ^ kSignBit));
        at_ += 8;
        return Status::Ok();
      case kUuid:
        if (remaining() < 16) return Corrupt();
        visitor_->Uuid(here());
        at_ += 16;
        return Status::Ok();
      case kString:
      case kBytes:
        return ReadText(tag);
      case kTuple:
        if (depth_ == kKeyDepthMax) return Corrupt();
        ++depth_;
        visitor_->BeginTuple();
        return Status::Ok();
      default:
        return Corrupt();
    }
  }

  Status ReadText(uint8_t tag) {
    const uint8_t* text = here();
    size_t size = remaining();
    if (depth_ > 0) {
      scratch_.clear();
      for (;;) {
        const void* zero = remaining() == 0 ? nullptr : std::memchr(here(), 0, remaining());
        if (zero == nullptr) return Corrupt();
        const size_t run = static_cast<size_t>(static_cast<const uint8_t*>(zero) - here());
        scratch_.insert(scratch_.end(), here(), here() + run);
        at_ += run + 1;
        if (remaining() == 0 || *here() != kEscape) break;
        scratch_.push_back(0);
        ++at_;
      }
      text = scratch_.data();
      size = scratch_.size();
    } else {
      at_ = key_.size;
    }
    if (tag == kBytes) {
      visitor_->Bytes(text, size);
      return Status::Ok();
    }
    if (!IsUtf8(text, size)) return Corrupt();
    visitor_->String(text, size);
    return Status::Ok();
  }

  Status ReadNumber(uint8_t tag) {
    const bool as_float = NextIsFloat();
    if (tag == kZero) {
      as_float ? visitor_->Double(0) : visitor_->Int(0);
      return Status::Ok();
    }
    if (tag == kMinusInfinity || tag == kPlusInfinity) {
      if (as_float) return Corrupt();
      if (tag == kPlusInfinity && remaining() > 0 && *here() == kDigits) {
        ++at_;
        visitor_->Double(std::nan(""));
        return Status::Ok();
      }
      visitor_->Double(tag == kMinusInfinity ? -HUGE_VAL : HUGE_VAL);
      return Status::Ok();
    }
    const bool negative = tag < kZero;
    const uint32_t number_class = negative ? kZero - tag : tag - kZero;
    if (number_class > kClassLarge) return Corrupt();
    if (number_class == kClassLarge) return ReadLarge(negative, as_float);
    return ReadSmall(negative, number_class, as_float);
  }

  // A number below 2^64.
  Status ReadSmall(bool negative, uint32_t number_class, bool as_float) {
    const uint8_t mask = negative ? 0xff : 0x00;
    const bool below_one = number_class == kClassBelowOne;
    const uint32_t width = below_one ? 2 : number_class - kClassWhole;
    if (remaining() < width) return Corrupt();
    uint64_t head = 0;
    for (uint32_t i = 0; i < width; ++i) head = head << 8 | static_cast<uint8_t>(here()[i] ^ mask);
    at_ += width;
    if (!below_one && ByteWidth(head) != width) return Corrupt();

    // The digits of the mantissa: the integer part, or an implied 1, then the groups. The value is mantissa * 2^scale.
    uint64_t mantissa = below_one ? 1 : head;
    int scale = 0;
    uint8_t group = 1;
    while (remaining() > 0 && ((*here() ^ mask) & kDigits) != 0) {
      if (mantissa >> 57 != 0) return Corrupt();  // no double has so many digits
      group = static_cast<uint8_t>((*here() ^ mask) & 0x7f);
      mantissa = mantissa << 7 | group;
      scale -= 7;
      ++at_;
    }
    if (group == 0) return Corrupt();  // trailing zeros are never written
    if (negative) {
      if (remaining() == 0 || *here() != kNegativeEnd) return Corrupt();
      ++at_;
    }
    if (below_one) {
      if (head == 0 || head >= kExponentBias) return Corrupt();
      scale += static_cast<int>(head) - kExponentBias;
    }
    if (!below_one && scale == 0 && !as_float) {
      VisitInteger(negative, mantissa);
      return Status::Ok();
    }
    const bool is_integer = !below_one && scale == 0;
    if (as_float && !is_integer) return Corrupt();
    const int zeros = __builtin_ctzll(mantissa);
    if (mantissa >> zeros >= uint64_t{1} << 53) return Corrupt();
    const double value = std::ldexp(static_cast<double>(mantissa), scale);
    if (std::ldexp(value, -scale) != static_cast<double>(mantissa)) return Corrupt();  // digits below the least double
    visitor_->Double(negative ? -value : value);
    return Status::Ok();
  }

  void VisitInteger(bool negative, uint64_t magnitude) {
    if (negative ? magnitude <= kSignBit : magnitude < kSignBit) {
      visitor_->Int(static_cast<int64_t>(negative ? 0 - magnitude : magnitude));
      return;
    }
    uint8_t bytes[8];
    for (size_t i = 0; i < 8; ++i, magnitude >>= 8) bytes[i] = static_cast<uint8_t>(magnitude);
    visitor_->BigInt(negative, bytes, 8);
  }

  Status ReadLarge(bool negative, bool as_float) {
    const uint8_t mask = negative ? 0xff : 0x00;
    if (remaining() < 4) return Corrupt();
    const auto size = static_cast<uint32_t>(LoadBigEndian(here(), 4)) ^ (negative ? 0xffffffffu : 0u);
    at_ += 4;
    if (size <= 8 || remaining() < size || (*here() ^ mask) == 0) return Corrupt();
    const uint8_t* digits = here();  // most significant first
    at_ += size;
    if (as_float) return VisitLargeFloat(negative, digits, size, mask);
    scratch_.resize(size);
    for (uint32_t i = 0; i < size; ++i) scratch_[i] = digits[size - 1 - i] ^ mask;
    visitor_->BigInt(negative, scratch_.data(), size);
    return Status::Ok();
  }

  Status VisitLargeFloat(bool negative, const uint8_t* digits, uint32_t size, uint8_t mask) {
    if (size > 128) return Corrupt();  // doubles are below 2^1024
    double value = 0;
    for (uint32_t i = 0; i < size; ++i) {
      const auto digit = static_cast<double>(static_cast<uint8_t>(digits[i] ^ mask));
      const double shifted = value * 256;
      value = shifted + digit;
      // The shift is exact; the sum lost a bit exactly when it cannot be undone.
      if (value - shifted != digit) return Corrupt();
    }
    visitor_->Double(negative ? -value : value);
    return Status::Ok();
  }

  bool NextIsFloat() {
    const uint32_t index = numbers_++;
    if (index / 8 >= key_.form_size) return false;
    const bool is_float = (key_.form[index / 8] >> index % 8 & 1) != 0;
    if (is_float) ++floats_;
    return is_float;
  }

  uint32_t FloatsInForm() const {
    uint32_t n = 0;
    for (uint32_t i = 0; i < key_.form_size; ++i) n += static_cast<uint32_t>(__builtin_popcount(key_.form[i]));
    return n;
  }

  const Key key_;
  KeyVisitor* const visitor_;
  size_t at_ = 0;
  uint32_t depth_ = 0;    // open tuples
  uint32_t numbers_ = 0;  // numbers seen
  uint32_t floats_ = 0;   // of them marked in the form: at the end, all marks must have been met
  std::vector<uint8_t> scratch_;
};

}  // namespace

Status DecodeKey(const Key& key, KeyVisitor* visitor) { return KeyReader(key, visitor).Read(); }

Status PrefixBounds(const Key& prefix, std::vector<uint8_t>* lo, std::vector<uint8_t>* hi) {
  if (prefix.size == 0 || (prefix.data[0] != kString && prefix.data[0] != kTuple)) {
    return Status(Code::kTYPE, "a prefix must be a string or an array");
  }
  lo->assign(prefix.data, prefix.data + prefix.size);
  *hi = *lo;
  if (prefix.data[0] == kString) {
    ++hi->back();  // no byte of UTF-8, and no tag, is 0xff
  } else {
    // Another element begins below kDigits; a further digit of the last number, or an escaped 0x00 in the last string,
    // does not: [1.5] has not the prefix [1].
    hi->push_back(kDigits);
  }
  return Status::Ok();
}

}  // namespace pongo
