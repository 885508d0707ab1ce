// Python objects to keys and values of the engine, and back.
//
// On the way in everything that runs Python code happens before the engine is called. On the way out a visitor runs inside
// the engine, where no Python code may run (it could use the session): it makes only objects whose creation cannot start
// Python's garbage collector, and remembers the rest for later.
#ifndef PONGO_PYTHON_CONVERT_H_
#define PONGO_PYTHON_CONVERT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "format/key_codec.h"
#include "format/wire_writer.h"
#include "handle.h"

namespace pongo::python {

// Before anything else. False with an exception set.
bool PrepareInput();
bool PrepareOutput();

// -- in; each returns false with an exception set --

bool ReadKey(HandleObject* handle, PyObject* object, KeyBuffer* key);

// The text of a str in UTF-8: borrowed from the object, or kept here.
class Utf8 {
 public:
  bool Read(PyObject* string);
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  Owned encoded_;
};

// A value. The input refers to this object and to `value`, which must stay.
class ValueIn {
 public:
  ValueIn() = default;
  ValueIn(const ValueIn&) = delete;
  ValueIn& operator=(const ValueIn&) = delete;
  // `place` names where the value goes, for messages: a key or a path, or null.
  bool Read(HandleObject* handle, PyObject* value, PyObject* place);
  // The same, always in wire form: a list or dict of several values.
  bool ReadWire(HandleObject* handle, PyObject* value, PyObject* place);
  // Live containers as what they hold: for comparisons.
  bool ReadContents(HandleObject* handle, PyObject* value, PyObject* place);
  // A number that was read in wire form, as a view. False with an exception set when it is none.
  bool Unwrap();
  const Input& input() const { return input_; }
  const std::vector<uint8_t>& wire() const { return wire_; }

 private:
  Input input_;
  Utf8 text_;
  std::vector<uint8_t> wire_;
  Owned kept_;   // containers that were made on the way: nothing else holds them yet
};

// A path: a str that is split at a separator, or a list (not a tuple: that is one key).
class PathIn {
 public:
  PathIn() = default;
  PathIn(const PathIn&) = delete;
  PathIn& operator=(const PathIn&) = delete;
  bool Split(const Utf8& text, const Utf8& separator);
  bool ReadList(HandleObject* handle, PyObject* list);
  const PathStep* steps() const { return steps_.data(); }
  size_t count() const { return steps_.size(); }

 private:
  void Point();
  std::vector<uint8_t> keys_;
  std::vector<PathStep> steps_;
};

// The seconds since 1970 of a datetime, in microseconds.
bool ReadDateTime(PyObject* datetime, int64_t* microseconds);

// -- out --

// What a visitor has seen. Give it to Release outside of the engine, once.
class Captured {
 public:
  Captured() = default;
  Captured(Captured&& other) noexcept;
  Captured& operator=(Captured&&) = delete;
  ~Captured();
  // To be called by the visitor; again when the operation was run again.
  void Take(HandleObject* handle, const ValueView& view);
  bool present() const { return type_ != ValueView::Type::kAbsent; }
  // The object; null with an exception set, or null without one when nothing was visited. Live containers are shown in
  // `snapshot` (null: live).
  PyObject* Release(HandleObject* handle, SnapshotObject* snapshot);

 private:
  void Drop();
  HandleObject* handle_ = nullptr;
  PyObject* value_ = nullptr;
  ValueView::Type type_ = ValueView::Type::kAbsent;
  Kind kind_ = Kind::kNone;
  bool negative_ = false;
  uint32_t cell_ = kNoCell;
  uint64_t id_ = 0;
  uint8_t uuid_[16];
};

// A key, with Python code running (UUIDs).
PyObject* MakeKey(HandleObject* handle, const Key& key);
// What a dict becomes: a dict, or a tuple of pairs, in which keys that are equal in Python (True and 1) have room.
enum class DictForm : uint8_t { kDict, kPairs };
// A plain value from the wire form.
PyObject* MakePlain(HandleObject* handle, const std::vector<uint8_t>& wire, DictForm form = DictForm::kDict);
PyObject* MakeUuid(HandleObject* handle, const uint8_t bytes[16]);
// Null with an exception set: ValueError beyond Python's years.
PyObject* MakeDateTime(int64_t microseconds);
// An integer of any size; magnitude least significant byte first.
PyObject* MakeBigInt(bool negative, const uint8_t* magnitude, size_t size);

// Entries as a visitor sees them.
class EntryList {
 public:
  explicit EntryList(HandleObject* handle) : handle_(handle) {}
  bool Add(const Key& key, const ValueView& value);
  size_t size() const { return entries_.size(); }
  // keys, values, or both as tuples.
  PyObject* Release(SnapshotObject* snapshot, bool keys, bool values);
  // One of them, a strong reference each; the entry is used up.
  Key KeyAt(size_t i) const;
  PyObject* ReleaseKey(size_t i);
  PyObject* ReleaseValue(size_t i, SnapshotObject* snapshot);
  void Clear();

 private:
  struct Entry {
    size_t offset;
    uint32_t size;
    uint32_t form_size;
    Captured value;
  };
  HandleObject* handle_;
  std::vector<Entry> entries_;
  std::vector<uint8_t> bytes_;
};

}  // namespace pongo::python

#endif  // PONGO_PYTHON_CONVERT_H_
