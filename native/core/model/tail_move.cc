#include "model/tail_move.h"

#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

#include "format/node.h"
#include "model/object_table.h"
#include "model/transaction.h"
#include "model/value_view.h"
#include "store/allocator.h"
#include "util/bits.h"

namespace pongo {
namespace {

constexpr uint64_t kMoveBytesMax = 64u << 20;  // of the end: a close is quick
constexpr uint64_t kReadBytesMax = 1u << 30;   // for which all that is live is read
constexpr uint64_t kWorthwhile = 4;            // the file must become shorter by a quarter of what stays
constexpr uint64_t kPathsShare = 16;           // room for copies of what leads to the blocks: this part of what is live
constexpr Status kBadNode(Code::kCORRUPT, "a tree node holds impossible bytes");
constexpr Status kTooMuch(Code::kFULL, "more would have to be moved than a close should cost");

// What a part of the file holds.
struct Part {
  uint64_t live[kClassCount] = {};
  uint64_t free[kClassCount] = {};
  uint64_t live_bytes = 0;
  uint64_t span_slabs = 0;
  uint64_t unassigned = 0;  // slabs
  uint64_t stuck = 0;       // blocks that are neither free nor live: somebody still needs them
};

void CountBlocks(const Mapping& mapping, uint64_t slab, uint32_t size_class, Part* part) {
  for (uint32_t i = 0; i < BlocksPerSlab(size_class); i++) {
    switch (BlockUseOf(mapping.block_states(slab)[i].load(std::memory_order_relaxed))) {
      case BlockUse::kFree:
        part->free[size_class]++;
        break;
      case BlockUse::kLive:
        part->live[size_class]++;
        part->live_bytes += kClassSizes[size_class];
        break;
      default:
        part->stuck++;
    }
  }
}

Part Count(const Mapping& mapping, uint64_t begin, uint64_t end) {
  Part part;
  for (uint64_t slab = begin; slab < end; slab++) {
    const uint64_t state = mapping.slab_state(slab)->load(std::memory_order_acquire);
    if (SlabUseOf(state) == SlabUse::kUnassigned) {
      part.unassigned++;
    } else if (SlabUseOf(state) == SlabUse::kSmall && SlabDetail(state) < kClassCount) {
      CountBlocks(mapping, slab, static_cast<uint32_t>(SlabDetail(state)), &part);
    } else if (SlabUseOf(state) == SlabUse::kSpan || SlabUseOf(state) == SlabUse::kTail) {
      part.span_slabs++;
      part.live_bytes += kSlabSize;
      const bool head = SlabUseOf(state) == SlabUse::kSpan;
      if (head && BlockUseOf(mapping.block_states(slab)->load(std::memory_order_relaxed)) != BlockUse::kLive) part.stuck++;
    } else {
      part.stuck++;
    }
  }
  return part;
}

// Moves a piece from the end of `front` to the beginning of `back`.
void Shift(const Part& piece, Part* front, Part* back) {
  for (uint32_t c = 0; c < kClassCount; c++) {
    back->live[c] += piece.live[c];
    front->live[c] -= piece.live[c];
    front->free[c] -= piece.free[c];
  }
  back->live_bytes += piece.live_bytes;
  front->live_bytes -= piece.live_bytes;
  back->span_slabs += piece.span_slabs;
  front->unassigned -= piece.unassigned;
  back->stuck += piece.stuck;
}

// Whether there should be room in `front` for what is live in `back`. Spans may find no run that is long enough: that shows
// when they are moved.
bool Fits(const Part& front, const Part& back) {
  if (back.stuck != 0 || back.live_bytes > kMoveBytesMax) return false;
  uint64_t slabs = back.span_slabs + (front.live_bytes + back.live_bytes) / kPathsShare / kSlabSize;
  for (uint32_t c = 0; c < kClassCount; c++)
    if (back.live[c] > front.free[c]) slabs += (back.live[c] - front.free[c] + BlocksPerSlab(c) - 1) / BlocksPerSlab(c);
  return slabs <= front.unassigned;
}

// The length to which the file can be cut once what lies behind it has been moved. Not below what a program needs that overwrites what is
// live: the file would only have to grow again.
uint64_t PlanLength(const Mapping& mapping, uint64_t length) {
  const uint64_t chunk = mapping.header()->chunk_size;
  Part front = Count(mapping, 1, length / kSlabSize);
  Part back;
  if (front.live_bytes > kReadBytesMax) return length;
  const uint64_t least = RoundUp(front.live_bytes + Allocator::RoomAhead(front.live_bytes, chunk), chunk);
  uint64_t planned = length;
  for (uint64_t end = (length - 1) / chunk * chunk; end >= least; end -= chunk) {
    Shift(Count(mapping, end / kSlabSize, planned / kSlabSize), &front, &back);
    if (!Fits(front, back)) break;
    planned = end;
  }
  return planned;
}

class TailMover {
 public:
  TailMover(Mapping* mapping, ThreadSlot* slot, uint64_t length)
      : mapping_(mapping), length_(length), allocator_(mapping, slot), transaction_(mapping, slot, &allocator_) {
    allocator_.StayBefore(length / kSlabSize);
  }

