"""The live containers: what need not be fast of PongoDict, PongoCollection and PongoList, over the engine's types."""

from collections.abc import ItemsView, KeysView, Mapping, MutableMapping, MutableSequence, Sequence, ValuesView
from operator import index as to_index

from . import _errors as errors
from ._compare import equal, same
from ._handles import close
from ._json import parse, text_of
from ._pongo import Keyed as _Keyed, Sequence as _Sequence
from ._search import search as _search
from ._transaction import atomically

DICT, LIST, COLLECTION, MULTI = 1, 2, 3, 4
_BOUND_MAX = 2**40

_missing = object()


def adapt(value):
    """What an object of another class is stored as: a mapping as a dict, a sequence as a list. TypeError for the rest."""
    if isinstance(value, (Mapping, KeysView, ItemsView, ValuesView)):
        if not isinstance(value, Mapping):
            raise TypeError
        return {key: value[key] for key in value}
    if isinstance(value, Sequence) and not isinstance(value, memoryview):
        return list(value)
    kind = type(value)
    if all(hasattr(kind, name) for name in ('__getitem__', '__setitem__', '__len__', '__iter__')):
        # Something like a mapping: it has keys(), or yields pairs.
        if hasattr(kind, 'keys'):
            return {key: value[key] for key in value.keys()}
        pairs = list(value)
        if all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            return dict(pairs)
    raise TypeError


def handle_of(db):
    """The handle of a root; TypeError for anything else."""
    if not isinstance(db, PongoCollection) or db.id != 1:
        raise errors.TypeError('the argument must be a root, as pongo.open() returns it')
    return db._handle


def _refuse_pickle(self, *_):
    raise errors.TypeError(
        f'a live {type(self).__name__} cannot be pickled: send its native() copy, or open the file in the other process'
    )


class _Container:
    __slots__ = ()
    __hash__ = None
    __reduce__ = _refuse_pickle
    __reduce_ex__ = _refuse_pickle

    def __repr__(self):
        return f'{type(self).__name__}({self._handle.path!r}, {self.id})'

    def __eq__(self, other):
        if self is other:
            return True
        return equal(self, other) if isinstance(other, self._like) else NotImplemented

    def __ne__(self, other):
        same = self.__eq__(other)
        return same if same is NotImplemented else not same

    def __deepcopy__(self, _memo):
        return self.native()


class _Mapping(_Container, _Keyed):
    __slots__ = ()
    _like = Mapping

    def update(self, *args, sync=None, **items):
        """Stores many items in one commit: of a mapping, of pairs, by name. O(m log n).

        A second argument, or sync by name together with a first argument: True returns when the commit is on disk.

        >>> users.update({'ann': {'age': 30}, 'bob': {'age': 25}})
        """
        if len(args) > 2:
            raise TypeError(f'update() takes at most 2 arguments ({len(args)} given)')
        if not args and sync is not None:
            items['sync'] = sync
            sync = None
        elif len(args) == 2:
            sync = args[1]
        content = {}
        if args:
            source = args[0]
            if isinstance(source, _Mapping) or hasattr(source, 'items'):
                content.update(source.items())
            elif hasattr(source, 'keys'):
                content.update((key, source[key]) for key in source.keys())
            else:
                content.update(source)
        content.update(items)
        if content:
            self._update(content)
        if sync:
            self._handle.sync()

    def popitem(self):
        """Removes the item with the greatest key and returns it as (key, value), atomically. KeyError when empty."""

        def take():
            last = self._last()
            if last is None:
                raise errors.KeyError('popitem(): the container is empty')
            return last[0], self.pop(last[0])

        return atomically(self._handle, take)

    def setdefault(self, key, default=None):
        """The value of a key; when it is absent, default is stored first. Atomic."""

        def run():
            found = _Keyed.get(self, [key], _missing)
            if found is not _missing:
                return found
            self[key] = default
            return self[key]

        return atomically(self._handle, run)

    def modify(self, key, fn, default=None):
        """Replaces a value by fn(value), atomically; returns that. fn may run again. An absent one is default. An expiry stays.

        >>> counts.modify('ann', lambda n: (n or 0) * 2)
        """

        def run():
            value = fn(_Keyed.get(self, path, default))
            self._keep(path, value)
            return value

        path = key if isinstance(key, list) else [key]
        return atomically(self._handle, run)

    def copy(self):
        """A dict of the items; containers in it are live."""
        return dict(self.items())

    __copy__ = copy

    def search(self, path, relop, value):
        """The children whose value at path compares with value: a dict of them, live, in the order of keys. O(n).

        path is a str, split at dots, or a list; '*' stands for every element. relop is == != < <= > >= or eq ne lt le gt
        ge: another is a ValueError, a bad path a TypeError.

        >>> users.search('age', '>=', 18)
        >>> posts.search('tags.*', '==', 'red')
        """
        return _search(self, path, relop, value)

    def __or__(self, other):
        return NotImplemented if not isinstance(other, Mapping) else {**self.copy(), **other}

    def __ror__(self, other):
        return NotImplemented if not isinstance(other, Mapping) else {**other, **self.copy()}

    def __ior__(self, other):
        self.update(other)
        return self

    def __reversed__(self):
        return reversed(self.keys())

    def _json(self, replace, args):
        if len(args) > 2:
            raise TypeError(f'json() takes at most 2 arguments ({len(args)} given)')
        if not args:
            return text_of(self._json_form())
        if len(args) == 2:
            self[args[0]] = parse(args[1])
            return None
        return replace(args[0])


