// What the live page shows, read by whichever worker the page is connected to.

import { availableParallelism, loadavg } from 'node:os'

/** All figures of one moment: read from one version of the database, so that they fit together. */
export function figures({ db, hits, sessions, workers, served, totals, cities }) {
  const snapshot = db.snapshot()
  try {
    const then = (collection) => snapshot.get(collection)
    const requests = new Map(then(served))
    const rows = []
    for (const [id, worker] of then(workers)) {
      rows.push({ id, pid: worker.pid, state: worker.state, requests: requests.get(id) ?? 0 })
    }
    return {
      time: Date.now(),
      workers: rows,
      requests: rows.reduce((sum, row) => sum + row.requests, 0),
      hits: Object.fromEntries(then(hits)),
      ranking: snapshot.root.ranking?.native() ?? [],
      sessions: then(sessions).size,
      logins: then(totals).get('logins', 0),
      limited: then(totals).get('limited', 0),
      cities: then(cities).size,
      version: snapshot.version,
      load: `${loadavg()[0].toFixed(1)} / ${availableParallelism()}`,
    }
  } finally {
    snapshot.release()
  }
}
