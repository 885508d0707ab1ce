// The facade against a std::map / std::vector model: random operations, snapshots, reopening, verification.

#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support.h"

namespace pongo {
namespace {

using test::Folder;
using test::GetText;
using test::IntInput;
using test::OpenSession;
using test::TextInput;
using test::TextKey;
using test::VerifyClean;

uint64_t Random() { return test::Random()(); }

std::string RandomText(size_t limit) {
  std::string text(Random() % (limit + 1), ' ');
  for (char& c : text) c = static_cast<char>('a' + Random() % 26);
  return text;
}

// Keys that share prefixes, differ late, are empty or very long.
std::string RandomKey() {
  switch (Random() % 12) {
    case 0: return "";
    case 1: return std::string(300 + Random() % 40, 'x') + std::to_string(Random() % 50);
    case 2: return RandomText(12);
    case 3: return "user:" + std::to_string(Random() % 200) + ":profile";
    default: return "user:" + std::to_string(Random() % 3000);
  }
}

void CheckAgainstModel(Session* session, uint64_t view, uint64_t id, const std::map<std::string, std::string>& model) {
  uint64_t size = 0;
  REQUIRE(session->Size(view, id, &size).ok());
  CHECK_EQ(size, model.size());
  auto expected = model.begin();
  uint64_t seen = 0;
  CHECK(session->Page(view, id, 0, ~uint64_t{0}, 1, [&](const Key& key, const ValueView& value) {
    const std::string k(reinterpret_cast<const char*>(key.data + 1), key.size - 1);
    const std::string v(reinterpret_cast<const char*>(value.data), value.size);
    if (expected == model.end() || k != expected->first || v != expected->second) return false;
    ++expected;
    seen++;
    return true;
  }).ok());
  CHECK_EQ(seen, model.size());
}

TEST(RandomOperationsMatchAModel) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  std::map<std::string, std::string> model;
  for (int i = 0; i < 60000; i++) {
    const std::string key = RandomKey();
    const uint64_t action = Random() % 10;
    // Long phases of growth and of decay, so that nodes split and merge.
    const bool growing = (i / 10000) % 2 == 0;
    if (action < (growing ? 7u : 3u)) {
      const std::string value = RandomText(Random() % 20 == 0 ? 3000 : 60);
      const Status status = session->Set(kRootId, TextKey(key).key(), TextInput(value), 0);
      if (!status.ok()) std::fprintf(stderr, "set %d: %s\n", i, status.text());
      REQUIRE(status.ok());
      model[key] = value;
    } else if (action < 9) {
      bool present = false;
      REQUIRE(session->Delete(kRootId, TextKey(key).key(), &present).ok());
      CHECK_EQ(present, model.erase(key) == 1);
    } else {
      std::string text;
      const auto found = model.find(key);
      CHECK_EQ(GetText(session.get(), 0, kRootId, key, &text), found != model.end());
      if (found != model.end()) CHECK_EQ(text, found->second);
      uint64_t rank = 0;
      REQUIRE(session->Rank(0, kRootId, TextKey(key).key(), &rank).ok());
      CHECK_EQ(rank, static_cast<uint64_t>(std::distance(model.begin(), model.lower_bound(key))));
    }
    if (i % 10000 == 9999) {
      CheckAgainstModel(session.get(), 0, kRootId, model);
      VerifyClean(session.get());
    }
  }
  session.reset();
  session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  CheckAgainstModel(session.get(), 0, kRootId, model);
  VerifyClean(session.get());
  // Without the control file everything is rebuilt from the superblock.
  session.reset();
  unlink(folder.File("db-lock").c_str());
  session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  CheckAgainstModel(session.get(), 0, kRootId, model);
  VerifyClean(session.get());
  for (const auto& [key, value] : model) {
    bool present = false;
    REQUIRE(session->Delete(kRootId, TextKey(key).key(), &present).ok());
    CHECK(present);
  }
  VerifyClean(session.get());
}

TEST(LargeTransactionsMatchAModel) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  std::map<std::string, std::string> model;
  for (int round = 0; round < 20; round++) {
    auto next = model;
    REQUIRE(session->Begin().ok());
    for (int i = 0; i < 3000; i++) {
      const std::string key = RandomKey();
      if (Random() % 4 != 0) {
        const std::string value = RandomText(40);
        REQUIRE(session->Set(kRootId, TextKey(key).key(), TextInput(value), 0).ok());
        next[key] = value;
      } else {
        bool present = false;
        REQUIRE(session->Delete(kRootId, TextKey(key).key(), &present).ok());
        CHECK_EQ(present, next.erase(key) == 1);
      }
    }
    CheckAgainstModel(session.get(), 0, kRootId, next);
    if (Random() % 3 == 0) {
      REQUIRE(session->Abort().ok());
    } else {
      bool committed = false;
      REQUIRE(session->Commit(&committed).ok());
      CHECK(committed);
      model = next;
    }
    CheckAgainstModel(session.get(), 0, kRootId, model);
    VerifyClean(session.get());
  }
}

// Nodes are roomy inside a large transaction; what is deleted in one must be merged all the same.
TEST(DeletingInOneTransactionMergesNodes) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  constexpr int kKeys = 20000;
  bool committed = false;
  REQUIRE(session->Begin().ok());
  for (int i = 0; i < kKeys; i++)
    REQUIRE(session->Set(kRootId, TextKey("key" + std::to_string(i)).key(), TextInput("value"), 0).ok());
  REQUIRE(session->Commit(&committed).ok() && committed);
  REQUIRE(session->Begin().ok());
  for (int i = 20; i < kKeys; i++) {
    bool present = false;
    REQUIRE(session->Delete(kRootId, TextKey("key" + std::to_string(i)).key(), &present).ok() && present);
  }
  REQUIRE(session->Commit(&committed).ok() && committed);
  Counts counts;
  std::string problem;
  REQUIRE(session->Verify(&counts, &problem).ok());
  CHECK_EQ(counts.values, 20u);
  CHECK(counts.nodes <= 3u);
}

