// The ordered form of keys against an independent model: a tree of values, numbers compared as exact big integers.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>

#include "format/key_codec.h"
#include "format/wire_writer.h"
#include "harness.h"

namespace pongo {
namespace {

using Bytes = std::vector<uint8_t>;
using test::Random;
using test::RandomBelow;
using test::RandomByte;

// -- the model --

struct Model {
  enum class Type { kNull, kFalse, kTrue, kInt, kDouble, kBigInt, kDateTime, kUuid, kString, kBytes, kTuple };
  Type type = Type::kNull;
  int64_t integer = 0;   // kInt, kDateTime
  double number = 0;     // kDouble
  bool negative = false; // kBigInt
  Bytes bytes;           // kBigInt (least significant first), kUuid, kString, kBytes
  std::vector<Model> elements;
};
using Type = Model::Type;

Model Int(int64_t value) {
  Model model;
  model.type = Type::kInt;
  model.integer = value;
  return model;
}

Model Double(double value) {
  Model model;
  model.type = Type::kDouble;
  model.number = value;
  return model;
}

Model BigInt(bool negative, Bytes magnitude) {
  Model model;
  model.type = Type::kBigInt;
  model.negative = negative;
  model.bytes = std::move(magnitude);
  return model;
}

Model Text(Type type, std::string_view text) {
  Model model;
  model.type = type;
  model.bytes.assign(text.begin(), text.end());
  return model;
}

Model String(std::string_view text) { return Text(Type::kString, text); }

Model Tuple(std::vector<Model> elements) {
  Model model;
  model.type = Type::kTuple;
  model.elements = std::move(elements);
  return model;
}

bool IsNumber(const Model& m) { return m.type == Type::kInt || m.type == Type::kDouble || m.type == Type::kBigInt; }

int Rank(const Model& m) {
  if (IsNumber(m)) return 3;
  return static_cast<int>(m.type) + (m.type < Type::kInt ? 0 : 3);
}

// A finite number times 2^1200 as an integer: exact, since no double has a digit below 2^-1074.
struct Exact {
  bool negative = false;
  Bytes digits;  // most significant first, no leading zeros
};

Exact ToExact(const Model& m) {
  Exact exact;
  Bytes mantissa;  // least significant first
  int shift = 1200;
  if (m.type == Type::kBigInt) {
    exact.negative = m.negative;
    mantissa = m.bytes;
  } else {
    uint64_t whole;
    if (m.type == Type::kInt) {
      exact.negative = m.integer < 0;
      whole = exact.negative ? 0 - static_cast<uint64_t>(m.integer) : static_cast<uint64_t>(m.integer);
    } else {
      int exponent;
      exact.negative = m.number < 0;
      whole = static_cast<uint64_t>(std::ldexp(std::frexp(std::fabs(m.number), &exponent), 53));
      shift += exponent - 53;
    }
    for (; whole != 0; whole >>= 8) mantissa.push_back(static_cast<uint8_t>(whole));
  }
  Bytes little(static_cast<size_t>(shift / 8), 0);
  uint32_t carry = 0;
  for (const uint8_t byte : mantissa) {
    carry |= static_cast<uint32_t>(byte) << shift % 8;
    little.push_back(static_cast<uint8_t>(carry));
    carry >>= 8;
  }
  little.push_back(static_cast<uint8_t>(carry));
  while (!little.empty() && little.back() == 0) little.pop_back();
  exact.digits.assign(little.rbegin(), little.rend());
  return exact;
}

template <class T>
int Sign(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int CompareNumbers(const Model& a, const Model& b) {
  const auto infinity = [](const Model& m) {
    return m.type == Type::kDouble && std::isinf(m.number) ? (m.number < 0 ? -1 : 1) : 0;
  };
  if (infinity(a) != 0 || infinity(b) != 0) return Sign(infinity(a), infinity(b));
  const Exact x = ToExact(a), y = ToExact(b);
  const auto sign = [](const Exact& e) { return e.digits.empty() ? 0 : e.negative ? -1 : 1; };
  if (sign(x) != sign(y)) return Sign(sign(x), sign(y));
  int c = Sign(x.digits.size(), y.digits.size());
  if (c == 0) c = Sign(x.digits, y.digits);
  return sign(x) < 0 ? -c : c;
}

int Compare(const Model& a, const Model& b) {
  if (Rank(a) != Rank(b)) return Sign(Rank(a), Rank(b));
  if (IsNumber(a)) return CompareNumbers(a, b);
  if (a.type == Type::kDateTime) return Sign(a.integer, b.integer);
  if (a.type != Type::kTuple) return Sign(a.bytes, b.bytes);
  for (size_t i = 0; i < a.elements.size() && i < b.elements.size(); ++i) {
    if (const int c = Compare(a.elements[i], b.elements[i]); c != 0) return c;
  }
  return Sign(a.elements.size(), b.elements.size());
}

// What a number is read back as.
Model Normal(const Model& m) {
  Model normal = m;
  if (m.type == Type::kTuple) {
    for (Model& element : normal.elements) element = Normal(element);
  } else if (m.type == Type::kDouble && m.number == 0) {
    normal.number = 0.0;  // -0 is 0
  } else if (m.type == Type::kBigInt) {
    while (!normal.bytes.empty() && normal.bytes.back() == 0) normal.bytes.pop_back();
    for (const int64_t limit : {INT64_MAX, INT64_MIN}) {
      if ((limit < 0) != (m.negative && !normal.bytes.empty())) continue;
      if (limit < 0 ? CompareNumbers(m, Int(limit)) < 0 : CompareNumbers(m, Int(limit)) > 0) continue;
      uint64_t magnitude = 0;
      for (size_t i = normal.bytes.size(); i-- > 0;) magnitude = magnitude << 8 | normal.bytes[i];
      return Int(static_cast<int64_t>(m.negative ? 0 - magnitude : magnitude));
    }
  }
  return normal;
}

bool Same(const Model& a, const Model& b) {
  if (a.type != b.type || a.elements.size() != b.elements.size()) return false;
  for (size_t i = 0; i < a.elements.size(); ++i) {
    if (!Same(a.elements[i], b.elements[i])) return false;
  }
  return a.integer == b.integer && std::bit_cast<uint64_t>(a.number) == std::bit_cast<uint64_t>(b.number) &&
         a.negative == b.negative && a.bytes == b.bytes;
}

// -- between the model and the codec --

Status AddModel(const Model& m, KeyBuffer* buffer) {
  switch (m.type) {
    case Type::kNull:
      return buffer->AddNull();
    case Type::kFalse:
    case Type::kTrue:
      return buffer->AddBool(m.type == Type::kTrue);
    case Type::kInt:
      return buffer->AddInt(m.integer);
    case Type::kDouble:
      return std::isnan(m.number) ? buffer->AddNaN() : buffer->AddDouble(m.number);
    case Type::kBigInt:
      return buffer->AddBigInt(m.negative, m.bytes.data(), m.bytes.size());
    case Type::kDateTime:
      return buffer->AddDateTime(m.integer);
    case Type::kUuid:
      return buffer->AddUuid(m.bytes.data());
    case Type::kString:
      return buffer->AddString(m.bytes.data(), m.bytes.size());
    case Type::kBytes:
      return buffer->AddBytes(m.bytes.data(), m.bytes.size());
    case Type::kTuple:
      PONGO_TRY(buffer->BeginTuple());
      for (const Model& element : m.elements) PONGO_TRY(AddModel(element, buffer));
      return buffer->EndTuple();
  }
  return Status::Ok();
}

void ToWire(const Model& m, WireWriter* writer) {
  switch (m.type) {
    case Type::kNull:
      return writer->Null();
    case Type::kFalse:
    case Type::kTrue:
      return writer->Bool(m.type == Type::kTrue);
    case Type::kInt:
      return writer->Int(m.integer);
    case Type::kDouble:
      return writer->Double(m.number);
    case Type::kBigInt:
      return writer->BigInt(m.negative, m.bytes.data(), static_cast<uint32_t>(m.bytes.size()));
    case Type::kDateTime:
      return writer->DateTime(m.integer);
    case Type::kUuid:
      return writer->Uuid(m.bytes.data());
    case Type::kString:
      return writer->String(m.bytes.data(), static_cast<uint32_t>(m.bytes.size()));
    case Type::kBytes:
      return writer->Bytes(m.bytes.data(), static_cast<uint32_t>(m.bytes.size()));
    case Type::kTuple:
      m.elements.size() % 2 == 0 ? writer->Tuple(static_cast<uint32_t>(m.elements.size()))
                                 : writer->List(static_cast<uint32_t>(m.elements.size()));
      for (const Model& element : m.elements) ToWire(element, writer);
  }
}

class ModelBuilder final : public KeyVisitor {
 public:
  void Null() override { Put(Model()); }
  void Bool(bool value) override { Put(Text(value ? Type::kTrue : Type::kFalse, "")); }
  void Int(int64_t value) override { Put(pongo::Int(value)); }
  void Double(double value) override { Put(pongo::Double(value)); }
  void BigInt(bool negative, const uint8_t* magnitude, size_t size) override {
    Put(pongo::BigInt(negative, std::vector<uint8_t>(magnitude, magnitude + size)));
  }
  void DateTime(int64_t microseconds) override {
    Model model = pongo::Int(microseconds);
    model.type = Type::kDateTime;
    Put(model);
  }
  void Uuid(const uint8_t* bytes) override { PutText(Type::kUuid, bytes, 16); }
  void String(const uint8_t* utf8, size_t size) override { PutText(Type::kString, utf8, size); }
  void Bytes(const uint8_t* bytes, size_t size) override { PutText(Type::kBytes, bytes, size); }
  void BeginTuple() override { open_.push_back(Tuple({})); }
  void EndTuple() override {
    Model done = std::move(open_.back());
    open_.pop_back();
    Put(std::move(done));
  }
  Model result;
  int count = 0;  // elements at top level

 private:
  void PutText(Type type, const uint8_t* bytes, size_t size) {
    Model model;
    model.type = type;
    model.bytes.assign(bytes, bytes + size);
    Put(std::move(model));
  }
  void Put(Model model) {
    if (!open_.empty()) {
      open_.back().elements.push_back(std::move(model));
      return;
    }
    result = std::move(model);
    ++count;
  }
  std::vector<Model> open_;
};

struct Encoded {
  Bytes data, form;
  Key key() const {
    Key key;
    key.data = data.data();
    key.size = static_cast<uint32_t>(data.size());
    key.form = form.data();
    key.form_size = static_cast<uint32_t>(form.size());
    return key;
  }
};

Encoded Encode(const Model& m) {
  KeyBuffer buffer;
  CHECK_OK(AddModel(m, &buffer));
  const Key key = buffer.key();
  return {Bytes(key.data, key.data + key.size), Bytes(key.form, key.form + key.form_size)};
}

int CompareEncoded(const Encoded& a, const Encoded& b) {
  const int c = CompareBytes(a.data.data(), static_cast<uint32_t>(a.data.size()), b.data.data(),
                             static_cast<uint32_t>(b.data.size()));
  return Sign(c, 0);
}

void CheckRoundTrip(const Model& m) {
  const Encoded encoded = Encode(m);
  ModelBuilder builder;
  CHECK_OK(DecodeKey(encoded.key(), &builder));
  CHECK_EQ(builder.count, 1);
  CHECK(Same(builder.result, Normal(m)));

  // Through the wire, both ways.
  Bytes wire, back;
  WireWriter writer(&wire);
  ToWire(m, &writer);
  const size_t wire_size = wire.size();
  wire.push_back(0x01);  // what follows the key is not touched
  KeyBuffer buffer;
  size_t consumed = 0;
  CHECK_OK(buffer.AddWire(wire.data(), wire.size(), &consumed));
  CHECK_EQ(consumed, wire_size);
  const Key key = buffer.key();
  CHECK(Bytes(key.data, key.data + key.size) == encoded.data);
  CHECK(Bytes(key.form, key.form + key.form_size) == encoded.form);
  CHECK_OK(KeyToWire(key, &back));
  KeyBuffer again;
  CHECK_OK(again.AddWire(back.data(), back.size(), &consumed));
  CHECK_EQ(consumed, back.size());
  CHECK(Bytes(again.key().data, again.key().data + again.key().size) == encoded.data);
  CHECK(Bytes(again.key().form, again.key().form + again.key().form_size) == encoded.form);
}

// -- what is tried --

Bytes PowerOfTwo(uint32_t exponent) {
  Bytes magnitude(exponent / 8 + 1, 0);
  magnitude.back() = static_cast<uint8_t>(1u << exponent % 8);
  return magnitude;
}

void AddOne(Bytes* magnitude) {
  for (uint8_t& byte : *magnitude) {
    if (++byte != 0) return;
  }
  magnitude->push_back(1);
}

void SubtractOne(Bytes* magnitude) {
  for (uint8_t& byte : *magnitude) {
    if (byte-- != 0) return;
  }
}

std::vector<Model> InterestingNumbers() {
  std::vector<Model> all = {Double(HUGE_VAL), Double(0.0), Double(-0.0), Double(-HUGE_VAL)};
  const auto add = [&all](const Model& m) {
    all.push_back(m);
    Model negated = m;
    if (m.type == Type::kDouble) negated.number = -m.number;
    if (m.type == Type::kBigInt) negated.negative = true;
    if (m.type == Type::kInt) negated.integer = static_cast<int64_t>(0 - static_cast<uint64_t>(m.integer));
    all.push_back(negated);
  };
  for (int64_t i = 0; i <= 20; ++i) add(Int(i));
  for (const int shift : {7, 8, 14, 15, 16, 24, 31, 32, 40, 48, 52, 53, 54, 56, 62, 63}) {
    const auto bit = uint64_t{1} << shift;
    for (const uint64_t value : {bit - 1, bit, bit + 1}) add(Int(static_cast<int64_t>(value)));
  }
  for (const uint32_t shift : {0u, 8u, 62u, 63u, 64u, 65u, 71u, 72u, 100u, 128u, 1023u, 1024u, 1025u, 3000u}) {
    Bytes magnitude = PowerOfTwo(shift);
    add(BigInt(false, magnitude));
    AddOne(&magnitude);
    add(BigInt(false, magnitude));
    SubtractOne(&magnitude);
    SubtractOne(&magnitude);
    add(BigInt(false, magnitude));
  }
  for (const int exponent : {-1074, -1073, -1023, -1022, -1021, -300, -52, -8, -7, -2, -1, 0, 1, 7, 8, 31, 32, 51, 52,
                             53, 54, 62, 63, 64, 65, 71, 72, 99, 100, 128, 500, 1023}) {
    const double power = std::ldexp(1.0, exponent);
    for (const double value : {power, std::nextafter(power, 0.0), std::nextafter(power, HUGE_VAL), power * 1.5}) {
      if (std::isfinite(value)) add(Double(value));
    }
  }
  for (const double value : {0.1, 0.2, 0.3, 1.1, 1.5, 2.5, 1.25, 127.5, 128.5, 255.5, 256.5, 1e15 + 0.5, 1e300,
                             std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()}) {
    add(Double(value));
  }
  return all;
}

std::vector<Model> InterestingKeys() {
  std::vector<Model> all = {Model(), Text(Type::kFalse, ""), Text(Type::kTrue, "")};
  for (const int64_t us : {INT64_MIN, int64_t{-1}, int64_t{0}, int64_t{1}, INT64_MAX}) {
    all.push_back(Int(us));
    all.back().type = Type::kDateTime;
  }
  using namespace std::string_view_literals;
  for (const auto text : {""sv, "\0"sv, "\0\0"sv, "\0\1"sv, "a"sv, "a\0"sv, "a\0b"sv, "ab"sv, "b"sv, "\x7f"sv,
                          "\xc2\x80"sv, "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xef\xbf\xbd"sv, "\xf0\x90\x80\x80"sv,
                          "\xf4\x8f\xbf\xbf"sv}) {
    all.push_back(String(text));
    all.push_back(Text(Type::kBytes, text));
  }
  for (const auto text : {"\xff"sv, "\0\xff"sv, "\xff\0"sv, "\xff\xff"sv, "\0\xff\0"sv, "\x80"sv}) {
    all.push_back(Text(Type::kBytes, text));
  }
  all.push_back(Text(Type::kUuid, "0123456789abcdef"));
  all.push_back(Text(Type::kUuid, std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16)));
  for (const Model& m : {Int(0), Int(1), Int(-1), Double(1.0), Double(1.5), Double(-1.5), Double(0.5), Double(-0.5)}) {
    all.push_back(m);
  }
  const size_t scalars = all.size();
  all.push_back(Tuple({}));
  all.push_back(Tuple({Tuple({})}));
  all.push_back(Tuple({Tuple({}), Tuple({})}));
  for (size_t i = 0; i < scalars; ++i) {
    all.push_back(Tuple({all[i]}));
    all.push_back(Tuple({all[i], Model()}));
    all.push_back(Tuple({all[i], String("z")}));
    all.push_back(Tuple({Tuple({all[i]})}));
    all.push_back(Tuple({Tuple({all[i]}), Int(1)}));
    all.push_back(Tuple({Int(1), all[i]}));
  }
  return all;
}

Model RandomNumber() {
  switch (RandomBelow(6)) {
    case 0:
      return Int(static_cast<int64_t>(RandomBelow(40)) - 20);
    case 1:
      return Int(static_cast<int64_t>(Random()() >> RandomBelow(64)) * (RandomBelow(2) == 0 ? 1 : -1));
    case 2: {
      double value;
      do {
        value = std::bit_cast<double>(Random()());
      } while (std::isnan(value));
      return Double(value);
    }
    case 3:
      return Double((static_cast<double>(RandomBelow(1000)) - 500) / static_cast<double>(1 << RandomBelow(8)));
    case 4: {
      // A double and a big integer of the same size: the comparison that no native type can make.
      const double value = std::ldexp(static_cast<double>(Random()() >> 11), static_cast<int>(RandomBelow(200)));
      if (RandomBelow(2) == 0) return Double(value);
      const Model m = Double(value);
      Bytes little = ToExact(m).digits;
      std::reverse(little.begin(), little.end());
      if (little.size() > 150) little.erase(little.begin(), little.begin() + 150);
      Model big = BigInt(false, little);
      if (RandomBelow(2) == 0) AddOne(&big.bytes);
      return big;
    }
    default: {
      Bytes magnitude(RandomBelow(14), 0);
      for (uint8_t& byte : magnitude) byte = RandomByte();
      return BigInt(RandomBelow(2) == 0, magnitude);
    }
  }
}

Model RandomKey(uint32_t depth) {
  switch (RandomBelow(depth == 0 ? 7 : 9)) {
    case 0:
      return Text(static_cast<Type>(RandomBelow(3)), "");
    case 1: {
      Model m = Int(static_cast<int64_t>(Random()()));
      m.type = Type::kDateTime;
      return m;
    }
    case 2: {
      std::string text;
      for (uint64_t n = RandomBelow(5); n > 0; --n) text += "\0a\xff"[RandomBelow(3)];
      return Text(Type::kBytes, text);
    }
    case 3: {
      std::string text;
      for (uint64_t n = RandomBelow(4); n > 0; --n) {
        constexpr const char* kPieces[] = {"a", "b", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xef\xbf\xbf"};
        if (const uint64_t piece = RandomBelow(6); piece < 5) text += kPieces[piece];
        else text += '\0';
      }
      return String(text);
    }
    case 4:
    case 5:
    case 6:
      return RandomNumber();
    default: {
      Model m = Tuple({});
      for (uint64_t n = RandomBelow(4); n > 0; --n) m.elements.push_back(RandomKey(depth - 1));
      return m;
    }
  }
}

void CheckOrderOfAllPairs(const std::vector<Model>& models) {
  std::vector<Encoded> encoded;
  for (const Model& m : models) encoded.push_back(Encode(m));
  for (size_t i = 0; i < models.size(); ++i) {
    for (size_t j = 0; j < models.size(); ++j) {
      CHECK_EQ(CompareEncoded(encoded[i], encoded[j]), Compare(models[i], models[j]));
    }
  }
}

// -- the tests --

TEST(KeyNumbersInOrder) { CheckOrderOfAllPairs(InterestingNumbers()); }

TEST(KeyTypesInOrder) { CheckOrderOfAllPairs(InterestingKeys()); }

TEST(KeyRandomNumbersInOrder) {
  for (int round = 0; round < 40; ++round) {
    std::vector<Model> models;
    for (int i = 0; i < 60; ++i) models.push_back(RandomNumber());
    CheckOrderOfAllPairs(models);
  }
}

TEST(KeyRandomTuplesInOrder) {
  for (int round = 0; round < 60; ++round) {
    std::vector<Model> models;
    for (int i = 0; i < 80; ++i) models.push_back(RandomKey(3));
    CheckOrderOfAllPairs(models);
  }
}

TEST(KeyRoundTrips) {
  for (const Model& m : InterestingNumbers()) CheckRoundTrip(m);
  for (const Model& m : InterestingKeys()) CheckRoundTrip(m);
  for (int i = 0; i < 30000; ++i) CheckRoundTrip(RandomKey(4));
}

TEST(KeyFormTellsFloatsFromIntegers) {
  CHECK(Encode(Int(1)).form.empty());
  CHECK(Encode(Double(1.5)).form.empty());
  CHECK(Encode(Double(HUGE_VAL)).form.empty());
  CHECK(Encode(Double(1)).form == Bytes{1});
  CHECK(Encode(Double(1)).data == Encode(Int(1)).data);
  CHECK(Encode(Double(1e300)).form == Bytes{1});
  std::vector<Model> numbers(9, Int(3));
  numbers[8] = Double(3);
  CHECK(Encode(Tuple(numbers)).form == (Bytes{0, 1}));
  numbers[2] = Tuple({Double(0.5), Double(-0.0)});
  CHECK(Encode(Tuple(numbers)).form == (Bytes{8, 2}));
}

TEST(KeySizesOfCommonIntegers) {
  const auto size = [](int64_t value) { return Encode(Int(value)).data.size(); };
  CHECK_EQ(size(0), 1u);
  CHECK_EQ(size(255), 2u);
  CHECK_EQ(size(65535), 3u);
  CHECK_EQ(size(int64_t{1} << 31), 5u);
  CHECK_EQ(size(-255), 3u);
  CHECK_EQ(size(-(int64_t{1} << 31)), 6u);
}

TEST(KeyBufferRefuses) {
  KeyBuffer buffer;
  CHECK_CODE(buffer.AddDouble(std::numeric_limits<double>::quiet_NaN()), VALUE);
  CHECK_CODE(buffer.EndTuple(), ARG);
  buffer.Clear();
  for (uint32_t i = 0; i < kKeyDepthMax; ++i) CHECK_OK(buffer.BeginTuple());
  CHECK_CODE(buffer.BeginTuple(), DEPTH);

  // As deep as allowed: written, read, and through the wire.
  Model deep = Tuple({});
  for (uint32_t i = 1; i < kKeyDepthMax; ++i) deep = Tuple({deep});
  CheckRoundTrip(deep);
  Bytes wire;
  for (uint32_t i = 0; i < kKeyDepthMax; ++i) WireWriter(&wire).Tuple(1);
  WireWriter(&wire).Tuple(0);
  size_t consumed;
  buffer.Clear();
  CHECK_CODE(buffer.AddWire(wire.data(), wire.size(), &consumed), DEPTH);

  buffer.Clear();
  CHECK(buffer.BeginString(kKeySizeMax) == nullptr);
  const Bytes huge(kKeySizeMax, 'x');
  CHECK_CODE(buffer.AddString(huge.data(), huge.size()), VALUE);
  buffer.Clear();
  CHECK_CODE(buffer.AddBigInt(false, huge.data(), huge.size()), VALUE);
  buffer.Clear();
  CHECK_OK(buffer.AddBytes(huge.data(), huge.size() - 1));
  CHECK_CODE(buffer.AddNull(), VALUE);
}

TEST(KeyWireRefuses) {
  KeyBuffer buffer;
  size_t consumed;
  for (const uint8_t tag : std::initializer_list<uint8_t>{0x00, 0x0f, 0x10, 0x13}) {
    const Bytes wire = {tag, 0, 0, 0, 0};
    buffer.Clear();
    CHECK_CODE(buffer.AddWire(wire.data(), wire.size(), &consumed), TYPE);
    Bytes inside = {0x0e, 1, 0, 0, 0};
    inside.insert(inside.end(), wire.begin(), wire.end());
    buffer.Clear();
    CHECK_CODE(buffer.AddWire(inside.data(), inside.size(), &consumed), TYPE);
  }
  const Bytes surrogate = {0x08, 3, 0, 0, 0, 0xed, 0xa0, 0x80};
  buffer.Clear();
  CHECK_CODE(buffer.AddWire(surrogate.data(), surrogate.size(), &consumed), VALUE);
  const Bytes nan = {0x06, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f};
  buffer.Clear();
  CHECK_CODE(buffer.AddWire(nan.data(), nan.size(), &consumed), VALUE);
  const Bytes short_tuple = {0x12, 2, 0, 0, 0, 1};
  buffer.Clear();
  CHECK_CODE(buffer.AddWire(short_tuple.data(), short_tuple.size(), &consumed), ARG);
  buffer.Clear();
  CHECK_CODE(buffer.AddWire(nullptr, 0, &consumed), ARG);
}

TEST(KeyStringInPlace) {
  KeyBuffer buffer;
  constexpr size_t kInline = KeyBuffer::kInlineString;
  for (const size_t size : {size_t{0}, size_t{5}, kInline, kInline + 1, size_t{5000}}) {
    CHECK_OK(buffer.AddDouble(1));  // whatever was there is forgotten
    uint8_t* room = buffer.BeginString(size + 3);
    REQUIRE(room != nullptr);
    if (size > 0) std::memset(room, 'k', size);
    buffer.FinishString(size);
    const uint8_t* text;
    uint32_t text_size;
    REQUIRE(KeyIsString(buffer.key(), &text, &text_size));
    CHECK_EQ(std::string(reinterpret_cast<const char*>(text), text_size), std::string(size, 'k'));
    CHECK_EQ(buffer.key().form_size, 0u);
    const Key key = buffer.key();
    CHECK(Encode(String(std::string(size, 'k'))).data == Bytes(key.data, key.data + key.size));
  }
}

bool HasPrefix(const Model& m, const Model& prefix) {
  if (m.type != prefix.type) return false;
  if (m.type == Type::kString) {
    return m.bytes.size() >= prefix.bytes.size() &&
           std::equal(prefix.bytes.begin(), prefix.bytes.end(), m.bytes.begin());
  }
  if (m.elements.size() < prefix.elements.size()) return false;
  for (size_t i = 0; i < prefix.elements.size(); ++i) {
    if (Compare(m.elements[i], prefix.elements[i]) != 0) return false;
  }
  return true;
}

TEST(KeyPrefixBounds) {
  std::vector<Model> keys = InterestingKeys();
  for (int i = 0; i < 1000; ++i) keys.push_back(RandomKey(2));
  std::vector<Encoded> encoded;
  for (const Model& m : keys) encoded.push_back(Encode(m));
  for (size_t p = 0; p < keys.size(); ++p) {
    Bytes lo, hi;
    const Status status = PrefixBounds(encoded[p].key(), &lo, &hi);
    if (keys[p].type != Type::kString && keys[p].type != Type::kTuple) {
      CHECK_CODE(status, TYPE);
      continue;
    }
    CHECK_OK(status);
    for (size_t i = 0; i < keys.size(); ++i) {
      CHECK_EQ(encoded[i].data >= lo && encoded[i].data < hi, HasPrefix(keys[i], keys[p]));
    }
  }
}

// Decodes from a heap block of exactly the right size, so that ASan sees a read beyond it. Whatever is accepted must be
// what the encoder writes: otherwise two byte strings would be one key.
void CheckUntrusted(const Bytes& data, const Bytes& form) {
  const std::unique_ptr<uint8_t[]> exact_data(new uint8_t[data.size()]);
  const std::unique_ptr<uint8_t[]> exact_form(new uint8_t[form.size()]);
  std::copy(data.begin(), data.end(), exact_data.get());
  std::copy(form.begin(), form.end(), exact_form.get());
  Key key;
  key.data = exact_data.get();
  key.size = static_cast<uint32_t>(data.size());
  key.form = exact_form.get();
  key.form_size = static_cast<uint32_t>(form.size());
  ModelBuilder builder;
  const Status status = DecodeKey(key, &builder);
  if (!status.ok()) {
    CHECK_CODE(status, CORRUPT);
    return;
  }
  CHECK_EQ(builder.count, 1);
  const Encoded encoded = Encode(builder.result);
  CHECK(encoded.data == data);
  CHECK(encoded.form == form);
}

TEST(KeyMalformedBytes) {
  CheckUntrusted({}, {});
  for (uint32_t a = 0; a < 256; ++a) {
    CheckUntrusted({static_cast<uint8_t>(a)}, {});
    for (uint32_t b = 0; b < 256; ++b) {
      const Bytes two = {static_cast<uint8_t>(a), static_cast<uint8_t>(b)};
      CheckUntrusted(two, {});
      CheckUntrusted({0x50, two[0], two[1]}, {});
      for (const uint8_t c : std::initializer_list<uint8_t>{0x00, 0x01, 0x7f, 0x80, 0x81, 0xfe, 0xff}) {
        CheckUntrusted({two[0], two[1], c}, {});
        CheckUntrusted({two[0], two[1], c, 0xff}, {1});
      }
    }
  }
}

TEST(KeyFuzz) {
  std::vector<Encoded> valid;
  for (const Model& m : InterestingNumbers()) valid.push_back(Encode(m));
  for (int i = 0; i < 2000; ++i) valid.push_back(Encode(RandomKey(3)));
  for (int i = 0; i < 300000; ++i) {
    Encoded e = valid[RandomBelow(valid.size())];
    for (uint64_t n = 1 + RandomBelow(3); n > 0; --n) {
      const size_t at = RandomBelow(e.data.size() + 1);
      const auto where = e.data.begin() + static_cast<ptrdiff_t>(at);
      switch (RandomBelow(5)) {
        case 0:
          if (at < e.data.size()) *where = RandomByte();
          break;
        case 1:
          if (at < e.data.size()) *where = static_cast<uint8_t>(*where ^ (1u << RandomBelow(8)));
          break;
        case 2:
          e.data.insert(where, RandomBelow(2) == 0 ? RandomByte() : static_cast<uint8_t>(0 - RandomBelow(2)));
          break;
        case 3:
          e.data.resize(at);
          break;
        default:
          if (RandomBelow(4) == 0) e.form.push_back(static_cast<uint8_t>(1u << RandomBelow(8)));
      }
    }
    CheckUntrusted(e.data, e.form);
  }
}

}  // namespace
}  // namespace pongo
