// CRC-32C (Castagnoli), as in RFC 3720 appendix B.4.
#ifndef PONGO_UTIL_CRC32C_H_
#define PONGO_UTIL_CRC32C_H_

#include <cstddef>
#include <cstdint>

namespace pongo {

uint32_t Crc32c(const void* data, size_t size);

}  // namespace pongo

#endif  // PONGO_UTIL_CRC32C_H_
