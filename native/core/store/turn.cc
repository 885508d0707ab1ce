#include "store/turn.h"

namespace pongo {
namespace {

constexpr uint32_t kSpins = 64;
constexpr uint32_t kYields = 1000;
constexpr auto kRelaxed = std::memory_order_relaxed;  // advisory throughout: no data depends on it
constexpr uint64_t kFirstLookNs = 1'000'000;
constexpr uint64_t kLastLookNs = 100'000'000;

// Ends the turn of `ticket`, if it is being served.
void Pass(ControlHeader* header, uint64_t ticket) {
  if (header->turn.compare_exchange_strong(ticket, ticket + 1, kRelaxed)) header->turn_since.store(port::Nanoseconds(), kRelaxed);
}

}  // namespace

void EndTicket(ControlHeader* header, uint64_t ticket) {
  if (ticket == 0) return;
  // Said before it is looked whether the ticket is being served: it may come to be meanwhile, and whoever waits will see it then.
  header->turns_ended[ticket % kTurnsEnded].store(ticket, std::memory_order_seq_cst);
  if (header->turn.load(std::memory_order_seq_cst) == ticket) Pass(header, ticket);
}

// How long the ticket being served may take: what its owner has said, if it was this one.
uint64_t Turn::LimitNs(uint64_t serving) const {
  const uint64_t grant = mapping_->header()->turn_grant.load(kRelaxed);
  const uint64_t said = (grant >> 32) == (serving & 0xffffffffu) ? grant & 0xffffffffu : 0;
  return std::max<uint64_t>(said, kTurnLimitMs) * 1'000'000;
}

// Whether nobody else's turn is in the way. Takes the own turn up when it has come, and draws again when it was too short.
bool Turn::MayStart(Attempts* attempts) {
  ControlHeader* header = mapping_->header();
  const uint64_t serving = header->turn.load(kRelaxed);
  if (attempts->ticket_ != 0 && serving > attempts->ticket_) {
    attempts->limit_ms_ = std::min(attempts->limit_ms_ * 2, kTurnLimitMsMax);
    attempts->ticket_ = 0;
    attempts->served_ = false;
    Draw(attempts);
  }
  if (serving != attempts->ticket_) return serving > header->turn_next.load(kRelaxed);
  if (!attempts->served_) {
    attempts->served_ = true;
    header->turn_grant.store((serving << 32) | attempts->limit_ms_, kRelaxed);
    header->turn_since.store(port::Nanoseconds(), kRelaxed);
  }
  return true;
}

void Turn::Leave(uint64_t ticket) {
  EndTicket(mapping_->header(), ticket);
  uint64_t recorded = ticket;
  slot_->line()->ticket.compare_exchange_strong(recorded, 0, kRelaxed);
}

// Adopts the slot of the thread that has this ticket if it is dead, and so ends its turn.
void Turn::BuryHolder(uint64_t serving) {
  const uint32_t count = mapping_->header()->slot_count.load(std::memory_order_acquire);
  for (uint32_t slot = 0; slot < count; slot++) {
    if (mapping_->slot_line(slot)->ticket.load(kRelaxed) != serving || slot == slot_->index()) continue;
    ReapIfDead(mapping_, slot_->lock_file(), slot);
    return;
  }
}

void Turn::Wait(Attempts* attempts) {
  const WaitScope waiting(*hooks_);
  ControlHeader* header = mapping_->header();
  uint32_t spins = 0;
  const uint64_t start = port::Nanoseconds();
  uint64_t looked = start;
  uint64_t look_ns = kFirstLookNs;
  while (!MayStart(attempts)) {
    const uint64_t serving = header->turn.load(kRelaxed);
    if (header->turns_ended[serving % kTurnsEnded].load(kRelaxed) == serving) {
      Pass(header, serving);
      continue;
    }
    const uint64_t since = std::max(start, header->turn_since.load(kRelaxed));
    const uint64_t now = port::Nanoseconds();
    if (now > since + LimitNs(serving)) {
      Pass(header, serving);
      continue;
    }
    // Most turns are over within microseconds. A longer one is worth a look whether its holder lives, which costs a call of the
    // system: then after twice the time again.
    if (now > looked + look_ns) {
      looked = now;
      look_ns = std::min(2 * look_ns, kLastLookNs);
      BuryHolder(serving);
      continue;
    }
    // A sleep takes some sixty whatever it asks for: where all wait in turn, each
    // operation would take as long. Giving the processor away lets the holder run if it is waiting for one.
    if (++spins < kSpins)
      port::Relax();
    else if (spins < kSpins + kYields)
      port::YieldProcessor();
    else
      port::SleepNanoseconds(std::min<uint64_t>(uint64_t{1000} * (spins - kYields) / kSpins, 100'000));
  }
}

void Turn::Lost(Attempts* attempts) {
  attempts->lost_++;
  if (2 * attempts->lost_ < attempts->patience_ || attempts->ticket_ != 0) return;
  // A short pause first: most conflicts are over then.
  if (attempts->lost_ < attempts->patience_) {
    for (uint32_t i = 0; i < 32u << attempts->lost_; i++) port::Relax();
    return;
  }
  Draw(attempts);
}

void Turn::Draw(Attempts* attempts) {
  if (attempts->ticket_ != 0) return;
  attempts->ticket_ = mapping_->header()->turn_next.fetch_add(1, kRelaxed) + 1;
  slot_->line()->ticket.store(attempts->ticket_, kRelaxed);  // killed before this, it is passed over when its time is up
}

}  // namespace pongo
