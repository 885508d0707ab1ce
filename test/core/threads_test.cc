// Eight threads of one process at work of every kind on one mapping of the file, with checkpoints and collections in between: for the
// sanitizer for threads above all (scripts/sanitizers.mjs), which follows neither several processes nor several mappings of one file.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "format/wire_writer.h"
#include "support.h"

namespace pongo {
namespace {

using test::Folder;
using test::IntInput;
using test::OpenSession;
using test::Random;
using test::TextInput;
using test::TextKey;
using test::VerifyClean;

constexpr size_t kThreads = 8;
constexpr int kRounds = 400;
constexpr int kAccounts = 12;
constexpr int64_t kEach = 1000;  // what an account begins with

std::string Account(uint64_t number) { return "account" + std::to_string(number); }

// What one thread does; `wrong` counts the answers that it did not expect.
class Player {
 public:
  Player(const std::string& path, uint64_t seed, uint64_t list) : session_(OpenSession(path)), list_(list), random_(seed) {}

  int Play() {
    if (session_ == nullptr) return 1;
    for (int i = 0; i < kRounds; i++) {
      Expect(Write());
      Expect(Transfer());
      Expect(Read());
      Expect(Containers());
      if (Below(40) == 0) Expect(Whole());
    }
    return wrong_;
  }
  int64_t pushed() const { return pushed_; }

 private:
  uint64_t Below(uint64_t bound) { return random_() % bound; }
  void Expect(bool right) { wrong_ += right ? 0 : 1; }
  std::string SomeKey() { return "key" + std::to_string(Below(300)); }

  bool Write() {
    Session& s = *session_;
    const std::string text(Below(30) == 0 ? Below(100'000) : Below(300), 'v');
    bool flag;
    uint64_t length;
    const auto ignore = [](const ValueView&) {};
    switch (Below(6)) {
      case 0:
      case 1: return s.Set(kRootId, TextKey(SomeKey()).key(), TextInput(text), 0).ok();
      case 2: return s.Delete(kRootId, TextKey(SomeKey()).key(), &flag).ok();
      case 3: {
        const Input next = TextInput(text);
        return s.CompareAndSet(kRootId, TextKey(SomeKey()).key(), nullptr, &next, &flag).ok();
      }
      case 4:
        pushed_++;
        return s.ListPush(list_, IntInput(static_cast<int64_t>(Below(1000))), &length).ok();
      default: {
        bool taken = false;
        const bool ok = s.ListShift(list_, [&](const ValueView& v) { taken = v.type != ValueView::Type::kAbsent; }).ok();
        pushed_ -= taken ? 1 : 0;
        return ok && s.Increment(kRootId, TextKey("count").key(), IntInput(1).view, ignore).ok();
      }
    }
  }

  // From one account to another, which may be the same.
  bool Transfer() {
    const TextKey from(Account(Below(kAccounts))), to(Account(Below(kAccounts)));
    const int64_t amount = static_cast<int64_t>(Below(50));
    const auto ignore = [](const ValueView&) {};
    for (bool committed = false; !committed;) {
      if (!session_->Begin().ok() || !session_->Increment(kRootId, from.key(), IntInput(-amount).view, ignore).ok() ||
          !session_->Increment(kRootId, to.key(), IntInput(amount).view, ignore).ok() || !session_->Commit(&committed).ok())
        return false;
    }
    return true;
  }

  // No money is made or lost, in any version.
  bool Read() {
    uint64_t view, seen = 0;
    if (!session_->Snapshot(&view).ok()) return false;
    int64_t sum = 0;
    for (uint64_t i = 0; i < kAccounts; i++)
      if (!session_->Get(view, kRootId, TextKey(Account(i)).key(), [&](const ValueView& v) { sum += v.integer; }).ok()) return false;
    const auto count = [&](const Key&, const ValueView&) { return ++seen < 100; };
    return session_->Page(view, kRootId, 0, ~uint64_t{0}, 1, count).ok() && session_->Page(0, list_, 0, 50, 1, count).ok() &&
           session_->Release(view).ok() && sum == kAccounts * kEach;
  }

  // Documents that share their names, found by one thread and removed by another.
  bool Containers() {
    std::vector<uint8_t> wire;
    WireWriter writer(&wire);
    static_cast<void>(writer.Dict(2));
    for (const char* name : {"name", "size"}) {
      writer.String(reinterpret_cast<const uint8_t*>(name), 4);
      writer.Int(static_cast<int64_t>(Below(1000)));
    }
    Input input;
    input.wire = wire.data();
    input.wire_size = wire.size();
    const std::string key = "document" + std::to_string(Below(20));
    if (!session_->Set(kRootId, TextKey(key).key(), input, 0).ok()) return false;
    uint64_t id = 0;
    uint32_t cell = 0;
    const auto show = [&](const ValueView& v) {
      id = v.id;
      cell = session_->PinContainer(id);
    };
    if (!session_->Get(0, kRootId, TextKey(key).key(), show).ok()) return false;
    if (id == 0) return true;  // somebody has removed it
    bool present = true;
    const bool ok = session_->Increment(id, TextKey("size").key(), IntInput(1).view, [](const ValueView&) {}).ok() &&
                    (Below(2) == 0 || session_->Delete(kRootId, TextKey(key).key(), &present).ok());
    session_->UnpinContainer(cell);
    return ok;
  }

  bool Whole() {
    Counts before, after;
    std::string problem;
    switch (Below(3)) {
      case 0: return session_->Sync().ok();
      case 1: return session_->Gc(Below(2) == 0, &before, &after).ok();
      default: return session_->Verify(&before, &problem).ok();
    }
  }

  std::unique_ptr<Session> session_;
  uint64_t list_;
  std::mt19937_64 random_;
  int wrong_ = 0;
  int64_t pushed_ = 0;  // and not taken out
};

TEST(EightThreadsAtEverything) {
  const Folder folder;
  const std::string path = folder.File("db");
  OpenOptions options;
  options.chunk_size = 1u << 18;  // the file grows often
  options.checkpoint_interval_ms = 5;
  auto session = OpenSession(path, options);
  REQUIRE(session != nullptr);
  for (uint64_t i = 0; i < kAccounts; i++) REQUIRE(session->Set(kRootId, TextKey(Account(i)).key(), IntInput(kEach), 0).ok());
  std::vector<uint8_t> wire;
  static_cast<void>(WireWriter(&wire).List(0));
  Input empty;
  empty.wire = wire.data();
  empty.wire_size = wire.size();
  REQUIRE(session->Set(kRootId, TextKey("list").key(), empty, 0).ok());
  uint64_t list = 0;
  REQUIRE(session->Get(0, kRootId, TextKey("list").key(), [&](const ValueView& v) { list = v.id; }).ok());
  std::atomic<int> wrong{0};
  std::atomic<int64_t> left{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; t++) {
    const uint64_t seed = Random()();
    threads.emplace_back([&, seed] {
      Player player(path, seed, list);
      wrong += player.Play();
      left += player.pushed();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
  uint64_t length = 0;
  CHECK_OK(session->Size(0, list, &length));
  CHECK_EQ(static_cast<int64_t>(length), left.load());
  Counts before, after;
  CHECK_OK(session->Gc(true, &before, &after));
  VerifyClean(session.get());
}

}  // namespace
}  // namespace pongo