class PongoDict(_Mapping):
    """A live dict in a database: keys of any type in one order. Made by assigning a dict, or by PongoDict.create(db).

    >>> db['ann'] = {'age': 30}     # stores a copy
    >>> db['ann']['age'] = 31       # a write to the file
    """

    __slots__ = ()

    @staticmethod
    def create(db):
        """A new empty dict, kept when it is assigned somewhere. TypeError when db is no root."""
        return handle_of(db).create(DICT)

    def json(self, *args):
        """json() -> JSON text; json(text) replaces the content by that of the text; json(key, text) stores it at a key."""

        def replace(text):
            value = parse(text)
            if not isinstance(value, dict):
                raise errors.TypeError('the JSON text must be an object, as what it replaces')
            self._replace(value)

        return self._json(replace, args)


class PongoCollection(_Mapping):
    """An ordered map of any size in a database. Made by PongoCollection.create(db).

    >>> users = db['users'] = pongo.PongoCollection.create(db)
    >>> users['ann'] = {'age': 30}
    """

    __slots__ = ()

    @staticmethod
    def create(db, multi=False, *, max_items=None, max_bytes=None, evict=None):
        """A new empty collection, kept when it is assigned somewhere. multi: many values for one key. TypeError when db is
        no root.

        max_items, max_bytes: a cache that all processes share and that stays within these bounds; bytes are those of keys
        and values, as stored. evict: what goes when there is no room, 'lru' (default), the entry least recently used, or
        'fifo', the one inserted first.

        >>> cache = db['cache'] = pongo.PongoCollection.create(db, max_items=10_000)
        """
        handle = handle_of(db)
        for name, value in (('max_items', max_items), ('max_bytes', max_bytes)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _BOUND_MAX):
                raise errors.ArgError(f'{name} must be an int from 1 to 2**40, not {value!r}')
        if evict not in (None, 'lru', 'fifo'):
            raise errors.ArgError(f"evict must be 'lru' or 'fifo', not {evict!r}")
        if max_items is None and max_bytes is None:
            if evict is not None:
                raise errors.ArgError('evict needs max_items or max_bytes')
            return handle.create(MULTI if multi else COLLECTION)
        if multi:
            raise errors.ArgError('a collection with many values for one key cannot be bounded')
        return handle.create_bounded(max_items or 0, max_bytes or 0, evict == 'fifo')

    @property
    def bounds(self):
        """The bounds as a dict (max_items, max_bytes, evict, and with max_bytes the bytes there are now), or None."""
        found = self._bounds_of()
        if found is None:
            return None
        max_items, max_bytes, fifo, size = found
        return {
            **({'max_items': max_items} if max_items else {}),
            **({'max_bytes': max_bytes, 'bytes': size} if max_bytes else {}),
            'evict': 'fifo' if fifo else 'lru',
        }

    def expire(self, key, ttl):
        """Gives a key ttl seconds (or a timedelta) to live: from then on it is absent for every process. Returns whether it
        is there. By the wall clock; one instant for a whole transaction. O(log n).

        >>> sessions.expire(token, 30 * 60)
        """
        if ttl is None:
            raise errors.ArgError('ttl must be seconds or a timedelta: persist(key) takes an expiry away')
        return self._set_expiry(key, ttl)

    def ttl(self, key):
        """The seconds that a key has left; None when it has no expiry or is absent. O(log n)."""
        return self._time_left(key)

    def persist(self, key):
        """Takes the expiry of a key away. Returns whether the key is there. O(log n)."""
        return self._set_expiry(key, None)

    def multi(self):
        """Whether a key has many values."""
        return self._kind == MULTI

    def json(self, *args):
        """json() -> JSON text; json(key, text) stores what the text says at a key. There is no form with one argument."""

        def refuse(_text):
            raise NotImplementedError('a collection has only the forms json() and json(key, text)')

        return self._json(refuse, args)

    # The root is also a context manager: it closes the database.
    def __enter__(self):
        handle_of(self)
        len(self)  # for its errors: a closed one
        return self

    def __exit__(self, *_):
        close(self._handle)


