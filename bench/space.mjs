// Does space come back? The figures of a store under churn, each beside what it must be.
//
//   node bench/space.mjs [--release] [churn] [snapshot] [drop] [latency] [proxies]     default: all; --release: full size
//
// Processes run beside each other here: close other programs, or the latencies are theirs.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open } from '../dist/index.mjs'

const self = fileURLToPath(import.meta.url)
const MiB = 2 ** 20
const keys = 100_000

function random(seed) {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

const value = (i) => `value ${i} and some more text behind it: ${'x'.repeat(i % 64)}`

// -- what the other processes do --

const jobs = {
  overwrite({ path, count, seed }) {
    const db = open(path)
    const { live } = db.root
    const next = random(seed)
    for (let i = 0; i < count; i++) live.set(`user:${Math.floor(next() * keys)}`, value(i))
    db.close()
  },

  // Sets until it is told to stop; the time of each, in nanoseconds.
  async latencies({ path }) {
    const db = open(path)
    const { live } = db.root
    const next = random(7)
    let stopped = false
    process.once('message', () => (stopped = true))
    // What is measured is not the compiler at work.
    for (let i = 0; i < 100_000; i++) live.set(`user:${Math.floor(next() * keys)}`, value(i))
    process.send({ ready: true })
    const times = []
    for (let i = 0; !stopped; i++) {
      const key = `user:${Math.floor(next() * keys)}`
      const began = process.hrtime.bigint()
      live.set(key, value(i))
      times.push(Number(process.hrtime.bigint() - began))
      if (i % 256 === 0) await new Promise(setImmediate)
    }
    db.close()
    times.sort((a, b) => a - b)
    const at = (q) => times[Math.min(times.length - 1, Math.floor(q * times.length))]
    return { count: times.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), most: times.at(-1) }
  },

  // Shows a container, then waits to be killed.
  async show({ path }) {
    const db = open(path)
    const shown = db.root.shown
    process.send({ ready: shown.$id })
    await once(process, 'message')
    shown.n = 7
    process.send({ result: shown.n + shown.list.length })
    await new Promise((resolve) => setTimeout(resolve, 2 ** 30))
  },
}

function start(job, more) {
  return fork(self, ['--job', job, JSON.stringify(more)])
}

// -- the parent --

const rows = []
function row(what, figure, limit, good) {
  rows.push({ what, figure, limit, good })
  process.stdout.write(`${good ? 'ok     ' : 'MISSED '} ${what}: ${figure}${limit ? ` (${limit})` : ''}\n`)
}

