// What a database looks like from the outside: allocator, pins, processes, proxies, stored names. Any thread that holds a slot or
// has the file open; beside readers and writers of all processes, so the figures are those of slightly different moments.
#ifndef PONGO_MODEL_REPORT_H_
#define PONGO_MODEL_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/transaction.h"
#include "store/mapping.h"
#include "util/status.h"

namespace pongo {

struct DatabaseReport {
  struct SizeClass {
    uint64_t size = 0;          // bytes of a block; 0: spans
    uint64_t slabs = 0;
    uint64_t live = 0, retired = 0, cached = 0, free = 0;  // blocks
    uint64_t live_bytes = 0;
  };
  struct Pin {
    uint64_t version = 0;
    const char* kind = "";
    uint64_t process = 0;       // 0: of the file
    uint64_t users = 1;
    uint64_t held_bytes = 0;    // of retired blocks that it protects, perhaps among others
    int64_t age_s = -1;         // seconds since it was taken; -1: not known, of the file
  };
  struct Process {
    uint64_t process = 0;
    uint64_t threads = 0;
    uint64_t pins = 0;
    uint64_t containers = 0;    // that its proxies show
    bool overflow = false;      // it shows more than can be listed
  };
  uint64_t version = 0;
  uint64_t slabs = 0;           // of the file, the first one included
  uint64_t slabs_free = 0;
  std::vector<SizeClass> classes;  // those in use
  std::vector<Pin> pins;           // in the order of their versions
  std::vector<Process> processes;
};

// O(file): each block's state is looked at.
void ReportDatabase(Mapping* mapping, DatabaseReport* report);
// The same as text for people.
std::string DescribeDatabase(Mapping* mapping, const std::string& path);

// The containers that the proxies of each process show, ascending. O(cells).
void ListProxies(Mapping* mapping, std::map<uint64_t, std::vector<uint64_t>>* by_process);
// The property names that are stored once, in order. The caller protects the version. O(shapes). CORRUPT.
Status ListNames(Mapping* mapping, const Base& base, std::vector<std::string>* names);

}  // namespace pongo

#endif  // PONGO_MODEL_REPORT_H_
