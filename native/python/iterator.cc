// PongoIter: iteration over the version of the moment of iter(). Small containers are read at once; of larger ones a
// version is pinned, until the iterator is exhausted or dropped, and read in pages.
#include <cstddef>

#include "convert.h"
#include "database.h"
#include "handle.h"
#include "methods.h"

namespace pongo::python {
namespace {

constexpr uint64_t kPageSize = 256;

struct Walk {
  explicit Walk(HandleObject* handle) : page(handle) {}
  EntryList page;
  size_t at = 0;             // in the page
  uint64_t position = 0;     // of the next page
  uint64_t left = 0;         // entries after this page
  bool pairs = false;
  // The bounds of expr(), as ordered keys.
  KeyBuffer lower, upper;
  bool has_lower = false, has_upper = false, lower_open = false, upper_open = false;
};

struct IteratorObject {
  PyObject_HEAD
  ProxyObject* container;
  SnapshotObject* view;      // null: everything is in the page
  Walk* walk;                // null: exhausted
  bool running;              // making an object may run Python code, which must not come back
};

IteratorObject* Self(PyObject* self) { return reinterpret_cast<IteratorObject*>(self); }

bool ReadPage(IteratorObject* self, Session* session, uint64_t view, uint64_t count) {
  Walk* walk = self->walk;
  walk->page.Clear();
  walk->at = 0;
  uint64_t passed = 0;  // more than the page has entries when some have expired
  const Status status = session->Page(view, self->container->id, walk->position, count, 1,
                                      [walk](const Key& key, const ValueView& value) { return walk->page.Add(key, value); }, &passed);
  if (!status.ok()) {
    Raise(status);
    return false;
  }
  walk->position += passed;
  walk->left = passed < count || passed > walk->left ? 0 : walk->left - passed;
  return true;
}

bool OpenPinned(IteratorObject* self) {
  Session* home = HomeOf(self->container->handle);
  if (home == nullptr) return false;
  if (self->view->view == 0) {
    Raise(Code::kSNAPSHOT, "the snapshot was released");
    return false;
  }
  const Status status = home->Size(self->view->view, self->container->id, &self->walk->left);
  if (!status.ok()) Raise(status);
  return status.ok();
}

bool Start(IteratorObject* self) {
  ProxyObject* container = self->container;
  if (container->snapshot != nullptr) {
    Py_INCREF(container->snapshot);
    self->view = container->snapshot;
    return OpenPinned(self);
  }
  Session* session = SessionOf(container->handle);
  if (session == nullptr) return false;
  // In a transaction all is read now: it may go on changing the container.
  if (session->InTransaction()) return ReadPage(self, session, 0, ~uint64_t{0});
  if (!ReadPage(self, session, 0, kPageSize)) return false;
  if (self->walk->position < kPageSize) return true;
  self->walk->page.Clear();
  self->walk->position = 0;
  self->view = MakeSnapshot(container->handle);
  return self->view != nullptr && OpenPinned(self);
}

void Finish(IteratorObject* self) {
  delete std::exchange(self->walk, nullptr);
  // A snapshot that was made for this iterator is released with it.
  Py_CLEAR(self->view);
}

// Whether an ordered key lies within the bounds of expr(): -1 below, 0 within, 1 above.
int Side(const Walk& walk, const Key& key) {
  if (walk.has_lower) {
    const Key bound = walk.lower.key();
    const int order = CompareBytes(key.data, key.size, bound.data, bound.size);
    if (order < 0 || (order == 0 && walk.lower_open)) return -1;
  }
  if (!walk.has_upper) return 0;
  const Key bound = walk.upper.key();
  const int order = CompareBytes(key.data, key.size, bound.data, bound.size);
  return order > 0 || (order == 0 && walk.upper_open) ? 1 : 0;
}

// The next object, or null with StopIteration or without (`skip`: it is outside of the bounds).
PyObject* Entry(IteratorObject* self, bool* skip) {
  Walk* walk = self->walk;
  ProxyObject* container = self->container;
  const size_t i = walk->at++;
  const bool bounded = walk->has_lower || walk->has_upper;
  if (container->kind == Kind::kList) {
    Owned value(walk->page.ReleaseValue(i, container->snapshot));
    if (!bounded || !value) return value.release();
    KeyBuffer key;  // what is no key has no place in the order
    *skip = !ReadKey(container->handle, value.get(), &key) || Side(*walk, key.key()) != 0;
    PyErr_Clear();
    return *skip ? nullptr : value.release();
  }
  if (bounded && Side(*walk, walk->page.KeyAt(i)) != 0) {
    *skip = true;
    return nullptr;
  }
  Owned key(walk->page.ReleaseKey(i));
  if (!key || !walk->pairs) return key.release();
  const Owned value(walk->page.ReleaseValue(i, container->snapshot));
  return value ? PyTuple_Pack(2, key.get(), value.get()) : nullptr;
}

bool RefuseNested(const IteratorObject* self) {
  if (self->running) Raise(Code::kVALUE, "the iterator is already executing");
  return self->running;
}

PyObject* Next(PyObject* object) {
  IteratorObject* self = Self(object);
  if (self->walk == nullptr || RefuseNested(self)) return nullptr;
  Session* home = HomeOf(self->container->handle);
  if (home == nullptr) {
    Finish(self);
    return nullptr;
  }
  while (self->walk != nullptr) {
    Walk* walk = self->walk;
    while (walk->at == walk->page.size()) {
      if (self->view == nullptr || walk->left == 0) {
        Finish(self);
        return nullptr;
      }
      if ((self->view->view == 0 && Raise(Code::kSNAPSHOT, "the snapshot was released") == nullptr) ||
          !ReadPage(self, home, self->view->view, walk->left < kPageSize ? walk->left : kPageSize)) {
        Finish(self);
        return nullptr;
      }
    }
    bool skip = false;
    self->running = true;
    PyObject* entry = Entry(self, &skip);
    self->running = false;
    if (!skip) return entry;
  }
  return nullptr;
}

// expr(lhs=None, rhs=None, lhex=0, rhex=0)
PyObject* Expression(PyObject* object, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"lhs", "rhs", "lhex", "rhex", nullptr};
  PyObject *lower = Py_None, *upper = Py_None;
  int lower_open = 0, upper_open = 0;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "|OOpp:expr", const_cast<char**>(names), &lower, &upper, &lower_open, &upper_open))
    return nullptr;
  IteratorObject* self = Self(object);
  if (self->walk == nullptr) return NewReference(object);
  if (RefuseNested(self)) return nullptr;
  Walk* walk = self->walk;
  HandleObject* handle = self->container->handle;
  walk->lower.Clear();
  walk->upper.Clear();
  // Reading a key may run Python code too.
  self->running = true;
  const bool read = (lower == Py_None || ReadKey(handle, lower, &walk->lower)) && (upper == Py_None || ReadKey(handle, upper, &walk->upper));
  self->running = false;
  if (!read) return nullptr;
  walk->has_lower = lower != Py_None;
  walk->has_upper = upper != Py_None;
  walk->lower_open = lower_open != 0;
  walk->upper_open = upper_open != 0;
  walk->pairs = true;
  // Nothing read yet of a pinned version: go straight to the range.
  if (self->view != nullptr && walk->position == 0 && self->container->kind != Kind::kList) {
    Session* home = HomeOf(handle);
    if (home == nullptr) return nullptr;
    const uint32_t flags = (walk->has_lower ? kLower : 0u) | (lower_open != 0 ? 0u : kLowerInclusive) |
                           (walk->has_upper ? kUpper : 0u) | (upper_open != 0 ? 0u : kUpperInclusive);
    uint64_t begin = 0, end = 0;
    const Status status = home->Bounds(self->view->view, self->container->id, walk->lower.key(), walk->upper.key(), flags, &begin, &end);
    if (!status.ok()) return Raise(status);
    walk->position = begin;
    walk->left = end - begin;
  }
  return NewReference(object);
}

