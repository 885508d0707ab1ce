// Keys between the wire form and the ordered form.
#include <cstdint>
#include <vector>

#include "format/key_codec.h"
#include "format/wire_reader.h"
#include "format/wire_writer.h"

namespace pongo {
namespace {

class WireKeyWriter final : public KeyVisitor {
 public:
  explicit WireKeyWriter(std::vector<uint8_t>* wire) : writer_(wire) {}

  void Null() override { Count(), writer_.Null(); }
  void Bool(bool value) override { Count(), writer_.Bool(value); }
  void Int(int64_t value) override { Count(), writer_.Int(value); }
  void Double(double value) override { Count(), writer_.Double(value); }
  void BigInt(bool negative, const uint8_t* magnitude, size_t size) override {
    Count(), writer_.BigInt(negative, magnitude, static_cast<uint32_t>(size));
  }
  void DateTime(int64_t microseconds) override { Count(), writer_.DateTime(microseconds); }
  void Uuid(const uint8_t* bytes) override { Count(), writer_.Uuid(bytes); }
  void String(const uint8_t* utf8, size_t size) override {
    Count(), writer_.String(utf8, static_cast<uint32_t>(size));
  }
  void Bytes(const uint8_t* bytes, size_t size) override {
    Count(), writer_.Bytes(bytes, static_cast<uint32_t>(size));
  }
  void BeginTuple() override {
    Count();
    open_.push_back({writer_.Tuple(), 0});
  }
  void EndTuple() override {
    writer_.SetCount(open_.back().head, open_.back().count);
    open_.pop_back();
  }

 private:
  struct Open {
    size_t head;
    uint32_t count;
  };
  void Count() {
    if (!open_.empty()) ++open_.back().count;
  }
  WireWriter writer_;
  std::vector<Open> open_;
};

}  // namespace

Status KeyBuffer::AddWire(const uint8_t* wire, size_t size, size_t* consumed) {
  WireReader reader(wire, size);
  uint32_t pending[kKeyDepthMax];  // elements still to come in each tuple opened here
  uint32_t open = 0;
  WireItem item;
  for (;;) {
    PONGO_TRY(reader.Next(&item));
    switch (item.type) {
      case WireType::kNull:
        PONGO_TRY(AddNull());
        break;
      case WireType::kFalse:
      case WireType::kTrue:
        PONGO_TRY(AddBool(item.type == WireType::kTrue));
        break;
      case WireType::kInt:
        PONGO_TRY(AddInt(item.integer));
        break;
      case WireType::kDouble:
        PONGO_TRY(AddDouble(item.number));
        break;
      case WireType::kBigInt:
        PONGO_TRY(AddBigInt(item.negative, item.data, item.size));
        break;
      case WireType::kDateTime:
        PONGO_TRY(AddDateTime(item.integer));
        break;
      case WireType::kUuid:
        PONGO_TRY(AddUuid(item.data));
        break;
      case WireType::kString:
        PONGO_TRY(AddString(item.data, item.size));
        break;
      case WireType::kBytes:
        PONGO_TRY(AddBytes(item.data, item.size));
        break;
      case WireType::kList:
      case WireType::kTuple:
        PONGO_TRY(BeginTuple());       // bounds `open`: at most kKeyDepthMax succeed
        pending[open++] = item.count;
        break;
      case WireType::kAbsent:
      case WireType::kContainer:
      case WireType::kDict:
      case WireType::kCollection:
      case WireType::kMulti:
        return Status(Code::kTYPE,
                      "a key must be a string, number, bigint, boolean, null, datetime, UUID, bytes or an array of "
                      "these");
    }
    while (open > 0 && pending[open - 1] == 0) {
      PONGO_TRY(EndTuple());
      --open;
    }
    if (open == 0) break;
    --pending[open - 1];
  }
  *consumed = reader.position();
  return Status::Ok();
}

Status KeyToWire(const Key& key, std::vector<uint8_t>* wire) {
  const size_t old_size = wire->size();
  WireKeyWriter writer(wire);
  const Status status = DecodeKey(key, &writer);
  if (!status.ok()) wire->resize(old_size);
  return status;
}

}  // namespace pongo
