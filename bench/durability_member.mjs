// A process of bench/durability.mjs: node durability_member.mjs pongodb|lmdb <path> [durability]

import { setTimeout as delay } from 'node:timers/promises'
import { open } from 'pongodb'
import { peer } from './compare/peers.mjs'
import { member } from './harness/pair.mjs'

const [engine, path, durability = 'sync'] = process.argv.slice(2)
const value = 'v'.repeat(100)
const keys = 1000

function ours() {
  const db = open(path, { durability })
  const { values, others } = db.root
  return {
    put: (key, i) => values.set(key, value + (i % 10)),
    // The first member measures each of its sets; the second changes something and completes checkpoints until that has ended.
    async pause({ count, interval, member: which }) {
      if (which === 1) return await save(interval)
      const nanoseconds = new Array(count)
      for (let i = 0; i < count; i++) {
        const began = process.hrtime.bigint()
        values.set(`key ${i % (20 * keys)}`, value + (i % 10))
        nanoseconds[i] = Number(process.hrtime.bigint() - began)
      }
      values.set('ended', true)
      return { nanoseconds }
    },
  }
  async function save(interval) {
    let checkpoints = 0
    for (let i = 0; values.get('ended') !== true; i++) {
      for (let k = 0; k < 100; k++) others.set(k, value + (i % 10))
      await delay(interval === 0 ? 100 : interval)
      if (interval === 0) continue
      await db.sync()
      checkpoints++
    }
    values.delete('ended')
    return { checkpoints }
  }
}

function lmdb() {
  const db = peer('lmdb').open({ path, overlappingSync: false })
  return { put: (key, i) => db.putSync(key, value + (i % 10)) }
}

const store = { pongodb: ours, lmdb }[engine]()
member(async (job) => {
  if (job.name === 'pause') return await store.pause(job)
  const began = process.hrtime.bigint()
  for (let i = 0; i < job.count; i++) store.put(`${job.member} ${i % keys}`, i)
  return { seconds: Number(process.hrtime.bigint() - began) / 1e9 }
})
