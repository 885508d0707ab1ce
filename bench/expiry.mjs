// What expiry and bounds cost: the background cleaner's share of a core while a million keys expire, reads of a bounded Collection
// beside those of an unbounded one in the same rounds, and the hits of an LRU Collection beside an exact LRU on a zipfian trace.
//
// The keys expire at random within `--spread` seconds: 600, sessions and cached pages of up to ten minutes, or 30, which is more than 4 %
// of a core can take out as it comes; the cleaner is watched for `--seconds` of that.
//
//   node bench/expiry.mjs [--only reads,hits,cleaner] [--keys 1000000] [--spread 600,30] [--seconds 20]

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { open } from 'pongodb'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'reads,hits,cleaner' },
    keys: { type: 'string', default: '1000000' },
    spread: { type: 'string', default: '600,30' },
    seconds: { type: 'string', default: '20' },
  },
})
const keys = Number(values.keys)
const seconds = Number(values.seconds)
const folder = mkdtempSync(join(tmpdir(), 'pongodb-bench-'))

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
}

// Checkpoints would be counted with the cleaner: it has the process to itself.
async function cleaner(spread) {
  const db = open(join(folder, `cleaner ${spread}.pongo`), { durability: 'none' })
  const c = (db.root.c = db.collection())
  const first = Date.now() + keys / 50 // they are loaded by then
  for (let i = 0; i < keys; ) {
    db.transaction(() => {
      for (const end = Math.min(keys, i + 10_000); i < end; i++) {
        c.set(`session:${i}`, 'x'.repeat(40), { expiresAt: new Date(first + Math.random() * spread * 1000) })
      }
    })
  }
  if (Date.now() > first) throw new Error('the keys were not loaded in time: fewer --keys')
  while (Date.now() < first + 1000) await pause(100)
  const before = { cpu: process.cpuUsage(), time: performance.now(), size: c.size }
  await pause(seconds * 1000)
  const cpu = process.cpuUsage(before.cpu)
  const elapsed = performance.now() - before.time
  const removed = before.size - c.size
  const due = keys * Math.min(1, (Date.now() - first) / (spread * 1000))
  const result = {
    'due per second': Math.round(keys / spread),
    'removed per second': Math.round((removed / elapsed) * 1000),
    'share of a core': `${((cpu.user + cpu.system) / 10 / elapsed).toFixed(2)} %`,
    'microseconds each': ((cpu.user + cpu.system) / removed).toFixed(2),
    'due and not removed yet': Math.max(0, Math.round(due - (keys - c.size))),
  }
  db.close()
  return result
}

function reads() {
  const db = open(join(folder, 'reads.pongo'), { durability: 'none' })
  const count = 100_000
  const collections = {
    unbounded: (db.root.a = db.collection()),
    lru: (db.root.b = db.collection({ maxItems: count })),
    fifo: (db.root.c = db.collection({ maxItems: count, evict: 'fifo' })),
    'with ttl': (db.root.d = db.collection()),
  }
  for (const [name, c] of Object.entries(collections)) {
    db.transaction(() => {
      for (let i = 0; i < count; i++) c.set(`user:${i}`, 'x'.repeat(40), name === 'with ttl' ? { ttl: 3.6e6 } : {})
    })
  }
  const names = Array.from({ length: count }, (_, i) => `user:${(i * 7919) % count}`)
  const times = Object.fromEntries(Object.keys(collections).map((name) => [name, []]))
  for (let round = 0; round < 15; round++) {
    for (const [name, c] of Object.entries(collections)) {
      const start = performance.now()
      for (let i = 0; i < count; i++) c.get(names[i])
      times[name].push(((performance.now() - start) * 1e6) / count)
    }
  }
  db.close()
  const base = median(times.unbounded)
  return Object.fromEntries(
    Object.entries(times).map(([name, all]) => {
      const ns = median(all)
      return [name, `${ns.toFixed(0)} ns, ${(ns / base).toFixed(2)} x`]
    }),
  )
}

function hits() {
  const db = open(join(folder, 'hits.pongo'), { durability: 'none' })
  const population = 100_000
  const requests = 500_000
  const sums = new Float64Array(population)
  for (let k = 0, sum = 0; k < population; k++) sums[k] = sum += 1 / (k + 1) ** 0.99
  const next = () => {
    const at = Math.random() * sums[population - 1]
    let low = 0
    for (let high = population; low < high; ) {
      const middle = (low + high) >> 1
      if (sums[middle] < at) low = middle + 1
      else high = middle
    }
    return low
  }
  const result = {}
  for (const capacity of [1000, 10_000]) {
    const cache = (db.root[`cache ${capacity}`] = db.collection({ maxItems: capacity }))
    const exact = new Map()
    let ours = 0
    let theirs = 0
    for (let i = 0; i < requests; i++) {
      const key = next()
      const name = `${(key * 48_271) % 2_147_483_647}`
      const hit = cache.get(name) !== undefined
      if (!hit) cache.set(name, i)
      const expected = exact.delete(key)
      exact.set(key, true)
      if (exact.size > capacity) exact.delete(exact.keys().next().value)
      if (i < requests / 5) continue
      ours += hit ? 1 : 0
      theirs += expected ? 1 : 0
    }
    const rate = (n) => `${((n * 100) / (requests * 0.8)).toFixed(2)} %`
    result[`${capacity} of ${population}`] = `${rate(ours)} of requests, exact LRU ${rate(theirs)}: ${(ours / theirs).toFixed(4)}`
  }
  db.close()
  return result
}

try {
  const wanted = values.only.split(',')
  if (wanted.includes('reads')) console.log('reads', reads())
  if (wanted.includes('hits')) console.log('hits', hits())
  if (wanted.includes('cleaner'))
    for (const spread of values.spread.split(',')) console.log(`cleaner, ${spread} s`, await cleaner(Number(spread)))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
