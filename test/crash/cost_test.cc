// What must not cost more in a larger file, counted in steps: a step is an access to a word that processes share.

#include <memory>
#include <vector>

#include "store_support.h"
#include "test/crash/crash_support.h"
#include "util/testing.h"

namespace pongo {
namespace {

using namespace pongo::test;

thread_local uint64_t steps = 0;

// Steps of filling `slabs` slabs of another class, in a file of about `size` bytes whose slabs are all half full.
uint64_t StepsOfNewSlabs(uint64_t size, uint64_t slabs) {
  const TestFile file(16 << 20);
  Worker worker(file.mapping());
  file.set_version(10);
  std::vector<Ref> refs;
  for (uint64_t i = 0; i < 2 * size / kSlabSize; i++) {
    Ref ref;
    if (!worker.allocator->Allocate(kSmallMax, 5, &ref).ok()) std::abort();
    refs.push_back(ref);
  }
  for (size_t i = 0; i < refs.size(); i += 2) worker.allocator->Discard(refs[i]);
  worker.allocator->Flush();
  steps = 0;
  testing::step_hook = [](const char*) { steps++; };
  for (uint64_t i = 0; i < slabs * BlocksPerSlab(ClassForSize(1024)); i++) {
    Ref ref;
    if (!worker.allocator->Allocate(1024, 5, &ref).ok()) std::abort();
  }
  testing::step_hook = nullptr;
  return steps;
}

// Whether the file should grow ahead is asked when a slab is claimed, and the answer takes a look at every slab.
TEST(NewSlabsCostTheSameInALargeFile) {
  SkipSyncs(true);
  const uint64_t small = StepsOfNewSlabs(16u << 20, 256);
  const uint64_t large = StepsOfNewSlabs(128u << 20, 256);
  std::printf("%llu steps, and %llu in a file eight times as large\n", static_cast<unsigned long long>(small), static_cast<unsigned long long>(large));
  CHECK(large < 2 * small);
}

}  // namespace
}  // namespace pongo
