"""Locks, semaphores and events between threads and processes of both languages."""

import gc
import os
import signal
import sys
import threading
import unittest

import pongo
from support import TIMEOUT, DatabaseTest, run_node, start_node, start_python


class LockTest(DatabaseTest):
    def in_thread(self, function):
        """Starts it; returns join(), which gives what it returned or raises what it raised."""
        outcome = []

        def run():
            try:
                outcome.append((function(), None))
            except BaseException as error:
                outcome.append((None, error))

        thread = threading.Thread(target=run)
        thread.start()

        def join():
            thread.join(TIMEOUT)
            result, error = outcome[0]
            if error is not None:
                raise error
            return result

        return join

    def test_at_most_one_holds_it(self):
        lock = pongo.lock(self.db, 'a')
        with lock as hold:
            self.assertIsInstance(hold, pongo.Hold)
            self.assertIsNone(pongo.lock(self.db, 'a').try_acquire())
            self.assertIsNone(self.in_thread(lock.try_acquire)())
            with pongo.lock(self.db, 'b'):
                pass
        with lock.acquire(timeout=0) as hold:
            hold.release()
            hold.release()
            with lock.try_acquire():
                self.assertIsNone(lock.try_acquire())
        self.assertEqual(repr(lock), "<pongo lock 'a'>")

    def test_a_block_that_raises_gives_it_back(self):
        lock = pongo.lock(self.db, 'a')
        with self.assertRaises(ZeroDivisionError), lock:
            1 / 0
        lock.acquire(timeout=0).release()

    def test_time_out(self):
        lock = pongo.lock(self.db, 'a')
        with lock:
            for timeout in (0, 0.01):
                with self.assertRaisesRegex(pongo.TimeoutError, "lock 'a' was not granted within") as caught:
                    lock.acquire(timeout=timeout)
                self.assertIsInstance(caught.exception, TimeoutError)
        # What timed out is in no queue any more.
        lock.acquire(timeout=0).release()

    def test_threads_take_turns(self):
        lock, count = pongo.lock(self.db, 'a'), 200

        def work():
            for _ in range(count):
                with lock:
                    self.db['n'] = self.db.get('n', 0) + 1

        for join in [self.in_thread(work) for _ in range(4)]:
            join()
        self.assertEqual(self.db['n'], 4 * count)

    def test_a_hold_may_be_released_by_another_thread_and_is_kept_without_a_reference(self):
        lock = pongo.lock(self.db, 'a')
        hold = self.in_thread(lock.acquire)()  # its thread has ended
        gc.collect()
        self.assertIsNone(lock.try_acquire())
        hold.release()
        lock.acquire()  # nobody keeps it
        gc.collect()
        self.assertIsNone(lock.try_acquire())

    def test_readers_share_and_a_writer_does_not(self):
        lock = pongo.rwlock(self.db, 'a')
        with lock.read, lock.read:
            self.assertIsNone(lock.write.try_acquire())
        with lock.write:
            self.assertIsNone(lock.read.try_acquire())
            self.assertRaisesRegex(pongo.TimeoutError, "read lock 'a'", lock.read.acquire, 0)
        with lock.read:
            pass

    def test_semaphores(self):
        printers = pongo.semaphore(self.db, 'printers', 2)
        self.assertEqual((printers.permits, printers.name), (2, 'printers'))
        with printers, printers:
            self.assertIsNone(printers.try_acquire())
            self.assertRaises(pongo.ArgError, pongo.semaphore, self.db, 'printers', 3)
        del printers
        gc.collect()
        self.assertEqual(pongo.semaphore(self.db, 'printers', 3).permits, 3)

    def test_events(self):
        event = pongo.event(self.db, 'ready')
        self.assertFalse(event.is_set())
        self.assertRaisesRegex(pongo.TimeoutError, "event 'ready' was not set within", event.wait, 0.001)
        join = self.in_thread(event.wait)
        event.set()
        join()
        event.wait(timeout=0)
        self.assertTrue(event.is_set())
        event.clear()
        self.assertFalse(event.is_set())

    def test_closing_the_database_ends_waiting_and_gives_back(self):
        with pongo.open(self.path, durability='none') as other:
            hold = pongo.lock(self.db, 'a').acquire()
            join = self.in_thread(pongo.lock(other, 'a').acquire)
            wanted = pongo.lock(other, 'a')
        self.assertRaises(pongo.ClosedError, join)
        self.assertRaises(pongo.ClosedError, wanted.acquire)
        hold.release()
        other = pongo.open(self.path, durability='none')
        kept = pongo.lock(other, 'a').acquire()
        pongo.close(other)
        pongo.lock(self.db, 'a').acquire(timeout=TIMEOUT).release()
        kept.release()

    def test_refusals(self):
        lock = pongo.lock(self.db, 'a')
        for name in (1, None, b'a', 'x' * 953):
            for make in (pongo.lock, pongo.rwlock, pongo.event, lambda db, name: pongo.semaphore(db, name, 1)):
                self.assertRaises(pongo.ArgError, make, self.db, name)
        for timeout in (-1, float('nan'), '1', True):
            self.assertRaises(pongo.ArgError, lock.acquire, timeout)
        for n in (0, -1, 1.0, True, 2**30 + 1):
            self.assertRaises(pongo.ArgError, pongo.semaphore, self.db, 's', n)
        with pongo.transaction(self.db):
            self.assertRaises(pongo.ArgError, lock.acquire)
            self.assertRaises(pongo.ArgError, pongo.event(self.db, 'e').set)
        reader = os.path.join(self.folder, 'reader.pongo')
        pongo.close(pongo.open(reader))
        with pongo.open(reader, read_only=True) as db:
            self.assertRaises(pongo.ReadonlyError, pongo.lock(db, 'a').acquire)
            self.assertRaises(pongo.ReadonlyError, pongo.semaphore(db, 's', 1).acquire)
        self.assertRaises(TypeError, pongo.lock, {}, 'a')
        lock.acquire(timeout=0).release()

    def test_a_name_is_any_text(self):
        with pongo.lock(self.db, 'é\0\ud800'), pongo.lock(self.db, ''):
            out = run_node(
                'const db = open(process.argv[1]); console.log(["é\\0\\ud800", "", "é"].map((name) => db.lock(name).tryAcquire() !== undefined)'
                '.join()); db.close()', self.path)
        self.assertEqual(out, 'false,false,true\n')


