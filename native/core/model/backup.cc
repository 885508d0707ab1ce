#include "model/backup.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "format/node.h"
#include "format/superblock.h"
#include "model/value_view.h"
#include "model/values.h"
#include "store/slab_writer.h"
#include "tree/tree.h"

namespace pongo {
namespace {

constexpr Status kBadNode(Code::kCORRUPT, "a tree node holds impossible bytes");
constexpr Status kBadKey(Code::kCORRUPT, "a key of a tree node holds impossible bytes");
constexpr Status kBadBlob(Code::kCORRUPT, "a blob holds impossible bytes");
constexpr Status kBadEntry(Code::kCORRUPT, "an entry of the object table has no valid kind");

// Builds an object table from entries in ascending order of their ids.
class TableBuilder {
 public:
  explicit TableBuilder(SlabWriter* out) : out_(out) {}

  Status Add(uint64_t id, const ObjectEntry& entry) {
    if (id >> kLeafBits != group_[0] && count_ > 0) PONGO_TRY(Close(0, id));
    group_[0] = id >> kLeafBits;
    Item(0, static_cast<uint32_t>(id) & 15, &entry, sizeof entry);
    last_ = id;
    count_++;
    return Status::Ok();
  }

  Status Finish(ObjectTable* table) {
    if (count_ == 0) return Status::Ok();
    uint32_t levels = 1;
    while (last_ >> (kLeafBits + (levels - 1) * kInnerBits) != 0) levels++;
    for (uint32_t level = 0; level < levels; level++) {
      Ref ref;
      PONGO_TRY(Write(level, &ref));
      if (level + 1 == levels) {
        *table = {ref, levels};
      } else {
        Item(level + 1, static_cast<uint32_t>(group_[level]) & 31, &ref, sizeof ref);
        group_[level + 1] = group_[level] >> kInnerBits;
      }
    }
    return Status::Ok();
  }

 private:
  static constexpr uint32_t kLeafBits = 4;
  static constexpr uint32_t kInnerBits = 5;
  static constexpr uint32_t kLevels = 9;

  void Item(uint32_t level, uint32_t at, const void* item, size_t size) {
    std::vector<uint8_t>& node = nodes_[level];
    if (node.empty()) node.resize(sizeof(NodeHeader));
    const auto* bytes = static_cast<const uint8_t*>(item);
    node.insert(node.end(), bytes, bytes + size);
    bitmaps_[level] |= uint32_t{1} << at;
  }

  // The node of a level is complete: the next id lies in another.
  Status Close(uint32_t level, uint64_t next_id) {
    Ref ref;
    PONGO_TRY(Write(level, &ref));
    const uint64_t above = group_[level] >> kInnerBits;
    if (!nodes_[level + 1].empty() && group_[level + 1] != above) return kBadEntry;  // ids did not ascend
    group_[level + 1] = above;
    Item(level + 1, static_cast<uint32_t>(group_[level]) & 31, &ref, sizeof ref);
    const uint64_t next = next_id >> (kLeafBits + (level + 1) * kInnerBits);
    return next != above && level + 2 < kLevels ? Close(level + 1, next_id) : Status::Ok();
  }

  Status Write(uint32_t level, Ref* ref) {
    NodeHeader header{};
    header.kind = static_cast<uint8_t>(level == 0 ? NodeKind::kObjectLeaf : NodeKind::kObjectInner);
    header.level = static_cast<uint8_t>(level);
    header.count = static_cast<uint16_t>(CountBits(bitmaps_[level]));
    header.capacity = header.count;
    header.reserved = bitmaps_[level];
    Store(nodes_[level].data(), header);
    PONGO_TRY(out_->Append(nodes_[level].data(), nodes_[level].size(), ref));
    nodes_[level].clear();
    bitmaps_[level] = 0;
    return Status::Ok();
  }

  SlabWriter* out_;
  std::vector<uint8_t> nodes_[kLevels];
  uint32_t bitmaps_[kLevels] = {};
  uint64_t group_[kLevels] = {};  // the ids of a level's open node, without the bits that it resolves
  uint64_t last_ = 0;
  uint64_t count_ = 0;
};

class Copier {
 public:
  Copier(Mapping* mapping, const port::File* file, FunctionRef<Status()> proceed, BackupProgress* progress)
      : mapping_(mapping), out_(file), proceed_(proceed), progress_(progress), limit_(mapping->mapped_length()) {}

  // *root is the root record of the copy, *length that of its file.
  Status Run(const Base& base, Ref* root, uint64_t* length);

 private:
  Status CopyContainer(const ObjectEntry& entry, ObjectEntry* copy);
  Status CopyTree(bool keyed, Ref ref, int level, uint64_t* entries, Ref* copy);
  Status CopyNode(const Node& node, const std::vector<Ref>& children, Ref* copy);
  Status CopyWords(const Node& node, uint8_t* bytes, uint64_t size, const Layout& layout);
  Status CopyLongKeys(const Node& node, uint8_t* bytes, uint64_t size);
  Status CopyShape(Ref ref, Ref* copy);
  Status CopyBlob(Ref ref, Ref* copy);
  Status Put(const uint8_t* bytes, uint64_t size, Ref* ref);

