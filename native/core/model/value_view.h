// What crosses the facade: kinds, values, keys and paths, without memory of their own.
#ifndef PONGO_MODEL_VALUE_VIEW_H_
#define PONGO_MODEL_VALUE_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "format/key.h"
#include "util/function_ref.h"

namespace pongo {

enum class Kind : uint8_t { kNone = 0, kDict = 1, kList = 2, kCollection = 3, kMulti = 4 };

inline constexpr uint64_t kRootId = 1;
inline constexpr uint64_t kShapesId = 2;  // the registry of shapes (model/shapes.h), never shown
inline constexpr uint64_t kCompanionsId = 3;  // the registry of companions (model/companion.h), never shown

// A value as it is read: scalars by value, the rest borrowed from the mapped file. The borrowed bytes are valid only
// inside the callback that received the view.
struct ValueView {
  enum class Type : uint8_t {
    kAbsent, kNull, kFalse, kTrue, kInt, kDouble, kBigInt, kDateTime, kUuid, kString, kBytes, kContainer
  };
  Type type = Type::kAbsent;
  Kind kind = Kind::kNone;      // kContainer
  bool negative = false;        // kBigInt: magnitude in data, least significant byte first
  union {
    int64_t integer;            // kInt, kDateTime (microseconds)
    double number;              // kDouble
    uint64_t id;                // kContainer
  };
  const uint8_t* data = nullptr;  // kString, kBytes, kUuid, kBigInt
  size_t size = 0;
  uint64_t inline_bytes = 0;      // where data points for a string that was stored inside its word: do not copy the view
  ValueView() : integer(0) {}
};

// A value on its way in: a view of a primitive, or a whole plain value in wire form (format/wire.h).
struct Input {
  ValueView view;                  // used when wire is null
  const uint8_t* wire = nullptr;
  size_t wire_size = 0;
};

// One step of a path: a key for keyed containers and, when is_index, an index for Lists.
struct PathStep {
  Key key;
  int64_t index = 0;
  bool is_index = false;
};

// kSetKeepExpiry: an entry that is present keeps its expiry; without it a write removes it.
enum SetFlags : uint32_t { kSetFailIfPresent = 1, kSetSync = 2, kSetKeepExpiry = 4 };

// When an entry shall expire: never, so long after the instant of the transaction, or at an instant since 1970.
struct Expiry {
  enum class Kind : uint8_t { kNever, kAfter, kAt };
  Kind kind = Kind::kNever;
  int64_t microseconds = 0;
};

enum BoundFlags : uint32_t { kLower = 1, kLowerInclusive = 2, kUpper = 4, kUpperInclusive = 8, kPrefix = 16 };

using ValueVisitor = FunctionRef<void(const ValueView&)>;
using EntryVisitor = FunctionRef<bool(const Key&, const ValueView&)>;  // false: stop

}  // namespace pongo

#endif  // PONGO_MODEL_VALUE_VIEW_H_
