// The one file that all processes share, and the names of what is in it.
//
//   cities     id -> { name, country, admin1, admin2, lat, lng }
//   names      folded name + NUL + id -> id: a sorted index, so that a prefix is a range
//   catalogue  where the cities came from; there once the import is complete
//   sessions   session id -> { user, expiresAt, reads }
//   expiries   [expiresAt, session id] -> null: the sessions in the order in which they end
//   hits       page -> count; outlives every process
//   visits     city id -> how often it was looked up
//   ranking    [{ city, country, visits }], written by examples/python/rank_cities.py
//   limits     [second, client] -> requests of that client in that second
//   workers    worker id -> { pid, state, startedAt }, of this run
//   served     worker id -> requests answered, of this run
//   totals     'limited', 'logins' -> count, of this run

import { open } from 'pongodb'

const collections = ['sessions', 'expiries', 'hits', 'visits', 'limits', 'workers', 'served', 'totals']

/** Opens the file. Every process calls this for itself; nothing else passes between them. */
export function openFile(file) {
  const db = open(file)
  // In a transaction: of several processes that find a new file, one makes the collections.
  db.transaction(() => {
    for (const name of collections) if (!(name in db.root)) db.root[name] = db.collection()
  })
  return db
}

/** The database and its live collections by name, as all the modules here take them. */
export function contents(db) {
  const state = { db }
  for (const name of [...collections, 'cities', 'names']) state[name] = db.root[name]
  return state
}

/** Empties what describes only one run of the server. Sessions, hit counters and cities stay. */
export function beginRun({ db, limits, workers, served, totals }) {
  db.transaction(() => {
    for (const collection of [limits, workers, served, totals]) collection.clear()
  })
}
