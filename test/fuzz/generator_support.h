// What the files of the generator share.
#ifndef PONGO_TEST_FUZZ_GENERATOR_SUPPORT_H_
#define PONGO_TEST_FUZZ_GENERATOR_SUPPORT_H_

#include <cstdlib>
#include <string>
#include <vector>

#include "format/wire_writer.h"
#include "test/fuzz/generator.h"

namespace pongo::test {

// A copy of a key.
inline KeyText TextOf(const Key& key) {
  KeyText text;
  text.bytes.assign(reinterpret_cast<const char*>(key.data), key.size);
  if (key.form_size != 0) text.form.assign(reinterpret_cast<const char*>(key.form), key.form_size);
  return text;
}

inline const uint8_t* BytesOf(const std::string& text) { return reinterpret_cast<const uint8_t*>(text.data()); }

inline void WritePrimitive(const Value& value, WireWriter* writer) {
  ValueView view;
  value.View(0, Kind::kNone, &view);
  const auto size = static_cast<uint32_t>(view.size);
  switch (value.type) {
    case ValueView::Type::kNull: writer->Null(); break;
    case ValueView::Type::kFalse: writer->Bool(false); break;
    case ValueView::Type::kTrue: writer->Bool(true); break;
    case ValueView::Type::kInt: writer->Int(view.integer); break;
    case ValueView::Type::kDouble: writer->Double(view.number); break;
    case ValueView::Type::kBigInt: writer->BigInt(view.negative, view.data, size); break;
    case ValueView::Type::kDateTime: writer->DateTime(view.integer); break;
    case ValueView::Type::kUuid: writer->Uuid(view.data); break;
    case ValueView::Type::kString: writer->String(view.data, size); break;
    case ValueView::Type::kBytes: writer->Bytes(view.data, size); break;
    default: std::abort();
  }
}

// The steps of a path, for the facade; they borrow.
inline std::vector<PathStep> Borrow(const std::vector<Step>& steps) {
  std::vector<PathStep> borrowed;
  for (const Step& step : steps) {
    PathStep one;
    one.key = step.key.key();
    one.is_index = step.is_index;
    one.index = step.index;
    borrowed.push_back(one);
  }
  return borrowed;
}

inline std::string Yes(bool yes) { return yes ? " yes" : " no"; }

}  // namespace pongo::test

#endif  // PONGO_TEST_FUZZ_GENERATOR_SUPPORT_H_
