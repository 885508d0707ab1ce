// The order of entries, against std::stable_sort.

#include <algorithm>
#include <string>
#include <vector>

#include "harness.h"
#include "tree/item_sort.h"

namespace pongo {
namespace {

using test::RandomBelow;

// Keys that begin alike, in which few characters differ, so that many are equal or equal in the bytes that are compared first.
std::string RandomKey(const std::string& shared, uint64_t longest, uint64_t alphabet) {
  std::string key = shared;
  for (uint64_t n = RandomBelow(longest + 1); n > 0; n--) key.push_back(static_cast<char>(RandomBelow(alphabet) == 0 ? 0 : RandomBelow(alphabet)));
  return key;
}

void CheckSort(const std::vector<std::string>& keys) {
  std::vector<LeafItem> items(keys.size());
  for (size_t i = 0; i < keys.size(); i++) {
    items[i].key.suffix = reinterpret_cast<const uint8_t*>(keys[i].data());
    items[i].key.suffix_size = static_cast<uint32_t>(keys[i].size());
    items[i].payload.word = i;
  }
  std::vector<size_t> order(keys.size());
  for (size_t i = 0; i < order.size(); i++) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  bool twice = false;
  for (size_t i = 1; i < order.size(); i++) twice = twice || keys[order[i]] == keys[order[i - 1]];
  ItemSort sort;
  CHECK_EQ(sort.Sort(items.data(), items.size()), twice);
  for (size_t i = 0; i < order.size(); i++) {
    CHECK_EQ(items[i].payload.word, order[i]);
    CHECK(items[i].key.suffix == reinterpret_cast<const uint8_t*>(keys[order[i]].data()));
  }
}

TEST(SortedAsStably) {
  for (int round = 0; round < 400; round++) {
    const std::string shared(RandomBelow(3) * 9, 's');
    const uint64_t longest = 1 + RandomBelow(20);
    const uint64_t alphabet = 2 + RandomBelow(2) * 200;
    std::vector<std::string> keys(round < 10 ? static_cast<size_t>(round) : RandomBelow(1000));
    for (std::string& key : keys) key = RandomKey(shared, longest, alphabet);
    CheckSort(keys);
  }
}

TEST(SortedInEveryByte) {
  for (uint32_t place = 0; place < 20; place++) {
    std::vector<std::string> keys;
    for (uint32_t byte = 0; byte < 600; byte++) {
      std::string key(20, 'k');
      key[place] = static_cast<char>(byte * 77);
      keys.push_back(key);
    }
    CheckSort(keys);
  }
}

}  // namespace
}  // namespace pongo
