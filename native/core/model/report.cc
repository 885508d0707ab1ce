#include "model/report.h"

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <set>

#include "format/value.h"
#include "model/each_block.h"
#include "model/maintenance.h"
#include "model/value_view.h"
#include "store/horizon.h"
#include "store/pidcache.h"
#include "tree/node_search.h"
#include "tree/tree.h"

namespace pongo {
namespace {

constexpr auto kOrder = std::memory_order_seq_cst;
constexpr size_t kPinsMeasured = 64;  // of these the bytes are counted

const char* NameOf(uint32_t kind) {
  switch (static_cast<PinKind>(kind)) {
    case PinKind::kSnapshot:
      return "snapshot";
    case PinKind::kTransaction:
      return "transaction";
    default:
      return "maintenance";
  }
}

void ListPins(Mapping* mapping, DatabaseReport* report) {
  ControlHeader* header = mapping->header();
  const uint64_t now = port::Nanoseconds() / 1'000'000'000;
  for (uint32_t slot = 0; slot < header->slot_count.load(kOrder); slot++) {
    const SlotLine* line = mapping->slot_line(slot);
    const uint32_t cells = std::min(line->pin_count.load(kOrder), kPinCells);
    for (uint32_t i = 0; i < cells; i++) {
      const PinCell& cell = mapping->slot_area(slot)->pins[i];
      const uint64_t version = cell.version.load(kOrder);
      if (version == 0) continue;
      report->pins.push_back({version, NameOf(cell.kind.load(std::memory_order_relaxed)), line->process.load(std::memory_order_relaxed),
                              cell.count.load(std::memory_order_relaxed), 0,
                              static_cast<int64_t>(now) - mapping->slot_area(slot)->pin_since[i].load(std::memory_order_relaxed)});
    }
  }
  const auto add = [&](uint64_t version, const char* kind) {
    if (version != 0) report->pins.push_back({version, kind, 0, 1, 0, -1});
  };
  add(header->gc_pin.load(kOrder), "collection");
  add(header->checkpoint_pin.load(kOrder), "checkpoint");
  add(header->durable_pin.load(kOrder), "durable");
  Horizon horizon;
  horizon.Scan(*mapping);
  for (const auto& held : horizon.held()) add(held.first, "older checkpoint");
  std::sort(report->pins.begin(), report->pins.end(), [](const auto& a, const auto& b) { return a.version < b.version; });
}

void ListProcesses(Mapping* mapping, DatabaseReport* report) {
  std::map<uint64_t, DatabaseReport::Process> processes;
  const uint32_t slots = mapping->header()->slot_count.load(kOrder);
  for (uint32_t slot = 0; slot < slots; slot++) {
    const SlotLine* line = mapping->slot_line(slot);
    if (line->used.load(std::memory_order_acquire) == 0) continue;
    DatabaseReport::Process& row = processes[line->process.load(std::memory_order_relaxed)];
    row.threads++;
    row.overflow = row.overflow || line->cells_full.load(kOrder) != 0;
  }
  for (const auto& pin : report->pins)
    if (const auto found = processes.find(pin.process); found != processes.end()) found->second.pins++;
  std::map<uint64_t, std::vector<uint64_t>> proxies;
  ListProxies(mapping, &proxies);
  for (auto& [process, row] : processes) {
    row.process = process;
    row.containers = proxies[process].size();
    report->processes.push_back(row);
  }
}

void CountBlocks(Mapping* mapping, DatabaseReport* report) {
  std::vector<DatabaseReport::SizeClass> rows(kClassCount + 1);
  for (uint32_t c = 0; c < kClassCount; c++) rows[c].size = kClassSizes[c];
  const uint64_t now = mapping->header()->version.load(kOrder);
  uint64_t last_slab = 0;
  EachBlock(mapping, [&](Ref ref, Atomic64* word, uint64_t size) {
    DatabaseReport::SizeClass& row = rows[std::min(RefClass(ref), kClassCount)];
    const uint64_t slab = RefGranule(ref) / kGranulesPerSlab;
    if (slab != last_slab) row.slabs += RefClass(ref) == kSpanClass ? size / kSlabSize : 1;
    last_slab = slab;
    const uint64_t state = word->load(std::memory_order_relaxed);
    switch (BlockUseOf(state)) {
      case BlockUse::kFree:
        row.free++;
        break;
      case BlockUse::kCached:
        row.cached++;
        break;
      case BlockUse::kLive:
        row.live++;
        row.live_bytes += size;
        break;
      case BlockUse::kRetired: {
        row.retired++;
        const uint64_t retire = RetireVersion(state, now);
        const uint64_t birth = RetiredBirth(state, retire);
        for (size_t i = 0; i < std::min(report->pins.size(), kPinsMeasured); i++)
          if (birth <= report->pins[i].version && report->pins[i].version < retire) report->pins[i].held_bytes += size;
        break;
      }
    }
  });
  for (const auto& row : rows)
    if (row.slabs > 0) report->classes.push_back(row);
  report->slabs = mapping->MapPublished() / kSlabSize;
  for (uint64_t slab = 1; slab < report->slabs; slab++)
    report->slabs_free += mapping->slab_state(slab)->load(std::memory_order_relaxed) == 0 ? 1 : 0;
}

class Text {
 public:
  [[gnu::format(printf, 2, 3)]] void Line(const char* format, ...) {
    char line[200];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    text_ += line;
    text_ += '\n';
  }
  std::string Take() { return std::move(text_); }
  void Add(const std::string& text) { text_ += text; }

