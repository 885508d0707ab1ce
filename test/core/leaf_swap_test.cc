// A commit that lost its attempt to one that changed other leaves of the same tree: its leaf goes into the newer tree, and the
// operation does not run again. All else is a conflict.

#include <memory>
#include <string>

#include "database_impl.h"
#include "format/wire_writer.h"
#include "store_support.h"

namespace pongo {
namespace {

using test::Folder;
using test::IntInput;
using test::OpenSession;
using test::TestFile;
using test::TextInput;
using test::TextKey;

constexpr int kKeys = 200;  // some ten leaves

std::string Name(int i) { return "key" + std::to_string(1000 + 2 * i); }

// A thread of the database whose operations are taken apart: what is done between Begin and Commit comes in between.
class Writer {
 public:
  explicit Writer(const TestFile& file) : impl_(std::make_unique<SessionImpl>(file.file())) {
    if (!impl_->slot.Claim().ok()) std::abort();
  }
  ~Writer() { impl_->slot.Release(); }

  template <class F>
  Status Begin(F&& body) {
    PONGO_TRY(impl_->transaction.Start(false));
    return body(impl_->operations);
  }
  bool Commit() {
    bool committed = false;
    CHECK_OK(impl_->transaction.Commit(&committed));
    return committed;
  }
  template <class F>
  Status Write(F&& body) {
    return impl_->Write(false, body);
  }
  Status Set(int key, int64_t value) {
    return Write([&](Operations& o) { return o.Set(kRootId, TextKey(Name(key)).key(), IntInput(value), 0); });
  }
  Status Delete(int key) {
    bool present;
    return Write([&](Operations& o) { return o.Delete(kRootId, TextKey(Name(key)).key(), &present); });
  }
  int64_t Get(int key) {
    int64_t value = -1;
    CHECK_OK(impl_->Read(0, [&](const ReadView& view) {
      return GetValue(view, kRootId, TextKey(Name(key)).key(), [&](const ValueView& v) { value = v.integer; });
    }));
    return value;
  }
  uint64_t Size() {
    ObjectEntry entry;
    CHECK_OK(impl_->Read(0, [&](const ReadView& view) { return view.Keyed(kRootId, &entry); }));
    return entry.size;
  }

