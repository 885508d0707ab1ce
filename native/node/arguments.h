// JavaScript values on their way in. Each Read returns false with an exception pending.
//
// The common cases (string keys and values, numbers) allocate nothing. Primitives never run JavaScript; the elements of
// a path array can (a getter), so paths are read first. Borrowed bytes (wire, Uint8Array) belong to JavaScript and stay
// put only until the callback returns or runs JavaScript.
#ifndef PONGO_NODE_ARGUMENTS_H_
#define PONGO_NODE_ARGUMENTS_H_

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "database.h"
#include "format/key_codec.h"
#include "util/function_ref.h"

namespace pongo::node {

class Handle;

// An integer in [0, 2^53]; `name` is for the message.
bool ReadCount(const Handle& handle, napi_value value, const char* name, uint64_t* count);
// As above, but everything from 2^53 on, and infinity, is UINT64_MAX.
bool ReadLimit(const Handle& handle, napi_value value, const char* name, uint64_t* limit);

bool ReadKey(const Handle& handle, napi_value value, KeyBuffer* key);

// A Uint8Array; never null when true is returned.
struct Wire {
  const uint8_t* data = nullptr;
  size_t size = 0;
};
bool ReadWire(const Handle& handle, napi_value value, const char* name, Wire* wire);
// undefined leaves data null.
bool ReadOptionalWire(const Handle& handle, napi_value value, const char* name, Wire* wire);

// A Uint32Array; never null when true is returned.
struct Positions {
  const uint32_t* data = nullptr;
  size_t count = 0;
};
bool ReadPositions(const Handle& handle, napi_value value, const char* name, Positions* positions);

// Where a value is going, for the message when it cannot be stored.
using PlaceText = FunctionRef<std::string()>;
inline constexpr auto kNowhere = [] { return std::string(); };

// The text of a string: in the inline room if it is short, else on the heap. A lone surrogate: VALUE. Before data() are
// kSpare bytes to write to, so that a key tag can be put in front of the text where it is.
class StringArgument {
 public:
  enum class Outcome { kRead, kNotString, kFailed };
  // kFailed has an exception pending; kNotString has not. Call it once.
  Outcome TryRead(const Handle& handle, napi_value value, PlaceText place = kNowhere);
  bool Read(const Handle& handle, napi_value value, const char* name);
  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  std::string ToString() const { return std::string(reinterpret_cast<const char*>(data_), size_); }

 private:
  friend class ValueArgument;  // keeps the words of a bigint in the same room
  static constexpr size_t kInline = 1024;
  static constexpr size_t kSpare = 8;
  bool Grow(const Handle& handle, size_t size);
  uint8_t* data_ = inline_ + kSpare;
  size_t size_ = 0;
  std::unique_ptr<uint8_t[]> heap_;
  alignas(8) uint8_t inline_[kSpare + kInline];
};

// A NativeValue. The input refers to this object, which must stay where it is.
class ValueArgument {
 public:
  ValueArgument() = default;
  ValueArgument(const ValueArgument&) = delete;
  ValueArgument& operator=(const ValueArgument&) = delete;
  bool Read(const Handle& handle, napi_value value, PlaceText place = kNowhere);
  // A number or bigint.
  bool ReadNumber(const Handle& handle, napi_value value);
  const Input& input() const { return input_; }

 private:
  void SetNumber(double number);
  bool SetBigInt(const Handle& handle, napi_value value);
  Input input_;
  StringArgument room_;
};

// A NativeValue, or undefined: then input() is null.
class OptionalValue {
 public:
  bool Read(const Handle& handle, napi_value value, PlaceText place = kNowhere);
  const Input* input() const { return given_ ? &value_.input() : nullptr; }

 private:
  ValueArgument value_;
  bool given_ = false;
};

// The step that a segment makes: its key, and the index that it is for a List.
PathStep StepOf(napi_env env, napi_value segment, const Key& key);
// For messages: the segments with dots between them.
std::string DescribePath(const PathStep* steps, size_t count);

// A path: an array of keys, or a string that is split at a separator (not split when that is empty).
class PathArgument {
 public:
  PathArgument() = default;
  PathArgument(const PathArgument&) = delete;
  PathArgument& operator=(const PathArgument&) = delete;
  bool Read(const Handle& handle, napi_value path, napi_value separator);
  const PathStep* steps() const { return steps_; }
  size_t count() const { return count_; }
  std::string Describe() const { return DescribePath(steps_, count_); }

 private:
  static constexpr size_t kInline = 8;
  PathStep* AddStep();
  void Split(const StringArgument& separator);
  bool ReadArray(const Handle& handle, napi_value path);
  PathStep* steps_ = inline_;
  size_t count_ = 0;
  StringArgument text_;          // of a string path
  std::vector<uint8_t> keys_;    // ordered forms and forms of an array path
  std::vector<PathStep> heap_;
  PathStep inline_[kInline];
};

}  // namespace pongo::node

#endif  // PONGO_NODE_ARGUMENTS_H_
