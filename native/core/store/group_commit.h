// Durability shared by the committers of all processes: those that arrive while a checkpoint is under way are covered by the
// next one together, whoever of them makes it.
//
// One leads, who finds the checkpoint lock free. The others sleep on a futex word (checkpoint_signal) that is raised when the lock is
// given back; then each finds its version durable, or tries to lead. Why no wake-up is lost: a waiter loads the word, then finds the lock taken,
// then sleeps while the word has the value loaded; the holder gives the lock back, then raises the word. If the waiter found the lock
// taken, the word was raised after its load: the kernel does not let it sleep, or it sleeps already and is woken.
//
// Gathering. Without it four committers would go in turns of two: whoever is just told that its commit is durable has not made the next one
// yet when the next leader begins. So the leader waits until as many have asked as the last checkpoint covered or left waiting, at most half
// of the time that one took, and a millisecond. A committer alone never waits. It is only a guess: who stays away costs that time once.
//
// Death of the leader: the kernel gives the lock back, nobody raises the word. Sleepers look every 20 ms, and one of them leads. The counts
// are raised by whoever asks, and never lowered: the dead are missed once.
// Any thread. `slot` is used under `mutex` only.
#ifndef PONGO_STORE_GROUP_COMMIT_H_
#define PONGO_STORE_GROUP_COMMIT_H_

#include <cstdint>
#include <mutex>

#include "port/port.h"
#include "store/thread_slot.h"
#include "util/status.h"
#include "util/wait_hooks.h"

namespace pongo {

// Blocks until `version` is durable. IO as Checkpoint; CLOSED when `hooks.interrupted` ends the wait for another's checkpoint.
Status AwaitDurable(ThreadSlot* slot, std::mutex* mutex, const port::File& lock_file, uint64_t version, const WaitHooks& hooks = {});

}  // namespace pongo

#endif  // PONGO_STORE_GROUP_COMMIT_H_
