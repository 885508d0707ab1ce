// Every public operation of the engine, each on a database of known content: what the tests of faults and of kills go through.
#ifndef PONGO_TEST_CRASH_PUBLIC_OPERATIONS_H_
#define PONGO_TEST_CRASH_PUBLIC_OPERATIONS_H_

#include <functional>

#include "test/crash/disk.h"
#include "test/crash/crash_support.h"

namespace pongo::test {

struct PublicOperation {
  const char* name;
  bool writes;
  std::function<Status(Session*)> run;
};

inline Input WireInput(const std::vector<uint8_t>& wire) {
  Input input;
  input.wire = wire.data();
  input.wire_size = wire.size();
  return input;
}

inline std::vector<uint8_t> IntListWire(uint32_t count) {
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  static_cast<void>(writer.List(count));
  for (uint32_t i = 0; i < count; i++) writer.Int(i);
  return wire;
}

inline std::vector<uint8_t> DictWire(uint32_t count, uint32_t text_size) {
  std::vector<uint8_t> wire;
  WireWriter writer(&wire);
  static_cast<void>(writer.Dict(count));
  const std::string text(text_size, 'd');
  for (uint32_t i = 0; i < count; i++) {
    const std::string name = "name" + std::to_string(i);
    writer.String(reinterpret_cast<const uint8_t*>(name.data()), static_cast<uint32_t>(name.size()));
    writer.String(reinterpret_cast<const uint8_t*>(text.data()), text_size);
  }
  return wire;
}

inline uint64_t ContainerAt(Session* session, const std::string& key) {
  uint64_t id = 0;
  static_cast<void>(session->Get(0, kRootId, TextKey(key).key(), [&](const ValueView& v) { id = v.id; }).ok());
  return id;
}

// A closed database: texts, numbers, a List, a Dict, a large value; the file is nearly full, so that operations make it grow.
inline void MakeTemplate(const std::string& path) {
  auto session = OpenSession(path, QuietOptions(64u << 10));
  if (session == nullptr) std::abort();
  bool ok = true;
  for (int i = 0; i < 60; i++) ok = ok && SetText(session.get(), "key" + std::to_string(i), std::string(static_cast<size_t>(i * 9), 't')).ok();
  ok = ok && session->Set(kRootId, TextKey("number").key(), IntInput(41), 0).ok();
  const std::vector<uint8_t> list = IntListWire(300);
  const std::vector<uint8_t> dict = DictWire(20, 50);
  ok = ok && session->Set(kRootId, TextKey("list").key(), WireInput(list), 0).ok();
  ok = ok && session->Set(kRootId, TextKey("dict").key(), WireInput(dict), 0).ok();
  ok = ok && SetText(session.get(), "large", std::string(100'000, 'L')).ok();
  if (!ok || !session->Close().ok()) std::abort();
}

inline void CopyTemplate(const std::string& from, const std::string& to) {
  unlink((to + "-lock").c_str());
  unlink(to.c_str());
  WriteFile(to, ReadWholeFile(from));
}

// Values all over the second half of a file that is much longer than what is left of them. What recovery left is described before, for
// nothing is moved meanwhile.
inline Status Scatter(Session* session) {
  Counts counts;
  std::string problem;
  PONGO_TRY(session->Verify(&counts, &problem));
  bool committed;
  PONGO_TRY(session->Begin());
  const auto name = [](int i) { return "scattered" + std::to_string(i); };
  for (int i = 0; i < 1000; i++) PONGO_TRY(SetText(session, name(i), std::string(900, 's')));
  PONGO_TRY(session->Commit(&committed));
  bool present;
  for (int i = 0; i < 1000; i++)
    if (i < 500 || i % 6 != 0) PONGO_TRY(session->Delete(kRootId, TextKey(name(i)).key(), &present));
  return session->Sync();
}

inline PathStep StepTo(const Key& key) {
  PathStep step;
  step.key = key;
  return step;
}

inline std::vector<PublicOperation> KeyedOperations() {
  return {
      {"get", false, [](Session* s) { return s->Get(0, kRootId, TextKey("key7").key(), [](const ValueView&) {}); }},
      {"set", true, [](Session* s) { return SetText(s, "key7", "changed"); }},
      {"set of a large value", true, [](Session* s) { return SetText(s, "key7", std::string(300'000, 'x')); }},
      {"set with sync", true,
       [](Session* s) { return s->Set(kRootId, TextKey("key7").key(), TextInput("durable"), kSetSync); }},
      {"delete", true,
       [](Session* s) {
         bool present;
         return s->Delete(kRootId, TextKey("key8").key(), &present);
       }},
      {"pop", true, [](Session* s) { return s->Pop(kRootId, TextKey("large").key(), [](const ValueView&) {}); }},
      {"update", true,
       [](Session* s) {
         const std::vector<uint8_t> wire = DictWire(200, 400);
         return s->Update(kRootId, wire.data(), wire.size());
       }},
      {"increment", true,
       [](Session* s) { return s->Increment(kRootId, TextKey("number").key(), IntInput(1).view, [](const ValueView&) {}); }},
      {"compare and set", true,
       [](Session* s) {
         const Input old = IntInput(41), next = IntInput(42);
         bool swapped;
         return s->CompareAndSet(kRootId, TextKey("number").key(), &old, &next, &swapped);
       }},
      {"shift", true, [](Session* s) { return s->Shift(kRootId, [](const Key&, const ValueView&) { return true; }); }},
      {"bounds and rank", false,
       [](Session* s) {
         uint64_t begin, end;
         PONGO_TRY(s->Bounds(0, kRootId, TextKey("key1").key(), TextKey("key5").key(), 0, &begin, &end));
         return s->Rank(0, kRootId, TextKey("key7").key(), &begin);
       }},
      {"page", false, [](Session* s) { return s->Page(0, kRootId, 0, 20, 1, [](const Key&, const ValueView&) { return true; }); }},
  };
}

inline std::vector<PublicOperation> ContainerOperations() {
  return {
      {"get by path", false,
       [](Session* s) {
         const TextKey a("dict"), b("name3");
         const PathStep steps[] = {StepTo(a.key()), StepTo(b.key())};
         return s->GetPath(0, kRootId, steps, 2, [](const ValueView&) {});
       }},
      {"set by path", true,
       [](Session* s) {
         const TextKey a("dict"), b("name3");
         const PathStep steps[] = {StepTo(a.key()), StepTo(b.key())};
         return s->SetPath(kRootId, steps, 2, TextInput("by path"), 0);
       }},
      {"delete by path", true,
       [](Session* s) {
         const TextKey a("dict"), b("name4");
         const PathStep steps[] = {StepTo(a.key()), StepTo(b.key())};
         bool present;
         return s->DeletePath(kRootId, steps, 2, &present);
       }},
      {"set of a container", true,
       [](Session* s) {
         const std::vector<uint8_t> wire = IntListWire(2000);
         return s->Set(kRootId, TextKey("dict").key(), WireInput(wire), 0);
       }},
      {"create", true,
       [](Session* s) {
         const std::vector<uint8_t> wire = DictWire(30, 20);
         uint64_t id;
         uint32_t cell;
         PONGO_TRY(s->Create(Kind::kDict, wire.data(), wire.size(), &id, &cell));
         s->UnpinContainer(cell);
         return Status::Ok();
       }},
      {"clear", true, [](Session* s) { return s->Clear(ContainerAt(s, "dict")); }},
      {"replace", true,
       [](Session* s) {
         const std::vector<uint8_t> wire = DictWire(60, 100);
         return s->Replace(ContainerAt(s, "dict"), wire.data(), wire.size());
       }},
      {"native", false,
       [](Session* s) {
         std::vector<uint8_t> wire;
         return s->Native(0, kRootId, &wire);
       }},
      {"list get", false, [](Session* s) { return s->ListGet(0, ContainerAt(s, "list"), 5, [](const ValueView&) {}); }},
      {"list set", true, [](Session* s) { return s->ListSet(ContainerAt(s, "list"), 5, TextInput("five")); }},
      {"list splice", true,
       [](Session* s) {
         const std::vector<uint8_t> wire = IntListWire(1000);
         uint64_t length;
         return s->ListSplice(ContainerAt(s, "list"), 100, 50, wire.data(), wire.size(), &length);
       }},
      {"list push", true,
       [](Session* s) {
         uint64_t length;
         return s->ListPush(ContainerAt(s, "list"), TextInput("last"), &length);
       }},
      {"list pop", true, [](Session* s) { return s->ListPop(ContainerAt(s, "list"), [](const ValueView&) {}); }},
      {"list shift", true, [](Session* s) { return s->ListShift(ContainerAt(s, "list"), [](const ValueView&) {}); }},
  };
}

// The steps of the transaction below; a step that fails has changed nothing.
inline Status TransactionStep(Session* s, int step) {
  if (step == 0) return SetText(s, "key1", std::string(2'000, 'A'));
  if (step == 1) {
    const std::vector<uint8_t> wire = DictWire(400, 300);
    return s->Update(kRootId, wire.data(), wire.size());
  }
  return SetText(s, "key2", std::string(200'000, 'B'));
}
inline constexpr int kTransactionSteps = 3;

inline std::vector<PublicOperation> DatabaseOperations() {
  return {
      {"transaction", true,
       [](Session* s) {
         bool committed;
         PONGO_TRY(s->Begin());
         for (int step = 0; step < kTransactionSteps; step++)
           if (const Status status = TransactionStep(s, step); !status.ok()) {
             PONGO_TRY(s->Abort());
             return status;
           }
         return s->Commit(&committed);
       }},
      {"transaction that is aborted", false,
       [](Session* s) {
         PONGO_TRY(s->Begin());
         const Status set = SetText(s, "key1", std::string(90'000, 'A'));
         PONGO_TRY(s->Abort());
         return set;
       }},
      {"snapshot", false,
       [](Session* s) {
         uint64_t view;
         PONGO_TRY(s->Snapshot(&view));
         const Status status = s->Get(view, kRootId, TextKey("key7").key(), [](const ValueView&) {});
         PONGO_TRY(s->Release(view));
         return status;
       }},
      {"sync", false,
       [](Session* s) {
         PONGO_TRY(s->Increment(kRootId, TextKey("synced").key(), IntInput(0).view, [](const ValueView&) {}));
         return s->Sync();
       }},
      {"verify", false,
       [](Session* s) {
         Counts counts;
         std::string problem;
         return s->Verify(&counts, &problem);
       }},
      {"gc", false,
       [](Session* s) {
         Counts before, after;
         return s->Gc(false, &before, &after);
       }},
      {"complete gc", false,
       [](Session* s) {
         Counts before, after;
         return s->Gc(true, &before, &after);
       }},
      {"set of chunksize", false, [](Session* s) { return s->SetChunkSize(128u << 10); }},
      {"set of the id property", false, [](Session* s) { return s->SetIdKey("key"); }},
  };
}

inline std::vector<PublicOperation> PublicOperations() {
  std::vector<PublicOperation> all = KeyedOperations();
  for (auto& more : {ContainerOperations(), DatabaseOperations()}) all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace pongo::test

#endif  // PONGO_TEST_CRASH_PUBLIC_OPERATIONS_H_
