#include "store/slab_writer.h"

#include <cstring>

#include "util/bits.h"

namespace pongo {
namespace {

SlabHeader HeaderFor(uint32_t size_class, uint64_t slabs) {
  SlabHeader header{};
  header.magic = kSlabMagic;
  header.size_class = static_cast<uint8_t>(size_class);
  header.span_slabs = static_cast<uint32_t>(slabs);
  return header;
}

uint64_t SpanSlabs(uint64_t size) { return (size + sizeof(SlabHeader) + kSlabSize - 1) / kSlabSize; }

}  // namespace

uint64_t SlabWriter::BlockSize(uint64_t size) {
  const uint32_t size_class = ClassForSize(size);
  return size_class == kSpanClass ? SpanSlabs(size) * kSlabSize - sizeof(SlabHeader) : kClassSizes[size_class];
}

Status SlabWriter::Take(uint64_t slabs, uint64_t* first) {
  if (slab_next_ + slabs > kFileSizeMax / kSlabSize) return Status(Code::kFULL, "the copy would be longer than a database can be");
  *first = slab_next_;
  slab_next_ += slabs;
  return Status::Ok();
}

Status SlabWriter::Append(const uint8_t* bytes, uint64_t size, Ref* ref) {
  const uint32_t size_class = ClassForSize(size);
  bytes_ += BlockSize(size);
  if (size_class == kSpanClass) return AppendSpan(bytes, size, ref);
  OpenSlab& open = open_[size_class];
  if (open.content == nullptr) {
    PONGO_TRY(Take(1, &open.slab));
    open.content = std::make_unique<uint8_t[]>(kSlabSize);
    Store(open.content.get(), HeaderFor(size_class, 1));
  }
  const uint32_t index = open.used++;
  std::memcpy(open.content.get() + sizeof(SlabHeader) + size_t{index} * kClassSizes[size_class], bytes, size);
  *ref = BlockAt(open.slab, index, size_class);
  return open.used == BlocksPerSlab(size_class) ? Write(&open) : Status::Ok();
}

Status SlabWriter::AppendSpan(const uint8_t* bytes, uint64_t size, Ref* ref) {
  const uint64_t slabs = SpanSlabs(size);
  uint64_t first;
  PONGO_TRY(Take(slabs, &first));
  const SlabHeader header = HeaderFor(kSpanClass, slabs);
  PONGO_TRY(port::WriteAt(*file_, first * kSlabSize, &header, sizeof header));
  PONGO_TRY(port::WriteAt(*file_, first * kSlabSize + sizeof header, bytes, size));
  *ref = MakeRef(first * kSlabSize + sizeof header, kSpanClass);
  return Status::Ok();
}

Status SlabWriter::Write(OpenSlab* open) {
  const Status status = port::WriteAt(*file_, open->slab * kSlabSize, open->content.get(), kSlabSize);
  *open = OpenSlab();
  return status;
}

Status SlabWriter::Finish(uint64_t* length) {
  for (OpenSlab& open : open_)
    if (open.content != nullptr) PONGO_TRY(Write(&open));
  *length = slab_next_ * kSlabSize;
  // The rest of a span at the end, and of slab 0. Reserved, not sparse: a process that maps the file may touch it all.
  return port::Allocate(*file_, 0, *length);
}

}  // namespace pongo
