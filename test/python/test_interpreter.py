"""What an interpreter may do to a module: subinterpreters, cycles, calls that come back, its end with everything open."""

import gc
import json
import pickle
import threading
import unittest
import uuid
import weakref
from copy import copy, deepcopy

import pongo
from support import DatabaseTest, run_python

try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        interpreters = None


class SubinterpreterTest(unittest.TestCase):
    @unittest.skipIf(interpreters is None, 'this Python has no subinterpreters')
    def test_a_subinterpreter_is_refused_and_the_main_one_goes_on(self):
        program = (
            'import sys\n'
            'try:\n'
            '    import _interpreters as interpreters\n'
            'except ImportError:\n'
            '    import _xxsubinterpreters as interpreters\n'
            'if sys.argv[1] == "first": import pongo\n'
            'text = "try:\\n    import pongo\\nexcept ImportError:\\n    print(\'refused\', flush=True)\\n"\n'
            # One of its own allocator makes Python 3.12 abort when it imports datetime from its own library.
            'interpreter = interpreters.create(**({"isolated": False} if sys.version_info[:2] == (3, 12) else {}))\n'
            'interpreters.run_string(interpreter, text)\n'
            'interpreters.destroy(interpreter)\n'
            'import pongo\n'
            'with pongo.open(sys.argv[2]) as db:\n'
            '    db["a"] = {"b": [1]}\n'
            '    print(type(db["a"]).__name__, db.native())\n'
        )
        for when in ('first', 'later'):
            folder = DatabaseTest('run')
            folder.setUp()
            self.addCleanup(folder.doCleanups)
            self.assertEqual(run_python(program, when, folder.path + when), "refused\nPongoDict {'a': {'b': [1]}}\n")


class CyclesTest(DatabaseTest):
    def test_cycles_through_live_objects_are_collected(self):
        class Keeper:
            pass

        keeper = Keeper()
        other = pongo.open(self.path, durability='none')
        other['l'] = [1, 2]
        keeper.proxy, keeper.iterator, keeper.lock = other['l'], iter(other), pongo.lock(other, 'a')
        pongo.meta(other, '.newkey', lambda document, keeper=keeper: 1)  # handle -> hook -> keeper -> proxy -> handle
        dead = weakref.ref(keeper)
        del keeper, other
        gc.collect()
        self.assertIsNone(dead())

    def test_cycles_of_containers_in_the_file(self):
        self.db['l'] = []
        self.db['l'].append(self.db['l'])
        self.db['c'] = pongo.PongoCollection.create(self.db)
        self.db['c']['self'] = self.db['c']
        self.assertIs(self.db['l'][0], self.db['l'])
        for make in (self.db['l'].native, self.db['c'].json, lambda: deepcopy(self.db['l'])):
            self.assertRaises(TypeError, make)
        del self.db['l'], self.db['c']
        pongo.gc(self.db, True)
        self.assertEqual(self.db.native(), {})


