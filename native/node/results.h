// Values and keys of the core on their way out to JavaScript.
//
// Two steps, because no JavaScript may run while the core calls a visitor (it could use the session again). Capture,
// inside the visitor, copies what is borrowed into JavaScript values, which runs no code of the program; Release, after
// the core call has returned, calls the hooks for containers and UUIDs.
#ifndef PONGO_NODE_RESULTS_H_
#define PONGO_NODE_RESULTS_H_

#include <node_api.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "database.h"
#include "handle.h"
#include "format/key.h"
#include "handle.h"

namespace pongo::node {

// A cell of the pidcache until a proxy, or whoever takes it, is responsible for it: an operation may fail after its visitor ran.
class CellHold {
 public:
  CellHold() = default;
  CellHold(const Handle* handle, uint32_t cell) : handle_(handle), cell_(cell) {}
  CellHold(CellHold&& other) noexcept : handle_(other.handle_), cell_(other.Take()) {}
  CellHold& operator=(CellHold&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~CellHold() {
    if (cell_ != kNoCell) [[unlikely]] GiveBack();
  }
  uint32_t Take() { return std::exchange(cell_, kNoCell); }

 private:
  void GiveBack();
  const Handle* handle_ = nullptr;
  uint32_t cell_ = kNoCell;
};

struct Captured {
  napi_value value = nullptr;  // null: nothing was found, a container, or a failure
  Kind kind = Kind::kNone;     // not kNone: a container, and `id` is its id
  bool is_uuid = false;        // value holds the bytes
  uint64_t id = 0;
  CellHold cell;               // keeps the container alive until its proxy says otherwise
  const char* failure = nullptr;  // a literal: why JavaScript cannot hold the value
};

void Capture(const Handle& handle, const ValueView& view, Captured* captured);

// The JavaScript value: undefined when nothing was found. Null with an exception pending on failure.
napi_value Release(const Handle& handle, uint64_t view, Captured& captured);

// The JavaScript form of a key. Calls hooks: only after the core call. Null with an exception pending on failure.
napi_value MakeKey(const Handle& handle, const Key& key);
napi_value CallHook(const Handle& handle, Hook hook, size_t count, const napi_value* arguments);

// Integers are numbers when safe, else bigints. Null when the engine refused.
napi_value MakeInteger(napi_env env, int64_t integer);
napi_value MakeBytes(napi_env env, const uint8_t* bytes, size_t size);
// A Float64Array. Null when the engine refused.
napi_value MakeNumbers(napi_env env, const std::vector<double>& numbers);
// ASCII takes a shorter way through the engine. Null when the string is too long for it.
napi_value MakeString(napi_env env, const uint8_t* utf8, size_t size);

inline constexpr int64_t kSafeMax = (int64_t{1} << 53) - 1;
inline constexpr double kDateMax = 8.64e15;  // milliseconds: the range of a JavaScript Date
// Rounds down.
double Milliseconds(int64_t microseconds);
// Decodes one character of two to four bytes of UTF-8 at `at`, which is not ASCII; 0 when it is not valid.
char32_t DecodeCharacter(const uint8_t* at, size_t remaining, size_t* size);
// A creation that failed may have left a RangeError pending; ours replaces it.
void DropException(napi_env env);

// A key on its way out: what only the hooks can make waits for Release.
class CapturedKey {
 public:
  // Inside the visitor.
  void Read(const Handle& handle, const Key& key);
  // After the core call. Null with an exception pending on failure.
  napi_value Release(const Handle& handle) const;

 private:
  napi_value value_ = nullptr;
  std::vector<uint8_t> waiting_;  // ordered form and form bytes
  uint32_t size_ = 0;             // of the ordered form
};

// A few entries with live values: [key, value, ...].
class EntryList {
 public:
  EntryList(const Handle& handle, uint64_t view) : handle_(handle), view_(view) {}
  // Inside the visitor.
  void Add(const Key& key, const ValueView& value);
  bool empty() const { return entries_.empty(); }
  // After the core call: a flat array. Null with an exception pending on failure.
  napi_value Release();

 private:
  struct Entry {
    CapturedKey key;
    Captured value;
  };
  const Handle& handle_;
  const uint64_t view_;
  std::vector<Entry> entries_;
};

}  // namespace pongo::node

#endif  // PONGO_NODE_RESULTS_H_
