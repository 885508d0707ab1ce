"""Dicts, collections and lists behave as Python's own."""

import copy
import gc
import json
import os
import pickle
import random
import weakref
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

import pongo
from support import DatabaseTest, run_node


class MappingTest(DatabaseTest):
    def setUp(self):
        super().setUp()
        self.db['d'] = {'a': 1, 'b': {'x': 1}, 'c': [1]}
        self.d = self.db['d']

    def test_protocols(self):
        for mapping in (self.d, self.db, pongo.PongoCollection.create(self.db)):
            self.assertIsInstance(mapping, MutableMapping)
            self.assertIsInstance(mapping, Mapping)
        self.assertIsInstance(self.d['c'], MutableSequence)
        self.assertIsInstance(self.d['c'], Sequence)
        self.assertRaises(TypeError, hash, self.d)
        self.assertRaises(TypeError, hash, self.d['c'])

    def test_passes_for_a_dict(self):
        self.assertEqual(dict(self.d)['a'], 1)
        self.assertEqual({**self.d}.keys(), {'a', 'b', 'c'})
        self.assertEqual(list(self.d), ['a', 'b', 'c'])
        self.assertEqual(list(reversed(self.d)), ['c', 'b', 'a'])
        self.assertEqual(self.d, {'a': 1, 'b': {'x': 1}, 'c': [1]})
        self.assertEqual({'a': 1.0, 'b': {'x': 1}, 'c': [1]}, self.d)
        self.assertNotEqual(self.d, {'a': 1})
        self.assertEqual(self.d, {'a': True, 'b': {'x': 1}, 'c': [1]})
        self.assertEqual(self.d.search('', '==', True), {})
        self.assertFalse(self.d == 5)
        self.assertEqual(json.loads(json.dumps(self.d.native())), self.d)
        self.assertTrue(self.d)
        self.assertFalse(pongo.PongoDict.create(self.db))
        (lambda a, b, c: self.assertEqual(a, 1))(**self.d)

    def test_methods_of_mutable_mappings(self):
        self.assertEqual(self.d.setdefault('a', 5), 1)
        self.assertEqual(self.d.setdefault('n'), None)
        self.assertEqual(self.d.setdefault('m', []), [])
        self.d.update(x=1, y=2)
        self.d.update([('z', 3)], w=4)
        self.d.update({'sync': 1})
        self.d |= {'q': 9}
        self.assertEqual([self.d[key] for key in 'xyzwq'], [1, 2, 3, 4, 9])
        self.assertEqual(self.d.popitem(), ('z', 3))
        self.assertEqual((self.d | {'a': 0})['a'], 0)
        self.assertEqual(self.d.modify('x', lambda n: n + 1), 2)
        self.assertEqual(self.d.incr('x', 2.5), 4.5)
        self.assertRaises(TypeError, self.d.incr, 'b')
        self.assertRaises(TypeError, self.d.incr, 'x', '1')
        self.assertTrue(self.d.cas('x', 4.5, {'deep': [1]}))
        self.assertTrue(self.d.cas('x', {'deep': [1.0]}, ...))
        self.assertFalse(self.d.cas('x', 1, 2))
        self.assertTrue(self.d.cas('x', ..., 2))
        self.d.clear()
        self.assertEqual(self.d.keys(), [])
        self.assertRaises(KeyError, self.d.popitem)

    def test_keys_with_dots_need_a_list(self):
        self.d['a.b'] = 1
        self.assertEqual((self.d['a.b'], self.d.get(['a.b']), self.d.get('a.b', sep='')), (1, 1, 1))
        self.assertIsNone(self.d.get('a.b'))
        self.assertEqual(self.d.pop('a.b'), 1)
        self.assertRaises(TypeError, self.d.get, 'a', sep=5)
        self.assertRaises(ValueError, self.d.set, [], 1)

    def test_iteration_sees_the_version_of_its_beginning(self):
        self.db['big'] = big = pongo.PongoCollection.create(self.db)
        for size in (10, 2000):
            big.update({i: i for i in range(size)})
            seen = []
            for key in big:
                seen.append(key)
                del big[key]
                big[key + 10000] = 0
            self.assertEqual(seen, list(range(size)))
            big.clear()

    def test_identity_and_copies(self):
        self.assertIs(self.d['b'], self.d['b'])
        self.assertIs(type(copy.copy(self.d)), dict)
        self.assertIs(copy.copy(self.d)['b'], self.d['b'])
        self.assertEqual(copy.deepcopy(self.d), self.d.native())
        self.assertIs(type(copy.deepcopy(self.d)['b']), dict)
        for live in (self.d, self.d['c'], self.db):
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                with self.assertRaisesRegex(TypeError, 'cannot be pickled'):
                    pickle.dumps(live, protocol)

    def test_a_live_object_keeps_what_others_remove(self):
        b = self.d['b']
        del self.d['b']
        pongo.gc(self.db, True)
        self.assertEqual(b['x'], 1)
        self.db['again'] = b
        self.assertIs(self.db['again'], b)

    def test_objects_die(self):
        reference = weakref.ref(self.d['b'])
        gc.collect()
        self.assertIsNone(reference())

    def test_search_finds_live_children_of_one_version(self):
        self.db['posts'] = posts = pongo.PongoCollection.create(self.db)
        posts.update({i: {'n': i, 'tags': ['red'] if i % 2 else ['blue', 'green']} for i in range(10)})
        found = posts.search('tags.*', '==', 'red')
        self.assertEqual(list(found), [1, 3, 5, 7, 9])
        self.assertIs(found[1], posts[1])
        self.assertEqual(list(posts.search('tags.1', 'eq', 'green')), [0, 2, 4, 6, 8])
        self.assertEqual(list(posts.search(['tags'], '==', ['red'])), [1, 3, 5, 7, 9])
        self.assertEqual(list(posts.search('', '==', {'n': 1, 'tags': ['red']})), [1])
        self.assertEqual(posts.search('n', '<', 'a'), {})
        self.assertRaises(ValueError, posts.search, 'n', 'like', 1)
        self.assertRaises(TypeError, posts.search, {'n': 1}, '==', 1)


