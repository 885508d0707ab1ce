// A store that goes on for long, with processes that come and go, some of them killed: nothing may grow.
//
// PONGODB_SOAK_SECONDS sets how long; 120 by default.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { freshPath, openAt } from '../support/database'

const program = fileURLToPath(new URL('programs/churn.mjs', import.meta.url))
const seconds = Number(process.env.PONGODB_SOAK_SECONDS ?? 120)
const chunk = 2 ** 20

interface Sample {
  fileBytes: number
  rss: number
  descriptors: number
  threads: number
}

/** How much a figure rises over the given samples, by the line of least squares through them. */
function rise(values: readonly number[]): number {
  const n = values.length
  const middle = (n - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / n
  let up = 0
  let across = 0
  for (const [i, value] of values.entries()) {
    up += (i - middle) * (value - mean)
    across += (i - middle) ** 2
  }
  return (up / across) * n
}

test(
  'nothing grows',
  async () => {
    const path = freshPath()
    const db = openAt(path, { chunksize: chunk })
    db.root.live = db.collection()
    db.root.documents = db.collection()
    db.root.queue = []
    for (let i = 0; i < 20_000; i++) db.root.live.set(`key ${i}`, `value ${'y'.repeat(i % 60)}`)
    const samples: Sample[] = []
    const ends = Date.now() + seconds * 1000
    let started = 0
    let killed = 0

    // Two at a time; each third is killed in the middle of its work.
    async function rotate(): Promise<void> {
      while (Date.now() < ends) {
        const seed = ++started
        const child = fork(program, [path, String(seed * 7919), '6000'], { execArgv: [] })
        const ended = once(child, 'exit')
        if (seed % 3 === 0) {
          await Promise.race([once(child, 'message'), ended])
          child.kill('SIGKILL')
          killed++
          await ended
        } else {
          const [code] = (await ended) as [number | null]
          expect(code).toBe(0)
        }
        globalThis.gc?.()
        const { fileBytes, threads } = db.stats() as unknown as { fileBytes: number; threads: number }
        const descriptors = readdirSync('/proc/self/fd').length
        samples.push({ fileBytes, threads, descriptors, rss: process.memoryUsage().rss })
      }
    }
    await Promise.all([rotate(), rotate()])

    expect(killed).toBeGreaterThan(0)
    const counts = await db.verify()
    expect(counts.containers).toBeGreaterThan(0)
    await db.gc({ complete: true })
    const after = await db.verify()
    expect(after.orphans).toBe(0)

    // The first half fills what stays: caches, the room that churn needs.
    const half = samples.slice(samples.length >> 1)
    expect(half.length).toBeGreaterThan(4)
    const of = (name: keyof Sample) => half.map((sample) => sample[name])
    const most = (name: keyof Sample, from: readonly Sample[]) => Math.max(...from.map((sample) => sample[name]))
    const figures = {
      processes: started,
      killed,
      file: [most('fileBytes', samples.slice(0, samples.length >> 1)), most('fileBytes', half)],
      fileRise: rise(of('fileBytes')),
      rss: [half[0]!.rss, rise(of('rss'))],
      descriptors: rise(of('descriptors')),
      threads: rise(of('threads')),
      live: after.bytes,
    }
    const text = JSON.stringify(figures)
    process.stdout.write(`soak: ${text}\n`)
    expect(most('fileBytes', half), text).toBeLessThanOrEqual(
      1.5 * most('fileBytes', samples.slice(0, samples.length >> 1)),
    )
    expect(rise(of('rss')), text).toBeLessThan(0.2 * half[0]!.rss)
    expect(Math.abs(rise(of('descriptors'))), text).toBeLessThan(4)
    expect(most('threads', half), text).toBeLessThanOrEqual(16)
  },
  (seconds + 120) * 1000,
)
