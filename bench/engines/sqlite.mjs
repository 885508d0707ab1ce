// better-sqlite3 with a write-ahead log and synchronous = NORMAL: a process that dies loses nothing, a machine that dies loses what is
// younger than the last checkpoint. Documents are JSON text, read by SQLite's JSON functions where one field is asked for.

import { join } from 'node:path'
import { peer } from '../compare/peers.mjs'

export const name = 'sqlite'

export function connect(folder) {
  const Database = peer('better-sqlite3').module
  const path = join(folder, 'data.sqlite')
  const db = new Database(path, { timeout: 60_000 })
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  db.exec('CREATE TABLE IF NOT EXISTS store (key TEXT PRIMARY KEY, value) WITHOUT ROWID')
  const get = db.prepare('SELECT value FROM store WHERE key = ?').pluck()
  const set = db.prepare('INSERT INTO store (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value')
  const incr = db.prepare(
    'INSERT INTO store (key, value) VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET value = value + 1',
  )
  const all = db.prepare('SELECT key, value FROM store ORDER BY key')
  const from = db.prepare('SELECT key, value FROM store WHERE key >= ? ORDER BY key LIMIT ?')
  const field = db.prepare('SELECT value ->> ? FROM store WHERE key = ?').pluck()
  const setField = db.prepare('UPDATE store SET value = json_set(value, ?, ?) WHERE key = ?')
  const count = db.prepare('SELECT count(*) FROM store').pluck()
  const load = db.transaction((entries) => {
    for (const [key, value] of entries) set.run(key, value)
  })
  const insertAll = db.transaction((entries) => {
    for (const [key, value] of entries) set.run(key, JSON.stringify(value))
  })
  const modify = db.transaction((key, name, change) => {
    const document = JSON.parse(get.get(key))
    document[name] = change(document[name])
    set.run(key, JSON.stringify(document))
  })
  return {
    version: peer('better-sqlite3').version,
    path,
    get: (key) => get.get(key),
    set: (key, value) => void set.run(key, value),
    load,
    incr: (key) => void incr.run(key),
    size: () => count.get(),
    clear: () => db.exec('DELETE FROM store'),
    scan() {
      let bytes = 0
      for (const row of all.iterate()) bytes += row.key.length + row.value.length
      return bytes
    },
    insert: (key, document) => void set.run(key, JSON.stringify(document)),
    insertAll,
    field: (key, name) => field.get(name, key),
    whole: (key) => JSON.parse(get.get(key)),
    setField: (key, name, value) => void setField.run(`$.${name}`, value, key),
    modifyField: (key, name, change) => modify.immediate(key, name, change),
    scanFrom(key, limit) {
      let n = 0
      for (const row of from.all(key, limit)) n += JSON.parse(row.value) === undefined ? 0 : 2
      return n
    },
    async settle() {},
    close: () => db.close(),
  }
}
