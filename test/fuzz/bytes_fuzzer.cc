// The byte fuzzer under libFuzzer, which sees what code an input has reached: `node scripts/fuzz.mjs --libfuzzer`, where clang is. Its
// inputs are choices of what to damage in one file, always the same; those that it keeps are replayed by bytes_test KeptInputs.
#include <memory>

#include "test/crash/system.h"
#include "test/fuzz/mutated_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pongo::test;
  static const Folder folder;
  static const Original original = [] {
    SkipSyncs(true);
    std::mt19937_64 random(1);
    return MakeOriginal(folder, &random);
  }();
  UseInput(folder, original, data, size);
  return 0;
}
