// Power loss: the disk (disk.h) records what the engine writes between syncs, mapped stores included. At each moment images are
// made that a power cut could have left; each is recovered, and for some the power goes again while they are. What comes back
// must be exactly the version that the newest valid superblock of the image names, which is at least the last one that was
// acknowledged as durable; verify() is clean, and no version number is given out twice.

#include <unistd.h>

#include <algorithm>
#include <map>

#include "format/control.h"
#include "store/checkpoint.h"
#include "test/crash/disk.h"
#include "test/crash/operations.h"

namespace pongo {
namespace {

using namespace pongo::test;

struct Snapshot {
  CrashState state;
  uint64_t acknowledged = 0;  // version known to be durable at that moment
  uint64_t issued = 0;        // highest version given out until then
};

// What happened: contents by version, and the moments at which the power may fail.
struct History {
  std::map<uint64_t, uint64_t> contents;  // version -> fingerprint
  std::vector<Snapshot> moments;
  uint64_t acknowledged = 0;
  uint64_t issued = 0;
  Bytes control;              // the live control file near the end, as far as it is used
};

uint64_t images = 0;

// The parts of a control file that a small database uses; the rest is a hole.
Bytes ControlParts(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) std::abort();
  Bytes bytes(kSlotAreasOffset + 8 * kSlotAreaSize + 2 * sizeof(RegionSegment));
  const size_t head = kSlotAreasOffset + 8 * kSlotAreaSize;
  if (std::fread(bytes.data(), head, 1, file) != 1) std::abort();
  std::fseek(file, static_cast<long>(kSegmentsOffset), SEEK_SET);
  static_cast<void>(!std::fread(bytes.data() + head, 1, bytes.size() - head, file));
  std::fclose(file);
  return bytes;
}

// Garbage by definition: missing, random, or the true one of before the crash (moved to the image's inode).
void PlaceControl(const std::string& path, const History& history, std::mt19937_64* random) {
  const std::string control = path + "-lock";
  unlink(control.c_str());
  const uint64_t kind = (*random)() % 4;
  if (kind == 0 || history.control.empty()) return;
  Bytes parts = history.control;
  if (kind == 1)
    for (size_t i = 0; i < parts.size(); i += 7) parts[i] = static_cast<uint8_t>((*random)());
  port::File file;
  bool created;
  port::FileId id;
  if (!port::OpenFile(path, port::OpenMode::kReadOnly, 0, &file, &created).ok() || !port::GetFileId(file, &id).ok()) std::abort();
  std::memcpy(parts.data() + offsetof(ControlHeader, data_device), &id.device, 8);
  std::memcpy(parts.data() + offsetof(ControlHeader, data_inode), &id.inode, 8);
  std::FILE* out = std::fopen(control.c_str(), "wb");
  if (out == nullptr) std::abort();
  const size_t head = kSlotAreasOffset + 8 * kSlotAreaSize;
  std::fwrite(parts.data(), head, 1, out);
  std::fseek(out, static_cast<long>(kSegmentsOffset), SEEK_SET);
  std::fwrite(parts.data() + head, parts.size() - head, 1, out);
  std::fclose(out);
}

// The version that an image names; false when it has no valid superblock.
bool NamedVersion(const Bytes& image, uint64_t* version) {
  bool found = false;
  uint64_t sequence = 0;
  for (uint64_t copy = 0; copy < 2; copy++) {
    Superblock superblock;
    if (image.size() < (copy + 1) * kPageSize) continue;
    std::memcpy(&superblock, image.data() + copy * kPageSize, sizeof superblock);
    Superblock sealed = superblock;
    sealed.crc = 0;
    SealSuperblock(&sealed);
    if (superblock.magic != kSuperblockMagic || sealed.crc != superblock.crc) continue;
    if (found && superblock.sequence < sequence) continue;
    found = true;
    sequence = superblock.sequence;
    *version = superblock.version;
  }
  return found;
}

void Recover(const Folder& folder, const History& history, const Snapshot& snapshot, const Bytes& image, int level,
             const std::map<uint64_t, uint64_t>& contents, std::mt19937_64* random);

// The power goes again while the image is being recovered.
void CrashAgain(const Folder& folder, const History& history, const Snapshot& snapshot, const std::vector<CrashState>& states,
                uint64_t fingerprint, const std::map<uint64_t, uint64_t>& contents, std::mt19937_64* random) {
  std::map<uint64_t, uint64_t> with_recovered = contents;
  for (const auto& [version, content] : contents) with_recovered[version + (uint64_t{1} << 32)] = content;
  static_cast<void>(fingerprint);
  for (const CrashState& state : states) {
    Snapshot again = snapshot;
    again.state = state;
    EachImage(state, 1 + (*random)() % 3, random, [&](const Choice& choice) {
      Recover(folder, history, again, MakeImage(state, choice), 2, with_recovered, random);
    });
  }
}

void Recover(const Folder& folder, const History& history, const Snapshot& snapshot, const Bytes& image, int level,
             const std::map<uint64_t, uint64_t>& contents, std::mt19937_64* random) {
  images++;
  const std::string path = folder.File(level == 1 ? "image" : "again");
  WriteFile(path, image);
  PlaceControl(path, history, random);
  static uint64_t boot = 1000;
  SetBootId(++boot);
  uint64_t version = 0;
  const bool named = NamedVersion(image, &version);
  if (!named) CHECK_EQ(snapshot.acknowledged, 0u);
  if (named) CHECK(version >= snapshot.acknowledged);
  const bool blank = std::all_of(image.begin(), image.begin() + static_cast<ptrdiff_t>(std::min<size_t>(image.size(), 2 * kPageSize)),
                                 [](uint8_t byte) { return byte == 0; });
  if (!named && !blank) {  // power was lost in the very first write of a new database: this could be anybody's file
    std::string detail;
    const auto refused = Session::Open(path, QuietOptions(), &detail);
    CHECK_CODE(refused.status(), CORRUPT);
    return;
  }
  const auto content = contents.find(version);
  if (named) REQUIRE(content != contents.end());

  std::vector<CrashState> states;
  uint64_t fingerprint = 0;
  {
    std::unique_ptr<Disk> disk;
    if (level == 1 && images % 4 == 0) {
      disk = std::make_unique<Disk>(path);
      disk->on_moment = [&](const char* moment) { states.push_back(disk->State(moment)); };
    }
    auto session = OpenSession(path, QuietOptions());
    disk.reset();
    const int failures = Failures();
    REQUIRE(session != nullptr);
    fingerprint = Fingerprint(session.get());
    if (named) CHECK_EQ(fingerprint, content->second);
    if (named) CHECK(VersionOf(session.get()) > snapshot.issued);
    VerifyClean(session.get());
    // It works, and what it says is durable stays.
    CHECK(SetText(session.get(), "after", "the crash").ok());
    CHECK(session->Sync().ok());
    fingerprint = Fingerprint(session.get());
    if (Failures() > failures) std::fprintf(stderr, "  at the moment: %s\n", snapshot.state.moment.c_str());
  }
  if (images % 8 == 0) {
    SetBootId(++boot);
    auto session = OpenSession(path, QuietOptions());
    REQUIRE(session != nullptr);
    CHECK_EQ(Fingerprint(session.get()), fingerprint);
    VerifyClean(session.get());
  }
  if (!states.empty()) {
    // Not at all moments of the recovery: three of them.
    std::shuffle(states.begin(), states.end(), *random);
    if (states.size() > 3) states.resize(3);
    CrashAgain(folder, history, snapshot, states, fingerprint, contents, random);
  }
}

void Remember(History* history, Session* session) {
  const uint64_t version = VersionOf(session);
  history->contents[version] = Fingerprint(session);
  history->issued = std::max(history->issued, version);
}

// Runs random operations and checkpoints, while a second session goes on writing during each sync.
History Play(const Folder& folder, std::mt19937_64* random, int operations) {
  const std::string path = folder.File("db");
  History history;
  WriteFile(path, {});
  SetBootId(1 + (*random)() % 500);
  Disk disk(path);
  std::unique_ptr<Session> session;
  std::unique_ptr<Session> other;
  disk.on_moment = [&](const char* moment) {
    if (other != nullptr && std::string(moment) == "before a sync returns") {
      RandomOperations writer(other.get(), random, {40, 300, 5'000});
      Counts before, after;
      if ((*random)() % 2 == 0) CHECK_OK(other->Gc(false, &before, &after));
      for (uint64_t i = (*random)() % 60; i-- > 0;) {
        CHECK_OK(writer.Next());
        Remember(&history, other.get());
      }
      disk.Look();
    }
    history.moments.push_back({disk.State(moment), history.acknowledged, history.issued});
  };
  session = OpenSession(path, QuietOptions(256u << 10));
  other = OpenSession(path, QuietOptions());
  if (session == nullptr || other == nullptr) std::abort();
  Remember(&history, session.get());
  history.acknowledged = history.issued;
  RandomOperations writer(session.get(), random, {40, 600, 30'000});
  for (int i = 0; i < operations; i++) {
    CHECK_OK(writer.Next());
    Remember(&history, session.get());
    if ((*random)() % 8 == 0) disk.Look();  // the kernel may write a page back at any time
    if ((*random)() % 12 == 0) {
      disk.Look();
      history.moments.push_back({disk.State("between operations"), history.acknowledged, history.issued});
    }
    for (uint64_t n = (*random)() % 15 == 0 ? 1 + (*random)() % 2 : 0; n-- > 0;) {
      const uint64_t version = VersionOf(session.get());
      CHECK(session->Sync().ok());
      history.acknowledged = version;
      // A moment at which nothing but the acknowledgement is new.
      history.moments.push_back({disk.State("after an acknowledgement"), history.acknowledged, history.issued});
      if (n == 0) break;
      CHECK_OK(SetText(session.get(), "single", std::to_string(i)));
      Remember(&history, session.get());
    }
    if ((*random)() % 60 == 0) {
      Counts before, after;
      CHECK(session->Gc((*random)() % 2 == 0, &before, &after).ok());
      Remember(&history, session.get());
    }
  }
  history.control = ControlParts(path + "-lock");
  VerifyClean(session.get());
  other.reset();
  history.contents[VersionOf(session.get()) + 1] = Fingerprint(session.get());  // if the close moves the end of the file
  session.reset();  // the moments of a clean close count too
  return history;
}

TEST(PowerLoss) {
  SkipSyncs(true);
  const uint64_t wanted = 1000 * Scale();
  for (uint64_t round = 0; images < wanted && Failures() == 0; round++) {
    const Folder folder;
    std::mt19937_64 random(Seed() * 1000 + round);
    History history = Play(folder, &random, 60);
    // A handful of moments of each history, so that there are many histories.
    std::shuffle(history.moments.begin(), history.moments.end(), random);
    for (size_t i = 0; i < std::min<size_t>(history.moments.size(), 20) && Failures() == 0; i++) {
      const Snapshot& snapshot = history.moments[i];
      EachImage(snapshot.state, 10, &random, [&](const Choice& choice) {
        Recover(folder, history, snapshot, MakeImage(snapshot.state, choice), 1, history.contents, &random);
      });
    }
    if (Failures() > 0) std::fprintf(stderr, "  in round %llu\n", static_cast<unsigned long long>(round));
  }
  SetBootId(0);
  std::printf("power loss: %llu images\n", static_cast<unsigned long long>(images));
}

}  // namespace
}  // namespace pongo
