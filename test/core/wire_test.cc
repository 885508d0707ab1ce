// The wire form: normalisation, limits, and bytes that nobody should have sent (wire_reader.h, R1 to R3).
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "format/wire_reader.h"
#include "format/wire_writer.h"
#include "harness.h"
#include "util/utf8.h"

namespace pongo {
namespace {

using Bytes = std::vector<uint8_t>;
using test::RandomBelow;
using test::RandomByte;

Bytes Of(std::string_view text) { return Bytes(text.begin(), text.end()); }

// Reads from a heap block of exactly the right size, so that ASan sees a read beyond it.
struct Exact {
  explicit Exact(const Bytes& bytes) : data(new uint8_t[bytes.size()]), size(bytes.size()) {
    if (size > 0) std::memcpy(data.get(), bytes.data(), size);
  }
  std::unique_ptr<uint8_t[]> data;
  size_t size;
};

Status ReadOne(const Bytes& wire, WireItem* item, Bytes* payload = nullptr) {
  const Exact exact(wire);
  WireReader reader(exact.data.get(), exact.size);
  const Status status = reader.Next(item);
  if (payload != nullptr && status.ok()) payload->assign(item->data, item->data + item->size);
  CHECK_EQ(reader.position(), status.ok() ? exact.size : 0);
  return status;
}

TEST(WireScalars) {
  WireItem item;
  Bytes payload;
  for (const int64_t value : {int64_t{0}, int64_t{-1}, int64_t{INT32_MAX}, int64_t{INT32_MIN}, int64_t{INT32_MAX} + 1,
                              int64_t{INT32_MIN} - 1, INT64_MAX, INT64_MIN}) {
    Bytes wire;
    WireWriter(&wire).Int(value);
    CHECK_EQ(wire.size(), value >= INT32_MIN && value <= INT32_MAX ? 5u : 9u);
    CHECK_OK(ReadOne(wire, &item));
    CHECK(item.type == WireType::kInt);
    CHECK_EQ(item.integer, value);
  }
  for (const double value : {0.0, -0.0, 1.5, 1e300, 5e-324, HUGE_VAL, -HUGE_VAL}) {
    Bytes wire;
    WireWriter(&wire).Double(value);
    CHECK_OK(ReadOne(wire, &item));
    CHECK(item.type == WireType::kDouble);
    CHECK_EQ(std::bit_cast<uint64_t>(item.number), std::bit_cast<uint64_t>(value));
  }
  Bytes wire;
  WireWriter(&wire).Bool(true);
  CHECK_OK(ReadOne(wire, &item));
  CHECK(item.type == WireType::kTrue);
  wire.clear();
  WireWriter(&wire).Null();
  CHECK_OK(ReadOne(wire, &item));
  CHECK(item.type == WireType::kNull);
  wire.clear();
  WireWriter(&wire).Absent();
  CHECK_OK(ReadOne(wire, &item));
  CHECK(item.type == WireType::kAbsent);
  wire.clear();
  WireWriter(&wire).Container(3, uint64_t{1} << 53);
  CHECK_OK(ReadOne(wire, &item));
  CHECK(item.type == WireType::kContainer && item.kind == 3);
  CHECK_EQ(item.id, uint64_t{1} << 53);
  wire.clear();
  const Bytes uuid = Of("0123456789abcdef");
  WireWriter(&wire).Uuid(uuid.data());
  CHECK_OK(ReadOne(wire, &item, &payload));
  CHECK(item.type == WireType::kUuid && payload == uuid);
}

TEST(WireNaNIsCanonical) {
  for (const uint64_t bits : {0x7ff8000000000000u, 0xfff8000000000001u, 0x7ff0000000000001u}) {
    Bytes wire = {0x06};
    wire.resize(9);
    std::memcpy(wire.data() + 1, &bits, 8);
    WireItem item;
    CHECK_OK(ReadOne(wire, &item));
    CHECK_EQ(std::bit_cast<uint64_t>(item.number), 0x7ff8000000000000u);
    Bytes written;
    WireWriter(&written).Double(std::bit_cast<double>(bits));
    CHECK_OK(ReadOne(written, &item));
    CHECK_EQ(std::bit_cast<uint64_t>(item.number), 0x7ff8000000000000u);
  }
}

TEST(WireBigInts) {
  struct Case {
    bool negative;
    Bytes magnitude;
    bool is_int;
    int64_t integer;
  };
  const std::vector<Case> cases = {
      {false, {}, true, 0},
      {true, {0, 0}, true, 0},
      {true, {1}, true, -1},
      {false, {255, 255, 255, 255, 255, 255, 255, 127}, true, INT64_MAX},
      {true, {0, 0, 0, 0, 0, 0, 0, 128}, true, INT64_MIN},
      {false, {0, 0, 0, 0, 0, 0, 0, 128}, false, 0},
      {true, {1, 0, 0, 0, 0, 0, 0, 128}, false, 0},
      {false, {5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, true, 5},
      {true, {1, 2, 3, 4, 5, 6, 7, 8, 9, 0}, false, 0},
  };
  for (const Case& c : cases) {
    // By hand, as the writer would already leave out the zeros.
    Bytes wire = {0x07, static_cast<uint8_t>(c.negative), static_cast<uint8_t>(c.magnitude.size()), 0, 0, 0};
    wire.insert(wire.end(), c.magnitude.begin(), c.magnitude.end());
    WireItem item;
    Bytes payload;
    CHECK_OK(ReadOne(wire, &item, &payload));
    CHECK(item.type == (c.is_int ? WireType::kInt : WireType::kBigInt));
    if (c.is_int) {
      CHECK_EQ(item.integer, c.integer);
      continue;
    }
    CHECK_EQ(item.negative, c.negative);
    Bytes expected = c.magnitude;
    while (expected.back() == 0) expected.pop_back();
    CHECK(payload == expected);
    Bytes written;
    WireWriter(&written).BigInt(c.negative, c.magnitude.data(), static_cast<uint32_t>(c.magnitude.size()));
    CHECK_OK(ReadOne(written, &item, &payload));
    CHECK(payload == expected && item.negative == c.negative);
  }
  WireItem item;
  CHECK_CODE(ReadOne({0x07, 2, 0, 0, 0, 0}, &item), ARG);
}

TEST(WireStrings) {
  WireItem item;
  Bytes payload;
  for (const size_t size : {0u, 1u, 7u, 8u, 9u, 31u, 32u, 33u, 255u, 256u, 70000u}) {
    for (const bool ascii : {true, false}) {
      if (!ascii && size < 2) continue;
      Bytes text(size, 'x');
      if (!ascii) text[size - 2] = 0xc3, text[size - 1] = 0xa9;
      Bytes wire;
      WireWriter(&wire).String(text.data(), static_cast<uint32_t>(size));
      CHECK_EQ(wire.size(), size + (ascii && size <= 255 ? 2 : 5));
      CHECK_OK(ReadOne(wire, &item, &payload));
      CHECK(item.type == WireType::kString && payload == text);
      wire.clear();
      WireWriter(&wire).Bytes(text.data(), static_cast<uint32_t>(size));
      CHECK_OK(ReadOne(wire, &item, &payload));
      CHECK(item.type == WireType::kBytes && payload == text);
    }
  }
  CHECK_CODE(ReadOne({0x09, 1, 0x80}, &item), ARG);
  CHECK_CODE(ReadOne({0x08, 3, 0, 0, 0, 0xed, 0xa0, 0x80}, &item), VALUE);  // a surrogate
}

TEST(WireDateTimes) {
  WireItem item;
  for (const int64_t us : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1000}, int64_t{-1700000000123000},
                           int64_t{8640000000000000000}, int64_t{-8640000000000000000}, INT64_MAX, INT64_MIN}) {
    Bytes wire;
    WireWriter(&wire).DateTime(us);
    CHECK_EQ(wire[0], us % 1000 == 0 ? 0x0a : 0x0b);
    CHECK_OK(ReadOne(wire, &item));
    CHECK(item.type == WireType::kDateTime);
    CHECK_EQ(item.integer, us);
  }
  for (const double ms : {0.5, 1e16, -1e16, HUGE_VAL, std::numeric_limits<double>::quiet_NaN()}) {
    Bytes wire = {0x0a};
    wire.resize(9);
    std::memcpy(wire.data() + 1, &ms, 8);
    CHECK_CODE(ReadOne(wire, &item), VALUE);
  }
}

TEST(WireContainerReferences) {
  WireItem item;
  for (const double id : {0.0, -1.0, 1.5, 9007199254740994.0, HUGE_VAL, std::numeric_limits<double>::quiet_NaN()}) {
    Bytes wire = {0x11, 1};
    wire.resize(10);
    std::memcpy(wire.data() + 2, &id, 8);
    CHECK_CODE(ReadOne(wire, &item), ARG);
  }
  for (const uint8_t kind : std::initializer_list<uint8_t>{0, 5, 255}) {
    Bytes wire;
    WireWriter(&wire).Container(kind, 7);
    CHECK_CODE(ReadOne(wire, &item), ARG);
  }
}

TEST(WireCountsAreBoundedByTheInput) {
  WireItem item;
  for (const uint8_t tag : std::initializer_list<uint8_t>{0x0e, 0x0f, 0x10, 0x12, 0x13}) {
    CHECK_CODE(ReadOne({tag, 0xff, 0xff, 0xff, 0xff, 1, 1, 1}, &item), ARG);
    CHECK_CODE(ReadOne({tag, 1, 0, 0, 0}, &item), ARG);
  }
  CHECK_CODE(ReadOne({0x0f, 1, 0, 0, 0, 1}, &item), ARG);  // a pair is two bytes at least
}

TEST(WireSkipPassesWholeValues) {
  Bytes wire;
  WireWriter writer(&wire);
  const size_t head = writer.Dict();
  for (uint32_t i = 0; i < 10; ++i) {
    writer.Tuple(2);
    writer.Int(i);
    writer.Null();
    writer.List(3);
    writer.Bool(false);
    writer.Dict(0);
    writer.List(0);
  }
  writer.SetCount(head, 10);
  const size_t first = wire.size();
  writer.Int(7);
  const Exact exact(wire);
  WireReader reader(exact.data.get(), exact.size);
  CHECK_OK(reader.Skip());
  CHECK_EQ(reader.position(), first);
  CHECK_OK(reader.Skip());
  CHECK(reader.done());
  CHECK_CODE(reader.Skip(), ARG);

  // Nesting costs the reader nothing: a million levels.
  Bytes deep;
  for (int i = 0; i < 1000000; ++i) WireWriter(&deep).List(1);
  CHECK_CODE(WireReader(deep.data(), deep.size()).Skip(), ARG);
  WireWriter(&deep).Null();
  CHECK_OK(WireReader(deep.data(), deep.size()).Skip());
}

TEST(WireTruncatedAnywhere) {
  Bytes wire;
  WireWriter writer(&wire);
  writer.List(9);
  writer.Int(1);
  writer.Int(int64_t{1} << 40);
  writer.Double(1.5);
  writer.String(reinterpret_cast<const uint8_t*>("abc"), 3);
  writer.Bytes(reinterpret_cast<const uint8_t*>("abc"), 3);
  writer.DateTime(5);
  writer.DateTime(5000);
  writer.Uuid(reinterpret_cast<const uint8_t*>("0123456789abcdef"));
  writer.Container(1, 5);
  for (size_t size = 0; size < wire.size(); ++size) {
    const Exact exact(Bytes(wire.begin(), wire.begin() + static_cast<ptrdiff_t>(size)));
    WireReader reader(exact.data.get(), exact.size);
    CHECK_CODE(reader.Skip(), ARG);
    CHECK_EQ(reader.position(), 0u);
  }
  CHECK_OK(WireReader(wire.data(), wire.size()).Skip());
}

// The decoder that the fast one is compared with: one code point at a time, by the definition.
bool IsUtf8Slowly(const Bytes& b) {
  for (size_t i = 0; i < b.size();) {
    const uint32_t lead = b[i];
    size_t n = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (n == 0 || i + n > b.size()) return false;
    uint32_t c = n == 1 ? lead : lead & (0x7fu >> n);
    for (size_t j = 1; j < n; ++j) {
      if (b[i + j] >> 6 != 2) return false;
      c = c << 6 | (b[i + j] & 0x3fu);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < kLeast[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
    i += n;
  }
  return true;
}

TEST(Utf8AgreesWithTheDefinition) {
  // Every lead and second byte, with good and bad tails, at different distances from the word-wise path.
  for (uint32_t a = 0; a < 256; ++a) {
    for (uint32_t b = 0; b < 256; ++b) {
      for (const uint8_t c : std::initializer_list<uint8_t>{0x00, 0x7f, 0x80, 0xbf, 0xc0}) {
        for (const size_t lead : {0u, 5u, 9u}) {
          Bytes text(lead, 'x');
          text.push_back(static_cast<uint8_t>(a));
          const auto check = [&text] {
            const Exact exact(text);
            CHECK_EQ(IsUtf8(exact.data.get(), exact.size), IsUtf8Slowly(text));
          };
          check();
          text.push_back(static_cast<uint8_t>(b));
          check();
          text.push_back(c);
          check();
          text.push_back(0x80);
          check();
        }
      }
    }
  }
  for (int i = 0; i < 20000; ++i) {
    Bytes text(RandomBelow(80), 'y');
    for (uint64_t n = RandomBelow(3); n > 0 && !text.empty(); --n) text[RandomBelow(text.size())] = RandomByte();
    const Exact exact(text);
    CHECK_EQ(IsUtf8(exact.data.get(), exact.size), IsUtf8Slowly(text));
    bool ascii = true;
    for (const uint8_t c : text) ascii = ascii && c < 0x80;
    CHECK_EQ(IsAscii(exact.data.get(), exact.size), ascii);
  }
}

// UTF-8 of UTF-16, by the definition; false for a lone surrogate.
bool EncodeSlowly(const std::u16string& units, Bytes* utf8) {
  for (size_t i = 0; i < units.size(); ++i) {
    uint32_t c = units[i];
    if (c >= 0xdc00 && c < 0xe000) return false;
    if (c >= 0xd800 && c < 0xdc00) {
      if (i + 1 == units.size() || units[i + 1] < 0xdc00 || units[i + 1] >= 0xe000) return false;
      c = 0x10000 + (c - 0xd800) * 0x400 + (units[++i] - 0xdc00u);
    }
    const int tail = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    constexpr uint8_t kLead[] = {0, 0xc0, 0xe0, 0xf0};
    utf8->push_back(static_cast<uint8_t>(kLead[tail] | c >> (6 * tail)));
    for (int j = tail; j-- > 0;) utf8->push_back(static_cast<uint8_t>(0x80 | (c >> (6 * j) & 0x3f)));
  }
  return true;
}

void CheckEncoding(const std::u16string& text) {
  Bytes expected;
  const bool is_good = EncodeSlowly(text, &expected);
  const std::unique_ptr<char16_t[]> units(new char16_t[text.size()]);  // of exactly the right size, as is the room
  std::copy(text.begin(), text.end(), units.get());
  Bytes utf8(text.size() * kUtf8PerUnit);
  const size_t size = Utf8FromUtf16(units.get(), text.size(), utf8.data());
  if (!is_good) return CHECK_EQ(size, kLoneSurrogate);
  CHECK_EQ(size, expected.size());
  CHECK(std::equal(expected.begin(), expected.end(), utf8.begin()));
}

TEST(Utf16BecomesUtf8ByTheDefinition) {
  for (uint32_t unit = 0; unit < 0x10000; ++unit) {
    for (const size_t lead : {0u, 3u, 7u, 15u}) {  // in the large steps, the small ones, and behind them
      std::u16string text(lead, u'x');
      text.push_back(static_cast<char16_t>(unit));
      CheckEncoding(text);
      text.append(20, u'y');
      CheckEncoding(text);
    }
  }
  constexpr char16_t kBorders[] = {0x0041, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000};
  for (const char16_t a : kBorders) {
    for (const char16_t b : kBorders) {
      CheckEncoding({a, b});
      CheckEncoding({u'x', a, b, u'x'});
    }
  }
  for (int i = 0; i < 20000; ++i) {
    std::u16string text(RandomBelow(80), u'z');
    for (uint64_t n = RandomBelow(4); n > 0 && !text.empty(); --n)
      text[RandomBelow(text.size())] = static_cast<char16_t>(RandomBelow(0x10000));
    CheckEncoding(text);
  }
}

TEST(WireFuzz) {
  Bytes valid;
  WireWriter writer(&valid);
  writer.Dict(3);
  writer.String(reinterpret_cast<const uint8_t*>("key"), 3);
  writer.List(2);
  writer.BigInt(true, reinterpret_cast<const uint8_t*>("0123456789"), 10);
  writer.Double(0.1);
  writer.Tuple(1);
  writer.Null();
  writer.Bytes(reinterpret_cast<const uint8_t*>("0123456789"), 10);
  writer.Int(3);
  writer.Uuid(reinterpret_cast<const uint8_t*>("0123456789abcdef"));
  CHECK_OK(WireReader(valid.data(), valid.size()).Skip());
  for (int i = 0; i < 200000; ++i) {
    Bytes wire;
    if (i % 2 == 0) {
      wire = valid;
      for (uint64_t n = 1 + RandomBelow(4); n > 0; --n) wire[RandomBelow(wire.size())] = RandomByte();
    } else {
      wire.resize(RandomBelow(40));
      for (uint8_t& byte : wire) byte = static_cast<uint8_t>(RandomBelow(4) == 0 ? RandomByte() : RandomBelow(0x15));
    }
    const Exact exact(wire);
    WireReader reader(exact.data.get(), exact.size);
    WireItem item;
    for (;;) {
      const size_t before = reader.position();
      if (!reader.Next(&item).ok()) {
        CHECK_EQ(reader.position(), before);
        break;
      }
      uint8_t sum = 0;
      for (size_t j = 0; j < item.size; ++j) sum = static_cast<uint8_t>(sum + item.data[j]);  // touch all of it
      CHECK(sum == sum && reader.position() > before);
    }
    WireReader again(exact.data.get(), exact.size);
    static_cast<void>(again.Skip());
  }
}

// Beyond 2^53 milliseconds a double has no room for the last one.
TEST(ExtremeDatesKeepTheirLastMillisecond) {
  for (const int64_t date : {int64_t{9223372036854775000}, int64_t{-9223372036854775000}, int64_t{9123456789123451000}, int64_t{8640000000000000000}}) {
    std::vector<uint8_t> wire;
    WireWriter(&wire).DateTime(date);
    WireReader reader(wire.data(), wire.size());
    WireItem item;
    CHECK(reader.Next(&item).ok());
    CHECK_EQ(item.integer, date);
  }
}

}  // namespace
}  // namespace pongo
