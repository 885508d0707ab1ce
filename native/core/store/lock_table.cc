#include "store/lock_table.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "store/thread_slot.h"
#include "util/kill_point.h"

namespace pongo {
namespace {

constexpr Status kBusy(Code::kTIMEOUT, "the table of locks is held by a process that has been stopped: continue or end it");
constexpr Status kTooManyLocks(Code::kFULL, "there are 16384 locks in use already");
constexpr Status kTooManyRequests(Code::kFULL, "65536 locks are held or waited for already");

// One fact becomes true here, for everybody and whatever happens next: no store may be moved across it by the compiler. The
// processor keeps the order of one thread's stores towards the same thread's death.
void Commit(std::atomic<uint32_t>* fact, uint32_t value) {
  PONGO_KILL_POINT();
  std::atomic_signal_fence(std::memory_order_seq_cst);
  fact->store(value, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  PONGO_KILL_POINT();
}
void Commit(std::atomic<uint32_t>* fact, RequestState state) { Commit(fact, static_cast<uint32_t>(state)); }

RequestState StateOf(const LockRequest& request) {
  return static_cast<RequestState>(request.state.load(std::memory_order_relaxed));
}

}  // namespace

LockTable::LockTable(const ThreadSlot& slot) : mapping_(slot.mapping()), slot_(slot.index()), lock_file_(&slot.lock_file()) {}

// -- the mutex --

class LockTable::Inside {
 public:
  explicit Inside(LockTable* table, uint64_t limit_ns = kLockTableLimitNs) : table_(table), entered_(table->Enter(limit_ns)) {}
  ~Inside() {
    if (entered_) table_->Leave();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  explicit operator bool() const { return entered_; }

 private:
  LockTable* table_;
  bool entered_;
};

bool LockTable::Enter(uint64_t limit_ns) {
  uint32_t seen = 0;
  // acquire: what the last one inside did is seen.
  if (mapping_->locks()->mutex.compare_exchange_strong(seen, slot_ + 1, std::memory_order_acquire)) [[likely]] return true;
  return EnterSlowly(limit_ns);
}

bool LockTable::EnterSlowly(uint64_t limit_ns) {
  std::atomic<uint32_t>& mutex = mapping_->locks()->mutex;
  const uint64_t start = port::Nanoseconds();
  uint32_t mine = slot_ + 1;
  for (uint32_t spins = 0;;) {
    uint32_t seen = mutex.load(std::memory_order_relaxed);
    if (seen == 0) {
      if (mutex.compare_exchange_weak(seen, mine, std::memory_order_acquire)) return true;
      continue;
    }
    // The thread that had this slot died inside, and the caller, who has its byte, acts in its name.
    if ((seen & kLockOwnerMask) == slot_ + 1) {
      Repair();
      return true;
    }
    if (++spins < kSpins) {
      port::Relax();
      continue;
    }
    if ((seen & kLockContended) == 0 && !mutex.compare_exchange_weak(seen, seen | kLockContended, std::memory_order_relaxed)) continue;
    mine = (slot_ + 1) | kLockContended;  // others may sleep too: whoever leaves next has to look
    if (port::FutexWait(&mutex, seen | kLockContended, kLookAfterNs)) continue;
    if (lock_file_ != nullptr && TakeOver(seen | kLockContended, mine)) return true;
    if (port::Nanoseconds() - start > limit_ns) return false;
  }
}

// Takes the mutex from an owner that is dead. Its byte is kept meanwhile, so that nobody claims its slot and enters under the
// same number.
bool LockTable::TakeOver(uint32_t seen, uint32_t mine) {
  const uint64_t byte = kSlotByte + (seen & kLockOwnerMask) - 1;
  if (!port::TryLockByte(*lock_file_, byte, port::LockKind::kExclusive).ok()) return false;
  const bool taken = mapping_->locks()->mutex.compare_exchange_strong(seen, mine, std::memory_order_acquire);
  static_cast<void>(port::UnlockByte(*lock_file_, byte).ok());
  if (taken) Repair();
  return taken;
}

void LockTable::Leave() {
  PONGO_KILL_POINT();
  std::atomic<uint32_t>& mutex = mapping_->locks()->mutex;
  if ((mutex.exchange(0, std::memory_order_release) & kLockContended) != 0) port::FutexWake(&mutex, 1);
  PONGO_KILL_POINT();
  for (const uint32_t slot : wakers_) port::FutexWake(&mapping_->slot_area(slot)->lock_wake, 1);
  wakers_.clear();
}

// Builds what is derived from the facts, after a death inside.
void LockTable::Repair() {
  LockTableHeader* header = mapping_->locks();
  std::fill(std::begin(header->buckets), std::end(header->buckets), 0);
  PONGO_KILL_POINT();
  for (uint32_t number = 1; number <= header->records; number++)
    if (record(number)->used.load(std::memory_order_relaxed) != 0) LinkRecord(number);
  std::vector<uint32_t> queued;
  for (uint32_t number = 1; number <= header->requests; number++) {
    const LockRequest* request = this->request(number);
    LockRecord* record = this->record(request->record);
    switch (StateOf(*request)) {
      case RequestState::kFree:
        break;
      case RequestState::kAttached:
        record->attached++;
        break;
      case RequestState::kLost:
        record->lost++;
        Wake(request->waker);
        break;
      case RequestState::kPending:
      case RequestState::kHeld:
        queued.push_back(number);
        Wake(request->waker);
        break;
    }
  }
  std::sort(queued.begin(), queued.end(), [this](uint32_t a, uint32_t b) {
    const LockRequest &x = *request(a), &y = *request(b);
    const bool x_waits = StateOf(x) == RequestState::kPending, y_waits = StateOf(y) == RequestState::kPending;
    return x_waits != y_waits ? y_waits : x.ticket < y.ticket;
  });
  for (const uint32_t number : queued) Link(number, false);
  for (uint32_t number = 1; number <= header->records; number++) {
    if (record(number)->used.load(std::memory_order_relaxed) == 0) continue;
    Grant(number);
    FreeRecordIfUnused(number);
  }
}

Status LockTable::Reset(Mapping* mapping) {
  PONGO_TRY(mapping->AllocateControl(kLocksOffset, kLockRecordsOffset));
  LockTableHeader* header = mapping->locks();
  header->mutex.store(0, std::memory_order_relaxed);
  header->ticket_next = 1;
  header->records = header->requests = 0;
  header->record_hint = header->request_hint = 1;
  std::fill(std::begin(header->buckets), std::end(header->buckets), 0);
  return port::RandomBytes(&header->seed, sizeof header->seed);
}

// -- records --

// FNV-1a: the seed keeps others from choosing names that collide.
uint64_t LockTable::Hash(LockKind kind, std::string_view name) const {
  uint64_t hash = 0xcbf29ce484222325u ^ mapping_->locks()->seed ^ static_cast<uint64_t>(kind);
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return hash ^ (hash >> 32);
}

uint32_t LockTable::FindRecord(LockKind kind, std::string_view name) const {
  const uint64_t hash = Hash(kind, name);
  uint32_t number = mapping_->locks()->buckets[hash % kLockBuckets];
  for (; number != 0; number = record(number)->next) {
    const LockRecord* found = record(number);
    if (found->hash == hash && found->kind == static_cast<uint32_t>(kind) && found->name_size == name.size() &&
        std::memcmp(found->name, name.data(), name.size()) == 0)
      break;
  }
  return number;
}

Status LockTable::MakeRecord(const LockWish& wish, uint32_t* number) {
  LockTableHeader* header = mapping_->locks();
  uint32_t free = 0;
  for (uint32_t i = 0; i < header->records && free == 0; i++) {
    const uint32_t candidate = (header->record_hint - 1 + i) % header->records + 1;
    if (record(candidate)->used.load(std::memory_order_relaxed) == 0) free = candidate;
  }
  if (free == 0) {
    if (header->records == kLockRecordMax) return kTooManyLocks;
    const uint64_t offset = kLocksOffset + kLockRecordsOffset + header->records * sizeof(LockRecord);
    PONGO_TRY(mapping_->AllocateControl(offset, kLockRecordStep * sizeof(LockRecord)));
    free = header->records + 1;
    for (uint32_t i = 0; i < kLockRecordStep; i++) record(free + i)->used.store(0, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    header->records += kLockRecordStep;  // after they are valid
  }
  header->record_hint = free;
  LockRecord* made = record(free);
  made->kind = static_cast<uint32_t>(wish.kind);
  made->hash = Hash(wish.kind, wish.name);
  made->permits = wish.permits;
  made->set.store(0, std::memory_order_relaxed);
  made->name_size = static_cast<uint32_t>(wish.name.size());
  PONGO_KILL_POINT();
  std::memcpy(made->name, wish.name.data(), wish.name.size());
  Commit(&made->used, 1);
  LinkRecord(free);
  *number = free;
  return Status::Ok();
}

// Puts an empty record into its bucket.
void LockTable::LinkRecord(uint32_t number) {
  LockRecord* linked = record(number);
  linked->head = linked->tail = linked->waiting = 0;
  linked->held = linked->exclusive = linked->attached = linked->lost = 0;
  uint32_t* bucket = &mapping_->locks()->buckets[linked->hash % kLockBuckets];
  linked->next = *bucket;
  PONGO_KILL_POINT();
  *bucket = number;
}

void LockTable::FreeRecordIfUnused(uint32_t number) {
  LockRecord* freed = record(number);
  if (freed->head != 0 || freed->attached != 0 || freed->lost != 0 || freed->set.load(std::memory_order_relaxed) != 0) return;
  uint32_t* link = &mapping_->locks()->buckets[freed->hash % kLockBuckets];
  while (*link != number) link = &record(*link)->next;
  *link = freed->next;
  Commit(&freed->used, 0);
  mapping_->locks()->record_hint = number;
}

// -- requests --

bool LockTable::Names(const LockTicket& ticket) const {
  return ticket.request != 0 && ticket.request <= mapping_->locks()->requests && request(ticket.request)->ticket == ticket.number &&
         StateOf(*request(ticket.request)) != RequestState::kFree;
}

Status LockTable::FindFreeRequest(uint32_t* number) {
  LockTableHeader* header = mapping_->locks();
  for (uint32_t i = 0; i < header->requests; i++) {
    *number = (header->request_hint - 1 + i) % header->requests + 1;
    if (StateOf(*request(*number)) == RequestState::kFree) return Status::Ok();
  }
  if (header->requests == kLockRequestMax) return kTooManyRequests;
  const uint64_t offset = kLocksOffset + kLockRequestsOffset + header->requests * sizeof(LockRequest);
  PONGO_TRY(mapping_->AllocateControl(offset, kLockRequestStep * sizeof(LockRequest)));
  *number = header->requests + 1;
  for (uint32_t i = 0; i < kLockRequestStep; i++) request(*number + i)->state.store(0, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  header->requests += kLockRequestStep;  // after they are valid
  return Status::Ok();
}

// Makes a request that FindFreeRequest has found.
void LockTable::Fill(uint32_t number, const LockWish& wish, uint32_t record_number, uint32_t waker, RequestState state) {
  LockTableHeader* header = mapping_->locks();
  LockRequest* made = request(number);
  PONGO_KILL_POINT();
  made->record = record_number;
  made->ticket = header->ticket_next++;
  made->owner = slot_;
  made->waker = waker;
  made->mode = static_cast<uint32_t>(wish.mode);
  made->client = wish.client;
  header->request_hint = number == header->requests ? 1 : number + 1;
  // Before the state: adoption looks at the table only if this is not 0.
  mapping_->slot_area(slot_)->lock_requests.fetch_add(1, std::memory_order_relaxed);
  Commit(&made->state, state);
}

bool LockTable::Grantable(const LockRecord& record, uint32_t mode) const {
  switch (static_cast<LockKind>(record.kind)) {
    case LockKind::kMutex:
      return record.held == 0;
    case LockKind::kReadWrite:
    case LockKind::kNamed:
      return record.held == 0 || (mode == static_cast<uint32_t>(LockMode::kShared) && record.exclusive == 0);
    case LockKind::kSemaphore:
      return record.held < record.permits;
    case LockKind::kEvent:
      return record.set.load(std::memory_order_relaxed) != 0;
  }
  return false;
}

// Puts a request that is held or pending into its queue: at the end, or as the first.
void LockTable::Link(uint32_t number, bool first) {
  LockRequest* linked = request(number);
  LockRecord* record = this->record(linked->record);
  linked->previous = first ? 0 : record->tail;
  linked->next = first ? record->head : 0;
  PONGO_KILL_POINT();
  (linked->previous == 0 ? record->head : request(linked->previous)->next) = number;
  (linked->next == 0 ? record->tail : request(linked->next)->previous) = number;
  PONGO_KILL_POINT();
  if (StateOf(*linked) == RequestState::kHeld) {
    record->held++;
    if (linked->mode == static_cast<uint32_t>(LockMode::kExclusive)) record->exclusive++;
  } else if (record->waiting == 0) {
    record->waiting = number;
  }
}

// The state is still the one under which it was linked.
void LockTable::Unlink(uint32_t number) {
  LockRequest* linked = request(number);
  LockRecord* record = this->record(linked->record);
  (linked->previous == 0 ? record->head : request(linked->previous)->next) = linked->next;
  PONGO_KILL_POINT();
  (linked->next == 0 ? record->tail : request(linked->next)->previous) = linked->previous;
  if (record->waiting == number) record->waiting = linked->next;
  if (StateOf(*linked) != RequestState::kHeld) return;
  record->held--;
  if (linked->mode == static_cast<uint32_t>(LockMode::kExclusive)) record->exclusive--;
}

// Takes a request away, and lets in who waited for that.
void LockTable::End(uint32_t number) {
  LockRequest* ended = request(number);
  const uint32_t record_number = ended->record;
  switch (StateOf(*ended)) {
    case RequestState::kFree:
      return;
    case RequestState::kAttached:
      record(record_number)->attached--;
      break;
    case RequestState::kLost:
      record(record_number)->lost--;
      break;
    case RequestState::kPending:
    case RequestState::kHeld:
      Unlink(number);
      break;
  }
  Commit(&ended->state, RequestState::kFree);
  // After the state: see invariant 7.
  mapping_->slot_area(ended->owner)->lock_requests.fetch_sub(1, std::memory_order_relaxed);
  mapping_->locks()->request_hint = number;
  Grant(record_number);
  FreeRecordIfUnused(record_number);
}

void LockTable::Grant(uint32_t record_number) {
  LockRecord* record = this->record(record_number);
  while (record->waiting != 0) {
    LockRequest* next = request(record->waiting);
    if (!Grantable(*record, next->mode)) return;
    Commit(&next->state, RequestState::kHeld);  // handed over
    record->waiting = next->next;
    PONGO_KILL_POINT();
    record->held++;
    if (next->mode == static_cast<uint32_t>(LockMode::kExclusive)) record->exclusive++;
    Wake(next->waker);
  }
}

// Takes a lock from all who hold it; they are told.
void LockTable::Steal(uint32_t record_number) {
  LockRecord* record = this->record(record_number);
  while (record->held > 0) {
    const uint32_t number = record->head;
    Unlink(number);
    Commit(&request(number)->state, RequestState::kLost);
    record->lost++;
    Wake(request(number)->waker);
  }
}

// The wake-up itself is a system call and comes after the mutex is free.
void LockTable::Wake(uint32_t slot) {
  // release: whoever sees the new number sees the states that it announces.
  mapping_->slot_area(slot)->lock_wake.fetch_add(1, std::memory_order_release);
  if (std::find(wakers_.rbegin(), wakers_.rend(), slot) == wakers_.rend()) wakers_.push_back(slot);
}

// -- the interface --

Status LockTable::Request(const LockWish& wish, uint32_t waker, LockTicket* ticket, RequestState* state) {
  if (wish.name.size() > kLockNameMax) return Status(Code::kARG, "the name of a lock may have 952 bytes at most");
  const Inside inside(this);
  if (!inside) return kBusy;
  uint32_t number = FindRecord(wish.kind, wish.name);
  if (number != 0 && wish.kind == LockKind::kSemaphore && record(number)->permits != wish.permits)
    return Status(Code::kARG, "others use the semaphore of this name with another number of permits");
  if (number != 0 && wish.if_available && (record(number)->waiting != 0 || !Grantable(*record(number), static_cast<uint32_t>(wish.mode)))) {
    *state = RequestState::kFree;
    return Status::Ok();
  }
  uint32_t made;
  PONGO_TRY(FindFreeRequest(&made));
  if (number == 0) PONGO_TRY(MakeRecord(wish, &number));
  if (wish.steal) Steal(number);
  const bool granted = (wish.steal || record(number)->waiting == 0) && Grantable(*record(number), static_cast<uint32_t>(wish.mode));
  *state = granted ? RequestState::kHeld : RequestState::kPending;
  Fill(made, wish, number, waker, *state);
  Link(made, wish.steal);
  *ticket = LockTicket{made, request(made)->ticket};
  return Status::Ok();
}

Status LockTable::Attach(const LockWish& wish, LockTicket* ticket) {
  if (wish.name.size() > kLockNameMax) return Status(Code::kARG, "the name of a lock may have 952 bytes at most");
  const Inside inside(this);
  if (!inside) return kBusy;
  uint32_t number = FindRecord(wish.kind, wish.name);
  if (number != 0 && record(number)->permits != wish.permits)
    return Status(Code::kARG, "others use the semaphore of this name with another number of permits");
  uint32_t made;
  PONGO_TRY(FindFreeRequest(&made));
  if (number == 0) PONGO_TRY(MakeRecord(wish, &number));
  Fill(made, wish, number, slot_, RequestState::kAttached);
  record(number)->attached++;
  *ticket = LockTicket{made, request(made)->ticket};
  return Status::Ok();
}

Status LockTable::Release(const LockTicket& ticket, RequestState* was) {
  const Inside inside(this);
  if (!inside) return kBusy;
  *was = Names(ticket) ? StateOf(*request(ticket.request)) : RequestState::kFree;
  if (*was != RequestState::kFree) End(ticket.request);
  return Status::Ok();
}

Status LockTable::Cancel(const LockTicket& ticket, RequestState* was) {
  const Inside inside(this);
  if (!inside) return kBusy;
  *was = Names(ticket) ? StateOf(*request(ticket.request)) : RequestState::kFree;
  if (*was == RequestState::kPending) End(ticket.request);
  return Status::Ok();
}

Status LockTable::SetEvent(std::string_view name, bool set) {
  if (name.size() > kLockNameMax) return Status(Code::kARG, "the name of an event may have 952 bytes at most");
  const Inside inside(this);
  if (!inside) return kBusy;
  uint32_t number = FindRecord(LockKind::kEvent, name);
  if (number == 0) {
    if (!set) return Status::Ok();
    LockWish wish;
    wish.kind = LockKind::kEvent;
    wish.name = name;
    PONGO_TRY(MakeRecord(wish, &number));
  }
  Commit(&record(number)->set, set ? 1 : 0);
  Grant(number);
  FreeRecordIfUnused(number);
  return Status::Ok();
}

Status LockTable::EventIsSet(std::string_view name, bool* set) {
  if (name.size() > kLockNameMax) return Status(Code::kARG, "the name of an event may have 952 bytes at most");
  const Inside inside(this);
  if (!inside) return kBusy;
  const uint32_t number = FindRecord(LockKind::kEvent, name);
  *set = number != 0 && record(number)->set.load(std::memory_order_relaxed) != 0;
  return Status::Ok();
}

Status LockTable::Query(std::vector<LockReport>* reports) {
  const Inside inside(this);
  if (!inside) return kBusy;
  for (uint32_t number = 1; number <= mapping_->locks()->records; number++) {
    const LockRecord* record = this->record(number);
    if (record->used.load(std::memory_order_relaxed) == 0 || record->kind != static_cast<uint32_t>(LockKind::kNamed)) continue;
    for (uint32_t next = record->head; next != 0; next = request(next)->next) {
      const LockRequest& found = *request(next);
      reports->push_back(LockReport{std::string(reinterpret_cast<const char*>(record->name), record->name_size),
                                    static_cast<LockMode>(found.mode), found.client, StateOf(found) == RequestState::kHeld});
    }
  }
  return Status::Ok();
}

// -- death of others --

void LockTable::CollectOwners(const std::vector<LockTicket>& tickets, std::vector<uint32_t>* owners) {
  const Inside inside(this);
  if (!inside) return;
  std::vector<uint32_t> records;
  for (const LockTicket& ticket : tickets)
    if (Names(ticket) && StateOf(*request(ticket.request)) == RequestState::kPending) records.push_back(request(ticket.request)->record);
  std::sort(records.begin(), records.end());
  records.erase(std::unique(records.begin(), records.end()), records.end());
  for (const uint32_t number : records)
    for (uint32_t next = record(number)->head; next != 0; next = request(next)->next)
      if (request(next)->owner != slot_ && (owners->empty() || owners->back() != request(next)->owner)) owners->push_back(request(next)->owner);
  std::sort(owners->begin(), owners->end());
  owners->erase(std::unique(owners->begin(), owners->end()), owners->end());
}

bool LockTable::ReapOwnersBefore(const std::vector<LockTicket>& tickets) {
  std::vector<uint32_t> owners;
  CollectOwners(tickets, &owners);
  bool found = false;
  for (const uint32_t owner : owners) found = ReapIfDead(mapping_, *lock_file_, owner) || found;
  return found;
}

bool LockTable::ReleaseAll(uint64_t limit_ns) {
  std::atomic<uint32_t>& count = mapping_->slot_area(slot_)->lock_requests;
  if (count.load(std::memory_order_relaxed) == 0 &&
      (mapping_->locks()->mutex.load(std::memory_order_relaxed) & kLockOwnerMask) != slot_ + 1)
    return true;
  const Inside inside(this, limit_ns);
  if (!inside) return false;
  for (uint32_t number = 1; number <= mapping_->locks()->requests; number++)
    if (StateOf(*request(number)) != RequestState::kFree && request(number)->owner == slot_) End(number);
  count.store(0, std::memory_order_relaxed);
  return true;
}

}  // namespace pongo
