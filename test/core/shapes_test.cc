// Shapes: property names stored once, whatever happens to the documents that share them.

#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "format/wire_writer.h"
#include "support.h"

namespace pongo {
namespace {

using test::Folder;
using test::GetText;
using test::OpenSession;
using test::TextInput;
using test::TextKey;
using test::VerifyClean;

// A document { <prefix>0: text, <prefix>1: text, ... } in wire form.
std::vector<uint8_t> Document(const std::string& prefix, uint32_t fields, const std::string& text) {
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  writer.Dict(fields);
  for (uint32_t i = 0; i < fields; i++) {
    const std::string name = prefix + std::to_string(i);
    writer.String(reinterpret_cast<const uint8_t*>(name.data()), static_cast<uint32_t>(name.size()));
    writer.String(reinterpret_cast<const uint8_t*>(text.data()), static_cast<uint32_t>(text.size()));
  }
  return wire;
}

Status Store(Session* session, const std::string& key, const std::vector<uint8_t>& wire) {
  Input input;
  input.wire = wire.data();
  input.wire_size = wire.size();
  return session->Set(kRootId, TextKey(key).key(), input, 0);
}

uint64_t DocumentId(Session* session, const std::string& key) {
  uint64_t id = 0;
  if (!session->Get(0, kRootId, TextKey(key).key(), [&](const ValueView& v) { id = v.id; }).ok()) return 0;
  return id;
}

uint64_t ShapeCount(Session* session) {
  uint64_t size = 0;
  CHECK(session->Size(0, kShapesId, &size).ok());
  return size;
}

double LiveBytes(Session* session) {
  std::vector<std::pair<std::string, double>> stats;
  session->Stats(&stats);
  for (const auto& [name, value] : stats)
    if (name == "liveBytes") return value;
  return 0;
}

void CheckDocument(Session* session, const std::string& key, const std::string& prefix, uint32_t fields, const std::string& text) {
  const uint64_t id = DocumentId(session, key);
  REQUIRE(id != 0);
  for (uint32_t i = 0; i < fields; i++) {
    std::string found;
    CHECK(GetText(session, 0, id, prefix + std::to_string(i), &found));
    CHECK_EQ(found, text);
  }
  std::string none;
  CHECK(!GetText(session, 0, id, prefix + "x", &none));
  uint64_t rank = 0;
  CHECK(session->Rank(0, id, TextKey(prefix + "1").key(), &rank).ok());
  CHECK_EQ(rank, 1u);
}

TEST(NamesAreStoredOnce) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  const std::string prefix = "a-rather-long-property-name-";
  const double before = LiveBytes(session.get());
  for (int i = 0; i < 2000; i++) REQUIRE(Store(session.get(), "doc" + std::to_string(i), Document(prefix, 9, "val")).ok());
  CHECK_EQ(ShapeCount(session.get()), 1u);
  // Nine names of 29 bytes would alone be 261 bytes a document.
  CHECK(LiveBytes(session.get()) - before < 2000 * 200.0);
  for (const int i : {0, 3, 4, 5, 1999}) CheckDocument(session.get(), "doc" + std::to_string(i), prefix, 9, "val");
  VerifyClean(session.get());
}

TEST(DocumentsLeaveTheirShape) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  for (int i = 0; i < 20; i++) REQUIRE(Store(session.get(), "doc" + std::to_string(i), Document("name", 5, "v")).ok());
  const uint64_t id = DocumentId(session.get(), "doc19");
  // Replaced values, short and long, stay in the shaped leaf; another name or a missing one ends it.
  REQUIRE(session->Set(id, TextKey("name2").key(), TextInput(std::string(200, 'l')), 0).ok());
  REQUIRE(session->Set(id, TextKey("name3").key(), TextInput(std::string(5000, 'b')), 0).ok());
  std::string text;
  CHECK(GetText(session.get(), 0, id, "name2", &text));
  CHECK_EQ(text.size(), 200u);
  REQUIRE(session->Set(id, TextKey("name2a").key(), TextInput("new"), 0).ok());
  bool present = false;
  REQUIRE(session->Delete(DocumentId(session.get(), "doc18"), TextKey("name0").key(), &present).ok());
  CHECK(present);
  uint64_t size = 0;
  REQUIRE(session->Size(0, id, &size).ok());
  CHECK_EQ(size, 6u);
  std::vector<std::string> keys;
  REQUIRE(session->Page(0, id, 0, ~uint64_t{0}, 1, [&](const Key& key, const ValueView&) {
    keys.emplace_back(reinterpret_cast<const char*>(key.data + 1), key.size - 1);
    return true;
  }).ok());
  CHECK(keys == std::vector<std::string>({"name0", "name1", "name2", "name2a", "name3", "name4"}));
  CHECK(GetText(session.get(), 0, id, "name3", &text));
  CHECK_EQ(text.size(), 5000u);
  CheckDocument(session.get(), "doc17", "name", 5, "v");
  for (int i = 4; i >= 0; i--) {  // down to the empty document
    REQUIRE(session->Delete(DocumentId(session.get(), "doc17"), TextKey("name" + std::to_string(i)).key(), &present).ok());
    CHECK(present);
  }
  VerifyClean(session.get());
}

