#include "model/plain.h"

#include <utility>

#include "model/shapes.h"
#include "tree/node_search.h"
#include "tree/tree.h"

namespace pongo {
namespace {

constexpr Status kNoShape(Code::kCORRUPT, "a shape holds impossible bytes");

// *done tells whether it was a record.
Status CopyRecord(Mapping* mapping, const ObjectEntry& entry, PlainSink* sink, bool* done) {
  *done = false;
  if (entry.kind() != static_cast<uint8_t>(Kind::kDict) || entry.tree() == kNullRef) return Status::Ok();
  uint64_t size = 0;
  mapping->Prefetch(entry.tree());  // all of it will be read
  uint8_t* bytes = mapping->Block(entry.tree(), &size);
  Node leaf;
  // Of a tree of several nodes the root is no leaf, which Open refuses here as it refuses damage: the other way tells them apart.
  if (!Node::Open(bytes, size, entry.tree(), true, 0, &leaf) || !leaf.shaped()) return Status::Ok();
  if (leaf.count() > kShapeNamesMax) return Status::Ok();
  for (uint32_t i = 0; i < leaf.count(); i++)
    if (IsContainer(leaf.word(i))) return Status::Ok();
  ValueView values[kShapeNamesMax];
  for (uint32_t i = 0; i < leaf.count(); i++) PONGO_TRY(DecodeWord(mapping, leaf, leaf.word(i), &values[i]));
  *done = sink->Record(leaf.shape(), values, leaf.count());
  return Status::Ok();
}

}  // namespace

Status CopyPlain(const ReadView& view, uint64_t id, PlainSink* sink) {
  // The binding remembers names. But a transaction may see a shape that is never committed, and the last closer may move one that a reader of
  // checkpoints has seen: the block can become another's.
  if (!view.in_transaction() && !view.mapping()->ReadsCheckpoints()) {
    bool present;
    ObjectEntry entry;
    PONGO_TRY(view.Lookup(id, &present, &entry));
    bool done = false;
    if (present) PONGO_TRY(CopyRecord(view.mapping(), entry, sink, &done));
    if (done) return Status::Ok();
  }
  std::vector<uint8_t> wire;
  PONGO_TRY(CopyNative(view, id, &wire));
  sink->Wire(std::move(wire));
  return Status::Ok();
}

Status CopyPlainValue(const ReadView& view, uint64_t id, const Key& key, PlainSink* sink) {
  uint64_t inner = 0;
  PONGO_TRY(GetValue(view, id, key, [&](const ValueView& value) {
    if (value.type == ValueView::Type::kContainer)
      inner = value.id;
    else
      sink->Primitive(value);
  }));
  return inner == 0 ? Status::Ok() : CopyPlain(view, inner, sink);
}

Status VisitShapeNames(Mapping* mapping, uint64_t shape, FunctionRef<void(const Key& name)> visit) {
  uint64_t size = 0;
  const Ref ref = shape & kRefMask;
  uint8_t* bytes = mapping->Block(ref, &size);
  if (bytes == nullptr || size < sizeof(NodeHeader)) return kNoShape;
  Node node;
  if (!Node::OpenShape(bytes, size, ref, Load<NodeHeader>(bytes).count, &node)) return kNoShape;
  std::vector<uint8_t> name;
  for (uint32_t i = 0; i < node.count(); i++) {
    StoredKey stored;
    uint8_t scratch[8];
    if (!ReadKey(mapping, node, i, &stored, scratch) || stored.form_size != 0) return kNoShape;
    name.resize(stored.size() + 1);
    stored.CopyTo(name.data());
    Key key;
    key.data = name.data();
    key.size = stored.size();
    visit(key);
  }
  return Status::Ok();
}

}  // namespace pongo
