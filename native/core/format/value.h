// The value word: one 64-bit word that holds or names any value (NaN-boxing).
//
// A double is its own bits, with the one canonical NaN; that leaves the words whose upper 16 bits are 0xfff1..0xfff7:
//
//   0xfff1  constant       payload 0 null, 1 false, 2 true
//   0xfff2  small integer  48-bit two's complement
//   0xfff3  short string   bits 40-47 length 0..5, bytes from bit 0 upward
//   0xfff4  datetime       48-bit two's complement milliseconds since 1970
//   0xfff5  local          bits 44-47 LocalType, 24-43 size in bytes, 0-23 distance of the payload from the end of the node
//   0xfff6  block          bits 40-43 LocalType, 0-39 Ref of a blob
//   0xfff7  container      bits 44-47 kind, 0-43 container id
//
// A local payload lives in the heap of the node that holds the word; a blob is a block of its own: BlobHeader and bytes.
#ifndef PONGO_FORMAT_VALUE_H_
#define PONGO_FORMAT_VALUE_H_

#include <bit>
#include <cstdint>
#include <cstring>

#include "format/ref.h"

namespace pongo {

using Word = uint64_t;

enum class WordTag : uint16_t {
  kConstant = 0xfff1,
  kSmallInt = 0xfff2,
  kShortString = 0xfff3,
  kDateTime = 0xfff4,
  kLocal = 0xfff5,
  kBlock = 0xfff6,
  kContainer = 0xfff7,
};

// What the payload of a local or a block is.
enum class PayloadType : uint8_t {
  kString = 1,
  kBytes = 2,
  kUuid = 3,             // 16 bytes
  kInt64 = 4,            // 8 bytes
  kNegativeBigInt = 5,   // magnitude, least significant byte first
  kPositiveBigInt = 6,
  kDateTime = 7,         // 8 bytes: microseconds
  kShape = 8,            // the node of a shape; only in the registry of shapes
};

inline constexpr Word kNullWord = 0xfff1000000000000u;
inline constexpr Word kFalseWord = kNullWord | 1;
inline constexpr Word kTrueWord = kNullWord | 2;
inline constexpr uint64_t kCanonicalNan = 0x7ff8000000000000u;
inline constexpr uint64_t kPayloadMask = 0x0000ffffffffffffu;
inline constexpr int64_t kSmallIntMax = (int64_t{1} << 47) - 1;
inline constexpr int64_t kSmallIntMin = -(int64_t{1} << 47);
inline constexpr uint32_t kShortStringMax = 5;
inline constexpr uint32_t kLocalMax = 255;  // bytes; larger payloads become blobs
inline constexpr uint64_t kContainerIdMax = (uint64_t{1} << 40) - 1;

constexpr bool IsDouble(Word w) { return static_cast<uint16_t>(w >> 48) - 0xfff1u > 0xfff7u - 0xfff1u; }
constexpr WordTag TagOf(Word w) { return static_cast<WordTag>(w >> 48); }
constexpr Word MakeWord(WordTag tag, uint64_t payload) {
  return (static_cast<uint64_t>(tag) << 48) | (payload & kPayloadMask);
}
constexpr int64_t SignedPayload(Word w) { return static_cast<int64_t>(w << 16) >> 16; }

inline Word DoubleWord(double value) { return value != value ? kCanonicalNan : std::bit_cast<Word>(value); }

constexpr Word LocalWord(PayloadType type, uint32_t size, uint32_t from_end) {
  return MakeWord(WordTag::kLocal, (static_cast<uint64_t>(type) << 44) | (static_cast<uint64_t>(size) << 24) | from_end);
}
constexpr PayloadType LocalType(Word w) { return static_cast<PayloadType>((w >> 44) & 15); }
constexpr uint32_t LocalSize(Word w) { return static_cast<uint32_t>(w >> 24) & 0xfffff; }
constexpr uint32_t LocalFromEnd(Word w) { return static_cast<uint32_t>(w) & 0xffffff; }
constexpr bool IsLocal(Word w) { return TagOf(w) == WordTag::kLocal; }

constexpr Word BlockWord(PayloadType type, Ref ref) {
  return MakeWord(WordTag::kBlock, (static_cast<uint64_t>(type) << 40) | ref);
}
constexpr PayloadType BlockType(Word w) { return static_cast<PayloadType>((w >> 40) & 15); }
constexpr Ref BlockRef(Word w) { return w & kRefMask; }
constexpr bool IsBlock(Word w) { return TagOf(w) == WordTag::kBlock; }

constexpr Word ContainerWord(uint8_t kind, uint64_t id) {
  return MakeWord(WordTag::kContainer, (static_cast<uint64_t>(kind) << 44) | id);
}
constexpr bool IsContainer(Word w) { return TagOf(w) == WordTag::kContainer; }
constexpr uint8_t ContainerKind(Word w) { return static_cast<uint8_t>((w >> 44) & 15); }
constexpr uint64_t ContainerId(Word w) { return w & ((uint64_t{1} << 44) - 1); }

// A blob: a payload too large for a node.
struct BlobHeader {
  uint8_t kind;          // 0   NodeKind::kBlob
  uint8_t type;          // 1   PayloadType, or 0 for the full bytes of a long key
  uint8_t reserved[6];   // 2   zero
  uint64_t size;         // 8   bytes that follow
};
static_assert(sizeof(BlobHeader) == 16);

}  // namespace pongo

#endif  // PONGO_FORMAT_VALUE_H_
