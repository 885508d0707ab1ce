#include "tree/diff.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

namespace pongo {
namespace {

constexpr Status kBadNode(Code::kCORRUPT, "a tree node holds impossible bytes");
// The most single changes that AlignGap looks for.
constexpr int kEditsMax = 128;

// A subtree on the frontier of the walk through one version.
struct Piece {
  Ref ref;
  uint64_t count;
  bool shared;
};

Status OpenTreeNode(Mapping* mapping, Ref ref, bool keyed, int level, Node* node) {
  uint64_t size = 0;
  uint8_t* bytes = mapping->Block(ref, &size);
  return Node::Open(bytes, size, ref, keyed, level, node) ? Status::Ok() : kBadNode;
}

// One version, cut into pieces whose nodes have the same level, except that shared ones are not cut further.
struct Frontier {
  std::vector<Piece> pieces;
  int level = -1;  // of the pieces that are not shared; -1: there is no tree

  Status Start(Mapping* mapping, bool keyed, Ref root) {
    if (root == kNullRef) return Status::Ok();
    Node node;
    PONGO_TRY(OpenTreeNode(mapping, root, keyed, -1, &node));
    level = static_cast<int>(node.level());
    pieces.push_back({root, node.total(), false});
    return Status::Ok();
  }

  // Puts the children in the place of each piece that is not shared.
  Status Descend(Mapping* mapping, bool keyed) {
    std::vector<Piece> lower;
    for (const Piece& piece : pieces) {
      if (piece.shared) {
        lower.push_back(piece);
        continue;
      }
      Node node;
      PONGO_TRY(OpenTreeNode(mapping, piece.ref, keyed, level, &node));
      for (uint32_t i = 0; i < node.count(); i++) lower.push_back({node.child(i), node.child_count(i), false});
      // More nodes than blocks: a damaged file whose nodes share children.
      if (lower.size() > mapping->mapped_length() / kGranule) return kBadNode;
    }
    pieces = std::move(lower);
    level--;
    return Status::Ok();
  }
};

// Marks the pieces that both frontiers have, at the level that both have reached. Nodes are never reordered by a change; the
// order is checked all the same, because a damaged file may say otherwise.
void MarkShared(Frontier* a, Frontier* b) {
  std::unordered_map<Ref, size_t> places;
  for (size_t i = 0; i < a->pieces.size(); i++)
    if (!a->pieces[i].shared) places.emplace(a->pieces[i].ref, i);
  // Shared pieces of higher levels are in both, in the same order: between two of them only what is between them may match.
  size_t next = 0;
  size_t i = 0;
  for (Piece& piece : b->pieces) {
    if (piece.shared) {
      while (i < a->pieces.size() && !(a->pieces[i].shared && a->pieces[i].ref == piece.ref)) i++;
      next = ++i;
      continue;
    }
    const auto found = places.find(piece.ref);
    if (found == places.end() || found->second < next) continue;
    size_t limit = next;
    while (limit < found->second && !a->pieces[limit].shared) limit++;
    if (limit < found->second) continue;
    Piece& other = a->pieces[found->second];
    if (other.shared || other.count != piece.count) continue;
    other.shared = piece.shared = true;
    next = i = found->second + 1;
  }
}

Status Fill(Mapping* mapping, bool keyed, const std::vector<Piece>& pieces, size_t* at, uint64_t* position, GapSide* side) {
  side->Clear(*position);
  for (; *at < pieces.size() && !pieces[*at].shared; ++*at) {
    Node leaf;
    PONGO_TRY(OpenTreeNode(mapping, pieces[*at].ref, keyed, 0, &leaf));
    side->Add(leaf);
    *position += leaf.count();
  }
  return Status::Ok();
}

bool LocalBytes(const Node& leaf, Word word, const uint8_t** bytes) {
  *bytes = leaf.heap(LocalFromEnd(word), LocalSize(word));
  return *bytes != nullptr;
}

bool SameBlocks(Mapping* mapping, Word x, Word y) {
  if (BlockType(x) != BlockType(y)) return false;
  const uint8_t* a;
  const uint8_t* b;
  uint64_t a_size;
  uint64_t b_size;
  return ReadBlob(mapping, BlockRef(x), &a, &a_size) && ReadBlob(mapping, BlockRef(y), &b, &b_size) && a_size == b_size &&
         std::memcmp(a, b, a_size) == 0;
}

}  // namespace

void GapSide::Clear(uint64_t position) {
  begin = position;
  leaves_.clear();
  entries_.clear();
}

void GapSide::Add(const Node& leaf) {
  const auto number = static_cast<uint32_t>(leaves_.size());
  leaves_.push_back(leaf);
  for (uint32_t i = 0; i < leaf.count(); i++) entries_.push_back({number, i});
}

Status DiffTrees(Mapping* mapping, bool keyed, Ref before, Ref after, FunctionRef<Status(const Gap& gap)> visit) {
  if (before == after) return Status::Ok();
  Frontier a;
  Frontier b;
  PONGO_TRY(a.Start(mapping, keyed, before));
  PONGO_TRY(b.Start(mapping, keyed, after));
  for (int level = std::max(a.level, b.level); level >= 0; level--) {
    if (a.level == level && b.level == level) MarkShared(&a, &b);
    if (level == 0) break;
    if (a.level == level) PONGO_TRY(a.Descend(mapping, keyed));
    if (b.level == level) PONGO_TRY(b.Descend(mapping, keyed));
  }
  Gap gap;
  size_t i = 0;
  size_t j = 0;
  uint64_t a_position = 0;
  uint64_t b_position = 0;
  for (;;) {
    PONGO_TRY(Fill(mapping, keyed, a.pieces, &i, &a_position, &gap.before));
    PONGO_TRY(Fill(mapping, keyed, b.pieces, &j, &b_position, &gap.after));
    if (gap.before.size() != 0 || gap.after.size() != 0) PONGO_TRY(visit(gap));
    if (i == a.pieces.size() || j == b.pieces.size()) return Status::Ok();
    a_position += a.pieces[i++].count;
    b_position += b.pieces[j++].count;
  }
}

bool SameEntry(Mapping* mapping, const Node& a, uint32_t i, const Node& b, uint32_t j) {
  const Word x = a.word(i);
  const Word y = b.word(j);
  const bool is_local = !IsDouble(x) && IsLocal(x);
  if (!is_local && x == y) return true;
  if (IsDouble(x) || IsDouble(y) || TagOf(x) != TagOf(y)) return false;
  if (IsBlock(x)) return SameBlocks(mapping, x, y);
  if (!is_local || LocalType(x) != LocalType(y) || LocalSize(x) != LocalSize(y)) return false;
  const uint8_t* p;
  const uint8_t* q;
  return LocalBytes(a, x, &p) && LocalBytes(b, y, &q) && std::memcmp(p, q, LocalSize(x)) == 0;
}

std::vector<Hunk> AlignGap(Mapping* mapping, const Gap& gap) {
  const auto same = [&](size_t i, size_t j) {
    return SameEntry(mapping, gap.before.leaf(i), gap.before.index(i), gap.after.leaf(j), gap.after.index(j));
  };
  size_t start = 0;
  size_t n = gap.before.size();
  size_t m = gap.after.size();
  while (start < n && start < m && same(start, start)) start++;
  while (n > start && m > start && same(n - 1, m - 1)) n--, m--;
  if (start == n && start == m) return {};
  const std::vector<Hunk> whole = {{start, start, n - start, m - start}};
  if (start == n || start == m) return whole;

  // Myers: v[k] is the furthest row reached on diagonal k = row - column with d changes. All v are kept for the way back.
  const auto rows = static_cast<int64_t>(n - start);
  const auto columns = static_cast<int64_t>(m - start);
  const int limit = static_cast<int>(std::min<int64_t>(kEditsMax, rows + columns));
  if (std::abs(rows - columns) > limit) return whole;
  std::vector<std::vector<int64_t>> steps;
  std::vector<int64_t> v(2 * static_cast<size_t>(limit) + 3, 0);
  const auto at = [&](std::vector<int64_t>& row, int k) -> int64_t& { return row[static_cast<size_t>(k + limit + 1)]; };
  int edits = -1;
  for (int d = 0; d <= limit && edits < 0; d++) {
    steps.push_back(v);
    for (int k = -d; k <= d; k += 2) {
      int64_t x = d == 0 ? 0 : k == -d || (k != d && at(v, k - 1) < at(v, k + 1)) ? at(v, k + 1) : at(v, k - 1) + 1;
      int64_t y = x - k;
      while (x < rows && y < columns && x >= 0 && y >= 0 && same(start + static_cast<size_t>(x), start + static_cast<size_t>(y))) x++, y++;
      at(v, k) = x;
      if (x >= rows && y >= columns) {
        edits = d;
        break;
      }
    }
  }
  if (edits < 0) return whole;

  // Back from the end: each change is one removed row (x - 1) or one inserted column (y - 1).
  std::vector<Hunk> hunks;
  int64_t x = rows;
  int64_t y = columns;
  for (int d = edits; d > 0; d--) {
    std::vector<int64_t>& previous = steps[static_cast<size_t>(d)];
    const int k = static_cast<int>(x - y);
    const bool inserted = k == -d || (k != d && at(previous, k - 1) < at(previous, k + 1));
    const int64_t from_x = at(previous, inserted ? k + 1 : k - 1);
    const int64_t from_y = from_x - (inserted ? k + 1 : k - 1);
    const Hunk change = {start + static_cast<size_t>(from_x), start + static_cast<size_t>(from_y), inserted ? 0u : 1u,
                         inserted ? 1u : 0u};
    // Touches the hunk found before, which lies behind it: one hunk.
    if (!hunks.empty() && change.before + change.removed == hunks.back().before &&
        change.after + change.inserted == hunks.back().after) {
      Hunk& hunk = hunks.back();
      hunk = {change.before, change.after, hunk.removed + change.removed, hunk.inserted + change.inserted};
    } else {
      hunks.push_back(change);
    }
    x = from_x;
    y = from_y;
  }
  std::reverse(hunks.begin(), hunks.end());
  return hunks;
}

}  // namespace pongo
