// The last close gives the end of the file back, and moves before what is live there (model/shrink.h, model/tail_move.h).

#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "format/wire_writer.h"
#include "model/database_file.h"
#include "model/reachability.h"
#include "store/reader_roots.h"
#include "support.h"
#include "tree/tree.h"

namespace pongo {
namespace {

using namespace pongo::test;

// No background work interferes.
OpenOptions Options() {
  OpenOptions options;
  options.checkpoint_interval_ms = 3'600'000;
  options.chunk_size = 256u << 10;
  return options;
}

void WriteText(WireWriter* writer, const std::string& text) {
  writer->String(reinterpret_cast<const uint8_t*>(text.data()), static_cast<uint32_t>(text.size()));
}

std::string Value(uint64_t i, uint64_t round) { return std::to_string(round) + std::string(i % 10 == 0 ? 300 + i % 700 : i * 37 % 180, 'v'); }

// Every twentieth key is too long for a leaf.
std::string KeyOf(uint64_t i) { return "user:" + std::to_string(i) + (i % 20 == 0 ? std::string(300, 'k') : ""); }

Status SetWire(Session* session, const std::string& key, const std::vector<uint8_t>& wire) {
  Input input;
  input.wire = wire.data();
  input.wire_size = wire.size();
  return session->Set(kRootId, TextKey(key).key(), input, 0);
}

// Dicts with the same names get a shape.
Status SetDocument(Session* session, uint64_t i, uint64_t round, const std::string& names = "") {
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  static_cast<void>(writer.Dict(3));
  WriteText(&writer, "number" + names);
  writer.Int(static_cast<int64_t>(i));
  WriteText(&writer, "round" + names);
  writer.Int(static_cast<int64_t>(round));
  WriteText(&writer, "text" + names);
  WriteText(&writer, Value(i, round));
  return SetWire(session, "document:" + std::to_string(i), wire);
}

constexpr uint64_t kKeys = 4000;
constexpr uint64_t kDocuments = 300;

Status Fill(Session* session) {
  for (uint64_t i = 0; i < kKeys; i++) PONGO_TRY(session->Set(kRootId, TextKey(KeyOf(i)).key(), TextInput(Value(i, 0)), 0));
  for (uint64_t i = 0; i < kDocuments; i++) PONGO_TRY(SetDocument(session, i, 0));
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  static_cast<void>(writer.List(2000));
  for (uint64_t i = 0; i < 2000; i++) WriteText(&writer, Value(i, 0));
  PONGO_TRY(SetWire(session, "list", wire));
  uint64_t id;
  uint32_t cell;
  PONGO_TRY(session->Create(Kind::kCollection, nullptr, 0, &id, &cell));
  Input link;
  link.view.type = ValueView::Type::kContainer;
  link.view.id = id;
  PONGO_TRY(session->Set(kRootId, TextKey("expiring").key(), link, 0));
  session->UnpinContainer(cell);
  for (uint64_t i = 0; i < 200; i++)
    PONGO_TRY(session->SetExpiring(id, TextKey(KeyOf(i)).key(), TextInput(Value(i, 0)), 0, {Expiry::Kind::kAfter, int64_t{1} << 50}));
  return session->Set(kRootId, TextKey("span").key(), TextInput(std::string(150'000, 's')), 0);
}

// Writes everything anew, in any order and some more than once.
Status Churn(Session* session, uint64_t rounds) {
  std::mt19937_64 random(1);  // the sizes of the file are those of every run
  const auto below = [&](uint64_t bound) { return random() % bound; };
  uint64_t list = 0;
  PONGO_TRY(session->Get(0, kRootId, TextKey("list").key(), [&](const ValueView& v) { list = v.id; }));
  for (uint64_t round = 1; round <= rounds; round++) {
    for (uint64_t n = 0; n < kKeys; n++) {
      const uint64_t i = below(kKeys);
      PONGO_TRY(session->Set(kRootId, TextKey(KeyOf(i)).key(), TextInput(Value(i, round)), 0));
      if (n % 32 == 0) PONGO_TRY(SetDocument(session, below(kDocuments), round));
      if (n % 32 == 16) PONGO_TRY(session->ListSet(list, below(2000), TextInput(Value(i, round))));
    }
    PONGO_TRY(session->Set(kRootId, TextKey("span").key(), TextInput(std::string(150'000, static_cast<char>('a' + round % 26))), 0));
    PONGO_TRY(session->Sync());
  }
  return Status::Ok();
}

std::vector<uint8_t> Content(Session* session) {
  std::vector<uint8_t> wire;
  CHECK_OK(session->Native(0, kRootId, &wire));
  return wire;
}

// Where the one shape of an open database lies in the file.
uint64_t PlaceOfShape(const std::string& path) {
  std::string detail;
  auto file = DatabaseFile::Open(path, Options(), &detail);
  if (!file.ok()) std::abort();
  Mapping* mapping = file.value()->mapping();
  Base base;
  ObjectEntry registry;
  Found found;
  bool present = false;
  CHECK_OK(ReadBase(mapping, mapping->header()->root.load(), &base));
  CHECK_OK(FindObject(mapping, base.table, kShapesId, &present, &registry));
  CHECK_EQ(registry.size, 1u);
  CHECK_OK(TreeReader(mapping, true).FindAt(registry.tree(), 0, &present, &found));
  return present ? RefOffset(BlockRef(found.word())) : 0;
}

uint64_t SizeOf(const std::string& path) { return std::filesystem::file_size(path); }

// Opens the file and finds the same again; then without its control file, as after a crash of the machine.
void CheckContent(const std::string& path, const std::vector<uint8_t>& content) {
  for (const bool recovered : {false, true}) {
    if (recovered) std::filesystem::remove(path + "-lock");
    auto session = OpenSession(path, Options());
    REQUIRE(session != nullptr);
    CHECK(Content(session.get()) == content);
    VerifyClean(session.get());
    CHECK_OK(session->Close());
  }
}

}  // namespace

// A snapshot held while everything is overwritten leaves what is live scattered over twice the file.
TEST(WhatASnapshotHasHeldIsGivenBack) {
  Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, Options());
  REQUIRE(session != nullptr);
  CHECK_OK(Fill(session.get()));
  const uint64_t loaded = SizeOf(path);
  uint64_t view;
  CHECK_OK(session->Snapshot(&view));
  CHECK_OK(Churn(session.get(), 4));
  CHECK(SizeOf(path) > loaded * 3 / 2);
  CHECK_OK(session->Release(view));
  VerifyClean(session.get());
  const std::vector<uint8_t> content = Content(session.get());
  CHECK_OK(session->Close());
  session.reset();
  CHECK(SizeOf(path) <= loaded * 3 / 2);
  CheckContent(path, content);
  // It goes on as before.
  session = OpenSession(path, Options());
  REQUIRE(session != nullptr);
  CHECK_OK(Churn(session.get(), 1));
  VerifyClean(session.get());
  const std::vector<uint8_t> after = Content(session.get());
  CHECK_OK(session->Close());
  session.reset();
  CheckContent(path, after);
}

// Values of 600 bytes, of which only some of the second half of the file are left.
Status Scatter(Session* session, FunctionRef<Status()> after_filling) {
  for (uint64_t i = 0; i < 3000; i++) PONGO_TRY(session->Set(kRootId, TextKey(KeyOf(i)).key(), TextInput(std::string(600, 'x')), 0));
  PONGO_TRY(after_filling());
  bool present;
  for (uint64_t i = 0; i < 3000; i++)
    if (i < 1500 || i % 10 != 0) PONGO_TRY(session->Delete(kRootId, TextKey(KeyOf(i)).key(), &present));
  return session->Sync();
}

// The shape of the documents is made when the beginning of the file is full: every leaf that names it must follow it.
TEST(AShapeAtTheEndIsMovedWithItsLeaves) {
  Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, Options());
  REQUIRE(session != nullptr);
  const std::string names(170, 'n');  // the shape and the texts are blocks of one size, 640 bytes
  CHECK_OK(Scatter(session.get(), [&]() -> Status {
    for (uint64_t i = 0; i < 50; i++) PONGO_TRY(SetDocument(session.get(), i, 0, names));
    return Status::Ok();
  }));
  const uint64_t place = PlaceOfShape(path);
  const std::vector<uint8_t> content = Content(session.get());
  CHECK_OK(session->Close());
  session.reset();
  CHECK(SizeOf(path) <= place);
  CheckContent(path, content);
  session = OpenSession(path, Options());
  REQUIRE(session != nullptr);
  for (uint64_t i = 0; i < 50; i++) CHECK_OK(SetDocument(session.get(), i, 1, names));
  CHECK(PlaceOfShape(path) < SizeOf(path));  // it is still the only one
  VerifyClean(session.get());
}

// Who may not write the file is not seen by the last closer, only that he has a checkpoint open.
TEST(ACheckpointThatIsReadStaysWhole) {
  Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, Options());
  REQUIRE(session != nullptr);
  CHECK_OK(Scatter(session.get(), [] { return Status::Ok(); }));
  port::File reader;
  bool created;
  CHECK_OK(port::OpenFile(path, port::OpenMode::kReadOnly, 0600, &reader, &created));
  Superblock seen;
  CHECK_OK(LockNewestRoot(reader, &seen));
  std::map<uint64_t, std::string> blocks;
  {
    std::string detail;
    auto file = DatabaseFile::Open(path, Options(), &detail);
    REQUIRE(file.ok());
    Mapping* mapping = file.value()->mapping();
    Base base;
    ReachCounts counts;
    CHECK_OK(ReadBase(mapping, MakeRootWord(seen.root, seen.version), &base));
    const auto keep = [&](Ref ref) {
      uint64_t size = 0;
      const uint8_t* bytes = mapping->Block(ref, &size);
      blocks[RefOffset(ref)] = std::string(reinterpret_cast<const char*>(bytes), size);
      return Status::Ok();
    };
    CHECK_OK(WalkVersion(mapping, base, keep, &counts));
  }
  const uint64_t size = SizeOf(path);
  CHECK_OK(session->Close());
  session.reset();
  for (const auto& [offset, bytes] : blocks) {
    std::string now(bytes.size(), '\0');
    CHECK_OK(port::ReadAt(reader, offset, now.data(), now.size()));
    CHECK(now == bytes);
  }
  reader.Close();
  // Nobody reads it any more: the next close gives back what it held.
  session = OpenSession(path, Options());
  REQUIRE(session != nullptr);
  CHECK_OK(session->Set(kRootId, TextKey("again").key(), TextInput("again"), 0));
  const std::vector<uint8_t> content = Content(session.get());
  CHECK_OK(session->Close());
  session.reset();
  CHECK(SizeOf(path) < size / 2);
  CheckContent(path, content);
}

// What a close costs is not spent for little.
TEST(NothingIsMovedForLittle) {
  Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path, Options());
  REQUIRE(session != nullptr);
  CHECK_OK(Fill(session.get()));
  uint64_t version;
  CHECK_OK(session->Version(0, &version));
  CHECK_OK(session->Close());
  session = OpenSession(path, Options());
  REQUIRE(session != nullptr);
  uint64_t next;
  CHECK_OK(session->Version(0, &next));
  CHECK_EQ(next, version);
}

}  // namespace pongo
