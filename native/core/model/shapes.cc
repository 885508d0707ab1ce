#include "model/shapes.h"

#include <cstring>

#include "format/key_codec.h"
#include "model/value_view.h"
#include "tree/tree.h"

namespace pongo {
namespace {

constexpr size_t kCacheMax = 8192;

uint64_t HashNames(const LeafItem* items, size_t count) {
  constexpr uint64_t kMultiplier = 0x9fb21c651e98df25u;
  uint64_t hash = count * kMultiplier;
  for (size_t n = 0; n < count; n++) {
    const StoredKey& key = items[n].key;
    hash = (hash ^ key.suffix_size) * kMultiplier;
    uint32_t i = 0;
    for (; i + 8 <= key.suffix_size; i += 8) hash = (hash ^ Load<uint64_t>(key.suffix + i)) * kMultiplier;
    uint64_t tail = 0;
    if (i < key.suffix_size) std::memcpy(&tail, key.suffix + i, key.suffix_size - i);
    hash = (hash ^ tail) * kMultiplier;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

bool ShapeCache::Matches(Ref ref, const LeafItem* items, size_t count) const {
  uint64_t size = 0;
  Mapping* mapping = transaction_->mapping();
  uint8_t* bytes = mapping->Block(ref, &size);
  Node shape;
  if (!Node::OpenShape(bytes, size, ref, static_cast<uint32_t>(count), &shape)) return false;
  for (size_t i = 0; i < count; i++) {
    StoredKey name;
    uint8_t scratch[8];
    if (!ReadKey(mapping, shape, static_cast<uint32_t>(i), &name, scratch)) return false;
    const StoredKey& key = items[i].key;
    if (name.size() != key.suffix_size || !EqualBytes(name.prefix, key.suffix, name.prefix_size) ||
        !EqualBytes(name.suffix, key.suffix + name.prefix_size, name.suffix_size))
      return false;
  }
  return true;
}

Status ShapeCache::Find(const LeafItem* items, size_t count, Ref* shape) {
  *shape = kNullRef;
  if (count < kShapeNamesMin || count > kShapeNamesMax) return Status::Ok();
  uint32_t payload = 0;
  uint32_t names = 0;
  for (size_t i = 0; i < count; i++) {
    const StoredKey& key = items[i].key;
    if (items[i].overflow_blob != kNullRef || key.form_size != 0 || key.prefix_size != 0) return Status::Ok();
    names += key.suffix_size;
    payload += items[i].payload.heap_bytes();
  }
  if (names > kLeafBytesMax / 2 || Layout::Shaped(static_cast<uint32_t>(count)).end + payload > kLeafBytesMax) return Status::Ok();
  const uint64_t hash = HashNames(items, count);
  if (known_.size() >= kCacheMax) known_.clear();
  Known& known = known_[hash];
  const bool usable = known.shape != kNullRef && (known.serial == 0 || known.serial == transaction_->serial());
  if (!usable) {
    known.shape = kNullRef;
    if (known.sightings < kShapeSightings) {
      known.sightings++;
      return Status::Ok();
    }
    PONGO_TRY(Lookup(hash, items, count, &known));
  }
  if (known.shape != kNullRef && Matches(known.shape, items, count)) *shape = known.shape;
  return Status::Ok();
}

// Finds the shape in the registry, or makes it.
Status ShapeCache::Lookup(uint64_t hash, const LeafItem* items, size_t count, Known* known) {
  ContainerState* registry;
  PONGO_TRY(transaction_->Read(kShapesId, &registry));
  if (!registry->exists) return Status::Ok();
  KeyBuffer name;
  uint8_t bytes[8];
  Store(bytes, hash);
  PONGO_TRY(name.AddBytes(bytes, sizeof bytes));
  TreeWriter tree(transaction_->mapping(), transaction_->writes(), true);
  const Ref old_root = registry->now.tree();
  Path path;
  bool present = false;
  if (old_root != kNullRef) PONGO_TRY(tree.Seek(old_root, name.key(), &path, &present));
  if (present) {
    const Word word = path.leaf().word(path.leaf_index());
    if (!IsBlock(word) || BlockType(word) != PayloadType::kShape) return Status(Code::kCORRUPT, "the registry of shapes is damaged");
    known->shape = BlockRef(word);
    known->serial = registry->changed ? transaction_->serial() : 0;
    return Status::Ok();
  }
  if (registry->now.size >= kShapesMax) return Status::Ok();
  Payload payload;
  Ref shape;
  PONGO_TRY(tree.editor().BuildShape(items, count, &shape));
  payload.word = BlockWord(PayloadType::kShape, shape);
  Ref root;
  const Key key = name.key();
  PONGO_TRY(old_root == kNullRef ? tree.InsertFirst(&key, payload, &root) : tree.Insert(&path, &key, payload, &root));
  registry->now.root = ObjectEntry::PackRoot(root, registry->now.kind());
  registry->now.size++;
  transaction_->Changed(registry);
  transaction_->set_dirty();
  known->shape = shape;  // only now: a registration that failed must leave nothing behind
  known->serial = transaction_->serial();  // until it is found committed
  return Status::Ok();
}

}  // namespace pongo
