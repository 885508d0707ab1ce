// The part of the facade that deals with entries that expire.
#include "database_impl.h"

namespace pongo {

Status Session::SetExpiring(uint64_t id, const Key& key, const Input& value, uint32_t flags, const Expiry& expiry) {
  return impl_->Write((flags & kSetSync) != 0, [&](Operations& o) { return o.Set(id, key, value, flags, expiry); });
}

Status Session::SetPathExpiring(uint64_t id, const PathStep* steps, size_t count, const Input& value, uint32_t flags,
                                const Expiry& expiry) {
  return impl_->Write((flags & kSetSync) != 0, [&](Operations& o) -> Status {
    uint64_t container;
    const PathStep* last;
    PONGO_TRY(o.ResolvePath(id, steps, count, &container, &last));
    return o.SetStep(container, *last, value, flags, expiry);
  });
}

Status Session::SetExpiry(uint64_t id, const Key& key, const Expiry& expiry, bool* was_present) {
  return impl_->Write(false, [&](Operations& o) { return o.SetExpiry(id, key, expiry, was_present); });
}

Status Session::TimeLeft(uint64_t view, uint64_t id, const Key& key, bool* expires, int64_t* microseconds) {
  return impl_->Read(view, [&](const ReadView& v) -> Status {
    int64_t at;
    PONGO_TRY(FindExpiry(v, id, key, &at));
    *expires = at != 0;
    *microseconds = at == 0 ? 0 : at - v.now();
    return Status::Ok();
  });
}

Status Session::Edge(uint64_t view, uint64_t id, int step, EntryVisitor visit) {
  uint64_t position;
  return impl_->Read(view, [&](const ReadView& v) { return EdgeEntry(v, id, step, visit, &position); });
}

Status Session::Skip(uint64_t view, uint64_t id, uint64_t start, uint64_t limit, uint64_t count, int step, uint64_t* passed) {
  return impl_->Read(view, [&](const ReadView& v) { return SkipEntries(v, id, start, limit, count, step, passed); });
}

Status Session::At(uint64_t view, uint64_t id, uint64_t position, EntryVisitor visit) {
  return impl_->Read(view, [&](const ReadView& v) { return PageEntries(v, id, position, 1, 1, visit, kExpiredToo); });
}

}  // namespace pongo
