"""Python and Node.js on one file: values, order, increments, transactions."""

import json
import os
import subprocess
import threading
import unittest

import pongo
from support import NODE, ROOT, TIMEOUT, DatabaseTest, run_node, start_node
from tagged import Generator, tag, untag

TAGGED = f'const {{ tag, untag }} = require({str(ROOT / "test/python/tagged.cjs")!r})(Uuid); '
COUNT = int(os.environ.get('PONGO_PROPERTY_COUNT', '600'))


def sorted_dicts(tagged):
    """Orders the pairs of dicts: by the text of their keys, since plain JavaScript objects have an order of their own."""
    if tagged[0] == 'list':
        return ['list', [sorted_dicts(item) for item in tagged[1]]]
    if tagged[0] == 'dict':
        return ['dict', sorted([sorted_dicts(key), sorted_dicts(item)] for key, item in tagged[1])]
    return tagged


class ValuesTest(DatabaseTest):
    def setUp(self):
        super().setUp()
        self.generator = Generator(int(os.environ.get('PONGO_SEED', '7')))
        self.values = [self.generator.value() for _ in range(COUNT)]
        self.db['c'] = self.collection = pongo.PongoCollection.create(self.db)

    def test_node_reads_what_python_wrote(self):
        self.collection.update(enumerate(self.values))
        lines = run_node(
            TAGGED + 'const db = open(process.argv[1]);'
            'for (const [key, value] of db.root.c.range({ native: true })) console.log(JSON.stringify(tag(value)));'
            'db.close()', self.path).splitlines()
        self.assertEqual(len(lines), len(self.values))
        for value, line in zip(self.values, lines):
            self.assertEqual(sorted_dicts(json.loads(line)), sorted_dicts(tag(value)), repr(value))

    def test_python_reads_what_node_wrote(self):
        run_node(
            TAGGED + 'const db = open(process.argv[1]); let i = 0;'
            'require("node:readline").createInterface({ input: process.stdin })'
            '.on("line", (line) => db.root.c.set(i++, untag(JSON.parse(line)))).on("close", () => db.close())',
            self.path, input=''.join(json.dumps(tag(value)) + '\n' for value in self.values))
        self.assertEqual(len(self.collection), len(self.values))
        for i, value in enumerate(self.values):
            read = self.collection[i]
            plain = read.native() if hasattr(read, 'native') else read
            self.assertEqual(sorted_dicts(tag(plain)), sorted_dicts(tag(value)), repr(value))

    def test_keys_have_one_order(self):
        keys = [self.generator.key() for _ in range(COUNT)]
        for key in keys[::2]:
            self.collection[key] = 0
        lines = run_node(
            TAGGED + 'const db = open(process.argv[1]);'
            'const rest = require("node:fs").readFileSync(0, "utf8").split("\\n").filter(Boolean);'
            'for (const line of rest) db.root.c.set(untag(JSON.parse(line)), 0);'
            'for (const key of db.root.c.keys()) console.log(JSON.stringify(tag(key)));'
            'db.close()', self.path, input=''.join(json.dumps(tag(key)) + '\n' for key in keys[1::2])).splitlines()
        self.assertEqual([tag(key) for key in self.collection.keys()], [json.loads(line) for line in lines])
        self.assertEqual({json.dumps(tag(key)) for key in keys}, set(json.dumps(json.loads(line)) for line in lines))

    def test_microseconds_of_python_survive_beside_node(self):
        self.db['t'] = moment = pongo.utcnow().replace(microsecond=123456)
        run_node('const db = open(process.argv[1]); db.root.copy = db.root.$get("t").getTime(); db.close()', self.path)
        self.assertEqual(self.db['t'], moment)
        self.assertEqual(self.db['copy'], int(moment.timestamp()) * 1000 + 123)

    def test_containers_of_one_language_are_those_of_the_other(self):
        out = run_node(
            'const db = open(process.argv[1]); const r = db.root;'
            'r.list = [1, { a: 1 }]; r.multi = db.collection({ multi: true }); r.multi.set("k", 2); r.multi.set("k", 1);'
            'r.c.set("x", r.list); r.shared = r.list; r.list.push(r.c); console.log(r.c.$id, r.list.$id); db.close()', self.path)
        self.assertEqual(out.split(), [str(self.collection.id), str(self.db['list'].id)])
        self.assertIs(self.db['list'], self.collection['x'])
        self.assertIs(self.db['list'][2], self.collection)
        self.assertEqual(self.db['multi']['k'], (1, 2))
        self.assertEqual((self.db.get('list.1.a'), type(self.db['list'][1])), (1, pongo.PongoDict))
        self.db['list'].insert(0, {'from': 'python'})
        self.db.set('c.y', [True])
        out = run_node('const db = open(process.argv[1]); console.log(JSON.stringify([db.root.list[0], db.root.c.get("y"), db.root.shared.length])); db.close()', self.path)
        self.assertEqual(json.loads(out), [{'from': 'python'}, [True], 4])

    def test_json_text_is_the_same(self):
        values = [value for value in self.values if isinstance(value, (list, dict))][:100]
        for value in values:
            self.db['v'] = value
            text = run_text if (run_text := self.db['v'].json()) else ''
            json.loads(text)
        self.db['v'] = {'b': b'\0\xff', 't': pongo.utcnow().replace(microsecond=5000), 'i': 2**80, 'f': 0.25, 'l': [None, True, 'é\n"'],
                        'n': float('nan'), (1, 'x'): 2}
        out = run_node('const db = open(process.argv[1]); process.stdout.write(db.root.v.$json()); db.close()', self.path)
        self.assertEqual(out, self.db['v'].json())


