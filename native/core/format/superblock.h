// The superblock: names the durable root. Two copies, A in page 0 and B in page 1 of the data file, written in turn; the
// newest valid one is the database after a power cut.
#ifndef PONGO_FORMAT_SUPERBLOCK_H_
#define PONGO_FORMAT_SUPERBLOCK_H_

#include <cstddef>
#include <cstdint>

#include "format/ref.h"
#include "util/status.h"

namespace pongo {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint64_t kSuperblockMagic = 0x314244'4f474e4f50u;  // "PONGODB1"
inline constexpr uint32_t kPageSize = 4096;
inline constexpr uint32_t kIdKeySizeMax = 255;

struct Superblock {
  uint64_t magic;             // 0    another file: not ours
  uint32_t format;            // 8    a newer format is refused, not misread
  uint32_t crc;               // 12   CRC-32C of the page with this field zero: torn or stray writes
  uint8_t uuid[16];           // 16   which database; the control file must name the same
  uint64_t sequence;          // 32   the higher of two valid copies wins
  uint64_t version;           // 40   version of the root
  Ref root;                   // 48   root record
  uint64_t length;            // 56   bytes of the file that this root may refer to
  uint64_t max_size;          // 64   bytes
  uint64_t chunk_size;        // 72   bytes
  uint64_t container_id_next; // 80   ids below it may be in use
  uint32_t clean;             // 88   1: written by the last clean closer
  uint32_t id_key_size;       // 92   bytes of id_key
  uint8_t id_key[256];        // 96   property that Collection.add uses
  uint8_t reserved[kPageSize - 352];  // zero
};
static_assert(sizeof(Superblock) == kPageSize);
static_assert(offsetof(Superblock, id_key) == 96);

// The object that a root word names: one version of the database.
struct RootRecord {
  uint8_t kind;              // 0   NodeKind::kRoot
  uint8_t object_levels;     // 1   height of the object table; 0 = empty
  uint8_t size_class;        // 2   of the block that holds it, which a root word does not tell
  uint8_t reserved0[5];      // 3   zero
  uint64_t version;          // 8
  Ref object_table;          // 16
  uint64_t container_count;  // 24  entries of the object table
  uint8_t reserved1[32];     // 32  zero
};
static_assert(sizeof(RootRecord) == kGranule);

// Fills in the checksum.
void SealSuperblock(Superblock* superblock);
// CORRUPT: not a superblock, or torn; VERSION: of a newer format.
Status CheckSuperblock(const Superblock& superblock);

}  // namespace pongo

#endif  // PONGO_FORMAT_SUPERBLOCK_H_
