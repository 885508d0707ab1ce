// A simulated disk behind one file: knows which pages changed since the last sync, mapped stores included, and makes the
// images that a power cut at a moment could have left.
//
// Model: an fdatasync that has returned makes content and length durable; a pwritev2 with RWF_DSYNC the pages that it wrote,
// and no other, with a length that includes them. Before that each page of 4 KiB may be on the disk
// with any content that it had since (those at the moments when the disk looked), or torn between two of them at a multiple
// of 512 bytes; the length is the old or the new one. A superblock page that was being written may come back as garbage.
#ifndef PONGO_TEST_CRASH_DISK_H_
#define PONGO_TEST_CRASH_DISK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "test/crash/system.h"

namespace pongo::test {

inline constexpr uint64_t kDiskPage = 4096;
inline constexpr uint64_t kSector = 512;

using Bytes = std::vector<uint8_t>;
using PageBytes = std::shared_ptr<const Bytes>;

// All that can be on the disk at one moment.
struct CrashState {
  std::shared_ptr<const Bytes> durable;              // content and length of the last sync
  uint64_t length = 0;                               // of the file now
  std::map<uint64_t, std::vector<PageBytes>> pages;  // unsynced pages: their contents since, oldest first
  std::string moment;
};

// An image: for each unsynced page 0 (the durable content) or 1 + the index of a later one.
struct Choice {
  std::map<uint64_t, size_t> content;
  uint64_t torn_page = ~uint64_t{0};  // this page has the chosen content only in the sectors of the mask, else the durable one
  uint8_t torn_mask = 0xff;
  bool old_length = false;
  uint64_t garbage_page = ~uint64_t{0};  // this page is garbage from garbage_from on
  uint64_t garbage_from = 0;
};

Bytes MakeImage(const CrashState& state, const Choice& choice);

// Visits up to `budget` images of a state: all of them when the unsynced pages are few enough, else none, all, all but one,
// only one, the superblocks only, torn, random.
void EachImage(const CrashState& state, uint64_t budget, std::mt19937_64* random, const std::function<void(const Choice&)>& visit);

class Disk : public FileWatcher {
 public:
  // What the file holds now is durable.
  explicit Disk(const std::string& path);
  ~Disk() override { WatchFile("", nullptr); }

  // Called at each moment with the state then. Work that the callback does on the file is seen at the next one.
  std::function<void(const char* moment)> on_moment;
  // Notes what has changed since the last look.
  void Look();
  CrashState State(const std::string& moment) const;

  void BeforeSync() override;
  void AfterSync(bool with_length) override;
  void AfterWrite() override;
  void AfterDurableWrite(uint64_t offset, uint64_t size) override;

 private:
  Bytes Read() const;
  void Moment(const char* moment);

  std::string path_;
  std::shared_ptr<const Bytes> durable_;
  Bytes seen_;
  Bytes syncing_;
  std::map<uint64_t, std::vector<PageBytes>> pages_;
  bool inside_ = false;
};

void WriteFile(const std::string& path, const Bytes& bytes);
Bytes ReadWholeFile(const std::string& path);

}  // namespace pongo::test

#endif  // PONGO_TEST_CRASH_DISK_H_
