"""Ctrl-C ends every wait of the main thread, and leaves nothing open."""

import fcntl
import os
import signal
import struct
import sys
import unittest

import pongo
from support import TIMEOUT, DatabaseTest, start_python

CHECKPOINT_BYTE = 2**62 + 2  # of native/core/store/thread_slot.h


def interrupted_child(path, wait):
    """A process that has begun to wait, and was sent SIGINT. It says when that has ended the wait, and ends without closing."""
    child = start_python(
        'import os, pongo, sys\n'
        'db = pongo.open(sys.argv[1])\n'
        'try:\n'
        '    print("waiting", flush=True)\n'
        f'    {wait}\n'
        '    print("not interrupted", flush=True)\n'
        'except KeyboardInterrupt:\n'
        '    print("interrupted", db.incr("n"), flush=True)\n'
        'os._exit(0)\n', path)
    if child.stdout.readline() != 'waiting\n':
        raise AssertionError('the child has failed')
    child.send_signal(signal.SIGINT)
    return child


class InterruptTest(DatabaseTest):
    def test_waits_for_others(self):
        waits = [
            'pongo.lock(db, "a").acquire()', 'pongo.lock(db, "a").acquire(timeout=3600)', 'pongo.lock(db, "a").__enter__()',
            'pongo.rwlock(db, "r").read.acquire()', 'pongo.rwlock(db, "r").write.acquire()', 'pongo.semaphore(db, "s", 1).acquire()',
            'pongo.event(db, "e").wait()', 'list(pongo.changes(db, "x"))', 'list(pongo.changes(db, "x", timeout=3600))',
        ]
        with pongo.lock(self.db, 'a'), pongo.rwlock(self.db, 'r').write, pongo.semaphore(self.db, 's', 1):
            children = [interrupted_child(self.path, wait) for wait in waits]
            for child, wait in zip(children, waits):
                with self.subTest(wait):
                    self.addCleanup(child.kill)
                    self.assertRegex(child.communicate(timeout=TIMEOUT)[0], r'^interrupted \d\n$')
        # Who was interrupted is in no queue any more.
        with pongo.lock(self.db, 'a').acquire(0), pongo.rwlock(self.db, 'r').write.acquire(0), pongo.semaphore(self.db, 's', 1).acquire(0):
            pass

    @unittest.skipUnless(hasattr(fcntl, 'F_OFD_SETLK'), 'needs locks of open files')
    def test_a_sync_behind_a_stopped_checkpoint(self):
        self.db['x'] = 1
        file = os.open(self.path, os.O_RDWR)
        try:
            lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, CHECKPOINT_BYTE, 1, 0)
            # Our own background thread may be at it just now.
            fcntl.fcntl(file, fcntl.F_OFD_SETLKW, lock)
            child = interrupted_child(self.path, 'pongo.sync(db)')
            self.addCleanup(child.kill)
            self.assertEqual(child.communicate(timeout=TIMEOUT)[0], 'interrupted 1\n')
        finally:
            os.close(file)

    def test_a_signal_between_two_calls_leaves_no_transaction_open(self):
        handle = self.db._handle

        def block():
            with pongo.transaction(self.db):
                self.db['x'] = 1

        def function():
            pongo.transaction(self.db, lambda: self.db.set('x', 1))

        def interrupt_after(name):
            # The handler of a signal raises as if the call that has just returned had raised.
            def interrupt(_frame, event, called):
                if event == 'c_return' and called.__name__ == name:
                    raise KeyboardInterrupt

            return interrupt

        for run, calls in ((block, ('begin', 'commit', 'abort')), (function, ('begin', 'set', 'commit'))):
            for name in calls:
                with self.subTest(f'{run.__name__}, {name}'):
                    sys.setprofile(interrupt_after(name))
                    try:
                        self.assertRaises(KeyboardInterrupt, run)
                    finally:
                        sys.setprofile(None)
                    self.assertFalse(handle.in_transaction())
