// Threads and processes that end in the middle of something: nothing of them is left, and nobody else notices.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { Database } from 'pongodb'
import { expect, test } from 'vitest'
import { freshPath, openAt } from '../support/database'
import { amount, limit } from '../support/scale'

const program = (name: string): string => fileURLToPath(new URL(`./programs/${name}.mjs`, import.meta.url))
const root = fileURLToPath(new URL('../../', import.meta.url))
const times = amount(200, 1000)
const atOnce = 4

/** A database, and how many threads this process has at it. */
async function prepare(): Promise<{ db: Database<any>; threads: number }> {
  const db = openAt(freshPath(), { chunksize: 2 ** 18, checkpointInterval: 20 })
  db.root.pair = { a: 0, b: 0, list: [] }
  db.root.items = db.collection()
  for (let i = 0; i < 300; i++) db.root.items.set(i, { n: i })
  await takeLocks(db) // one of the threads waits for locks
  return { db, threads: db.stats()['threads']! }
}

/** Runs `times` of something, a few at once. */
async function many(run: (i: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < times) await run(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
}

/** Everything that the programs lock. */
async function takeLocks(db: Database<any>): Promise<void> {
  const holds = await Promise.all([
    db.lock('one').acquire(),
    db.lock('turn').acquire(),
    db.rwlock('two').write.acquire(),
    db.semaphore('three', 2).acquire(),
    db.semaphore('three', 2).acquire(),
  ])
  for (const hold of holds) hold.release()
  await db.locks.request('four', () => undefined)
  expect(await db.locks.query()).toEqual({ held: [], pending: [] })
}

/** No slot, pin, lock or live object of those that are gone, and a whole file. */
async function nothingIsLeft(db: Database<any>, threads: number): Promise<void> {
  await takeLocks(db)
  // A slot is left for the next time when the lock table is busy.
  do await db.gc({ complete: true })
  while (db.stats()['threads']! > threads)
  expect([...db.pidcache().keys()]).toEqual([process.pid])
  expect(db.info()).toMatch(/^processes: 1$/m)
  await db.sync()
  expect(db.stats()['pins'], db.info()).toBe(1)
  expect(await db.verify()).toMatchObject({ orphans: 0 })
}

test(
  'worker threads that are terminated in the middle of a transaction, or with work under way',
  async () => {
    const { db, threads } = await prepare()
    const kinds = ['inside', 'committing', 'pending']
    await many(async (i) => {
      const workerData = { path: db.path, kind: kinds[i % kinds.length], folder: dirname(db.path) }
      const worker = new Worker(program('short_lived'), { workerData })
      const [message] = (await Promise.race([once(worker, 'message'), once(worker, 'exit')])) as [unknown]
      expect(message).toBe('busy')
      await worker.terminate()
      expect(db.root.half).toBeUndefined()
      const { a, b } = db.root.$native().pair as { a: number; b: number }
      expect(a).toBe(b)
    })
    await nothingIsLeft(db, threads)
  },
  limit(200, 1000),
)

test(
  'processes that exit in the middle of a transaction, or with work and threads under way',
  async () => {
    const { db, threads } = await prepare()
    const kinds = ['inside', 'committing', 'pending']
    await many(async (i) => {
      const kind = i % 10 === 0 ? 'threads' : kinds[i % kinds.length]!
      const args = [program('short_lived'), db.path, kind, dirname(db.path)]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
      let errors = ''
      child.stderr.on('data', (data) => (errors += String(data)))
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
      expect({ kind, code, signal, errors }).toEqual({ kind, code: 0, signal: null, errors: '' })
      expect(db.root.half).toBeUndefined()
    })
    await nothingIsLeft(db, threads)
  },
  limit(200, 1000),
)

test(
  'two copies of the addon in one process, and one copy by import and by require',
  async () => {
    const { db, threads } = await prepare()
    const copy = join(dirname(db.path), 'copy')
    mkdirSync(join(copy, 'build/Release'), { recursive: true })
    cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true })
    cpSync(join(root, 'build/Release/pongodb.node'), join(copy, 'build/Release/pongodb.node'))
    const child = spawn(process.execPath, [program('two_copies'), db.path, copy, String(times)])
    let errors = ''
    child.stderr.on('data', (data) => (errors += String(data)))
    expect(await once(child, 'close'), errors).toEqual([0, null])
    await nothingIsLeft(db, threads)
  },
  limit(200, 1000),
)

test(
  'a cluster whose workers are killed, and at last its primary',
  async () => {
    const { db, threads } = await prepare()
    const primary = fork(program('cluster_kill'), [db.path, String(times)], { execArgv: [] })
    const ended = once(primary, 'exit')
    const [report] = (await Promise.race([once(primary, 'message'), ended])) as [{ told: number; killed: number }]
    expect(report.killed).toBeGreaterThanOrEqual(times)
    // Its last workers are at work when the primary dies; they end when they notice.
    const before = db.root.count as number
    expect(before).toBeGreaterThanOrEqual(report.told)
    while (db.root.count < before + 100) await new Promise(setImmediate)
    primary.kill('SIGKILL')
    await ended
    while (db.pidcache().size > 1) {
      await new Promise(setImmediate)
      await db.gc()
    }
    await nothingIsLeft(db, threads)
  },
  limit(200, 1000),
)