class ListTest(DatabaseTest):
    def live(self, content):
        self.db['l'] = content
        return self.db['l']

    def test_slices(self):
        l = self.live(list(range(10)))
        model = list(range(10))
        for where in (slice(2, 5), slice(None, None, -1), slice(-3, None), slice(8, 2, -2), slice(5, 2), slice(-100, 100, 3)):
            self.assertEqual(l[where], model[where])
        l[2:4] = 'xyz'
        model[2:4] = 'xyz'
        l[::4] = [0, 0, 0]
        model[::4] = [0, 0, 0]
        l[3:3] = l
        model[3:3] = model
        del l[1:3], model[1:3]
        del l[::3], model[::3]
        del l[-2], model[-2]
        l[100:] = [1]
        model[100:] = [1]
        self.assertEqual(l.native(), model)
        self.assertRaises(ValueError, l.__setitem__, slice(None, None, 2), [1])
        self.assertRaises(TypeError, l.__setitem__, slice(0, 1), 5)

    def test_indices(self):
        l = self.live([1, 2, 3])
        self.assertEqual([l[i] for i in (0, 2, -1, -3, True)], [1, 3, 3, 1, 2])
        l[-1] = 30
        for index in (3, -4, 10**30, -(10**30)):
            self.assertRaises(IndexError, lambda: l[index])
            self.assertRaises(IndexError, l.__setitem__, index, 0)
            self.assertRaises(IndexError, l.__delitem__, index)
            self.assertRaises(IndexError, l.pop, index)
        for index in ('0', 1.0, None):
            self.assertRaises(TypeError, lambda: l[index])
        self.assertEqual(l, [1, 2, 30])
        self.assertRaises(IndexError, self.live([]).pop)

    def test_methods(self):
        l = self.live([3, 1, 2])
        l.sort()
        self.assertEqual(l, [1, 2, 3])
        l.sort(key=lambda n: -n)
        self.assertEqual(l, [3, 2, 1])
        l.sort(reverse=True, key=lambda n: n % 3)
        self.assertEqual(l, [2, 1, 3])
        l.reverse()
        l += (4,)
        l.insert(-1, 9)
        l.insert(-100, 8)
        l.insert(100, 7)
        self.assertEqual(l, [8, 3, 1, 2, 9, 4, 7])
        self.assertEqual((l.index(9), l.count(3), l + [0], 2 * l == l.native() * 2), (4, 1, l.native() + [0], True))
        self.assertRaises(ValueError, l.index, 9, 5)
        self.assertEqual(list(reversed(l)), l.native()[::-1])
        self.assertEqual(l.copy(), list(l))
        self.assertTrue(l < [9] and [9] > l and l >= [8, 3])
        self.assertIn([1], self.live([{}, [1.0]]))
        self.assertEqual((self.db['l'] == ({}, [1.0]), True in self.live([1]), float('nan') in self.live([float('nan')])), (False, True, True))
        self.assertRaises(TypeError, self.live([1, 'a']).sort)
        self.assertEqual(self.db['l'], [1, 'a'])
        self.db['l'].json('[1, {"a": []}]')
        self.assertEqual(self.db['l'].json(), '[1,{"a":[]}]')
        self.assertRaises(TypeError, self.db['l'].json, '{}')
        self.db['l'].clear()
        self.assertEqual(len(self.db['l']), 0)

    def test_sort_keeps_live_containers(self):
        l = self.live([{'n': 2}, {'n': 1}])
        first = l[0]
        l.sort(key=lambda d: d['n'])
        self.assertIs(l[1], first)

    def test_iteration_sees_the_version_of_its_beginning(self):
        for size in (5, 1000):
            l = self.live(list(range(size)))
            seen = []
            for item in l:
                seen.append(item)
                l.append(item)
                l.pop(0)
            self.assertEqual(seen, list(range(size)))

    def test_random_operations_as_on_a_list(self):
        generator = random.Random(5)
        model, l = [], self.live([])

        def position():
            return generator.randint(-len(model) - 2, len(model) + 2)

        def slice_():
            return slice(*(generator.choice([None, position()]) for _ in range(2)), generator.choice([None, 1, 2, -1, -3]))

        def both(change):
            results = []
            for target in (model, l):
                try:
                    results.append(change(target))
                except (IndexError, ValueError) as error:
                    results.append(next(base for base in (IndexError, ValueError) if isinstance(error, base)))
            self.assertEqual(*results)

        for step in range(1500):
            i, s, value = position(), slice_(), generator.randint(0, 9)
            values = [generator.randint(0, 9) for _ in range(generator.randint(0, 4))]
            change = generator.choice([
                lambda t: t.append(value), lambda t: t.insert(i, value), lambda t: t.pop(i), lambda t: t.extend(values),
                lambda t: t.__setitem__(i, value), lambda t: t.__delitem__(i), lambda t: t.__setitem__(s, values),
                lambda t: t.__delitem__(s), lambda t: t[s], lambda t: t[i], lambda t: t.index(value), lambda t: t.remove(value),
                lambda t: t.reverse(), lambda t: t.sort(), lambda t: t.count(value), lambda t: value in t,
            ])
            both(change)
            if step % 50 == 0:
                self.assertEqual(l.native(), model)
        self.assertEqual(l.native(), model)


