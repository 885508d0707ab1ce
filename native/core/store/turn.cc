#include "store/turn.h"

namespace pongo {
namespace {

constexpr uint32_t kSpins = 64;
constexpr uint32_t kYields = 1000;
constexpr auto kRelaxed = std::memory_order_relaxed;  // advisory throughout: no data depends on it
constexpr uint64_t kLookNs = 100'000'000;

}  // namespace

// Ends the turn of `ticket`, if it is being served.
void Turn::Pass(uint64_t ticket) {
  ControlHeader* header = mapping_->header();
  if (header->turn.compare_exchange_strong(ticket, ticket + 1, kRelaxed)) header->turn_since.store(port::Nanoseconds(), kRelaxed);
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
    header->turn_slot.store(slot_->index() + 1, kRelaxed);
    header->turn_grant.store((serving << 32) | attempts->limit_ms_, kRelaxed);
    header->turn_since.store(port::Nanoseconds(), kRelaxed);
  }
  return true;
}

void Turn::Wait(Attempts* attempts) {
  const WaitScope waiting(*hooks_);
  ControlHeader* header = mapping_->header();
  uint32_t spins = 0;
  const uint64_t start = port::Nanoseconds();
  uint64_t looked = start;
  while (!MayStart(attempts)) {
    const uint64_t serving = header->turn.load(kRelaxed);
    const uint64_t since = std::max(start, header->turn_since.load(kRelaxed));
    const uint64_t now = port::Nanoseconds();
    if (now > since + LimitNs(serving)) {
      Pass(serving);
      continue;
    }
    // A long turn is worth a look whether its holder lives: nobody else may look for an hour.
    if (now > looked + kLookNs) {
      looked = now;
      const uint32_t holder = header->turn_slot.load(kRelaxed);
      if (holder != 0 && holder != slot_->index() + 1) ReapIfDead(mapping_, slot_->lock_file(), holder - 1);
      continue;
    }
    // Most turns are over within microseconds, and a sleep takes some sixty whatever it asks for: where all wait in turn, each
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
  if (attempts->ticket_ == 0) attempts->ticket_ = mapping_->header()->turn_next.fetch_add(1, kRelaxed) + 1;
}

void Turn::Leave(uint64_t ticket) {
  // Our turn is over; if it had not come yet, whoever waits passes us over in due time.
  ControlHeader* header = mapping_->header();
  if (header->turn.load(kRelaxed) == ticket) Pass(ticket);
}

}  // namespace pongo
