// A valid file with content of every kind, damaged in a few places, and used as a program would: for bytes_test, and for libFuzzer.
#ifndef PONGO_TEST_FUZZ_MUTATED_FILE_H_
#define PONGO_TEST_FUZZ_MUTATED_FILE_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "support.h"
#include "test/crash/disk.h"
#include "util/function_ref.h"

namespace pongo::test {

struct Area {
  uint64_t offset;
  uint64_t size;
};

// A file to begin with, its control file after a clean close, and where its blocks are.
struct Original {
  Bytes bytes;
  Bytes control;
  Bytes segments;
  std::vector<Area> places;
};

// Numbers that decide what is damaged, and how: random ones, or those of a fuzzer's input.
using Choices = FunctionRef<uint64_t()>;

std::string MutatedPath(const Folder& folder);
Original MakeOriginal(const Folder& folder, std::mt19937_64* random);
Bytes Mutate(const Original& original, Choices next);
// A damaged file that is recovered, and so looked at as a whole; or one whose control file is believed, so that the damage is met
// by whoever reads or writes there.
void PlaceFile(const Folder& folder, const Original& original, const Bytes& mutated, bool believed);
// Everything a program may do with it. What comes back is a status: which one does not matter here. Whether it could be opened.
bool UseFile(const std::string& path, uint64_t seed);
// One input of a fuzzer: a few bytes of choices.
void UseInput(const Folder& folder, const Original& original, const uint8_t* data, size_t size);

}  // namespace pongo::test

#endif  // PONGO_TEST_FUZZ_MUTATED_FILE_H_
