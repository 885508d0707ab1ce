// The Nth call to the operating system fails, once and for good, for every N of every public operation, of open and of close.
// Always: a typed error or success, all or nothing done, the database usable afterwards, verify() clean, nothing lost over a
// new opening. Faults of memory allocation end the process (the engine knows no exceptions): see kill_test.cc.

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "child.h"
#include "test/crash/disk.h"
#include "test/crash/public_operations.h"

namespace pongo {
namespace {

using namespace pongo::test;

constexpr uint64_t kNthMax = 2000;

int ErrorOf(Call call) {
  switch (call) {
    case Call::kOpen: return EMFILE;
    case Call::kMmap: return ENOMEM;
    case Call::kFallocate:
    case Call::kPwritev2: return ENOSPC;
    case Call::kFcntl: return ENOLCK;
    default: return EIO;
  }
}

// One case: which call fails.
struct Case {
  std::string operation;
  Call call;
  uint64_t nth;
  bool for_good;

  std::string Text() const {
    return operation + ": " + CallName(call) + " number " + std::to_string(nth) + (for_good ? " and all later ones" : "");
  }
  void Arm() const { ArmFault(call, nth, for_good, ErrorOf(call)); }
};

void CheckTyped(const Case& c, const Status& status) {
  const Code code = status.code();
  // LOCKED: what cannot be locked counts as locked by somebody where that is the careful answer.
  const bool typed = code == Code::kIO || code == Code::kNOSPACE || code == Code::kFULL || (c.call == Call::kFcntl && code == Code::kLOCKED);
  if (!typed) Fail(__FILE__, __LINE__, c.Text() + ": answered with " + CodeName(code) + " (" + status.text() + ")");
}

void Expect(bool condition, const Case& c, const std::string& what) {
  if (!condition) Fail(__FILE__, __LINE__, c.Text() + ": " + what);
}

// What must be true of any database after a fault is over.
void CheckUsable(const Case& c, Session* session, const std::string& what) {
  const int failures = Failures();
  VerifyClean(session);
  // After an error of the disk writers are told, until the file was written anew.
  const bool disk = c.call == Call::kFdatasync || c.call == Call::kPwrite || c.call == Call::kPwritev2 || c.call == Call::kPwritev2Sync;
  const Status probe = SetText(session, "probe", "works");
  if (disk && probe.code() == Code::kIO) {
    CHECK_OK(session->Sync(true));
    CHECK_OK(SetText(session, "probe", "works"));
  } else {
    CHECK_OK(probe);
  }
  std::string text;
  CHECK(GetText(session, 0, kRootId, "probe", &text));
  CHECK_EQ(text, std::string("works"));
  bool present;
  CHECK_OK(session->Delete(kRootId, TextKey("probe").key(), &present));
  Expect(Failures() == failures, c, what);
}

void CheckReopened(const Case& c, const std::string& path, uint64_t fingerprint) {
  auto again = OpenSession(path, QuietOptions());
  Expect(again != nullptr, c, "cannot be opened again");
  if (again == nullptr) return;
  Expect(Fingerprint(again.get()) == fingerprint, c, "another content after opening again");
  CheckUsable(c, again.get(), "not usable after opening again");
}

// False when the operation no longer meets the fault.
bool RunCase(const Folder& folder, const PublicOperation& operation, const Case& c, uint64_t after) {
  const std::string path = folder.File("db");
  CopyTemplate(folder.File("template"), path);
  auto session = OpenSession(path, QuietOptions());
  if (session == nullptr) std::abort();
  const uint64_t before = Fingerprint(session.get());
  c.Arm();
  const Status status = operation.run(session.get());
  const bool happened = FaultHappened();
  DisarmFaults();
  if (session->InTransaction()) CHECK_OK(session->Abort());
  const uint64_t now = Fingerprint(session.get());
  if (status.ok()) {
    Expect(now == after, c, "says that it is done, and is not");
  } else {
    CheckTyped(c, status);
    Expect(now == before || now == after, c, "half done");
  }
  if (!happened) return false;
  CheckUsable(c, session.get(), "not usable afterwards");
  // Closing under the same fault must not lose anything either.
  const uint64_t last = Fingerprint(session.get());
  if (c.for_good) c.Arm();
  CHECK_OK(session->Close());
  session.reset();
  DisarmFaults();
  CheckReopened(c, path, last);
  return true;
}

TEST(NthFaultOfEveryOperation) {
  SkipSyncs(true);
  const Folder folder;
  MakeTemplate(folder.File("template"));
  uint64_t cases = 0;
  for (const PublicOperation& operation : PublicOperations()) {
    uint64_t after;
    {
      const std::string path = folder.File("db");
      CopyTemplate(folder.File("template"), path);
      auto session = OpenSession(path, QuietOptions());
      REQUIRE(session != nullptr);
      CHECK_OK(operation.run(session.get()));
      after = Fingerprint(session.get());
    }
    for (int call = 0; call < static_cast<int>(Call::kCount); call++)
      for (const bool for_good : {false, true})
        for (uint64_t nth = 1; nth < kNthMax; nth++, cases++)
          if (!RunCase(folder, operation, {operation.name, static_cast<Call>(call), nth, for_good}, after)) break;
  }
  std::printf("faults: %llu cases\n", static_cast<unsigned long long>(cases));
}

// The last close moves what lies at the end of the file and cuts it off.
TEST(NthFaultOfACloseThatMoves) {
  SkipSyncs(true);
  const Folder folder;
  const std::string path = folder.File("db");
  MakeTemplate(folder.File("template"));
  uint64_t cases = 0;
  for (int call = 0; call < static_cast<int>(Call::kCount); call++) {
    for (const bool for_good : {false, true}) {
      bool happened = true;
      for (uint64_t nth = 1; happened && nth < kNthMax; nth++, cases++) {
        const Case c = {"close", static_cast<Call>(call), nth, for_good};
        CopyTemplate(folder.File("template"), path);
        auto session = OpenSession(path, QuietOptions());
        REQUIRE(session != nullptr);
        CHECK_OK(Scatter(session.get()));
        const uint64_t content = Fingerprint(session.get());
        const uint64_t size = std::filesystem::file_size(path);
        c.Arm();
        CHECK_OK(session->Close());
        session.reset();
        happened = FaultHappened();
        DisarmFaults();
        if (!happened) Expect(std::filesystem::file_size(path) <= size / 2, c, "the file is not shorter");
        CheckReopened(c, path, content);
      }
    }
  }
  std::printf("faults of a close that moves: %llu cases\n", static_cast<unsigned long long>(cases));
}

// A program that looks at the commit only: what is committed are whole steps, those that were done.
TEST(NthFaultOfATransactionThatGoesOn) {
  SkipSyncs(true);
  const Folder folder;
  const std::string path = folder.File("db");
  MakeTemplate(folder.File("template"));
  uint64_t contents[1 << kTransactionSteps];
  // Runs the steps of `wanted`; those that succeeded.
  const auto run = [&](Session* session, int wanted, Status* commit) {
    int done = 0;
    bool committed = false;
    CHECK_OK(session->Begin());
    for (int step = 0; step < kTransactionSteps; step++)
      if ((wanted >> step & 1) != 0 && TransactionStep(session, step).ok()) done |= 1 << step;
    *commit = session->Commit(&committed);
    return done;
  };
  for (int mask = 0; mask < 1 << kTransactionSteps; mask++) {
    CopyTemplate(folder.File("template"), path);
    auto session = OpenSession(path, QuietOptions());
    REQUIRE(session != nullptr);
    Status commit;
    CHECK_EQ(run(session.get(), mask, &commit), mask);
    CHECK_OK(commit);
    contents[mask] = Fingerprint(session.get());
  }
  for (const Call call : {Call::kMmap, Call::kFallocate})
    for (const bool for_good : {false, true})
      for (uint64_t nth = 1; nth < kNthMax; nth++) {
        const Case c{"transaction that goes on", call, nth, for_good};
        CopyTemplate(folder.File("template"), path);
        auto session = OpenSession(path, QuietOptions());
        REQUIRE(session != nullptr);
        c.Arm();
        Status commit;
        const int done = run(session.get(), (1 << kTransactionSteps) - 1, &commit);
        const bool happened = FaultHappened();
        DisarmFaults();
        if (session->InTransaction()) CHECK_OK(session->Abort());
        Expect(Fingerprint(session.get()) == contents[commit.ok() ? done : 0], c, "half of a step is committed");
        CheckUsable(c, session.get(), "not usable afterwards");
        if (!happened) break;
      }
}

// -- opening --

enum class Condition { kNew, kClosed, kCrashed, kKilled, kOpenElsewhere, kCount };
constexpr const char* kConditionNames[] = {"open of a new file", "open after a close", "open after a crash",
                                           "open after a kill", "open while another process has it"};

uint64_t killed_fingerprint = 0;

bool RunOpen(const Folder& folder, Condition condition, Call call, uint64_t nth, bool for_good) {
  const Case c{kConditionNames[static_cast<int>(condition)], call, nth, for_good};
  const std::string path = folder.File("db");
  uint64_t expected = 0;
  if (condition == Condition::kNew) {
    unlink(path.c_str());
    unlink((path + "-lock").c_str());
  } else {
    CopyTemplate(folder.File("template"), path);
    if (condition != Condition::kCrashed) {
      auto session = OpenSession(path, QuietOptions());
      if (session == nullptr) std::abort();
      expected = Fingerprint(session.get());
    }
  }
  if (condition == Condition::kKilled) {
    // Commits that only the control file and the page cache know.
    const int killed = RunInChild([&] {
      auto session = OpenSession(path, QuietOptions());
      if (session == nullptr || !SetText(session.get(), "unsynced", "acknowledged").ok()) return 1;
      return raise(SIGKILL);
    });
    CHECK(Killed(killed));
    if (killed_fingerprint == 0) {
      auto session = OpenSession(path, QuietOptions());
      if (session == nullptr) std::abort();
      killed_fingerprint = Fingerprint(session.get());
      return true;
    }
    expected = killed_fingerprint;
  }
  Pipe ready, finish;
  pid_t other = -1;
  if (condition == Condition::kOpenElsewhere) {
    other = StartChild([&] {
      finish.CloseWriter();
      auto session = OpenSession(path, QuietOptions());
      char byte = 'r';
      ready.Send(byte);
      static_cast<void>(finish.Receive(&byte));
      return session == nullptr ? 1 : 0;
    });
    char byte;
    static_cast<void>(ready.Receive(&byte));
  }
  std::string detail;
  c.Arm();
  auto opened = Session::Open(path, QuietOptions(), &detail);
  const bool happened = FaultHappened();
  DisarmFaults();
  if (opened.ok()) {
    CheckUsable(c, opened.value().get(), "opened, and not usable");
    CHECK_OK(opened.value()->Close());
  } else {
    CheckTyped(c, opened.status());
  }
  {
    auto again = OpenSession(path, QuietOptions());
    Expect(again != nullptr, c, "cannot be opened afterwards");
    if (again != nullptr) {
      if (expected != 0) Expect(Fingerprint(again.get()) == expected, c, "another content afterwards");
      CheckUsable(c, again.get(), "not usable afterwards");
    }
  }
  finish.CloseWriter();
  if (other >= 0) Expect(AwaitChild(other) == 0, c, "the other process has suffered");
  return happened;
}

TEST(NthFaultOfOpen) {
  SkipSyncs(true);
  const Folder folder;
  MakeTemplate(folder.File("template"));
  for (int condition = 0; condition < static_cast<int>(Condition::kCount); condition++)
    for (int call = 0; call < static_cast<int>(Call::kCount); call++)
      for (const bool for_good : {false, true})
        for (uint64_t nth = 1; nth < kNthMax; nth++)
          if (!RunOpen(folder, static_cast<Condition>(condition), static_cast<Call>(call), nth, for_good)) break;
}

// -- an fdatasync that failed once is never tried again as if nothing had happened; nor the write of a superblock --

constexpr Call kCheckpointCalls[] = {Call::kFdatasync, Call::kPwritev2, Call::kPwritev2Sync};

TEST(AFailedSyncIsRemembered) {
  SkipSyncs(true);
  for (const Call call : kCheckpointCalls) {
    const Folder folder;
    const std::string path = folder.File("db");
    auto session = OpenSession(path, QuietOptions());
    REQUIRE(session != nullptr);
    CHECK_OK(SetText(session.get(), "a", "1"));
    ArmFault(call, 1, false, EIO);
    CHECK_CODE(session->Sync(), IO);
    DisarmFaults();
    // The kernel may have dropped the pages: nobody may be told that they are safe.
    CHECK_CODE(session->Sync(), IO);
    auto second = OpenSession(path, QuietOptions());
    REQUIRE(second != nullptr);
    CHECK_CODE(second->Sync(), IO);
    second.reset();
    session.reset();
    session = OpenSession(path, QuietOptions());
    REQUIRE(session != nullptr);
    CHECK_CODE(session->Sync(), IO);
    std::string text;
    CHECK(GetText(session.get(), 0, kRootId, "a", &text));
    CHECK_EQ(text, std::string("1"));
    VerifyClean(session.get());
  }
}

// Writers are told, in every session and after reopening; the whole file written anew ends it, unless that fails as well.
TEST(AFailedSyncStopsWritersUntilTheFileIsRewritten) {
  SkipSyncs(true);
  for (const Call call : kCheckpointCalls) {
    const Folder folder;
    const std::string path = folder.File("db");
    auto session = OpenSession(path, QuietOptions());
    REQUIRE(session != nullptr);
    CHECK_OK(SetText(session.get(), "a", "1"));
    CHECK_OK(session->Sync());
    CHECK_OK(SetText(session.get(), "a", "2"));
    ArmFault(call, 1, false, EIO);
    CHECK_CODE(session->Sync(), IO);
    DisarmFaults();
    CHECK_CODE(SetText(session.get(), "a", "3"), IO);
    OpenOptions careless = QuietOptions();
    careless.durability = Durability::kNone;
    auto none = OpenSession(path, careless);
    REQUIRE(none != nullptr);
    CHECK_OK(SetText(none.get(), "b", "1"));
    none.reset();
    session.reset();
    session = OpenSession(path, QuietOptions());
    REQUIRE(session != nullptr);
    CHECK_CODE(SetText(session.get(), "a", "4"), IO);
    for (const Call again : kCheckpointCalls) {
      ArmFault(again, 1, false, EIO);
      CHECK_CODE(session->Sync(true), IO);
      DisarmFaults();
      CHECK_CODE(SetText(session.get(), "a", "5"), IO);
    }
    CHECK_OK(session->Sync(true));
    CHECK_OK(SetText(session.get(), "a", "6"));
    CHECK_OK(session->Sync());
    VerifyClean(session.get());
    // What the disk has now is the newest.
    const int status = test::RunInChild([&]() -> int {
      auto other = OpenSession(path, QuietOptions());
      return other != nullptr && SetText(other.get(), "c", "1").ok() && other->Sync().ok() ? 0 : 1;
    });
    CHECK_EQ(status, 0);
    std::string text;
    CHECK(GetText(session.get(), 0, kRootId, "a", &text));
    CHECK_EQ(text, std::string("6"));
    CHECK(GetText(session.get(), 0, kRootId, "b", &text));
  }
}

// -- the durable write of a superblock --

// Its own page is on the device then, and no other one that was written meanwhile.
TEST(ADurableWriteSyncsItsOwnPageOnly) {
  const Folder folder;
  const std::string path = folder.File("file");
  WriteFile(path, Bytes(3 * kDiskPage));
  port::File file;
  bool created;
  REQUIRE(port::OpenFile(path, port::OpenMode::kReadWrite, 0, &file, &created).ok());
  Disk disk(path);
  CHECK_OK(port::WriteAt(file, 2 * kDiskPage, "other", 5));
  CHECK_OK(port::WriteDurably(file, kDiskPage, "durable", 7));
  const CrashState state = disk.State("");
  CHECK_EQ(state.pages.size(), 1u);
  CHECK_EQ(state.pages.count(2), 1u);
  CHECK(std::memcmp(state.durable->data() + kDiskPage, "durable", 7) == 0);
}

// Where the kernel or the file system has no RWF_DSYNC, a write and a sync.
TEST(ADurableWriteWithoutRwfDsync) {
  for (const int error : {EOPNOTSUPP, ENOSYS, EINVAL}) {
    const Folder folder;
    const std::string path = folder.File("db");
    auto session = OpenSession(path, QuietOptions());
    REQUIRE(session != nullptr);
    Disk disk(path);
    int syncs = 0;
    disk.on_moment = [&](const char* moment) { syncs += moment == std::string("after a sync") ? 1 : 0; };
    CHECK_OK(SetText(session.get(), "a", "1"));
    ArmFault(Call::kPwritev2, 1, true, error);
    CHECK_OK(session->Sync());
    CHECK(FaultHappened());
    DisarmFaults();
    CHECK_EQ(syncs, 2);
    CHECK(disk.State("").pages.empty());
  }
}

}  // namespace
}  // namespace pongo
