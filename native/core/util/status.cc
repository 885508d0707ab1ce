#include "util/status.h"

namespace pongo {

const char* CodeName(Code code) {
  switch (code) {
    case Code::kOK:
      return "OK";
#define CODE(name, text) \
  case Code::k##name:    \
    return #name;
#include "util/codes.def"
#undef CODE
  }
  // Reached only when a corrupted value was cast to Code: a name that no caller tests for, rather than undefined behaviour.
  return "UNKNOWN";
}

}  // namespace pongo
