// UUIDs of RFC 9562. Callable from any thread.
#ifndef PONGO_MODEL_UUID_H_
#define PONGO_MODEL_UUID_H_

#include <cstdint>
#include <string>

#include "util/status.h"

namespace pongo {

// Version 4: random.
Status MakeUuid4(uint8_t bytes[16]);

// Version 7: 48 bits of Unix milliseconds, then 12 bits of the fraction of that millisecond (method 3 of section 6.2),
// then 62 random bits. Each is greater than all made before it in this process, even when the clock steps back.
Status MakeUuid7(uint8_t bytes[16]);

// The canonical lower-case text.
std::string UuidText(const uint8_t bytes[16]);

}  // namespace pongo

#endif  // PONGO_MODEL_UUID_H_
