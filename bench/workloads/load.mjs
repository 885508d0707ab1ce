// Stores all entries at once, in one transaction, into an empty store.
import { keysOf, valuesOf } from '../harness/data.mjs'

export default {
  prepare(store, { keys, size }) {
    const values = valuesOf(size)
    return { entries: keysOf(keys).map((key, i) => [key, values[i % values.length]]) }
  },
  batch(store, { entries }) {
    store.load(entries)
    return entries.length
  },
  after(store, { entries }) {
    if (store.size() !== entries.length) throw new Error('not all entries are there')
    store.clear()
  },
}