  Mapping* mapping_;
  SlabWriter out_;
  FunctionRef<Status()> proceed_;
  BackupProgress* progress_;
  uint64_t limit_;
  uint64_t blocks_ = 0;
  std::unordered_map<Ref, Ref> shapes_;
};

Status Copier::Put(const uint8_t* bytes, uint64_t size, Ref* ref) {
  PONGO_TRY(out_.Append(bytes, size, ref));
  progress_->bytes_done.store(out_.bytes(), std::memory_order_relaxed);
  // No block grows by being copied. A damaged file whose blocks have several parents could otherwise lead to an endless copy.
  if (out_.bytes() > std::max(limit_, mapping_->mapped_length())) return Status(Code::kCORRUPT, "a block is used twice");
  return ++blocks_ % 64 == 0 ? proceed_() : Status::Ok();
}

Status Copier::CopyBlob(Ref ref, Ref* copy) {
  uint64_t size = 0;
  const uint8_t* bytes = mapping_->Block(ref, &size);
  if (bytes == nullptr) return kBadBlob;
  const auto header = Load<BlobHeader>(bytes);
  if (header.kind != static_cast<uint8_t>(NodeKind::kBlob) || header.size > size - sizeof(BlobHeader)) return kBadBlob;
  return Put(bytes, sizeof(BlobHeader) + header.size, copy);
}

Status Copier::CopyShape(Ref ref, Ref* copy) {
  uint64_t size = 0;
  uint8_t* bytes = mapping_->Block(ref, &size);
  Node shape;
  if (bytes == nullptr || !Node::OpenShape(bytes, size, ref, Load<NodeHeader>(bytes).count, &shape) || shape.count() == 0) return kBadNode;
  for (uint32_t i = 0; i < shape.count(); i++)
    if ((shape.slot(i) & kSlotOverflow) != 0 || shape.word(i) != kNullWord) return kBadNode;
  PONGO_TRY(CopyNode(shape, {}, copy));
  shapes_[ref] = *copy;
  return Status::Ok();
}

// Blobs and shapes that the words of a leaf name.
Status Copier::CopyWords(const Node& node, uint8_t* bytes, uint64_t, const Layout& layout) {
  for (uint32_t i = 0; i < node.count(); i++) {
    const Word word = node.word(i);
    ValueView value;
    PONGO_TRY(DecodeWord(mapping_, node, word, &value));  // checked as a reader would
    if (!IsBlock(word)) continue;
    Ref copy;
    PONGO_TRY(BlockType(word) == PayloadType::kShape ? CopyShape(BlockRef(word), &copy) : CopyBlob(BlockRef(word), &copy));
    Store(bytes + layout.words + 8 * i, BlockWord(BlockType(word), copy));
  }
  return Status::Ok();
}

Status Copier::CopyLongKeys(const Node& node, uint8_t* bytes, uint64_t size) {
  for (uint32_t i = node.leaf() ? 0 : 1; i < node.count(); i++) {
    const uint32_t slot = node.slot(i);
    if ((slot & kSlotOverflow) == 0) continue;
    const uint8_t* at = SlotSize(slot) == sizeof(KeyOverflow) ? node.heap(SlotFromEnd(slot), sizeof(KeyOverflow)) : nullptr;
    if (at == nullptr) return kBadKey;
    auto overflow = Load<KeyOverflow>(at);
    Ref copy;
    PONGO_TRY(CopyBlob(overflow.blob & kRefMask, &copy));
    overflow.blob = copy;
    Store(bytes + size - SlotFromEnd(slot), overflow);
  }
  return Status::Ok();
}

// The arrays keep their places and the heap its distance from the end: only the gap between them shrinks.
Status Copier::CopyNode(const Node& node, const std::vector<Ref>& children, Ref* copy) {
  const Layout& layout = node.layout();
  const uint64_t size = std::min<uint64_t>(SlabWriter::BlockSize(layout.end + node.heap_size()), node.size());
  std::vector<uint8_t> bytes(size);
  std::memcpy(bytes.data(), node.bytes(), layout.end);
  std::memcpy(bytes.data() + size - node.heap_size(), node.end() - node.heap_size(), node.heap_size());
  for (size_t i = 0; i < children.size(); i++) {
    const Word link = node.word(static_cast<uint32_t>(i));
    Store(bytes.data() + layout.words + 8 * i, (link & ~kRefMask) | children[i]);
  }
  if (node.shaped()) {
    const auto shape = shapes_.find(node.shape());
    if (shape == shapes_.end()) return Status(Code::kCORRUPT, "a leaf names a shape that is not registered");
    Store(bytes.data() + Layout::kPrefixOffset, shape->second);
  } else if (node.keyed() && node.kind() != NodeKind::kShape) {
    PONGO_TRY(CopyLongKeys(node, bytes.data(), size));
  }
  if (node.leaf() && node.kind() != NodeKind::kShape) PONGO_TRY(CopyWords(node, bytes.data(), size, layout));
  return Put(bytes.data(), size, copy);
}

Status Copier::CopyTree(bool keyed, Ref ref, int level, uint64_t* entries, Ref* copy) {
  uint64_t size = 0;
  uint8_t* bytes = mapping_->Block(ref, &size);
  Node node;
  if (!Node::Open(bytes, size, ref, keyed, level, &node)) return kBadNode;
  std::vector<Ref> children;
  if (node.leaf()) {
    *entries += node.count();
  } else {
    children.resize(node.count());
    for (uint32_t i = 0; i < node.count(); i++)
      PONGO_TRY(CopyTree(keyed, node.child(i), static_cast<int>(node.level()) - 1, entries, &children[i]));
  }
  return CopyNode(node, children, copy);
}

Status Copier::CopyContainer(const ObjectEntry& entry, ObjectEntry* copy) {
  const uint8_t kind = entry.kind();
  if (kind < static_cast<uint8_t>(Kind::kDict) || kind > static_cast<uint8_t>(Kind::kMulti)) return kBadEntry;
  *copy = entry;
  uint64_t entries = 0;
  Ref tree = kNullRef;
  if (entry.tree() != kNullRef) PONGO_TRY(CopyTree(kind != static_cast<uint8_t>(Kind::kList), entry.tree(), -1, &entries, &tree));
  if (entries != entry.size) return Status(Code::kCORRUPT, "a container's size does not match its entries");
  copy->set_tree(tree);
  progress_->containers_done.fetch_add(1, std::memory_order_relaxed);
  return Status::Ok();
}

Status Copier::Run(const Base& base, Ref* root, uint64_t* length) {
  // The registry first: leaves are written with the new places of the shapes that they name.
  bool present = false;
  ObjectEntry entry;
  ObjectEntry registry;
  PONGO_TRY(FindObject(mapping_, base.table, kShapesId, &present, &entry));
  if (present) PONGO_TRY(CopyContainer(entry, &registry));
  TableBuilder builder(&out_);
  uint64_t containers = 0;
  PONGO_TRY(WalkObjects(
      mapping_, base.table, [](Ref) { return Status::Ok(); },
      [&](uint64_t id, const ObjectEntry& original) -> Status {
        ObjectEntry copy = registry;
        if (id != kShapesId) PONGO_TRY(CopyContainer(original, &copy));
        containers++;
        return builder.Add(id, copy);
      }));
  ObjectTable table;
  PONGO_TRY(builder.Finish(&table));
  RootRecord record{};
  record.kind = static_cast<uint8_t>(NodeKind::kRoot);
  record.object_levels = static_cast<uint8_t>(table.levels);
  record.size_class = static_cast<uint8_t>(ClassForSize(sizeof record));
  record.version = base.version;
  record.object_table = table.root;
  record.container_count = containers;
  PONGO_TRY(Put(reinterpret_cast<const uint8_t*>(&record), sizeof record, root));
  return out_.Finish(length);
}

}  // namespace

Status CopyVersion(Mapping* mapping, const Base& base, const BackupSettings& settings, const port::File& file,
                   FunctionRef<Status()> proceed, BackupProgress* progress) {
  progress->containers_total.store(base.containers, std::memory_order_relaxed);
  Superblock superblock;
  std::memset(&superblock, 0, sizeof superblock);
  PONGO_TRY(Copier(mapping, &file, proceed, progress).Run(base, &superblock.root, &superblock.length));
  superblock.magic = kSuperblockMagic;
  superblock.format = kFormatVersion;
  PONGO_TRY(port::RandomBytes(superblock.uuid, sizeof superblock.uuid));
  superblock.uuid[6] = static_cast<uint8_t>((superblock.uuid[6] & 0x0f) | 0x40);  // RFC 9562, version 4
  superblock.uuid[8] = static_cast<uint8_t>((superblock.uuid[8] & 0x3f) | 0x80);
  superblock.sequence = 1;
  superblock.version = base.version;
  superblock.max_size = std::max(settings.max_size, superblock.length);
  superblock.chunk_size = settings.chunk_size;
  superblock.container_id_next = settings.container_id_next;
  superblock.clean = 1;
  superblock.id_key_size = static_cast<uint32_t>(std::min<size_t>(settings.id_key.size(), kIdKeySizeMax));
  std::memcpy(superblock.id_key, settings.id_key.data(), superblock.id_key_size);
  SealSuperblock(&superblock);
  // As a checkpoint does: the blocks before their name.
  PONGO_TRY(port::SyncData(file));
  PONGO_TRY(port::WriteDurably(file, (superblock.sequence % 2) * kPageSize, &superblock, sizeof superblock));
  progress->bytes_total.store(progress->bytes_done.load(std::memory_order_relaxed), std::memory_order_relaxed);
  return proceed();
}

}  // namespace pongo
