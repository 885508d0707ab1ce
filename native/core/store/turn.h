// Fairness between committers: an advisory FIFO.
//
// Commits are optimistic: a long transaction can lose against short ones for ever. After a few lost attempts,
// and a pause after each of a few more, a committer draws a ticket; the ticket being served is the only one that the others make
// room for, by waiting a little before they start. Never needed for correctness: whoever does not wait only makes a conflict more likely.
//
// A turn is limited, so that a stopped holder is passed over by whoever waits. Whoever needed longer draws another
// ticket, and has twice the time then: a transaction that takes a second ends after a few turns, however many others there are.
// The ticket of a dead thread ends when its slot is adopted, which those who wait see to within milliseconds: otherwise each
// that was killed while it waited would cost all others the whole limit.
#ifndef PONGO_STORE_TURN_H_
#define PONGO_STORE_TURN_H_

#include <algorithm>
#include <cstdint>

#include "port/port.h"
#include "store/mapping.h"
#include "store/thread_slot.h"
#include "util/wait_hooks.h"

namespace pongo {

// A ticket is over, whether its turn has come or not: said by its owner, or by whoever adopts the slot. 0: nothing to end.
void EndTicket(ControlHeader* header, uint64_t ticket);

class Turn {
 public:
  static constexpr uint32_t kPatience = 6;      // of single operations
  static constexpr uint32_t kLongPatience = 3;  // of explicit transactions

  Turn(Mapping* mapping, const ThreadSlot* slot) : mapping_(mapping), slot_(slot) {}

  // The attempts of one operation or transaction. Gives its ticket back when it ends.
  class Attempts {
   public:
    // Draws a ticket after so many lost attempts: an operation that takes long should not have to lose often.
    explicit Attempts(Turn* turn, uint32_t patience = kPatience) : turn_(turn), patience_(patience) {}
    ~Attempts() {
      if (ticket_ != 0) turn_->Leave(ticket_);
    }
    // The ticket is somebody else's after fork().
    void Forget() { ticket_ = 0; }
    Attempts(const Attempts&) = delete;
    Attempts& operator=(const Attempts&) = delete;

   private:
    friend class Turn;
    Turn* turn_;
    uint64_t ticket_ = 0;
    uint32_t patience_;
    uint32_t lost_ = 0;
    uint32_t limit_ms_ = kTurnLimitMs;  // doubled whenever it was too short
    bool served_ = false;
  };

  // Before an attempt: makes room for whoever's turn it is, or waits for the own ticket.
  void Yield(Attempts* attempts) {
    // turn: the ticket being served, turn_next: the last ticket drawn. Above it: nobody waits.
    const ControlHeader* header = mapping_->header();
    if (attempts->ticket_ == 0 && header->turn.load(std::memory_order_relaxed) > header->turn_next.load(std::memory_order_relaxed)) return;
    if (!MayStart(attempts)) Wait(attempts);
  }

  // After a lost attempt.
  void Lost(Attempts* attempts);
  // Draws a ticket before the first attempt, for one that cannot be repeated.
  void Draw(Attempts* attempts);

  // `hooks` must outlive the turn.
  void set_wait_hooks(const WaitHooks* hooks) { hooks_ = hooks; }

 private:
  static constexpr uint32_t kTurnLimitMs = 100;          // for a first turn
  static constexpr uint32_t kTurnLimitMsMax = 60'000;

  bool MayStart(Attempts* attempts);
  void Wait(Attempts* attempts);
  uint64_t LimitNs(uint64_t serving) const;
  void Leave(uint64_t ticket);
  void BuryHolder(uint64_t serving);

  static constexpr WaitHooks kNoHooks{};

  Mapping* mapping_;
  const ThreadSlot* slot_;
  const WaitHooks* hooks_ = &kNoHooks;
};

}  // namespace pongo

#endif  // PONGO_STORE_TURN_H_