class ProcessesTest(DatabaseTest):
    def test_both_languages_take_turns(self):
        count = 300
        node = start_node(
            'const db = open(process.argv[1]); const lock = db.lock("turn");'
            'console.log("ready"); process.stdin.once("data", () => {'
            f'for (let i = 0; i < {count}; i++) {{ const hold = lock.acquireSync(); db.root.n = (db.root.n ?? 0) + 1; hold.release() }}'
            'db.close(); process.exit() })', self.path)
        self.addCleanup(node.kill)
        self.assertEqual(node.stdout.readline(), 'ready\n')
        node.stdin.write('go\n')
        node.stdin.flush()
        for _ in range(count):
            with pongo.lock(self.db, 'turn'):
                self.db['n'] = self.db.get('n', 0) + 1
        node.communicate(timeout=TIMEOUT)
        self.assertEqual(self.db['n'], 2 * count)

    def test_node_waits_for_python_and_python_for_node(self):
        node = start_node(
            'const db = open(process.argv[1]); db.event("begin").wait().then(async () => {'
            ' const hold = await db.semaphore("s", 1).acquire(); db.event("held").set();'
            ' await db.event("enough").wait(); hold.release(); db.close() })', self.path)
        self.addCleanup(node.kill)
        pongo.event(self.db, 'begin').set()
        pongo.event(self.db, 'held').wait(TIMEOUT)
        semaphore = pongo.semaphore(self.db, 's', 1)
        self.assertIsNone(semaphore.try_acquire())
        pongo.event(self.db, 'enough').set()
        semaphore.acquire(TIMEOUT).release()
        node.communicate(timeout=TIMEOUT)
        self.assertEqual(node.returncode, 0)

    def test_a_holder_that_is_killed_gives_it_back(self):
        child = start_python(
            'import pongo, sys\ndb = pongo.open(sys.argv[1])\npongo.lock(db, "a").acquire()\nprint("held", flush=True)\nsys.stdin.read()',
            self.path)
        self.addCleanup(child.communicate)
        self.assertEqual(child.stdout.readline(), 'held\n')
        self.assertIsNone(pongo.lock(self.db, 'a').try_acquire())
        child.send_signal(signal.SIGKILL)
        pongo.lock(self.db, 'a').acquire(TIMEOUT).release()

    def test_a_forked_child_neither_has_nor_gives_back_what_its_parent_holds(self):
        lock = pongo.lock(self.db, 'a')
        hold = lock.acquire()
        child = os.fork()
        if child == 0:
            try:
                hold.release()
                try:
                    lock.try_acquire()
                except pongo.ForkError:
                    with pongo.open(self.path) as db:
                        os._exit(0 if pongo.lock(db, 'a').try_acquire() is None else 1)
            finally:
                os._exit(2)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertIsNone(lock.try_acquire())
        hold.release()
        lock.acquire(timeout=0).release()


@unittest.skipUnless(sys.platform == 'linux', 'reads /proc')
class WaitingTest(DatabaseTest):
    def test_waiting_burns_no_processor(self):
        with pongo.lock(self.db, 'a'):
            before = os.times()
            self.assertRaises(pongo.TimeoutError, pongo.lock(self.db, 'a').acquire, 0.5)
            after = os.times()
        self.assertLess(after.user + after.system - before.user - before.system, 0.25)
