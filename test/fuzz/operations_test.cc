// Random operations of the whole facade beside a model (model.h): every answer is compared, and often all that can be seen, both
// ways. Two sessions write; one of them runs transactions, which commit, are aborted or lose against the other. Snapshots are kept
// for a while. In between: sync, gc, verify, reopening (as after a crash of the machine, too), a clock that only the test moves, and
// calls to the operating system that fail: then the answer is right, or a typed error and nothing done.
//
// A failure names the seed that repeats it: SEED=n operations_test RandomOperations.

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <optional>

#include "model/database_file.h"
#include "model/expiry_cleaner.h"
#include "test/crash/crash_support.h"
#include "test/fuzz/generator.h"

namespace pongo {
namespace {

using namespace pongo::test;

constexpr uint64_t kRounds = 30;       // new databases
constexpr uint64_t kSteps = 4'000;     // in each
constexpr uint64_t kDeadline = 60'000'000'000;  // nanoseconds: ends only a test that has failed
constexpr size_t kSnapshotsMax = 3;

// The wall clock of this process, standing still.
class TestClock {
 public:
  explicit TestClock(const Folder& folder) {
    const std::string path = folder.File("clock");
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, 8) != 0) std::abort();
    now_ = static_cast<std::atomic<int64_t>*>(mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ::close(fd);
    Set(1'000'000);
    if (!port::FollowClockFile(path).ok()) std::abort();
  }
  ~TestClock() { static_cast<void>(port::FollowClockFile("").ok()); }
  void Set(int64_t now) { now_->store(now); }

 private:
  std::atomic<int64_t>* now_;
};

struct Tally {
  uint64_t operations = 0, faults = 0, refused = 0, commits = 0, conflicts = 0, aborts = 0, reopened = 0;
};

class Round {
 public:
  Round(uint64_t seed, Tally* tally) : clock_(folder_), generator_(seed, &names_), model_(&names_), tally_(tally) {
    names_.Learn(kRootBox, kRootId);
    model_.now = 1'000'000;
    SetBootId(++boot_);
    Open();
  }
  ~Round() {
    Close();
    SetBootId(0);
  }

  // False after the first failure.
  bool Run(uint64_t steps) {
    for (step_ = 0; step_ < steps && wrong_.empty(); step_++) Step();
    if (wrong_.empty()) Finish();
    if (!wrong_.empty()) Fail(__FILE__, __LINE__, "step " + std::to_string(step_) + ", " + doing_ + ": " + wrong_);
    return wrong_.empty();
  }

 private:
  struct Taken {
    uint64_t view;
    Model model;
    bool may_be_revoked;  // room was wanted since
  };
  // What the transaction sees, and what it has done.
  struct OpenTransaction {
    Model model;
    std::vector<std::pair<Operation, std::string>> done;
    bool dirty = false;
  };

  uint64_t Below(uint64_t bound) { return generator_.Below(bound); }
  bool OneIn(uint64_t n) { return generator_.OneIn(n); }
  void Wrong(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }

  void Step() {
    doing_ = "";
    const uint64_t choice = Below(1000);
    if (choice < 560) return Operate(a_.get(), transaction_ ? &transaction_->model : &model_, true);
    if (choice < 700) return Operate(b_.get(), &model_, false);
    if (choice < 790) return Transact();
    if (choice < 830) return OneIn(2) ? TakeSnapshot() : DropSnapshot();
    if (choice < 920) return ReadSnapshot();
    if (choice < 935) return Maintain();
    if (choice < 942) return CompareAll();
    if (transaction_) return;
    if (choice < 962) return MoveClock();
    if (choice < 966) return Reopen();
  }

  // -- operations --

