"""Transactions."""

from . import _errors as errors


def _abort(handle):
    """Ends the transaction of this thread if one is open. Never raises: another error is on its way."""
    try:
        handle.abort()
    except (errors.ClosedError, errors.ForkError):
        pass


def atomically(handle, fn):
    """Runs fn as one transaction, again after each conflict; joins the one in progress."""
    if handle.in_transaction():
        return fn()
    try:
        # All of it: the handler of a signal may raise after any call, that of begin() included.
        while True:
            handle.begin()
            result = fn()
            if handle.commit():
                return result
    except BaseException:
        _abort(handle)
        raise


class Transaction:
    """with pongo.transaction(db): one transaction that takes its turn first and cannot be run again."""

    __slots__ = ('_handle', '_joined')

    def __init__(self, handle):
        self._handle = handle
        self._joined = []

    def __enter__(self):
        joined = self._handle.in_transaction()
        if not joined:
            try:
                self._handle.begin(True)
            except BaseException:  # Ctrl-C during the wait for the turn is raised after it
                _abort(self._handle)
                raise
        self._joined.append(joined)
        return self

    def __exit__(self, kind, error, trace):
        if self._joined.pop():
            return False
        try:
            if kind is None and not self._handle.commit():
                raise errors.ConflictError(
                    'another process changed what this transaction read; use pongo.transaction(db, fn), which runs fn again'
                )
        finally:
            _abort(self._handle)
        return False
