#include "test/crash/disk.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pongo::test {
namespace {

constexpr size_t kAllSubsetsMax = 12;

// Page `number` of bytes that may be shorter.
Bytes PageOf(const Bytes& bytes, uint64_t number) {
  Bytes page(kDiskPage);
  const uint64_t from = number * kDiskPage;
  if (from < bytes.size()) std::memcpy(page.data(), bytes.data() + from, std::min<uint64_t>(kDiskPage, bytes.size() - from));
  return page;
}

}  // namespace

Bytes ReadWholeFile(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) std::abort();
  std::fseek(file, 0, SEEK_END);
  Bytes bytes(static_cast<size_t>(std::ftell(file)));
  std::rewind(file);
  if (!bytes.empty() && std::fread(bytes.data(), bytes.size(), 1, file) != 1) std::abort();
  std::fclose(file);
  return bytes;
}

void WriteFile(const std::string& path, const Bytes& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || (!bytes.empty() && std::fwrite(bytes.data(), bytes.size(), 1, file) != 1)) std::abort();
  std::fclose(file);
}

Disk::Disk(const std::string& path) : path_(path) {
  durable_ = std::make_shared<const Bytes>(Read());
  seen_ = *durable_;
  WatchFile(path, this);
}

Bytes Disk::Read() const { return ReadWholeFile(path_); }

void Disk::Look() {
  Bytes now = Read();
  const uint64_t pages = (std::max(now.size(), seen_.size()) + kDiskPage - 1) / kDiskPage;
  for (uint64_t number = 0; number < pages; number++) {
    const uint64_t from = number * kDiskPage;
    const bool whole = from + kDiskPage <= now.size() && from + kDiskPage <= seen_.size();
    if (whole && std::memcmp(now.data() + from, seen_.data() + from, kDiskPage) == 0) continue;
    Bytes page = PageOf(now, number);
    if (!whole && page == PageOf(seen_, number)) continue;
    pages_[number].push_back(std::make_shared<const Bytes>(std::move(page)));
  }
  seen_ = std::move(now);
}

CrashState Disk::State(const std::string& moment) const { return CrashState{durable_, seen_.size(), pages_, moment}; }

void Disk::Moment(const char* moment) {
  if (inside_) return;
  inside_ = true;
  if (on_moment) on_moment(moment);
  inside_ = false;
}

void Disk::BeforeSync() {
  Look();
  syncing_ = seen_;
  Moment("before a sync returns");
}

void Disk::AfterSync(bool with_length) {
  // What was written while the sync was under way may be durable or not: it counts as written after it.
  Bytes synced = std::move(syncing_);
  seen_ = synced;
  pages_.clear();
  if (!with_length && synced.size() > durable_->size()) {
    for (uint64_t number = durable_->size() / kDiskPage; number * kDiskPage < synced.size(); number++)
      pages_[number].push_back(std::make_shared<const Bytes>(PageOf(synced, number)));
    synced.resize(durable_->size());
  }
  durable_ = std::make_shared<const Bytes>(std::move(synced));
  Look();
  Moment("after a sync");
}

void Disk::AfterWrite() {
  Look();
  Moment("after a write");
}

void Disk::AfterDurableWrite(uint64_t offset, uint64_t size) {
  // As in AfterSync: a page that somebody changed while it was under way has the newer content after it.
  const Bytes written = std::move(syncing_);
  Bytes durable = *durable_;
  durable.resize(std::max<uint64_t>(durable.size(), offset + size));
  for (uint64_t number = offset / kDiskPage; number * kDiskPage < offset + size; number++) {
    const uint64_t from = number * kDiskPage;
    const uint64_t end = std::min<uint64_t>({from + kDiskPage, durable.size(), written.size()});
    std::memcpy(durable.data() + from, written.data() + from, end - from);
    std::memcpy(seen_.data() + from, written.data() + from, end - from);
    pages_.erase(number);
  }
  durable_ = std::make_shared<const Bytes>(std::move(durable));
  Look();
  Moment("after a durable write");
}

