// Several processes on one file: sums, lists, transfers, and SIGKILL at random moments. The children are this program again,
// started with --child; they are synchronised by pipes.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#define PONGO_TEST_OWN_MAIN
#include "support.h"

extern char** environ;

namespace pongo {
namespace {

using test::Folder;
using test::GetInt;
using test::IntInput;
using test::OpenSession;
using test::TextInput;
using test::TextKey;
using test::VerifyClean;

uint64_t Random() { return test::Random()(); }

const char* program_path = nullptr;
constexpr int kGoFd = 3;    // the child waits until it can read here
constexpr int kAckFd = 4;   // one byte for each operation that has returned

// A child process and the two pipes.
struct Child {
  pid_t pid = -1;
  int go = -1;
  int acks = -1;
};

Child Spawn(const char* role, const std::string& path, uint64_t number) {
  int go[2];
  int acks[2];
  if (pipe2(go, O_CLOEXEC) != 0 || pipe2(acks, O_CLOEXEC) != 0) std::abort();
  const std::string text = std::to_string(number);
  char* arguments[] = {const_cast<char*>(program_path), const_cast<char*>("--child"), const_cast<char*>(role),
                       const_cast<char*>(path.c_str()), const_cast<char*>(text.c_str()), nullptr};
  // Numbers far away first: a descriptor that is already in its place would keep its close-on-exec flag.
  const int go_high = fcntl(go[0], F_DUPFD_CLOEXEC, 100);
  const int ack_high = fcntl(acks[1], F_DUPFD_CLOEXEC, 100);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, go_high, kGoFd);
  posix_spawn_file_actions_adddup2(&actions, ack_high, kAckFd);
  Child child;
  if (posix_spawn(&child.pid, program_path, &actions, nullptr, arguments, environ) != 0) std::abort();
  posix_spawn_file_actions_destroy(&actions);
  for (const int fd : {go_high, ack_high, go[0], acks[1]}) close(fd);
  child.go = go[1];
  child.acks = acks[0];
  return child;
}

void Go(const Child& child) {
  if (write(child.go, "g", 1) != 1) std::abort();
}

// Reads acknowledgements until the pipe ends; their number.
uint64_t DrainAcks(int fd) {
  uint64_t count = 0;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) return count;
    count += static_cast<uint64_t>(n);
  }
}

// Waits for `count` acknowledgements; fewer when the child ends first.
uint64_t AwaitAcks(int fd, uint64_t count) {
  uint64_t seen = 0;
  char byte;
  while (seen < count && read(fd, &byte, 1) == 1) seen++;
  return seen;
}

int Finish(Child* child) {
  int status = 0;
  waitpid(child->pid, &status, 0);
  close(child->go);
  close(child->acks);
  return status;
}

// -- roles of the children --

void Acknowledge() {
  if (write(kAckFd, "a", 1) != 1) _exit(3);
}

void Increment(Session* session, const std::string& key) {
  if (!session->Increment(kRootId, TextKey(key).key(), IntInput(1).view, [](const ValueView&) {}).ok()) _exit(4);
}

