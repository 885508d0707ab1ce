// Lists against a std::vector model: bulk growth, removal of ranges, and elements put in another order as they are stored.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "support.h"

namespace pongo {
namespace {

using test::Folder;
using test::IntInput;
using test::OpenSession;
using test::RandomBelow;
using test::VerifyClean;

// An element by number: each type that a change of form would show. 0 is null.
using Model = std::vector<int64_t>;

std::string TextOf(int64_t n) { return std::string(n % 3 == 0 ? 700 : 40, 'x') + std::to_string(n); }

// Borrows from *text.
Input ElementInput(int64_t n, std::string* text) {
  Input input = IntInput(n);
  if (n == 0) input.view.type = ValueView::Type::kNull;
  else if (n % 5 == 1) input.view.type = ValueView::Type::kDateTime;  // microseconds, most of no whole millisecond
  else if (n % 5 == 2) {
    input.view.type = ValueView::Type::kDouble;  // of the value of an integer
    input.view.number = static_cast<double>(n);
  } else if (n % 5 >= 3) {
    *text = TextOf(n);
    return test::TextInput(*text);
  }
  return input;
}

bool IsElement(const ValueView& value, int64_t n) {
  using Type = ValueView::Type;
  if (n == 0) return value.type == Type::kNull;
  switch (n % 5) {
    case 0: return value.type == Type::kInt && value.integer == n;
    case 1: return value.type == Type::kDateTime && value.integer == n;
    case 2: return value.type == Type::kDouble && value.number == static_cast<double>(n);
    default:
      return value.type == Type::kString && TextOf(n) == std::string(reinterpret_cast<const char*>(value.data), value.size);
  }
}

class ListFixture {
 public:
  ListFixture() : session_(OpenSession(folder_.File("db"))) {
    uint32_t cell;
    if (session_ == nullptr || !session_->Create(Kind::kList, nullptr, 0, &id_, &cell).ok()) std::abort();
  }

  Session* session() const { return session_.get(); }
  uint64_t id() const { return id_; }

  void Push(int64_t n) {
    std::string text;
    uint64_t length;
    CHECK(session_->ListPush(id_, ElementInput(n, &text), &length).ok());
    model.push_back(n);
    CHECK_EQ(length, model.size());
  }

  void CheckContent() {
    uint64_t size = 0;
    CHECK(session_->Size(0, id_, &size).ok());
    CHECK_EQ(size, model.size());
    size_t at = 0;
    CHECK(session_->Page(0, id_, 0, ~uint64_t{0}, 1, [&](const Key&, const ValueView& value) {
      return at < model.size() && IsElement(value, model[at++]);
    }).ok());
    CHECK_EQ(at, model.size());
  }

  Model model;

 private:
  Folder folder_;
  std::unique_ptr<Session> session_;
  uint64_t id_ = 0;
};

TEST(GrowthAndRangesMatchAModel) {
  ListFixture list;
  int64_t next = 1;
  for (int round = 0; round < 400; round++) {
    const uint64_t size = list.model.size();
    switch (RandomBelow(4)) {
      case 0: {  // an index beyond the end
        const uint64_t index = size + RandomBelow(round % 10 == 0 ? 30000 : 600);
        std::string text;
        CHECK(list.session()->ListSet(list.id(), index, ElementInput(next, &text)).ok());
        list.model.resize(index, 0);
        list.model.push_back(next++);
        break;
      }
      case 1:
        for (int i = 0; i < 200; i++) list.Push(next++);
        break;
      default: {
        const uint64_t at = RandomBelow(size + 1);
        const uint64_t count = RandomBelow(4) == 0 ? ~uint64_t{0} : RandomBelow(size + 1);
        uint64_t length = 0;
        CHECK(list.session()->ListSplice(list.id(), at, count, nullptr, 0, &length).ok());
        const auto first = list.model.begin() + static_cast<ptrdiff_t>(at);
        list.model.erase(first, first + static_cast<ptrdiff_t>(std::min<uint64_t>(count, size - at)));
        CHECK_EQ(length, list.model.size());
      }
    }
    if (round % 40 == 39) {
      list.CheckContent();
      VerifyClean(list.session());
    }
  }
}

TEST(ArrangingKeepsFormsAndLeaksNothing) {
  ListFixture list;
  for (int64_t n = 0; n < 1500; n++) list.Push(n);
  for (int round = 0; round < 30; round++) {
    // Permutations, repetitions and omissions.
    std::vector<uint32_t> positions(list.model.size());
    for (size_t i = 0; i < positions.size(); i++) positions[i] = static_cast<uint32_t>(i);
    if (round % 3 == 0) std::reverse(positions.begin(), positions.end());
    if (round % 3 == 1) std::shuffle(positions.begin(), positions.end(), test::Random());
    if (round % 3 == 2) {
      for (uint32_t& position : positions) position = static_cast<uint32_t>(RandomBelow(positions.size()));
      positions.resize(1 + RandomBelow(2000), 0);
    }
    CHECK(list.session()->ListArrange(list.id(), positions.data(), positions.size()).ok());
    Model arranged;
    for (const uint32_t position : positions) arranged.push_back(list.model[position]);
    list.model = std::move(arranged);
    list.CheckContent();
    VerifyClean(list.session());
  }
  CHECK(list.session()->ListArrange(list.id(), nullptr, 0).ok());
  list.model.clear();
  list.CheckContent();
  VerifyClean(list.session());
}

TEST(ArrangingCountsLinks) {
  ListFixture list;
  uint64_t inner;
  uint32_t cell;
  REQUIRE(list.session()->Create(Kind::kDict, nullptr, 0, &inner, &cell).ok());
  Input input;
  input.view.type = ValueView::Type::kContainer;
  input.view.kind = Kind::kDict;
  input.view.id = inner;
  uint64_t length;
  REQUIRE(list.session()->ListPush(list.id(), input, &length).ok());
  const uint32_t twice[] = {0, 0};
  REQUIRE(list.session()->ListArrange(list.id(), twice, 2).ok());
  // Each place holds it: after one is gone the other still does.
  const uint32_t once[] = {1};
  REQUIRE(list.session()->ListArrange(list.id(), once, 1).ok());
  uint64_t id = 0;
  CHECK(list.session()->ListGet(0, list.id(), 0, [&](const ValueView& value) { id = value.id; }).ok());
  CHECK_EQ(id, inner);
  VerifyClean(list.session());
}

TEST(ArrangingRefusesPositionsBeyondTheEnd) {
  ListFixture list;
  list.Push(5);
  const uint32_t beyond[] = {0, 1};
  CHECK(list.session()->ListArrange(list.id(), beyond, 2).code() == Code::kINDEX);
  list.CheckContent();
}

TEST(GrowthIsBounded) {
  ListFixture list;
  list.Push(5);
  CHECK(list.session()->ListSet(list.id(), 0xfffffffe, IntInput(1)).code() == Code::kINDEX);
  list.CheckContent();
  VerifyClean(list.session());
}

}  // namespace
}  // namespace pongo