 private:
  std::unique_ptr<SessionImpl> impl_;
};

struct Fixture {
  Fixture() : ours(file), other(file) {
    for (int i = 0; i < kKeys; i++) CHECK_OK(other.Set(i, i));
  }
  Status BeginSet(int key, int64_t value) {
    return ours.Begin([&](Operations& o) { return o.Set(kRootId, TextKey(Name(key)).key(), IntInput(value), 0); });
  }
  TestFile file;
  Writer ours, other;
};

TEST(AnotherLeafIsNoConflict) {
  Fixture f;
  CHECK_OK(f.BeginSet(10, -10));
  CHECK_OK(f.other.Set(150, -150));
  CHECK(f.ours.Commit());
  CHECK(f.ours.Get(10) == -10 && f.ours.Get(150) == -150);
  CHECK(f.ours.Size() == kKeys);
}

TEST(TheSizeIsThatOfTheNewerTree) {
  Fixture f;
  CHECK_OK(f.BeginSet(10, -10));
  CHECK_OK(f.other.Delete(150));
  CHECK_OK(f.other.Delete(151));
  CHECK(f.ours.Commit());
  CHECK(f.ours.Get(10) == -10 && f.ours.Get(150) == -1);
  CHECK(f.ours.Size() == kKeys - 2);
}

TEST(TheSameLeafIsAConflict) {
  Fixture f;
  CHECK_OK(f.BeginSet(10, -10));
  CHECK_OK(f.other.Set(11, -11));
  CHECK(!f.ours.Commit());
  CHECK(f.ours.Get(10) == 10 && f.ours.Get(11) == -11);
}

TEST(ALeafThatHasMovedIsAConflict) {
  Fixture f;
  CHECK_OK(f.BeginSet(190, -190));
  for (int i = 0; i < 100; i++) CHECK_OK(f.other.Delete(i));  // the leaf is nearer to the left now
  CHECK(!f.ours.Commit());
  CHECK(f.ours.Get(190) == 190);
  CHECK(f.ours.Size() == kKeys - 100);
}

TEST(AnEmptyTreeIsAConflict) {
  Fixture f;
  CHECK_OK(f.BeginSet(10, -10));
  for (int i = 0; i < kKeys; i++) CHECK_OK(f.other.Delete(i));
  CHECK(!f.ours.Commit());
  CHECK(f.ours.Size() == 0);
}

TEST(TwoChangesOfATreeAreAConflict) {
  Fixture f;
  CHECK_OK(f.ours.Begin([&](Operations& o) -> Status {
    PONGO_TRY(o.Set(kRootId, TextKey(Name(10)).key(), IntInput(-10), 0));
    return o.Set(kRootId, TextKey(Name(12)).key(), IntInput(-12), 0);
  }));
  CHECK_OK(f.other.Set(150, -150));
  CHECK(!f.ours.Commit());
  CHECK(f.ours.Get(10) == 10 && f.ours.Get(12) == 12);
}

Input ContainerInput(Kind kind, uint64_t id) {
  Input input;
  input.view.type = ValueView::Type::kContainer;
  input.view.kind = kind;
  input.view.id = id;
  return input;
}

// The entry that the path went through is in another leaf of the same container.
TEST(APathThroughTheContainerItselfIsAConflict) {
  Fixture f;
  CHECK_OK(f.other.Write([&](Operations& o) { return o.Set(kRootId, TextKey(Name(150)).key(), ContainerInput(Kind::kDict, kRootId), 0); }));
  CHECK_OK(f.ours.Begin([&](Operations& o) -> Status {
    const TextKey through(Name(150)), key(Name(10));
    const PathStep steps[] = {{.key = through.key()}, {.key = key.key()}};
    uint64_t container;
    const PathStep* last;
    PONGO_TRY(o.ResolvePath(kRootId, steps, 2, &container, &last));
    return o.SetStep(container, *last, IntInput(-10), 0);
  }));
  CHECK_OK(f.other.Set(150, -150));
  CHECK(!f.ours.Commit());
  CHECK(f.ours.Get(10) == 10 && f.ours.Get(150) == -150);
}

// What was compared is a Dict that holds the container, and with it all its entries.
TEST(AComparisonWithTheContainerItselfIsAConflict) {
  Fixture f;
  std::vector<uint8_t> holder, expected;
  WireWriter writer(&holder);
  writer.Dict(1);
  writer.String(reinterpret_cast<const uint8_t*>("root"), 4);
  writer.Container(static_cast<uint8_t>(Kind::kDict), kRootId);
  uint64_t id = 0;
  CHECK_OK(f.other.Write([&](Operations& o) -> Status {
    PONGO_TRY(o.Create(Kind::kDict, holder.data(), holder.size(), &id));
    return o.Set(kRootId, TextKey(Name(10)).key(), ContainerInput(Kind::kDict, id), 0);
  }));
  WireWriter wire(&expected);
  wire.Dict(1);
  wire.String(reinterpret_cast<const uint8_t*>("root"), 4);
  wire.Dict(kKeys);
  for (int i = 0; i < kKeys; i++) {
    wire.String(reinterpret_cast<const uint8_t*>(Name(i).data()), static_cast<uint32_t>(Name(i).size()));
    if (i == 10)
      wire.Container(static_cast<uint8_t>(Kind::kDict), id);
    else
      wire.Int(i);
  }
  Input was;
  was.wire = expected.data();
  was.wire_size = expected.size();
  const Input next = IntInput(-10);
  bool same = false;
  CHECK_OK(f.ours.Begin([&](Operations& o) { return o.CompareAndSet(kRootId, TextKey(Name(10)).key(), &was, &next, &same); }));
  CHECK(same);
  CHECK_OK(f.other.Set(150, -150));
  CHECK(!f.ours.Commit());
}

// In a damaged file: what follows the change of the entry changes the same tree once more.
TEST(ACollectionThatIsItsOwnCompanionIsAConflict) {
  Fixture f;
  const auto expiring = [](int64_t days) {
    return Expiry{.kind = Expiry::Kind::kAfter, .microseconds = days * 86'400'000'000};
  };
  const auto set = [&](int64_t days) {
    return [&, days](Operations& o) { return o.Set(kRootId, TextKey(Name(10)).key(), IntInput(days), 0, expiring(days)); };
  };
  CHECK_OK(f.other.Write([&](Operations& o) { return o.Set(kRootId, TextKey(Name(11)).key(), IntInput(0), 0, expiring(1)); }));
  KeyBuffer owner;
  CHECK_OK(owner.AddInt(kRootId));
  CHECK_OK(f.other.Write([&](Operations& o) { return o.Set(kCompanionsId, owner.key(), ContainerInput(Kind::kCollection, kRootId), 0); }));
  CHECK_OK(f.other.Write(set(2)));
  CHECK_OK(f.ours.Begin(set(3)));
  CHECK_OK(f.other.Set(150, -150));
  CHECK(!f.ours.Commit());
}

TEST(AnInsertIsAConflict) {
  Fixture f;
  CHECK_OK(f.ours.Begin([&](Operations& o) { return o.Set(kRootId, TextKey(Name(kKeys)).key(), IntInput(1), 0); }));
  CHECK_OK(f.other.Set(3, -3));
  CHECK(!f.ours.Commit());
  CHECK(f.ours.Size() == kKeys);
}

// Every block is in use or free afterwards, whatever was copied and given up on the way.
TEST(NothingIsLeftBehind) {
  const Folder folder;
  {
    TestFile file(folder.File("db"));
    Writer ours(file), other(file);
    for (int i = 0; i < kKeys; i++) CHECK_OK(other.Set(i, i));
    for (int i = 0; i < 500; i++) {
      const int key = i % kKeys;
      CHECK_OK(ours.Begin([&](Operations& o) { return o.Set(kRootId, TextKey(Name(key)).key(), TextInput(std::string(i % 3 * 2000, 'v')), 0); }));
      CHECK_OK(other.Set((key + 100) % kKeys, i));
      CHECK(ours.Commit());
    }
  }
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  test::VerifyClean(session.get());
}

}  // namespace
}  // namespace pongo
