// The lock table: what each kind of lock promises, the order of the queues, and what a death leaves at every single store.

#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "child.h"
#include "store/lock_table.h"
#include "store_support.h"
#include "util/kill_point.h"

namespace pongo {
namespace {

using test::Killed;
using test::Pipe;
using test::RunInChild;
using test::TestFile;
using test::Worker;

LockWish Wish(LockKind kind, const char* name, LockMode mode = LockMode::kExclusive, uint32_t permits = 0) {
  LockWish wish;
  wish.kind = kind;
  wish.name = name;
  wish.mode = mode;
  wish.permits = permits;
  return wish;
}
const LockWish kMutex = Wish(LockKind::kMutex, "m");
const LockWish kReader = Wish(LockKind::kReadWrite, "rw", LockMode::kShared);
const LockWish kWriter = Wish(LockKind::kReadWrite, "rw");
const LockWish kPermit = Wish(LockKind::kSemaphore, "s", LockMode::kExclusive, 2);
const LockWish kEventWait = Wish(LockKind::kEvent, "e");

// A thread of the table: a slot and the requests made through it.
struct User {
  explicit User(Mapping* mapping) : worker(mapping), table(*worker.slot) {}

  LockTicket Ask(const LockWish& wish) {
    LockTicket ticket;
    CHECK_OK(table.Request(wish, worker.slot->index(), &ticket, &state));
    return ticket;
  }
  bool Held(const LockTicket& ticket) { return table.State(ticket) == RequestState::kHeld; }
  RequestState Release(const LockTicket& ticket) {
    RequestState was = RequestState::kFree;
    CHECK_OK(table.Release(ticket, &was));
    return was;
  }

