// How the core reports failure: values, never exceptions.
//
// Bad bytes, full disks, dead peers and wrong arguments are statuses. Only broken code asserts (util/check.h).
// A Status is two words and trivially copyable; its text is a string literal, so the hot path never allocates. What is
// known only at run time (a path, an errno) is added by the layer that knows it.
#ifndef PONGO_UTIL_STATUS_H_
#define PONGO_UTIL_STATUS_H_

#include <cstdint>
#include <utility>

namespace pongo {

enum class Code : uint8_t {
  kOK = 0,
#define CODE(name, text) k##name,
#include "util/codes.def"
#undef CODE
};

// The name of a code without prefix: "KEY".
const char* CodeName(Code code);

class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  // `text` must outlive the status: a literal. `os_error` is an errno, or 0.
  constexpr Status(Code code, const char* text, int os_error = 0) : text_(text), os_error_(os_error), code_(code) {}

  static constexpr Status Ok() { return Status(); }
  constexpr bool ok() const { return code_ == Code::kOK; }
  constexpr Code code() const { return code_; }
  constexpr const char* text() const { return text_; }
  constexpr int os_error() const { return os_error_; }

 private:
  const char* text_ = "";
  int os_error_ = 0;
  Code code_ = Code::kOK;
};

// A value or the reason why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit by design
  Result(Status status) : status_(status) {}             // NOLINT: implicit by design
  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  T& value() { return value_; }
  const T& value() const { return value_; }

 private:
  T value_{};
  Status status_;
};

// Propagates a failure to the caller.
#define PONGO_TRY(expression)                            \
  do {                                                   \
    if (::pongo::Status pongo_status_ = (expression); !pongo_status_.ok()) [[unlikely]] \
      return pongo_status_;                              \
  } while (0)

}  // namespace pongo

#endif  // PONGO_UTIL_STATUS_H_