 private:
  std::string text_;
};

std::string ProcessName(uint64_t process) { return process == 0 ? "file" : std::to_string(process); }

}  // namespace

void ReportDatabase(Mapping* mapping, DatabaseReport* report) {
  report->version = mapping->header()->version.load(kOrder);
  ListPins(mapping, report);
  ListProcesses(mapping, report);
  CountBlocks(mapping, report);
}

std::string DescribeDatabase(Mapping* mapping, const std::string& path) {
  std::vector<std::pair<std::string, double>> stats;
  DatabaseStats(mapping, &stats);
  DatabaseReport report;
  ReportDatabase(mapping, &report);
  Text text;
  text.Add(path + "\n");
  for (const auto& [name, value] : stats) text.Line("  %-16s %.0f", name.c_str(), value);
  text.Line("\nslabs: %" PRIu64 " of 65536 bytes, %" PRIu64 " free", report.slabs, report.slabs_free);
  text.Line("   class     slabs      live   retired    cached      free   in use");
  for (const auto& row : report.classes) {
    const std::string name = row.size == 0 ? "span" : std::to_string(row.size);
    // How much of the slabs of the class is live: what is missing from 100 is fragmentation, garbage and reserve.
    const double use = 100.0 * static_cast<double>(row.live_bytes) / static_cast<double>(row.slabs * kSlabSize);
    text.Line("  %6s  %8" PRIu64 "  %8" PRIu64 "  %8" PRIu64 "  %8" PRIu64 "  %8" PRIu64 "   %5.1f%%", name.c_str(), row.slabs, row.live,
              row.retired, row.cached, row.free, use);
  }
  text.Line("\npins: %zu", report.pins.size());
  if (!report.pins.empty()) text.Line("  %-16s  %8s  %20s  %9s  %13s  %13s", "kind", "process", "version", "age (s)", "age (commits)", "holds (bytes)");
  for (const auto& pin : report.pins)
    text.Line("  %-16s  %8s  %20" PRIu64 "  %9s  %13" PRIu64 "  %13" PRIu64, pin.kind, ProcessName(pin.process).c_str(), pin.version,
              pin.age_s < 0 ? "-" : std::to_string(pin.age_s).c_str(), report.version - std::min(pin.version, report.version), pin.held_bytes);
  text.Line("\nprocesses: %zu", report.processes.size());
  for (const auto& row : report.processes)
    text.Line("  %8" PRIu64 "  threads %" PRIu64 ", pins %" PRIu64 ", shows %" PRIu64 "%s containers", row.process, row.threads, row.pins,
              row.containers, row.overflow ? "+" : "");
  return text.Take();
}

void ListProxies(Mapping* mapping, std::map<uint64_t, std::vector<uint64_t>>* by_process) {
  const uint32_t slots = mapping->header()->slot_count.load(kOrder);
  for (uint32_t slot = 0; slot < slots; slot++) {
    const SlotLine* line = mapping->slot_line(slot);
    if (line->used.load(std::memory_order_acquire) == 0) continue;
    std::vector<uint64_t>& ids = (*by_process)[line->process.load(std::memory_order_relaxed)];
    const size_t before = ids.size();
    const uint64_t lost = mapping->header()->cells_lost.load(kOrder);
    EachCell(mapping, slot, [&ids](uint64_t cell) {
      if (CellId(cell) != 0 && (cell & kCellDropped) == 0) ids.push_back(CellId(cell));
    });
    // A thread may have ended meanwhile, and its pages be something else.
    if (mapping->header()->cells_lost.load(kOrder) != lost) ids.resize(before);
  }
  for (auto& [process, ids] : *by_process) {
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  }
}

Status ListNames(Mapping* mapping, const Base& base, std::vector<std::string>* names) {
  constexpr uint8_t kStringTag = 0x40;  // docs/file_format.md, "Keys"
  constexpr Status kBadShape(Code::kCORRUPT, "the registry of shapes is damaged");
  bool present;
  ObjectEntry entry;
  PONGO_TRY(FindObject(mapping, base.table, kShapesId, &present, &entry));
  std::set<std::string> all;
  const auto add = [&](Ref ref) -> Status {
    uint64_t size = 0;
    uint8_t* bytes = mapping->Block(ref, &size);
    Node shape;
    if (bytes == nullptr || !Node::OpenShape(bytes, size, ref, Load<NodeHeader>(bytes).count, &shape)) return kBadShape;
    for (uint32_t i = 0; i < shape.count(); i++) {
      StoredKey key;
      uint8_t scratch[8];
      if (!ReadKey(mapping, shape, i, &key, scratch)) return kBadShape;
      std::string name(reinterpret_cast<const char*>(key.prefix), key.prefix_size);
      name.append(reinterpret_cast<const char*>(key.suffix), key.suffix_size);
      if (!name.empty() && static_cast<uint8_t>(name[0]) == kStringTag) all.insert(name.substr(1));
    }
    return Status::Ok();
  };
  if (present)
    PONGO_TRY(TreeReader(mapping, true).Walk(
        entry.tree(), [](Ref) { return Status::Ok(); },
        [&](const Node& node) -> Status {
          for (uint32_t i = 0; node.leaf() && i < node.count(); i++)
            if (IsBlock(node.word(i)) && BlockType(node.word(i)) == PayloadType::kShape) PONGO_TRY(add(BlockRef(node.word(i))));
          return Status::Ok();
        }));
  names->assign(all.begin(), all.end());
  return Status::Ok();
}

}  // namespace pongo
