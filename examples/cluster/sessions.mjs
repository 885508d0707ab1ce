// Sessions that every worker knows: one logs a user in, any other reads, one of them removes what has expired.

import { randomUUID } from 'node:crypto'

/** How long a session lives. Short, so that a demonstration of 15 seconds sees sessions end. */
export const sessionMs = 4000

/** Begins a session; returns its id and its end. */
export function login({ db, sessions, expiries, totals }, user, now = Date.now()) {
  const id = randomUUID()
  const expiresAt = new Date(now + sessionMs)
  // The session and its place in the order of expiry come into being together.
  db.transaction(() => {
    sessions.set(id, { user, expiresAt, reads: 0 })
    expiries.set([expiresAt, id], null)
    totals.incr('logins')
  })
  return { id, expiresAt }
}

/** Reads a session and counts the reading; undefined when there is none or it has expired. */
export function readSession({ db, sessions }, id, now = Date.now()) {
  // One transaction: the session cannot be removed between the look at it and the counting.
  return db.transaction(() => {
    const session = sessions.get(id)
    if (session === undefined || session.expiresAt.getTime() <= now) return undefined
    session.reads++
    return session.$native()
  })
}

/** Removes the sessions that have expired; returns how many. */
export function sweepSessions({ db, sessions, expiries }, now = Date.now()) {
  return db.transaction(() => {
    let removed = 0
    for (const [key] of [...expiries.range({ lt: [new Date(now)] })]) {
      expiries.delete(key)
      sessions.delete(key[1])
      removed++
    }
    return removed
  })
}
