// Reads a string by key, in random order over all keys.
import { keysOf, valuesOf } from '../harness/data.mjs'

export default {
  fill(store, { keys, size }) {
    const values = valuesOf(size)
    store.load(keysOf(keys).map((key, i) => [key, values[i % values.length]]))
  },
  prepare: (store, { keys }, { part }) => ({ keys: keysOf(keys), at: part * 7919 }),
  operation(store, state) {
    const { keys } = state
    const { get } = store
    return () => {
      if (state.at >= keys.length) state.at = 0
      if (get(keys[state.at++]) === undefined) throw new Error('a key is missing')
    }
  },
}
