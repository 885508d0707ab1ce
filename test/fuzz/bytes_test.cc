// A mutated file never crashes, hangs or balloons the process: it gives right data or a typed error.
//
// A valid file with content of every kind is changed in one to eight places: in the blocks that the version reaches (headers,
// refs and counts above all), in slab headers, or in the superblocks, whose checksum is repaired. Each is opened, verified, read
// and written in a child that may use 15 seconds of the processor and 1 GiB. A child that dies names the case, which can be
// repeated: SEED=n PONGO_CASE=m.

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "child.h"
#include "model/database_file.h"
#include "model/transaction.h"
#include "test/crash/operations.h"
#include "test/fuzz/mutated_file.h"

namespace pongo {
namespace {

using namespace pongo::test;

constexpr uint64_t kFilesPerChild = 40;
constexpr itimerval kWork{{0, 0}, {15, 0}}, kNoTime{{0, 0}, {0, 0}};  // of the processor; alarm() is for who sleeps for ever

void LimitMemory() {
  alarm(0);
  const rlimit memory{1u << 30, 1u << 30};
  setrlimit(RLIMIT_DATA, &memory);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
}

template <class F>
void Within(F&& body) {
  setitimer(ITIMER_PROF, &kWork, nullptr);
  alarm(120);
  body();
  alarm(0);
  setitimer(ITIMER_PROF, &kNoTime, nullptr);
}

// Found by MutatedFiles: a container that claims more elements than its tree has was cut behind its end.
TEST(ASizeThatIsTooLargeIsNoCrash) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, QuietOptions(256u << 10));
  REQUIRE(session != nullptr);
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  static_cast<void>(writer.List(3));
  for (int i = 0; i < 3; i++) writer.Int(i);
  Input input;
  input.wire = wire.data();
  input.wire_size = wire.size();
  REQUIRE(session->Set(kRootId, TextKey("list").key(), input, 0).ok());
  uint64_t list = 0;
  CHECK_OK(session->Get(0, kRootId, TextKey("list").key(), [&](const ValueView& v) { list = v.id; }));
  std::string detail;
  auto file = DatabaseFile::Open(path, QuietOptions(), &detail);
  REQUIRE(file.ok());
  Mapping* mapping = file.value()->mapping();
  Base base;
  bool present = false;
  ObjectEntry entry;
  REQUIRE(ReadBase(mapping, mapping->header()->root.load(), &base).ok());
  REQUIRE(FindObject(mapping, base.table, list, &present, &entry).ok() && present && entry.size == 3);
  // The entry where it lies in the mapped file.
  int patched = 0;
  for (uint64_t at = kSlabSize; at + sizeof entry <= mapping->mapped_length(); at += 8) {
    if (std::memcmp(mapping->data() + at, &entry, sizeof entry) != 0) continue;
    ObjectEntry wrong = entry;
    wrong.size = 9;
    std::memcpy(mapping->data() + at, &wrong, sizeof wrong);
    patched++;
  }
  CHECK(patched > 0);
  uint64_t length;
  CHECK_CODE(session->ListSplice(list, 5, 1, nullptr, 0, &length), CORRUPT);
  CHECK_CODE(session->ListSet(list, 7, IntInput(1)), CORRUPT);
  CHECK_CODE(session->ListPop(list, [](const ValueView&) {}), CORRUPT);
}

// One case of MutatedFiles.
void RunCase(const Folder& folder, uint64_t run_seed, uint64_t number) {
  const uint64_t seed = run_seed * 1'000'003 + number / kFilesPerChild * kFilesPerChild;
  const uint64_t own_seed = seed + number % kFilesPerChild;
  std::mt19937_64 random(seed), own(own_seed);
  const Original original = MakeOriginal(folder, &random);
  PlaceFile(folder, original, Mutate(original, [&] { return own(); }), number % kFilesPerChild % 4 != 0);
  UseFile(MutatedPath(folder), own_seed);
}