  Status Run(bool* moved);

 private:
  struct Patch {
    uint64_t offset;  // in the node
    uint64_t value;
  };
  bool LiesBehind(Ref ref) const;
  Status MoveAll();
  Status Copy(Ref* ref, const std::vector<Patch>& patches);
  Status MoveTree(bool keyed, int level, Ref* ref);
  Status MoveChildren(bool keyed, const Node& node, std::vector<Patch>* patches);
  Status MoveValues(const Node& leaf, std::vector<Patch>* patches);
  Status MoveLongKeys(const Node& node, std::vector<Patch>* patches);

  Mapping* mapping_;
  const uint64_t length_;  // of the file that stays
  Allocator allocator_;
  Transaction transaction_;
  std::unordered_map<Ref, Ref> shapes_;  // those that were moved
  uint64_t copied_ = 0;
  uint64_t visited_ = 0;
};

// Whether a block lies, or ends, behind what stays. Only a span can do the one without the other.
bool TailMover::LiesBehind(Ref ref) const {
  if (RefOffset(ref) >= length_ || RefClass(ref) != kSpanClass) return RefOffset(ref) >= length_;
  uint64_t size;
  return mapping_->Block(ref, &size) != nullptr && RefOffset(ref) + size > length_;
}

// Puts a copy with some words changed into the place of a block. The class stays, hence also the distances from the end.
Status TailMover::Copy(Ref* ref, const std::vector<Patch>& patches) {
  uint64_t size;
  uint64_t copy_size;
  uint8_t* copy;
  Ref fresh;
  const uint8_t* bytes = mapping_->Block(*ref, &size);
  if (bytes == nullptr) return kBadNode;
  copied_ += size;
  if (copied_ > 2 * kMoveBytesMax) return kTooMuch;
  PONGO_TRY(transaction_.writes()->Allocate(size, &fresh, &copy, &copy_size));
  PONGO_CHECK(copy_size == size);
  std::memcpy(copy, bytes, size);
  for (const Patch& patch : patches) Store(copy + patch.offset, patch.value);
  transaction_.writes()->Drop(*ref);
  *ref = fresh;
  return Status::Ok();
}

Status TailMover::MoveChildren(bool keyed, const Node& node, std::vector<Patch>* patches) {
  for (uint32_t i = 0; i < node.count(); i++) {
    Ref child = node.child(i);
    PONGO_TRY(MoveTree(keyed, static_cast<int>(node.level()) - 1, &child));
    if (child != node.child(i)) patches->push_back({node.layout().words + 8 * i, (node.word(i) & ~kRefMask) | child});
  }
  return Status::Ok();
}

Status TailMover::MoveValues(const Node& leaf, std::vector<Patch>* patches) {
  for (uint32_t i = 0; i < leaf.count(); i++) {
    const Word word = leaf.word(i);
    if (!IsBlock(word) || !LiesBehind(BlockRef(word))) continue;
    Ref ref = BlockRef(word);
    PONGO_TRY(Copy(&ref, {}));
    if (BlockType(word) == PayloadType::kShape) shapes_[BlockRef(word)] = ref;
    patches->push_back({leaf.layout().words + 8 * i, BlockWord(BlockType(word), ref)});
  }
  return Status::Ok();
}

Status TailMover::MoveLongKeys(const Node& node, std::vector<Patch>* patches) {
  for (uint32_t i = node.leaf() ? 0 : 1; i < node.count(); i++) {
    const uint32_t slot = node.slot(i);
    if ((slot & kSlotOverflow) == 0) continue;
    const uint8_t* at = SlotSize(slot) == sizeof(KeyOverflow) ? node.heap(SlotFromEnd(slot), sizeof(KeyOverflow)) : nullptr;
    if (at == nullptr) return kBadNode;
    const Ref blob = Load<KeyOverflow>(at).blob & kRefMask;
    if (!LiesBehind(blob)) continue;
    Ref ref = blob;
    PONGO_TRY(Copy(&ref, {}));
    patches->push_back({static_cast<uint64_t>(at - node.bytes()), ref});
  }
  return Status::Ok();
}

Status TailMover::MoveTree(bool keyed, int level, Ref* ref) {
  uint64_t size = 0;
  uint8_t* bytes = mapping_->Block(*ref, &size);
  Node node;
  if (!Node::Open(bytes, size, *ref, keyed, level, &node)) return kBadNode;
  // More nodes than blocks: a damaged file whose nodes share children.
  if (++visited_ > mapping_->mapped_length() / kGranule) return kBadNode;
  std::vector<Patch> patches;
  PONGO_TRY(node.leaf() ? MoveValues(node, &patches) : MoveChildren(keyed, node, &patches));
  if (node.shaped()) {
    const auto shape = shapes_.find(node.shape());
    if (shape != shapes_.end()) patches.push_back({Layout::kPrefixOffset, shape->second});
  } else if (keyed) {
    PONGO_TRY(MoveLongKeys(node, &patches));
  }
  return patches.empty() && !LiesBehind(*ref) ? Status::Ok() : Copy(ref, patches);
}

Status TailMover::MoveAll() {
  const Base& base = transaction_.base();
  // The registry first: leaves are written with the new places of the shapes that they name.
  bool present = false;
  ObjectEntry registry;
  PONGO_TRY(FindObject(mapping_, base.table, kShapesId, &present, &registry));
  Ref shapes_tree = registry.tree();
  if (shapes_tree != kNullRef) PONGO_TRY(MoveTree(true, -1, &shapes_tree));
  // What leads to an entry that is stored again is written anew: the root record, and the nodes of the table on the way.
  bool on_the_way = LiesBehind(base.record);
  return WalkObjects(
      mapping_, base.table,
      [&](Ref block) {
        on_the_way = on_the_way || LiesBehind(block);
        return Status::Ok();
      },
      [&](uint64_t id, const ObjectEntry& entry) -> Status {
        Ref tree = id == kShapesId ? shapes_tree : entry.tree();
        const bool keyed = entry.kind() != static_cast<uint8_t>(Kind::kList);
        if (id != kShapesId && tree != kNullRef) PONGO_TRY(MoveTree(keyed, -1, &tree));
        const bool again = std::exchange(on_the_way, false);
        if (tree == entry.tree() && !again) return Status::Ok();
        ContainerState* state;
        PONGO_TRY(transaction_.Read(id, &state));
        state->now.set_tree(tree);
        transaction_.Changed(state);
        transaction_.set_dirty();
        return Status::Ok();
      });
}

Status TailMover::Run(bool* moved) {
  *moved = false;
  PONGO_TRY(transaction_.Start(false));
  if (const Status status = MoveAll(); !status.ok()) {
    transaction_.Abort();
    return status;
  }
  const bool changed = transaction_.dirty();
  bool committed;
  PONGO_TRY(transaction_.Commit(&committed));
  *moved = changed && committed;
  return Status::Ok();
}

}  // namespace

bool MoveTail(Mapping* mapping, ThreadSlot* slot) {
  const uint64_t length = mapping->header()->length.load(std::memory_order_acquire);
  const uint64_t chunk = mapping->header()->chunk_size;
  if (mapping->header()->recovery_root.load(std::memory_order_acquire) != 0) return false;  // not all slabs are described
  uint64_t planned = PlanLength(*mapping, length);
  while (planned < length && length - planned >= planned / kWorthwhile) {
    bool moved;
    const Status status = TailMover(mapping, slot, planned).Run(&moved);
    if (status.code() != Code::kFULL) return status.ok() && moved;
    planned = RoundUp(planned + (length - planned) / 2, chunk);  // less of the end needs less room
  }
  return false;
}

}  // namespace pongo
