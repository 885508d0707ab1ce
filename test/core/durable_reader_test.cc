// Readers without write permission: they see checkpoints, whole, while writers go on. The order on both sides of the lock on
// a checkpoint's byte, and what the horizon sees meanwhile.

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "child.h"
#include "format/wire_writer.h"
#include "model/plain.h"
#include "regressions.h"
#include "store/checkpoint.h"
#include "store/horizon.h"
#include "store/reader_roots.h"
#include "store_support.h"

namespace pongo {
namespace {

using test::AwaitChild;
using test::Folder;
using test::GetInt;
using test::OpenSession;
using test::Pipe;
using test::Quiet;
using test::SetInt;
using test::StartChild;
using test::TextKey;
using test::TestFile;
using test::VerifyClean;
using test::Worker;

constexpr uid_t kNobody = 65534;
constexpr int kKeys = 40;

// Another user, who may read the files and not write them. Needs root, as which continuous integration runs; for anybody else
// the file is made read-only instead, which does the same to a process that opens it from now on.
std::string unwritable;
bool BecomeNobody() {
  if (geteuid() == 0) return setgid(kNobody) == 0 && setuid(kNobody) == 0;
  return chmod(unwritable.c_str(), 0444) == 0;
}

OpenOptions ReadOnly() {
  OpenOptions options = Quiet();
  options.chunk_size = 0;
  options.read_only = true;
  return options;
}

std::string KeyName(int i) { return "k" + std::to_string(i); }

// All keys get the same number, in one commit.
bool SetAll(Session* session, int64_t generation) {
  if (!session->Begin().ok()) return false;
  for (int i = 0; i < kKeys; i++)
    if (!SetInt(session, KeyName(i), generation).ok()) return false;
  bool committed = false;
  return session->Commit(&committed).ok() && committed;
}

// The number that all keys have in a view; -1 when they differ.
int64_t Generation(Session* session, uint64_t view) {
  const int64_t first = GetInt(session, view, kRootId, KeyName(0));
  for (int i = 1; i < kKeys; i++)
    if (GetInt(session, view, kRootId, KeyName(i)) != first) return -1;
  return first;
}

// Files that others may read.
struct Shared {
  Shared() : path(folder.File("db")) {
    chmod(path.substr(0, path.rfind('/')).c_str(), 0755);
    options = Quiet();
    options.mode = 0644;
    unwritable = path;
  }
  Folder folder;
  std::string path;
  OpenOptions options;
};

// -- the lock and the recheck --

TEST(TheReaderLooksAgainAfterItHasTheLock) {
  const TestFile file;
  Worker worker(file.mapping());
  port::File lock_file;
  port::File reader;
  REQUIRE(port::Reopen(file.mapping()->data_file(), true, &lock_file).ok());
  REQUIRE(port::Reopen(file.mapping()->data_file(), false, &reader).ok());
  ControlHeader* header = file.header();
  const uint64_t sequence = header->durable_sequence.load();
  // A checkpoint comes in between: its checkpointer finds the byte unlocked, and lets the older root go.
  int calls = 0;
  Superblock seen;
  CHECK(LockNewestRoot(reader, &seen, [&] {
    if (++calls > 1) return;
    bool wrote = false;
    CHECK(Checkpoint(worker.slot.get(), lock_file, ~uint64_t{0}, false, &wrote).ok());
    CHECK(wrote);
  }).ok());
  CHECK_EQ(calls, 2);
  CHECK_EQ(seen.sequence, sequence + 1);
  CHECK_EQ(header->durable_sequence.load(), sequence + 1);
  for (const HeldRoots& held : header->held) CHECK_EQ(held.low.load(), 0u);
}

TEST(ACheckpointerKeepsWhatIsRead) {
  const TestFile file;
  Worker worker(file.mapping());
  port::File lock_file;
  REQUIRE(port::Reopen(file.mapping()->data_file(), true, &lock_file).ok());
  ControlHeader* header = file.header();
  const auto checkpoint = [&] {
    bool wrote = false;
    CHECK(Checkpoint(worker.slot.get(), lock_file, ~uint64_t{0}, false, &wrote).ok());
  };
  const auto held = [&] {
    uint64_t count = 0;
    for (const HeldRoots& h : header->held) count += h.low.load() != 0 ? 1 : 0;
    return count;
  };
  Superblock seen;
  {
    port::File reader;
    REQUIRE(port::Reopen(file.mapping()->data_file(), false, &reader).ok());
    CHECK(LockNewestRoot(reader, &seen).ok());
    checkpoint();
    CHECK_EQ(held(), 1u);
    checkpoint();  // it stays, and the one after it was read by nobody
    CHECK_EQ(held(), 1u);
    Horizon horizon;
    horizon.Scan(*file.mapping());
    REQUIRE(horizon.held().size() == 1);
    CHECK_EQ(horizon.held()[0].first, seen.version);
    CHECK(OlderRootIsRead(lock_file, header->durable_sequence.load()));
  }
  CHECK(!OlderRootIsRead(lock_file, header->durable_sequence.load()));
  checkpoint();
  CHECK_EQ(held(), 0u);
}

// More readers at different checkpoints than there are entries: ranges are merged, and all of them stay protected.
TEST(ManyReadersOfManyCheckpoints) {
  const TestFile file;
  Worker worker(file.mapping());
  port::File lock_file;
  REQUIRE(port::Reopen(file.mapping()->data_file(), true, &lock_file).ok());
  ControlHeader* header = file.header();
  const uint64_t first = header->durable_sequence.load();
  std::vector<port::File> readers(kHeldRootsMax + 20);
  for (port::File& reader : readers) {
    Superblock seen;
    REQUIRE(port::Reopen(file.mapping()->data_file(), false, &reader).ok());
    REQUIRE(LockNewestRoot(reader, &seen).ok());
    bool wrote = false;
    REQUIRE(Checkpoint(worker.slot.get(), lock_file, ~uint64_t{0}, true, &wrote).ok());
    const uint64_t last = header->durable_sequence.load();
    for (uint64_t sequence = first; sequence < last; sequence++) {
      const bool covered = std::any_of(std::begin(header->held), std::end(header->held), [&](const HeldRoots& held) {
        return held.low.load() != 0 && held.first_sequence.load() <= sequence && sequence <= held.last_sequence.load();
      });
      CHECK(covered);
    }
  }
  readers.clear();
  bool wrote = false;
  REQUIRE(Checkpoint(worker.slot.get(), lock_file, ~uint64_t{0}, true, &wrote).ok());
  for (const HeldRoots& held : header->held) CHECK_EQ(held.low.load(), 0u);
}

// A version that moves from `durable` to the held ones, and in a merge from one entry to another, is seen in every scan.
TEST(AHeldVersionIsSeenWhileItMoves) {
  const TestFile file;
  file.set_version(uint64_t{1} << 40);
  ControlHeader* header = file.header();
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> scans{0};
  std::atomic<uint64_t> read{0};  // the version that somebody reads throughout
  std::thread mover([&] {
    HeldRoots& upper = header->held[kHeldRootsMax - 1];
    HeldRoots& lower = header->held[0];
    for (uint64_t round = 1; round < 400'000 || (scans.load() < 3000 && round < 20'000'000); round++) {
      const uint64_t version = round * 10;
      header->durable_pin.store(version);
      read.store(version);
      upper.high.store(version);
      upper.low.store(version);
      header->durable_pin.store(version + 5);
      lower.high.store(version - 1);
      lower.low.store(version - 1);
      lower.high.store(version);  // the merge
      upper.low.store(0);
      for (uint64_t pause = round % 64; pause > 0; pause--) port::Relax();
      read.store(0);
      lower.low.store(0);
    }
    stop.store(true);
  });
  uint64_t missed = 0;
  Horizon horizon;
  while (!stop.load()) {
    const uint64_t version = read.load();
    horizon.Scan(*file.mapping());
    if (version == 0 || read.load() != version) continue;
    scans.fetch_add(1);
    if (horizon.Reusable(RetiredState(version, version + 1))) missed++;
  }
  mover.join();
  CHECK_EQ(missed, 0u);
  CHECK(scans.load() > 0);
  header->durable_pin.store(1);
}

// -- the whole, as another user --

TEST(AReaderWithoutPermissionSeesTheLastCheckpoint) {
  Shared shared;
  auto writer = OpenSession(shared.path, shared.options);
  REQUIRE(writer != nullptr);
  CHECK(SetAll(writer.get(), 1));
  CHECK(writer->Sync().ok());
  CHECK(SetAll(writer.get(), 2));
  Pipe to_reader;
  Pipe from_reader;
  const pid_t child = StartChild([&]() -> int {
    if (!BecomeNobody()) return 1;
    auto reader = OpenSession(shared.path, ReadOnly());
    char byte = 0;
    if (reader == nullptr) return 2;
    if (Generation(reader.get(), 0) != 1) return 3;  // not 2: it is not durable
    if (SetInt(reader.get(), "k0", 9).code() != Code::kREADONLY) return 4;
    uint64_t before = 0;
    if (!reader->Snapshot(&before).ok()) return 5;
    from_reader.Send(byte);
    if (!to_reader.Receive(&byte)) return 6;
    // The writer has made more checkpoints. The live view follows on demand; the snapshot stays.
    if (!reader->Sync().ok() || Generation(reader.get(), 0) != 300) return 7;
    if (Generation(reader.get(), before) != 1) return 8;
    if (!reader->Begin().ok() || Generation(reader.get(), 0) != 300) return 9;
    bool committed = false;
    if (!reader->Commit(&committed).ok() || !committed) return 10;
    Counts counts;
    std::string problem;
    if (!reader->Verify(&counts, &problem).ok() || counts.values < kKeys) return 11;
    if (!reader->Release(before).ok()) return 12;
    Counts after;
    if (reader->Gc(true, &counts, &after).code() != Code::kREADONLY) return 13;
    if (!reader->Sync().ok()) return 14;  // lets go of the older checkpoint
    from_reader.Send(byte);
    if (!to_reader.Receive(&byte)) return 15;
    return reader->Close().ok() ? 0 : 16;
  });
  char byte = 0;
  from_reader.CloseWriter();
  REQUIRE(from_reader.Receive(&byte));
  for (int g = 3; g <= 300; g++) {
    CHECK(SetAll(writer.get(), g));
    if (g % 50 == 0) CHECK(writer->Sync().ok());
  }
  CHECK_EQ(test::Stat(writer.get(), "heldCheckpoints"), 1.0);
  to_reader.Send(byte);
  REQUIRE(from_reader.Receive(&byte));
  CHECK(SetAll(writer.get(), 301));
  CHECK(writer->Sync().ok());  // releases what was held, holds what the reader shows now
  CHECK(SetAll(writer.get(), 302));
  CHECK(writer->Sync().ok());
  CHECK_EQ(test::Stat(writer.get(), "heldCheckpoints"), 1.0);
  to_reader.Send(byte);
  CHECK_EQ(AwaitChild(child), 0);
  CHECK(SetAll(writer.get(), 303));
  CHECK(writer->Sync().ok());
  CHECK_EQ(test::Stat(writer.get(), "heldCheckpoints"), 0.0);
  Counts before;
  Counts after;
  CHECK(writer->Gc(true, &before, &after).ok());
  CHECK_EQ(before.orphans, 0u);
  VerifyClean(writer.get());
}

// Remembers the names of each shape, as a binding does.
class Names final : public PlainSink {
 public:
  explicit Names(Session* session) : session_(session) {}
  void Primitive(const ValueView&) override {}
  bool Record(uint64_t shape, const ValueView*, uint32_t) override {
    if (known_.count(shape) == 0 && !Read(shape, &known_[shape])) std::abort();
    return true;
  }
  void Wire(std::vector<uint8_t> wire) override { wire_bytes = wire.size(); }
  bool StillRight() {
    std::string now;
    return std::all_of(known_.begin(), known_.end(), [&](const auto& shape) { return Read(shape.first, &now) && now == shape.second; });
  }
  size_t wire_bytes = 0;

