// The ordinary Map of one process: what sharing and persistence cost is measured against it.

export const name = 'map'

export function connect() {
  let store = new Map()
  return {
    version: process.version,
    get: (key) => store.get(key),
    set: (key, value) => void store.set(key, value),
    load(entries) {
      for (const [key, value] of entries) store.set(key, value)
    },
    incr: (key) => void store.set(key, (store.get(key) ?? 0) + 1),
    size: () => store.size,
    clear() {
      store = new Map()
    },
    scan() {
      let bytes = 0
      for (const [key, value] of store) bytes += key.length + value.length
      return bytes
    },
    insert: (key, document) => void store.set(key, document),
    insertAll(entries) {
      for (const [key, value] of entries) store.set(key, value)
    },
    field: (key, field) => store.get(key)[field],
    whole: (key) => ({ ...store.get(key) }),
    close() {},
  }
}