  void Operate(Session* session, Model* on, bool first) {
    const bool risky = OneIn(14);
    generator_.set_large(risky);
    const Operation o = OneIn(3) ? generator_.Read(*on) : generator_.Write(*on);
    doing_ = o.name;
    tally_->operations++;
    const bool in_transaction = first && transaction_;
    Model next = o.writes ? *on : Model(&names_);
    if (risky) Arm();
    Status status;
    const std::string answer = o.Run(session, 0, &status);
    const bool fault = Disarm();
    Model* const after = o.writes ? &next : on;
    after->changed = false;
    const std::string expected = o.Apply(after);
    if (answer != expected) {
      if (!fault || status.ok()) return Wrong("answered '" + answer + "', not '" + expected + "'");
      Refused(status);
      if (in_transaction) return EndAfterFault();
      Recover();
      const std::string undone = Compare(session, *on);
      if (undone.empty()) return;
      if (!o.syncs) return Wrong("half done: " + undone);
      if (const std::string done = Compare(session, next); !done.empty()) return Wrong("neither done nor undone: " + undone + "; " + done);
      Accept(on, std::move(next));
      return;
    }
    if (fault && !in_transaction) Recover();
    if (in_transaction) transaction_->done.push_back({o, answer});
    if (!o.writes) return;
    if (!o.fresh.empty() || fault || OneIn(6)) {
      if (const std::string wrong = Difference(session, 0, next, &names_, Changed(o, next), OneIn(2)); !wrong.empty()) return Wrong(wrong);
    }
    if (in_transaction) transaction_->dirty = transaction_->dirty || next.changed;
    Accept(on, std::move(next));
  }

  void Accept(Model* on, Model&& next) {
    *on = std::move(next);
    if (!transaction_ && on->boxes.size() > 200) on->Prune();
  }

  // What an operation may have changed, and the new containers below: parents first.
  std::vector<int> Changed(const Operation& o, const Model& model) {
    std::vector<int> boxes;
    for (const int box : o.touches)
      if (model.boxes.contains(box) && names_.IdOf(box) != 0) boxes.push_back(box);
    for (size_t i = 0; i < boxes.size(); i++) {
      const auto visit = [&](const Value& value) {
        if (o.fresh.contains(value.box) && std::find(boxes.begin(), boxes.end(), value.box) == boxes.end()) boxes.push_back(value.box);
      };
      for (const auto& [at, entry] : model.boxes.at(boxes[i]).entries) visit(entry.value);
      for (const Value& value : model.boxes.at(boxes[i]).list) visit(value);
    }
    return boxes;
  }

  std::string Compare(Session* session, const Model& model, uint64_t view = 0) {
    return Difference(session, view, model, &names_, model.Reachable(), OneIn(2));
  }

  void CompareAll() {
    doing_ = "comparison";
    if (const std::string wrong = Compare(b_.get(), model_); !wrong.empty()) return Wrong(wrong);
    if (!transaction_) return;
    if (const std::string wrong = Compare(a_.get(), transaction_->model); !wrong.empty()) Wrong("in the transaction: " + wrong);
  }

  // -- faults --

  void Arm() {
    constexpr Call kCalls[] = {Call::kMmap, Call::kFallocate, Call::kFallocate, Call::kFtruncate, Call::kPwrite, Call::kPwritev2,
                               Call::kPwritev2Sync, Call::kFdatasync, Call::kFcntl, Call::kOpen};
    constexpr int kErrors[] = {ENOMEM, ENOSPC, ENOSPC, EIO, EIO, ENOSPC, EIO, EIO, ENOLCK, EMFILE};
    const size_t i = Below(std::size(kCalls));
    call_ = kCalls[i];
    ArmFault(call_, 1 + Below(3), OneIn(2), kErrors[i]);
    armed_ = true;
  }
  bool Disarm() {
    const bool happened = armed_ && FaultHappened();
    DisarmFaults();
    armed_ = false;
    if (!happened) return false;
    tally_->faults++;
    for (Taken& taken : snapshots_) taken.may_be_revoked = true;
    return true;
  }
  void Refused(const Status& status) {
    tally_->refused++;
    const Code code = status.code();
    const bool typed = code == Code::kIO || code == Code::kNOSPACE || code == Code::kFULL || (call_ == Call::kFcntl && code == Code::kLOCKED);
    if (!typed) Wrong(std::string(CallName(call_)) + " failed, and the answer is " + CodeName(code) + " (" + status.text() + ")");
  }
  // After an error of the disk nothing is taken until the file was written anew.
  void Recover() {
    if (const Status status = a_->Sync(true); !status.ok()) Wrong(std::string("not usable after a fault: ") + status.text());
  }

