// The reclamation rule: what a retired block's word remembers, and what announcements and pins protect.

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "store/horizon.h"
#include "store_support.h"

namespace pongo {
namespace {

using test::Random;
using test::RandomBelow;
using test::TestFile;
using test::Worker;

// A number of any magnitude below 2^bits.
uint64_t RandomUpTo(uint32_t bits) { return (Random()() >> (64 - bits)) >> RandomBelow(bits); }

TEST(DistancesAreRoundedUpToSixteenBits) {
  for (uint64_t d = 0; d < 0x20000; d++) {
    const uint64_t unpacked = UnpackDistance(PackDistance(d));
    if (d <= 0xffff) CHECK_EQ(unpacked, d);
    CHECK(unpacked >= d && unpacked <= d + 1);
  }
  for (int i = 0; i < 200'000; i++) {
    const uint64_t d = RandomUpTo(46);
    const uint64_t packed = PackDistance(d);
    CHECK(packed < (1u << 21));
    CHECK(UnpackDistance(packed) >= d);
    CHECK(UnpackDistance(packed) - d <= d >> 15);
    CHECK(UnpackDistance(PackDistance(d + 1)) >= UnpackDistance(packed));
  }
  // Where the mantissa overflows.
  for (uint32_t bits = 16; bits < 46; bits++)
    for (uint64_t d = (uint64_t{1} << bits) - 3; d <= (uint64_t{1} << bits) + 3; d++) {
      CHECK(UnpackDistance(PackDistance(d)) >= d);
      CHECK(UnpackDistance(PackDistance(d)) <= d + (d >> 15) + 1);
    }
}

TEST(RetiredStatesKeepTheirVersions) {
  for (int i = 0; i < 200'000; i++) {
    const uint64_t birth = RandomUpTo(55);
    const uint64_t retire = birth + RandomUpTo(40);
    const uint64_t state = RetiredState(birth, retire);
    CHECK_EQ(BlockUseOf(state), BlockUse::kRetired);
    // V has gone on, or lags behind a commit that has just retired.
    const uint64_t later = retire + RandomUpTo(39);
    const uint64_t earlier = retire - std::min(retire, RandomBelow(5000));
    CHECK_EQ(RetireVersion(state, later), retire);
    CHECK_EQ(RetireVersion(state, earlier), retire);
    const uint64_t stored = RetiredBirth(state, retire);
    CHECK(stored <= birth);
    CHECK(birth - stored <= (retire - birth) >> 15);
    if (retire - birth <= 0xffff) CHECK_EQ(stored, birth);
  }
}

TEST(OtherStatesKeepTheirParts) {
  CHECK_EQ(BlockUseOf(0), BlockUse::kFree);
  for (int i = 0; i < 10'000; i++) {
    const auto slot = static_cast<uint32_t>(RandomBelow(kSlotMax));
    CHECK_EQ(BlockUseOf(CachedState(slot)), BlockUse::kCached);
    CHECK_EQ(CachedSlot(CachedState(slot)), slot);
    const uint64_t birth = RandomUpTo(61);
    CHECK_EQ(BlockUseOf(LiveState(birth)), BlockUse::kLive);
    CHECK_EQ(LiveBirth(LiveState(birth)), birth);
  }
}

bool Reusable(const TestFile& file, uint64_t birth, uint64_t retire) {
  Horizon horizon;
  horizon.Scan(*file.mapping());
  return horizon.Reusable(RetiredState(birth, retire));
}

TEST(AnnouncementsAndPinsProtect) {
  const TestFile file;
  file.set_version(1000);
  Worker a(file.mapping());
  Worker b(file.mapping());
  CHECK(Reusable(file, 900, 1000));
  CHECK(!Reusable(file, 900, 1001));  // V lags behind the commit that retired it
  CHECK(!Reusable(file, 1, 1000));    // version 1 is durable
  CHECK(Reusable(file, 2, 1000));

  CHECK_EQ(a.slot->Announce(), file.header()->root.load());
  CHECK_EQ(a.slot->announced(), 1000u);
  file.set_version(1010);
  CHECK(Reusable(file, 900, 1000));
  CHECK(!Reusable(file, 900, 1001));
  b.slot->AnnounceVersion(950);
  CHECK(!Reusable(file, 900, 1000));
  CHECK(Reusable(file, 900, 950));
  CHECK(!Reusable(file, 951, 952));  // an announcement is only a lower bound: everything later stays
  b.slot->Clear();
  CHECK(Reusable(file, 900, 1000));
  a.slot->Clear();
  CHECK(Reusable(file, 900, 1010));

  // A pin protects one version only.
  const uint32_t cell = test::Pin(b.slot.get(), 950, PinKind::kSnapshot);
  CHECK(!Reusable(file, 950, 951));
  CHECK(!Reusable(file, 900, 1000));
  CHECK(Reusable(file, 900, 950));
  CHECK(Reusable(file, 951, 1000));
  CHECK(!Reusable(file, 900, 1011));
  b.slot->Unpin(cell);
  CHECK(Reusable(file, 900, 1000));

  file.header()->checkpoint_pin.store(980);
  CHECK(!Reusable(file, 980, 981));
  CHECK(Reusable(file, 981, 982));
  file.header()->durable_pin.store(980);
  file.header()->checkpoint_pin.store(0);
  CHECK(!Reusable(file, 980, 981));
  CHECK(Reusable(file, 1, 980));  // the older durable version has let go
  file.header()->durable_pin.store(1);
}

TEST(OnlyWritersHoldBackTheSweep) {
  const TestFile file;
  file.set_version(1000);
  Worker a(file.mapping());
  Worker b(file.mapping());
  Horizon horizon;
  const auto writers = [&] {
    horizon.Scan(*file.mapping());
    return horizon.writers();
  };
  CHECK_EQ(writers(), 1000u);
  const uint32_t snapshot = test::Pin(a.slot.get(), 500, PinKind::kSnapshot);
  CHECK_EQ(writers(), 1000u);
  const uint32_t transaction = test::Pin(b.slot.get(), 700, PinKind::kTransaction);
  CHECK_EQ(writers(), 700u);
  CHECK_EQ(horizon.safe(), 1000u);
  a.slot->AnnounceVersion(600);
  CHECK_EQ(writers(), 600u);
  CHECK_EQ(horizon.safe(), 600u);
  a.slot->Clear();
  b.slot->Unpin(transaction);
  CHECK_EQ(writers(), 1000u);
  a.slot->Unpin(snapshot);
}

// Several slots, many pins: the scan against the rule written out.
TEST(TheRuleMatchesItsDefinition) {
  const TestFile file;
  file.set_version(200);
  file.header()->durable_pin.store(20);
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < 6; i++) workers.push_back(std::make_unique<Worker>(file.mapping()));
  struct Held {
    size_t worker;
    uint32_t cell;
    uint64_t version;
  };
  std::vector<Held> held;
  std::vector<uint64_t> announced(workers.size());
  for (int step = 0; step < 3000; step++) {
    const size_t at = RandomBelow(workers.size());
    ThreadSlot* slot = workers[at]->slot.get();
    switch (RandomBelow(5)) {
      case 0:
        announced[at] = 1 + RandomBelow(200);
        slot->AnnounceVersion(announced[at]);
        break;
      case 1:
        announced[at] = 0;
        slot->Clear();
        break;
      case 2: {
        if (held.size() >= 12) break;
        const uint64_t version = 1 + RandomBelow(200);
        held.push_back({at, test::Pin(slot, version, RandomBelow(2) == 0 ? PinKind::kSnapshot : PinKind::kTransaction), version});
        break;
      }
      case 3:
        if (held.empty()) break;
        std::swap(held[RandomBelow(held.size())], held.back());
        workers[held.back().worker]->slot->Unpin(held.back().cell);
        held.pop_back();
        break;
      default:
        file.header()->checkpoint_pin.store(RandomBelow(2) * RandomBelow(200));
        break;
    }
    uint64_t safe = 200;
    for (const uint64_t version : announced)
      if (version != 0) safe = std::min(safe, version);
    std::set<uint64_t> pins = {20};
    for (const Held& h : held) pins.insert(h.version);
    if (const uint64_t checkpoint = file.header()->checkpoint_pin.load(); checkpoint != 0) pins.insert(checkpoint);
    Horizon horizon;
    horizon.Scan(*file.mapping());
    CHECK_EQ(horizon.now(), 200u);
    CHECK_EQ(horizon.safe(), safe);
    CHECK(std::vector<uint64_t>(pins.begin(), pins.end()) == horizon.pins());
    for (int i = 0; i < 20; i++) {
      const uint64_t birth = RandomBelow(205);
      const uint64_t retire = birth + RandomBelow(210 - birth);
      const auto pin = pins.lower_bound(birth);
      const bool expected = retire <= safe && (pin == pins.end() || *pin >= retire);
      CHECK_EQ(horizon.Reusable(RetiredState(birth, retire)), expected);
    }
  }
}

// What one thread moves between announcement and pin, another never misses: it is scanned in one place at least.
TEST(AVersionInUseIsSeenWhileItMoves) {
  const TestFile file;
  file.set_version(10);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> scans{0};
  // What the reader holds at present, with a count that tells one holding from the next.
  std::atomic<uint64_t> held{0};
  constexpr uint64_t kNumber = uint64_t{1} << 32;
  Worker reader(file.mapping());

  std::thread mover([&] {
    ThreadSlot* slot = reader.slot.get();
    uint64_t number = 0;
    // Until the scanner has seen enough, so that a slow machine does not test nothing.
    for (int i = 0; i < 20'000 || (scans.load() < 300 && i < 50'000'000); i++) {
      slot->Announce();
      const uint64_t version = file.version();  // at least what is announced
      held.store(++number * kNumber + version);
      const uint32_t cell = test::Pin(slot, version, PinKind::kTransaction);
      slot->Clear();
      // Back from the pin to an announcement, as a commit does.
      slot->AnnounceVersion(version);
      slot->Unpin(cell);
      const uint32_t other = test::Pin(slot, version, PinKind::kSnapshot);
      slot->Clear();
      held.store(0);
      slot->Unpin(other);
    }
    stop.store(true);
  });
  std::thread writer([&] {
    while (!stop.load()) {
      file.header()->version.fetch_add(1);
      std::this_thread::yield();
    }
  });
  uint64_t missed = 0;
  Horizon horizon;
  while (!stop.load()) {
    const uint64_t before = held.load();
    horizon.Scan(*file.mapping());
    if (before == 0 || held.load() != before) continue;
    scans.fetch_add(1);
    const uint64_t version = before % kNumber;
    // The commit that retired it has raised V.
    if (horizon.now() > version && horizon.Reusable(RetiredState(version, version + 1))) missed++;
    if (horizon.Reusable(RetiredState(2, version + 1))) missed++;
  }
  mover.join();
  writer.join();
  CHECK_EQ(missed, 0u);
  CHECK(scans.load() > 0);
}

// The same for the two pins of checkpoints.
TEST(ACheckpointIsSeenWhileItBecomesDurable) {
  const TestFile file;
  file.set_version(1'000'000);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> held{0};  // the newest version that one of the two cells names throughout
  std::atomic<uint64_t> scans{0};
  std::thread mover([&] {
    ControlHeader* header = file.header();
    for (uint64_t version = 2; version < 100'000 || (scans.load() < 300 && version < 900'000); version++) {
      header->checkpoint_pin.store(version);
      held.store(version);
      header->durable_pin.store(version);
      header->checkpoint_pin.store(0);
      for (uint64_t pause = version % 64; pause > 0; pause--) port::Relax();
    }
    stop.store(true);
  });
  uint64_t missed = 0;
  Horizon horizon;
  while (!stop.load()) {
    const uint64_t before = held.load();
    horizon.Scan(*file.mapping());
    if (before == 0) continue;
    scans.fetch_add(1);
    // It may have been replaced by a newer one meanwhile, never by none.
    if (horizon.pins().empty() || horizon.pins().back() < before) missed++;
  }
  mover.join();
  CHECK_EQ(missed, 0u);
  CHECK(scans.load() > 0);
  file.header()->durable_pin.store(1);
}

}  // namespace
}  // namespace pongo
