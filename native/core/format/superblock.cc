#include "format/superblock.h"

#include "util/crc32c.h"
#include "util/testing.h"

namespace pongo {
namespace {

uint32_t Checksum(const Superblock& superblock) {
  Superblock copy = superblock;
  copy.crc = 0;
  return Crc32c(&copy, sizeof copy);
}

}  // namespace

void SealSuperblock(Superblock* superblock) { superblock->crc = Checksum(*superblock); }

Status CheckSuperblock(const Superblock& superblock) {
  if (superblock.magic != kSuperblockMagic) return Status(Code::kCORRUPT, "this is not a PongoDB file");
  // The format number is judged before the checksum: a later format may compute it in another way.
  if (superblock.format > kFormatVersion && superblock.format < 0x10000)
    return Status(Code::kVERSION, "the file was written by a later version of PongoDB; upgrade the package to open it");
  if (!PONGO_PLANTED(21) && superblock.crc != Checksum(superblock)) return Status(Code::kCORRUPT, "the superblock fails its checksum");
  if (superblock.format != kFormatVersion) return Status(Code::kVERSION, "the file has an unknown format version");
  const bool plausible = superblock.length % kSlabSize == 0 && superblock.length >= 2 * kSlabSize &&
                         superblock.length <= kFileSizeMax && superblock.max_size <= kFileSizeMax &&
                         superblock.chunk_size % kSlabSize == 0 && superblock.chunk_size != 0 &&
                         superblock.chunk_size <= kFileSizeMax && superblock.id_key_size <= kIdKeySizeMax &&
                         superblock.container_id_next <= kFileSizeMax && superblock.version < (uint64_t{1} << 60);
  if (!plausible) return Status(Code::kCORRUPT, "the superblock holds impossible values");
  return Status::Ok();
}

}  // namespace pongo
