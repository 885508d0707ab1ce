"""Opening a file, and what concerns the database as a whole."""

import os
from datetime import datetime, timezone
from uuid import UUID

from . import _errors as errors
from ._containers import COLLECTION, handle_of
from ._handles import close as close_handle
from ._handles import handles
from ._pongo import Handle, uuid7
from ._transaction import Transaction, atomically

_MIB = 2**20


def open(path, initsize=0, *, create=True, read_only=False, mode=0o600, chunksize=0, max_size=0, durability='checkpoint',
         checkpoint_interval=1000):
    """Opens a database file, creating it when there is none, and returns its root.

    Any number of processes and threads, in Python and Node.js, may have the file open. Use it from any thread.

    path: the file; beside it a file <path>-lock comes into being.
    initsize: MiB by which a new file grows, as chunksize; 0: 16.
    chunksize, max_size: bytes, stored at creation; max_size reached: FullError.
    durability: 'checkpoint', 'sync' or 'none'; checkpoint_interval: milliseconds.
    Errors: ArgError (a ValueError) for an option that differs from what the file stores or another handle has;
    CorruptError, VersionError, LockedError, IoError (OSErrors).

    >>> db = pongo.open('state.pongo')
    >>> db['visits'] = db.get('visits', 0) + 1     # two operations; db.incr('visits') is one
    """
    name = os.path.realpath(os.fsdecode(path))
    if not isinstance(initsize, int) or initsize < 0:
        raise errors.ArgError(f'initsize must be a number of MiB, not {initsize!r}')
    if initsize and not chunksize and not os.path.exists(name):
        chunksize = initsize * _MIB
    handle = Handle.open(name, create, read_only, mode, chunksize, max_size, durability, checkpoint_interval)
    handles.add(handle)
    return handle.root()


def close(db):
    """Closes a database. Whatever was read through it raises ClosedError then. Idempotent."""
    close_handle(handle_of(db))


def _same(value):
    return value


def _callable_or_none(name):
    def check(value):
        if value is not None and not callable(value):
            raise errors.TypeError(f'meta {name!r} must be callable or None, not {value!r}')
        return value

    return check


def _durability(value):
    if value is True or (type(value) is int and value != 0):
        return 'sync'
    if value is False or (type(value) is int and value == 0):
        return 'checkpoint'
    return value


def _set_chunksize(handle, value):
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise errors.ArgError(f'meta chunksize must be a number of bytes, not {value!r}')
    handle.set_chunksize(value)


def _set_id(handle, value):
    if not isinstance(value, str) or not value:
        raise errors.ArgError(f'meta id must be the name of a key, not {value!r}')
    handle.set_id(value)


def _set_durability(handle, value):
    mode = _durability(value)
    if mode not in ('checkpoint', 'sync', 'none'):
        raise errors.ArgError(f"meta '.sync' must be a bool, 'checkpoint', 'sync' or 'none', not {value!r}")
    handle.set_durability(mode)


def _hook(name, attribute, default):
    def read(handle):
        hook = getattr(handle, attribute)
        return default if hook is None else hook

    def write(handle, value):
        value = _callable_or_none(name)(value)
        setattr(handle, attribute, None if value is default else value)

    return read, write


_settings = {
    'chunksize': (lambda handle: handle.options()[0], _set_chunksize),
    'id': (lambda handle: handle.options()[2], _set_id),
    '.sync': (lambda handle: handle.durability, _set_durability),
    '.newkey': _hook('.newkey', 'newkey', None),
    '.uuid_class': _hook('.uuid_class', 'uuid_class', UUID),
    '.uuid_constructor': _hook('.uuid_constructor', 'uuid_constructor', UUID),
}

_unset = object()
_without_none = ('chunksize', '.sync')  # None as their value only reads, as in the original


def meta(db, key, value=_unset):
    """A setting; with a value: sets it and returns the old one.

    chunksize (bytes) and id (the key of ids, '_id') live in the file. Of this handle: '.sync' (durability: a mode name,
    True for 'sync', False for 'checkpoint'), '.newkey' (called with the document, makes its id; None: a time-ordered UUID),
    '.uuid_class', '.uuid_constructor' (called (None, bytes)). Unknown: KeyError.
    """
    handle = handle_of(db)
    setting = _settings.get(key) if isinstance(key, str) else None
    if setting is None:
        raise errors.KeyError(f'meta has no setting {key!r}: known are {", ".join(_settings)}')
    read, write = setting
    old = read(handle)
    if value is not _unset and not (value is None and key in _without_none):
        write(handle, value)
    return old


