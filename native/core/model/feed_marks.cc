#include "model/feed_marks.h"

#include "model/value_view.h"
#include "tree/tree.h"

namespace pongo {
namespace {

constexpr uint64_t kRegistryIdMax = kCompanionsId;

}  // namespace

// *sure = false: it may have parents that are not known. *parent = 0: it has none.
Status FeedMarks::Parent(uint64_t id, bool* sure, uint64_t* parent) {
  *sure = true;
  *parent = 0;
  bool present;
  ObjectEntry entry;
  PONGO_TRY(FindObject(mapping_, table_, id, &present, &entry));
  // The first link of the root is to nothing, and what the engine keeps for itself has no place.
  const bool is_top = id == kRootId ? entry.links() <= 1 : id <= kRegistryIdMax;
  if (!present || entry.links() == 0 || is_top) return Status::Ok();
  *sure = entry.links() == 1 && entry.parent_id() != 0;
  if (*sure) *parent = entry.parent_id();
  return Status::Ok();
}

// *sure = false: a container on the way may have parents that are not known. *top = 0: no way leads to a top.
Status FeedMarks::Climb(uint64_t id, bool* sure, uint64_t* top) {
  *sure = true;
  std::vector<uint64_t> way;
  uint64_t at = id;
  for (;;) {
    if (tops_.contains(at)) {
      *top = at;
      break;
    }
    if (const auto found = known_.find(at); found != known_.end()) {
      *top = found->second;
      break;
    }
    uint64_t parent;
    PONGO_TRY(Parent(at, sure, &parent));
    if (!*sure) return Status::Ok();
    if (parent == 0) {
      *top = 0;
      break;
    }
    known_[at] = 0;  // a cycle ends here
    way.push_back(at);
    at = parent;
  }
  for (size_t i = way.size(); i-- > 0;) {
    known_[way[i]] = *top;
    if (*top != 0) children_[i + 1 < way.size() ? way[i + 1] : at].insert(way[i]);
  }
  return Status::Ok();
}

Status FeedMarks::Find(const std::vector<uint64_t>& ids) {
  for (const uint64_t id : ids) {
    bool sure;
    uint64_t top;
    PONGO_TRY(Climb(id, &sure, &top));
    if (!sure) return ReadAll(ids);
  }
  return Status::Ok();
}

Status FeedMarks::Reached(const std::vector<uint64_t>& ids, std::unordered_set<uint64_t>* tops) {
  std::vector<uint64_t> todo = ids;
  while (!todo.empty()) {
    bool sure;
    uint64_t above;
    PONGO_TRY(Climb(todo.back(), &sure, &above));
    todo.pop_back();
    if (sure && (above == 0 || !tops->insert(above).second)) continue;
    if (sure) PONGO_TRY(Parent(above, &sure, &above));
    if (!sure) {
      PONGO_TRY(ReadAll(ids));
      for (const uint64_t each : tops_)
        if (children_.contains(each)) tops->insert(each);
      for (const uint64_t each : ids)
        if (tops_.contains(each)) tops->insert(each);
      return Status::Ok();
    }
    if (above != 0) todo.push_back(above);
  }
  return Status::Ok();
}

Status FeedMarks::ReadAll(const std::vector<uint64_t>& ids) {
  children_.clear();
  std::unordered_map<uint64_t, std::unordered_set<uint64_t>> parents;
  std::unordered_set<uint64_t> seen = tops_;
  std::vector<uint64_t> todo(tops_.begin(), tops_.end());
  while (!todo.empty()) {
    const uint64_t id = todo.back();
    todo.pop_back();
    bool present;
    ObjectEntry entry;
    PONGO_TRY(FindObject(mapping_, table_, id, &present, &entry));
    if (!present) continue;
    const TreeReader tree(mapping_, entry.kind() != static_cast<uint8_t>(Kind::kList));
    PONGO_TRY(tree.Scan(entry.tree(), 0, ~uint64_t{0}, 1, [&](const Node& leaf, uint32_t i) {
      const Word word = leaf.word(i);
      if (IsDouble(word) || !IsContainer(word)) return true;
      parents[ContainerId(word)].insert(id);
      if (seen.insert(ContainerId(word)).second) todo.push_back(ContainerId(word));
      return true;
    }));
  }
  std::unordered_set<uint64_t> marked;
  for (const uint64_t id : ids)
    if (seen.contains(id) && marked.insert(id).second) todo.push_back(id);
  while (!todo.empty()) {
    const uint64_t id = todo.back();
    todo.pop_back();
    const auto found = parents.find(id);
    if (found == parents.end()) continue;
    for (const uint64_t parent : found->second) {
      children_[parent].insert(id);
      if (marked.insert(parent).second) todo.push_back(parent);
    }
  }
  return Status::Ok();
}

}  // namespace pongo