PyObject* Represent(PyObject* object) {
  return PyUnicode_FromFormat("PongoIter(%llu)", static_cast<unsigned long long>(Self(object)->container->id));
}

void Dealloc(PyObject* object) {
  IteratorObject* self = Self(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  Finish(self);
  Py_CLEAR(self->container);
  type->tp_free(object);
  Py_DECREF(type);
}

int Traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(AsObject(Self(object)->container));
  Py_VISIT(AsObject(Self(object)->view));
  return 0;
}

PyMethodDef methods[] = {
    {"expr", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Expression)), METH_VARARGS | METH_KEYWORDS,
     "expr($self, lhs=None, rhs=None, lhex=0, rhex=0)\n--\n\n"
     "Limits the iterator to lhs <= item <= rhs; None: no limit; lhex, rhex: < instead of <=. Of a Dict or Collection the items\n"
     "are keys, and it yields pairs (key, value) from here on; of a List values. O(log n) to begin in a large Collection.\n\n"
     ">>> for name, user in iter(users).expr('a', 'b', rhex=1): ..."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

PyObject* MakeIterator(PyObject* container) {
  PyTypeObject* type = module.iterator_class;
  IteratorObject* self = Self(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  self->container = AsProxy(NewReference(container));
  self->walk = new Walk(self->container->handle);
  if (Start(self)) return AsObject(self);
  Py_DECREF(self);
  return nullptr;
}

bool AddIteratorType(PyObject* m) {
  static PyType_Slot slots[] = {
      {Py_tp_dealloc, Slot(Dealloc)}, {Py_tp_traverse, Slot(Traverse)},         {Py_tp_new, Slot(RefuseNew)},
      {Py_tp_repr, Slot(Represent)},  {Py_tp_iter, Slot(PyObject_SelfIter)},    {Py_tp_iternext, Slot(Next)},
      {Py_tp_methods, methods},       {Py_tp_doc, const_cast<char*>("An iterator over one version of a container.")},
      {0, nullptr},
  };
  static PyType_Spec spec = {"pongo.PongoIter", sizeof(IteratorObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
  iterator_type = AddType(m, &spec, "PongoIter");
  return iterator_type != nullptr;
}

}  // namespace pongo::python
