"""No operation leaks: Python's blocks, reference counts, anonymous memory and open files stay flat.

PONGO_LEAK_OPERATIONS: how many operations. CI 100,000; `npm run test:python -- --leaks` 10,000,000.
"""

import copy
import gc
import os
import sys
import unittest
import uuid
from datetime import timedelta

import pongo
from support import DatabaseTest

OPERATIONS = int(os.environ.get('PONGO_LEAK_OPERATIONS', '100000'))
ROUNDS = 10
RARELY = 20 if OPERATIONS <= 10**6 else 1000


def anonymous_memory(db):
    """Bytes of memory that is not the mapped file. What was dropped during a collection is kept until it ends."""
    pongo.gc(db)
    db.items()
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith('RssAnon'))


class Hook:
    def __topongo__(self):
        return {'a': [1, b'x']}


class Failing:
    def __topongo__(self):
        raise RuntimeError('mine')


class LeaksTest(DatabaseTest):
    def setUp(self):
        super().setUp()
        self.db['d'] = {'n': 0, 'big': 2**100, 'l': [1, 2.5, 'é', None], 'u': uuid.uuid4(), 't': pongo.utcnow}
        self.db['c'] = collection = pongo.PongoCollection.create(self.db)
        collection.update({i: {'i': i, 's': 'x' * 40} for i in range(600)})
        self.db['m'] = multi = pongo.PongoCollection.create(self.db, True)
        multi['k'] = 1
        self.value = {'k': ['v', {'w': (1, 2.5, None, b'z')}], 7: 2**80}
        self.operations = self.list_operations(self.db['d'], collection, multi)

    def failing(self, error, operation):
        def run():
            try:
                operation()
            except error:
                return
            raise AssertionError(f'no {error.__name__}')

        return run

    def list_operations(self, d, collection, multi):
        db, l = self.db, d['l']

        def iterate_partly():
            iterator = iter(collection)
            next(iterator)

        def snapshot():
            with pongo.snapshot(db) as root:
                root['c'][5].native()

        def transaction():
            with pongo.transaction(db):
                d['n'] = d['n'] + 1

        lock, semaphore, event = pongo.lock(db, 'a'), pongo.semaphore(db, 's', 2), pongo.event(db, 'e')

        def locks():
            with lock, semaphore, pongo.rwlock(db, 'r').read:
                if lock.try_acquire() is not None:
                    raise AssertionError('two have the lock')
            event.set()
            event.wait()
            event.clear()

        def late():
            with lock:
                lock.acquire(timeout=0)

        def aborted():
            with pongo.transaction(db):
                d['n'] = {'a': [1]}
                raise RuntimeError('mine')

        def watching():
            batches = pongo.changes(db, 'd', timeout=0)
            d['w'] = [1, {'x': 'y'}]
            del d['w'][0]
            del d['w']
            list(batches)

        def whole():
            pongo.gc(db, stats=True), pongo.stats(db), pongo.info(db), pongo.pidcache(db), pongo.atoms(db), pongo.verify(db)

        # These take long and are the same whatever is stored: less often.
        self.rare = [watching, whole, lambda: collection.search('i', '==', 5), lambda: multi.update([(i % 3, i) for i in range(9)])]
        return [
            locks, self.failing(pongo.TimeoutError, late), self.failing(RuntimeError, aborted), lambda: pongo.lock(db, 'dropped'),
            lambda: db.set('x', 1, ttl=100), lambda: db.ttl('x'), lambda: db.expire('x', timedelta(days=1)), lambda: db.persist('x'),
            lambda: db.set('x', {}, ttl=0), lambda: collection.bounds, lambda: pongo.PongoCollection.create(db, max_items=3).bounds,
            self.failing(pongo.ArgError, lambda: db.set('x', 1, ttl=-1)), lambda: copy.deepcopy(d), lambda: copy.copy(l), lambda: dict(d),
            lambda: collection.set(pongo.id, {'a': 1}) and collection.popitem(), lambda: d.modify('n', lambda n: n),
            lambda: d.setdefault('z', {'y': 1}), lambda: d.__delitem__('z'), lambda: l.sort(key=str), lambda: l.reverse(), lambda: l.extend([1]),
            lambda: l.remove(1), lambda: l.json(), lambda: multi.json(), lambda: list(iter(l).expr(0, 5)), lambda: multi.pop(('k', 2), None),
            lambda: multi.set('k', 2), lambda: d['n'], lambda: d['big'], lambda: d['t'], lambda: d['u'], lambda: d.get('l.2'), lambda: d.get('x', 5),
            lambda: collection[3]['s'], lambda: collection.get('7.s'), lambda: collection.get([8, 's']),
            lambda: d.set('v', self.value), lambda: d['v'].native(), lambda: d.__setitem__('h', [Hook()]), lambda: d.json(),
            lambda: d.json('j', '{"a": [1, 2, 1e5]}'), lambda: d.incr('i', 3), lambda: d.incr('f', 0.5),
            lambda: d.cas('i', 1, 2), lambda: d.cas('v', self.value, ...), lambda: d.pop('v', None), lambda: d.keys(),
            lambda: d.items(), lambda: collection.keys(), lambda: list(collection), iterate_partly, snapshot, transaction,
            lambda: dict(iter(collection).expr(5, 9)), lambda: collection.set(5, {'i': 5, 's': 'y'}), lambda: l.append(7),
            lambda: l.pop(), lambda: l.insert(1, 'q'), lambda: l.__delitem__(1), lambda: l[1:3], lambda: l.native(),
            lambda: l.__setitem__(slice(0, 1), [1]), lambda: 2.5 in l, lambda: d == {'n': 1}, lambda: (1, 2) in multi,
            lambda: multi['k'], lambda: multi.items(), lambda: multi.native(), lambda: pongo.transaction(db, lambda: d['n']),
            lambda: db.setdefault('d'), lambda: pongo.meta(db, 'id'), lambda: pongo.PongoDict.create(db), lambda: repr(d),
            lambda: d.update({'a': 1}, b=2),
            self.failing(KeyError, lambda: d['none']), self.failing(KeyError, lambda: d.set('none.x', 1)),
            self.failing(TypeError, lambda: d.set('x', [1, {'y': print}])), self.failing(RuntimeError, lambda: d.set('x', [Failing()])),
            self.failing(TypeError, lambda: d[{}]), self.failing(IndexError, lambda: l[99]), self.failing(ValueError, lambda: d.json('x', '{')),
            self.failing(TypeError, lambda: d.get()), self.failing(TypeError, lambda: d.set('a', 1, wrong=2)),
        ]

    def run_operations(self, count):
        operations = self.operations
        for i in range(count // len(operations)):
            for operation in operations:
                operation()
            if i % RARELY == 0:
                for operation in self.rare:
                    operation()

    def figures(self):
        gc.collect()
        counted = (None, True, False, pongo.PongoDict, pongo.PongoIter, self.db['d'], self.value, pongo._errors.KeyError)
        return sys.getallocatedblocks(), [sys.getrefcount(thing) for thing in counted]

    def test_blocks_and_references_stay(self):
        self.run_operations(OPERATIONS // ROUNDS)
        rounds = [self.figures()]
        for _ in range(ROUNDS - 1):
            self.run_operations(OPERATIONS // ROUNDS)
            rounds.append(self.figures())
        # A leak grows in every round, by as much as the list of operations is run in one; caches of Python grow in some.
        allowed = OPERATIONS // ROUNDS // len(self.operations) // 2
        self.assertGreater(allowed, 10)
        growths = [(after[0] - before[0], [b - a for a, b in zip(before[1], after[1])])
                   for before, after in zip(rounds, rounds[1:])]
        self.assertLess(min(blocks for blocks, _ in growths), allowed)
        for growth in zip(*(references for _, references in growths)):
            self.assertLess(min(growth), allowed)
            self.assertGreater(max(growth), -allowed)

    @unittest.skipUnless(os.path.exists('/proc/self/status'), 'needs /proc')
    @unittest.skipIf('asan' in os.environ.get('LD_PRELOAD', ''), 'AddressSanitizer keeps what is freed for a while')
    def test_memory_and_files_stay(self):
        for _ in range(3):
            self.run_operations(OPERATIONS // ROUNDS)
        before, files = anonymous_memory(self.db), len(os.listdir('/proc/self/fd'))
        for _ in range(ROUNDS - 3):
            self.run_operations(OPERATIONS // ROUNDS)
        self.assertLess(anonymous_memory(self.db) - before, 4 * 2**20)
        # Threads of the engine open the file for a round of work: some more or less at any moment.
        self.assertLess(len(os.listdir('/proc/self/fd')), files + 10)

    def test_opening_and_closing_leaves_nothing(self):
        def cycle(times):
            for _ in range(times):
                with pongo.open(self.path, durability='none') as db:
                    db.get('d.n')
                pongo.open(self.path, durability='none')['d'].get('n')  # closed when it is dropped
            gc.collect()

        cycle(20)
        blocks, files = sys.getallocatedblocks(), len(os.listdir('/dev/fd'))
        cycle(100)
        self.assertLess(sys.getallocatedblocks() - blocks, 100)
        self.assertLess(len(os.listdir('/dev/fd')), files + 10)