class ConcurrencyTest(DatabaseTest):
    def node_and_python(self, node, python, *args):
        """Runs both at the same time: Node says when it is ready, and begins at a line."""
        child = start_node(f'const db = open(process.argv[1]); console.log("ready"); process.stdin.once("data", () => {{ {node}; db.close(); process.exit() }})',
                           self.path, *args)
        self.addCleanup(child.kill)
        self.assertEqual(child.stdout.readline(), 'ready\n')
        child.stdin.write('go\n')
        child.stdin.flush()
        python()
        child.communicate(timeout=TIMEOUT)
        self.assertEqual(child.returncode, 0)

    def test_increments_of_both_sum_exactly(self):
        count = 100_000

        def add():
            for _ in range(count):
                self.db.incr('n')

        self.node_and_python(f'for (let i = 0; i < {count}; i++) db.root.$incr("n")', add)
        self.assertEqual(self.db['n'], 2 * count)

    def test_transactions_of_both_conflict_and_run_again(self):
        count = 2000
        self.db['a'], self.db['b'] = {'balance': 10**6}, {'balance': 10**6}
        a, b = self.db['a'], self.db['b']

        def transfer():
            a['balance'] -= 1
            b['balance'] += 1
            a['moves'] = a.get('moves', 0) + 1
            if a['balance'] + b['balance'] != 2 * 10**6:
                raise AssertionError('half of a transaction was seen')

        def work():
            for i in range(count):
                pongo.transaction(self.db, transfer)
                if i % 100 == 0:
                    with pongo.snapshot(self.db) as root:
                        self.assertEqual(root.get('a.balance') + root.get('b.balance'), 2 * 10**6)

        self.node_and_python(
            'const { a, b } = db.root;'
            f'for (let i = 0; i < {count}; i++) db.transaction(() => {{ a.balance += 2; b.balance -= 2; a.moves = (a.moves ?? 0) + 1 }})', work)
        self.assertEqual((a['moves'], a['balance'], b['balance']), (2 * count, 10**6 + count, 10**6 - count))

    def test_blocks_take_their_turn_beside_a_busy_writer(self):
        self.db['n'] = 0
        done = []

        def work():
            while len(done) < 50:
                try:
                    with pongo.transaction(self.db):
                        self.db['n'] += 1
                    done.append(1)
                except pongo.ConflictError:
                    pass
            self.db['stop'] = True

        self.node_and_python('let n = 0; while (!db.root.stop) { db.root.$incr("n"); n++ } db.root.added = n', work)
        self.assertEqual(self.db['n'], 50 + self.db['added'])

    def test_a_killed_python_leaves_node_at_work(self):
        program = 'import pongo, sys\ndb = pongo.open(sys.argv[1])\nprint("up", flush=True)\nwhile True: db.incr("n"); db["x"] = {"y": [1, 2]}'
        node = start_node('const db = open(process.argv[1]); let n = 0; process.stdin.on("end", () => { console.log(n); process.exit() }); process.stdin.resume();'
                          'function work() { for (let i = 0; i < 100; i++) { db.root.$incr("m"); n++ } setImmediate(work) } work()', self.path)
        self.addCleanup(node.kill)
        from support import start_python
        for _ in range(3):
            child = start_python(program, self.path)
            self.assertEqual(child.stdout.readline(), 'up\n')
            before = self.db.get('m', 0)
            while self.db.get('m', 0) < before + 1000:
                pass
            child.kill()
            child.communicate(timeout=TIMEOUT)
            before = self.db['m']
            while self.db['m'] < before + 1000:
                pass
        out, _ = node.communicate(timeout=TIMEOUT)
        self.assertEqual(int(out), self.db['m'])
