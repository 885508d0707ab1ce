// A process that may not write the database reads its durable root.
//
// It maps the data file for reading alone and has a control file of its own, in memory: its sessions announce, pin and read
// there as in any database. What protects the blocks from the writers is the lock on the byte of the checkpoint
// (store/reader_roots.h). Following goes from one checkpoint to the next as a commit would: root, then V. The lock on an
// older checkpoint is given up by the rule of reclamation: when no announcement and no pin of this process can need it.
//
// Thread safety: Start before all else; Follow by one thread at a time.
#ifndef PONGO_MODEL_DURABLE_READER_H_
#define PONGO_MODEL_DURABLE_READER_H_

#include <cstdint>
#include <vector>

#include "format/superblock.h"
#include "port/port.h"
#include "store/mapping.h"
#include "util/status.h"

namespace pongo {

class DurableReader {
 public:
  explicit DurableReader(Mapping* mapping) : mapping_(mapping) {}

  // Locks the newest checkpoint of the file. The mapping is not touched. CORRUPT, VERSION, LOCKED.
  Status Lock(const port::File& data, Superblock* superblock);
  // Makes the mapping show the locked checkpoint; the data file is attached already.
  Status Start(const Superblock& superblock);
  // Moves on to the newest checkpoint, and lets go of those that nobody here needs any more.
  Status Follow();

 private:
  struct Root {
    uint64_t sequence;
    uint64_t version;
  };
  Status Show(const Superblock& superblock);

  Mapping* mapping_;
  port::File lock_file_;
  std::vector<Root> roots_;  // locked; the last one is shown
};

}  // namespace pongo

#endif  // PONGO_MODEL_DURABLE_READER_H_