Bytes MakeImage(const CrashState& state, const Choice& choice) {
  Bytes image = *state.durable;
  image.resize(state.length);
  for (const auto& [number, contents] : state.pages) {
    const auto chosen = choice.content.find(number);
    if (chosen == choice.content.end() || chosen->second == 0) continue;
    const Bytes& content = *contents[std::min(chosen->second, contents.size()) - 1];
    for (uint64_t sector = 0; sector < kDiskPage / kSector; sector++) {
      if (number == choice.torn_page && (choice.torn_mask >> sector & 1) == 0) continue;
      const uint64_t at = number * kDiskPage + sector * kSector;
      if (at < image.size()) std::memcpy(image.data() + at, content.data() + sector * kSector, kSector);
    }
  }
  const uint64_t garbage_end = choice.garbage_page == ~uint64_t{0} ? 0 : (choice.garbage_page + 1) * kDiskPage;
  for (uint64_t at = garbage_end == 0 ? 0 : garbage_end - kDiskPage + choice.garbage_from; at < garbage_end && at < image.size(); at++)
    image[at] = static_cast<uint8_t>(at * 2654435761u >> 7);
  if (choice.old_length) image.resize(state.durable->size());
  return image;
}

void EachImage(const CrashState& state, uint64_t budget, std::mt19937_64* random, const std::function<void(const Choice&)>& visit) {
  std::vector<uint64_t> numbers;
  std::vector<size_t> newest;
  for (const auto& [number, contents] : state.pages) {
    numbers.push_back(number);
    newest.push_back(contents.size());
  }
  const size_t count = numbers.size();
  uint64_t left = budget;
  const auto emit = [&](const Choice& choice) {
    if (left == 0) return;
    left--;
    visit(choice);
  };
  const auto all_but = [&](size_t without) {
    Choice choice;
    for (size_t i = 0; i < count; i++)
      if (i != without) choice.content[numbers[i]] = newest[i];
    return choice;
  };
  if (count <= kAllSubsetsMax && (uint64_t{1} << count) <= budget) {
    for (uint64_t mask = 0; mask < uint64_t{1} << count; mask++) {
      Choice choice;
      for (size_t i = 0; i < count; i++)
        if ((mask >> i & 1) != 0) choice.content[numbers[i]] = newest[i];
      emit(choice);
    }
  } else {
    emit(Choice{});
    emit(all_but(count));
    Choice superblocks;
    for (size_t i = 0; i < count && numbers[i] < 2; i++) superblocks.content[numbers[i]] = newest[i];
    emit(superblocks);
    std::vector<size_t> order(count);
    for (size_t i = 0; i < count; i++) order[i] = i;
    std::shuffle(order.begin(), order.end(), *random);
    // The superblock pages are the first to be left out, or alone.
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return (numbers[a] < 2) > (numbers[b] < 2); });
    for (size_t i = 0; i < count && i < budget / 4 + 1; i++) {
      emit(all_but(order[i]));
      Choice one;
      one.content[numbers[order[i]]] = newest[order[i]];
      emit(one);
    }
  }
  if (count == 0 && state.length == state.durable->size()) return;
  for (uint64_t i = 0; left > 0; i++) {
    Choice choice;
    const uint64_t density = 1 + (*random)() % 100;
    for (size_t p = 0; p < count; p++)
      if ((*random)() % 100 < density) choice.content[numbers[p]] = 1 + (*random)() % newest[p];
    if (count > 0 && i % 3 == 0) {
      const size_t torn = (*random)() % count;
      const size_t at = numbers[0] < 2 && i % 2 == 0 ? 0 : torn;
      choice.content[numbers[at]] = newest[at];
      choice.torn_page = numbers[at];
      choice.torn_mask = static_cast<uint8_t>((*random)());
    }
    if (count > 0 && numbers[0] < 2 && i % 3 == 1) {
      choice.garbage_page = numbers[0];
      choice.garbage_from = (*random)() % ((*random)() % 2 == 0 ? 100 : kDiskPage);
    }
    choice.old_length = state.length > state.durable->size() && i % 4 == 1;
    emit(choice);
  }
}

}  // namespace pongo::test
