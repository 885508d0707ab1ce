// The cleaner of expired entries, with what others do between two of its steps.

#include <string>

#include "database_impl.h"
#include "model/expiry_cleaner.h"
#include "store/revocation.h"
#include "test/crash/crash_support.h"
#include "util/testing.h"

namespace pongo {
namespace {

using namespace pongo::test;

// What another process does when it needs space: a commit, so that the pin is of an older version, then it takes snapshots away.
struct Rival {
  Session* session;
  Mapping* mapping;
  bool ran = false;
  uint32_t revoked = 0;
};
thread_local Rival* rival = nullptr;

// Whether some thread has a pin, and no announcement.
bool SomebodyReadsUnderAPin(Mapping* mapping) {
  for (uint32_t slot = 0; slot < mapping->header()->slot_count.load(); slot++) {
    if (mapping->slot_line(slot)->announced.load() != 0) continue;
    for (uint32_t i = 0; i < mapping->slot_line(slot)->pin_count.load(); i++)
      if (mapping->slot_area(slot)->pins[i].version.load() != 0) return true;
  }
  return false;
}

void OnStep(const char*) {
  testing::step_hook = nullptr;  // what is done here has steps too
  if (SomebodyReadsUnderAPin(rival->mapping)) {
    rival->ran = true;
    CHECK_OK(SetText(rival->session, "other", "value"));
    rival->revoked = RevokeOldestSnapshots(rival->mapping, 1000);
    return;
  }
  testing::step_hook = OnStep;
}

// It looks for what is due without an announcement, so its pin is not to be had.
TEST(NobodyTakesTheViewOfTheCleanerAway) {
  SkipSyncs(true);
  Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, QuietOptions());
  REQUIRE(session != nullptr);
  uint64_t id = 0;
  uint32_t cell = 0;
  CHECK_OK(session->Create(Kind::kCollection, nullptr, 0, &id, &cell));
  CHECK_OK(session->SetExpiring(id, TextKey("a").key(), IntInput(1), 0, {Expiry::Kind::kAfter, 3'600'000'000}));
  std::string detail;
  auto opened = DatabaseFile::Open(path, QuietOptions(), &detail);
  REQUIRE(opened.ok());
  Mapping* mapping = opened.value()->mapping();
  Rival other{session.get(), mapping};
  rival = &other;
  while (!other.ran) {  // the file's own cleaner may be at it just then
    mapping->header()->expiry_next.store(0);
    testing::step_hook = OnStep;
    uint64_t removed = 0;
    CHECK_OK(CleanExpired(mapping, [](uint64_t) { return true; }, &removed));
    testing::step_hook = nullptr;
  }
  rival = nullptr;
  CHECK_EQ(other.revoked, 0u);
}

}  // namespace
}  // namespace pongo
