// Exact arithmetic for increments.
#ifndef PONGO_MODEL_NUMBERS_H_
#define PONGO_MODEL_NUMBERS_H_

#include <cstdint>
#include <vector>

#include "model/value_view.h"
#include "util/status.h"

namespace pongo {

// A sum; the view may borrow from `magnitude`.
struct NumberSum {
  ValueView view;
  std::vector<uint8_t> magnitude;
};

// Integers of any size add exactly and stay integers; as soon as one side is a float the sum is a float. TYPE when a side is
// no number.
Status AddNumbers(const ValueView& a, const ValueView& b, NumberSum* sum);

}  // namespace pongo

#endif  // PONGO_MODEL_NUMBERS_H_
