"""What may be stored, what is refused, and that a refusal changes nothing."""

import collections
import enum
import math
import struct
import types
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pongo
from support import DatabaseTest


class Number(enum.IntEnum):
    ONE = 1


class ValuesTest(DatabaseTest):
    def round_trip(self, value):
        self.db['v'] = value
        self.db['in'] = [value]
        self.db[('key', 0)] = {'x': value}
        read = self.db['v']
        for other in (self.db['in'].native()[0], self.db[('key', 0)]['x']):
            self.assertIs(type(other), type(read))
        return read

    def test_each_type_keeps_its_type_and_value(self):
        for value in (
            None, True, False, 0, 1, -1, 2**31, -(2**31) - 1, 2**47, 2**53, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1,
            2**64, 10**100, -(10**100), 0.5, 2.0, 1e300, 5e-324, math.inf, -math.inf, '', 'a', 'abcdef', 'é', '€', '😀',
            'nul\0inside', 'x' * 5000, 'é' * 5000, b'', b'\0\xff', b'y' * 5000, uuid.UUID(int=0), uuid.uuid4(),
        ):
            read = self.round_trip(value)
            self.assertEqual(read, value)
            self.assertIs(type(read), type(value))

    def test_texts_of_every_length_and_of_any_character_anywhere(self):
        texts = ['a' * length for length in range(40)] + ['b' * length for length in (1023, 1024, 1025)]
        for length in (1, 2, 7, 8, 9, 40):
            texts += ['c' * at + other + 'c' * (length - 1 - at) for at in range(length) for other in ('\x7f', '\x80', 'é', '😀')]
        self.db['texts'] = texts
        self.assertEqual(list(self.db['texts']), texts)
        self.assertEqual(self.db['texts'].native(), texts)
        self.db['keys'] = dict.fromkeys(texts)
        self.assertEqual(self.db['keys'].keys(), sorted(set(texts)))
        self.assertTrue(all(text.isascii() == read.isascii() for text, read in zip(texts, self.db['texts'])))

    def test_floats_are_bit_exact(self):
        for value in (-0.0, 0.0, 1.0, 1e22, 2.0**60):
            read = self.round_trip(value)
            self.assertEqual(struct.pack('>d', read), struct.pack('>d', value))
        self.assertTrue(math.isnan(self.round_trip(math.nan)))

    def test_datetimes_are_aware_and_utc(self):
        east = timezone(timedelta(hours=5, minutes=30))
        for value in (
            datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc), datetime(1, 1, 1, tzinfo=timezone.utc),
            datetime(1969, 12, 31, 23, 59, 59, 999999, timezone.utc), datetime(1600, 2, 29, 12, tzinfo=east),
            datetime(9999, 12, 31, 23, 59, 59, 999999, timezone.utc), datetime(2000, 3, 1, tzinfo=east),
        ):
            read = self.round_trip(value)
            self.assertEqual(read, value)
            self.assertIs(read.tzinfo, timezone.utc)
        self.assertEqual(self.round_trip(datetime(2026, 1, 2, 3)), datetime(2026, 1, 2, 3, tzinfo=timezone.utc))
        self.db['late'] = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))
        with self.assertRaises(ValueError):
            self.db['late']

    def test_containers(self):
        for value, read in (
            ({}, {}), ([], []), ((1, (2,)), [1, [2]]), ({'a': {'b': [{'c': ()}]}}, {'a': {'b': [{'c': []}]}}),
            ({1: 'int', '1': 'str', b'1': 'bytes', None: 0, (1, 'x', None): 1}, None),
            (collections.OrderedDict(a=1), {'a': 1}), (collections.UserDict(a=1), {'a': 1}),
            (types.MappingProxyType({'a': 1}), {'a': 1}), (collections.deque([1, 2]), [1, 2]), (range(3), [0, 1, 2]),
            (bytearray(b'x'), b'x'), (Number.ONE, 1),
        ):
            self.db['v'] = value
            found = self.db['v']
            self.assertEqual(found.native() if hasattr(found, 'native') else found, value if read is None else read)

    def test_refusals_name_the_place_and_change_nothing(self):
        self.db['users'] = {'alice': 1}
        for bad in (object(), {1, 2}, print, 1j, Decimal(1), date(2026, 1, 1), memoryview(b'x'), iter([]), type):
            with self.assertRaisesRegex(TypeError, r'^users\.alice\.cb: ') as caught:
                self.db.set('users.alice', {'ok': 1, 'cb': bad})
            self.assertIsInstance(caught.exception, pongo.Error)
            self.assertEqual(caught.exception.code, 'PONGO_ERR_TYPE')
            self.assertEqual(self.db.get('users.alice'), 1)
        loop = []
        loop.append(loop)
        self.assertRaisesRegex(TypeError, r'^users\.alice\.0: .*contains itself', self.db.set, 'users.alice', loop)
        with self.assertRaisesRegex(ValueError, r'^users\.0\.a: .*surrogate'):
            self.db['users'] = [{'a': '\ud800'}]
        for key in ('\ud800', math.nan):
            with self.assertRaises(ValueError):
                self.db[key] = 1
        for key in ([1], {}, object(), 1j, (1, [2])):
            with self.assertRaises(TypeError):
                self.db[key] = 1

    def test_depth_is_limited_to_512_levels(self):
        def nested(levels):
            value = 0
            for _ in range(levels):
                value = [value]
            return value

        self.db['deep'] = nested(512)
        self.assertEqual(self.db['deep'].native(), nested(512))
        with self.assertRaises(pongo.DepthError):
            self.db['deep'] = nested(513)
        self.assertRaises(pongo.DepthError, self.db.json, 'x', '[' * 100000)

    def test_errors_of_hooks_come_out_and_change_nothing(self):
        class Bad:
            def __topongo__(self):
                raise RuntimeError('mine')

        class Endless:
            def __topongo__(self):
                return Endless()

        self.assertRaisesRegex(RuntimeError, 'mine', self.db.set, 'x', [1, Bad()])
        self.assertRaises(pongo.DepthError, self.db.set, 'x', Endless())
        self.assertNotIn('x', self.db)

    def test_a_hook_may_use_the_database(self):
        class Counts:
            def __topongo__(hook):
                return self.db.incr('calls')

        self.db['x'] = [Counts(), Counts()]
        self.assertEqual(self.db['x'].native(), [1, 2])

    def test_live_containers_are_stored_by_reference(self):
        self.db['a'] = {'n': 1}
        self.db['b'] = [self.db['a']]
        self.assertIs(self.db['b'][0], self.db['a'])
        self.db['b'][0]['n'] = 2
        self.assertEqual(self.db['a']['n'], 2)
        self.db['a']['self'] = self.db['a']
        self.assertRaises(TypeError, self.db['a'].native)
        del self.db['a']['self']

    def test_containers_of_another_database_or_of_a_snapshot_are_copied(self):
        self.db['c'] = collection = pongo.PongoCollection.create(self.db)
        collection.update({1: {'x': 1}, 'm': pongo.PongoCollection.create(self.db, True)})
        collection['m']['k'] = 1
        collection['m']['k'] = 2
        with pongo.open(self.path + '2', durability='none') as other:
            other['copy'] = [collection]
            copy = other['copy'][0]
            self.assertIs(type(copy), pongo.PongoCollection)
            self.assertEqual(copy.native(), collection.native())
            copy[1]['x'] = 5
            self.assertEqual(collection[1]['x'], 1)
        with pongo.snapshot(self.db) as root:
            self.db['back'] = root['c']
        self.assertEqual(self.db['back'].native(), collection.native())
        self.assertIsNot(self.db['back'], collection)

    def test_one_order_of_keys(self):
        keys = [
            None, False, True, -math.inf, -(10**30), -2.5, -1, 0, 0.5, 1, 2**53, 2**53 + 1, 1e300, math.inf,
            datetime(1960, 1, 1, tzinfo=timezone.utc), datetime(2026, 1, 1, tzinfo=timezone.utc),
            uuid.UUID(int=1), uuid.UUID(int=2), '', 'A', 'a', 'é', '\uffff', '😀', b'', b'a', (), (None,), (1,), (1, 2), ('a',),
        ]
        self.db['c'] = collection = pongo.PongoCollection.create(self.db)
        for key in reversed(keys):
            collection[key] = repr(key)
        self.assertEqual(collection.keys(), keys)
        self.assertEqual(collection.values(), [repr(key) for key in keys])
        with self.assertRaises(ValueError):
            collection.native()  # True and 1 are one key in a Python dict
        collection[1.0] = 'float'
        self.assertEqual([type(key) for key in collection.keys() if key == 1 and key is not True], [int])

    def test_json(self):
        self.db['d'] = {
            'i': 2**70, 'f': 1.5, 'n': math.nan, 't': datetime(2026, 1, 2, 3, 4, 5, 678901), 'u': uuid.UUID(int=5),
            'b': b'\xff', 's': 'é"\n', 'l': [None, True], 3: 0, (1, 'x'): 1,
        }
        self.assertEqual(
            self.db['d'].json(),
            '{"3":0,"b":"/w==","f":1.5,"i":1180591620717411303424,"l":[null,true],"n":null,"s":"é\\"\\n",'
            '"t":"2026-01-02T03:04:05.678Z","u":"00000000-0000-0000-0000-000000000005","[1,\\"x\\"]":1}',
        )
        self.db['d'].json('{"big": 123456789012345678901234567890, "f": 1e2, "i": 7}')
        self.assertEqual(self.db['d'].native(), {'big': 123456789012345678901234567890, 'f': 100.0, 'i': 7})
        self.assertIs(type(self.db['d']['f']), float)
        for bad in ('{', '{"a": 1,}', 'nul', '[NaN]', ''):
            self.assertRaises(ValueError, self.db['d'].json, bad)
