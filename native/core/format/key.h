// Keys: one total order for every language, and the bytes that carry it.
//
// The ordered form compares with memcmp as the keys do:
//   null < false < true < numbers < datetimes < UUIDs < strings (code points) < bytes < tuples.
// Integers and floats are ordered together and exactly; 1 and 1.0 have the same ordered form. Which of the two was stored
// (the first stored form stays) is kept apart in `form`, which takes no part in comparison. A top-level key has no
// terminator; inside a tuple each element delimits itself. key_codec.h builds and reads the ordered form.
#ifndef PONGO_FORMAT_KEY_H_
#define PONGO_FORMAT_KEY_H_

#include <cstdint>
#include <cstring>

namespace pongo {

// A key in its ordered form, borrowed. `form` is empty unless some number in the key is a float with an integer value.
struct Key {
  const uint8_t* data = nullptr;
  uint32_t size = 0;        // bytes of the ordered form
  uint32_t form_size = 0;   // bytes of `form`
  const uint8_t* form = nullptr;
};

// Three-way comparison of two ordered forms.
inline int CompareBytes(const uint8_t* a, uint32_t a_size, const uint8_t* b, uint32_t b_size) {
  const uint32_t n = a_size < b_size ? a_size : b_size;
  const int c = n == 0 ? 0 : std::memcmp(a, b, n);
  if (c != 0) return c;
  return a_size < b_size ? -1 : a_size > b_size ? 1 : 0;
}

}  // namespace pongo

#endif  // PONGO_FORMAT_KEY_H_