class ReentranceTest(DatabaseTest):
    def test_an_iterator_is_not_entered_twice(self):
        collection = self.db['c'] = pongo.PongoCollection.create(self.db)
        collection.update({uuid.UUID(int=i): i for i in range(1000)})
        iterator = iter(collection)
        found = []

        def come_back(_, raw):
            if not found:
                for step in (lambda: next(iterator), lambda: iterator.expr(5)):
                    try:
                        step()
                    except ValueError as error:
                        found.append(str(error))
            return uuid.UUID(bytes=raw)

        pongo.meta(self.db, '.uuid_constructor', come_back)
        self.assertEqual(len(list(iterator)), 1000)
        self.assertEqual(found, ['the iterator is already executing'] * 2)

    def test_threads_that_share_an_iterator_get_each_entry_once(self):
        collection = self.db['c'] = pongo.PongoCollection.create(self.db)
        collection.update({uuid.UUID(int=i): i for i in range(5000)})
        iterator = iter(collection)
        found, refused = [], []

        def take():
            while True:
                try:
                    found.append(next(iterator))
                except ValueError:
                    refused.append(1)
                except StopIteration:
                    return

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(key.int for key in found), list(range(5000)))

    def test_hooks_that_close_the_database(self):
        for where in ('__topongo__', '.uuid_constructor', '.newkey', 'modify', 'transaction', 'key of sort'):
            db = pongo.open(self.path, durability='none')
            db['l'] = [3, 2, 1]
            db['u'] = uuid.uuid4()

            def shut(*_, db=db):
                pongo.close(db)
                return 1

            pongo.meta(db, '.uuid_constructor', shut if where == '.uuid_constructor' else None)
            pongo.meta(db, '.newkey', shut if where == '.newkey' else None)
            hook = type('Hook', (), {'__topongo__': shut})()
            action = {
                '__topongo__': lambda: db.set('x', [hook]),
                '.uuid_constructor': lambda: db['u'] and db['u'],
                '.newkey': lambda: db.set(pongo.id, {'a': 1}),
                'modify': lambda: db.modify('n', shut),
                'transaction': lambda: pongo.transaction(db, shut),
                'key of sort': lambda: db['l'].sort(key=shut),
            }[where]
            with self.subTest(where):
                self.assertRaises(pongo.ClosedError, action)

    def test_a_dict_that_changes_while_it_is_stored(self):
        value = {'a': None, 'b': 1}
        value['a'] = type('Grow', (), {'__topongo__': lambda self: value.update({i: i for i in range(100)})})()
        self.assertRaises(ValueError, self.db.set, 'x', value)
        items = [None, 1, 2]
        items[0] = type('Shrink', (), {'__topongo__': lambda self: items.clear()})()
        self.db['l'] = items
        self.assertEqual(self.db['l'].native(), [None])


