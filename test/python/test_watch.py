"""Watching: pongo.watch and pongo.changes see what any process changes."""

import queue
import signal
import threading

import pongo
from support import TIMEOUT, DatabaseTest, run_node, run_python, start_node, start_python


class WatchTest(DatabaseTest):
    def watch(self, target):
        """(queue of single changes, stop)"""
        seen = queue.Queue()
        stop = pongo.watch(self.db, target, lambda changes: [seen.put(change) for change in changes])
        self.addCleanup(stop)
        return seen, stop

    def test_changes_of_node_are_seen(self):
        self.db['d'] = {'n': 0, 'l': [1, 2]}
        seen, _ = self.watch('d')
        run_node('const db = open(process.argv[1]); db.transaction(() => { db.root.d.n = 5; db.root.d.l.splice(1, 1, "a", "b"); '
                 'db.root.d.x = { y: 1 } }); db.close()', self.path)
        changes = {tuple(change['path']): change for change in (seen.get(timeout=TIMEOUT) for _ in range(3))}
        self.assertEqual(changes[('n',)], {'path': ['n'], 'type': 'set', 'value': 5, 'old_value': 0})
        self.assertEqual(changes[('l',)], {'path': ['l'], 'type': 'splice', 'index': 1, 'removed': 1, 'inserted': ['a', 'b']})
        self.assertEqual(changes[('x',)]['type'], 'set')
        self.assertIs(changes[('x',)]['value'], self.db['d']['x'])
        self.assertIsNone(changes[('x',)]['old_value'])
        run_node('const db = open(process.argv[1]); delete db.root.d.x; db.close()', self.path)
        self.assertEqual(seen.get(timeout=TIMEOUT), {'path': ['x'], 'type': 'delete', 'old_value': {'y': 1}})

    def test_changes_of_this_process_and_of_another_python(self):
        self.db['c'] = collection = pongo.PongoCollection.create(self.db)
        seen, _ = self.watch(collection)
        collection[(1, 'k')] = 'own'
        self.assertEqual(seen.get(timeout=TIMEOUT), {'path': [(1, 'k')], 'type': 'set', 'value': 'own', 'old_value': None})
        run_python('import pongo, sys; pongo.open(sys.argv[1])["c"]["other"] = 1', self.path)
        self.assertEqual(seen.get(timeout=TIMEOUT)['path'], ['other'])

    def test_the_last_state_is_never_missed(self):
        self.db['n'] = 0
        last = threading.Event()
        batches = []

        def callback(changes):
            batches.append(changes)
            if changes[-1]['value'] == 5000:
                last.set()

        stop = pongo.watch(self.db, ['n'], callback)
        run_node('const db = open(process.argv[1]); for (let i = 0; i < 5000; i++) db.root.$incr("n"); db.close()', self.path)
        self.assertTrue(last.wait(TIMEOUT))
        stop()
        # One batch leads to the next: nothing is seen twice, nothing is left out.
        old = 0
        for (change,) in batches:
            self.assertEqual(change['old_value'], old)
            old = change['value']

    def test_stop(self):
        seen, stop = self.watch('x')
        other, stop_other = self.watch('x')
        stop()
        stop()
        self.db['x'] = 1
        other.get(timeout=TIMEOUT)
        self.assertTrue(seen.empty())
        stop_other()
        called = queue.Queue()
        holder = {}

        def callback(changes):
            holder['stop']()  # from within
            called.put(changes)

        holder['stop'] = pongo.watch(self.db, 'x', callback)
        self.db['x'] = 2
        called.get(timeout=TIMEOUT)
        self.db['x'] = 3
        self.assertTrue(called.empty())

    def test_a_callback_that_raises_is_reported_and_goes_on(self):
        reported, calls = queue.Queue(), queue.Queue()
        hook = threading.excepthook
        threading.excepthook = lambda args: reported.put(args.exc_type)
        self.addCleanup(setattr, threading, 'excepthook', hook)

        def callback(changes):
            calls.put(changes)
            raise RuntimeError('mine')

        stop = pongo.watch(self.db, 'x', callback)
        for i in range(2):
            self.db['x'] = i
            calls.get(timeout=TIMEOUT)
            self.assertIs(reported.get(timeout=TIMEOUT), RuntimeError)
        stop()

    def test_a_callback_may_use_the_database(self):
        done = queue.Queue()

        def callback(changes):
            pongo.transaction(self.db, lambda: self.db.set('sum', self.db.get('sum', 0) + changes[-1]['value']))
            done.put(self.db['sum'])

        stop = pongo.watch(self.db, 'x', callback)
        self.db['x'] = 5
        self.assertEqual(done.get(timeout=TIMEOUT), 5)
        stop()

    def test_closing_ends_watching(self):
        with pongo.open(self.path, durability='none') as db:
            before = threading.active_count()
            stop = pongo.watch(db, 'x', lambda changes: None)
            batches = pongo.changes(db, 'x')
            waiting = threading.Thread(target=lambda: list(batches))
            waiting.start()
        waiting.join(TIMEOUT)
        self.assertFalse(waiting.is_alive())
        stop()
        self.assertLessEqual(threading.active_count(), before)

    def test_changes(self):
        self.db['x'] = [0]
        batches = pongo.changes(self.db, 'x', timeout=TIMEOUT)
        self.db['x'][0] = 1
        self.assertEqual(next(batches), [{'path': [0], 'type': 'set', 'value': 1, 'old_value': 0}])
        run_node('const db = open(process.argv[1]); db.root.x.push(2); db.close()', self.path)
        self.assertEqual(next(batches), [{'path': [], 'type': 'splice', 'index': 1, 'removed': 0, 'inserted': [2]}])
        batches.close()
        self.assertEqual(list(pongo.changes(self.db, 'x', timeout=0)), [])
        self.assertEqual(list(pongo.changes(self.db, 'x', timeout=0.01)), [])

    def test_what_python_cannot_show_is_a_reset_and_watching_goes_on(self):
        self.db['d'] = {'keys': {True: 0}}
        self.db['d']['keys'][1] = 0
        seen, _ = self.watch('d')
        batches = pongo.changes(self.db, 'd', timeout=TIMEOUT)
        reset = {'path': [], 'type': 'reset'}
        run_node('const db = open(process.argv[1]); db.root.d.t = new Date(8.64e15); db.close()', self.path)
        self.assertEqual((seen.get(timeout=TIMEOUT), next(batches)), (reset, [reset]))
        self.assertRaises(ValueError, lambda: self.db['d']['t'])
        del self.db['d']['keys']  # old_value would be a dict that holds both True and 1
        self.assertEqual((seen.get(timeout=TIMEOUT), next(batches)), (reset, [reset]))
        self.db['d']['t'] = 1
        self.assertEqual((seen.get(timeout=TIMEOUT), next(batches)), (reset, [reset]))  # of the old_value
        self.db['d']['t'] = 2
        change = {'path': ['t'], 'type': 'set', 'value': 2, 'old_value': 1}
        self.assertEqual((seen.get(timeout=TIMEOUT), next(batches)), (change, [change]))
        batches.close()

    def test_arguments(self):
        self.assertRaises(TypeError, pongo.watch, self.db, 5, print)
        self.assertRaises(TypeError, pongo.watch, self.db, 'x', 5)
        self.assertRaises(TypeError, pongo.changes, None, 'x')
        with pongo.snapshot(self.db) as root:
            self.assertRaises(ValueError, pongo.watch, self.db, root, print)
        with pongo.transaction(self.db):
            self.assertRaises(ValueError, pongo.watch, self.db, 'x', print)

    def test_node_sees_what_python_changes_and_a_killed_watcher_hurts_nobody(self):
        node = start_node('const db = open(process.argv[1]); const stop = db.watch("x", (changes) => { console.log(JSON.stringify(changes)); '
                          'if (changes.at(-1).value === "end") { stop(); db.close() } }); console.log("watching")', self.path)
        self.addCleanup(node.kill)
        watcher = start_python('import pongo, sys, threading\ndb = pongo.open(sys.argv[1])\n'
                               'stop = pongo.watch(db, "x", lambda changes: print(changes, flush=True))\nprint("watching", flush=True)\nsys.stdin.read()', self.path)
        self.assertEqual(node.stdout.readline(), 'watching\n')
        self.assertEqual(watcher.stdout.readline(), 'watching\n')
        self.db['x'] = 1
        self.assertIn('"value":1', node.stdout.readline())
        self.assertIn("'value': 1", watcher.stdout.readline())
        watcher.send_signal(signal.SIGKILL)
        watcher.communicate(timeout=TIMEOUT)
        self.db['x'] = 'end'
        self.assertIn('"value":"end"', node.stdout.readline())
        self.assertEqual(node.wait(TIMEOUT), 0)
        node.communicate()
