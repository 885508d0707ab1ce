// Builds and reads the ordered form of keys (format/key.h).
//
// First byte of each element: 0x05 null, 0x06 false, 0x07 true, 0x10-0x2f numbers, 0x30 datetime, 0x34 UUID, 0x40 string,
// 0x44 bytes, 0x50 tuple. The layout of numbers and the escapes inside tuples are described in key_codec.cc.
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

// Appends the parts of one key. Small keys stay in the inline buffer: no allocation.
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
  // Magnitude least significant byte first.
  Status AddBigInt(bool negative, const uint8_t* magnitude, size_t size);
  Status AddDateTime(int64_t microseconds);
  Status AddUuid(const uint8_t bytes[16]);
  Status AddString(const uint8_t* utf8, size_t size);
  Status AddBytes(const uint8_t* bytes, size_t size);
  Status BeginTuple();
  Status EndTuple();
  // One whole key in the wire form; *consumed receives its length. A tag that is no key type: TYPE.
  Status AddWire(const uint8_t* wire, size_t size, size_t* consumed);
  // Room for a top-level string of at most `size` bytes: write into it, then FinishString with the real size. This lets a
  // binding convert its string straight into the key.
  uint8_t* BeginString(size_t size);
  void FinishString(size_t size);

 private:
  static constexpr size_t kInline = 320;
  uint8_t* Reserve(size_t extra);
  uint8_t inline_[kInline];
  uint8_t* data_ = inline_;
  size_t size_ = 0;
  size_t capacity_ = kInline;
  uint32_t depth_ = 0;        // open tuples
  std::vector<uint8_t> form_;
};

// What DecodeKey calls, in order. Strings inside tuples are unescaped into a buffer that lives during the call.
class KeyVisitor {
 public:
  virtual ~KeyVisitor() = default;
  virtual void Null() = 0;
  virtual void Bool(bool value) = 0;
  virtual void Int(int64_t value) = 0;
  virtual void Double(double value) = 0;
  virtual void BigInt(bool negative, const uint8_t* magnitude, size_t size) = 0;
  virtual void DateTime(int64_t microseconds) = 0;
  virtual void Uuid(const uint8_t* bytes) = 0;
  virtual void String(const uint8_t* utf8, size_t size) = 0;
  virtual void Bytes(const uint8_t* bytes, size_t size) = 0;
  virtual void BeginTuple() = 0;
  virtual void EndTuple() = 0;
};

// Reads a key back. Malformed bytes: CORRUPT.
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
// *hi empty means no upper bound. Another type: TYPE.
Status PrefixBounds(const Key& prefix, std::vector<uint8_t>* lo, std::vector<uint8_t>* hi);

}  // namespace pongo

#endif  // PONGO_FORMAT_KEY_CODEC_H_
