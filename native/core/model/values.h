// Values between their three forms: the word in a leaf, the view that bindings see, the input that they give.
#ifndef PONGO_MODEL_VALUES_H_
#define PONGO_MODEL_VALUES_H_

#include <cstdint>
#include <vector>

#include "format/key_codec.h"
#include "format/node.h"
#include "format/wire_reader.h"
#include "model/shapes.h"
#include "model/transaction.h"
#include "model/value_view.h"
#include "tree/item_sort.h"
#include "tree/tree.h"
#include "util/status.h"

namespace pongo {

inline constexpr uint32_t kDepthMax = 512;

// What the word of a leaf means. The view borrows from the mapped file. CORRUPT.
Status DecodeWord(Mapping* mapping, const Node& leaf, Word word, ValueView* view);

// A wire item that is no list or dict, as a view.
ValueView ViewOfItem(const WireItem& item);

// Equality of stored primitives: 1 = 1.0, NaN = NaN, -0 = 0; containers by identity.
bool SameValue(const ValueView& a, const ValueView& b);

// Turns inputs into payloads. Blobs and containers are made on the way, in the transaction. One per session: it keeps its
// scratch memory. Payloads may borrow from the input.
class ValueBuilder {
 public:
  explicit ValueBuilder(Transaction* transaction) : transaction_(transaction), shapes_(transaction) {}

  // The payload of an input. A container value is not linked yet: LinkPayload does it when it is stored.
  Status Build(const Input& input, Payload* payload);
  // A container whose content is that of a wire list or dict; `kind` says what it becomes.
  Status BuildContainer(Kind kind, const uint8_t* wire, size_t size, uint64_t* id);
  // The tree of the content of a wire list or dict, whose containers are linked to `owner`.
  Status BuildTree(bool keyed, const uint8_t* wire, size_t size, uint64_t owner, Ref* root, uint64_t* count);
  Status FromView(const ValueView& view, Payload* payload);

 private:
  Status FromItem(WireReader* reader, const WireItem& item, uint32_t depth, Payload* payload);
  Status Nested(WireReader* reader, const WireItem& item, uint32_t depth, Kind kind, uint64_t* id);
  Status Content(WireReader* reader, const WireItem& head, uint32_t depth, uint64_t owner, Ref* root, uint64_t* count);
  Status Bytes(PayloadType type, const uint8_t* bytes, size_t size, Payload* payload);

  Transaction* transaction_;
  ShapeCache shapes_;
  std::vector<LeafItem> items_;      // a stack: nested containers use the part above their parent's
  std::vector<uint8_t> key_bytes_;   // likewise
  KeyBuffer key_;
  ItemSort sort_;
};

// Accounts for a payload that was stored in `owner`.
Status LinkPayload(Transaction* transaction, const Payload& payload, uint64_t owner);
// Accounts for a word that is no longer stored in `owner`: its blob goes, its container loses a link. Owner 0 is not known,
// and leaves the container without a known parent.
Status ReleaseWord(Transaction* transaction, Word word, uint64_t owner);

}  // namespace pongo

#endif  // PONGO_MODEL_VALUES_H_
