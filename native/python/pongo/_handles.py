"""The open handles of this process, and closing them."""

import atexit
import weakref

handles = weakref.WeakSet()
# What threads may wait for, by handle: the waiting ends before the handle is closed.
_waited_for = weakref.WeakKeyDictionary()
# What was acquired and not given back: it stays so although the program keeps no reference.
held = set()


def to_be_closed(handle, waited_for):
    """Has an object closed before its handle is."""
    _waited_for.setdefault(handle, weakref.WeakSet()).add(waited_for)


def close(handle):
    for waited_for in list(_waited_for.pop(handle, ())):
        waited_for.close()
    held.difference_update([hold for hold in held if hold._handle is handle])
    handle.close()


@atexit.register
def _close_all():
    for handle in list(handles):
        close(handle)
