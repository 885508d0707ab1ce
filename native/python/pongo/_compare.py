"""Equality and order of values.

Equality is deep, with 1 = 1.0, NaN = NaN and -0 = 0; a live container equals what has the same content. `equal` is for what
Python does itself (==, in, index, remove), where True equals 1; `same` is the equality that all languages of this database share.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from uuid import UUID


def _plain(value):
    native = getattr(type(value), 'native', None)
    return value if native is None else native(value)


def _utc(value):
    return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value


# The place of a type in the order of keys; 8 and above have no order.
def _rank(value):
    if value is None:
        return 0
    if isinstance(value, bool):
        return 1
    if isinstance(value, (int, float)):
        return 2
    if isinstance(value, datetime):
        return 3
    if isinstance(value, UUID):
        return 4
    if isinstance(value, str):
        return 5
    if isinstance(value, (bytes, bytearray)):
        return 6
    if isinstance(value, tuple):
        return 7
    if isinstance(value, Mapping):
        return 8
    if isinstance(value, Sequence):
        return 9
    return 10


def equal(a, b, strict=False):
    """Whether two values are equal, live containers by their content. strict: True is not 1."""
    if a is b:
        return True
    a, b = _plain(a), _plain(b)
    rank, other = _rank(a), _rank(b)
    if {rank, other} == {7, 9}:  # a tuple is stored as a list
        rank = other = 9
    if {rank, other} == {1, 2} and not strict:
        rank = other = 2
    if rank != other:
        return False
    if rank == 2:
        return a == b or (a != a and b != b)
    if rank == 3:
        return _utc(a) == _utc(b)
    if rank == 8:
        if strict and sorted(map(_rank, a)) != sorted(map(_rank, b)):
            return False
        return len(a) == len(b) and all(key in b and equal(a[key], b[key], strict) for key in a)
    if rank in (7, 9):
        return len(a) == len(b) and all(equal(x, y, strict) for x, y in zip(a, b))
    return bool(a == b)


def same(a, b):
    """Whether two values are one value of the database."""
    return equal(a, b, strict=True)


def order(a, b):
    """Negative, 0 or positive for values of one type; None when they have no order."""
    rank = _rank(a)
    if rank != _rank(b) or rank > 7:
        return None
    if rank == 3:
        a, b = _utc(a), _utc(b)
    if rank == 7:
        for x, y in zip(a, b):
            difference = _rank(x) - _rank(y) or order(x, y)
            if difference != 0:
                return difference
        return len(a) - len(b)
    if rank == 0:
        return 0
    if rank == 4:
        a, b = a.bytes, b.bytes
    if a == b:
        return 0
    return -1 if a < b else 1 if a > b else None
