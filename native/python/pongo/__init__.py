"""PongoDB: a database in a memory-mapped file whose containers are live Python objects, shared with Node.js processes.

>>> import pongo
>>> db = pongo.open('state.pongo')              # the root, a PongoCollection
>>> db['users'] = {'ann': {'age': 30}}          # stores a copy
>>> db['users']['ann']['age'] = 31              # what is read is live
>>> db.get('users.ann.age')
31
>>> pongo.close(db)
"""

from uuid import UUID as _UUID

from . import _containers, _database, _errors, _pongo
from ._containers import PongoCollection, PongoDict, PongoList, PongoMultiCollection
from ._coordination import Event, Hold, Lock, RwLock, Semaphore, event, lock, rwlock, semaphore
from ._database import (
    Snapshot,
    atoms,
    close,
    gc,
    id,
    info,
    meta,
    open,
    pidcache,
    snapshot,
    stats,
    sync,
    transaction,
    utcnow,
    verify,
)
from ._errors import *  # noqa: F403: the classes of codes.def
from ._pongo import PongoIter
from ._watch import changes, watch

__all__ = [
    'Event',
    'Hold',
    'Lock',
    'PongoCollection',
    'PongoDict',
    'PongoIter',
    'PongoList',
    'PongoMultiCollection',
    'PongoPointer',
    'RwLock',
    'Semaphore',
    'Snapshot',
    'atoms',
    'changes',
    'close',
    'event',
    'gc',
    'info',
    'lock',
    'meta',
    'pidcache',
    'rwlock',
    'semaphore',
    'snapshot',
    'stats',
    'sync',
    'transaction',
    'utcnow',
    'verify',
    'watch',
]


class PongoPointer:
    """What a debugger of the original module saw of the engine's own objects. Never made here; there for isinstance()."""

    __slots__ = ()

    def __new__(cls, *_):
        raise TypeError('PongoPointer objects cannot be made')


_pongo.bind(
    _errors.classes,
    {
        'PongoDict': PongoDict,
        'PongoList': PongoList,
        'PongoCollection': PongoCollection,
        'PongoMultiCollection': PongoMultiCollection,
        'PongoIter': PongoIter,
        'adapt': _containers.adapt,
        'add_document': _database.add_document,
        'UUID': _UUID,
        'id': id,
        'utcnow': utcnow,
    },
)