int RunChild(const std::string& role, const std::string& path, uint64_t number) {
  auto session = OpenSession(path);
  if (session == nullptr) return 2;
  char byte;
  if (read(kGoFd, &byte, 1) != 1) return 0;
  if (role == "increment") {
    for (uint64_t i = 0; i < number; i++) Increment(session.get(), "counter");
    return 0;
  }
  if (role == "push") {  // number: who * 1000000 + how many
    const uint64_t list = static_cast<uint64_t>(GetInt(session.get(), 0, kRootId, "list"));
    for (uint64_t i = 0; i < number % 1000000; i++) {
      uint64_t length;
      if (!session->ListPush(list, IntInput(static_cast<int64_t>(number / 1000000 * 1000000 + i)), &length).ok()) return 4;
    }
    return 0;
  }
  if (role == "transfer") {
    for (uint64_t i = 0; i < number; i++) {
      for (bool committed = false; !committed;) {
        if (!session->Begin().ok()) return 4;
        const std::string from = "account" + std::to_string(Random() % 20);
        const std::string to = "account" + std::to_string(Random() % 20);
        for (const auto& [key, by] : {std::pair(from, int64_t{-5}), std::pair(to, int64_t{5})})
          if (!session->Increment(kRootId, TextKey(key).key(), IntInput(by).view, [](const ValueView&) {}).ok()) return 4;
        if (!session->Commit(&committed).ok()) return 4;
      }
    }
    return 0;
  }
  if (role == "storm") {  // until killed: every increment is acknowledged; between them other work of all kinds
    const std::string own = "storm" + std::to_string(number);
    for (uint64_t i = 0;; i++) {
      Increment(session.get(), own);
      Acknowledge();
      const std::string key = "key" + std::to_string(Random() % 500);
      const std::string text(Random() % (i % 50 == 0 ? 200000 : 300), 'x');
      switch (Random() % 6) {
        case 0: {
          bool present;
          if (!session->Delete(kRootId, TextKey(key).key(), &present).ok()) return 4;
          break;
        }
        case 1: {
          if (!session->Begin().ok()) return 4;
          for (int k = 0; k < 50; k++)
            if (!session->Set(kRootId, TextKey("key" + std::to_string(Random() % 500)).key(), TextInput(text), 0).ok()) return 4;
          bool committed;
          if (!session->Commit(&committed).ok()) return 4;
          break;
        }
        case 2: {
          uint64_t view;
          if (!session->Snapshot(&view).ok()) return 4;
          uint64_t seen = 0;
          uint64_t size = 0;
          if (!session->Size(view, kRootId, &size).ok()) return 4;
          if (!session->Page(view, kRootId, 0, ~uint64_t{0}, 1, [&](const Key&, const ValueView&) { return ++seen > 0; }).ok()) return 4;
          if (seen != size) return 5;
          if (!session->Release(view).ok()) return 4;
          break;
        }
        default:
          if (!session->Set(kRootId, TextKey(key).key(), TextInput(text), 0).ok()) return 4;
      }
    }
  }
  return 1;
}

// -- tests --

TEST(IncrementsOfFourProcessesSum) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  constexpr uint64_t kEach = 25000;
  std::vector<Child> children;
  for (int i = 0; i < 4; i++) children.push_back(Spawn("increment", folder.File("db"), kEach));
  for (const Child& child : children) Go(child);
  for (Child& child : children) CHECK_EQ(Finish(&child), 0);
  CHECK_EQ(GetInt(session.get(), 0, kRootId, "counter"), static_cast<int64_t>(4 * kEach));
  VerifyClean(session.get());
}

TEST(PushesOfFourProcessesAreAllThereOnce) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  uint64_t list;
  uint32_t cell;
  REQUIRE(session->Create(Kind::kList, nullptr, 0, &list, &cell).ok());
  REQUIRE(session->Set(kRootId, TextKey("list").key(), IntInput(static_cast<int64_t>(list)), 0).ok());
  constexpr uint64_t kEach = 10000;
  std::vector<Child> children;
  for (uint64_t i = 1; i <= 4; i++) children.push_back(Spawn("push", folder.File("db"), i * 1000000 + kEach));
  for (const Child& child : children) Go(child);
  for (Child& child : children) CHECK_EQ(Finish(&child), 0);
  std::vector<int64_t> next(5, 0);
  uint64_t total = 0;
  CHECK(session->Page(0, list, 0, ~uint64_t{0}, 1, [&](const Key&, const ValueView& v) {
    const int64_t who = v.integer / 1000000;
    // Each process's own pushes are in its order, without gap or repetition.
    if (who < 1 || who > 4 || v.integer % 1000000 != next[static_cast<size_t>(who)]++) return false;
    total++;
    return true;
  }).ok());
  CHECK_EQ(total, 4 * kEach);
  VerifyClean(session.get());
}

