// Writes a new data file from its beginning to its end: blocks in slabs that fill up one after the other.
//
// Nothing of it is shared: no control file, no states, no mapping. One slab of each size class is open at a time, so that at
// most 29 slabs of the finished file have room left. Blocks are written once and never touched again: a parent comes after
// its children. What no block uses is zero.
// Not thread-safe. A crash leaves a file without a superblock, which is no database.
#ifndef PONGO_STORE_SLAB_WRITER_H_
#define PONGO_STORE_SLAB_WRITER_H_

#include <cstdint>
#include <memory>

#include "format/ref.h"
#include "port/port.h"
#include "util/status.h"

namespace pongo {

class SlabWriter {
 public:
  explicit SlabWriter(const port::File* file) : file_(file) {}

  // The size that a block for `size` bytes gets.
  static uint64_t BlockSize(uint64_t size);
  // Adds a block of BlockSize(size) bytes, of which `bytes` gives the first `size`. IO, NOSPACE, FULL.
  Status Append(const uint8_t* bytes, uint64_t size, Ref* ref);
  // Writes the slabs that are still open; *length is that of the file.
  Status Finish(uint64_t* length);
  // Bytes of all blocks so far.
  uint64_t bytes() const { return bytes_; }

 private:
  struct OpenSlab {
    std::unique_ptr<uint8_t[]> content;
    uint64_t slab = 0;
    uint32_t used = 0;  // blocks
  };
  Status AppendSpan(const uint8_t* bytes, uint64_t size, Ref* ref);
  Status Take(uint64_t slabs, uint64_t* first);
  Status Write(OpenSlab* open);

  const port::File* file_;
  uint64_t slab_next_ = 1;  // slab 0 holds the superblocks
  uint64_t bytes_ = 0;
  OpenSlab open_[kClassCount];
};

}  // namespace pongo

#endif  // PONGO_STORE_SLAB_WRITER_H_
