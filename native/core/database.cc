#include "database_impl.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "model/maintenance.h"
#include "util/check.h"

namespace pongo {

Session::Session(std::unique_ptr<SessionImpl> impl) : impl_(std::move(impl)) {}
Session::~Session() { static_cast<void>(Close()); }

Result<std::unique_ptr<Session>> Session::Open(const std::string& path, const OpenOptions& options, std::string* detail) {
  Result<std::shared_ptr<DatabaseFile>> file = DatabaseFile::Open(path, options, detail);
  if (!file.ok()) return file.status();
  auto impl = std::make_unique<SessionImpl>(std::move(file.value()));
  if (const Status claimed = impl->slot.Claim(); !claimed.ok()) {
    impl->file->ForgetDurability(options.durability);
    return claimed;
  }
  impl->durability = options.durability;
  PONGO_TRY(port::RandomBytes(&impl->lock_client, sizeof impl->lock_client));
  if (options.durability != Durability::kNone) impl->file->WantCheckpoints();
  std::memcpy(impl->uuid, impl->mapping->header()->uuid, sizeof impl->uuid);
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Status Session::Close() {
  if (impl_->closed.exchange(true)) return Status::Ok();
  if (impl_->file->InForkedChild()) {
    // Nothing behind the handle is ours: no destructor may run (the mapped ranges may hold the child's own memory by now).
    if (impl_->explicit_attempts != nullptr) impl_->explicit_attempts->Forget();
    new std::shared_ptr<DatabaseFile>(std::move(impl_->file));
    return Status::Ok();
  }
  impl_->transaction.Abort();
  impl_->explicit_attempts.reset();
  impl_->snapshots.clear();
  for (const auto& lock : impl_->locks) impl_->file->lock_waiter()->Forget(lock.first);
  if (!impl_->watchers.empty()) impl_->file->commit_waiter()->DisarmAll(impl_.get());
  impl_->watchers.clear();
  impl_->slot.Release();  // gives back locks, pins, caches and retired blocks
  std::shared_ptr<DatabaseFile> last;
  {
    const std::lock_guard<std::mutex> lock(impl_->file_mutex);
    last = std::move(impl_->file);
  }
  last->ForgetDurability(impl_->durability);
  return Status::Ok();  // the last session of the process closes the files
}

// -- reads --

namespace {

Status AbsentIfExpired(const Found& found, bool* present) {
  bool expired;
  PONGO_TRY(LeafEntryExpired(found.leaf, found.index, port::WallClockMicroseconds(), &expired));
  *present = !expired;
  return Status::Ok();
}

}  // namespace

Status Session::Get(uint64_t view, uint64_t id, const Key& key, ValueVisitor found) { return Look(view, id, key, true, found); }

Status Session::Has(uint64_t view, uint64_t id, const Key& key, bool* present) {
  *present = false;
  return Look(view, id, key, false, [present](const ValueView&) { *present = true; });
}

// `use`: finding the entry counts as a use of it, where that matters.
Status Session::Look(uint64_t view, uint64_t id, const Key& key, bool use, ValueVisitor found) {
  SessionImpl& s = *impl_;
  if (view != 0 || s.transaction.active() || !s.Check().ok()) [[unlikely]]
    return s.Read(view, [&](const ReadView& v) { return GetValue(use ? v : ReadView(v).NotingUses(false), id, key, found); });
  // The hot path: as Read, with the container's entry remembered as long as the root word stays.
  const uint64_t word = s.slot.Announce();
  Base base;
  const ObjectEntry* container;
  Status status = s.FindEntry(word, id, &base, &container);
  if (status.ok() && container == nullptr) [[unlikely]] status = Status(Code::kKEY, "the container no longer exists");
  if (status.ok() && container->kind() == static_cast<uint8_t>(Kind::kList)) [[unlikely]]
    status = Status(Code::kTYPE, "the operation needs a Dict or Collection, and this is a List");
  if (status.ok() && container->kind() == static_cast<uint8_t>(Kind::kMulti)) [[unlikely]] {
    status = GetValue(ReadView(s.mapping, base.table), id, key, found);  // is never bounded
    s.slot.Clear();
    return status;
  }
  if (status.ok()) {
    Found entry;
    Stamp stamp;
    bool present;
    if (use && container->is_lru() && !s.file->read_only()) [[unlikely]] {  // fetched while the tree is searched
      stamp = StampOf(s.mapping, id, *container, key);
      __builtin_prefetch(stamp.bucket, 1);
    }
    status = TreeReader(s.mapping, true).Find(container->tree(), key, &present, &entry);
    if (status.ok() && present && entry.leaf.may_expire()) [[unlikely]]
      status = AbsentIfExpired(entry, &present);
    if (status.ok() && present) {
      ValueView value;
      status = DecodeWord(s.mapping, entry.leaf, entry.word(), &value);
      if (status.ok()) found(value);
      NoteUse(s.mapping, stamp);
    }
  }
  s.slot.Clear();
  return status;
}

Status Session::GetPath(uint64_t view, uint64_t id, const PathStep* steps, size_t count, ValueVisitor found) {
  return impl_->ReadAt(view, id, [&](const ReadView& v) { return GetPathValue(v, id, steps, count, found); });
}

Status Session::GetKind(uint64_t view, uint64_t id, Kind* kind) {
  return impl_->Read(view, [&](const ReadView& v) -> Status {
    bool present;
    ObjectEntry entry;
    PONGO_TRY(v.Lookup(id, &present, &entry));
    *kind = present ? static_cast<Kind>(entry.kind()) : Kind::kNone;
    return Status::Ok();
  });
}

Status Session::Size(uint64_t view, uint64_t id, uint64_t* size) {
  return impl_->ReadAt(view, id, [&](const ReadView& v) -> Status {
    bool present;
    ObjectEntry entry;
    PONGO_TRY(v.Lookup(id, &present, &entry));
    if (!present) return Status(Code::kKEY, "the container no longer exists");
    *size = entry.size;
    return Status::Ok();
  });
}

Status Session::Native(uint64_t view, uint64_t id, std::vector<uint8_t>* wire) {
  return impl_->ReadAt(view, id, [&](const ReadView& v) { return CopyNative(v, id, wire); });
}

Status Session::Plain(uint64_t view, uint64_t id, PlainSink* sink) {
  return impl_->ReadAt(view, id, [&](const ReadView& v) { return CopyPlain(v, id, sink); });
}

Status Session::PlainValue(uint64_t view, uint64_t id, const Key& key, PlainSink* sink) {
  return impl_->ReadAt(view, id, [&](const ReadView& v) { return CopyPlainValue(v, id, key, sink); });
}

Status Session::PlainPage(uint64_t view, uint64_t id, uint64_t start, uint64_t count, int step, FunctionRef<void(const Key&)> key,
                          PlainSink* sink, uint64_t* passed) {
  return impl_->Read(view, [&](const ReadView& v) {
    Status copied;
    const auto copy = [&](const Key& k, const ValueView& value) {
      key(k);
      if (value.type == ValueView::Type::kContainer)
        copied = CopyPlain(v, value.id, sink);
      else
        sink->Primitive(value);
      return copied.ok();
    };
    PONGO_TRY(PageEntries(v, id, start, count, step, copy, kContents, passed));
    return copied;
  });
}

Status Session::ShapeNames(uint64_t shape, FunctionRef<void(const Key& name)> visit) {
  PONGO_TRY(impl_->Check());
  return VisitShapeNames(impl_->mapping, shape, visit);
}

Status Session::Page(uint64_t view, uint64_t id, uint64_t start, uint64_t count, int step, EntryVisitor visit, uint64_t* passed) {
  return impl_->ReadAt(view, id, [&](const ReadView& v) { return PageEntries(v, id, start, count, step, visit, 0, passed); });
}

Status Session::Bounds(uint64_t view, uint64_t id, const Key& lo, const Key& hi, uint32_t flags, uint64_t* begin, uint64_t* end) {
  return impl_->ReadAt(view, id, [&](const ReadView& v) { return FindBounds(v, id, lo, hi, flags, begin, end); });
}

Status Session::Rank(uint64_t view, uint64_t id, const Key& key, uint64_t* rank) {
  return impl_->ReadAt(view, id, [&](const ReadView& v) { return FindRank(v, id, key, rank); });
}

Status Session::ListGet(uint64_t view, uint64_t id, uint64_t index, ValueVisitor found) {
  return impl_->ReadAt(view, id, [&](const ReadView& v) { return GetAt(v, id, index, found); });
}

// -- writes --

Status Session::Set(uint64_t id, const Key& key, const Input& value, uint32_t flags) {
  return impl_->Write((flags & kSetSync) != 0, [&](Operations& o) { return o.Set(id, key, value, flags); });
}

Status Session::Delete(uint64_t id, const Key& key, bool* was_present) {
  return impl_->Write(false, [&](Operations& o) { return o.Delete(id, key, was_present); });
}

Status Session::DeletePair(uint64_t id, const Key& key, const Input& value, bool* was_present) {
  return impl_->Write(false, [&](Operations& o) { return o.DeletePair(id, key, value, was_present); });
}

Status Session::Pop(uint64_t id, const Key& key, ValueVisitor found) {
  return impl_->Write(false, [&](Operations& o) { return o.Pop(id, key, found); }, [&] { found(ValueView()); });
}

Status Session::Shift(uint64_t id, EntryVisitor visit) {
  return impl_->Write(false, [&](Operations& o) { return o.Shift(id, visit); }, [&] { visit(Key(), ValueView()); });
}

Status Session::Update(uint64_t id, const uint8_t* wire_dict, size_t size) {
  return impl_->Write(false, [&](Operations& o) { return o.Update(id, wire_dict, size); });
}

Status Session::Increment(uint64_t id, const Key& key, const ValueView& by, ValueVisitor result) {
  return impl_->Write(false, [&](Operations& o) { return o.Increment(id, key, by, result); });
}

Status Session::CompareAndSet(uint64_t id, const Key& key, const Input* expected, const Input* next, bool* swapped) {
  return impl_->Write(false, [&](Operations& o) { return o.CompareAndSet(id, key, expected, next, swapped); });
}

Status Session::SetPath(uint64_t id, const PathStep* steps, size_t count, const Input& value, uint32_t flags) {
  return impl_->Write((flags & kSetSync) != 0, [&](Operations& o) -> Status {
    uint64_t container;
    const PathStep* last;
    PONGO_TRY(o.ResolvePath(id, steps, count, &container, &last));
    return o.SetStep(container, *last, value, flags);
  });
}

Status Session::DeletePath(uint64_t id, const PathStep* steps, size_t count, bool* was_present) {
  return impl_->Write(false, [&](Operations& o) -> Status {
    uint64_t container;
    const PathStep* last;
    *was_present = false;
    const Status resolved = o.ResolvePath(id, steps, count, &container, &last);
    if (resolved.code() == Code::kKEY) return Status::Ok();
    PONGO_TRY(resolved);
    return o.DeleteStep(container, *last, was_present);
  });
}

Status Session::IncrementPath(uint64_t id, const PathStep* steps, size_t count, const ValueView& by, ValueVisitor result) {
  return impl_->Write(false, [&](Operations& o) -> Status {
    uint64_t container;
    const PathStep* last;
    PONGO_TRY(o.ResolvePath(id, steps, count, &container, &last));
    return o.IncrementStep(container, *last, by, result);
  });
}

Status Session::CompareAndSetPath(uint64_t id, const PathStep* steps, size_t count, const Input* expected, const Input* next,
                                  bool* swapped) {
  return impl_->Write(false, [&](Operations& o) -> Status {
    uint64_t container;
    const PathStep* last;
    PONGO_TRY(o.ResolvePath(id, steps, count, &container, &last));
    return o.CompareAndSetStep(container, *last, expected, next, swapped);
  });
}

Status Session::Create(Kind kind, const uint8_t* wire, size_t size, uint64_t* id, uint32_t* cell) {
  *cell = kNoCell;
  // Pinned before it is committed: nothing links to it, and a collection may begin at once.
  const Status status = impl_->Write(
      false,
      [&](Operations& o) -> Status {
        PONGO_TRY(o.Create(kind, wire, size, id));
        *cell = impl_->pidcache.Pin(*id);
        return Status::Ok();
      },
      [&] { impl_->pidcache.Unpin(std::exchange(*cell, kNoCell)); });
  if (!status.ok()) impl_->pidcache.Unpin(std::exchange(*cell, kNoCell));
  return status;
}

uint32_t Session::PinContainer(uint64_t id) {
  return impl_->pidcache.Pin(id);
}

void Session::UnpinContainer(uint32_t cell) {
  if (impl_->Check().ok()) impl_->pidcache.Unpin(cell);
}

Status Session::Clear(uint64_t id) {
  return impl_->Write(false, [&](Operations& o) { return o.Clear(id); });
}

Status Session::Replace(uint64_t id, const uint8_t* wire, size_t size) {
  return impl_->Write(false, [&](Operations& o) { return o.Replace(id, wire, size); });
}

Status Session::ListSet(uint64_t id, uint64_t index, const Input& value) {
  return impl_->Write(false, [&](Operations& o) { return o.ListSet(id, index, value); });
}

Status Session::ListSplice(uint64_t id, uint64_t start, uint64_t delete_count, const uint8_t* wire, size_t size, uint64_t* length) {
  return impl_->Write(false, [&](Operations& o) { return o.ListSplice(id, start, delete_count, wire, size, length); });
}

Status Session::ListPush(uint64_t id, const Input& value, uint64_t* length) {
  return impl_->Write(false, [&](Operations& o) { return o.ListPush(id, value, length); });
}

Status Session::ListPop(uint64_t id, ValueVisitor found) {
  return impl_->Write(false, [&](Operations& o) { return o.ListTake(id, false, found); }, [&] { found(ValueView()); });
}

Status Session::ListShift(uint64_t id, ValueVisitor found) {
  return impl_->Write(false, [&](Operations& o) { return o.ListTake(id, true, found); }, [&] { found(ValueView()); });
}

Status Session::ListArrange(uint64_t id, const uint32_t* positions, size_t count) {
  return impl_->Write(false, [&](Operations& o) { return o.ListArrange(id, positions, count); });
}

// -- transactions --

Status Session::Begin() {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  if (s.transaction.active()) return Status(Code::kARG, "a transaction is already open in this handle");
  // A lost transaction counts, and may draw a ticket, when it is run again: one that is given up must not hold others up.
  if (s.explicit_attempts != nullptr)
    s.turn.Lost(s.explicit_attempts.get());
  else
    s.explicit_attempts = std::make_unique<Turn::Attempts>(&s.turn, Turn::kLongPatience);
  s.turn.Yield(s.explicit_attempts.get());
  const Status status = s.transaction.Start(true);
  if (!status.ok()) s.explicit_attempts.reset();  // nobody has to wait for it
  return status;
}

Status Session::Commit(bool* committed) {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  *committed = false;
  if (!s.transaction.active()) return Status(Code::kARG, "no transaction is open in this handle");
  const bool wrote = s.transaction.dirty();
  const bool awaited = s.durability == Durability::kSync;
  if (wrote && s.file->read_only()) {
    s.transaction.Abort();
    s.explicit_attempts.reset();
    return kReadOnly;
  }
  s.transaction.set_awaited(awaited);
  const Status status = s.transaction.Commit(committed);
  if (!status.ok()) {
    s.explicit_attempts.reset();
    return status;
  }
  if (!*committed) return Status::Ok();
  s.explicit_attempts.reset();
  return wrote && awaited ? s.SyncTo(s.transaction.committed_version()) : Status::Ok();
}

Status Session::Abort() {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  s.transaction.Abort();
  s.explicit_attempts.reset();
  return Status::Ok();
}

bool Session::InTransaction() const { return impl_->transaction.active(); }

// -- snapshots --

Status SessionImpl::PinNewest(Pinned* pinned) {
  const uint64_t word = slot.Announce();
  const Status read = ReadBase(mapping, word, &pinned->base);
  if (read.ok()) pinned->cell = slot.Pin(pinned->base.version, pinned->base.word, PinKind::kSnapshot);
  slot.Clear();
  PONGO_TRY(read);
  if (pinned->cell == kPinCells) return Status(Code::kFULL, "too many snapshots and iterators are open in this thread");
  return Status::Ok();
}

Status Session::Snapshot(uint64_t* view) {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  SessionImpl::Pinned pinned;
  pinned.now = port::WallClockMicroseconds();
  PONGO_TRY(s.PinNewest(&pinned));
  *view = s.snapshot_next++;
  s.snapshots.emplace(*view, pinned);
  return Status::Ok();
}

Status Session::Release(uint64_t view) {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  const auto found = s.snapshots.find(view);
  if (found == s.snapshots.end()) return Status::Ok();
  s.slot.Unpin(found->second.cell);
  s.snapshots.erase(found);
  return Status::Ok();
}

Status Session::Version(uint64_t view, uint64_t* version) {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  if (view != 0) {
    const auto found = s.snapshots.find(view);
    if (found == s.snapshots.end()) return kNoSnapshot;
    *version = found->second.base.version;
    return Status::Ok();
  }
  if (s.transaction.active()) {
    *version = s.transaction.base().version;
    return Status::Ok();
  }
  const uint64_t word = s.slot.Announce();
  Base base;
  const Status status = ReadBase(s.mapping, word, &base);
  s.slot.Clear();
  *version = base.version;
  return status;
}

// -- whole database --

Status Session::Sync(bool rewrite, const WaitHooks& hooks) {
  const std::shared_ptr<DatabaseFile> file = impl_->SharedFile();
  if (file == nullptr) return kClosed;
  if (file->InForkedChild()) return kForked;
  // V may lag behind the root for a moment, but never behind a commit that has returned.
  const uint64_t version = file->mapping()->header()->version.load(std::memory_order_seq_cst);
  return rewrite && file->sync_failed() ? file->RewriteAndSync(version) : file->SyncTo(version, hooks);
}

Status Session::Verify(Counts* counts, std::string* problem) {
  const std::shared_ptr<DatabaseFile> file = impl_->SharedFile();
  if (file == nullptr) return kClosed;
  if (file->InForkedChild()) return kForked;
  return VerifyDatabase(file->mapping(), counts, problem);
}

Status Session::Gc(bool complete, Counts* before, Counts* after) {
  const std::shared_ptr<DatabaseFile> file = impl_->SharedFile();
  if (file == nullptr) return kClosed;
  if (file->InForkedChild()) return kForked;
  if (file->read_only()) return kReadOnly;
  return CollectGarbage(file->mapping(), complete, [&](uint32_t resort) { return file->MakeRoom(resort); }, before, after);
}

Status Session::SetChunkSize(uint64_t bytes) {
  PONGO_TRY(impl_->CheckWrite());
  return impl_->file->SetChunkSize(bytes);
}

Status Session::SetIdKey(const std::string& name) {
  PONGO_TRY(impl_->CheckWrite());
  return impl_->file->SetIdKey(name);
}

void Session::SetDurability(Durability durability) {
  if (!impl_->Check().ok()) return;
  impl_->file->ChangeDurability(impl_->durability, durability);
  impl_->durability = durability;
  if (durability != Durability::kNone) impl_->file->WantCheckpoints();
}
uint64_t Session::chunk_size() const { return impl_->Check().ok() ? impl_->mapping->header()->chunk_size : 0; }
uint64_t Session::max_size() const { return impl_->Check().ok() ? impl_->file->max_size() : 0; }
std::string Session::id_key() const {
  if (!impl_->Check().ok()) return "";
  const ControlHeader* header = impl_->mapping->header();
  return std::string(reinterpret_cast<const char*>(header->id_key), std::min<uint32_t>(header->id_key_size, kIdKeySizeMax));
}
const uint8_t* Session::uuid() const { return impl_->uuid; }

}  // namespace pongo