function fresh(fn) {
  return async (size) => {
    const folder = mkdtempSync(join(tmpdir(), 'pongodb-space-'))
    try {
      await fn(join(folder, 'state.pongo'), size)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

function fill(path) {
  const db = open(path)
  db.root.live = db.collection()
  const next = random(3)
  const order = Array.from({ length: keys }, (_, i) => [next(), i]).sort(([a], [b]) => a - b)
  for (const [, i] of order) db.root.live.set(`user:${i}`, value(i))
  return db
}

async function overwrite(path, count) {
  const children = [1, 2].map((seed) => start('overwrite', { path, count: count / 2, seed }))
  await Promise.all(children.map((child) => once(child, 'exit')))
}

const text = (bytes) => `${(bytes / MiB).toFixed(0)} MiB`

const parts = {
  churn: fresh(async (path, { overwrites }) => {
    const db = fill(path)
    const loaded = statSync(path).size
    await overwrite(path, overwrites)
    const { size } = statSync(path)
    row(`${overwrites} overwrites of ${keys} keys by two processes`, `${text(loaded)} → ${text(size)}, ${(size / loaded).toFixed(2)}×`, 'at most 1.5×', size <= 1.5 * loaded)
    await db.verify()
    db.close()
  }),

  snapshot: fresh(async (path, { overwrites }) => {
    const db = fill(path)
    const loaded = statSync(path).size
    const seen = db.stats().liveBytes
    const snap = db.snapshot()
    await overwrite(path, overwrites)
    const held = statSync(path).size
    row('the same with a snapshot held', `${text(held)}, ${(held / loaded).toFixed(2)}×`, `at most 2× + ${text(seen)} that it sees`, held <= 2 * loaded + seen)
    snap.release()
    await db.sync()
    await db.gc({ complete: true })
    const { fileBytes, freeBytes } = db.stats()
    row('in use after its release', text(fileBytes - freeBytes), 'at most 1.5× of the file after the load', fileBytes - freeBytes <= 1.5 * loaded)
    db.close()
    const closed = statSync(path).size
    row('file after the last close', `${text(closed)}, ${(closed / loaded).toFixed(2)}×`, 'at most 1.5×', closed <= 1.5 * loaded)
  }),

  drop: fresh(async (path, { documents }) => {
    const db = open(path)
    db.root.keep = { a: 1 }
    await db.gc({ complete: true })
    const before = await db.verify()
    ;(() => {
      const docs = db.collection()
      db.root.docs = docs
      for (let from = 0; from < documents; from += 1000) {
        db.transaction(() => {
          for (let i = from; i < from + 1000; i++) docs.set(i, { name: `n${i}`, n: i })
        })
      }
    })()
    const full = await db.verify()
    delete db.root.docs
    for (let i = 0; i < 5; i++) {
      globalThis.gc?.()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const began = Date.now()
    await db.gc({ complete: true })
    const took = Date.now() - began
    await db.sync()
    await db.gc()
    const after = await db.verify()
    row(`${documents} documents`, `${full.containers - before.containers} containers, ${text(full.bytes)}`, `exactly ${documents + 1}`, full.containers - before.containers === documents + 1)
    row('containers after dropping and collecting them', `${after.containers} (${took} ms)`, `${before.containers} as before`, after.containers === before.containers)
    // The shape of the documents stays.
    row('bytes in blocks', `${before.bytes} → ${full.bytes} → ${after.bytes}`, 'as before, within 64 KiB', after.bytes - before.bytes < 65536)
    db.close()
  }),

  latency: fresh(async (path, { documents }) => {
    const db = fill(path)
    const docs = (db.root.docs = db.collection())
    for (let from = 0; from < documents; from += 1000) {
      db.transaction(() => {
        for (let i = from; i < from + 1000; i++) docs.set(i, { n: i })
      })
    }
    const measure = async (work) => {
      const child = start('latencies', { path })
      await once(child, 'message')
      await work()
      child.send('stop')
      const [{ result }] = await once(child, 'message')
      return result
    }
    const began = Date.now()
    await db.gc({ complete: true })
    const alone = Date.now() - began
    const idle = await measure(() => new Promise((resolve) => setTimeout(resolve, 4 * alone)))
    const busy = await measure(async () => {
      for (let i = 0; i < 4; i++) await db.gc({ complete: true })
    })
    const show = ({ count, p50, p99, p999, most }) =>
      `p50 ${(p50 / 1000).toFixed(1)}, p99 ${(p99 / 1000).toFixed(1)}, p99.9 ${(p999 / 1000).toFixed(1)}, most ${(most / 1000).toFixed(0)} µs of ${count}`
    row('sets without a collection', show(idle), '', true)
    row(`sets while ${documents} containers are marked`, show(busy), 'p99 at most 2×', busy.p99 <= 2 * idle.p99)
    db.close()
  }),

  proxies: fresh(async (path) => {
    const db = open(path)
    const base = (await db.verify()).containers
    db.root.shown = { n: 1, list: [1, 2, 3] }
    const child = start('show', { path })
    await once(child, 'message')
    delete db.root.shown
    await db.gc({ complete: true })
    const kept = (await db.verify()).containers - base
    row('removed containers that another process shows', `${kept} kept`, '2', kept === 2)
    child.send('write')
    const [{ result }] = await once(child, 'message')
    row('they are read and written there', String(result), '10', result === 10)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await db.gc({ complete: true })
    const left = (await db.verify()).containers - base
    row('after its death', `${left} kept`, '0', left === 0)
    ;(() => {
      db.root.ring = { next: {} }
      db.root.ring.next.back = db.root.ring
      delete db.root.ring
    })()
    for (let i = 0; i < 20 && (await db.verify()).containers > base; i++) {
      globalThis.gc?.()
      await new Promise((resolve) => setTimeout(resolve, 20))
      await db.gc({ complete: true })
    }
    const cycle = (await db.verify()).containers - base
    row('a cycle that nothing leads to', `${cycle} kept`, '0', cycle === 0)
    db.close()
  }),
}

if (process.argv[2] === '--job') {
  const result = await jobs[process.argv[3]](JSON.parse(process.argv[4]))
  if (result !== undefined) process.send({ result })
  process.disconnect?.()
} else {
  const given = process.argv.slice(2)
  const release = given.includes('--release')
  const wanted = given.filter((name) => name in parts)
  const size = release ? { overwrites: 10_000_000, documents: 1_000_000 } : { overwrites: 2_000_000, documents: 100_000 }
  for (const name of wanted.length > 0 ? wanted : Object.keys(parts)) await parts[name](size)
  process.exitCode = rows.every(({ good }) => good) ? 0 : 1
}
