// What a transaction can read about what is not there, and the write of another thread that makes it wrong.

import { workerData } from 'node:worker_threads'
import { open } from 'pongodb'

const row = { n: 1 }

// [what is read, how it is set up, the read: its answer must be the same for the whole transaction, what another one writes]
export const cases = [
  ['a range', (r) => fill(r), (r) => [...r.all.range({ gte: 10, lt: 20 })].length, (r) => r.all.set(15, row)],
  [
    'a range with native',
    (r) => fill(r),
    (r) => [...r.all.range({ gt: 10, native: true })].length,
    (r) => r.all.set(15, row),
  ],
  ['a prefix', (r) => fill(r), (r) => [...r.all.range({ prefix: 'a' })].length, (r) => r.all.set('ab', row)],
  ['a count', (r) => fill(r), (r) => r.all.count({ gte: 10, lt: 20 }), (r) => r.all.set(15, row)],
  ['a rank', (r) => fill(r), (r) => r.all.rank(50), (r) => r.all.set(15, row)],
  ['a position', (r) => fill(r), (r) => r.all.at(3)?.[0], (r) => r.all.set(1, row)],
  ['the size', (r) => fill(r), (r) => r.all.size, (r) => r.all.set(15, row)],
  ['an absent key', (r) => fill(r), (r) => r.all.has(15), (r) => r.all.set(15, row)],
  ['an absent value', (r) => fill(r), (r) => r.all.get(15) === undefined, (r) => r.all.set(15, row)],
  ['the first', (r) => fill(r), (r) => r.all.first()[0], (r) => r.all.set(-1, row)],
  ['the last', (r) => fill(r), (r) => r.all.last()[0], (r) => r.all.set('z', row)],
  ['keys', (r) => fill(r), (r) => [...r.all.keys()].length, (r) => r.all.set(15, row)],
  ['forEach', (r) => fill(r), (r) => countAll((each) => r.all.forEach(each)), (r) => r.all.delete(30)],
  ['a search', (r) => fill(r), (r) => r.all.search('n', '==', 1).size, (r) => r.all.set(15, row)],
  ['a search in what it finds', (r) => fill(r), (r) => r.all.search('n', '==', 1).size, (r) => (r.all.get(30).n = 1)],
  ['a shift of nothing', (r) => (r.all = r.empty), (r) => r.all.shift() === undefined, (r) => r.all.set(1, row)],
  ['a copy', (r) => fill(r), (r) => JSON.stringify([...r.all.native()]), (r) => (r.all.get(30).n = 5)],
  ['JSON', (r) => (r.dict = { a: { b: 1 } }), (r) => r.dict.$json(), (r) => (r.dict.a.b = 2)],
  ['an absent property', (r) => (r.dict = {}), (r) => 'x' in r.dict, (r) => (r.dict.x = 1)],
  ['names', (r) => (r.dict = { a: 1 }), (r) => Object.keys(r.dict).length, (r) => delete r.dict.a],
  ['an absent path', (r) => (r.dict = {}), (r) => r.$get('dict.a.b', null), (r) => (r.dict.a = { b: 1 })],
  ['a failed pop', (r) => (r.dict = {}), (r) => r.dict.$pop('x', null), (r) => (r.dict.x = 1)],
  ['a failed cas', (r) => (r.dict = { v: 1 }), (r) => r.dict.$cas('v', 2, 3), (r) => (r.dict.v = 2)],
  ['a length', (r) => (r.list = [1]), (r) => r.list.length, (r) => r.list.push(2)],
  ['an index beyond the end', (r) => (r.list = [1]), (r) => r.list[5] === undefined, (r) => r.list.push(2, 3, 4, 5, 6)],
  ['includes', (r) => (r.list = [1]), (r) => r.list.includes(7), (r) => r.list.push(7)],
  ['values of a key', (r) => (r.all = r.multi), (r) => r.all.getAll('k').length, (r) => r.all.set('k', 1)],
]

function fill(r) {
  r.all = r.empty
  r.all.update([0, 2, 4, 6, 30, 'm'].map((key) => [key, { n: 0 }]))
}

function countAll(forEach) {
  let n = 0
  forEach(() => n++)
  return n
}

/** In a worker: makes the write of the case that the shared number names, then says so; -1 ends it. */
export function serve({ path, shared }) {
  const db = open(path)
  const turn = new Int32Array(shared)
  for (;;) {
    Atomics.wait(turn, 0, 0)
    const wanted = Atomics.load(turn, 0)
    if (wanted < 0) break
    cases[wanted - 1][3](db.root)
    Atomics.store(turn, 0, 0)
    Atomics.notify(turn, 0)
  }
  db.close()
}

if (workerData?.serve === 'phantoms') serve(workerData)
