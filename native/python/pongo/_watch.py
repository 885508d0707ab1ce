"""Change notification: pongo.watch and pongo.changes.

The engine finds what has changed between two versions; nothing is recorded when a commit is made. Whatever happens while a
callback runs comes as one batch after it.
"""

import sys
import threading
import time

from . import _errors as errors
from ._containers import handle_of
from ._handles import to_be_closed
from ._pongo import Keyed, Sequence, Watcher

# Seconds: a signal may come between Python's last look at its signals and a wait, which it does not end then.
_LOOK = 0.1


def _make(handle, target):
    if handle.in_transaction():
        raise errors.ArgError('watching cannot begin inside a transaction')
    if isinstance(target, (Keyed, Sequence)):
        if target._snapshot is not None:
            raise errors.ArgError('a snapshot does not change: watch the live container')
        if target._handle is not handle:
            raise errors.ArgError('the container is of another database or handle')
        container, path = target.id, []
    elif isinstance(target, str):
        container, path = 1, target.split('.')
    elif isinstance(target, list):
        container, path = 1, target
    else:
        raise errors.TypeError(f'watching needs a container or a path (a str or a list), not {type(target).__name__}')
    watcher = Watcher.make(handle, container, path)
    to_be_closed(handle, watcher)
    return watcher


def _batch(watcher):
    try:
        return watcher.changes()
    except errors.ValueError:
        # Something in it cannot be shown: a year beyond 9999, a plain copy with keys that are equal in Python.
        return [{'path': [], 'type': 'reset'}]


def watch(db, path_or_container, callback):
    """Calls callback(changes) in a thread of its own whenever something below a container, or a path from the root, has
    changed, whoever changed it.

    changes is a list of dicts: 'path' (keys from there on) and 'type': 'set' (with 'value', 'old_value'), 'delete'
    ('old_value'), 'splice' of a list ('index', 'removed', 'inserted'), or 'reset': read everything again. Bursts come as one
    batch; the last state is never missed. Containers in old_value are plain copies. A batch with a value that Python cannot
    show (see native) is a 'reset' too. What the callback raises is reported by threading.excepthook; the watching goes on.

    Returns stop(), which ends the watching and waits for a callback that runs, unless it is called by it. Idempotent.

    >>> stop = pongo.watch(db, 'hits', lambda changes: print(len(changes), 'pages'))
    >>> stop()
    """
    handle = handle_of(db)
    if not callable(callback):
        raise errors.TypeError(f'watch needs a function, not {callback!r}')
    watcher = _make(handle, path_or_container)
    stopped = threading.Event()

    def run():
        # The container is kept alive by this function.
        while not stopped.is_set():
            try:
                if not watcher.wait(None):
                    continue
                changes = _batch(watcher)
            except (errors.ClosedError, errors.ForkError):
                return
            if not changes or stopped.is_set():
                continue
            try:
                callback(changes)
            except BaseException:
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            changes = None

    thread = threading.Thread(target=run, name=f'pongo.watch {path_or_container if isinstance(path_or_container, str) else ""}', daemon=True)

    def stop():
        if stopped.is_set():
            return
        stopped.set()
        watcher.close()
        if threading.current_thread() is not thread:
            thread.join()
        watcher.close()

    stop.target = path_or_container
    thread.start()
    return stop


def changes(db, path, timeout=None):
    """Yields batches of changes below a path or container, each when it is asked for: see watch. Waits until something has
    changed.

    timeout: seconds; the iteration ends when nothing has changed for so long. None: never.

    >>> for batch in pongo.changes(db, ['orders'], timeout=60): ...
    """
    handle = handle_of(db)
    watcher = _make(handle, path)

    def batches():
        try:
            end = None if timeout is None else time.monotonic() + timeout
            while True:
                left = None if end is None else end - time.monotonic()
                found = _batch(watcher) if watcher.wait(_LOOK if left is None else min(left, _LOOK)) else None
                if found:
                    yield found
                    end = None if timeout is None else time.monotonic() + timeout
                elif left is not None and left <= 0:
                    return
        except errors.ClosedError:
            return
        finally:
            watcher.close()

    return batches()
