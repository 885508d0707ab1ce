// lmdb-js. Its commits are asynchronous by default; putSync and transactionSync are its ways to have a commit behind each call, as ours.
// noSync: never flushed by itself, which is less than our default promises.

import { join } from 'node:path'
import { peer } from '../compare/peers.mjs'

export const name = 'lmdb'

export function connect(folder, { sync = false, encoding } = {}) {
  const lmdb = peer('lmdb')
  const path = join(folder, 'data.mdb')
  const store = lmdb.open({ path, noSync: !sync, ...(encoding && { encoding }) })
  return {
    version: lmdb.version,
    path,
    get: (key) => store.get(key),
    set: (key, value) => void store.putSync(key, value),
    load(entries) {
      store.transactionSync(() => {
        for (const [key, value] of entries) store.putSync(key, value)
      })
    },
    incr(key) {
      store.transactionSync(() => store.putSync(key, (store.get(key) ?? 0) + 1))
    },
    size: () => store.getCount(),
    clear: () => store.clearSync(),
    scan() {
      let bytes = 0
      for (const { key, value } of store.getRange({})) bytes += key.length + value.length
      return bytes
    },
    insert: (key, document) => void store.putSync(key, document),
    insertAll(entries) {
      store.transactionSync(() => {
        for (const [key, value] of entries) store.putSync(key, value)
      })
    },
    field: (key, field) => store.get(key)[field],
    live: (key, field) => store.get(key)[field],
    whole: (key) => store.get(key),
    setField(key, field, value) {
      store.transactionSync(() => {
        const document = store.get(key)
        document[field] = value
        store.putSync(key, document)
      })
    },
    modifyField(key, field, change) {
      store.transactionSync(() => {
        const document = store.get(key)
        document[field] = change(document[field])
        store.putSync(key, document)
      })
    },
    scanFrom(key, limit) {
      let n = 0
      for (const entry of store.getRange({ start: key, limit })) n += entry.value === undefined ? 0 : 2
      return n
    },
    async settle() {
      await store.flushed
    },
    async close() {
      await store.close()
    },
  }
}
