// Values and keys of the core on their way out to JavaScript.
//
// Two steps, because no JavaScript may run while the core calls a visitor (it could use the session again). Capture,
// inside the visitor, copies what is borrowed into JavaScript values, which runs no code of the program; Release, after
// the core call has returned, calls the hooks for containers and UUIDs.
#ifndef PONGO_NODE_RESULTS_H_
#define PONGO_NODE_RESULTS_H_

#include <node_api.h>

#include <cstdint>
#include <vector>

#include "database.h"
#include "handle.h"
#include "format/key.h"

namespace pongo::node {

struct Captured {
  napi_value value = nullptr;  // null: nothing was found, a container, or a failure
  Kind kind = Kind::kNone;     // not kNone: a container, and `id` is its id
  bool is_uuid = false;        // value holds the bytes
  uint64_t id = 0;
  uint32_t cell = kNoCell;     // keeps the container alive until its proxy says otherwise
  const char* failure = nullptr;  // a literal: why JavaScript cannot hold the value
};

void Capture(const Handle& handle, const ValueView& view, Captured* captured);

// Plain copies on their way to lib/plain.ts, which describes the form. A record becomes one string, of all its texts, and numbers: V8
// takes as long to make a string, or to put a value into an array or object, as the engine takes to find the document.
class PlainResult final : public PlainSink {
 public:
  explicit PlainResult(const Handle& handle) : handle_(handle), room_(handle.plain_room()) { room_.numbers.clear(); }
  // Where the next value goes, and which number of the page it has.
  void Into(Captured* captured, uint32_t index) {
    captured_ = captured;
    index_ = index;
  }
  void Primitive(const ValueView& value) override { Capture(handle_, value, captured_); }
  bool Record(uint64_t shape, const ValueView* values, uint32_t count) override;
  void Wire(std::vector<uint8_t> wire) override;
  const std::vector<double>& numbers() const { return room_.numbers; }

 private:
  bool AddText(const ValueView& value);
  void Widen();
  const Handle& handle_;
  Captured* captured_ = nullptr;
  uint32_t index_ = 0;
  PlainRoom& room_;
  bool is_wide_ = false;
};

// The JavaScript value: undefined when nothing was found. Null with an exception pending on failure.
napi_value Release(const Handle& handle, uint64_t view, const Captured& captured);

// Integers are numbers when safe, else bigints. Null when the engine refused.
napi_value MakeInteger(napi_env env, int64_t integer);
napi_value MakeBytes(napi_env env, const uint8_t* bytes, size_t size);
// A Float64Array. Null when the engine refused.
napi_value MakeNumbers(napi_env env, const std::vector<double>& numbers);
// ASCII takes a shorter way through the engine. Null when the string is too long for it.
napi_value MakeString(napi_env env, const uint8_t* utf8, size_t size);

// The entries that a scan visits, by columns of `what`: 1 keys, 2 values, 3 both.
class EntryList {
 public:
  EntryList(const Handle& handle, uint64_t view, uint32_t what) : handle_(handle), view_(view), what_(what) {}
  // The entries have no keys but positions: from `start` in steps of `step`.
  void CountFrom(uint64_t start, int step) {
    position_ = static_cast<int64_t>(start);
    step_ = step;
  }
  // Inside the visitor.
  void Add(const Key& key, const ValueView& value);
  // For plain copies: the key, and where its value goes.
  Captured* AddKey(const Key& key);
  bool empty() const { return entries_.empty(); }
  // After the core call: a flat array. Null with an exception pending on failure.
  napi_value Release();

 private:
  struct Entry {
    Captured value;
    napi_value key = nullptr;
    // A key that only the hooks can make waits here for Release: its bytes in waiting_.
    size_t offset = 0;
    uint32_t size = 0;
    uint32_t form_size = 0;
  };
  Entry& Append(const Key& key);
  napi_value ReleaseKey(const Entry& entry);
  const Handle& handle_;
  const uint64_t view_;
  const uint32_t what_;
  int64_t position_ = 0;
  int step_ = 1;
  std::vector<Entry> entries_;
  std::vector<uint8_t> waiting_;
};

}  // namespace pongo::node

#endif  // PONGO_NODE_RESULTS_H_
