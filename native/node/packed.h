// Many values on their way out at once, for lib/packed.ts, which describes the form.
//
// V8 takes as long to make a string, or to put a value into an array or object, as the engine takes to find it. So texts cross as parts
// of a few longer strings, which JavaScript cuts (without copying, where that is worth it), and everything else that is a number, a date
// or a constant in one Float64Array. Only what fits neither crosses by itself.
//
// A part of a string keeps the whole of it in memory: kTextMax bounds what a value that is kept can hold on to.
#ifndef PONGO_NODE_PACKED_H_
#define PONGO_NODE_PACKED_H_

#include <node_api.h>

#include <cstdint>
#include <vector>

#include "handle.h"
#include "results.h"

namespace pongo::node {

inline constexpr size_t kTextMax = 4096;

// What the first number of a pair says; the second is its number. Texts of a record: kText + length. Texts of a page: kText + 2 * length,
// + 1 when they are in the wide strings.
enum PackedKind : uint8_t {
  kNullKind = 0,
  kFalseKind = 1,
  kTrueKind = 2,
  kNumberKind = 3,
  kDateKind = 4,
  kOtherKind = 5,   // the next of what crosses by itself
  kRecordKind = 6,  // the number is the shape; its pairs follow; its text is the next of what crosses by itself
  kWireKind = 7,    // as kOtherKind, to be decoded
  kTextKind = 16,
};

// One plain copy.
class PlainResult final : public PlainSink {
 public:
  explicit PlainResult(const Handle& handle) : handle_(handle), room_(handle.packed_room()) { room_.numbers.clear(); }
  void Primitive(const ValueView& value) override { Capture(handle_, value, &captured_); }
  bool Record(uint64_t shape, const ValueView* values, uint32_t count) override;
  void Wire(std::vector<uint8_t> wire) override;
  // After the core call; fills handle.record_numbers(). Null with an exception pending on failure.
  napi_value Release(uint64_t view);

 private:
  const Handle& handle_;
  PackedRoom& room_;
  Captured captured_;
};

// The entries that a scan visits, by columns of `what`: 1 keys, 2 values, 3 both; + 4: containers as plain copies.
class PackedPage final : public PlainSink {
 public:
  PackedPage(const Handle& handle, uint64_t view, uint32_t what);
  // The entries have no keys but positions: from `start` in steps of `step`.
  void CountFrom(uint64_t start, int step) {
    position_ = static_cast<double>(start);
    step_ = step;
  }
  // Inside the visitor: the key, then the value, live or plain.
  void AddKey(const Key& key);
  void AddLive(const ValueView& value);
  void Primitive(const ValueView& value) override { AddLive(value); }
  bool Record(uint64_t shape, const ValueView* values, uint32_t count) override;
  void Wire(std::vector<uint8_t> wire) override;
  // After the core call: [numbers, narrow strings, wide strings, others]. Null with an exception pending on failure.
  napi_value Release();

 private:
  struct Other {
    Captured value;
    CapturedKey key;
    bool is_key = false;
  };
  void Put(double kind, double number) {
    room_.numbers.push_back(kind);
    room_.numbers.push_back(number);
  }
  bool PutText(const uint8_t* utf8, size_t size);
  void FlushNarrow();
  void FlushWide();
  Captured* PutOther(PackedKind kind);
  napi_value ArrayOf(const std::vector<napi_value>& values);

  const Handle& handle_;
  const uint64_t view_;
  const uint32_t what_;
  PackedRoom& room_;
  double position_ = 0;
  int step_ = 1;
  std::vector<napi_value> narrow_;
  std::vector<napi_value> wide_;
  std::vector<Other> others_;
};

}  // namespace pongo::node

#endif  // PONGO_NODE_PACKED_H_
