// After a crash of the machine: the file opens at once, its slabs are described beside the users, and only then their free
// space is used. Told by what is reachable, step by step.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "child.h"
#include "model/recovery.h"
#include "regressions.h"
#include "store/horizon.h"
#include "store_support.h"

namespace pongo {
namespace {

using test::Folder;
using test::GetText;
using test::Killed;
using test::OpenSession;
using test::Quiet;
using test::RunInChild;
using test::SetText;
using test::VerifyClean;

constexpr int kRows = 3000;

std::string KeyName(int i) { return "key" + std::to_string(i); }
std::string Value(int i, int round) { return std::to_string(i * 7 + round) + std::string(static_cast<size_t>(i % 500), static_cast<char>('a' + round)); }

// Small blocks of many classes, and a few spans.
bool Fill(Session* session, int round) {
  for (int i = 0; i < kRows; i++)
    if (!SetText(session, KeyName(i), Value(i, round)).ok()) return false;
  for (int i = 0; i < 3; i++)
    if (!SetText(session, "span" + std::to_string(i), std::string(200'000, static_cast<char>('A' + round))).ok()) return false;
  return true;
}

void CheckRound(Session* session, int round) {
  std::string text;
  for (int i = 0; i < kRows; i++) {
    CHECK(GetText(session, 0, kRootId, KeyName(i), &text));
    CHECK_EQ(text, Value(i, round));
  }
  for (int i = 0; i < 3; i++) {
    CHECK(GetText(session, 0, kRootId, "span" + std::to_string(i), &text));
    CHECK(text == std::string(200'000, static_cast<char>('A' + round)));
  }
}

// A file whose control file is gone, as after a crash of the machine.
void Crashed(const std::string& path, int round) {
  const int status = RunInChild([&]() -> int {
    auto session = OpenSession(path, Quiet());
    if (session == nullptr || !Fill(session.get(), round) || !session->Sync().ok()) return 1;
    return raise(SIGKILL);
  });
  CHECK(Killed(status));
  unlink((path + "-lock").c_str());
}

uint64_t OldSlabs(Mapping* mapping) {
  uint64_t count = 0;
  for (uint64_t slab = 1; slab < mapping->MapPublished() / kSlabSize; slab++)
    if (SlabUseOf(mapping->slab_state(slab)->load()) == SlabUse::kOld) count++;
  return count;
}

OpenOptions StepByStep() {
  OpenOptions options = Quiet();
  options.describe_in_background = false;
  return options;
}

// One session, and what is behind it.
struct Opened {
  explicit Opened(const std::string& path, const OpenOptions& options = StepByStep()) {
    std::string detail;
    auto opened = DatabaseFile::Open(path, options, &detail);
    if (!opened.ok()) std::abort();
    file = std::move(opened.value());
    session = OpenSession(path, options);
    if (session == nullptr) std::abort();
  }
  Mapping* mapping() const { return file->mapping(); }
  std::shared_ptr<DatabaseFile> file;
  std::unique_ptr<Session> session;
};

TEST(TheFileOpensBeforeItsSlabsAreDescribed) {
  const Folder folder;
  const std::string path = folder.File("db");
  Crashed(path, 0);
  Opened db(path);
  Mapping* mapping = db.mapping();
  const uint64_t old = OldSlabs(mapping);
  CHECK(old > 20);
  CHECK(RecoveryPending(*mapping));
  CheckRound(db.session.get(), 0);
  // Everything is replaced: what is retired lies in OLD slabs, and none of it can be reused.
  CHECK(Fill(db.session.get(), 1));
  CHECK(db.session->Sync().ok());
  CHECK(Fill(db.session.get(), 2));
  CHECK_EQ(OldSlabs(mapping), old);
  Horizon horizon;
  horizon.Scan(*mapping);
  CHECK(!horizon.Reusable(RetiredState(0, mapping->header()->recovery_pin.load() + 1)));
  CHECK(DescribeRecovered(mapping, true, nullptr).ok());
  CHECK_EQ(OldSlabs(mapping), 0u);
  CHECK(!RecoveryPending(*mapping));
  CheckRound(db.session.get(), 2);
  VerifyClean(db.session.get());  // nothing that was retired while its slab was OLD is lost
  // And now its space is used.
  CHECK(db.session->Sync().ok());
  Counts before;
  Counts after;
  CHECK(db.session->Gc(false, &before, &after).ok());
  CHECK(after.retired <= kRetiredMax);  // those of the session itself
  const uint64_t length = mapping->header()->length.load();
  CHECK(Fill(db.session.get(), 3));
  CHECK_EQ(mapping->header()->length.load(), length);
  VerifyClean(db.session.get());
}

// A committer retires blocks of a slab while it is being described: whichever comes first, no block is lost or freed early.
TEST(BlocksRetiredWhileTheyAreDescribed) {
  for (int round = 0; round < 6; round++) {
    const Folder folder;
    const std::string path = folder.File("db");
    Crashed(path, 0);
    Opened db(path);
    std::atomic<bool> started{false};
    std::thread describer([&] {
      while (!started.load()) {
      }
      CHECK(DescribeRecovered(db.mapping(), true, nullptr).ok());
    });
    for (int i = 0; i < kRows; i++) {
      if (i == round * 300) started = true;
      CHECK(SetText(db.session.get(), KeyName(i), Value(i, 5)).ok());
    }
    describer.join();
    std::string text;
    for (int i = 0; i < kRows; i++) {
      CHECK(GetText(db.session.get(), 0, kRootId, KeyName(i), &text));
      CHECK_EQ(text, Value(i, 5));
    }
    VerifyClean(db.session.get());
  }
}

// Whoever describes may be stopped or killed anywhere: the next one goes on.
TEST(DescribingIsTakenUpAgain) {
  const Folder folder;
  const std::string path = folder.File("db");
  Crashed(path, 0);
  {
    Opened db(path);
    const std::atomic<bool> stop{true};
    CHECK_CODE(DescribeRecovered(db.mapping(), true, &stop), CLOSED);
    CHECK(RecoveryPending(*db.mapping()));
  }
  {
    Opened db(path);  // a clean close keeps the state
    CHECK(RecoveryPending(*db.mapping()));
    CheckRound(db.session.get(), 0);
  }
  for (int round = 0; round < 8; round++) {
    const int status = RunInChild([&]() -> int {
      Opened db(path);
      std::thread killer([&] {
        port::SleepNanoseconds(test::RandomBelow(4'000'000));
        raise(SIGKILL);
      });
      const Status described = DescribeRecovered(db.mapping(), true, nullptr);
      if (!described.ok()) _exit(1);
      if (!Fill(db.session.get(), 0)) _exit(2);
      killer.join();
      return 3;
    });
    CHECK(Killed(status));
  }
  Opened db(path);
  CHECK(DescribeRecovered(db.mapping(), true, nullptr).ok());
  CheckRound(db.session.get(), 0);
  Counts before;
  Counts after;
  CHECK(db.session->Gc(true, &before, &after).ok());  // what the killed writers left
  VerifyClean(db.session.get());
}

// Killed when all slabs were described, before that was said; then the last closer has cut the file's free end off.
TEST(DescribingAFileThatBecameShorter) {
  const Folder folder;
  const std::string path = folder.File("db");
  Crashed(path, 0);
  {
    Opened db(path);
    ControlHeader* header = db.mapping()->header();
    const uint64_t root = header->recovery_root.load();
    const uint64_t pin = header->recovery_pin.load();
    CHECK(DescribeRecovered(db.mapping(), true, nullptr).ok());
    header->recovery_pin.store(pin);
    header->recovery_root.store(root);
    header->recovery_slabs.store(header->length.load() / kSlabSize + 3 * kSlabsPerRegion);
  }
  Opened db(path);
  REQUIRE(RecoveryPending(*db.mapping()));
  CHECK(DescribeRecovered(db.mapping(), true, nullptr).ok());
  CHECK(!RecoveryPending(*db.mapping()));
  CheckRound(db.session.get(), 0);
  VerifyClean(db.session.get());
}

// No room behind the named length: then the room is looked for before the file is open.
TEST(AFullFileIsRecovered) {
  const Folder folder;
  const std::string path = folder.File("db");
  OpenOptions options = StepByStep();
  options.max_size = 1 << 20;
  int written = 0;
  const int status = RunInChild([&]() -> int {
    auto session = OpenSession(path, options);
    if (session == nullptr) return 1;
    int i = 0;
    while (SetText(session.get(), KeyName(i), std::string(500, 'x')).ok()) i++;
    if (i < 500 || !session->Sync().ok()) return 2;
    return raise(SIGKILL);
  });
  CHECK(Killed(status));
  unlink((path + "-lock").c_str());
  Opened db(path, options);
  std::string text;
  while (GetText(db.session.get(), 0, kRootId, KeyName(written), &text)) written++;
  CHECK(written >= 500);
  CHECK(SetText(db.session.get(), KeyName(0), "short").ok());
  VerifyClean(db.session.get());
}

// A version that is damaged somewhere: what is intact can be read and written, nothing of it is ever reused.
TEST(ADamagedVersionIsNeverDescribed) {
  const Folder folder;
  const std::string path = folder.File("db");
  Crashed(path, 0);
  {
    std::FILE* file = std::fopen(path.c_str(), "r+b");
    REQUIRE(file != nullptr);
    // The header of the slab in which the last span begins.
    uint8_t bytes[kSlabSize];
    long last = 0;
    for (long at = 0; std::fread(bytes, 1, sizeof bytes, file) == sizeof bytes; at += static_cast<long>(kSlabSize))
      if (std::memcmp(bytes, "SLAB", 4) == 0 && bytes[4] == kSpanClass) last = at;
    REQUIRE(last > 0);
    std::fseek(file, last, SEEK_SET);
    std::fputc('X', file);
    std::fclose(file);
  }
  Opened db(path);
  const uint64_t old = OldSlabs(db.mapping());
  CHECK_CODE(DescribeRecovered(db.mapping(), true, nullptr), CORRUPT);
  CHECK_EQ(OldSlabs(db.mapping()), old);
  std::string text;
  CHECK(GetText(db.session.get(), 0, kRootId, KeyName(7), &text));
  CHECK_EQ(text, Value(7, 0));
  for (int i = 0; i < 300; i++) CHECK(SetText(db.session.get(), KeyName(i), Value(i, 1)).ok());
  Counts counts;
  std::string problem;
  CHECK_CODE(db.session->Verify(&counts, &problem), CORRUPT);
  CHECK(!problem.empty());
  CHECK_EQ(OldSlabs(db.mapping()), old);
}

}  // namespace
}  // namespace pongo
