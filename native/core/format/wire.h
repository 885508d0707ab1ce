// The wire form of plain values: what crosses between the core and a language binding.
//
// It is never stored in the data file. One value is a tag byte and its payload; all numbers are little-endian and
// unaligned. Both sides treat it as untrusted: every read is bounds-checked and nesting is limited by kDepthMax.
//
//   tag                    payload
//   0x00 absent            -
//   0x01 null              -
//   0x02 false             -
//   0x03 true              -
//   0x04 int32             i32
//   0x05 int64             i64
//   0x06 float64           f64 (NaN is canonical: 0x7ff8000000000000)
//   0x07 bigint            u8 sign (1 = negative), u32 n, n bytes of magnitude, least significant first, no leading zero
//   0x08 string            u32 n, n bytes of UTF-8
//   0x09 short ASCII       u8 n, n bytes, each below 0x80
//   0x0a datetime (ms)     f64 milliseconds since 1970-01-01T00:00Z, integer-valued
//   0x0b datetime (us)     i64 microseconds since 1970-01-01T00:00Z
//   0x0c uuid              16 bytes
//   0x0d bytes             u32 n, n bytes
//   0x0e list              u32 n, n values
//   0x0f dict              u32 n, n pairs of key and value (a key is a wire value of a key type)
//   0x10 collection        as dict: the plain copy of a Collection (only ever sent by the core)
//   0x11 container         u8 kind, f64 id: a live container of the same database
//   0x12 tuple             u32 n, n keys: only inside keys
//   0x13 multi             as dict: the plain copy of a MultiCollection, one pair per (key, value)
//
// A writer may use either form where two fit (0x04/0x05, 0x08/0x09, 0x0a/0x0b); a reader accepts both.
#ifndef PONGO_FORMAT_WIRE_H_
#define PONGO_FORMAT_WIRE_H_

#include <cstdint>

namespace pongo {

enum class WireTag : uint8_t {
  kAbsent = 0x00,
  kNull = 0x01,
  kFalse = 0x02,
  kTrue = 0x03,
  kInt32 = 0x04,
  kInt64 = 0x05,
  kFloat64 = 0x06,
  kBigInt = 0x07,
  kString = 0x08,
  kShortAscii = 0x09,
  kDateTimeMs = 0x0a,
  kDateTimeUs = 0x0b,
  kUuid = 0x0c,
  kBytes = 0x0d,
  kList = 0x0e,
  kDict = 0x0f,
  kCollection = 0x10,
  kContainer = 0x11,
  kTuple = 0x12,
  kMulti = 0x13,
};

}  // namespace pongo

#endif  // PONGO_FORMAT_WIRE_H_
