"""The open handles of this process, and closing them."""

import atexit
import weakref

handles = weakref.WeakSet()
# The watchers of each handle: their waits end before it is closed.
watchers = weakref.WeakKeyDictionary()


def close(handle):
    for watcher in list(watchers.pop(handle, ())):
        watcher.close()
    handle.close()


@atexit.register
def _close_all():
    for handle in list(handles):
        close(handle)
