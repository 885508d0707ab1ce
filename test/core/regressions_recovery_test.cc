// Defects that were found once, in what a database keeps: commits, versions, and the truth about damaged bytes. Children
// that are killed, or may crash, are forks of the test.

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "child.h"
#include "regressions.h"

namespace pongo {
namespace {

using test::AwaitChild;
using test::Folder;
using test::GetInt;
using test::Killed;
using test::OpenSession;
using test::Pipe;
using test::Quiet;
using test::RandomBelow;
using test::RunInChild;
using test::SetInt;
using test::StartChild;
using test::TextKey;
using test::VerifyClean;

// -- durability and recovery --

// Whoever is last makes the newest version durable, also if it could only read.
TEST(AReaderThatClosesLastKeepsTheFileDurable) {
  const Folder folder;
  const std::string path = folder.File("db");
  { REQUIRE(OpenSession(path, Quiet()) != nullptr); }
  Pipe opened;
  Pipe reader_ready;
  const pid_t writer = StartChild([&] {
    auto session = OpenSession(path, Quiet());
    char byte = 'w';
    if (session == nullptr) return 1;
    opened.Send(byte);
    if (!reader_ready.Receive(&byte)) return 2;
    for (int i = 0; i < 50; i++)
      if (!SetInt(session.get(), "k" + std::to_string(i), i).ok()) return 3;
    return session->Close().ok() ? 0 : 4;
  });
  opened.CloseWriter();
  char byte = 'r';
  REQUIRE(opened.Receive(&byte));
  OpenOptions options = Quiet();
  options.read_only = true;
  auto reader = OpenSession(path, options);
  REQUIRE(reader != nullptr);
  reader_ready.Send(byte);
  CHECK_EQ(AwaitChild(writer), 0);
  CHECK_CODE(SetInt(reader.get(), "k0", 1), READONLY);
  CHECK_EQ(GetInt(reader.get(), 0, kRootId, "k49"), 49);
  CHECK(reader->Close().ok());
  reader.reset();
  unlink((path + "-lock").c_str());
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  for (int i = 0; i < 50; i++) CHECK_EQ(GetInt(session.get(), 0, kRootId, "k" + std::to_string(i)), i);
  VerifyClean(session.get());
}

// A machine crash loses the control file, and commits that were not durable. Their versions were seen, and stay unique.
TEST(VersionsAreNeverGivenOutTwice) {
  const Folder folder;
  const std::string path = folder.File("db");
  {
    auto session = OpenSession(path, Quiet());
    REQUIRE(session != nullptr);
    REQUIRE(SetInt(session.get(), "a", 0).ok());
  }
  uint64_t highest = 0;
  for (int round = 0; round < 8; round++) {
    Pipe versions;
    const uint64_t commits = round == 0 ? 10 : RandomBelow(20);
    const int status = RunInChild([&]() -> int {
      OpenOptions options = Quiet();
      options.durability = Durability::kNone;
      auto session = OpenSession(path, options);
      uint64_t version = 0;
      if (session == nullptr || !session->Version(0, &version).ok()) return 1;
      versions.Send(version);
      for (uint64_t i = 0; i < commits; i++)
        if (!SetInt(session.get(), "a", round).ok()) return 2;
      if (!session->Version(0, &version).ok()) return 3;
      versions.Send(version);
      return raise(SIGKILL);
    });
    CHECK(Killed(status));
    versions.CloseWriter();
    uint64_t first = 0;
    uint64_t last = 0;
    REQUIRE(versions.Receive(&first) && versions.Receive(&last));
    CHECK(first > highest);
    CHECK_EQ(last, first + commits);
    highest = last;
    unlink((path + "-lock").c_str());
  }
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  uint64_t version = 0;
  CHECK(session->Version(0, &version).ok());
  CHECK(version > highest);
  VerifyClean(session.get());
}

// -- damaged bytes --

std::string ReadFile(const std::string& path) {
  std::string bytes;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) std::abort();
  char buffer[1 << 16];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) bytes.append(buffer, n);
  std::fclose(file);
  return bytes;
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "r+b");
  if (file == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) std::abort();
  std::fclose(file);
}

// What may come back from a damaged database: an answer, or CORRUPT.
bool Sound(const Status& status) { return status.ok() || status.code() == Code::kCORRUPT; }