class ExpiryTest(DatabaseTest):
    """Entries whose time is over, as Node.js sets it, are not there, although the cleaner may not have come yet."""

    def setUp(self):
        super().setUp()
        self.db['c'] = self.collection = pongo.PongoCollection.create(self.db)

    def node(self, code):
        return run_node('const db = open(process.argv[1]); const { c } = db.root;' + code + '; db.close()', self.path)

    def test_iteration_passes_over_pages_of_expired_entries(self):
        self.collection.update((i, i) for i in range(2000))
        # The first page with a gap; then pages in which there is nothing.
        self.node('for (let i = 0; i < 2000; i++) if (i === 5 || (i >= 200 && i < 1990)) c.set(i, i, { ttl: 1 });'
                  'while (c.has(1989)) {}')
        expected = [i for i in range(2000) if i != 5 and not 200 <= i < 1990]
        self.assertEqual(list(self.collection), expected)
        self.assertEqual([key for key, _ in iter(self.collection).expr(3, 1995)], [i for i in expected if 3 <= i <= 1995])
        self.assertEqual(self.collection.keys(), expected)
        self.assertEqual(list(reversed(self.collection)), expected[::-1])
        with pongo.transaction(self.db):
            self.assertEqual(list(self.collection), expected)
        with pongo.snapshot(self.db) as root:
            self.assertEqual(list(root['c']), expected)

    def test_what_has_expired_is_absent(self):
        self.node('c.set("a", 1, { ttl: 1e7 }); c.set("b", 2, { ttl: 1 }); while (c.has("b")) {}')
        self.assertNotIn('b', self.collection)
        self.assertIsNone(self.collection.get('b'))
        self.assertEqual(self.db.get('c.b', 0), 0)
        self.assertRaises(KeyError, lambda: self.collection['b'])
        self.assertRaises(KeyError, self.collection.pop, 'b')
        self.assertRaises(KeyError, self.collection.__delitem__, 'b')
        self.assertEqual(self.collection.native(), {'a': 1})
        self.assertEqual(self.collection.popitem(), ('a', 1))
        self.assertRaises(KeyError, self.collection.popitem)
        self.assertEqual(self.collection.setdefault('b', 3), 3)

    def test_incr_and_modify_keep_an_expiry_and_set_removes_it(self):
        self.node('for (const key of "imsuc") c.set(key, 1, { ttl: 1e7 })')
        self.collection.incr('i')
        self.assertEqual(self.collection.modify('m', lambda n: n + 1), 2)
        self.collection['s'] = 2
        self.collection.update({'u': 2})
        self.assertEqual(self.db.modify(['c', 'c'], lambda n: n + 1), 2)
        self.assertEqual(self.node('console.log([..."imsuc"].map((key) => c.ttl(key) > 1e6).join())').strip(),
                         'true,true,false,false,true')

    def test_bounds_hold_for_what_python_writes(self):
        self.node('db.root.n = db.collection({ maxItems: 3, evict: "fifo" }); db.root.b = db.collection({ maxBytes: 400 })')
        self.db['n'].update((i, i) for i in range(20))
        self.db['n'][20] = 20
        self.assertEqual(len(self.db['n']), 3)
        self.assertIn(20, self.db['n'])
        for i in range(100):
            self.db['b'][i] = 'x' * 40
        self.assertLess(len(self.db['b']), 11)
        self.assertIn(99, self.db['b'])
        self.assertEqual(self.node('console.log(db.root.n.size)').strip(), '3')