def add_document(container, document, sync, fail, ttl, expires_at):
    """set(pongo.id, document): stores a dict under its id, made when it has none; returns the id."""
    handle = container._handle
    if hasattr(document, '__topongo__'):
        document = document.__topongo__()
    try:
        copy = dict(document.items() if hasattr(document, 'items') else None)
    except TypeError:
        raise errors.TypeError(f'set(pongo.id, ...) needs a dict, not {type(document).__name__}') from None
    name = handle.options()[2]
    key = copy.get(name)
    if key is None:
        if handle.newkey is not None:
            key = handle.newkey(document)
        else:
            make = handle.uuid_constructor or UUID
            key = make(None, uuid7())
        copy[name] = key
    try:
        container.set([key], copy, sync=sync, fail=fail, ttl=ttl, expires_at=expires_at)
    except errors.ExistsError:
        raise errors.ExistsError(key) from None  # the id, not the path that led to it
    return key


def gc(db, complete=False, stats=False):
    """Frees what nothing leads to any more. Never needed in normal work; complete=True also finds containers in cycles and
    what killed processes left. The GIL is released. stats=True returns (blocks before, bytes before, blocks after, bytes
    after)."""
    before, after = handle_of(db).gc(bool(complete))
    if not stats:
        return None
    return before['count'], before['bytes'], after['count'], after['bytes']


def atoms(db):
    """The property names that the file stores once, as a collection (name -> None) made for this call, which nothing holds.
    With read_only a plain dict: nothing can be made."""
    handle = handle_of(db)
    if handle.read_only:
        return dict.fromkeys(handle.names())
    collection = handle.create(COLLECTION)
    collection.update(dict.fromkeys(handle.names()))
    return collection


def pidcache(db):
    """Which containers the live objects of each process show: {process id: [container ids]}. For debugging."""
    found = handle_of(db).proxies()
    found.setdefault(os.getpid(), [])
    return found


def sync(db):
    """Returns when every commit made so far is on disk. The GIL is released."""
    handle = handle_of(db)
    if handle.in_transaction():
        raise errors.ArgError('sync cannot be used inside a transaction')
    handle.sync()


def verify(db):
    """Reads the whole file and checks it: a dict of counts by kind, or CorruptError. O(size), without the GIL."""
    return handle_of(db).verify()


def info(db):
    """A report of the allocator, for people."""
    return handle_of(db).info()


def stats(db):
    """Figures of the engine by name."""
    return handle_of(db).stats()


def transaction(db, fn=None):
    """Runs fn() as one transaction over all containers of the database and returns what it returns; fn may run again, so it
    must have no other effects. What it raises aborts.

    Without fn a context manager, which takes its turn first, since its body cannot run again: a change that comes between
    all the same is a ConflictError at the end. Nested calls join.

    >>> pongo.transaction(db, lambda: db.set('sum', db['a'] + db['b']))
    >>> with pongo.transaction(db):
    ...     db['a'] -= 5; db['b'] += 5
    """
    handle = handle_of(db)
    if fn is None:
        return Transaction(handle)
    if not callable(fn):
        raise errors.TypeError(f'transaction needs a function, not {fn!r}')

    def run():
        result = fn()
        if hasattr(type(result), '__await__'):
            if hasattr(result, 'close'):
                result.close()
            raise errors.TypeError('the function of a transaction must not be async: it would go on after the commit')
        return result

    return atomically(handle, run)


class Snapshot:
    """A read-only view of the whole database as it was: with pongo.snapshot(db) as root."""

    __slots__ = ('_snapshot', 'root')

    def __init__(self, handle):
        self._snapshot = handle.snapshot()
        self.root = self._snapshot.container(3, 1)

    @property
    def version(self):
        """The number of the version."""
        return self._snapshot.version

    def get(self, container):
        """A live container as it was."""
        return self._snapshot.container(container._kind, container.id)

    def release(self):
        """Lets go of the version; its containers raise SnapshotError then. Idempotent."""
        self._snapshot.release()

    def __enter__(self):
        return self.root

    def __exit__(self, *_):
        self.release()


def snapshot(db):
    """A consistent read-only view of the whole database. O(1). Writing to it: ReadonlyError.

    >>> with pongo.snapshot(db) as root:
    ...     total = sum(root['balances'].values())
    """
    handle = handle_of(db)
    if handle.in_transaction():
        raise errors.ArgError('snapshot cannot be used inside a transaction')
    return Snapshot(handle)


class _Marker:
    __slots__ = ('_name',)

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f'pongo.{self._name}'

    def __reduce__(self):
        return self._name


class _UtcNow(_Marker):
    __slots__ = ()

    def __call__(self):
        return datetime.now(timezone.utc)


id = _Marker('id')
utcnow = _UtcNow('utcnow')
