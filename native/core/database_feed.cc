// Change notification (model/feed.h, store/commit_signal.h).
#include <utility>

#include "database_impl.h"
#include "store/commit_signal.h"

namespace pongo {

Status SessionImpl::FindWatcher(uint64_t number, Watcher** watcher) {
  PONGO_TRY(Check());
  const auto found = watchers.find(number);
  if (found == watchers.end()) return Status(Code::kARG, "the watcher has been stopped");
  *watcher = found->second.get();
  return Status::Ok();
}

Status SessionImpl::SettleWatcher(Watcher* watcher) {
  if (watcher->settled || watcher->reset) return Status::Ok();
  // A lower bound of all that is read: the base and what came after it. Only then is the base looked at.
  slot.AnnounceVersion(watcher->base.version);
  Status status = slot.Revoked(watcher->cell) ? kRevoked : Status::Ok();
  Base now;
  if (status.ok()) status = ReadBase(mapping, mapping->header()->root.load(std::memory_order_seq_cst), &now);
  if (status.ok()) status = SettleBatch(mapping, watcher, now);
  slot.Clear();
  if (!status.ok()) watcher->reset = true;
  return status;
}

Status Session::Watch(uint64_t id, const PathStep* steps, size_t count, uint64_t since, uint64_t* watcher) {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  if (s.transaction.active()) return Status(Code::kARG, "watching cannot begin inside a transaction");
  auto made = std::make_unique<Watcher>();
  made->id = id;
  made->path.assign(steps, steps + count);
  made->path_bytes.reserve(count);
  for (PathStep& step : made->path) {
    made->path_bytes.emplace_back(reinterpret_cast<const char*>(step.key.data), step.key.size);
    made->path_bytes.back().append(reinterpret_cast<const char*>(step.key.form), step.key.form_size);
    step.key.data = reinterpret_cast<const uint8_t*>(made->path_bytes.back().data());
    step.key.form = step.key.data + step.key.size;
  }
  SessionImpl::Pinned pinned;
  if (since != 0) {
    const auto found = s.snapshots.find(since);
    if (found == s.snapshots.end()) return kNoSnapshot;
    PONGO_TRY(s.Enter(found->second));
    pinned.base = found->second.base;
    pinned.cell = s.slot.Pin(pinned.base.version, pinned.base.word, PinKind::kSnapshot);  // one more on the same cell
    s.slot.Clear();
    if (pinned.cell == kPinCells) return Status(Code::kFULL, "too many snapshots and iterators are open in this thread");
  } else {
    PONGO_TRY(s.PinNewest(&pinned));
  }
  made->base = pinned.base;
  made->cell = pinned.cell;
  *watcher = s.watcher_next++;
  s.watchers.emplace(*watcher, std::move(made));
  return Status::Ok();
}

void Session::Unwatch(uint64_t watcher) {
  SessionImpl& s = *impl_;
  Watcher* found;
  if (!s.FindWatcher(watcher, &found).ok()) return;
  s.file->commit_waiter()->Disarm(&s, watcher);
  s.slot.Unpin(found->cell);
  s.watchers.erase(watcher);
}

Status Session::Changes(uint64_t watcher, ChangeVisitor* visitor) {
  SessionImpl& s = *impl_;
  Watcher* w;
  PONGO_TRY(s.FindWatcher(watcher, &w));
  if (s.transaction.active()) return Status(Code::kARG, "changes cannot be read inside a transaction");
  static_cast<void>(s.SettleWatcher(w));  // a failure makes the batch a reset
  SessionImpl::Pinned newest;
  for (;;) {
    PONGO_TRY(s.PinNewest(&newest));
    // From here on neither can go away; what went before shows itself now.
    s.slot.AnnounceVersion(w->base.version);
    if (!s.slot.Revoked(newest.cell)) break;
    s.slot.Clear();
    s.slot.Unpin(newest.cell);
  }
  if (s.slot.Revoked(w->cell)) w->reset = true;
  Status status;
  if (newest.base.word != w->base.word || w->reset || !w->outdated.empty())
    status = VisitChanges(s.mapping, w, newest.base, visitor);
  s.slot.Clear();
  s.slot.Unpin(w->cell);
  w->base = newest.base;
  w->cell = newest.cell;
  return status;
}

Status Session::SettleChanges(uint64_t watcher) {
  Watcher* w;
  PONGO_TRY(impl_->FindWatcher(watcher, &w));
  return impl_->SettleWatcher(w);
}

Status Session::ArmChanges(uint64_t watcher, ChangeNotify notify, void* context, bool* changed) {
  SessionImpl& s = *impl_;
  Watcher* w;
  PONGO_TRY(s.FindWatcher(watcher, &w));
  static_cast<void>(s.SettleWatcher(w));
  *changed = w->reset || !w->outdated.empty() ||
             !s.file->commit_waiter()->Arm(w->base.word, {notify, context, watcher, &s});
  return Status::Ok();
}

Status Session::WaitChanges(uint64_t watcher, uint64_t nanoseconds, bool* changed) {
  SessionImpl& s = *impl_;
  Watcher* w;
  PONGO_TRY(s.FindWatcher(watcher, &w));
  static_cast<void>(s.SettleWatcher(w));
  *changed = true;
  if (w->reset || !w->outdated.empty()) return Status::Ok();
  const uint64_t known = w->base.word;
  EnterCommitWait(s.mapping, s.slot.line());
  uint64_t root;
  {
    const WaitScope waiting(s.wait_hooks);
    root = SleepUntilCommit(s.mapping, known, nanoseconds, &s.wait_interrupted);
  }
  LeaveCommitWait(s.mapping, s.slot.line());
  s.wait_interrupted.store(false, std::memory_order_relaxed);
  *changed = root != known;
  return Status::Ok();
}

void Session::InterruptWait() {
  const std::shared_ptr<DatabaseFile> file = impl_->SharedFile();
  if (file == nullptr || file->InForkedChild()) return;
  impl_->wait_interrupted.store(true, std::memory_order_seq_cst);
  WakeCommitWaiters(file->mapping()->header());
}

}  // namespace pongo
