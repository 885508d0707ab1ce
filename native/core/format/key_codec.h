// Builds and reads the ordered form of keys (format/key.h).
//
// One element, by its first byte (memcmp of two ordered forms is the order of the keys):
//
//   0x05 null   0x06 false   0x07 true   -
//   0x10        -infinity                -
//   0x16        number <= -2^64          as 0x2a, every byte inverted
//   0x17-0x1e   -2^64 < number <= -1     as 0x29-0x22, every byte inverted, then 0xff
//   0x1f        -1 < number < 0          as 0x21, every byte inverted, then 0xff
//   0x20        0                        -
//   0x21        0 < number < 1           u16 exponent + 1075, then the fraction of the mantissa
//   0x22-0x29   1 <= number < 2^64       1 to 8 bytes of its integer part, then its fraction
//   0x2a        number >= 2^64           u32 n, n bytes of integer
//   0x2f        +infinity                -
//   0x2f 0x80   NaN                      -: only as the value of a pair (model/multi.h)
//   0x30        datetime                 i64 microseconds with the sign bit inverted
//   0x34        UUID                     16 bytes
//   0x40        string                   UTF-8
//   0x44        bytes                    the bytes
//   0x50        tuple                    its elements
//
// All integers are big-endian and have no leading zero byte. A fraction is its binary digits in groups of seven, each
// as 0x80 | group, without trailing zero groups: what can follow an element in a tuple (0x00 or another first byte) is
// below 0x80, so the end of a fraction needs no mark and integers pay nothing for it. Inverted groups are below 0x80
// and end with 0xff, so that of two negative numbers the one with more digits is the lesser.
//
// A string, bytes or tuple at top level has no terminator: a string prefix is a byte prefix. Inside a tuple the three
// end with 0x00, and 0x00 inside a string or bytes is written 0x00 0xff. One byte is enough to end them: what follows
// it is never 0xff, so the two readings of 0x00 stay distinct, and the end sorts below every continuation.
//
// The first stored form of a number (1 or 1.0) is kept apart in `form`: bit i, least significant first, is set when the
// i-th number of the key is a float with an integer value. Trailing zero bytes are left out; most keys have no form at
// all.
//
// Not thread-safe; a KeyBuffer belongs to one caller. Nothing here touches shared memory.
#ifndef PONGO_FORMAT_KEY_CODEC_H_
#define PONGO_FORMAT_KEY_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "format/key.h"
#include "util/status.h"

namespace pongo {

// The widest key accepted, in bytes of its ordered form.
inline constexpr uint32_t kKeySizeMax = 64u << 20;

// How deep tuples may nest. A tuple that holds no tuple has depth 1.
inline constexpr uint32_t kKeyDepthMax = 512;

// Appends the parts of one key: one element, or the elements between BeginTuple and EndTuple. Small keys stay in the
// inline buffer: no allocation. After a failure only Clear, or another BeginString, is allowed. A key that grows over
// kKeySizeMax: VALUE.
class KeyBuffer {
 public:
  KeyBuffer() = default;
  KeyBuffer(const KeyBuffer&) = delete;
  KeyBuffer& operator=(const KeyBuffer&) = delete;
  ~KeyBuffer();

  void Clear();
  // The key built so far; valid until the next change of the buffer.
  Key key() const;

  Status AddNull();
  Status AddBool(bool value);
  Status AddInt(int64_t value);
  Status AddDouble(double value);  // NaN: VALUE; -0.0 is 0
  Status AddNaN();  // for a value in a pair: no key is NaN
  // Magnitude least significant byte first.
  Status AddBigInt(bool negative, const uint8_t* magnitude, size_t size);
  Status AddDateTime(int64_t microseconds);
  Status AddUuid(const uint8_t bytes[16]);
  Status AddString(const uint8_t* utf8, size_t size);  // must be valid UTF-8
  Status AddBytes(const uint8_t* bytes, size_t size);
  Status BeginTuple();             // deeper than kKeyDepthMax: DEPTH
  Status EndTuple();               // without BeginTuple: ARG
  // One whole key in the wire form; *consumed receives its length. A list is read as a tuple. A value that is no key:
  // TYPE; malformed: ARG; invalid UTF-8 or NaN: VALUE.
  Status AddWire(const uint8_t* wire, size_t size, size_t* consumed);
  // Begins a new key that is a string of at most `size` bytes: write into the returned room, then FinishString with the
  // real size. This lets a binding convert its string straight into the key. Null when the key would be too large.
  uint8_t* BeginString(size_t size);
  void FinishString(size_t size);
  // The largest `size` for which BeginString does not allocate.
  static constexpr size_t kInlineString = 319;

 private:
  static constexpr size_t kInline = kInlineString + 1;
  uint8_t* Reserve(size_t extra);
  Status AddByte(uint8_t byte);
  Status AddText(uint8_t tag, const uint8_t* bytes, size_t size);
  Status AddLarge(bool negative, const uint8_t* magnitude, size_t size);
  Status AddParts(bool negative, uint64_t whole, double fraction);
  Status AddBelowOne(bool negative, double magnitude);
  void MarkFloat();

  uint8_t* data_ = inline_;
  size_t size_ = 0;
  size_t capacity_ = kInline;
  uint32_t depth_ = 0;        // open tuples
  uint32_t numbers_ = 0;      // numbers added: the index of the next bit of form_
  std::vector<uint8_t> form_;
  uint8_t inline_[kInline];
};

// What DecodeKey calls, in order. Strings inside tuples are unescaped into a buffer that lives during the call.
class KeyVisitor {
 public:
  virtual ~KeyVisitor() = default;
  virtual void Null() = 0;
  virtual void Bool(bool value) = 0;
  virtual void Int(int64_t value) = 0;
  virtual void Double(double value) = 0;
  // Only integers beyond int64; no leading zeros.
  virtual void BigInt(bool negative, const uint8_t* magnitude, size_t size) = 0;
  virtual void DateTime(int64_t microseconds) = 0;
  virtual void Uuid(const uint8_t* bytes) = 0;
  virtual void String(const uint8_t* utf8, size_t size) = 0;
  virtual void Bytes(const uint8_t* bytes, size_t size) = 0;
  virtual void BeginTuple() = 0;
  virtual void EndTuple() = 0;
};

// Reads a key back. Bytes that no KeyBuffer can have written: CORRUPT (after the visitor has seen what came before).
// Never reads outside the key, and needs no more memory than a small multiple of its size.
Status DecodeKey(const Key& key, KeyVisitor* visitor);

// Appends the key in wire form.
Status KeyToWire(const Key& key, std::vector<uint8_t>* wire);

// True when the key is a string; then *utf8 and *size are its text (borrowed from the key).
inline bool KeyIsString(const Key& key, const uint8_t** utf8, uint32_t* size) {
  if (key.size == 0 || key.data[0] != 0x40) return false;
  *utf8 = key.data + 1;
  *size = key.size - 1;
  return true;
}

// The bounds [lo, hi) of all keys that have `prefix` as a prefix: a string (by its UTF-8) or a tuple (by its elements).
// *hi is never empty. Another type: TYPE.
Status PrefixBounds(const Key& prefix, std::vector<uint8_t>* lo, std::vector<uint8_t>* hi);

}  // namespace pongo

#endif  // PONGO_FORMAT_KEY_CODEC_H_