  // -- transactions --

  void Transact() {
    if (!transaction_) return Begin();
    if (transaction_->done.size() < 3 + Below(12)) return;
    OneIn(4) ? Abort() : Commit();
  }

  void Begin() {
    doing_ = "begin";
    if (OneIn(8)) Arm();
    const Status status = OneIn(8) ? a_->BeginFirst() : a_->Begin();
    const bool fault = Disarm();
    if (!status.ok()) {
      if (!fault) return Wrong(status.text());
      Refused(status);
      return Recover();
    }
    if (fault) Recover();
    transaction_ = OpenTransaction{model_, {}, false};
    versions_ = VersionOf(b_.get());
  }

  void Abort() {
    doing_ = "abort";
    tally_->aborts++;
    if (const Status status = a_->Abort(); !status.ok()) Wrong(status.text());
    transaction_.reset();
    if (const std::string wrong = Compare(a_.get(), model_); !wrong.empty()) Wrong(wrong);
  }

  void Commit() {
    doing_ = "commit";
    if (OneIn(4)) Arm();
    const bool alone = VersionOf(b_.get()) == versions_;
    bool committed = false;
    const Status status = a_->Commit(&committed);
    const bool fault = Disarm();
    const OpenTransaction done = std::move(*transaction_);
    transaction_.reset();
    if (!status.ok()) {
      if (!fault) return Wrong(status.text());
      Refused(status);
      Recover();
      if (const std::string wrong = Compare(b_.get(), model_); !wrong.empty()) Wrong("half committed: " + wrong);
      return;
    }
    if (fault) Recover();
    if (!committed) {
      tally_->conflicts++;
      if (alone) return Wrong("lost against nobody");
      if (const Status over = a_->Abort(); !over.ok()) Wrong(over.text());  // ends the turn
    } else if (done.dirty) {
      tally_->commits++;
      // What it has done, after what the others did meanwhile, with the same answers.
      for (const auto& [o, answer] : done.done)
        if (const std::string expected = o.Apply(&model_); answer != expected)
          return Wrong("committed, although its " + o.name + " answered '" + answer + "', and now would '" + expected + "'");
    }
    if (const std::string wrong = Compare(b_.get(), model_); !wrong.empty()) Wrong(wrong);
    model_.Prune();
  }

  // A step has failed: the transaction commits what was done without it, or nothing.
  void EndAfterFault() {
    if (OneIn(2)) {
      Abort();
      return Recover();
    }
    bool committed = false;
    const Status status = a_->Commit(&committed);
    Recover();
    if (status.ok() && committed && transaction_->dirty) {
      for (const auto& [o, answer] : transaction_->done)
        if (o.Apply(&model_) != answer) return Wrong("committed after a fault, with other answers");
    } else if (!status.ok()) {
      Refused(status);
    } else if (!committed) {
      static_cast<void>(a_->Abort().ok());
    }
    transaction_.reset();
    if (const std::string wrong = Compare(b_.get(), model_); !wrong.empty()) Wrong("committed after a fault: " + wrong);
  }

  // -- snapshots --

  void TakeSnapshot() {
    doing_ = "snapshot";
    if (snapshots_.size() == kSnapshotsMax) return;
    Taken taken{0, model_, false};
    if (OneIn(8)) Arm();
    const Status status = a_->Snapshot(&taken.view);
    const bool fault = Disarm();
    if (status.ok()) {
      taken.model.Prune();
      snapshots_.push_back(std::move(taken));
    } else {
      if (!fault) return Wrong(status.text());
      Refused(status);
    }
    if (fault) Recover();
  }