// Cases that have found something are kept: pairs of a seed and a case, one a line.
TEST(KeptCases) {
  SkipSyncs(true);
  const Folder folder;
  std::FILE* list = std::fopen("test/fuzz/corpus/cases.txt", "r");
  REQUIRE(list != nullptr);
  unsigned long long seed, number;
  uint64_t count = 0;
  char line[200];
  while (std::fgets(line, sizeof line, list) != nullptr) {
    if (std::sscanf(line, "%llu %llu", &seed, &number) != 2) continue;
    count++;
    const int status = RunInChild([&] {
      LimitMemory();
      Within([&] { RunCase(folder, seed, number); });
      return 0;
    });
    if (status != 0) Fail(__FILE__, __LINE__, "SEED=" + std::to_string(seed) + " PONGO_CASE=" + std::to_string(number) + " ended the process");
  }
  std::fclose(list);
  CHECK(count > 0);
}

// Inputs that libFuzzer has kept, because each reached code that no other did (test/fuzz/bytes_fuzzer.cc).
TEST(KeptInputs) {
  SkipSyncs(true);
  const Folder folder;
  std::mt19937_64 random(1);
  const Original original = MakeOriginal(folder, &random);
  uint64_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("test/fuzz/corpus/bytes")) {
    const Bytes input = ReadWholeFile(entry.path().string());
    count++;
    const int status = RunInChild([&] {
      LimitMemory();
      Within([&] { UseInput(folder, original, input.data(), input.size()); });
      return 0;
    });
    if (status != 0) Fail(__FILE__, __LINE__, entry.path().string() + " ended the process with status " + std::to_string(status));
  }
  CHECK(count > 0);
  std::printf("kept inputs: %llu\n", static_cast<unsigned long long>(count));
}

TEST(MutatedFiles) {
  SkipSyncs(true);
  const Folder folder;
  const std::string path = MutatedPath(folder);
  const uint64_t files = 2'000 * Scale();
  uint64_t used = 0;
  if (const char* text = std::getenv("PONGO_CASE"); text != nullptr) {  // one file again, in this process
    RunCase(folder, Seed(), std::strtoull(text, nullptr, 10));
    return;
  }
  for (uint64_t first = 0; first < files && Failures() == 0; first += kFilesPerChild) {
    const uint64_t seed = Seed() * 1'000'003 + first;
    std::mt19937_64 random(seed);
    const Original original = MakeOriginal(folder, &random);
    uint64_t from = 0;
    Pipe progress;
    const pid_t pid = StartChild([&] {
      uint64_t opened = 0;
      LimitMemory();
      for (uint64_t i = 0; i < kFilesPerChild; i++) {
        std::mt19937_64 own(seed + i);
        PlaceFile(folder, original, Mutate(original, [&] { return own(); }), i % 4 != 0);
        progress.Send(i);
        Within([&] { opened += UseFile(path, seed + i) ? 1 : 0; });
      }
      progress.Send(kFilesPerChild + opened);
      return 0;
    });
    progress.CloseWriter();
    while (progress.Receive(&from)) {
    }
    if (from >= kFilesPerChild) used += from - kFilesPerChild;
    const int status = AwaitChild(pid);
    if (status != 0) {
      Fail(__FILE__, __LINE__,
           "file " + std::to_string(first + from) + " ended the process with status " + std::to_string(status) + "; again: SEED=" +
               std::to_string(Seed()) + " PONGO_CASE=" + std::to_string(first + from) + " bytes_test MutatedFiles");
      const char* keep = std::getenv("PONGO_KEEP");
      if (keep != nullptr) WriteFile(keep, ReadWholeFile(path));
    }
  }
  std::printf("mutated files: %llu, of which %llu could be opened\n", static_cast<unsigned long long>(files),
              static_cast<unsigned long long>(used));
  CHECK(used > files / 4);  // most damage must get past opening, or nothing is tested
}

}  // namespace
}  // namespace pongo
