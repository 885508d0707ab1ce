// The superblock: sealed, checked, and every damage noticed.

#include <cstring>
#include <vector>

#include "format/superblock.h"
#include "harness.h"
#include "util/crc32c.h"

namespace pongo {
namespace {

using test::RandomBelow;
using test::RandomByte;

Superblock Valid() {
  Superblock s;
  std::memset(&s, 0, sizeof s);
  s.magic = kSuperblockMagic;
  s.format = kFormatVersion;
  for (uint8_t& byte : s.uuid) byte = RandomByte();
  s.sequence = RandomBelow(1 << 30);
  s.version = RandomBelow(uint64_t{1} << 60);
  s.root = MakeRef(kSlabSize + kGranule, 0);
  s.length = (2 + RandomBelow(1000)) * kSlabSize;
  s.max_size = kFileSizeMax;
  s.chunk_size = (1 + RandomBelow(1000)) * kSlabSize;
  s.container_id_next = 2 + RandomBelow(1 << 20);
  s.clean = 1;
  s.id_key_size = 3;
  std::memcpy(s.id_key, "_id", 3);
  SealSuperblock(&s);
  return s;
}

template <class F>
Status AfterChange(F&& change) {
  Superblock s = Valid();
  change(&s);
  SealSuperblock(&s);
  return CheckSuperblock(s);
}

TEST(Crc32cMatchesItsStandard) {
  // RFC 3720, B.4.
  std::vector<uint8_t> bytes(32, 0);
  CHECK_EQ(Crc32c(bytes.data(), bytes.size()), 0x8a9136aau);
  bytes.assign(32, 0xff);
  CHECK_EQ(Crc32c(bytes.data(), bytes.size()), 0x62a8ab43u);
  for (size_t i = 0; i < 32; i++) bytes[i] = static_cast<uint8_t>(i);
  CHECK_EQ(Crc32c(bytes.data(), bytes.size()), 0x46dd794eu);
  CHECK_EQ(Crc32c("123456789", 9), 0xe3069283u);
}

TEST(SealedSuperblocksAreValid) {
  for (int i = 0; i < 100; i++) {
    Superblock s = Valid();
    CHECK_OK(CheckSuperblock(s));
    const uint32_t crc = s.crc;
    SealSuperblock(&s);  // the old checksum is no part of the new one
    CHECK_EQ(s.crc, crc);
  }
}

TEST(EverySingleBitFlipIsDetected) {
  Superblock s = Valid();
  auto* bytes = reinterpret_cast<uint8_t*>(&s);
  for (uint32_t bit = 0; bit < sizeof s * 8; bit++) {
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const Status status = CheckSuperblock(s);
    CHECK(!status.ok());
    // Nearly every flip of the format number reads as a later format; all others are damage.
    if (bit < 64 || bit >= 96) CHECK_CODE(status, CORRUPT);
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }
  CHECK_OK(CheckSuperblock(s));
}

TEST(TornSuperblocksAreDetected) {
  for (int i = 0; i < 2000; i++) {
    // The start of a newer superblock over the rest of an older one, cut anywhere in what differs.
    const Superblock older = Valid();
    Superblock torn = older;
    const Superblock newer = Valid();
    const size_t at = 1 + RandomBelow(351);
    std::memcpy(&torn, &newer, at);
    if (std::memcmp(&torn, &newer, sizeof torn) == 0 || std::memcmp(&torn, &older, sizeof torn) == 0) continue;
    CHECK_CODE(CheckSuperblock(torn), CORRUPT);
  }
}

TEST(MagicComesFirst) {
  Superblock s = Valid();
  s.magic ^= 1;
  s.format = 2;
  CHECK_CODE(CheckSuperblock(s), CORRUPT);
  SealSuperblock(&s);
  CHECK_CODE(CheckSuperblock(s), CORRUPT);
  std::memset(&s, 0, sizeof s);
  CHECK_CODE(CheckSuperblock(s), CORRUPT);
  std::memset(&s, 0xff, sizeof s);
  CHECK_CODE(CheckSuperblock(s), CORRUPT);
}

TEST(LaterFormatsAreAnsweredBeforeTheChecksum) {
  for (const uint32_t format : {2u, 3u, 1000u, 0xffffu}) {
    Superblock s = Valid();
    s.format = format;  // not sealed again: a later format may compute another checksum
    CHECK_CODE(CheckSuperblock(s), VERSION);
    SealSuperblock(&s);
    CHECK_CODE(CheckSuperblock(s), VERSION);
  }
  for (const uint32_t format : {0u, 0x10000u, 0xffffffffu}) {
    Superblock s = Valid();
    s.format = format;
    CHECK_CODE(CheckSuperblock(s), CORRUPT);  // rather damage than a format
    SealSuperblock(&s);
    CHECK_CODE(CheckSuperblock(s), VERSION);
  }
}

TEST(ImpossibleValuesAreRefusedInSpiteOfTheChecksum) {
  CHECK_CODE(AfterChange([](Superblock* s) { s->length = 0; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->length = kSlabSize; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->length += 4096; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->length = kFileSizeMax + kSlabSize; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->max_size = kFileSizeMax + 1; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->chunk_size = 0; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->chunk_size += 1; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->chunk_size = kFileSizeMax + kSlabSize; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->id_key_size = 256; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->container_id_next = kFileSizeMax + 1; }), CORRUPT);
  CHECK_CODE(AfterChange([](Superblock* s) { s->version = uint64_t{1} << 60; }), CORRUPT);
  CHECK_OK(AfterChange([](Superblock* s) { s->length = 2 * kSlabSize; }));
  CHECK_OK(AfterChange([](Superblock* s) { s->length = kFileSizeMax; }));
  CHECK_OK(AfterChange([](Superblock* s) { s->id_key_size = 255; }));
  CHECK_OK(AfterChange([](Superblock* s) { s->version = (uint64_t{1} << 60) - 1; }));
}

TEST(TheLayoutIsThatOfTheFileFormat) {
  CHECK_EQ(sizeof(Superblock), 4096u);
  CHECK_EQ(offsetof(Superblock, format), 8u);
  CHECK_EQ(offsetof(Superblock, crc), 12u);
  CHECK_EQ(offsetof(Superblock, uuid), 16u);
  CHECK_EQ(offsetof(Superblock, sequence), 32u);
  CHECK_EQ(offsetof(Superblock, version), 40u);
  CHECK_EQ(offsetof(Superblock, root), 48u);
  CHECK_EQ(offsetof(Superblock, length), 56u);
  CHECK_EQ(offsetof(Superblock, max_size), 64u);
  CHECK_EQ(offsetof(Superblock, chunk_size), 72u);
  CHECK_EQ(offsetof(Superblock, container_id_next), 80u);
  CHECK_EQ(offsetof(Superblock, clean), 88u);
  CHECK_EQ(offsetof(Superblock, id_key_size), 92u);
  CHECK_EQ(std::memcmp("PONGODB1", &kSuperblockMagic, 8), 0);
  CHECK_EQ(sizeof(RootRecord), 64u);
  CHECK_EQ(offsetof(RootRecord, version), 8u);
  CHECK_EQ(offsetof(RootRecord, object_table), 16u);
  CHECK_EQ(offsetof(RootRecord, container_count), 24u);
}

}  // namespace
}  // namespace pongo