  void DropSnapshot() {
    doing_ = "release";
    if (snapshots_.empty()) return;
    const size_t i = Below(snapshots_.size());
    if (const Status status = a_->Release(snapshots_[i].view); !status.ok()) Wrong(status.text());
    Forget(i);
  }
  void Forget(size_t i) {
    snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  void ReadSnapshot() {
    doing_ = "read of a snapshot";
    if (snapshots_.empty()) return;
    const size_t i = Below(snapshots_.size());
    Taken& taken = snapshots_[i];
    Status status;
    uint64_t size;
    status = a_->Size(taken.view, kRootId, &size);
    if (status.code() == Code::kSNAPSHOT && taken.may_be_revoked) {
      static_cast<void>(a_->Release(taken.view).ok());
      return Forget(i);
    }
    if (OneIn(12)) {
      if (const std::string wrong = Compare(a_.get(), taken.model, taken.view); !wrong.empty()) Wrong(wrong);
      return;
    }
    const Operation o = generator_.Read(taken.model);
    doing_ += ", " + o.name;
    const std::string answer = o.Run(a_.get(), taken.view, &status);
    const std::string expected = o.Apply(&taken.model);
    if (answer != expected) Wrong("answered '" + answer + "', not '" + expected + "'");
  }

  // -- the whole database --

  void Maintain() {
    Counts before, after;
    std::string problem;
    Status status;
    const uint64_t choice = Below(5);
    if (OneIn(2)) Arm();
    switch (choice) {
      case 0:
      case 1:
        doing_ = "sync";
        status = b_->Sync();
        break;
      case 2:
        doing_ = "verify";
        status = b_->Verify(&before, &problem);
        if (status.ok() && before.orphans != 0) Wrong(std::to_string(before.orphans) + " orphans");
        break;
      default:
        doing_ = choice == 3 ? "quick gc" : "complete gc";
        status = b_->Gc(choice == 4, &before, &after);
    }
    const bool fault = Disarm();
    if (!status.ok()) {
      if (!fault) return Wrong(std::string(status.text()) + " " + problem);
      Refused(status);
    }
    if (fault) Recover();
    // A complete collection leaves nothing that cannot be reached.
    if (choice == 4 && status.ok() && !after.skipped && snapshots_.empty() && !transaction_) CheckTheDead();
    CompareAll();
  }

  void CheckTheDead() {
    const std::vector<int> reached = model_.Reachable();
    for (const auto& [handle, id] : names_.ids()) {
      if (std::find(reached.begin(), reached.end(), handle) != reached.end()) continue;
      Kind kind;
      if (!b_->GetKind(0, id, &kind).ok() || kind != Kind::kNone) return Wrong("container #" + std::to_string(handle) + " is still there");
    }
  }

  void MoveClock() {
    doing_ = "clock";
    model_.now += static_cast<int64_t>(Below(6));
    clock_.Set(model_.now);
    if (!OneIn(3)) return;
    doing_ = "cleaning";
    if (!port::UnlockByte(cleaning_, kExpiryByte).ok()) std::abort();
    model_.RemoveExpired();
    const uint64_t deadline = port::Nanoseconds() + kDeadline;
    std::string wrong;
    do {  // the cleaner of the background may be faster
      uint64_t removed;
      if (const Status status = CleanExpired(file_->mapping(), [](uint64_t) { return true; }, &removed); !status.ok()) return Wrong(status.text());
      wrong = Compare(b_.get(), model_);
    } while (!wrong.empty() && port::Nanoseconds() < deadline);
    if (!wrong.empty()) return Wrong(wrong);
    StopCleaner();
  }
  // Positions count what the cleaner has left: it must not come by itself.
  void StopCleaner() {
    const uint64_t deadline = port::Nanoseconds() + kDeadline;
    while (!port::TryLockByte(cleaning_, kExpiryByte, port::LockKind::kExclusive).ok() && port::Nanoseconds() < deadline) port::YieldProcessor();
  }

  void Open() {
    std::string detail;
    a_ = OpenSession(folder_.File("db"), QuietOptions(64u << 10));
    b_ = OpenSession(folder_.File("db"), QuietOptions(64u << 10));
    auto file = DatabaseFile::Open(folder_.File("db"), QuietOptions(64u << 10), &detail);
    if (a_ == nullptr || b_ == nullptr || !file.ok()) std::abort();
    file_ = std::move(file.value());
    if (!port::Reopen(file_->mapping()->data_file(), true, &cleaning_).ok()) std::abort();
    StopCleaner();
  }
  void Close() {
    transaction_.reset();
    snapshots_.clear();
    cleaning_ = port::File();
    file_.reset();
    b_.reset();
    a_.reset();
  }

  void Reopen() {
    doing_ = "reopening";
    tally_->reopened++;
    model_.Prune();
    const bool faults = OneIn(3);
    if (faults) Arm();
    Close();
    std::string detail;
    if (armed_) {
      if (OneIn(2)) {  // while opening, not while closing
        static_cast<void>(Disarm());
        Arm();
      }
      const auto opened = Session::Open(folder_.File("db"), QuietOptions(64u << 10), &detail);
      const bool fault = Disarm();
      if (!opened.ok()) {
        if (!fault) return Wrong(opened.status().text());
        Refused(opened.status());
      }
    } else if (OneIn(2)) {
      SetBootId(++boot_);  // the machine has crashed after a clean close
    }
    static_cast<void>(Disarm());
    Open();
    Recover();
    CompareAll();
  }

  void Finish() {
    doing_ = "the end";
    if (transaction_) Abort();
    CompareAll();
    for (Taken& taken : snapshots_) static_cast<void>(a_->Release(taken.view).ok());
    snapshots_.clear();
    Counts before, after;
    if (const Status status = b_->Gc(true, &before, &after); !status.ok()) Wrong(status.text());
    if (!after.skipped) CheckTheDead();
    VerifyClean(b_.get());
    if (Failures() != 0) Wrong("verify() is not clean");
  }

  static inline uint64_t boot_ = 0;
  Folder folder_;
  TestClock clock_;
  Names names_;
  Generator generator_;
  Model model_;               // what is committed
  Tally* tally_;
  std::unique_ptr<Session> a_, b_;
  std::shared_ptr<DatabaseFile> file_;
  port::File cleaning_;
  std::optional<OpenTransaction> transaction_;  // of a_
  uint64_t versions_ = 0;     // when it began
  std::vector<Taken> snapshots_;      // of a_
  bool armed_ = false;
  Call call_ = Call::kOpen;
  uint64_t step_ = 0;
  std::string doing_;
  std::string wrong_;
};

TEST(RandomOperations) {
  SkipSyncs(true);
  Tally tally;
  bool ok = true;
  for (uint64_t round = 0; round < kRounds * Scale() && ok; round++) {
    Round one(Seed() * 1'000'003 + round, &tally);
    ok = one.Run(kSteps);
    if (!ok) std::fprintf(stderr, "round %llu\n", static_cast<unsigned long long>(round));
  }
  if (!ok) return;
  std::printf("operations: %llu; transactions: %llu committed, %llu lost, %llu aborted; faults: %llu, of which %llu refused; reopened: %llu\n",
              static_cast<unsigned long long>(tally.operations), static_cast<unsigned long long>(tally.commits),
              static_cast<unsigned long long>(tally.conflicts), static_cast<unsigned long long>(tally.aborts),
              static_cast<unsigned long long>(tally.faults), static_cast<unsigned long long>(tally.refused),
              static_cast<unsigned long long>(tally.reopened));
  // Each kind of end must have been met, or nothing is tested.
  CHECK(tally.commits > 0 && tally.conflicts > 0 && tally.aborts > 0 && tally.refused > 0 && tally.reopened > 0);
}

}  // namespace
}  // namespace pongo
