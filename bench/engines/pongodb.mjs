// PongoDB behind the interface that the workloads use. Durability is the default: a checkpoint each second.

import { join } from 'node:path'
import { open } from 'pongodb'

export const name = 'pongodb'

export function connect(folder, { durability } = {}) {
  const path = join(folder, 'state.pongo')
  const db = durability === undefined ? open(path) : open(path, { durability })
  const root = db.root
  const collection = (id) => root[id] ?? (root[id] = db.collection())
  let store = collection('store')

  return {
    version: 'this build',
    path,
    get: (key) => store.get(key),
    set: (key, value) => void store.set(key, value),
    load: (entries) => store.update(entries),
    incr: (key) => store.incr(key, 1),
    size: () => store.size,
    count: () => store.size,
    clear() {
      root.store = db.collection()
      store = root.store
    },
    scan() {
      let bytes = 0
      for (const [key, value] of store) bytes += key.length + value.length
      return bytes
    },
    // Documents
    insert: (key, document) => void store.set(key, document),
    insertAll: (entries) => store.update(entries),
    field: (key, field) => store.getPath([key, field]),
    live: (key, field) => store.get(key)[field],
    whole: (key) => store.native(key),
    setField: (key, field, value) => void store.setPath([key, field], value),
    modifyField(key, field, change) {
      store.get(key).$modify([field], change)
    },
    scanFrom(key, limit) {
      let n = 0
      for (const entry of store.range({ gte: key, limit, native: true })) n += entry.length
      return n
    },
    // A queue
    queue() {
      const list = root.queue ?? (root.queue = db.transaction(() => root.queue ?? (root.queue = [])))
      return { push: (value) => void list.push(value), shift: () => list.shift() }
    },
    async check() {
      await db.verify()
    },
    async settle() {
      await db.sync()
    },
    close: () => db.close(),
  }
}
