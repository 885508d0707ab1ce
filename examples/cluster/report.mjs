// Judges a run: what the visitors know against what the file holds.

const number = (n) => n.toLocaleString('en')

// Each acknowledged increment must be in its counter. A worker that was killed may have counted a hit and not lived to
// say so: the counter may be ahead, by no more than the hits that were left without an answer.
function judgeCounters(report, before, after) {
  const unanswered = new Map()
  for (const { page } of report.lost) if (page) unanswered.set(page, (unanswered.get(page) ?? 0) + 1)
  const acknowledged = new Map(report.acknowledged)
  const sum = { acknowledged: 0, counted: 0, unanswered: 0, ok: true }
  for (const page of new Set([...after.keys(), ...acknowledged.keys()])) {
    const known = acknowledged.get(page) ?? 0
    const counted = (after.get(page) ?? 0) - (before.get(page) ?? 0)
    const open = unanswered.get(page) ?? 0
    sum.acknowledged += known
    sum.counted += counted
    sum.unanswered += open
    if (counted < known || counted > known + open) sum.ok = false
  }
  return sum
}

/**
 * Prints the figures of a run; returns what is wrong with it, a line each.
 *
 * @param report what the load generator saw
 * @param file `before` and `after`: the hit counters around the run; `served`: requests by worker; `killed`: the worker
 *   that was; `check`: `counts` or `error` of verify()
 */
export function printReport(report, { before, after, served, killed, check }) {
  const statuses = new Map(report.statuses)
  const count = (status) => number(statuses.get(status) ?? 0)
  const ofKilled = report.lost.filter(({ worker }) => worker === killed?.id)
  const elsewhere = report.lost.length - ofKilled.length
  const counters = judgeCounters(report, before, after)

  const lines = [
    ['requests', `${number(report.requests)} in ${report.seconds.toFixed(1)} s on ${report.connections} connections`],
    ['requests/s', number(Math.round(report.requests / report.seconds))],
    [
      'latency',
      `p50 ${report.latency.p50.toFixed(2)} ms, p99 ${report.latency.p99.toFixed(2)} ms, worst ${report.latency.max.toFixed(1)} ms`,
    ],
    ['answers', `${count(200)} ok, ${count(429)} over the rate limit, ${count(401)} expired sessions`],
    ['killed', killed ? `worker ${killed.id} (process ${killed.pid}) with SIGKILL` : 'no worker'],
    ['workers', served.map(([id, n]) => `${id}: ${number(n)}`).join(', ')],
    ['errors', `${ofKilled.length} requests broken off on connections of the killed worker, ${elsewhere} on others`],
    [
      'increments',
      `${number(counters.acknowledged)} acknowledged, ${number(counters.counted)} in the file, ${counters.unanswered} left without an answer`,
    ],
    [
      'verify()',
      check.error ?? `passed: ${number(check.counts.containers)} containers, ${number(check.counts.values)} values`,
    ],
  ]
  for (const [name, text] of lines) console.log(`${name.padEnd(12)}${text}`)

  const wrong = [...report.wrong]
  if (!counters.ok) wrong.push('an acknowledged increment is missing, or one was counted that nobody asked for')
  if (elsewhere > 0) wrong.push('requests broke off on connections of workers that were not killed')
  if (report.requests === 0) wrong.push('no request was answered')
  if (check.error) wrong.push('the file did not pass verify()')
  return wrong
}
