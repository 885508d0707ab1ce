#include "model/values.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "util/check.h"

namespace pongo {
namespace {

constexpr Status kBadValue(Code::kCORRUPT, "a stored value holds impossible bytes");
constexpr Status kTooDeep(Code::kDEPTH, "a value is nested deeper than 512 levels");

Status DecodePayload(PayloadType type, const uint8_t* bytes, uint64_t size, ValueView* view) {
  view->data = bytes;
  view->size = size;
  switch (type) {
    case PayloadType::kString:
      view->type = ValueView::Type::kString;
      return Status::Ok();
    case PayloadType::kBytes:
      view->type = ValueView::Type::kBytes;
      return Status::Ok();
    case PayloadType::kUuid:
      view->type = ValueView::Type::kUuid;
      return size == 16 ? Status::Ok() : kBadValue;
    case PayloadType::kInt64:
    case PayloadType::kDateTime:
      if (size != 8) return kBadValue;
      view->type = type == PayloadType::kInt64 ? ValueView::Type::kInt : ValueView::Type::kDateTime;
      view->integer = Load<int64_t>(bytes);
      return Status::Ok();
    case PayloadType::kNegativeBigInt:
    case PayloadType::kPositiveBigInt:
      view->type = ValueView::Type::kBigInt;
      view->negative = type == PayloadType::kNegativeBigInt;
      return size > 0 ? Status::Ok() : kBadValue;
    case PayloadType::kShape:
      break;
  }
  return kBadValue;
}

}  // namespace

Status DecodeWord(Mapping* mapping, const Node& leaf, Word word, ValueView* view) {
  if (IsDouble(word)) {
    view->type = ValueView::Type::kDouble;
    view->number = std::bit_cast<double>(word);
    return Status::Ok();
  }
  switch (TagOf(word)) {
    case WordTag::kConstant:
      view->type = word == kNullWord ? ValueView::Type::kNull : word == kFalseWord ? ValueView::Type::kFalse : ValueView::Type::kTrue;
      return word <= kTrueWord ? Status::Ok() : kBadValue;
    case WordTag::kSmallInt:
      view->type = ValueView::Type::kInt;
      view->integer = SignedPayload(word);
      return Status::Ok();
    case WordTag::kShortString: {
      view->type = ValueView::Type::kString;
      view->size = (word >> 40) & 0xff;
      // The bytes are in the word itself; the caller's leaf keeps them alive where the word is stored.
      view->inline_bytes = word;
      view->data = reinterpret_cast<const uint8_t*>(&view->inline_bytes);
      return view->size <= kShortStringMax ? Status::Ok() : kBadValue;
    }
    case WordTag::kDateTime:
      view->type = ValueView::Type::kDateTime;
      view->integer = SignedPayload(word) * 1000;
      return Status::Ok();
    case WordTag::kLocal: {
      const uint8_t* bytes = leaf.heap(LocalFromEnd(word), LocalSize(word));
      return PONGO_DAMAGED(bytes == nullptr) ? kBadValue : DecodePayload(LocalType(word), bytes, LocalSize(word), view);
    }
    case WordTag::kBlock: {
      if (BlockType(word) == PayloadType::kShape) {  // only in the registry, which shows no values
        view->type = ValueView::Type::kNull;
        return Status::Ok();
      }
      const uint8_t* bytes;
      uint64_t size;
      if (!ReadBlob(mapping, BlockRef(word), &bytes, &size)) return kBadValue;
      return DecodePayload(BlockType(word), bytes, size, view);
    }
    case WordTag::kContainer:
      view->type = ValueView::Type::kContainer;
      view->kind = static_cast<Kind>(ContainerKind(word));
      view->id = ContainerId(word);
      return ContainerKind(word) >= 1 && ContainerKind(word) <= 4 ? Status::Ok() : kBadValue;
  }
  return kBadValue;
}

namespace {

// Exact comparison of an int64 with a double.
bool IntEqualsDouble(int64_t i, double d) {
  return d >= -9223372036854775808.0 && d < 9223372036854775808.0 && std::trunc(d) == d && static_cast<int64_t>(d) == i;
}

// Exact comparison of an integer beyond int64 with a double.
bool BigEqualsDouble(const ValueView& big, double d) {
  if (std::isnan(d) || std::isinf(d) || std::signbit(d) != big.negative || std::trunc(d) != d) return false;
  int exponent;
  const auto mantissa = static_cast<uint64_t>(std::ldexp(std::frexp(std::fabs(d), &exponent), 53));
  const int shift = exponent - 53;  // |d| = mantissa * 2^shift, and |d| >= 2^63 so that shift > 0
  if (shift <= 0) return false;
  const size_t bits = static_cast<size_t>(shift);
  for (size_t i = 0; i < std::max<size_t>(big.size, (bits + 64) / 8 + 1); i++) {
    // byte i of mantissa << shift
    uint64_t expected = 0;
    for (int b = 0; b < 8; b++) {
      const size_t bit = i * 8 + static_cast<size_t>(b);
      if (bit >= bits && bit - bits < 64 && (mantissa >> (bit - bits) & 1) != 0) expected |= uint64_t{1} << b;
    }
    if ((i < big.size ? big.data[i] : 0) != expected) return false;
  }
  return true;
}

}  // namespace

ValueView ViewOfItem(const WireItem& item) {
  ValueView view;
  view.type = static_cast<ValueView::Type>(item.type);  // the same order, as wire_reader.h says
  view.negative = item.negative;
  view.kind = static_cast<Kind>(item.kind);
  view.id = item.id;
  view.data = item.data;
  view.size = item.size;
  return view;
}

bool SameValue(const ValueView& a, const ValueView& b) {
  using Type = ValueView::Type;
  if (a.type != b.type) {
    if (a.type == Type::kInt && b.type == Type::kDouble) return IntEqualsDouble(a.integer, b.number);
    if (a.type == Type::kDouble && b.type == Type::kInt) return IntEqualsDouble(b.integer, a.number);
    if (a.type == Type::kBigInt && b.type == Type::kDouble) return BigEqualsDouble(a, b.number);
    if (a.type == Type::kDouble && b.type == Type::kBigInt) return BigEqualsDouble(b, a.number);
    return false;
  }
  switch (a.type) {
    case Type::kInt:
    case Type::kDateTime:
      return a.integer == b.integer;
    case Type::kDouble:
      return a.number == b.number || (std::isnan(a.number) && std::isnan(b.number));
    case Type::kContainer:
      return a.id == b.id;
    case Type::kBigInt:
      if (a.negative != b.negative) return false;
      [[fallthrough]];
    case Type::kString:
    case Type::kBytes:
    case Type::kUuid:
      return a.size == b.size && (a.size == 0 || std::memcmp(a.data, b.data, a.size) == 0);
    default:
      return true;
  }
}

Status ValueBuilder::Bytes(PayloadType type, const uint8_t* bytes, size_t size, Payload* payload) {
  if (size <= kLocalMax) {
    payload->local = bytes;
    payload->local_size = static_cast<uint32_t>(size);
    payload->type = type;
    static const uint8_t kNothing = 0;
    if (size == 0) payload->local = &kNothing;
    return Status::Ok();
  }
  NodeEditor editor(transaction_->mapping(), transaction_->writes(), true);
  Ref ref;
  PONGO_TRY(editor.MakeBlob(static_cast<uint8_t>(type), bytes, size, nullptr, 0, &ref));
  payload->word = BlockWord(type, ref);
  return Status::Ok();
}

Status ValueBuilder::FromView(const ValueView& view, Payload* payload) {
  using Type = ValueView::Type;
  *payload = Payload{};
  switch (view.type) {
    case Type::kAbsent:
      return Status(Code::kTYPE, "there is no value to store");
    case Type::kNull:
      payload->word = kNullWord;
      return Status::Ok();
    case Type::kFalse:
      payload->word = kFalseWord;
      return Status::Ok();
    case Type::kTrue:
      payload->word = kTrueWord;
      return Status::Ok();
    case Type::kInt:
      if (view.integer >= kSmallIntMin && view.integer <= kSmallIntMax) {
        payload->word = MakeWord(WordTag::kSmallInt, static_cast<uint64_t>(view.integer));
        return Status::Ok();
      }
      return Bytes(PayloadType::kInt64, reinterpret_cast<const uint8_t*>(&view.integer), 8, payload);
    case Type::kDouble:
      payload->word = DoubleWord(view.number);
      return Status::Ok();
    case Type::kBigInt:
      return Bytes(view.negative ? PayloadType::kNegativeBigInt : PayloadType::kPositiveBigInt, view.data, view.size, payload);
    case Type::kDateTime:
      if (view.integer % 1000 == 0) {
        const int64_t ms = view.integer / 1000;
        if (ms >= kSmallIntMin && ms <= kSmallIntMax) {
          payload->word = MakeWord(WordTag::kDateTime, static_cast<uint64_t>(ms));
          return Status::Ok();
        }
      }
      return Bytes(PayloadType::kDateTime, reinterpret_cast<const uint8_t*>(&view.integer), 8, payload);
    case Type::kUuid:
      return Bytes(PayloadType::kUuid, view.data, 16, payload);
    case Type::kString: {
      if (view.size > kShortStringMax) return Bytes(PayloadType::kString, view.data, view.size, payload);
      uint64_t packed = static_cast<uint64_t>(view.size) << 40;
      for (size_t i = 0; i < view.size; i++) packed |= static_cast<uint64_t>(view.data[i]) << (8 * i);
      payload->word = MakeWord(WordTag::kShortString, packed);
      return Status::Ok();
    }
    case Type::kBytes:
      return Bytes(PayloadType::kBytes, view.data, view.size, payload);
    case Type::kContainer: {
      ContainerState* state;
      PONGO_TRY(transaction_->Touch(view.id, &state));
      if (!state->exists) return Status(Code::kKEY, "the container no longer exists");
      payload->word = ContainerWord(state->now.kind(), view.id);
      return Status::Ok();
    }
  }
  return Status(Code::kTYPE, "a value of this type cannot be stored");
}

Status ValueBuilder::Build(const Input& input, Payload* payload) {
  if (input.wire == nullptr) return FromView(input.view, payload);
  WireReader reader(input.wire, input.wire_size);
  WireItem item;
  PONGO_TRY(reader.Next(&item));
  PONGO_TRY(FromItem(&reader, item, 1, payload));
  return reader.done() ? Status::Ok() : Status(Code::kARG, "wire form: bytes behind the value");
}

Status ValueBuilder::FromItem(WireReader* reader, const WireItem& item, uint32_t depth, Payload* payload) {
  if (item.type <= WireType::kContainer) {
    // integer lives in the payload's own storage only for the inline forms; large ones need bytes that stay.
    const ValueView view = ViewOfItem(item);
    if (view.type == ValueView::Type::kInt || view.type == ValueView::Type::kDateTime) {
      PONGO_TRY(FromView(view, payload));
      if (payload->local != nullptr) {  // the eight bytes must outlive the view: they go to the arena
        payload->local = nullptr;
        payload->scratch = item.integer;
        payload->in_scratch = true;
      }
      return Status::Ok();
    }
    return FromView(view, payload);
  }
  if (item.type == WireType::kTuple) return Status(Code::kARG, "wire form: a tuple outside a key");
  uint64_t id;
  const Kind kind = item.type == WireType::kList   ? Kind::kList
                    : item.type == WireType::kDict ? Kind::kDict
                                                   : Kind::kCollection;
  *payload = Payload{};
  PONGO_TRY(Nested(reader, item, depth, kind, &id));
  payload->word = ContainerWord(static_cast<uint8_t>(kind), id);
  return Status::Ok();
}

Status ValueBuilder::Nested(WireReader* reader, const WireItem& item, uint32_t depth, Kind kind, uint64_t* id) {
  if (depth > kDepthMax) return kTooDeep;
  // The id first: what the container holds is linked to it.
  PONGO_TRY(transaction_->Create(static_cast<uint8_t>(kind), ObjectEntry{}, id));
  Ref root;
  uint64_t count;
  PONGO_TRY(Content(reader, item, depth, *id, &root, &count));
  ContainerState* state;
  PONGO_TRY(transaction_->Touch(*id, &state));
  state->now.root = ObjectEntry::PackRoot(root, static_cast<uint8_t>(kind));
  state->now.size = count;
  return Status::Ok();
}

Status ValueBuilder::Content(WireReader* reader, const WireItem& head, uint32_t depth, uint64_t owner, Ref* root, uint64_t* count) {
  const bool keyed = head.type != WireType::kList;
  const size_t first = items_.size();
  const size_t first_key = key_bytes_.size();
  bool sorted = true;
  if (first + head.count > items_.capacity()) items_.reserve(std::max(first + head.count, 2 * items_.capacity()));
  for (uint32_t i = 0; i < head.count; i++) {
    LeafItem item;
    if (keyed) {
      key_.Clear();
      size_t consumed;
      PONGO_TRY(key_.AddWire(reader->here(), reader->remaining(), &consumed));
      reader->Advance(consumed);
      const Key key = key_.key();
      // Offsets for now: the arena may move while nested values are read.
      item.key.suffix_size = key.size;
      item.key.form_size = key.form_size;
      key_bytes_.insert(key_bytes_.end(), key.data, key.data + key.size);
      if (key.form_size != 0) key_bytes_.insert(key_bytes_.end(), key.form, key.form + key.form_size);
    }
    WireItem value;
    PONGO_TRY(reader->Next(&value));
    if (value.type == WireType::kAbsent) return Status(Code::kTYPE, "there is no value to store");
    PONGO_TRY(FromItem(reader, value, depth + 1, &item.payload));
    items_.push_back(item);
  }
  if (keyed) {
    const uint8_t* at = key_bytes_.data() + first_key;
    for (size_t i = first; i < items_.size(); i++) {
      StoredKey& key = items_[i].key;
      key.suffix = at;
      key.form = at + key.suffix_size;
      at += key.suffix_size + key.form_size;
      items_[i].fingerprint = Fingerprint(key.suffix, key.suffix_size);
      if (i > first && sorted) {
        const StoredKey& before = items_[i - 1].key;
        sorted = CompareBytes(before.suffix, before.suffix_size, key.suffix, key.suffix_size) < 0;
      }
    }
    if (!sorted && sort_.Sort(items_.data() + first, items_.size() - first)) {
      size_t to = first + 1;  // of equal keys the first stays and the last value wins, as if they were set one by one
      for (size_t i = first + 1; i < items_.size(); i++) {
        const StoredKey& key = items_[i].key;
        const StoredKey& before = items_[to - 1].key;
        if (CompareBytes(before.suffix, before.suffix_size, key.suffix, key.suffix_size) != 0) {
          items_[to++] = items_[i];
          continue;
        }
        // Only a blob is given back: a container was not linked yet, and is garbage if it was made for this pair.
        const Payload& lost = items_[to - 1].payload;
        if (lost.local == nullptr && !lost.in_scratch && IsBlock(lost.word)) transaction_->writes()->Drop(BlockRef(lost.word));
        items_[to - 1].payload = items_[i].payload;
      }
      items_.resize(to);
    }
    for (size_t i = first; i < items_.size(); i++) {
      const StoredKey key = items_[i].key;
      if (key.suffix_size + key.form_size <= kKeyInlineMax) continue;
      NodeEditor editor(transaction_->mapping(), transaction_->writes(), true);
      PONGO_TRY(editor.MakeBlob(0, key.suffix, key.suffix_size, key.form, key.form_size, &items_[i].overflow_blob));
    }
  }
  for (size_t i = first; i < items_.size(); i++) {
    Payload& payload = items_[i].payload;
    if (payload.in_scratch) {
      payload.local = reinterpret_cast<const uint8_t*>(&payload.scratch);
      payload.local_size = 8;
    }
    PONGO_TRY(LinkPayload(transaction_, payload, owner));
  }
  *count = items_.size() - first;
  Ref shape = kNullRef;
  Status built;
  if (head.type == WireType::kDict) built = shapes_.Find(items_.data() + first, *count, &shape);
  if (built.ok() && shape != kNullRef) {
    NodeEditor editor(transaction_->mapping(), transaction_->writes(), true);
    Node leaf;
    built = editor.BuildShaped(items_.data() + first, *count, shape, &leaf);
    *root = leaf.ref();
  } else if (built.ok()) {
    TreeWriter tree(transaction_->mapping(), transaction_->writes(), keyed);
    built = tree.Build(items_.data() + first, *count, root);
  }
  items_.resize(first);
  key_bytes_.resize(first_key);
  return built;
}

Status ValueBuilder::BuildContainer(Kind kind, const uint8_t* wire, size_t size, uint64_t* id) {
  if (wire == nullptr) return transaction_->Create(static_cast<uint8_t>(kind), ObjectEntry{}, id);
  items_.clear();
  key_bytes_.clear();
  WireReader reader(wire, size);
  WireItem item;
  PONGO_TRY(reader.Next(&item));
  const bool list = item.type == WireType::kList;
  if (item.type < WireType::kList || item.type == WireType::kTuple || list != (kind == Kind::kList))
    return Status(Code::kTYPE, "the content does not fit this kind of container");
  return Nested(&reader, item, 1, kind, id);
}

Status ValueBuilder::BuildTree(bool keyed, const uint8_t* wire, size_t size, uint64_t owner, Ref* root, uint64_t* count) {
  items_.clear();
  key_bytes_.clear();
  WireReader reader(wire, size);
  WireItem item;
  PONGO_TRY(reader.Next(&item));
  if (item.type < WireType::kList || item.type == WireType::kTuple || (item.type == WireType::kList) == keyed)
    return Status(Code::kTYPE, "the content does not fit this kind of container");
  return Content(&reader, item, 1, owner, root, count);
}

Status LinkPayload(Transaction* transaction, const Payload& payload, uint64_t owner) {
  if (payload.local != nullptr || !IsContainer(payload.word)) return Status::Ok();
  return transaction->Link(ContainerId(payload.word), owner);
}

Status ReleaseWord(Transaction* transaction, Word word, uint64_t owner) {
  if (IsBlock(word)) transaction->writes()->Drop(BlockRef(word));
  if (IsContainer(word)) return transaction->Unlink(ContainerId(word), owner);
  return Status::Ok();
}

}  // namespace pongo
