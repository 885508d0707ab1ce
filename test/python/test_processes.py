"""Threads, fork, multiprocessing, and death."""

import gc
import multiprocessing
import os
import signal
import threading

import pongo
from support import TIMEOUT, DatabaseTest, run_python, start_python


def add_in_process(path, count):
    with pongo.open(path) as db:
        for _ in range(count):
            db.incr('n')


def add_with_inherited(db, path, queue):
    try:
        db['n']
        queue.put('no error')
    except pongo.ForkError as error:
        queue.put(error.code)
    add_in_process(path, 100)


def in_child(body):
    """Runs body() in a forked child; its result is the exit code."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = body()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


class ForkTest(DatabaseTest):
    def raises_fork_error(self, use):
        try:
            use()
        except pongo.ForkError as error:
            return error.code == 'PONGO_ERR_FORK'
        return False

    def test_an_old_handle_raises_in_the_child_and_the_parent_goes_on(self):
        self.db.update({'d': {'n': 1}, 'l': [1], 'big': {i: i for i in range(1000)}})
        child, elements, iterator, snapshot = self.db['d'], self.db['l'], iter(self.db['big']), pongo.snapshot(self.db)
        next(iterator)
        uses = [
            lambda: self.db['d'], lambda: self.db.set('x', 1), lambda: len(elements), lambda: elements.append(1),
            lambda: child.native(), lambda: pongo.gc(self.db), lambda: pongo.sync(self.db), lambda: list(snapshot.root),
            lambda: list(iterator), lambda: pongo.transaction(self.db, lambda: 1), lambda: pongo.snapshot(self.db),
            lambda: pongo.PongoDict.create(self.db), lambda: child.pop('n'), lambda: pongo.meta(self.db, 'chunksize'),
        ]

        def body():
            bad = sum(1 for use in uses if not self.raises_fork_error(use))
            with pongo.open(self.path, durability='none') as own:
                own['from child'] = own['d']['n'] + 1
            pongo.close(self.db)
            return bad

        self.assertEqual(in_child(body), 0)
        self.assertEqual(self.db['from child'], 2)
        self.assertEqual(len(list(iterator)), 999)
        self.assertEqual(snapshot.root.keys(), ['big', 'd', 'l'])
        elements.append(2)
        self.assertEqual(elements, [1, 2])

    def test_fork_with_a_transaction_open(self):
        self.db['n'] = 1
        self.db['d'] = {}
        with pongo.transaction(self.db):
            self.db['n'] = 2

            def body():
                with pongo.open(self.path, durability='none') as own:
                    first = own['n']
                    own['d']['other'] = 1
                return first + (0 if self.raises_fork_error(lambda: self.db['n']) else 50)

            self.assertEqual(in_child(body), 1)
        self.assertEqual((self.db['n'], self.db.get('d.other')), (2, 1))

    def test_old_objects_die_quietly_in_the_child(self):
        self.db['d'] = {}
        held = [self.db['d'], iter(self.db), pongo.snapshot(self.db)]

        def body():
            held.clear()
            self.__dict__.pop('db')
            gc.collect()
            return 0

        db = self.db
        self.assertEqual(in_child(body), 0)
        self.db = db
        self.db['d']['x'] = 1
        pongo.gc(self.db, True)
        self.assertEqual(held[0]['x'], 1)

    def test_fork_while_other_threads_work(self):
        stop = threading.Event()

        def work():
            while not stop.is_set():
                self.db.incr('busy')
                self.db['d'] = {'x': [1, 2]}
                list(self.db)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                def body():
                    with pongo.open(self.path, durability='none') as own:
                        own.incr('children')
                    return 0 if self.raises_fork_error(lambda: self.db['d']) else 1

                self.assertEqual(in_child(body), 0)
        finally:
            stop.set()
            for thread in threads:
                thread.join(TIMEOUT)
        self.assertEqual(self.db['children'], 10)

    def test_multiprocessing(self):
        self.db['n'] = 0
        fork = multiprocessing.get_context('fork')
        queue = fork.SimpleQueue()
        workers = [fork.Process(target=add_with_inherited, args=(self.db, self.path, queue)) for _ in range(2)]
        workers += [multiprocessing.get_context('spawn').Process(target=add_in_process, args=(self.path, 100)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(TIMEOUT)
            self.assertEqual(worker.exitcode, 0)
        self.assertEqual([queue.get(), queue.get()], ['PONGO_ERR_FORK'] * 2)
        self.assertEqual(self.db['n'], 400)


class ThreadsTest(DatabaseTest):
    def in_threads(self, count, body):
        errors = []

        def run(number):
            try:
                body(number)
            except BaseException as error:  # reported below
                errors.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
        self.assertEqual(errors, [])

    def test_threads_share_a_handle(self):
        self.db['l'] = []

        def work(number):
            for i in range(300):
                self.db.incr('n')
                self.db['l'].append((number, i))
                self.db[f'own {number}'] = self.db.get(f'own {number}', 0) + 1
                pongo.transaction(self.db, lambda: self.db.set('t', self.db.get('t', 0) + 1))
                if i % 50 == 0:
                    with pongo.snapshot(self.db) as root:
                        self.assertEqual(len(root['l']), len(list(root['l'])))

        self.in_threads(4, work)
        self.assertEqual((self.db['n'], self.db['t'], len(self.db['l'])), (1200, 1200, 1200))
        self.assertEqual([self.db[f'own {number}'] for number in range(4)], [300] * 4)

    def test_blocks_of_several_threads_take_turns(self):
        self.db['n'] = 0

        def work(_number):
            done = 0
            while done < 50:
                try:
                    with pongo.transaction(self.db):
                        self.db['n'] += 1
                except pongo.ConflictError:
                    continue
                done += 1

        self.in_threads(3, work)
        self.assertEqual(self.db['n'], 150)

    def test_objects_and_snapshots_wander_between_threads(self):
        made = []

        def make(_number):
            self.db['d'] = {'n': 1}
            made.extend([self.db['d'], pongo.snapshot(self.db), iter(self.db), pongo.PongoDict.create(self.db)])

        self.in_threads(1, make)
        live, snapshot, iterator, unlinked = made
        pongo.gc(self.db, True)
        unlinked['x'] = 1
        live['n'] += 1
        self.assertEqual((snapshot.root['d']['n'], live['n'], list(iterator), unlinked['x']), (1, 2, ['d'], 1))

    def test_the_gil_is_free_while_waiting_and_syncing(self):
        # Each thread needs the others to run while it is in the engine; were the GIL held, none would come further.
        running = threading.Event()

        def spin():
            while not running.is_set():
                pass

        thread = threading.Thread(target=spin)
        thread.start()
        for i in range(20):
            self.db.set('x', i, sync=True)
            pongo.verify(self.db)
        running.set()
        thread.join(TIMEOUT)
        self.assertFalse(thread.is_alive())

    def test_closing_while_threads_work(self):
        for _ in range(20):
            db = pongo.open(self.path, durability='none')
            started = threading.Barrier(4)
            results = []

            def work():
                started.wait(TIMEOUT)
                try:
                    while True:
                        db.incr('n')
                        db['d'] = {'x': db.keys()}
                except pongo.ClosedError:
                    results.append('closed')

            threads = [threading.Thread(target=work) for _ in range(3)]
            for thread in threads:
                thread.start()
            started.wait(TIMEOUT)
            pongo.close(db)
            for thread in threads:
                thread.join(TIMEOUT)
            self.assertEqual(results, ['closed'] * 3)

    def test_threads_give_their_slots_back(self):
        # A session has a file open. The last threads may still be on their way out: join() waits for their Python only.
        before = len(os.listdir('/dev/fd'))
        for _ in range(100):
            self.in_threads(1, lambda _: self.db.incr('n'))
        self.assertLess(len(os.listdir('/dev/fd')), before + 20)


class DeathTest(DatabaseTest):
    def test_kill_9_hurts_nobody_and_loses_nothing_acknowledged(self):
        program = (
            'import pongo, sys\n'
            'db = pongo.open(sys.argv[1], durability="none")\n'
            'while True:\n'
            '    print(db.incr("n"), flush=True)\n'
            '    db["scratch"] = {"list": list(range(50))}\n'
        )
        last = 0
        for _ in range(5):
            child = start_python(program, self.path)
            for _ in range(20):
                last = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            rest = child.communicate(timeout=TIMEOUT)[0].split()
            last = int(rest[-1]) if rest else last
            self.assertGreaterEqual(self.db['n'], last)
            self.db.incr('mine')
            pongo.gc(self.db, True)
        self.assertEqual(self.db['mine'], 5)

    def test_killed_inside_a_transaction(self):
        program = (
            'import os, pongo, signal, sys\n'
            'db = pongo.open(sys.argv[1], durability="none")\n'
            'with pongo.transaction(db):\n'
            '    db["half"] = 1\n'
            '    os.kill(os.getpid(), signal.SIGKILL)\n'
        )
        child = start_python(program, self.path)
        self.assertEqual(child.wait(TIMEOUT), -signal.SIGKILL)
        child.communicate()
        with pongo.transaction(self.db):
            self.assertNotIn('half', self.db)
            self.db['whole'] = 1
        self.assertEqual(self.db.keys(), ['whole'])

    def test_exit_without_close(self):
        out = run_python('import pongo, sys; db = pongo.open(sys.argv[1]); db["x"] = {}; keep = db["x"]; print(len(db))', self.path)
        self.assertEqual(out, '1\n')
        out = run_python(
            'import pongo, sys, threading\ndb = pongo.open(sys.argv[1])\n'
            't = threading.Thread(target=lambda: db.incr("n")); t.start(); t.join(); print(db["n"])', self.path)
        self.assertEqual(out, '1\n')
