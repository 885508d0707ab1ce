"""Transactions."""

from . import _errors as errors


def atomically(handle, fn):
    """Runs fn as one transaction, again after each conflict; joins the one in progress."""
    if handle.in_transaction():
        return fn()
    while True:
        handle.begin()
        try:
            result = fn()
        except BaseException:
            if not handle.closed:
                handle.abort()
            raise
        if handle.commit():
            return result


class Transaction:
    """with pongo.transaction(db): one transaction that takes its turn first and cannot be run again."""

    __slots__ = ('_handle', '_joined')

    def __init__(self, handle):
        self._handle = handle
        self._joined = []

    def __enter__(self):
        self._joined.append(self._handle.in_transaction())
        if not self._joined[-1]:
            self._handle.begin(True)
        return self

    def __exit__(self, kind, error, trace):
        if self._joined.pop():
            return False
        if kind is not None:
            if not self._handle.closed:
                self._handle.abort()
            return False
        if not self._handle.commit():
            self._handle.abort()
            raise errors.ConflictError(
                'another process changed what this transaction read; use pongo.transaction(db, fn), which runs fn again'
            )
        return False