class LaterTest(DatabaseTest):
    def test_update_of_a_multi_collection_keeps_all_pairs(self):
        multi = pongo.PongoCollection.create(self.db, multi=True)
        multi.update([('a', 2), ('a', 1)], b=3)
        self.assertEqual(multi.items(), [('a', (1, 2)), ('b', (3,))])
        other = pongo.PongoCollection.create(self.db, multi=True)
        other.update(multi)
        self.assertEqual(other.items(), multi.items())

    def test_pop_with_sync_is_durable(self):
        self.db['x'] = 1
        self.assertEqual(self.db.pop('x', sync=True), 1)
        stats = pongo.stats(self.db)
        self.assertGreaterEqual(stats['durableVersion'], stats['version'])

    def test_an_iterator_ends_with_its_database(self):
        with pongo.open(self.path) as db:
            db.update(a=1, b=2)
            keys = iter(db)
            next(keys)
        self.assertRaises(pongo.ClosedError, next, keys)
        self.assertRaises(pongo.ClosedError, db.__enter__)

    def test_insert_needs_an_index(self):
        self.db['l'] = [1]
        self.assertRaises(TypeError, self.db['l'].insert, 'x', 1)

    def test_a_path_may_be_bytes_and_none_only_reads_a_setting(self):
        with pongo.open(os.fsencode(self.path), durability='none') as db:
            self.assertEqual(pongo.meta(db, 'chunksize', None), pongo.meta(db, 'chunksize'))
            self.assertEqual(pongo.meta(db, '.sync', None), 'none')
