// The core workloads of the Yahoo! Cloud Serving Benchmark (Cooper et al., SoCC 2010): records of ten fields of 100 characters, keys
// by a zipfian distribution of 0.99. A read takes the whole record, an update writes one field.
//
//   A 50 % read, 50 % update     B 95 % read, 5 % update      C read only
//   D 95 % read of what is new, 5 % insert                    E 95 % scan of up to 100, 5 % insert
//   F 50 % read, 50 % read-modify-write
import { randomFrom, valuesOf, ycsbRecord, zipfian } from '../harness/data.mjs'

const shares = {
  A: { read: 0.5, update: 0.5 },
  B: { read: 0.95, update: 0.05 },
  C: { read: 1 },
  D: { read: 0.95, insert: 0.05, latest: true },
  E: { scan: 0.95, insert: 0.05 },
  F: { read: 0.5, modify: 0.5 },
}

const traceSize = 2 ** 18
const recordCount = 100 // all that ycsbRecord makes

const keyOf = (i) => `user${String(i).padStart(10, '0')}`

export default {
  fill(store, { keys }) {
    for (let i = 0; i < keys; i += 10_000)
      store.insertAll(
        Array.from({ length: Math.min(10_000, keys - i) }, (_, j) => [keyOf(i + j), ycsbRecord(i + j)]),
      )
  },
  prepare(store, { keys, mix }, { part, parts }) {
    return {
      keys,
      share: shares[mix],
      random: randomFrom(77 + part),
      // Made before: drawing a number and making a key or a record of it would be a good part of what is measured.
      names: Array.from({ length: keys }, (_, i) => keyOf(i)),
      trace: Array.from({ length: traceSize }, ((zipf) => () => zipf.next())(zipfian(keys, 5 + part))),
      ranks: Array.from({ length: traceSize }, ((zipf) => () => zipf.rank())(zipfian(keys, 5 + part))),
      values: valuesOf(100),
      records: Array.from({ length: recordCount }, (_, i) => ycsbRecord(i)),
      added: [], // the keys that this process has inserted, in their order
      part,
      parts,
      n: 0,
    }
  },
  operation(store, state) {
    const { share, random, names, trace, ranks, values, records, added } = state
    const { whole, setField, modifyField, insert, scanFrom } = store
    const swap = (old) => (old === values[0] ? values[1] : values[0])
    // The records that a process has inserted itself come after those that all began with.
    const keyNumber = (i) => state.keys + i * state.parts + state.part
    const choose = () => {
      if (!share.latest) return names[trace[state.n & (traceSize - 1)]]
      const back = ranks[state.n & (traceSize - 1)]
      if (back < added.length) return added[added.length - 1 - back]
      return names[Math.max(0, state.keys - 1 - (back - added.length))]
    }
    const kinds = ['read', 'update', 'insert', 'scan', 'modify'].filter((kind) => share[kind] > 0)
    const first = share[kinds[0]]
    const actions = {
      read() {
        if (whole(choose()).field0.length !== 100) throw new Error('a record is not what was stored')
      },
      update: () => setField(choose(), `field${state.n % 10}`, values[state.n % 1000]),
      insert() {
        const i = added.length
        const key = keyOf(keyNumber(i))
        insert(key, records[i % recordCount])
        added.push(key)
      },
      scan() {
        if (scanFrom(choose(), 1 + Math.floor(random() * 100)) < 1) throw new Error('a scan found nothing')
      },
      modify: () => modifyField(choose(), `field${state.n % 10}`, swap),
    }
    const one = actions[kinds[0]]
    const other = actions[kinds[1] ?? kinds[0]]
    return () => {
      state.n++
      if (random() < first) one()
      else other()
    }
  },
}
