// Plain copies: what a container holds, without identity. Used by bindings that want data, not live objects.
//
// A record is a Dict that shares its names (model/shapes.h) and holds primitives alone: a binding can make it from the names, which
// it has seen before, and the values. Everything else comes in wire form.
#ifndef PONGO_MODEL_PLAIN_H_
#define PONGO_MODEL_PLAIN_H_

#include <cstdint>
#include <vector>

#include "format/key.h"
#include "model/operations.h"
#include "model/value_view.h"
#include "util/function_ref.h"
#include "util/status.h"

namespace pongo {

// Receives one value at a time, while the version that it came from cannot be reclaimed.
class PlainSink {
 public:
  // What is borrowed is valid only inside the call.
  virtual void Primitive(const ValueView& value) = 0;
  // The values are in the order of the names, which `shape` stands for as long as the file is open. False: rather in wire form.
  virtual bool Record(uint64_t shape, const ValueView* values, uint32_t count) = 0;
  virtual void Wire(std::vector<uint8_t> wire) = 0;

 protected:
  ~PlainSink() = default;
};

// The plain copy of a container. KEY: there is none; TYPE: a cycle; DEPTH. O(size).
Status CopyPlain(const ReadView& view, uint64_t id, PlainSink* sink);
// The plain copy of the value of a key; no call when the key is absent. O(log n + size of the value).
Status CopyPlainValue(const ReadView& view, uint64_t id, const Key& key, PlainSink* sink);
// The names of a shape that Record has named, in order.
Status VisitShapeNames(Mapping* mapping, uint64_t shape, FunctionRef<void(const Key& name)> visit);

}  // namespace pongo

#endif  // PONGO_MODEL_PLAIN_H_
