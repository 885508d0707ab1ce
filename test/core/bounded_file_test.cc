// A file that may not grow: what is about to become free is waited for, and what is full says so.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "harness.h"
#include "regressions.h"

namespace pongo {
namespace {

using namespace pongo::test;

constexpr uint64_t kMaxSize = 4u << 20;
constexpr uint64_t kKeys = 30'000;  // with values of 40 bytes nearly half of the file is live
constexpr int kWriters = 4;

OpenOptions Bounded() {
  OpenOptions options;
  options.max_size = kMaxSize;
  options.checkpoint_interval_ms = 50;
  return options;
}

std::unique_ptr<Session> OpenFilled(const std::string& path) {
  auto session = OpenSession(path, Bounded());
  if (session == nullptr) std::abort();
  for (uint64_t i = 0; i < kKeys; i++)
    if (!SetText(session.get(), std::to_string(i), std::string(40, 'x')).ok()) std::abort();
  return session;
}

// A different key each time, in no order.
class Keys {
 public:
  explicit Keys(uint64_t seed) : state_(seed) {}
  std::string Next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return std::to_string((state_ >> 33) % kKeys);
  }

 private:
  uint64_t state_;
};

// As a binding does that is given a function: again after a conflict, and when there may be room.
Status RunTransaction(Session* session, const std::function<Status()>& body) {
  for (;;) {
    PONGO_TRY(session->Begin());
    Status status = body();
    bool committed = false;
    if (status.ok()) status = session->Commit(&committed);
    if (committed) return Status::Ok();
    if (status.ok()) continue;
    bool again;
    PONGO_TRY(session->AwaitSpace(&again));
    if (!again) return status;
  }
}

// Counts what a session waits for.
WaitHooks Counting(int* waits) {
  WaitHooks hooks;
  hooks.context = waits;
  hooks.before = [](void* context) { ++*static_cast<int*>(context); };
  return hooks;
}

// Fills the file to the last block of a small value.
void Fill(Session* session) {
  for (const size_t size : {size_t{10'000}, size_t{1000}, size_t{40}}) {
    int i = 0;
    while (SetText(session, std::to_string(size) + " " + std::to_string(i), std::string(size, 'f')).ok()) i++;
  }
}

// Each holds, while it works, what the others replace.
TEST(WritersThatOverwriteAreNotRefusedForGarbage) {
  const Folder folder;
  const auto filled = OpenFilled(folder.File("db"));
  std::atomic<int> refused{0};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; writer++) {
    writers.emplace_back([&, writer] {
      const auto session = OpenSession(folder.File("db"), Bounded());
      if (session == nullptr) std::abort();
      Keys keys(static_cast<uint64_t>(writer));
      for (int i = 0; i < 20'000 && refused == 0; i++)
        if (!SetText(session.get(), keys.Next(), std::string(40, 'y')).ok()) refused++;
    });
  }
  for (std::thread& writer : writers) writer.join();
  CHECK_EQ(refused.load(), 0);
  VerifyClean(filled.get());
}

TEST(AFullFileIsSaidToBeFullAtOnce) {
  const Folder folder;
  const auto session = OpenSession(folder.File("db"), Bounded());
  REQUIRE(session != nullptr);
  Fill(session.get());
  int waits = 0;
  session->SetWaitHooks(Counting(&waits));
  for (int i = 0; i < 100; i++) CHECK(SetText(session.get(), "more", std::string(10'000, 'm')).code() == Code::kFULL);
  CHECK(waits <= 100 * 5);  // for what the checkpoint and others hold: a few times, and then no more
  // The function of a transaction is not run again for nothing.
  int runs = 0;
  const Status status = RunTransaction(session.get(), [&] {
    runs++;
    return SetText(session.get(), "more", std::string(10'000, 'm'));
  });
  CHECK(status.code() == Code::kFULL);
  CHECK(runs <= 3);
  session->SetWaitHooks({});
  bool present;
  for (int i = 0; i < 20; i++) CHECK(session->Delete(kRootId, TextKey("10000 " + std::to_string(i)).key(), &present).ok());
  CHECK(SetText(session.get(), "more", std::string(10'000, 'm')).ok());
  VerifyClean(session.get());
}

// A read that stands still in its visitor until it is told to go on, and with it all that is replaced meanwhile.
class StandingRead {
 public:
  explicit StandingRead(const std::string& path) {
    thread_ = std::thread([this, path] {
      const auto session = OpenSession(path, Bounded());
      if (session == nullptr) std::abort();
      const Status read = session->Get(0, kRootId, TextKey("1").key(), [this](const ValueView&) {
        reading_ = true;
        reading_.notify_all();
        go_on_.wait(false);
      });
      if (!read.ok()) std::abort();
    });
    reading_.wait(false);
  }
  ~StandingRead() { End(); }
  StandingRead(const StandingRead&) = delete;
  StandingRead& operator=(const StandingRead&) = delete;
  void End() {
    go_on_ = true;
    go_on_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::atomic<bool> reading_{false};
  std::atomic<bool> go_on_{false};
  std::thread thread_;
};

// Overwrites until there is no room for it.
void Exhaust(Session* session, Keys* keys) {
  Status status;
  while (status.ok()) status = SetText(session, keys->Next(), std::string(40, 's'));
  CHECK(status.code() == Code::kFULL);
}

TEST(WhatAStandingOperationHeldIsFreeAfterIt) {
  const Folder folder;
  const auto session = OpenFilled(folder.File("db"));
  Keys keys(1);
  StandingRead read(folder.File("db"));
  Exhaust(session.get(), &keys);
  read.End();
  CHECK(SetText(session.get(), keys.Next(), std::string(40, 's')).ok());
  VerifyClean(session.get());
}

TEST(ATransactionIsRunAgainForSpaceThatBecameFree) {
  const Folder folder;
  const auto session = OpenFilled(folder.File("db"));
  Keys keys(1);
  StandingRead read(folder.File("db"));
  Exhaust(session.get(), &keys);
  int runs = 0;
  const Status status = RunTransaction(session.get(), [&] {
    runs++;
    Status set;
    for (int i = 0; i < 30 && set.ok(); i++) set = SetText(session.get(), keys.Next(), std::string(40, 't'));
    read.End();
    return set;
  });
  CHECK(status.ok());
  CHECK_EQ(runs, 2);
  VerifyClean(session.get());
}

}  // namespace
}  // namespace pongo