TEST(SnapshotsStayAsTheyWere) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  std::map<std::string, std::string> model;
  std::vector<std::pair<uint64_t, std::map<std::string, std::string>>> snapshots;
  for (int i = 0; i < 30000; i++) {
    const std::string key = RandomKey();
    const std::string value = RandomText(50);
    REQUIRE(session->Set(kRootId, TextKey(key).key(), TextInput(value), 0).ok());
    model[key] = value;
    if (i % 1000 == 0) {
      uint64_t view = 0;
      REQUIRE(session->Snapshot(&view).ok());
      snapshots.emplace_back(view, model);
    }
    if (i % 1700 == 0 && !snapshots.empty()) {
      const size_t at = Random() % snapshots.size();
      CheckAgainstModel(session.get(), snapshots[at].first, kRootId, snapshots[at].second);
      REQUIRE(session->Release(snapshots[at].first).ok());
      snapshots.erase(snapshots.begin() + static_cast<ptrdiff_t>(at));
    }
  }
  for (const auto& [view, expected] : snapshots) CheckAgainstModel(session.get(), view, kRootId, expected);
  VerifyClean(session.get());
}

TEST(ChurnDoesNotGrowTheFile) {
  const Folder folder;
  OpenOptions options;
  options.chunk_size = 1 << 20;
  auto session = OpenSession(folder.File("db"), options);
  REQUIRE(session != nullptr);
  for (int i = 0; i < 10000; i++)
    REQUIRE(session->Set(kRootId, TextKey("key" + std::to_string(i)).key(), TextInput(RandomText(40)), 0).ok());
  std::vector<std::pair<std::string, double>> before;
  session->Stats(&before);
  for (int i = 0; i < 300000; i++)
    REQUIRE(session->Set(kRootId, TextKey("key" + std::to_string(Random() % 10000)).key(), TextInput(RandomText(40)), 0).ok());
  std::vector<std::pair<std::string, double>> after;
  session->Stats(&after);
  // The durable root and the one being written may each keep a version of every leaf.
  for (size_t i = 0; i < before.size(); i++)
    if (before[i].first == "fileBytes") CHECK(after[i].second <= before[i].second * 3 + (1 << 20));
  VerifyClean(session.get());
}

std::vector<int64_t> ReadList(Session* session, uint64_t id) {
  std::vector<int64_t> values;
  CHECK(session->Page(0, id, 0, ~uint64_t{0}, 1, [&](const Key&, const ValueView& v) {
    values.push_back(v.type == ValueView::Type::kNull ? -1 : v.integer);
    return true;
  }).ok());
  return values;
}

TEST(ListsMatchAVector) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  uint64_t list = 0;
  uint32_t cell = 0;
  REQUIRE(session->Create(Kind::kList, nullptr, 0, &list, &cell).ok());
  std::vector<int64_t> model;
  int64_t next = 0;
  for (int i = 0; i < 40000; i++) {
    const bool growing = (i / 8000) % 2 == 0;
    uint64_t length = 0;
    const uint64_t action = Random() % (growing ? 8 : 20);
    if (action < 4) {
      // Some values are too large for a word and go to the node's heap.
      const int64_t value = Random() % 3 == 0 ? (int64_t{1} << 60) + next++ : next++;
      REQUIRE(session->ListPush(list, IntInput(value), &length).ok());
      model.push_back(value);
      CHECK_EQ(length, model.size());
    } else if (action < 7) {
      const uint64_t at = model.empty() ? 0 : Random() % model.size();
      const uint64_t remove = Random() % 5;
      // A wire list of up to three integers.
      std::vector<uint8_t> wire = {0x0e, static_cast<uint8_t>(Random() % 4), 0, 0, 0};
      std::vector<int64_t> inserted;
      for (int k = 0; k < wire[1]; k++) {
        const int64_t value = next++;
        wire.push_back(0x05);
        for (int b = 0; b < 8; b++) wire.push_back(static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * b)));
        inserted.push_back(value);
      }
      REQUIRE(session->ListSplice(list, at, remove, wire.data(), wire.size(), &length).ok());
      const auto from = model.begin() + static_cast<ptrdiff_t>(at);
      model.erase(from, from + static_cast<ptrdiff_t>(std::min<uint64_t>(remove, model.size() - at)));
      model.insert(model.begin() + static_cast<ptrdiff_t>(at), inserted.begin(), inserted.end());
    } else {
      int64_t taken = -2;
      const bool first = action % 2 == 0;
      const auto visit = [&](const ValueView& v) { taken = v.integer; };
      REQUIRE((first ? session->ListShift(list, visit) : session->ListPop(list, visit)).ok());
      if (model.empty()) continue;
      CHECK_EQ(taken, first ? model.front() : model.back());
      model.erase(first ? model.begin() : model.end() - 1);
    }
    if (i % 4000 == 3999) {
      CHECK(ReadList(session.get(), list) == model);
      VerifyClean(session.get());
    }
  }
  CHECK(ReadList(session.get(), list) == model);
}

}  // namespace
}  // namespace pongo
