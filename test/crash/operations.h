// Random operations of all kinds on one database; each is at most one commit.
#ifndef PONGO_TEST_CRASH_OPERATIONS_H_
#define PONGO_TEST_CRASH_OPERATIONS_H_

#include <random>

#include "test/crash/crash_support.h"

namespace pongo::test {

struct OperationMix {
  uint64_t keys = 120;
  uint64_t text_max = 600;        // bytes
  uint64_t large_max = 150'000;   // bytes; one in fifty
};

class RandomOperations {
 public:
  RandomOperations(Session* session, std::mt19937_64* random, OperationMix mix = {}) : session_(session), random_(random), mix_(mix) {}

  Status Next() {
    switch (Below(14)) {
      case 0:
      case 1:
      case 2:
      case 3: return SetText(session_, SomeKey(), Text());
      case 4: {
        bool present;
        return session_->Delete(kRootId, TextKey(SomeKey()).key(), &present);
      }
      case 5: return session_->Pop(kRootId, TextKey(SomeKey()).key(), [](const ValueView&) {});
      case 6: return session_->Increment(kRootId, TextKey("n" + std::to_string(Below(4))).key(), IntInput(1).view, [](const ValueView&) {});
      case 7: return Update();
      case 8: return SetContainer();
      case 9:
      case 10: return Splice();
      case 11: return Transaction();
      case 12: {
        const Input next = TextInput(text_ = Text());
        bool swapped;
        return session_->CompareAndSet(kRootId, TextKey(SomeKey()).key(), nullptr, &next, &swapped);
      }
      default: return session_->Shift(kRootId, [](const Key&, const ValueView&) { return true; });
    }
  }

  uint64_t Below(uint64_t bound) { return (*random_)() % bound; }

 private:
  std::string SomeKey() { return "key" + std::to_string(Below(mix_.keys)); }
  std::string Text() {
    const uint64_t limit = Below(50) == 0 ? mix_.large_max : mix_.text_max;
    return std::string(Below(limit + 1), static_cast<char>('a' + Below(26)));
  }
  // A Dict (list == false) or List of small values.
  std::vector<uint8_t> Plain(bool list) {
    std::vector<uint8_t> wire;
    WireWriter writer(&wire);
    const uint64_t count = Below(12);
    if (list) {
      static_cast<void>(writer.List(static_cast<uint32_t>(count)));
    } else {
      static_cast<void>(writer.Dict(static_cast<uint32_t>(count)));
    }
    for (uint64_t i = 0; i < count; i++) {
      const std::string name = "p" + std::to_string(i);
      if (!list) writer.String(reinterpret_cast<const uint8_t*>(name.data()), static_cast<uint32_t>(name.size()));
      const std::string text(Below(40), 'v');
      if (Below(2) == 0)
        writer.Int(static_cast<int64_t>(Below(1000)));
      else
        writer.String(reinterpret_cast<const uint8_t*>(text.data()), static_cast<uint32_t>(text.size()));
    }
    return wire;
  }
  Status Update() {
    const std::vector<uint8_t> wire = Plain(false);
    return session_->Update(kRootId, wire.data(), wire.size());
  }
  Status SetContainer() {
    const std::vector<uint8_t> wire = Plain(Below(2) == 0);
    Input input;
    input.wire = wire.data();
    input.wire_size = wire.size();
    return session_->Set(kRootId, TextKey("box" + std::to_string(Below(6))).key(), input, 0);
  }
  Status Splice() {
    uint64_t list = 0;
    PONGO_TRY(session_->Get(0, kRootId, TextKey("list").key(), [&](const ValueView& v) { list = v.id; }));
    if (list == 0) {
      std::vector<uint8_t> wire;
      static_cast<void>(WireWriter(&wire).List(0));
      Input input;
      input.wire = wire.data();
      input.wire_size = wire.size();
      return session_->Set(kRootId, TextKey("list").key(), input, 0);
    }
    uint64_t length;
    PONGO_TRY(session_->Size(0, list, &length));
    const std::vector<uint8_t> wire = Plain(true);
    return session_->ListSplice(list, Below(length + 1), Below(6), wire.data(), wire.size(), &length);
  }
  Status Transaction() {
    for (bool committed = false; !committed;) {
      PONGO_TRY(session_->Begin());
      for (uint64_t i = Below(5); i-- > 0;)
        if (const Status status = SetText(session_, SomeKey(), Text()); !status.ok()) {
          static_cast<void>(session_->Abort().ok());
          return status;
        }
      PONGO_TRY(session_->Commit(&committed));
    }
    return Status::Ok();
  }

  Session* session_;
  std::mt19937_64* random_;
  OperationMix mix_;
  std::string text_;
};

}  // namespace pongo::test

#endif  // PONGO_TEST_CRASH_OPERATIONS_H_