class RefusalsTest(DatabaseTest):
    def test_pickling_names_the_way_out(self):
        self.db.update({'d': {}, 'l': []})
        things = [self.db, self.db['d'], self.db['l']]
        for thing in things:
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                with self.assertRaisesRegex(TypeError, r'cannot be pickled: send its native\(\) copy'):
                    pickle.dumps([thing], protocol)
        for thing in (iter(self.db), self.db._handle, pongo.lock(self.db, 'a').acquire()):
            self.assertRaises(TypeError, pickle.dumps, thing)
        self.assertIs(pickle.loads(pickle.dumps(pongo.id)), pongo.id)
        self.assertEqual((copy(self.db['l']), deepcopy(self.db)), ([], {'d': {}, 'l': []}))

    def test_classes_are_not_called(self):
        for kind, way in {pongo.PongoIter: r'iter\(container\)', pongo.PongoDict: r'PongoDict\.create\(db\)',
                          type(self.db._handle): 'the functions of pongo'}.items():
            with self.assertRaisesRegex(TypeError, f'made by .*{way}'):
                kind()

    def test_huge_integers(self):
        for number in (2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 1 << 100_000, -(1 << 100_000)):
            self.db['n'] = number
            self.assertEqual((self.db['n'], self.db.native()['n']), (number, number))
            collection = self.db['c'] = pongo.PongoCollection.create(self.db)
            collection[number] = 1
            self.assertEqual((collection.keys(), collection[number]), ([number], 1))
        self.db['n'] = 2**63 - 1
        self.assertEqual((self.db.incr('n'), self.db.incr('n', -(2**70))), (2**63, 2**63 - 2**70))
        self.db['l'] = [1]
        for index in (2**63, 2**64, -(2**64)):
            self.assertRaises(IndexError, lambda index=index: self.db['l'][index])
            self.assertEqual(self.db.get(['l', index], 'none'), 'none')
        self.assertEqual((self.db['l'][: 2**70], self.db['l'][-(2**70):]), ([1], [1]))
        self.db['l'].insert(-5, 0)
        self.assertEqual(self.db['l'].native(), [0, 1])

    def test_surrogates(self):
        for text in ('\ud800', 'a\udfff', 'x' * 2000 + '\ud800'):
            for write in (lambda: self.db.set('k', text), lambda: self.db.set(text, 1), lambda: self.db.set('k', [{text: 1}]),
                          lambda: self.db.get(text), lambda: self.db.get(f'a.{text}'), lambda: text in self.db,
                          lambda: self.db.get(f'a{text}', sep=text), lambda: self.db.update({text: 1})):
                self.assertRaises(ValueError, write)
        self.assertEqual(len(self.db), 0)

    def test_an_id_that_is_there_is_named_as_it_is(self):
        self.db.set(pongo.id, {'_id': 'mine'})
        with self.assertRaises(pongo.ExistsError) as caught:
            self.db.set(pongo.id, {'_id': 'mine'}, fail=True)
        self.assertEqual(str(caught.exception), 'mine')
        self.assertEqual(caught.exception.args, ('mine',))

    def test_json_keeps_keys_that_python_takes_for_one(self):
        self.db['d'] = {'a': {2: 0}}
        self.db['d']['a'][True] = 'yes'
        self.db['d']['a'][1] = 'one'
        self.db['d']['a'][(1, (True,))] = [(), {}]
        self.assertEqual(self.db['d'].json(), '{"a":{"true":"yes","1":"one","2":0,"[1,[true]]":[[],{}]}}')
        self.assertRaises(ValueError, self.db['d'].native)
        self.db['l'] = [self.db['d']]
        self.assertEqual(json.loads(self.db['l'].json())[0]['a']['2'], 0)
        multi = self.db['m'] = pongo.PongoCollection.create(self.db, True)
        multi.update([(True, 2), (1, 5), (1, 4)])
        self.assertEqual(multi.json(), '{"true":[2],"1":[4,5]}')

    def test_names_of_properties_of_a_file_that_is_only_read(self):
        self.db['c'] = collection = pongo.PongoCollection.create(self.db)
        collection.update({i: {'age': i, 'name': str(i)} for i in range(20)})
        # Another process: all handles of one must agree.
        names = run_python('import pongo, sys\nwith pongo.open(sys.argv[1], read_only=True) as db: print(pongo.atoms(db))', self.path)
        self.assertEqual(names, "{'age': None, 'name': None}\n")


class EndTest(DatabaseTest):
    def test_the_interpreter_ends_with_everything_open(self):
        program = (
            'import pongo, sys, threading, uuid\n'
            'db = pongo.open(sys.argv[1], durability="none")\n'
            'db["l"] = [{"a": 1}]\n'
            'db["c"] = c = pongo.PongoCollection.create(db)\n'
            'c.update({i: {} for i in range(1000)})\n'
            'keep = [db["l"], db["l"][0], iter(c), pongo.lock(db, "a").acquire(), pongo.snapshot(db), pongo.semaphore(db, "s", 1)]\n'
            'next(keep[2])\n'
            'stop = pongo.watch(db, "c", print)\n'
            'begun = threading.Event()\n'
            'def wait():\n'
            '    begun.set()\n'
            '    pongo.event(db, "never").wait()\n'
            'threading.Thread(target=wait, daemon=True).start()\n'
            'begun.wait()\n'
            'block = pongo.transaction(db)\n'
            'block.__enter__()\n'
            'db["half"] = 1\n'
            'class Late:\n'
            '    def __del__(self):\n'
            '        try:\n'
            '            db.get("l")\n'
            '        except pongo.ClosedError:\n'
            '            pass\n'
            'late = Late()\n'
            'late.itself = late\n'
            'print("end")\n'
        )
        self.assertEqual(run_python(program, self.path), 'end\n')
        self.assertNotIn('half', self.db)
        pongo.lock(self.db, 'a').acquire(timeout=5).release()