 private:
  bool Read(uint64_t shape, std::string* names) {
    names->clear();
    return session_->ShapeNames(shape, [&](const Key& name) { names->append(reinterpret_cast<const char*>(name.data), name.size); }).ok();
  }
  Session* session_;
  std::map<uint64_t, std::string> known_;
};

std::string LongNumber(int i) { return "number:" + std::to_string(i); }

// The shape of ten documents, of the size of the texts, lies behind many free blocks.
void FillWithAShapeAtTheEnd(Session* session) {
  for (int i = 0; i < 3000; i++) CHECK_OK(session->Set(kRootId, TextKey(LongNumber(i)).key(), test::TextInput(std::string(600, 'x')), 0));
  for (int i = 0; i < 10; i++) {
    std::vector<uint8_t> wire;
    WireWriter writer(&wire);
    static_cast<void>(writer.Dict(3));
    for (const char* first : {"a", "b", "c"}) {
      const std::string name = first + std::string(170, 'n');
      writer.String(reinterpret_cast<const uint8_t*>(name.data()), static_cast<uint32_t>(name.size()));
      writer.Int(i);
    }
    Input input;
    input.wire = wire.data();
    input.wire_size = wire.size();
    CHECK_OK(session->Set(kRootId, TextKey("document:" + std::to_string(i)).key(), input, 0));
  }
  bool present;
  for (int i = 0; i < 3000; i++)
    if (i < 1500 || i % 10 != 0) CHECK_OK(session->Delete(kRootId, TextKey(LongNumber(i)).key(), &present));
  CHECK_OK(session->Sync());
}

// The last closer may move a shape while a reader without permission, whom it does not see, remembers the names by the old place.
TEST(TheNamesOfAShapeThatHasMovedAreNotTakenForOthers) {
  Shared shared;
  shared.options.chunk_size = 256u << 10;
  Pipe to_reader;
  Pipe from_reader;
  const pid_t child = StartChild([&]() -> int {
    char byte = 0;
    if (!to_reader.Receive(&byte) || !BecomeNobody()) return 1;
    auto reader = OpenSession(shared.path, ReadOnly());
    if (reader == nullptr) return 2;
    Names names(reader.get());
    const TextKey key("document:9");
    if (!reader->PlainValue(0, kRootId, key.key(), &names).ok()) return 3;
    from_reader.Send(byte);
    if (!to_reader.Receive(&byte)) return 4;
    if (!reader->Sync().ok()) return 5;  // lets go of the older checkpoint
    from_reader.Send(byte);
    if (!to_reader.Receive(&byte)) return 6;
    if (!names.StillRight()) return 7;
    if (!reader->PlainValue(0, kRootId, key.key(), &names).ok()) return 8;
    return names.wire_bytes > 3 * 170 ? 0 : 9;
  });
  auto writer = OpenSession(shared.path, shared.options);
  REQUIRE(writer != nullptr);
  FillWithAShapeAtTheEnd(writer.get());
  char byte = 0;
  to_reader.Send(byte);
  from_reader.CloseWriter();
  REQUIRE(from_reader.Receive(&byte));
  CHECK_OK(writer->Close());
  writer.reset();
  to_reader.Send(byte);
  REQUIRE(from_reader.Receive(&byte));
  writer = OpenSession(shared.path, shared.options);
  REQUIRE(writer != nullptr);
  CHECK(SetInt(writer.get(), "again", 1).ok());
  CHECK_OK(writer->Sync());  // nobody reads what was held
  for (int i = 0; i < 4000; i++)
    CHECK_OK(writer->Set(kRootId, TextKey(LongNumber(i)).key(), test::TextInput(std::string(600, 'y')), 0));
  to_reader.Send(byte);
  CHECK_EQ(AwaitChild(child), 0);
}

// Counts what a batch says: all keys, and one number for all.
class GenerationSeen final : public ChangeVisitor {
 public:
  void OnChange(const Change& change) override {
    const bool fits = change.type == Change::Type::kSet && change.path_size == 1 && (keys == 0 || change.value->integer == generation);
    generation = fits ? change.value->integer : -1;
    keys++;
  }
  void OnInserted(const ValueView&) override { generation = -1; }
  int64_t generation = 0;
  int keys = 0;
};

TEST(AWatcherWithoutPermissionIsToldOfEachCheckpointAsAWhole) {
  constexpr int64_t kLast = 200;
  Shared shared;
  auto writer = OpenSession(shared.path, shared.options);
  REQUIRE(writer != nullptr);
  CHECK(SetAll(writer.get(), 0));
  CHECK(writer->Sync().ok());
  Pipe ready;
  const pid_t child = StartChild([&]() -> int {
    if (!BecomeNobody()) return 1;
    OpenOptions options = ReadOnly();
    options.checkpoint_interval_ms = 1;  // follows in the background
    auto reader = OpenSession(shared.path, options);
    if (reader == nullptr) return 2;
    uint64_t watcher = 0;
    if (!reader->Watch(kRootId, nullptr, 0, 0, &watcher).ok()) return 3;
    char byte = 0;
    ready.Send(byte);
    for (int64_t last = 0; last != kLast;) {
      bool changed = false;
      if (!reader->WaitChanges(watcher, port::kForever, &changed).ok()) return 4;
      GenerationSeen seen;
      if (!reader->Changes(watcher, &seen).ok()) return 5;
      if (seen.keys == 0) continue;
      if (seen.keys != kKeys || seen.generation <= last || seen.generation % 10 != 0) return 6;
      last = seen.generation;
    }
    return reader->Close().ok() ? 0 : 7;
  });
  char byte = 0;
  REQUIRE(ready.Receive(&byte));
  for (int64_t g = 1; g <= kLast; g++) {
    CHECK(SetAll(writer.get(), g));
    if (g % 10 == 0) CHECK(writer->Sync().ok());
  }
  CHECK_EQ(AwaitChild(child), 0);
}

// Writers churn through the space while readers of another user look: what they see is always a checkpoint, never a mixture.
TEST(ReadersSeeCheckpointsWhileWritersChurn) {
  Shared shared;
  shared.options.max_size = 4 << 20;  // little room: what is not protected is reused at once
  auto writer = OpenSession(shared.path, shared.options);
  REQUIRE(writer != nullptr);
  CHECK(SetAll(writer.get(), 0));
  CHECK(writer->Sync().ok());
  Pipe done;
  std::vector<pid_t> children;
  Pipe ready;
  for (int c = 0; c < 2; c++)
    children.push_back(StartChild([&]() -> int {
      done.CloseWriter();
      if (!BecomeNobody()) return 1;
      OpenOptions options = ReadOnly();
      options.checkpoint_interval_ms = 1;  // follows in the background
      auto reader = OpenSession(shared.path, options);
      if (reader == nullptr) return 2;
      char byte = 0;
      ready.Send(byte);
      int64_t last = 0;
      for (int round = 0;; round++) {
        uint64_t view = 0;
        if (!reader->Snapshot(&view).ok()) return 3;
        const int64_t first = Generation(reader.get(), view);
        if (first < last || first % 10 != 0) return 4;  // only every tenth was made durable
        last = first;
        for (int again = 0; again < 50; again++)
          if (Generation(reader.get(), view) != first) return 5;
        if (!reader->Release(view).ok()) return 6;
        if (round % 20 == 19) {
          if (!reader->Close().ok()) return 7;
          reader = OpenSession(shared.path, options);
          if (reader == nullptr) return 8;
        }
        if (last == 3000) return 0;
      }
    }));
  done.CloseReader();
  char byte = 0;
  for (size_t c = 0; c < children.size(); c++) REQUIRE(ready.Receive(&byte));
  for (int g = 1; g <= 3000; g++) {
    if (!SetAll(writer.get(), g)) {
      CHECK(false);
      break;
    }
    if (g % 10 == 0) CHECK(writer->Sync().ok());
  }
  for (const pid_t child : children) CHECK_EQ(AwaitChild(child), 0);
  VerifyClean(writer.get());
}

// A read under way keeps its checkpoint, although the process follows to newer ones meanwhile.
TEST(AReadUnderWayKeepsItsCheckpoint) {
  Shared shared;
  shared.options.max_size = 1 << 20;
  auto writer = OpenSession(shared.path, shared.options);
  REQUIRE(writer != nullptr);
  const auto write = [&](char letter) { return test::SetText(writer.get(), "text", std::string(200, letter)).ok() && writer->Sync().ok(); };
  CHECK(write('a'));
  Pipe to_parent;
  Pipe to_child;
  const pid_t child = StartChild([&]() -> int {
    if (!BecomeNobody()) return 1;
    auto reader = OpenSession(shared.path, ReadOnly());
    if (reader == nullptr) return 2;
    int result = 3;
    const auto step = [&] {  // the parent writes
      char byte = 0;
      to_parent.Send(byte);
      return to_child.Receive(&byte);
    };
    const Status got = reader->Get(0, kRootId, TextKey("text").key(), [&](const ValueView& value) {
      if (!step() || !reader->Sync().ok() || !step()) return;
      result = std::string(reinterpret_cast<const char*>(value.data), value.size) == std::string(200, 'a') ? 0 : 4;
    });
    return got.ok() ? result : 5;
  });
  to_parent.CloseWriter();
  char byte = 0;
  REQUIRE(to_parent.Receive(&byte));
  CHECK(write('b'));
  to_child.Send(byte);
  REQUIRE(to_parent.Receive(&byte));
  for (int i = 0; i < 300; i++) CHECK(write('c'));  // reuses whatever is not protected
  to_child.Send(byte);
  CHECK_EQ(AwaitChild(child), 0);
}

// No control file, or none that can be believed, and nobody who may recover the file.
TEST(AFileWithoutWritersOpensForReaders) {
  Shared shared;
  {
    auto writer = OpenSession(shared.path, shared.options);
    REQUIRE(writer != nullptr);
    CHECK(SetAll(writer.get(), 7));
  }
  const auto read = [&](bool drop) {
    return test::RunInChild([&]() -> int {
      if (drop && !BecomeNobody()) return 1;
      auto reader = OpenSession(shared.path, ReadOnly());
      if (reader == nullptr) return 2;
      if (Generation(reader.get(), 0) != 7) return 3;
      Counts counts;
      std::string problem;
      return reader->Verify(&counts, &problem).ok() ? 0 : 4;
    });
  };
  CHECK_EQ(read(true), 0);
  CHECK_EQ(read(false), 0);
  unlink((shared.path + "-lock").c_str());  // as after a crash of the machine
  CHECK_EQ(read(true), 0);
  CHECK_EQ(read(false), 0);
  struct stat info;
  CHECK(stat((shared.path + "-lock").c_str(), &info) != 0);  // a reader makes no files
  // Killed while it wrote, and then the control file lost: the last checkpoint is there.
  const int status = test::RunInChild([&]() -> int {
    auto writer = OpenSession(shared.path, shared.options);
    if (writer == nullptr || !SetAll(writer.get(), 8)) return 1;
    return raise(SIGKILL);
  });
  CHECK(test::Killed(status));
  unlink((shared.path + "-lock").c_str());
  CHECK_EQ(read(true), 0);
  CHECK_EQ(read(false), 0);
  auto writer = OpenSession(shared.path, shared.options);
  REQUIRE(writer != nullptr);
  CHECK_EQ(Generation(writer.get(), 0), 7);
  VerifyClean(writer.get());
}

// Recovery gives away all space but that of the newest checkpoint: not while somebody reads an older one.
TEST(RecoveryWaitsForReadersOfOlderCheckpoints) {
  Shared shared;
  {
    auto writer = OpenSession(shared.path, shared.options);
    REQUIRE(writer != nullptr);
    CHECK(SetAll(writer.get(), 1));
  }
  Pipe go;
  Pipe ready;
  const pid_t child = StartChild([&]() -> int {
    go.CloseWriter();
    if (!BecomeNobody()) return 1;
    auto reader = OpenSession(shared.path, ReadOnly());
    if (reader == nullptr) return 2;
    char byte = 0;
    ready.Send(byte);
    if (!go.Receive(&byte)) return 3;
    return Generation(reader.get(), 0) == 1 ? 0 : 4;
  });
  go.CloseReader();
  char byte = 0;
  REQUIRE(ready.Receive(&byte));
  {
    // The newest checkpoint is the one that is read: recovery leaves it alone.
    unlink((shared.path + "-lock").c_str());
    auto writer = OpenSession(shared.path, shared.options);
    REQUIRE(writer != nullptr);
    CHECK_EQ(test::Stat(writer.get(), "heldCheckpoints"), 1.0);
    for (int g = 2; g < 50; g++) CHECK(SetAll(writer.get(), g));
  }
  unlink((shared.path + "-lock").c_str());
  std::string detail;
  CHECK_EQ(Session::Open(shared.path, shared.options, &detail).status().code(), Code::kLOCKED);
  go.Send(byte);
  CHECK_EQ(AwaitChild(child), 0);
  auto writer = OpenSession(shared.path, shared.options);
  REQUIRE(writer != nullptr);
  CHECK_EQ(Generation(writer.get(), 0), 49);
  VerifyClean(writer.get());
}

}  // namespace
}  // namespace pongo