class PongoMultiCollection(PongoCollection):
    """A collection in which a key has many values, each once, in their order: a mapping of keys to tuples.

    c[key] = value adds a value; c[key] is the tuple of all; del c[key] removes all, del c[key, value] one. len() is the
    number of keys, O(keys * log n).
    """

    __slots__ = ()

    def update(self, *args, sync=None, **items):
        """Adds many values in one commit: of pairs, each as it is; of a collection of this kind, all values of its keys."""
        if len(args) > 2:
            raise TypeError(f'update() takes at most 2 arguments ({len(args)} given)')
        source = args[0] if args else ()
        if isinstance(source, PongoMultiCollection):
            pairs = [(key, value) for key, values in source.items() for value in values]
        elif hasattr(source, 'keys'):
            pairs = [(key, source[key]) for key in source.keys()]
        else:
            pairs = [(key, value) for key, value in source]
        if not args and sync is not None:
            items['sync'], sync = sync, None
        pairs.extend(items.items())

        def add():
            for key, value in pairs:
                self[key] = value

        atomically(self._handle, add)
        if args[1] if len(args) == 2 else sync:
            self._handle.sync()

    def _groups(self):
        def read():
            groups = []
            for key, value in self._page(0, 2**63, 1, True, True):
                if groups and type(groups[-1][0]) is type(key) and groups[-1][0] == key:
                    groups[-1][1].append(value)
                else:
                    groups.append((key, [value]))
            return groups

        return [(key, tuple(values)) for key, values in read()]

    def keys(self):
        """The keys in order, each once."""
        return [key for key, _ in self._groups()]

    def values(self):
        """A tuple of values for each key."""
        return [values for _, values in self._groups()]

    def items(self):
        """Pairs of a key and the tuple of its values."""
        return self._groups()

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return len(self.keys())

    def __delitem__(self, key):
        def remove():
            if key in self or not (isinstance(key, tuple) and len(key) == 2):
                super(PongoMultiCollection, self).__delitem__(key)
            elif not self._remove(key[0], key[1]):
                raise errors.KeyError(key)

        atomically(self._handle, remove)

    def _remove(self, key, value):
        values = self.get([key], ())
        left = [other for other in values if not same(other, value)]
        if len(left) == len(values):
            return False
        super().__delitem__(key)
        for other in left:
            self[key] = other
        return True

    def popitem(self):
        """Removes the greatest key with all its values: (key, tuple). KeyError when empty."""

        def take():
            keys = self.keys()
            if not keys:
                raise errors.KeyError('popitem(): the container is empty')
            return keys[-1], self.pop(keys[-1])

        return atomically(self._handle, take)

    def modify(self, key, fn, default=None):
        """Not for this kind of collection: TypeError."""
        raise errors.TypeError('modify does not fit a collection with many values for one key')

    def get(self, key, default=None, sep='.'):
        """The tuple of all values of a key, or default. A path leads through the first value."""
        steps = key if isinstance(key, list) else key.split(sep) if isinstance(key, str) and sep else [key]
        if len(steps) > 1:
            return super().get(steps, default)
        try:
            return self[steps[0]]
        except KeyError:
            return default

    def pop(self, key, default=_missing, sync=None):
        """Removes all values of a key and returns their tuple; of a pair (key, value) that value."""

        def take():
            if key in self:
                values = self[key]
                super(PongoMultiCollection, self).__delitem__(key)
                return values
            if isinstance(key, tuple) and len(key) == 2 and self._remove(key[0], key[1]):
                return key[1]
            if default is _missing:
                raise errors.KeyError(key)
            return default

        result = atomically(self._handle, take)
        if sync:
            self._handle.sync()
        return result