// Reads and writes around the damage; 0 unless something other than an answer or CORRUPT comes back. Values are intact: all
// that the file held is 1.
int UseDamaged(const std::string& path, const std::vector<std::string>& keys) {
  std::string detail;
  auto opened = Session::Open(path, OpenOptions{}, &detail);
  if (!opened.ok()) return opened.status().code() == Code::kCORRUPT ? 0 : 1;
  auto session = std::move(opened.value());
  Counts before;
  Counts after;
  std::string problem;
  if (!Sound(session->Verify(&before, &problem))) return 2;
  int64_t value = 1;  // stays so when nothing is found
  const auto found = [&](const ValueView& v) { value = v.integer; };
  for (const std::string& key : keys) {
    if (!Sound(session->Get(0, kRootId, TextKey(key).key(), found))) return 3;
    if (value != 1) return 4;
  }
  const auto visit = [&](const Key&, const ValueView& v) {
    value = v.integer;
    return value == 1;
  };
  if (!Sound(session->Page(0, kRootId, 0, ~uint64_t{0}, 1, visit)) || value != 1) return 5;
  for (int i = 0; i < 200; i++) {
    const std::string tail(static_cast<size_t>(i % 90), static_cast<char>('a' + i % 20));
    const std::string key = "aaz" + std::to_string(i) + tail;
    if (!Sound(SetInt(session.get(), key, 1))) return 6;
    if (!Sound(session->Get(0, kRootId, TextKey(key).key(), found))) return 7;
    if (value != 1) return 8;
  }
  for (const std::string& key : keys) {
    bool present;
    if (!Sound(session->Delete(kRootId, TextKey(key).key(), &present))) return 9;
  }
  if (!Sound(session->Gc(true, &before, &after))) return 10;
  return Sound(session->Close()) ? 0 : 11;
}

TEST(KeysOutOfOrderAreNoCrash) {
  for (const bool control_lost : {false, true}) {
    const Folder folder;
    const std::string path = folder.File("db");
    const std::string low(30, 'a');
    const std::string high(30, 'c');
    {
      OpenOptions options;
      options.chunk_size = 256 << 10;
      auto session = OpenSession(path, options);
      REQUIRE(session != nullptr);
      for (const std::string& key : {low + "1", std::string("b"), high + "1"}) REQUIRE(SetInt(session.get(), key, 1).ok());
    }
    std::string bytes = ReadFile(path);
    int patched = 0;
    for (size_t at = 0; (at = bytes.find(high, at)) != std::string::npos; patched++) bytes.replace(at, low.size(), low);
    CHECK(patched > 0);
    WriteFile(path, bytes);
    if (control_lost) unlink((path + "-lock").c_str());
    CHECK_EQ(RunInChild([&] { return UseDamaged(path, {low + "1", "b", high + "1"}); }), 0);
  }
}

TEST(DamagedKeyBytesAreNoCrash) {
  const Folder folder;
  const std::string path = folder.File("db");
  // Letters come from keys only: the values are integers.
  const auto random_key = [] {
    std::string key(RandomBelow(3) == 0 ? 8 : 4, static_cast<char>('a' + RandomBelow(4)));
    for (uint64_t i = RandomBelow(RandomBelow(8) == 0 ? 300 : 20); i > 0; i--) key += static_cast<char>('a' + RandomBelow(26));
    return key;
  };
  std::vector<std::string> keys;
  {
    OpenOptions options;
    options.chunk_size = 256 << 10;
    auto session = OpenSession(path, options);
    REQUIRE(session != nullptr);
    for (int i = 0; i < 400; i++) {
      keys.push_back(random_key());
      REQUIRE(SetInt(session.get(), keys.back(), 1).ok());
    }
  }
  const std::string intact = ReadFile(path);
  std::vector<size_t> letters;
  for (size_t at = 0; at + 4 <= intact.size(); at++) {
    const auto letter = [&](size_t k) { return intact[at + k] >= 'a' && intact[at + k] <= 'z'; };
    if (letter(0) && letter(1) && letter(2) && letter(3)) letters.push_back(at + 1);
  }
  REQUIRE(letters.size() > 1000);
  for (int round = 0; round < 40; round++) {
    std::string bytes = intact;
    for (uint64_t i = 1 + RandomBelow(round % 2 == 0 ? 3 : 100); i > 0; i--) {
      const uint64_t byte = RandomBelow(4) == 0 ? RandomBelow(256) : 'a' + RandomBelow(26);
      bytes[letters[RandomBelow(letters.size())]] = static_cast<char>(byte);
    }
    WriteFile(path, bytes);
    unlink((path + "-lock").c_str());
    const int status = RunInChild([&] { return UseDamaged(path, keys); });
    CHECK_EQ(status, 0);
    if (status != 0) return;
  }
}

}  // namespace
}  // namespace pongo
