// What tests of the facade share: a folder of their own, sessions, keys and inputs.
#ifndef PONGO_TEST_CORE_SUPPORT_H_
#define PONGO_TEST_CORE_SUPPORT_H_

#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "database.h"
#include "format/key_codec.h"
#include "harness.h"

namespace pongo::test {

// A folder of its own for each test; removed with its files.
class Folder {
 public:
  Folder() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base == nullptr ? "/tmp" : base) + "/pongo-test-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~Folder() {
    if (DIR* listing = opendir(path_.c_str()); listing != nullptr) {
      while (const dirent* entry = readdir(listing)) unlink((path_ + "/" + entry->d_name).c_str());
      closedir(listing);
    }
    rmdir(path_.c_str());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string File(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::unique_ptr<Session> OpenSession(const std::string& path, const OpenOptions& options = {}) {
  std::string detail;
  Result<std::unique_ptr<Session>> session = Session::Open(path, options, &detail);
  if (!session.ok()) std::fprintf(stderr, "open %s: %s %s\n", path.c_str(), session.status().text(), detail.c_str());
  return session.ok() ? std::move(session.value()) : nullptr;
}

inline Input TextInput(const std::string& text) {
  Input input;
  input.view.type = ValueView::Type::kString;
  input.view.data = reinterpret_cast<const uint8_t*>(text.data());
  input.view.size = text.size();
  return input;
}

inline Input IntInput(int64_t value) {
  Input input;
  input.view.type = ValueView::Type::kInt;
  input.view.integer = value;
  return input;
}

// A string key; aborts when it cannot be made, which no test expects.
class TextKey {
 public:
  explicit TextKey(const std::string& text) {
    if (!buffer_.AddString(reinterpret_cast<const uint8_t*>(text.data()), text.size()).ok()) std::abort();
  }
  Key key() const { return buffer_.key(); }

 private:
  KeyBuffer buffer_;
};

inline bool GetText(Session* session, uint64_t view, uint64_t id, const std::string& key, std::string* text) {
  bool found = false;
  CHECK(session->Get(view, id, TextKey(key).key(), [&](const ValueView& v) {
    found = v.type == ValueView::Type::kString;
    text->assign(reinterpret_cast<const char*>(v.data), v.size);
  }).ok());
  return found;
}

inline int64_t GetInt(Session* session, uint64_t view, uint64_t id, const std::string& key) {
  int64_t value = -1;
  if (!session->Get(view, id, TextKey(key).key(), [&](const ValueView& v) { value = v.integer; }).ok()) std::abort();
  return value;
}

// The conservation law: nothing reachable is free, nothing unreachable is kept.
inline void VerifyClean(Session* session) {
  Counts counts;
  std::string problem;
  const Status status = session->Verify(&counts, &problem);
  if (!status.ok()) std::fprintf(stderr, "verify: %s %s\n", status.text(), problem.c_str());
  CHECK(status.ok());
  CHECK_EQ(counts.orphans, 0u);
}

}  // namespace pongo::test

#endif  // PONGO_TEST_CORE_SUPPORT_H_
