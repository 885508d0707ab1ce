#include "model/multi.h"

#include <cmath>

namespace pongo {
namespace {

// Copies the elements of a key into a buffer that is building another one.
class KeyCopier final : public KeyVisitor {
 public:
  explicit KeyCopier(KeyBuffer* to) : to_(to) {}
  const Status& status() const { return status_; }

  void Null() override { Keep(to_->AddNull()); }
  void Bool(bool value) override { Keep(to_->AddBool(value)); }
  void Int(int64_t value) override { Keep(to_->AddInt(value)); }
  void Double(double value) override { Keep(to_->AddDouble(value)); }
  void BigInt(bool negative, const uint8_t* magnitude, size_t size) override { Keep(to_->AddBigInt(negative, magnitude, size)); }
  void DateTime(int64_t microseconds) override { Keep(to_->AddDateTime(microseconds)); }
  void Uuid(const uint8_t* bytes) override { Keep(to_->AddUuid(bytes)); }
  void String(const uint8_t* utf8, size_t size) override { Keep(to_->AddString(utf8, size)); }
  void Bytes(const uint8_t* bytes, size_t size) override { Keep(to_->AddBytes(bytes, size)); }
  void BeginTuple() override { Keep(to_->BeginTuple()); }
  void EndTuple() override { Keep(to_->EndTuple()); }

 private:
  void Keep(Status status) {
    if (status_.ok()) status_ = status;
  }
  KeyBuffer* to_;
  Status status_;
};

Status CopyKey(const Key& key, KeyBuffer* to) {
  KeyCopier copier(to);
  PONGO_TRY(DecodeKey(key, &copier));
  return copier.status();
}

}  // namespace

// Splits the events of a stored pair: its first element is the key, its second the value.
class PairReader final : public KeyVisitor {
 public:
  explicit PairReader(Pair* pair) : pair_(pair), copier_(&pair->key_) {}
  bool complete() const { return elements_ == 2 && depth_ == 0 && copier_.status().ok(); }

  void Null() override { Element([](KeyVisitor& k) { k.Null(); }, ValueView::Type::kNull); }
  void Bool(bool value) override {
    Element([&](KeyVisitor& k) { k.Bool(value); }, value ? ValueView::Type::kTrue : ValueView::Type::kFalse);
  }
  void Int(int64_t value) override {
    if (depth_ == 2 && elements_ == 1) {  // [id, kind] of a container
      if (inner_++ == 0)
        pair_->value_.id = static_cast<uint64_t>(value);
      else
        pair_->value_.kind = static_cast<Kind>(value);
      return;
    }
    if (Element([&](KeyVisitor& k) { k.Int(value); }, ValueView::Type::kInt)) pair_->value_.integer = value;
  }
  void Double(double value) override {
    if (Element([&](KeyVisitor& k) { k.Double(value); }, ValueView::Type::kDouble)) pair_->value_.number = value;
  }
  void BigInt(bool negative, const uint8_t* magnitude, size_t size) override {
    if (!Element([&](KeyVisitor& k) { k.BigInt(negative, magnitude, size); }, ValueView::Type::kBigInt)) return;
    pair_->value_.negative = negative;
    Keep(magnitude, size);
  }
  void DateTime(int64_t value) override {
    if (Element([&](KeyVisitor& k) { k.DateTime(value); }, ValueView::Type::kDateTime)) pair_->value_.integer = value;
  }
  void Uuid(const uint8_t* bytes) override {
    if (Element([&](KeyVisitor& k) { k.Uuid(bytes); }, ValueView::Type::kUuid)) Keep(bytes, 16);
  }
  void String(const uint8_t* utf8, size_t size) override {
    if (Element([&](KeyVisitor& k) { k.String(utf8, size); }, ValueView::Type::kString)) Keep(utf8, size);
  }
  void Bytes(const uint8_t* bytes, size_t size) override {
    if (Element([&](KeyVisitor& k) { k.Bytes(bytes, size); }, ValueView::Type::kBytes)) Keep(bytes, size);
  }
  void BeginTuple() override {
    if (depth_++ > 0 && elements_ == 0) copier_.BeginTuple();
  }
  void EndTuple() override {
    depth_--;
    if (depth_ > 0 && elements_ == 0) copier_.EndTuple();
    if (depth_ != 1) return;
    if (elements_ == 1) pair_->value_.type = ValueView::Type::kContainer;
    elements_++;
  }

 private:
  // An element that is no tuple. True when it is the value.
  template <class F>
  bool Element(F&& copy, ValueView::Type type) {
    if (elements_ == 0) {
      copy(copier_);
      if (depth_ == 1) elements_ = 1;
      return false;
    }
    if (depth_ == 1) elements_++;
    pair_->value_.type = type;
    return true;
  }
  void Keep(const uint8_t* bytes, size_t size) {
    pair_->bytes_.assign(bytes, bytes + size);
    pair_->value_.data = pair_->bytes_.data();
    pair_->value_.size = size;
  }

  Pair* pair_;
  KeyCopier copier_;
  uint32_t depth_ = 0;
  uint32_t elements_ = 0;  // complete ones of the pair
  uint32_t inner_ = 0;     // numbers of a container's tuple
};

Status Pair::Read(const Key& stored) {
  key_.Clear();
  value_ = ValueView();
  PairReader reader(this);
  PONGO_TRY(DecodeKey(stored, &reader));
  return reader.complete() ? Status::Ok() : Status(Code::kCORRUPT, "an entry of a MultiCollection is no pair");
}

Status MakePairKey(const Key& key, const ValueView& value, KeyBuffer* pair) {
  using Type = ValueView::Type;
  pair->Clear();
  PONGO_TRY(pair->BeginTuple());
  PONGO_TRY(CopyKey(key, pair));
  switch (value.type) {
    case Type::kAbsent:
      return Status(Code::kTYPE, "there is no value to store");
    case Type::kNull:
      PONGO_TRY(pair->AddNull());
      break;
    case Type::kFalse:
    case Type::kTrue:
      PONGO_TRY(pair->AddBool(value.type == Type::kTrue));
      break;
    case Type::kInt:
      PONGO_TRY(pair->AddInt(value.integer));
      break;
    case Type::kDouble:
      PONGO_TRY(std::isnan(value.number) ? pair->AddNaN() : pair->AddDouble(value.number));
      break;
    case Type::kBigInt:
      PONGO_TRY(pair->AddBigInt(value.negative, value.data, value.size));
      break;
    case Type::kDateTime:
      PONGO_TRY(pair->AddDateTime(value.integer));
      break;
    case Type::kUuid:
      PONGO_TRY(pair->AddUuid(value.data));
      break;
    case Type::kString:
      PONGO_TRY(pair->AddString(value.data, value.size));
      break;
    case Type::kBytes:
      PONGO_TRY(pair->AddBytes(value.data, value.size));
      break;
    case Type::kContainer:
      PONGO_TRY(pair->BeginTuple());
      PONGO_TRY(pair->AddInt(static_cast<int64_t>(value.id)));
      PONGO_TRY(pair->AddInt(static_cast<int64_t>(value.kind)));
      PONGO_TRY(pair->EndTuple());
      break;
  }
  return pair->EndTuple();
}

Status PairBounds(const Key& key, std::vector<uint8_t>* lo, std::vector<uint8_t>* hi) {
  KeyBuffer prefix;
  PONGO_TRY(prefix.BeginTuple());
  PONGO_TRY(CopyKey(key, &prefix));
  PONGO_TRY(prefix.EndTuple());
  return PrefixBounds(prefix.key(), lo, hi);
}

}  // namespace pongo
