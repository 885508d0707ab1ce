// Point gets of the engine alone, without a binding: for bench/dereference_checks.mjs.
//
//   point_get <file> <keys> <gets>
//
// Makes the file if it is not there: so many keys `user:N` with strings of 40 bytes. Prints the nanoseconds of one get, in random
// order.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "database.h"
#include "format/key_codec.h"

namespace {

using namespace pongo;

Status Fill(Session* session, uint64_t keys) {
  PONGO_TRY(session->Begin());
  for (uint64_t i = 0; i < keys; i++) {
    const std::string name = "user:" + std::to_string(i);
    const std::string text = std::to_string(i) + std::string(40 - std::to_string(i).size(), 'v');
    KeyBuffer key;
    PONGO_TRY(key.AddString(reinterpret_cast<const uint8_t*>(name.data()), name.size()));
    Input input;
    input.view.type = ValueView::Type::kString;
    input.view.data = reinterpret_cast<const uint8_t*>(text.data());
    input.view.size = text.size();
    PONGO_TRY(session->Set(kRootId, key.key(), input, 0));
  }
  bool committed;
  return session->Commit(&committed);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const uint64_t keys = std::strtoull(argv[2], nullptr, 10);
  const uint64_t gets = std::strtoull(argv[3], nullptr, 10);
  std::string detail;
  auto session = Session::Open(argv[1], OpenOptions(), &detail);
  if (!session.ok()) {
    std::fprintf(stderr, "%s\n", detail.c_str());
    return 1;
  }
  uint64_t size = 0;
  if (!session.value()->Size(0, kRootId, &size).ok()) return 1;
  if (size == 0 && !Fill(session.value().get(), keys).ok()) return 1;
  std::mt19937_64 random(1);
  std::vector<std::string> names;
  for (uint64_t i = 0; i < (1u << 16); i++) names.push_back("user:" + std::to_string(random() % keys));
  uint64_t found = 0;
  const auto run = [&](uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
      const std::string& name = names[i % names.size()];
      KeyBuffer key;
      if (!key.AddString(reinterpret_cast<const uint8_t*>(name.data()), name.size()).ok()) std::abort();
      if (!session.value()->Get(0, kRootId, key.key(), [&](const ValueView& v) { found += v.size; }).ok()) std::abort();
    }
  };
  run(gets / 4);  // warms the caches
  found = 0;
  const auto began = std::chrono::steady_clock::now();
  run(gets);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
  if (found != gets * 40) return 1;
  std::printf("%.2f\n", took.count() / static_cast<double>(gets));
}
