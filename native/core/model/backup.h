// Copies one version of a database into a new, compact file.
//
// The copy is a database of its own, with an UUID of its own. It has the same containers under the same ids, the same version
// number and settings. Nodes lose the room that they kept for more entries; slabs are filled one after the other.
//
// The caller protects the version for as long as the copy takes. Runs beside readers and writers of all processes; nobody
// waits for it. Each block is checked as any reader would: bytes that are impossible end the copy with CORRUPT.
#ifndef PONGO_MODEL_BACKUP_H_
#define PONGO_MODEL_BACKUP_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "model/transaction.h"
#include "port/port.h"
#include "store/mapping.h"
#include "util/function_ref.h"
#include "util/status.h"

namespace pongo {

// What the superblock of the copy says.
struct BackupSettings {
  uint64_t max_size = 0;           // bytes
  uint64_t chunk_size = 0;         // bytes
  uint64_t container_id_next = 0;  // ids below it may have been given out
  std::string id_key;
};

// Written by the copying thread, read by any.
struct BackupProgress {
  std::atomic<uint64_t> bytes_done{0};
  std::atomic<uint64_t> bytes_total{0};       // an estimate until the copy is done
  std::atomic<uint64_t> containers_done{0};
  std::atomic<uint64_t> containers_total{0};
};

// Writes the version to `file`, which is empty, and syncs it. `proceed` is asked now and then: its failure ends the copy.
// O(size of the version), memory for one slab of each size class. CORRUPT, IO, NOSPACE.
Status CopyVersion(Mapping* mapping, const Base& base, const BackupSettings& settings, const port::File& file,
                   FunctionRef<Status()> proceed, BackupProgress* progress);

}  // namespace pongo

#endif  // PONGO_MODEL_BACKUP_H_
