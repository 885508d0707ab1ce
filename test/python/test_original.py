"""What programs written for the original module rely on."""

import json
import os
import uuid
from datetime import datetime, timezone

import pongo
from support import DatabaseTest


class PlainClass:
    pass


class WithHook:
    def __topongo__(self):
        return {'a': 1, 'b': 2}


class PairMapping:
    """A mapping of the old kind: iteration gives pairs."""

    def __init__(self):
        self.content = {'a': 1, 'b': 2}

    def __getitem__(self, key):
        return self.content[key]

    def __setitem__(self, key, value):
        self.content[key] = value

    def __delitem__(self, key):
        del self.content[key]

    def __len__(self):
        return len(self.content)

    def __iter__(self):
        return iter(self.content.items())


NESTED = {'a': 1, 'b': 2, 'c': 3, 'd': {'x': 10, 'y': 20, 'z': [{'s': 1}, {'s': 2, 'i': True}]}}


class OriginalTest(DatabaseTest):
    def test_primitive_values_read_back(self):
        values = {
            'null': None, 'true': True, 'false': False, 'zero': 0, 'one': 1, 'huge': 2**32, 'float-0': 0.0,
            'float-2': 2.0, 'avogadro': 6.022e23, 'text': 'the brown fox', 'uuid': uuid.uuid1(),
            'now': datetime.now(timezone.utc),
        }
        self.db['primitive'] = values
        for key, value in values.items():
            self.assertEqual(self.db['primitive'][key], value)
            self.assertIs(type(self.db['primitive'][key]), type(value))

    def test_types_of_what_is_read(self):
        self.db['d'], self.db['l'] = {}, []
        self.assertIs(type(self.db), pongo.PongoCollection)
        self.assertIs(type(self.db['d']), pongo.PongoDict)
        self.assertIs(type(self.db['l']), pongo.PongoList)
        self.assertIs(type(iter(self.db)), pongo.PongoIter)
        for value, name in ((self.db, 'PongoCollection'), (self.db['d'], 'PongoDict'), (self.db['l'], 'PongoList')):
            self.assertTrue(repr(value).startswith(name))

    def test_hooks_and_mappings_of_other_classes(self):
        self.db['hook'] = WithHook()
        self.db['mapping'] = PairMapping()
        self.assertEqual(self.db['hook'].native(), {'a': 1, 'b': 2})
        self.assertEqual(self.db['mapping'].native(), {'a': 1, 'b': 2})
        self.assertRaises(TypeError, self.db.set, 'bad', PlainClass())
        self.assertNotIn('bad', self.db)

    def test_meta_returns_the_old_value(self):
        self.assertEqual(pongo.meta(self.db, 'chunksize'), 16 * 2**20)
        self.assertEqual(pongo.meta(self.db, 'id', 'key'), '_id')
        self.assertEqual(pongo.meta(self.db, 'id'), 'key')
        self.assertEqual(pongo.meta(self.db, '.sync', 0), 'none')
        self.assertEqual(pongo.meta(self.db, '.sync', True), 'checkpoint')
        self.assertEqual(pongo.meta(self.db, '.sync', False), 'sync')
        self.assertIs(pongo.meta(self.db, '.uuid_class'), uuid.UUID)
        self.assertIs(pongo.meta(self.db, '.uuid_constructor'), uuid.UUID)
        self.assertIsNone(pongo.meta(self.db, '.newkey'))
        self.assertRaises(KeyError, pongo.meta, self.db, 'nonsense')
        self.assertRaises(ValueError, pongo.meta, self.db, 'chunksize', 'big')

    def test_newkey_makes_ids(self):
        count = iter(range(1, 10))
        self.assertIsNone(pongo.meta(self.db, '.newkey', lambda document: f'foo-{next(count)}'))
        self.assertEqual(self.db.set(pongo.id, {}), 'foo-1')
        self.assertEqual(self.db.set(pongo.id, {'q': 5}), 'foo-2')
        self.assertEqual(self.db['foo-2'].native(), {'_id': 'foo-2', 'q': 5})

    def test_uuid_hooks(self):
        class Own:
            def __init__(self, unused, data):
                self.bytes = data

        pongo.meta(self.db, '.uuid_class', Own)
        pongo.meta(self.db, '.uuid_constructor', Own)
        self.db['u'] = Own(None, b'0123456789abcdef')
        self.assertIs(type(self.db['u']), Own)
        self.assertEqual(self.db['u'].bytes, b'0123456789abcdef')
        pongo.meta(self.db, '.uuid_constructor', None)
        self.assertEqual(self.db['u'], uuid.UUID(bytes=b'0123456789abcdef'))

    def test_ids(self):
        for container in (self.db, pongo.PongoCollection.create(self.db), pongo.PongoDict.create(self.db)):
            document = {'p': True}
            made = container.set(pongo.id, document)
            self.assertIsInstance(made, uuid.UUID)
            self.assertEqual(container[made]['_id'], made)
            self.assertEqual(document, {'p': True})
            self.assertEqual(container.set(pongo.id, {'_id': 7}), 7)
            self.assertRaises(KeyError, container.set, pongo.id, {'_id': 7}, fail=True)
            self.assertRaises(TypeError, container.set, pongo.id, 5)

    def test_utcnow(self):
        before = datetime.now(timezone.utc)
        self.db['t'] = pongo.utcnow
        self.assertTrue(before <= self.db['t'] <= pongo.utcnow())

    def test_gc_atoms_pidcache(self):
        self.assertIsNone(pongo.gc(self.db))
        numbers = pongo.gc(self.db, True, stats=True)
        self.assertEqual([type(n) for n in numbers], [int] * 4)
        self.db['c'] = collection = pongo.PongoCollection.create(self.db)
        collection.update({i: {'alpha': i, 'beta': i} for i in range(20)})
        self.assertIs(type(pongo.atoms(self.db)), pongo.PongoCollection)
        self.assertEqual(pongo.atoms(self.db).keys(), ['alpha', 'beta'])
        shown = collection[3]
        cache = pongo.pidcache(self.db)
        self.assertIn(shown.id, cache[os.getpid()])
        self.assertIn(collection.id, cache[os.getpid()])
        number = shown.id
        del shown
        self.assertNotIn(number, pongo.pidcache(self.db)[os.getpid()])

    def check_mapping(self, d):
        self.assertEqual(len(d), 4)
        self.assertEqual(d.keys(), ['a', 'b', 'c', 'd'])
        self.assertEqual(d.values()[:3], [1, 2, 3])
        self.assertEqual(d.items()[:3], [('a', 1), ('b', 2), ('c', 3)])
        self.assertEqual(d.native(), NESTED)
        self.assertEqual(json.loads(d.json()), NESTED)
        self.assertEqual(d['a'], 1)
        with self.assertRaises(KeyError) as caught:
            d['e']
        self.assertEqual(caught.exception.args, ('e',))
        d['e'] = 5
        self.assertEqual(d['e'], 5)
        del d['e']
        self.assertNotIn('e', d)
        with self.assertRaises(KeyError):
            del d['e']
        self.assertIsNone(d.get('f'))
        self.assertEqual(d.get('f', 1), 1)
        self.assertEqual(d.get('d.x'), 10)
        self.assertEqual(d.get('d/y', sep='/'), 20)
        self.assertEqual(d.get(['d', 'z', 1, 's']), 2)
        self.assertIsNone(d.set('f', 5))
        d.set('d.w', 'Hello')
        self.assertEqual(d.get('d.w'), 'Hello')
        d.set('d.once', 'foo', fail=True)
        self.assertRaises(KeyError, d.set, key='d.once', value='bar', fail=True)
        self.assertEqual(d.get('d.once'), 'foo')
        self.assertRaises(KeyError, d.set, 'none.such', 1)
        d.set('d.z.1.i', False)
        self.assertIs(d.get('d.z.1.i'), False)
        d.set(55, 66)
        self.assertEqual(d.get(55), 66)
        for i in range(8):
            d.set(pongo.id, {'p': True, 'q': i})
        for path, relop, value, count in (
            ('p', '==', True, 8), ('q', '!=', 0, 7), ('q', '<', 4, 4), ('q', '<=', 4, 5), ('q', '>', 8, 0), ('q', '>=', 4, 4),
            ('q', 'eq', 3.0, 1), (['z', '*', 's'], 'eq', 2, 1), ('z.*.s', 'gt', 2, 0),
        ):
            self.assertEqual(len(d.search(path, relop, value)), count, (path, relop, value))
        self.assertRaises(ValueError, d.search, 'q', '$', 4)
        self.assertRaises(TypeError, d.search, 4, '==', 4)
        self.assertEqual(d.pop('f'), 5)
        self.assertEqual(d.pop('g', 6), 6)
        self.assertRaises(KeyError, d.pop, 'g')
        d.json('b', '{"x": 7}')
        self.assertEqual(d['b'].native(), {'x': 7})
        d.update({'u': 1}, 1)
        self.assertEqual(d['u'], 1)

    def test_dict(self):
        self.db['dict'] = NESTED
        self.check_mapping(self.db['dict'])
        self.db['dict'].json('{"a": 1}')
        self.assertEqual(self.db['dict'].native(), {'a': 1})
        self.assertRaises(TypeError, self.db['dict'].json, '[1]')
        self.assertRaises(ValueError, self.db['dict'].json, '{"a": NaN}')

    def test_collection(self):
        collection = pongo.PongoCollection.create(self.db)
        self.assertFalse(collection.multi())
        for key, value in NESTED.items():
            collection[key] = value
        self.check_mapping(collection)
        self.assertRaises(NotImplementedError, collection.json, '{"a": 1}')

    def test_multi(self):
        multi = pongo.PongoCollection.create(self.db, 1)
        self.db['m'] = multi
        self.assertTrue(multi.multi())
        multi['red'] = 2
        multi['red'] = 1
        multi.set('blue', 'x')
        self.assertEqual(multi['red'], (1, 2))
        self.assertEqual(multi.get('red'), (1, 2))
        self.assertEqual(multi.items(), [('blue', ('x',)), ('red', (1, 2))])
        self.assertEqual((len(multi), list(multi)), (2, ['blue', 'red']))
        self.assertEqual(multi.native(), {'blue': ['x'], 'red': [1, 2]})
        self.assertEqual(multi, {'blue': ['x'], 'red': (1, 2)})
        for refused in (lambda: multi.incr('red'), lambda: multi.cas('red', 1, 2), lambda: multi.modify('red', len)):
            self.assertRaises(TypeError, refused)
        multi['zz'] = 0
        self.assertEqual(multi.popitem(), ('zz', (0,)))
        del multi['red', 1]
        self.assertEqual(multi['red'], (2,))
        self.assertEqual(multi.pop('red'), (2,))
        self.assertRaises(KeyError, multi.pop, 'red')
        self.assertNotIn('red', multi)

    def test_list(self):
        self.db['list'] = [1, 2, 3, 4, 5, 6]
        l = self.db['list']
        self.assertEqual((len(l), sum(l), l[0], l[-1]), (6, 21, 1, 6))
        l.append(7)
        self.assertEqual((l.pop(0), l.pop(-1)), (1, 7))
        self.assertRaises(IndexError, l.pop, 5)
        self.assertRaises(IndexError, l.pop, -6)
        l.insert(0, 1)
        l.remove(3)
        self.assertRaises(ValueError, l.remove, 99)
        l[4] = 7
        self.assertEqual(l.native(), [1, 2, 4, 5, 7])
        del l[0]
        self.assertEqual(sum(l), 18)
        l.extend([8, 9], 1)
        self.assertEqual(l[-2:], [8, 9])

    def test_membership(self):
        self.db['d'], self.db['l'] = {'true': 1}, [1, 2]
        self.assertIn('d', self.db)
        self.assertNotIn('blurf', self.db)
        self.assertIn('true', self.db['d'])
        self.assertIn(1, self.db['l'])
        self.assertNotIn(99, self.db['l'])

    def test_create_needs_a_root(self):
        self.assertIsInstance(pongo.PongoList.create(self.db), pongo.PongoList)
        self.assertIsInstance(pongo.PongoDict.create(self.db), pongo.PongoDict)
        self.db['d'] = {}
        for kind in (pongo.PongoList, pongo.PongoDict, pongo.PongoCollection):
            for wrong in (self.db['d'], None, {}):
                self.assertRaises(TypeError, kind.create, wrong)
            self.assertRaises(TypeError, kind)
        self.assertRaises(TypeError, pongo.close, self.db['d'])

    def test_initsize_is_the_chunksize_of_a_new_file_in_mib(self):
        path = os.path.join(self.folder, 'other.pongo')
        with pongo.open(path, 4) as db:
            self.assertEqual(pongo.meta(db, 'chunksize'), 4 * 2**20)
        with pongo.open(path, 8) as db:
            self.assertEqual(pongo.meta(db, 'chunksize'), 4 * 2**20)

    def test_expression_iterators(self):
        self.db['c'] = collection = pongo.PongoCollection.create(self.db)
        for count in (10, 1000):
            collection.update({i: str(i) for i in range(count)})
            self.assertEqual(list(iter(collection).expr(3, 5)), [(3, '3'), (4, '4'), (5, '5')])
            self.assertEqual(list(iter(collection).expr(3, 5, lhex=1, rhex=1)), [(4, '4')])
            self.assertEqual([key for key, _ in iter(collection).expr(rhs=1)], [0, 1])
            self.assertEqual(len(list(iter(collection).expr(count - 2))), 2)
        self.db['l'] = [5, 'x', 1, [2], 3]
        self.assertEqual(list(iter(self.db['l']).expr(1, 4)), [1, 3])
