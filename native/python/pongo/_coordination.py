"""Locks, semaphores and events that threads and processes share by name: pongo.lock, rwlock, semaphore, event.

Waiting gives the GIL away, never burns a core and never holds up commits.
"""


from . import _errors as errors
from ._containers import handle_of
from ._handles import held, to_be_closed
from ._pongo import LockRequest

_MUTEX, _READ_WRITE, _SEMAPHORE, _EVENT = 1, 2, 3, 4
_NAME_MAX = 952  # bytes in UTF-8
_PERMITS_MAX = 2**30


def _check_name(what, name):
    if not isinstance(name, str):
        raise errors.ArgError(f'{what}: the name must be a str, not {name!r}')
    if len(name.encode('utf-8', 'surrogatepass')) > _NAME_MAX:
        raise errors.ArgError(f'{what}: the name has more than {_NAME_MAX} bytes in UTF-8: {name[:40]!r}...')
    return name


class _Queue:
    """What can be waited for."""

    __slots__ = ('_handle', '_kind', '_shared', '_permits', 'name')
    _what = 'lock'
    _outcome = 'granted'

    def __init__(self, handle, kind, shared, permits, name):
        self._handle = handle
        self._kind = kind
        self._shared = shared
        self._permits = permits
        self.name = name

    def _request(self, timeout, if_available=False):
        if isinstance(timeout, bool) or not (timeout is None or isinstance(timeout, (int, float)) and timeout >= 0):
            raise errors.ArgError(f'timeout must be seconds from 0 on or None, not {timeout!r}')
        request = LockRequest.make(self._handle, self._kind, self._shared, self._permits, self.name, timeout, if_available)
        if request is None:
            return None
        to_be_closed(self._handle, request)
        try:
            # It returns without an answer now and then, and when a signal came: the handlers of signals run between two calls.
            while not request.wait(None):
                pass
        except errors.TimeoutError:
            request.close()
            raise errors.TimeoutError(f'the {self._what} {self.name!r} was not {self._outcome} within {timeout} s') from None
        except BaseException:
            request.close()
            raise
        return request

    def __repr__(self):
        return f'<pongo {self._what} {self.name!r}>'


class Hold:
    """What was acquired. It is given back by release(), at the end of a with block, by closing the database, and when the
    process ends in whatever way. Any thread may release it."""

    __slots__ = ('_request', '_handle', '__weakref__')

    def __init__(self, handle, request):
        self._handle = handle
        self._request = request
        held.add(self)

    def release(self):
        """Gives it back; the next in the queue has it then. Idempotent, also after pongo.close(db)."""
        self._request.close()
        held.discard(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()


class Lock(_Queue):
    """A lock that threads and processes with the same file open share by its name: at most one holds it. First come, first
    served; not re-entrant. A holder that dies gives it back within 100 ms if somebody waits. Not durable.

    >>> with pongo.lock(db, 'report'):
    ...     write_report()
    """

    __slots__ = ('_entered',)

    def __init__(self, *wish):
        super().__init__(*wish)
        self._entered = []

    def acquire(self, timeout=None):
        """Waits until it is granted; returns a Hold, to be released or used in a with statement.

        timeout: seconds; None: for ever. Errors: TimeoutError; ClosedError when the database is closed meanwhile; FullError
        when 16384 names or 65536 holders and waiters are there already; ArgError inside a transaction; ReadonlyError.

        >>> with pongo.lock(db, 'report').acquire(timeout=5): ...
        """
        return Hold(self._handle, self._request(timeout))

    def try_acquire(self):
        """A Hold if it can be had at once, which it cannot while others wait; else None. O(1)."""
        request = self._request(None, True)
        return None if request is None else Hold(self._handle, request)

    def __enter__(self):
        hold = self.acquire()
        self._entered.append(hold)
        return hold

    def __exit__(self, *_):
        # Of several that were entered by threads all are alike: permits, or shares of one read lock.
        self._entered.pop().release()


class _ReadLock(Lock):
    __slots__ = ()
    _what = 'read lock'


class _WriteLock(Lock):
    __slots__ = ()
    _what = 'write lock'


class RwLock:
    """A lock for many readers, `read`, or one writer, `write`. A reader that comes after a waiting writer waits behind it."""

    __slots__ = ('name', 'read', 'write')

    def __init__(self, handle, name):
        self.name = name
        self.read = _ReadLock(handle, _READ_WRITE, True, 0, name)
        self.write = _WriteLock(handle, _READ_WRITE, False, 0, name)

    def __repr__(self):
        return f'<pongo rwlock {self.name!r}>'


class Semaphore(Lock):
    """A lock that up to `permits` hold at once. The number is fixed while anybody uses the name."""

    __slots__ = ('_attached',)
    _what = 'semaphore'

    def __init__(self, handle, name, permits):
        super().__init__(handle, _SEMAPHORE, False, permits, name)
        self._attached = LockRequest.attach(handle, name, permits)

    @property
    def permits(self):
        """How many may hold it at once."""
        return self._permits


class Event(_Queue):
    """A flag that threads and processes share, and can wait for. A new one is not set.

    >>> pongo.event(db, 'ready').wait(timeout=5)
    """

    __slots__ = ()
    _what = 'event'
    _outcome = 'set'

    def is_set(self):
        """Whether it is set now. O(1)."""
        return LockRequest.event_is_set(self._handle, self.name)

    def set(self):
        """Lets go on all who wait, even if it is cleared at once, and all who come until it is cleared. O(waiters)."""
        LockRequest.set_event(self._handle, self.name, True)

    def clear(self):
        """From now on whoever waits, waits until it is set again. O(1)."""
        LockRequest.set_event(self._handle, self.name, False)

    def wait(self, timeout=None):
        """Returns when it is set. Errors: as Lock.acquire."""
        self._request(timeout).close()


def lock(db, name):
    """The lock of a name: at most one thread of all processes holds it. See Lock.

    >>> with pongo.lock(db, 'report').acquire(timeout=5): ...
    """
    return Lock(handle_of(db), _MUTEX, False, 0, _check_name('lock', name))


def rwlock(db, name):
    """The reader-writer lock of a name. See RwLock.

    >>> with pongo.rwlock(db, 'catalogue').read: ...
    """
    return RwLock(handle_of(db), _check_name('rwlock', name))


def semaphore(db, name, n):
    """The semaphore of a name, which up to n hold at once; ArgError while others use it with another number. See Semaphore.

    >>> with pongo.semaphore(db, 'printers', 3): ...
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= _PERMITS_MAX:
        raise errors.ArgError(f'semaphore: the number must be an int from 1 to {_PERMITS_MAX}, not {n!r}')
    return Semaphore(handle_of(db), _check_name('semaphore', name), n)


def event(db, name):
    """The event of a name. See Event.

    >>> pongo.event(db, 'ready').set()
    """
    return Event(handle_of(db), _EVENT, True, 0, _check_name('event', name))
