// The blocks that one transaction has made and those that it replaces.
//
// Fresh blocks are private: no version contains them yet, so they may be edited in place and taken back at once. Which
// blocks are fresh is remembered here and nowhere else: births cannot tell, because several transactions use the same number.
// Not thread-safe. After a crash fresh blocks are LIVE orphans, found by the sweep; replaced ones are untouched.
#ifndef PONGO_STORE_WRITE_SET_H_
#define PONGO_STORE_WRITE_SET_H_

#include <cstdint>
#include <vector>

#include "store/allocator.h"
#include "util/status.h"

namespace pongo {

// Where a block should lie when all that a commit writes should lie side by side. Inner nodes begin a run of their own: what stands above the leaves
// is replaced as a whole by the next commit, and its blocks become free together; leaves are replaced one here, one there.
enum class Placement {
  kAnywhere,
  kInner,  // beside other inner nodes
  kTop,    // beside whatever was written
};

class WriteSet {
 public:
  explicit WriteSet(Mapping* mapping, Allocator* allocator) : mapping_(mapping), allocator_(allocator) {}
  WriteSet(const WriteSet&) = delete;
  WriteSet& operator=(const WriteSet&) = delete;

  // Starts anew; `birth` is the version that the blocks will first be part of, at the earliest.
  void Start(uint64_t birth, bool roomy);
  uint64_t birth() const { return birth_; }
  // Nodes should leave room for further edits in place: the transaction has more than one operation.
  bool roomy() const { return roomy_; }

  // Until Start: whether blocks are placed, at the ends of `run` to begin with.
  void StaySideBySide(bool on, const BlockRun& run) {
    side_by_side_ = on;
    run_ = run;
    run_is_inner_ = false;
  }
  // The inner nodes that lie side by side; while there are none, the last block.
  const BlockRun& run() const { return run_; }

  // A fresh block; *bytes is its memory, *size its real size.
  Status Allocate(uint64_t bytes_needed, Ref* ref, uint8_t** bytes, uint64_t* size, Placement placement = Placement::kAnywhere);
  bool IsFresh(Ref ref) const;
  // The transaction no longer uses this block: taken back if fresh, else retired at commit.
  void Drop(Ref ref);

  // A place in the order of what was made and dropped.
  struct Mark {
    size_t fresh = 0;
    size_t replaced = 0;
  };
  Mark mark() const { return {fresh_.size(), replaced_.size()}; }
  // Takes back what was made and dropped between two marks, none of which was dropped or made again since. False when there are
  // too many blocks to know them by their places; nothing has changed then.
  bool Undo(const Mark& from, const Mark& to);

  // After the commit of `version`: retires what was replaced.
  void Committed(uint64_t version);
  // Takes back all fresh blocks.
  void Abandon();
  // Counts allocations and drops: whether an operation has changed anything yet.
  uint64_t activity() const { return activity_; }
  void NoteActivity() { activity_++; }
  // All that was counted since then was taken back.
  void ForgetActivity(uint64_t since) { activity_ = since; }
  Allocator* allocator() const { return allocator_; }

 private:
  static constexpr size_t kLinear = 16;  // above it a hash table finds fresh blocks
  size_t Find(Ref ref) const;
  void Index(Ref ref, size_t at);
  void Forget(size_t at);

  Mapping* mapping_;
  Allocator* allocator_;
  uint64_t birth_ = 0;
  bool side_by_side_ = false;
  bool run_is_inner_ = false;
  BlockRun run_;
  bool roomy_ = false;
  uint64_t activity_ = 0;
  std::vector<Ref> fresh_;      // kNullRef where one was dropped
  std::vector<Ref> replaced_;
  std::vector<uint64_t> table_; // index into fresh_ + 1, open addressing; empty while fresh_ is short
  size_t table_used_ = 0;
};

}  // namespace pongo

#endif  // PONGO_STORE_WRITE_SET_H_
