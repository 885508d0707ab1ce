// Replaces a string under an existing key, each time with a commit of its own.
import { keysOf, valuesOf } from '../harness/data.mjs'
import get from './get.mjs'

export default {
  fill: get.fill,
  prepare: (store, { keys, size }, { part, parts }) => ({
    keys: keysOf(keys),
    values: valuesOf(size),
    at: Math.floor((keys * part) / parts),
  }),
  operation(store, state) {
    const { keys, values } = state
    const { set } = store
    return () => {
      if (state.at >= keys.length) state.at = 0
      set(keys[state.at], values[(state.at * 7) % values.length])
      state.at++
    }
  },
}
