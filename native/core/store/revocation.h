// Taking snapshots away when the space that they pin is needed.
//
// A pin is revoked by a stamp in its cell; after that ControlHeader::revocations is raised to the stamp. One revoker at a time.
//   owner:     each operation on the snapshot announces slot = exactly p, then looks at its cell: stamped, it gives up (SNAPSHOT).
//   reclaimer: reads `revocations` before it scans the slots; a pin with a stamp up to that number protects nothing.
// So if the owner saw no stamp, its announcement came before the stamp, before the number, before the scan of the slots: the
// reclaimer sees it. A pin that is stamped while a scan is under way protects as before.
// Pins of transactions, backups, marking and verification are never revoked: their owners do not look.
//
// Thread safety: any thread of any process. A revoker that dies between stamp and number leaves a pin that its owner may no
// longer use but that protects; the next revoker uses the same stamp, and completes it.
#ifndef PONGO_STORE_REVOCATION_H_
#define PONGO_STORE_REVOCATION_H_

#include <cstdint>

#include "store/mapping.h"

namespace pongo {

inline constexpr uint64_t kRevokeByte = (uint64_t{1} << 62) + 3;  // data file: one revoker at a time

// Revokes the snapshots of up to `versions` of the oldest versions that snapshots pin, and waits a moment for operations on
// them to end. Snapshots of the newest version pin nothing that could be freed: they stay. Returns how many pins it revoked.
uint32_t RevokeOldestSnapshots(Mapping* mapping, uint32_t versions);

// Revokes one pin. For RevokeOldestSnapshots and tests; the caller is the only revoker.
bool RevokePin(ControlHeader* header, PinCell* cell, uint64_t version);

}  // namespace pongo

#endif  // PONGO_STORE_REVOCATION_H_
