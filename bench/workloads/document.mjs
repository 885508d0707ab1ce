// Documents of ten fields: one field, or all of them.
import { documentOf, keysOf } from '../harness/data.mjs'

const names = ['name', 'email', 'city', 'note']
const operations = {
  field: (store, next) => {
    const { field } = store
    let i = 0
    return () => {
      if (typeof field(next(), names[i++ & 3]) !== 'string') throw new Error('a field is missing')
    }
  },
  live: (store, next) => {
    const { live } = store
    let i = 0
    return () => {
      if (typeof live(next(), names[i++ & 3]) !== 'string') throw new Error('a field is missing')
    }
  },
  whole: (store, next) => {
    const { whole } = store
    return () => {
      if (whole(next()).country !== 'ES') throw new Error('a document is not what was stored')
    }
  },
}

export default {
  fill(store, { keys }) {
    store.insertAll(keysOf(keys).map((key, i) => [key, documentOf(i)]))
  },
  prepare: (store, { keys, read }) => ({ keys: keysOf(keys), at: 0, read }),
  operation(store, state) {
    const { keys } = state
    return operations[state.read](store, () => {
      if (state.at >= keys.length) state.at = 0
      return keys[state.at++]
    })
  },
}