TEST(AnAbortedShapeIsForgotten) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  for (int round = 0; round < 3; round++) {
    REQUIRE(session->Begin().ok());
    for (int i = 0; i < 10; i++) REQUIRE(Store(session.get(), "doc" + std::to_string(i), Document("field", 4, "x")).ok());
    REQUIRE(session->Abort().ok());
    CHECK_EQ(ShapeCount(session.get()), 0u);
    // Its block is used for something else now.
    for (int i = 0; i < 200; i++) REQUIRE(session->Set(kRootId, TextKey("k" + std::to_string(i)).key(), TextInput("y"), 0).ok());
  }
  for (int i = 0; i < 10; i++) REQUIRE(Store(session.get(), "doc" + std::to_string(i), Document("field", 4, "x")).ok());
  CHECK_EQ(ShapeCount(session.get()), 1u);
  for (int i = 0; i < 10; i++) CheckDocument(session.get(), "doc" + std::to_string(i), "field", 4, "x");
  VerifyClean(session.get());
}

TEST(SessionsAgreeOnAShape) {
  const Folder folder;
  const std::string path = folder.File("db");
  auto session = OpenSession(path);
  REQUIRE(session != nullptr);
  std::vector<std::thread> threads;
  std::vector<int> failures(3, 0);
  for (size_t t = 0; t < 3; t++)
    threads.emplace_back([&, t] {
      auto own = OpenSession(path);
      for (int i = 0; own != nullptr && i < 300; i++)
        for (const char* names : {"alpha", "beta", "gamma"})
          if (!Store(own.get(), names + std::to_string(t) + std::to_string(i), Document(names, 6, "text")).ok()) failures[t]++;
      if (own == nullptr) failures[t]++;
    });
  for (std::thread& thread : threads) thread.join();
  for (const int failed : failures) CHECK_EQ(failed, 0);
  CHECK_EQ(ShapeCount(session.get()), 3u);
  for (size_t t = 0; t < 3; t++) CheckDocument(session.get(), "gamma" + std::to_string(t) + "299", "gamma", 6, "text");
  VerifyClean(session.get());
  // A rebuilt control file knows the shapes too.
  session.reset();
  unlink((path + "-lock").c_str());
  session = OpenSession(path);
  REQUIRE(session != nullptr);
  CheckDocument(session.get(), "alpha1299", "alpha", 6, "text");
  VerifyClean(session.get());
}

TEST(MapsWithNamesOfTheirOwnGetNone) {
  const Folder folder;
  auto session = OpenSession(folder.File("db"));
  REQUIRE(session != nullptr);
  for (int i = 0; i < 500; i++)
    REQUIRE(Store(session.get(), "doc" + std::to_string(i), Document("only-" + std::to_string(i) + "-", 4, "x")).ok());
  CHECK_EQ(ShapeCount(session.get()), 0u);
  VerifyClean(session.get());
}

}  // namespace
}  // namespace pongo
