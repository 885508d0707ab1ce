#include "model/numbers.h"

#include <algorithm>
#include <cmath>

#include "util/bits.h"

namespace pongo {
namespace {

using Type = ValueView::Type;

// Sign and magnitude, least significant byte first, without leading zeros.
struct Integer {
  bool negative = false;
  std::vector<uint8_t> bytes;
};

Integer ToInteger(const ValueView& view) {
  Integer integer;
  if (view.type == Type::kBigInt) {
    integer.negative = view.negative;
    integer.bytes.assign(view.data, view.data + view.size);
  } else {
    integer.negative = view.integer < 0;
    uint64_t magnitude = integer.negative ? 0 - static_cast<uint64_t>(view.integer) : static_cast<uint64_t>(view.integer);
    for (; magnitude != 0; magnitude >>= 8) integer.bytes.push_back(static_cast<uint8_t>(magnitude));
  }
  while (!integer.bytes.empty() && integer.bytes.back() == 0) integer.bytes.pop_back();
  return integer;
}

double ToDouble(const ValueView& view) {
  if (view.type == Type::kDouble) return view.number;
  if (view.type == Type::kInt) return static_cast<double>(view.integer);
  // The top 64 bits with a sticky last bit round as the whole number would.
  size_t size = view.size;
  while (size > 0 && view.data[size - 1] == 0) size--;
  uint64_t top = 0;
  bool sticky = false;
  for (size_t i = size; i-- > 0;) {
    if (size - i <= 8)
      top = (top << 8) | view.data[i];
    else
      sticky = sticky || view.data[i] != 0;
  }
  int exponent = size > 8 ? static_cast<int>(std::min<size_t>(size - 8, 1000)) * 8 : 0;
  // Leave room for the sticky bit without losing one: 62 significant bits are more than enough for a double.
  sticky = sticky || (top & 3) != 0;
  const uint64_t rounded = size > 8 ? (top & ~uint64_t{3}) | (sticky ? 1 : 0) : top;
  const double value = std::ldexp(static_cast<double>(rounded), exponent);
  return view.negative ? -value : value;
}

int CompareMagnitude(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  for (size_t i = a.size(); i-- > 0;)
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  return 0;
}

std::vector<uint8_t> AddMagnitude(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  std::vector<uint8_t> sum;
  unsigned carry = 0;
  for (size_t i = 0; i < std::max(a.size(), b.size()) || carry != 0; i++) {
    carry += (i < a.size() ? a[i] : 0u) + (i < b.size() ? b[i] : 0u);
    sum.push_back(static_cast<uint8_t>(carry));
    carry >>= 8;
  }
  return sum;
}

// a - b, for a >= b.
std::vector<uint8_t> SubtractMagnitude(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  std::vector<uint8_t> difference;
  int borrow = 0;
  for (size_t i = 0; i < a.size(); i++) {
    int digit = a[i] - (i < b.size() ? b[i] : 0) - borrow;
    borrow = digit < 0 ? 1 : 0;
    difference.push_back(static_cast<uint8_t>(digit + (borrow != 0 ? 256 : 0)));
  }
  while (!difference.empty() && difference.back() == 0) difference.pop_back();
  return difference;
}

bool IsNumber(const ValueView& view) {
  return view.type == Type::kInt || view.type == Type::kDouble || view.type == Type::kBigInt;
}

}  // namespace

Status AddNumbers(const ValueView& a, const ValueView& b, NumberSum* sum) {
  if (!IsNumber(a)) return Status(Code::kTYPE, "the stored value is not a number");
  if (!IsNumber(b)) return Status(Code::kTYPE, "the increment is not a number");
  sum->view.data = nullptr;
  sum->view.size = 0;
  if (a.type == Type::kDouble || b.type == Type::kDouble) {
    sum->view.type = Type::kDouble;
    sum->view.number = ToDouble(a) + ToDouble(b);
    return Status::Ok();
  }
  int64_t small;
  if (a.type == Type::kInt && b.type == Type::kInt && !__builtin_add_overflow(a.integer, b.integer, &small)) {
    sum->view.type = Type::kInt;
    sum->view.integer = small;
    return Status::Ok();
  }
  const Integer x = ToInteger(a);
  const Integer y = ToInteger(b);
  bool negative = x.negative;
  if (x.negative == y.negative) {
    sum->magnitude = AddMagnitude(x.bytes, y.bytes);
  } else if (CompareMagnitude(x.bytes, y.bytes) >= 0) {
    sum->magnitude = SubtractMagnitude(x.bytes, y.bytes);
  } else {
    sum->magnitude = SubtractMagnitude(y.bytes, x.bytes);
    negative = y.negative;
  }
  // What fits int64 is stored as such: one value has one form.
  if (sum->magnitude.size() <= 8) {
    uint64_t magnitude = 0;
    for (size_t i = sum->magnitude.size(); i-- > 0;) magnitude = (magnitude << 8) | sum->magnitude[i];
    constexpr uint64_t kLimit = uint64_t{1} << 63;
    if (negative ? magnitude <= kLimit : magnitude < kLimit) {
      sum->view.type = Type::kInt;
      sum->view.integer = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
      return Status::Ok();
    }
  }
  sum->view.type = Type::kBigInt;
  sum->view.negative = negative;
  sum->view.data = sum->magnitude.data();
  sum->view.size = sum->magnitude.size();
  return Status::Ok();
}

}  // namespace pongo
