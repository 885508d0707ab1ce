// What a binding needs whose handles are used by several threads: sessions for them, hooks around waits, and transactions
// that cannot be run again.
#include <utility>

#include "database_impl.h"

namespace pongo {

Result<std::unique_ptr<Session>> Session::Another() {
  PONGO_TRY(impl_->Check());
  auto impl = std::make_unique<SessionImpl>(impl_->SharedFile());
  PONGO_TRY(impl->slot.Claim());
  impl->durability = impl_->durability;
  std::memcpy(impl->uuid, impl_->uuid, sizeof impl->uuid);
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

void Session::SetWaitHooks(const WaitHooks& hooks) {
  impl_->wait_hooks = hooks;
  impl_->turn.set_wait_hooks(&impl_->wait_hooks);
}

Status Session::BeginFirst() {
  SessionImpl& s = *impl_;
  PONGO_TRY(s.Check());
  if (s.transaction.active()) return Status(Code::kARG, "a transaction is already open in this handle");
  s.explicit_attempts = std::make_unique<Turn::Attempts>(&s.turn);
  s.turn.Draw(s.explicit_attempts.get());
  s.turn.Yield(s.explicit_attempts.get());
  const Status status = s.transaction.Start(true);
  if (!status.ok()) s.explicit_attempts.reset();
  return status;
}

}  // namespace pongo