class PongoList(_Container, _Sequence):
    """A live list in a database. Made by assigning a list, or by PongoList.create(db). Each method is one commit."""

    __slots__ = ()
    _like = (list, _Sequence)

    @staticmethod
    def create(db):
        """A new empty list, kept when it is assigned somewhere. TypeError when db is no root."""
        return handle_of(db).create(LIST)

    def _write(self, run, sync=None):
        result = atomically(self._handle, run)
        if sync:
            self._handle.sync()
        return result

    def _get_slice(self, where):
        return self._elements()[where]

    def _set_slice(self, where, values):
        values = values._elements() if isinstance(values, PongoList) else list(values)

        def run():
            start, stop, step = where.indices(len(self))
            if step == 1:
                self._splice(start, max(0, stop - start), values)
                return
            elements = self._elements()
            elements[where] = values
            self._replace(elements)

        self._write(run)

    def _delete_slice(self, where):
        def run():
            start, stop, step = where.indices(len(self))
            if step == 1:
                self._splice(start, max(0, stop - start), None)
                return
            elements = self._elements()
            del elements[where]
            self._replace(elements)

        self._write(run)

    def extend(self, iterable, sync=None):
        """Appends all elements of an iterable, in one commit."""
        values = list(iterable)
        if values:
            self._splice(-1, 0, values)
        else:
            len(self)  # for its errors
        if sync:
            self._handle.sync()

    def insert(self, index, value, sync=None):
        """Inserts before an index, as list.insert. O(log n)."""

        def run():
            size = len(self)
            self._splice(max(0, size + index) if index < 0 else min(index, size), 0, [value])

        index = to_index(index)
        self._write(run, sync)

    def remove(self, value, sync=None):
        """Removes the first element that equals value, atomically. ValueError when there is none. O(n)."""

        def run():
            self._splice(self.index(value), 1, None)

        self._write(run, sync)

    def index(self, value, start=0, stop=None):
        """The index of the first element that equals value. ValueError when there is none. O(n)."""
        elements = self._elements()
        for i in range(*slice(start, stop).indices(len(elements))):
            if equal(elements[i], value):
                return i
        raise errors.ValueError(f'{value!r} is not in the list')

    def count(self, value):
        """How many elements equal value. O(n)."""
        return sum(1 for element in self._elements() if equal(element, value))

    def reverse(self):
        """Turns the order round, in one commit. O(n)."""
        self._write(lambda: self._replace(self._elements()[::-1]))

    def sort(self, *, key=None, reverse=False):
        """Sorts in one commit, as list.sort. key may run again on conflict. O(n log n)."""
        self._write(lambda: self._replace(sorted(self._elements(), key=key, reverse=reverse)))

    def copy(self):
        """A list of the elements; containers in it are live."""
        return self._elements()

    __copy__ = copy

    def json(self, *args):
        """json() -> JSON text; json(text) replaces the content by that of the text."""
        if len(args) > 1:
            raise TypeError(f'json() takes at most 1 argument ({len(args)} given)')
        if not args:
            return text_of(self._json_form())
        value = parse(args[0])
        if not isinstance(value, list):
            raise errors.TypeError('the JSON text must be an array, as what it replaces')
        return self._replace(value)

    def __contains__(self, value):
        return any(equal(element, value) for element in self._elements())

    def __reversed__(self):
        return reversed(self._elements())

    def __add__(self, other):
        return self._elements() + list(other) if isinstance(other, (list, PongoList)) else NotImplemented

    def __radd__(self, other):
        return other + self._elements() if isinstance(other, list) else NotImplemented

    def __iadd__(self, other):
        self.extend(other)
        return self

    def __mul__(self, count):
        return self._elements() * count

    __rmul__ = __mul__

    def __imul__(self, count):
        self._write(lambda: self._replace(self._elements() * count))
        return self

    def __lt__(self, other):
        return self.native() < _plain(other) if isinstance(other, (list, PongoList)) else NotImplemented

    def __le__(self, other):
        return self.native() <= _plain(other) if isinstance(other, (list, PongoList)) else NotImplemented

    def __gt__(self, other):
        return self.native() > _plain(other) if isinstance(other, (list, PongoList)) else NotImplemented

    def __ge__(self, other):
        return self.native() >= _plain(other) if isinstance(other, (list, PongoList)) else NotImplemented


def _plain(value):
    return value.native() if isinstance(value, _Container) else value


MutableMapping.register(_Mapping)
MutableSequence.register(PongoList)
