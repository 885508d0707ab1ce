#include "model/reachability.h"

#include "model/value_view.h"
#include "model/values.h"
#include "tree/tree.h"

namespace pongo {

Status WalkVersion(Mapping* mapping, const Base& base, FunctionRef<Status(Ref block)> block, ReachCounts* counts) {
  PONGO_TRY(block(base.record));
  return WalkObjects(mapping, base.table, block, [&](uint64_t id, const ObjectEntry& entry) -> Status {
    counts->containers++;
    if (id > counts->container_id_max) counts->container_id_max = id;
    const uint8_t kind = entry.kind();
    if (kind < 1 || kind > 4) return Status(Code::kCORRUPT, "an entry of the object table has no valid kind");
    const bool keyed = kind != static_cast<uint8_t>(Kind::kList);
    const TreeReader tree(mapping, keyed);
    uint64_t entries = 0;
    PONGO_TRY(tree.Walk(entry.tree(), block, [&](const Node& node) -> Status {
      counts->nodes++;
      if (!node.leaf()) return Status::Ok();
      entries += node.count();
      for (uint32_t i = 0; i < node.count(); i++) {
        ValueView value;
        PONGO_TRY(DecodeWord(mapping, node, node.word(i), &value));
        if (IsBlock(node.word(i))) {
          counts->blobs++;
          PONGO_TRY(block(BlockRef(node.word(i))));
        }
      }
      return Status::Ok();
    }));
    counts->values += entries;
    if (entries != entry.size) return Status(Code::kCORRUPT, "a container's size does not match its entries");
    return Status::Ok();
  });
}

Status CheckPlace(Mapping* mapping, Ref ref) {
  uint64_t size;
  if (RefGranule(ref) < kGranulesPerSlab || mapping->Block(ref, &size) == nullptr)
    return Status(Code::kCORRUPT, "a block lies outside the file");
  const uint32_t size_class = RefClass(ref);
  const auto header = Load<SlabHeader>(mapping->data() + RefGranule(ref) / kGranulesPerSlab * kSlabSize);
  if (header.magic != kSlabMagic || header.size_class != size_class)
    return Status(Code::kCORRUPT, "a slab header does not fit the blocks in it");
  const bool fits = BeginsBlock(RefGranule(ref) % kGranulesPerSlab, size_class);
  return fits ? Status::Ok() : Status(Code::kCORRUPT, "a ref does not name the start of a block");
}

}  // namespace pongo
