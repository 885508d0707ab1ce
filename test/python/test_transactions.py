"""Transactions, snapshots, closing."""

import os
import threading

import pongo
from support import TIMEOUT, DatabaseTest, run_python


class TransactionTest(DatabaseTest):
    def test_all_or_nothing(self):
        self.db.update({'a': 10, 'b': 0})

        def move():
            self.db['a'] -= 5
            self.db['b'] += 5
            return 'done'

        self.assertEqual(pongo.transaction(self.db, move), 'done')
        with pongo.transaction(self.db):
            move()
        self.assertEqual((self.db['a'], self.db['b']), (0, 10))
        for run in (lambda: pongo.transaction(self.db, self.fail_halfway), self.fail_in_block):
            self.assertRaisesRegex(RuntimeError, 'mine', run)
            self.assertEqual((self.db['a'], self.db['b']), (0, 10))
        self.assertRaises(TypeError, pongo.transaction, self.db, 5)

    def fail_halfway(self):
        self.db['a'] = 99
        raise RuntimeError('mine')

    def fail_in_block(self):
        with pongo.transaction(self.db):
            self.fail_halfway()

    def test_nested_calls_join(self):
        def outer():
            self.db['x'] = 1
            with pongo.transaction(self.db):
                self.db['y'] = pongo.transaction(self.db, lambda: self.db['x'] + 1)
            self.assertRaises(ValueError, pongo.snapshot, self.db)
            self.assertRaises(ValueError, pongo.sync, self.db)
            raise RuntimeError('mine')

        self.assertRaisesRegex(RuntimeError, 'mine', pongo.transaction, self.db, outer)
        self.assertEqual(self.db.keys(), [])

    def test_reads_inside_see_the_own_writes_and_others_do_not(self):
        seen = []
        with pongo.transaction(self.db):
            self.db['l'] = [1]
            self.db['l'].append(2)
            self.assertEqual(list(self.db['l']), [1, 2])
            thread = threading.Thread(target=lambda: seen.append(self.db.get('l')))
            thread.start()
            thread.join(TIMEOUT)
        self.assertEqual(seen, [None])
        self.assertEqual(self.db['l'], [1, 2])

    def test_a_function_runs_again_after_a_conflict(self):
        self.db['n'] = 0
        runs = []

        def add():
            value = self.db['n']
            if not runs:
                run_python('import pongo, sys; pongo.open(sys.argv[1])["n"] = 100', self.path)
            runs.append(value)
            self.db['n'] = value + 1

        pongo.transaction(self.db, add)
        self.assertEqual((runs, self.db['n']), ([0, 100], 101))

    def test_a_block_cannot_run_again(self):
        self.db['n'] = 0
        with self.assertRaises(pongo.ConflictError) as caught:
            with pongo.transaction(self.db):
                value = self.db['n']
                run_python('import pongo, sys; pongo.open(sys.argv[1])["n"] = 100', self.path)
                self.db['n'] = value + 1
        self.assertEqual(caught.exception.code, 'PONGO_ERR_CONFLICT')
        self.assertEqual(self.db['n'], 100)
        self.db['n'] = 5  # the handle goes on

    def test_snapshots_stay_as_they_were(self):
        self.db.update({'d': {'n': 1}, 'l': [1]})
        with pongo.snapshot(self.db) as root:
            version = pongo.snapshot(self.db).version
            self.db['d']['n'] = 2
            self.db['l'].append(2)
            self.db['new'] = 1
            self.assertEqual(root.native(), {'d': {'n': 1}, 'l': [1]})
            self.assertEqual((list(root), len(root), root.get('d.n'), root['l'][-1]), (['d', 'l'], 2, 1, 1))
            self.assertEqual(list(iter(root).expr('l')), [('l', [1])])
            self.assertEqual(list(root.search('n', '==', 1)), ['d'])
            for write in (
                lambda: root.set('x', 1), lambda: root['l'].append(1), lambda: root.update(x=1), lambda: root['d'].pop('n'),
                lambda: root['l'].sort(), lambda: root.incr('x'),
            ):
                self.assertRaises(pongo.ReadonlyError, write)
            kept = root['d']
        self.assertRaises(pongo.SnapshotError, lambda: kept['n'])
        self.assertRaises(pongo.SnapshotError, list, kept)
        other = pongo.snapshot(self.db)
        self.assertGreater(other.version, version)
        self.assertEqual(other.get(self.db['d'])['n'], 2)
        other.release()
        other.release()

    def test_many_iterators_and_snapshots(self):
        self.db['c'] = collection = pongo.PongoCollection.create(self.db)
        collection.update({i: i for i in range(300)})
        for _ in range(1000):
            self.assertEqual(next(iter(collection)), 0)
            self.assertEqual(pongo.snapshot(self.db).root['c'][1], 1)

    def test_an_async_function_is_refused(self):
        async def later():
            self.db['x'] = 1

        def half():
            self.db['x'] = 1
            return later()

        for fn in (later, half):
            self.assertRaises(TypeError, pongo.transaction, self.db, fn)
        self.assertNotIn('x', self.db)

    def test_closing(self):
        child = self.db.setdefault('d', {'n': 1})
        iterator = iter(self.db)
        snapshot = pongo.snapshot(self.db)
        other = pongo.open(self.path, durability='none')
        pongo.close(self.db)
        pongo.close(self.db)
        for use in (lambda: self.db['d'], lambda: child['n'], lambda: len(self.db), lambda: snapshot.root['d'], lambda: self.db.set('x', 1), lambda: next(iterator)):
            with self.assertRaises(ValueError) as caught:
                use()
            self.assertEqual(caught.exception.code, 'PONGO_ERR_CLOSED')
        self.assertEqual(other['d']['n'], 1)
        pongo.close(other)
        with pongo.open(self.path, durability='none') as again:
            self.assertEqual(again['d']['n'], 1)

    def test_options(self):
        missing = os.path.join(self.folder, 'missing.pongo')
        with self.assertRaises(OSError) as caught:
            pongo.open(missing, create=False)
        self.assertIsInstance(caught.exception, pongo.Error)
        self.assertRaises(ValueError, pongo.open, missing, durability='perhaps')
        self.assertRaises(TypeError, pongo.open, missing, chunk=1)
        self.assertRaises(TypeError, pongo.open, 5)
        junk = os.path.join(self.folder, 'junk')
        with open(junk, 'w') as file:
            file.write('no database')
        self.assertRaises(pongo.Error, pongo.open, junk)
        pongo.sync(self.db)
        with pongo.open(os.path.join(self.folder, 'synced.pongo'), durability='sync') as synced:
            synced['x'] = 1
            self.assertEqual(synced.set('y', 2, sync=True), None)
        reader = run_python(
            'import pongo, sys\n'
            'db = pongo.open(sys.argv[1], read_only=True)\n'
            'try: db["x"] = 1\n'
            'except PermissionError as error: print(error.code, db["y"])',
            os.path.join(self.folder, 'synced.pongo'),
        )
        self.assertEqual(reader, 'PONGO_ERR_READONLY 2\n')
