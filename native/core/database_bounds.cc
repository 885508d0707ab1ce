// The part of the facade that deals with bounded Collections.
#include <utility>

#include "database_impl.h"
#include "model/companion.h"

namespace pongo {

Status Session::CreateBounded(const CollectionBounds& bounds, uint64_t* id, uint32_t* cell) {
  if (bounds.max_items == 0 && bounds.max_bytes == 0) return Status(Code::kARG, "a bounded Collection needs maxItems or maxBytes");
  *cell = kNoCell;
  // Pinned before it is committed, as in Create.
  const Status status = impl_->Write(
      false,
      [&](Operations& o) -> Status {
        PONGO_TRY(o.CreateBounded(bounds, id));
        *cell = impl_->pidcache.Pin(*id);
        return Status::Ok();
      },
      [&] { impl_->pidcache.Unpin(std::exchange(*cell, kNoCell)); });
  if (!status.ok()) impl_->pidcache.Unpin(std::exchange(*cell, kNoCell));
  return status;
}

Status Session::GetBounds(uint64_t view, uint64_t id, bool* bounded, CollectionBounds* bounds) {
  return impl_->Read(view, [&](const ReadView& v) -> Status {
    bool present;
    ObjectEntry entry;
    PONGO_TRY(v.Lookup(id, &present, &entry));
    *bounded = present && entry.bounded();
    if (!*bounded) return Status::Ok();
    uint64_t companion;
    PONGO_TRY(FindCompanion(v, id, &companion));
    PONGO_TRY(v.Lookup(companion, &present, &entry));
    return present ? ReadCollectionBounds(v.mapping(), entry, bounds)
                   : Status(Code::kCORRUPT, "a Collection and its companion do not know each other");
  });
}

}  // namespace pongo
