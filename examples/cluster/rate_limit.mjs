// A limit for each client over all workers together: requests are counted by second in one shared place.

/** Requests that one client may make in one second, whichever workers they reach. */
export const requestsPerSecond = 1000

/** Counts a request; whether the client may make it. The count is one atomic step, so two workers never admit one place. */
export function admit({ limits, totals }, client, now = Date.now()) {
  if (limits.incr([Math.floor(now / 1000), client]) <= requestsPerSecond) return true
  totals.incr('limited')
  return false
}

/** Forgets the seconds that are over. */
export function sweepLimits({ db, limits }, now = Date.now()) {
  // A tuple sorts below the longer ones that begin with it: this is everything before the last second.
  db.transaction(() => {
    for (const [key] of [...limits.range({ lt: [Math.floor(now / 1000) - 1] })]) limits.delete(key)
  })
}
