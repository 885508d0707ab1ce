// The load generator, a process of its own: autocannon with visitors that keep account. Sends to the primary
//   { started }             when the first request is on its way
//   { report }              at the end: what was answered, acknowledged and lost, and the latencies
// and receives 'newcomers': some more visitors come, on new connections, until the end.

import autocannon from 'autocannon'
import { createHistogram } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { Account, Visitor } from './visitor.mjs'

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    seconds: { type: 'string' },
    connections: { type: 'string' },
    cities: { type: 'string' },
  },
})
const seconds = Number(options.seconds)
const connections = Number(options.connections)
const account = new Account()
const latencies = createHistogram() // microseconds
const visitors = []
const runs = []
const began = performance.now()
let lastAnswer = began
const deadline = began + 1000 * seconds

function addVisitors(count, nameOf) {
  const run = autocannon({
    url: options.url,
    connections: count,
    pipelining: 1,
    timeout: 10,
    // The visitors end by themselves at the deadline; this is for one that hangs.
    duration: Math.ceil((deadline - performance.now()) / 1000) + 15,
    setupClient(client) {
      const name = nameOf(visitors.length)
      visitors.push(new Visitor(client, { account, name, cityCount: Number(options.cities), deadline }))
    },
  })
  run.on('response', (client, status, bytes, milliseconds) => {
    lastAnswer = performance.now()
    latencies.record(Math.max(1, Math.round(milliseconds * 1000)))
  })
  runs.push(run)
}

// A quarter of the connections belong to one client that asks for more than its share: the rate limit is for it.
const greedy = Math.ceil(connections / 4)
addVisitors(connections, (i) => (i < greedy ? 'crawler' : `visitor ${i}`))
process.send({ started: true })
process.on('message', (message) => {
  if (message !== 'newcomers') return
  // One after another: a crowd would go to the workers that are awake, and leave the replacement out.
  let coming = Math.ceil(connections / 2)
  const arrivals = setInterval(() => {
    if (coming-- === 0 || performance.now() >= deadline) clearInterval(arrivals)
    else addVisitors(1, (i) => `newcomer ${i}`)
  }, 100)
})
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())

// Newcomers are more runs while earlier ones go on: wait for each there is.
for (let i = 0; i < runs.length; i++) await runs[i]
for (const visitor of visitors) visitor.end()
const percentile = (p) => latencies.percentile(p) / 1000
process.send({
  report: {
    seconds: (lastAnswer - began) / 1000,
    connections: visitors.length,
    requests: latencies.count,
    latency: { p50: percentile(50), p99: percentile(99), max: latencies.max / 1000 },
    statuses: [...account.statuses],
    acknowledged: [...account.acknowledged],
    lost: account.lost,
    wrong: account.wrong,
  },
})
process.disconnect()
