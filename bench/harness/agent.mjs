// A process that has one engine open and does what it is told, one message at a time. Each engine gets a process of its own: heaps,
// caches and the compiler's knowledge of one cannot help or hinder another.

import { createRequire } from 'node:module'

const require = createRequire(new URL('../compare/', import.meta.url))
let store
let workload
let state

const calls = {
  async open({ engine, folder, workload: name, params }) {
    const { connect } = await import(`../engines/${engine}.mjs`)
    store = connect(folder, params.engine?.[engine] ?? {})
    ;({ default: workload } = await import(`../workloads/${name}.mjs`))
    return { version: store.version, path: store.path }
  },

  /** Fills the store; only one of several agents on one folder is told to. */
  async fill({ params }) {
    await workload.fill?.(store, params)
    await store.settle?.()
  },

  async prepare({ params, part, parts }) {
    state = await workload.prepare(store, params, { part, parts })
  },

  /** One operation, timed by the benchmark package. Returns ns per operation. */
  async micro({ seconds }) {
    const Benchmark = require('benchmark')
    // It would compile the text of the function anew, without what it closes over.
    Benchmark.support.decompilation = false
    const operation = workload.operation(store, state)
    const bench = new Benchmark({ fn: operation, async: false, maxTime: seconds, minSamples: 3, minTime: 0.02 })
    bench.run({ async: false })
    if (bench.error) throw bench.error
    return { ns: bench.stats.mean * 1e9 }
  },

  /** A whole piece of work. Returns ns per operation. */
  async batch() {
    const began = process.hrtime.bigint()
    const count = await workload.batch(store, state)
    const took = Number(process.hrtime.bigint() - began)
    await workload.after?.(store, state)
    return { ns: took / count }
  },

  /** As many operations as fit into some milliseconds. */
  async timed({ milliseconds, histogram }) {
    const operation = workload.operation(store, state)
    const began = process.hrtime.bigint()
    const until = began + BigInt(Math.round(milliseconds * 1e6))
    let count = 0
    let now = began
    if (histogram) {
      const buckets = new Uint32Array(64 * 16)
      while (now < until) {
        operation()
        const after = process.hrtime.bigint()
        buckets[bucketOf(Number(after - now))]++
        now = after
        count++
      }
      return { count, ns: Number(now - began), buckets: Array.from(buckets) }
    }
    while (now < until) {
      for (let i = 0; i < 64; i++) operation()
      count += 64
      now = process.hrtime.bigint()
    }
    return { count, ns: Number(now - began) }
  },

  async ask({ question, params }) {
    return workload[question](store, state, params)
  },

  async check() {
    await store.check?.()
  },

  async close() {
    await store?.close()
  },
}

// 16 linear steps in each power of two.
function bucketOf(ns) {
  const power = 31 - Math.clz32(Math.max(1, Math.min(ns, 2 ** 31)))
  return power < 4 ? ns : (power - 3) * 16 + ((ns >>> (power - 4)) & 15)
}

process.on('message', async ({ call, args }) => {
  try {
    process.send({ result: await calls[call](args) })
  } catch (error) {
    process.send({ error: error.stack ?? String(error) })
  }
})
process.on('disconnect', () => process.exit(0))
