"""Expiry and bounds, as Python sets them and Node.js sees them, and the other way round."""

import json
import unittest
from datetime import datetime, timedelta, timezone

import pongo
from support import DatabaseTest, run_node

FAR = 3600


class ExpiryTest(DatabaseTest):
    def test_a_key_that_has_expired_is_absent(self):
        db = self.db
        db.set('gone', 1, ttl=0)
        db.set('past', 1, expires_at=datetime(2000, 1, 1))
        db.set('stays', 1, ttl=FAR)
        self.assertEqual((db.keys(), 'gone' in db, db.get('past', 5)), (['stays'], False, 5))
        self.assertRaises(KeyError, lambda: db['gone'])
        db.set('gone', 2, fail=True)  # nothing is in the way

    def test_ttl_expire_persist(self):
        db = self.db
        db['a'] = 1
        self.assertIsNone(db.ttl('a'))
        self.assertIsNone(db.ttl('none'))
        self.assertIs(db.expire('a', FAR), True)
        self.assertIs(db.expire('none', FAR), False)
        self.assertTrue(FAR - 60 < db.ttl('a') <= FAR)
        self.assertIs(db.persist('a'), True)
        self.assertIsNone(db.ttl('a'))
        self.assertIs(db.persist('none'), False)
        db.expire('a', timedelta(hours=2))
        self.assertTrue(FAR < db.ttl('a') <= 2 * FAR)
        db.expire('a', 0)
        self.assertNotIn('a', db)

    def test_units_and_instants(self):
        db = self.db
        moment = datetime.now(timezone.utc) + timedelta(hours=1)
        for key, options in {'f': {'ttl': 0.5 * FAR}, 't': {'ttl': timedelta(minutes=30)}, 'a': {'expires_at': moment},
                             'n': {'expires_at': moment.replace(tzinfo=None)},
                             'z': {'expires_at': moment.astimezone(timezone(timedelta(hours=5)))}}.items():
            db.set(key, 1, **options)
            whole = FAR if 'expires_at' in options else FAR / 2
            self.assertTrue(whole - 60 < db.ttl(key) <= whole, key)

    def test_set_removes_an_expiry_and_incr_and_modify_keep_it(self):
        db = self.db
        for key in 'abc':
            db.set(key, 1, ttl=FAR)
        db['a'] = 2
        db.incr('b')
        db.modify('c', lambda n: n + 1)
        self.assertIsNone(db.ttl('a'))
        self.assertIsNotNone(db.ttl('b'))
        self.assertIsNotNone(db.ttl('c'))

    def test_by_path_and_by_id(self):
        self.db['c'] = pongo.PongoCollection.create(self.db)
        self.db.set('c.x', 1, ttl=FAR)
        self.assertIsNotNone(self.db['c'].ttl('x'))
        made = self.db['c'].set(pongo.id, {'a': 1}, ttl=FAR)
        self.assertIsNotNone(self.db['c'].ttl(made))

    def test_refusals_change_nothing(self):
        db = self.db
        db['d'], db['a'] = {}, 1
        for ttl in (-1, -0.001, float('nan'), float('inf'), 2**70, '5', True, timedelta(seconds=-1), [1]):
            self.assertRaises(pongo.ArgError, db.set, 'x', 1, ttl=ttl)
            self.assertRaises(pongo.ArgError, db.expire, 'a', ttl)
        self.assertRaises(pongo.ArgError, db.expire, 'a', None)
        self.assertRaises(pongo.ArgError, db.set, 'x', 1, expires_at=5)
        self.assertRaises(pongo.ArgError, db.set, 'x', 1, ttl=1, expires_at=datetime.now())
        self.assertRaises(TypeError, db['d'].set, 'x', 1, ttl=1)  # a Dict has no expiries
        self.assertRaises(TypeError, db.set, 'd.x', 1, ttl=1)
        self.assertEqual((db.keys(), db['d'].keys(), db.ttl('a')), (['a', 'd'], [], None))
        with pongo.snapshot(db) as then:
            self.assertRaises(pongo.ReadonlyError, then.expire, 'a', 1)
            self.assertIsNone(then.ttl('a'))

    def test_node_sees_it_and_python_sees_nodes(self):
        out = run_node(
            'const db = open(process.argv[1]); const r = db.collection(); db.root.c = r;'
            'r.set("node", 1, { ttl: 3600_000 }); r.set("gone", 1, { ttl: 0 });'
            'console.log(JSON.stringify([...r.keys()])); db.close()', self.path)
        self.assertEqual(json.loads(out), ['node'])
        self.assertTrue(FAR - 60 < self.db['c'].ttl('node') <= FAR)
        self.assertNotIn('gone', self.db['c'])
        self.db['c'].set('both', 1, ttl=FAR)
        out = run_node('const db = open(process.argv[1]); console.log(db.root.c.ttl("both")); db.close()', self.path)
        self.assertTrue(FAR - 60 < int(out) / 1000 <= FAR)


class BoundsTest(DatabaseTest):
    def test_a_cache_stays_within_its_bounds(self):
        cache = self.db['cache'] = pongo.PongoCollection.create(self.db, max_items=3)
        for i in range(10):
            cache[i] = i
            cache.get(0)  # used: it stays
        self.assertEqual(cache.keys(), [0, 8, 9])
        self.assertEqual(cache.bounds, {'max_items': 3, 'evict': 'lru'})
        fifo = pongo.PongoCollection.create(self.db, max_items=2, evict='fifo')
        self.db['fifo'] = fifo
        for i in range(5):
            fifo[i] = i
        self.assertEqual(fifo.keys(), [3, 4])
        small = self.db['small'] = pongo.PongoCollection.create(self.db, max_bytes=1000)
        for i in range(100):
            small[i] = 'x' * 50
        self.assertTrue(0 < small.bounds['bytes'] <= 1000)
        self.assertIsNone(self.db.bounds)

    def test_both_languages_read_the_bounds(self):
        self.db['p'] = pongo.PongoCollection.create(self.db, max_items=2, max_bytes=500, evict='fifo')
        out = run_node(
            'const db = open(process.argv[1]); db.root.n = db.collection({ maxBytes: 700 });'
            'for (let i = 0; i < 5; i++) db.root.p.set(i, i); console.log(JSON.stringify([db.root.p.bounds, [...db.root.p.keys()]])); db.close()',
            self.path)
        bounds, keys = json.loads(out)
        self.assertEqual((bounds['maxItems'], bounds['maxBytes'], bounds['evict'], keys), (2, 500, 'fifo', [3, 4]))
        self.assertEqual(self.db['n'].bounds, {'max_bytes': 700, 'bytes': 0, 'evict': 'lru'})

    def test_refusals(self):
        create = pongo.PongoCollection.create
        for options in ({'max_items': 0}, {'max_items': True}, {'max_bytes': 2.0}, {'max_bytes': 2**41}, {'evict': 'lru'},
                        {'max_items': 1, 'evict': 'new'}, {'multi': True, 'max_items': 1}):
            self.assertRaises(pongo.ArgError, create, self.db, **options)
        self.assertRaises(TypeError, create, {}, max_items=1)


if __name__ == '__main__':
    unittest.main()