  Worker worker;
  LockTable table;
  RequestState state = RequestState::kFree;
};

// The invariants of lock_table.h, while nobody is inside.
void CheckTable(Mapping* mapping) {
  const LockTableHeader* header = mapping->locks();
  CHECK_EQ(header->mutex.load() & kLockOwnerMask, 0u);
  std::set<uint32_t> queued;
  std::vector<uint32_t> attached(kLockRecordMax + 1), lost(kLockRecordMax + 1), owned(kSlotMax);
  std::set<uint32_t> in_buckets;
  for (const uint32_t bucket : header->buckets)
    for (uint32_t n = bucket; n != 0; n = mapping->lock_record(n)->next) CHECK(in_buckets.insert(n).second);
  for (uint32_t n = 1; n <= header->requests; n++) {
    const LockRequest* request = mapping->lock_request(n);
    if (request->state.load() == 0) continue;
    owned[request->owner]++;
    CHECK(in_buckets.count(request->record) == 1);
    if (request->state.load() == static_cast<uint32_t>(RequestState::kAttached)) attached[request->record]++;
    if (request->state.load() == static_cast<uint32_t>(RequestState::kLost)) lost[request->record]++;
  }
  for (uint32_t n = 1; n <= header->records; n++) {
    const LockRecord* record = mapping->lock_record(n);
    CHECK_EQ(in_buckets.count(n) == 1, record->used.load() == 1);
    if (record->used.load() == 0) continue;
    uint32_t held = 0, exclusive = 0, previous = 0, waiting = 0;
    uint64_t ticket = 0;
    for (uint32_t r = record->head; r != 0; previous = r, r = mapping->lock_request(r)->next) {
      const LockRequest* request = mapping->lock_request(r);
      CHECK(queued.insert(r).second);
      CHECK_EQ(request->record, n);
      CHECK_EQ(request->previous, previous);
      if (request->state.load() == static_cast<uint32_t>(RequestState::kHeld)) {
        CHECK_EQ(waiting, 0u);  // invariant 4
        held++;
        if (request->mode == static_cast<uint32_t>(LockMode::kExclusive)) exclusive++;
      } else {
        CHECK_EQ(request->state.load(), static_cast<uint32_t>(RequestState::kPending));
        CHECK(request->ticket > ticket);
        ticket = request->ticket;
        if (waiting == 0) waiting = r;
      }
    }
    CHECK_EQ(record->tail, previous);
    CHECK_EQ(record->held, held);
    CHECK_EQ(record->exclusive, exclusive);
    CHECK_EQ(record->waiting, waiting);
    CHECK_EQ(record->attached, attached[n]);
    CHECK_EQ(record->lost, lost[n]);
    CHECK(record->head != 0 || attached[n] + lost[n] > 0 || record->set.load() != 0);  // invariant 6
    if (waiting != 0 && record->kind == static_cast<uint32_t>(LockKind::kMutex)) CHECK(held > 0);  // invariant 5
    if (waiting != 0 && record->kind == static_cast<uint32_t>(LockKind::kSemaphore)) CHECK_EQ(held, record->permits);
    if (waiting != 0 && record->kind == static_cast<uint32_t>(LockKind::kEvent)) CHECK_EQ(record->set.load(), 0u);
    if (waiting != 0 && record->kind == static_cast<uint32_t>(LockKind::kReadWrite))
      CHECK(exclusive > 0 || (held > 0 && mapping->lock_request(waiting)->mode == static_cast<uint32_t>(LockMode::kExclusive)));
  }
  for (uint32_t n = 1; n <= header->requests; n++) {
    const uint32_t state = mapping->lock_request(n)->state.load();
    const bool in_queue = state == static_cast<uint32_t>(RequestState::kHeld) || state == static_cast<uint32_t>(RequestState::kPending);
    CHECK_EQ(in_queue, queued.count(n) == 1);
  }
  for (uint32_t slot = 0; slot < mapping->header()->slot_count.load(); slot++)
    CHECK(mapping->slot_area(slot)->lock_requests.load() >= owned[slot]);  // invariant 7
}

uint32_t RecordsInUse(Mapping* mapping) {
  uint32_t used = 0;
  for (uint32_t n = 1; n <= mapping->locks()->records; n++) used += mapping->lock_record(n)->used.load();
  return used;
}

TEST(AMutexGoesFromOneToTheNextInOrder) {
  TestFile file;
  std::vector<std::unique_ptr<User>> users;
  std::vector<LockTicket> tickets;
  for (int i = 0; i < 5; i++) {
    users.push_back(std::make_unique<User>(file.mapping()));
    tickets.push_back(users.back()->Ask(kMutex));
    CHECK_EQ(users.back()->Held(tickets.back()), i == 0);
  }
  CHECK_EQ(users[2]->Release(tickets[2]), RequestState::kPending);  // gives up
  CheckTable(file.mapping());
  for (const size_t i : {0u, 1u, 3u, 4u}) {
    for (size_t j = 0; j < 5; j++) CHECK_EQ(users[j]->Held(tickets[j]), j == i);
    CHECK_EQ(users[i]->Release(tickets[i]), RequestState::kHeld);
    CHECK_EQ(users[i]->Release(tickets[i]), RequestState::kFree);
    CheckTable(file.mapping());
  }
  CHECK_EQ(RecordsInUse(file.mapping()), 0u);
}

TEST(ReadersShareAndDoNotOvertakeAWriter) {
  TestFile file;
  User a(file.mapping()), b(file.mapping());
  const LockTicket reader1 = a.Ask(kReader), reader2 = b.Ask(kReader), writer = a.Ask(kWriter), reader3 = b.Ask(kReader),
                   reader4 = a.Ask(kReader), writer2 = b.Ask(kWriter);
  CHECK(a.Held(reader1) && b.Held(reader2) && !a.Held(writer) && !b.Held(reader3));
  a.Release(reader1);
  CHECK(!a.Held(writer));
  b.Release(reader2);
  CHECK(a.Held(writer) && !b.Held(reader3));
  CheckTable(file.mapping());
  a.Release(writer);
  CHECK(b.Held(reader3) && a.Held(reader4) && !b.Held(writer2));
  CheckTable(file.mapping());
  b.Release(reader3);
  a.Release(reader4);
  CHECK(b.Held(writer2));
}

TEST(ASemaphoreLetsInAsManyAsItHasPermits) {
  TestFile file;
  User a(file.mapping()), b(file.mapping());
  const LockTicket first = a.Ask(kPermit), second = b.Ask(kPermit), third = a.Ask(kPermit);
  CHECK(a.Held(first) && b.Held(second) && !a.Held(third));
  LockTicket other;
  RequestState state;
  CHECK_CODE(b.table.Request(Wish(LockKind::kSemaphore, "s", LockMode::kExclusive, 3), b.worker.slot->index(), &other, &state), ARG);
  CHECK_CODE(b.table.Attach(Wish(LockKind::kSemaphore, "s", LockMode::kExclusive, 3), &other), ARG);
  CHECK_OK(b.table.Attach(kPermit, &other));
  b.Release(second);
  CHECK(a.Held(third));
  a.Release(first);
  a.Release(third);
  CheckTable(file.mapping());
  LockTicket more;
  CHECK_CODE(a.table.Request(Wish(LockKind::kSemaphore, "s", LockMode::kExclusive, 3), a.worker.slot->index(), &more, &state), ARG);
  b.Release(other);  // now nobody uses it
  CHECK_OK(a.table.Request(Wish(LockKind::kSemaphore, "s", LockMode::kExclusive, 3), a.worker.slot->index(), &more, &state));
}

TEST(AnEventLetsInAllWhoWaitAndAllWhoCome) {
  TestFile file;
  User a(file.mapping()), b(file.mapping());
  bool set = true;
  CHECK_OK(a.table.EventIsSet("e", &set));
  CHECK(!set);
  const LockTicket first = a.Ask(kEventWait), second = b.Ask(kEventWait);
  CHECK(!a.Held(first) && !b.Held(second));
  CHECK_OK(b.table.SetEvent("e", true));
  CHECK_OK(b.table.SetEvent("e", false));
  CHECK(a.Held(first) && b.Held(second));  // they waited when it was set
  const LockTicket third = a.Ask(kEventWait);
  CHECK(!a.Held(third));
  CheckTable(file.mapping());
  for (const LockTicket& ticket : {first, third}) a.Release(ticket);
  b.Release(second);
  CHECK_EQ(RecordsInUse(file.mapping()), 0u);
  CHECK_OK(b.table.SetEvent("e", true));
  CHECK_OK(a.table.EventIsSet("e", &set));
  CHECK(set);
  CheckTable(file.mapping());
  CHECK_EQ(RecordsInUse(file.mapping()), 1u);  // an event that is set exists without users
}

TEST(StealingAndAskingOnlyIfAvailable) {
  TestFile file;
  User a(file.mapping()), b(file.mapping());
  LockWish wish = Wish(LockKind::kNamed, "n", LockMode::kShared);
  wish.client = 7;
  const LockTicket shared1 = a.Ask(wish), shared2 = a.Ask(wish);
  wish.mode = LockMode::kExclusive;
  const LockTicket waiting = a.Ask(wish);
  wish.if_available = true;
  b.Ask(wish);
  CHECK_EQ(b.state, RequestState::kFree);
  wish.if_available = false;
  wish.steal = true;
  wish.client = 8;
  const LockTicket thief = b.Ask(wish);
  CHECK(b.Held(thief) && !a.Held(waiting));
  CHECK_EQ(a.table.State(shared1), RequestState::kLost);
  CHECK_EQ(a.table.State(shared2), RequestState::kLost);
  CheckTable(file.mapping());
  std::vector<LockReport> reports;
  CHECK_OK(b.table.Query(&reports));
  REQUIRE(reports.size() == 2);
  CHECK(reports[0].held && reports[0].client == 8 && reports[0].name == "n" && reports[0].mode == LockMode::kExclusive);
  CHECK(!reports[1].held && reports[1].client == 7);
  CHECK_EQ(a.Release(shared1), RequestState::kLost);
  b.Release(thief);
  CHECK(a.Held(waiting));
  CheckTable(file.mapping());
}

TEST(NamesOfDifferentKindsAndBytesAreDifferent) {
  TestFile file;
  User a(file.mapping());
  std::vector<LockTicket> tickets;
  const std::string longest(kLockNameMax, 'x');
  for (const std::string& name : {std::string(), std::string(1, '\0'), std::string("\0a", 2), std::string("\xff\xfe"), longest})
    for (const LockKind kind : {LockKind::kMutex, LockKind::kReadWrite, LockKind::kNamed}) {
      LockWish wish;
      wish.kind = kind;
      wish.name = name;
      tickets.push_back(a.Ask(wish));
      CHECK(a.Held(tickets.back()));
    }
  const std::string longer(kLockNameMax + 1, 'x');
  LockWish wish;
  wish.name = longer;
  LockTicket ticket;
  RequestState state;
  CHECK_CODE(a.table.Request(wish, 0, &ticket, &state), ARG);
  CHECK_EQ(RecordsInUse(file.mapping()), 15u);
  CheckTable(file.mapping());
  for (const LockTicket& held : tickets) a.Release(held);
  CHECK_EQ(RecordsInUse(file.mapping()), 0u);
}

TEST(AFullTableSaysSoAndIsUsableAgain) {
  TestFile file;
  User a(file.mapping());
  std::vector<LockTicket> tickets;
  LockTicket ticket;
  RequestState state;
  Status status;
  for (uint32_t i = 0; i < kLockRecordMax; i++) {
    const std::string name = "lock " + std::to_string(i);
    LockWish wish;
    wish.name = name;
    tickets.push_back(a.Ask(wish));
  }
  CHECK_CODE(a.table.Request(kMutex, a.worker.slot->index(), &ticket, &state), FULL);
  LockWish wish;
  wish.name = "lock 5";
  while ((status = a.table.Request(wish, a.worker.slot->index(), &ticket, &state)).ok()) tickets.push_back(ticket);
  CHECK_CODE(status, FULL);
  CHECK_EQ(tickets.size(), size_t{kLockRequestMax});
  CheckTable(file.mapping());
  for (const LockTicket& held : tickets) a.Release(held);
  CheckTable(file.mapping());
  CHECK_EQ(RecordsInUse(file.mapping()), 0u);
  CHECK(a.Held(a.Ask(kMutex)));
}

TEST(ADeadThreadHoldsNothingAndWaitsForNothing) {
  TestFile file;
  User survivor(file.mapping());
  auto holder = std::make_unique<User>(file.mapping());
  auto waiter = std::make_unique<User>(file.mapping());
  holder->Ask(kMutex);
  waiter->Ask(kMutex);
  const LockTicket third = survivor.Ask(kMutex);
  waiter->worker.Die();
  CHECK(survivor.table.ReapOwnersBefore({third}));
  CHECK(!survivor.Held(third));
  holder->worker.Die();
  CHECK(survivor.table.ReapOwnersBefore({third}));
  CHECK(survivor.Held(third));
  CHECK(!survivor.table.ReapOwnersBefore({third}));
  CheckTable(file.mapping());
}

// -- random operations against a model --

struct ModelRequest {
  LockTicket ticket;
  size_t user;
  LockMode mode;
  bool held;
};

TEST(RandomRequestsAgreeWithAModel) {
  TestFile file;
  std::vector<std::unique_ptr<User>> users;
  for (int i = 0; i < 4; i++) users.push_back(std::make_unique<User>(file.mapping()));
  std::vector<ModelRequest> mutex, readwrite, semaphore;
  const auto grant = [](std::vector<ModelRequest>* queue, LockKind kind) {
    size_t held = 0;
    bool exclusive = false;
    for (ModelRequest& request : *queue) {
      if (!request.held) {
        const bool shared = kind == LockKind::kReadWrite && request.mode == LockMode::kShared;
        if (kind == LockKind::kSemaphore ? held >= 2 : held > 0 && (!shared || exclusive)) return;
        request.held = true;
      }
      held++;
      exclusive = exclusive || request.mode == LockMode::kExclusive;
    }
  };
  for (int step = 0; step < 20'000; step++) {
    const uint64_t which = test::RandomBelow(3);
    std::vector<ModelRequest>* queue = which == 0 ? &mutex : which == 1 ? &readwrite : &semaphore;
    LockWish wish = which == 0 ? kMutex : which == 1 ? (test::RandomBelow(3) == 0 ? kWriter : kReader) : kPermit;
    if (queue->size() < 8 && test::RandomBelow(2) == 0) {
      const size_t user = test::RandomBelow(users.size());
      queue->push_back({users[user]->Ask(wish), user, wish.mode, false});
    } else if (!queue->empty()) {
      const size_t at = test::RandomBelow(queue->size());
      const ModelRequest gone = (*queue)[at];
      CHECK_EQ(users[gone.user]->Release(gone.ticket), gone.held ? RequestState::kHeld : RequestState::kPending);
      queue->erase(queue->begin() + static_cast<ptrdiff_t>(at));
    }
    grant(queue, wish.kind);
    for (const ModelRequest& request : *queue) CHECK_EQ(users[request.user]->Held(request.ticket), request.held);
    if (step % 64 == 0) CheckTable(file.mapping());
    if (step % 500 == 499) {  // one of them dies with all it has
      const size_t dead = test::RandomBelow(users.size());
      users[dead]->worker.Die();
      users[dead] = std::make_unique<User>(file.mapping());
      test::Worker reaper(file.mapping());
      ReapDeadSlots(reaper.slot.get());
      for (auto [all, kind] : {std::pair(&mutex, LockKind::kMutex), {&readwrite, LockKind::kReadWrite}, {&semaphore, LockKind::kSemaphore}}) {
        std::erase_if(*all, [dead](const ModelRequest& request) { return request.user == dead; });
        grant(all, kind);
        for (const ModelRequest& request : *all) CHECK_EQ(users[request.user]->Held(request.ticket), request.held);
      }
    }
  }
}

// -- death at every store --

int kill_after = 0;
void CountDown() {
  if (kill_after-- == 0) raise(SIGKILL);
}

// The child makes one step after this, with others in all queues, and dies at the n-th store of it.
struct Scene {
  explicit Scene(Mapping* mapping) : user(mapping) {
    mutex = user.Ask(kMutex);
    permit = user.Ask(kPermit);
    reader = user.Ask(kReader);
    writer = user.Ask(kWriter);
    event = user.Ask(kEventWait);
    LockWish wish = Wish(LockKind::kNamed, "n");
    named = user.Ask(wish);
  }
  User user;
  LockTicket mutex, permit, reader, writer, event, named;
};

using Step = void (*)(Scene* scene);
const Step kSteps[] = {
    [](Scene* s) { s->user.Ask(Wish(LockKind::kMutex, "new")); },
    [](Scene* s) { s->user.Ask(kMutex); },
    [](Scene* s) { s->user.Release(s->mutex); },
    [](Scene* s) { s->user.Release(s->permit); },
    [](Scene* s) { s->user.Release(s->reader); },
    [](Scene* s) { s->user.Release(s->writer); },
    [](Scene* s) { CHECK_OK(s->user.table.SetEvent("e", true)); },
    [](Scene* s) {
      CHECK_OK(s->user.table.SetEvent("other", true));
      CHECK_OK(s->user.table.SetEvent("other", false));
    },
    [](Scene* s) {
      LockWish wish = Wish(LockKind::kNamed, "n");
      wish.steal = true;
      s->user.Ask(wish);
    },
    [](Scene* s) {
      LockTicket ticket;
      CHECK_OK(s->user.table.Attach(Wish(LockKind::kSemaphore, "a", LockMode::kExclusive, 1), &ticket));
      s->user.Release(ticket);
    },
    [](Scene* s) { CHECK(s->user.table.ReleaseAll(1'000'000'000)); },
};

// All that the survivor waited for is granted in the end, whoever finds the dead.
void SurvivorGetsEverything(Mapping* mapping, User* survivor, const std::vector<LockTicket>& tickets) {
  // As a waiter does: look at the owners, until there is nobody dead any more.
  while (survivor->table.ReapOwnersBefore(tickets)) {
  }
  test::Worker reaper(mapping);
  ReapDeadSlots(reaper.slot.get());
  bool set;
  CHECK_OK(survivor->table.EventIsSet("e", &set));  // goes inside: repairs if that is needed
  ReapDeadSlots(reaper.slot.get());
  CheckTable(mapping);
  for (const LockTicket& ticket : tickets) CHECK_EQ(survivor->table.State(ticket), RequestState::kHeld);
}

TEST(ADeathAtAnyStoreLeavesNothingBehind) {
  size_t deaths = 0;
  TestFile file;
  for (size_t step = 0; step < std::size(kSteps); step++) {
    bool survived = false;
    for (int n = 0; !survived; n++) {
      REQUIRE(n < 200);
      CHECK_OK(LockTable::Reset(file.mapping()));  // nobody is there
      const std::string path = file.path();
      Pipe scene_ready, go;
      const pid_t child = test::StartChild([&] {
        TestFile own(path);
        Scene scene(own.mapping());
        scene_ready.Send(char{1});
        char byte;
        if (!go.Receive(&byte)) return 2;
        kill_after = n;
        kill_point_hook = CountDown;
        kSteps[step](&scene);
        kill_point_hook = nullptr;
        _exit(0);  // everything is left as it is: the same as a death after the last store
      });
      char byte;
      REQUIRE(scene_ready.Receive(&byte));
      User survivor(file.mapping());
      std::vector<LockTicket> tickets = {survivor.Ask(kMutex), survivor.Ask(kPermit), survivor.Ask(kPermit),
                                         survivor.Ask(Wish(LockKind::kReadWrite, "rw"))};
      tickets.push_back(survivor.Ask(Wish(LockKind::kNamed, "n")));
      go.Send(byte);
      const int status = test::AwaitChild(child);
      survived = status == 0;
      deaths += Killed(status) ? 1u : 0u;
      CHECK(survived || Killed(status));
      SurvivorGetsEverything(file.mapping(), &survivor, tickets);
    }
  }
  CHECK(deaths > 40);
}

// The same, and whoever repairs the table or adopts the slot dies as well, at each store of that.
TEST(ADeathDuringTheRepairIsRepaired) {
  size_t deaths = 0;
  TestFile file;
  for (const int first : {3, 5}) {
    bool survived = false;
    for (int n = 0; !survived; n++) {
      REQUIRE(n < 500);
      CHECK_OK(LockTable::Reset(file.mapping()));
      const std::string path = file.path();
      const int status = RunInChild([&] {
        TestFile own(path);
        Scene scene(own.mapping());
        kill_after = first;
        kill_point_hook = CountDown;
        kSteps[10](&scene);
        return 0;
      });
      REQUIRE(Killed(status));
      User survivor(file.mapping());
      const int second = RunInChild([&] {
        kill_after = n;
        kill_point_hook = CountDown;  // already claiming a slot may mean adopting the dead one
        TestFile own(path);
        User user(own.mapping());
        bool set;
        CHECK_OK(user.table.EventIsSet("e", &set));
        ReapDeadSlots(user.worker.slot.get());
        kill_point_hook = nullptr;
        _exit(0);
        return 0;
      });
      survived = second == 0;
      deaths += Killed(second) ? 1u : 0u;
      bool set;
      CHECK_OK(survivor.table.EventIsSet("e", &set));
      SurvivorGetsEverything(file.mapping(), &survivor, {});
      const std::vector<LockTicket> tickets = {survivor.Ask(kMutex), survivor.Ask(kPermit), survivor.Ask(kWriter)};
      for (const LockTicket& ticket : tickets) CHECK(survivor.Held(ticket));
      CheckTable(file.mapping());
    }
  }
  CHECK(deaths > 10);
}

}  // namespace
}  // namespace pongo