TEST(TransfersKeepTheSumInEverySnapshot) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  for (int i = 0; i < 20; i++)
    REQUIRE(session->Set(kRootId, TextKey("account" + std::to_string(i)).key(), IntInput(1000), 0).ok());
  std::vector<Child> children;
  for (int i = 0; i < 3; i++) children.push_back(Spawn("transfer", folder.File("db"), 3000));
  for (const Child& child : children) Go(child);
  int running = 3;
  uint64_t looks = 0;
  while (running > 0) {
    uint64_t view;
    REQUIRE(session->Snapshot(&view).ok());
    int64_t sum = 0;
    for (int i = 0; i < 20; i++) sum += GetInt(session.get(), view, kRootId, "account" + std::to_string(i));
    CHECK_EQ(sum, 20000);
    REQUIRE(session->Release(view).ok());
    looks++;
    int status;
    for (Child& child : children)
      if (child.pid > 0 && waitpid(child.pid, &status, WNOHANG) == child.pid) {
        CHECK_EQ(status, 0);
        close(child.go);
        close(child.acks);
        child.pid = -1;
        running--;
      }
  }
  CHECK(looks > 0);
  VerifyClean(session.get());
}

// Promise: whatever a killed process has been told is there, and nobody else is disturbed.
TEST(KilledProcessesLoseNothingAcknowledged) {
  const Folder folder;
  const std::string path = folder.File("db");
  std::vector<uint64_t> acknowledged(4, 0);
  std::vector<uint64_t> killed(4, 0);
  const char* rounds_text = std::getenv("KILLS");
  const int kills = rounds_text != nullptr ? std::atoi(rounds_text) : 60;
  // With a session open the file stays in use for the whole test in every other half of it.
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  std::vector<Child> children(4);
  for (int kill_count = 0; kill_count < kills; kill_count++) {
    if (kill_count == kills / 2) session.reset();
    for (size_t i = 0; i < children.size(); i++)
      if (children[i].pid < 0) {
        children[i] = Spawn("storm", path, i);
        Go(children[i]);
      }
    const size_t victim = Random() % children.size();
    acknowledged[victim] += AwaitAcks(children[victim].acks, 1 + Random() % 300);
    // Sometimes all at once: the next one to open is alone and finds what they have left.
    const bool all = Random() % 8 == 0;
    for (size_t i = 0; i < children.size(); i++)
      if (all || i == victim) kill(children[i].pid, SIGKILL);
    for (size_t i = 0; i < children.size(); i++) {
      if (!all && i != victim) continue;
      acknowledged[i] += DrainAcks(children[i].acks);
      killed[i]++;
      const int status = Finish(&children[i]);
      CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
      if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) std::fprintf(stderr, "child ended with status %x\n", status);
      children[i] = Child{};
    }
  }
  for (size_t i = 0; i < children.size(); i++) {
    if (children[i].pid < 0) continue;
    kill(children[i].pid, SIGKILL);
    acknowledged[i] += DrainAcks(children[i].acks);
    killed[i]++;
    Finish(&children[i]);
  }
  session = OpenSession(path);
  REQUIRE(session != nullptr);
  for (size_t i = 0; i < children.size(); i++) {
    const int64_t counter = std::max<int64_t>(0, GetInt(session.get(), 0, kRootId, "storm" + std::to_string(i)));
    CHECK(counter >= static_cast<int64_t>(acknowledged[i]));
    CHECK(counter <= static_cast<int64_t>(acknowledged[i] + killed[i]));
  }
  Counts before;
  Counts after;
  REQUIRE(session->Gc(true, &before, &after).ok());
  VerifyClean(session.get());
  Counts counts;
  std::string problem;
  REQUIRE(session->Verify(&counts, &problem).ok());
  // Nothing is cached by the dead: only this process's own sessions may hold blocks.
  CHECK(counts.cached < 3000u);
}

}  // namespace
}  // namespace pongo

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "--child") == 0)
    return pongo::RunChild(argv[2], argv[3], std::strtoull(argv[4], nullptr, 10));
  pongo::program_path = argv[0];
  signal(SIGPIPE, SIG_IGN);
  return pongo::test::Main(argc, argv);
}
