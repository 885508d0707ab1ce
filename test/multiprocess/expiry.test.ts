// Keys that expire, seen by several processes with one clock, some of which are killed.

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Clock } from '../support/clock'
import { freshPath, openAt } from '../support/database'

const program = fileURLToPath(new URL('./programs/expiry.mjs', import.meta.url))
const children: ChildProcess[] = []
let clock: Clock

beforeEach(() => {
  clock = new Clock(`${freshPath()}.clock`)
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  clock.stop()
})

async function start(path: string): Promise<ChildProcess> {
  const child = fork(program, [path, clock.path], { execArgv: [] })
  children.push(child)
  await once(child, 'message')
  return child
}

async function call(child: ChildProcess, method: string, ...args: unknown[]): Promise<any> {
  child.send({ method, args })
  const [{ result, error }] = (await once(child, 'message')) as [{ result?: unknown; error?: string }]
  if (error !== undefined) throw new Error(error)
  return result
}

test('two processes see a key end at the same instant', async () => {
  const path = freshPath()
  const db = openAt(path)
  const c = (db.root.c = db.collection())
  const other = await start(path)
  expect(await call(other, 'set', 'a', 1, { ttl: 1000 })).toBe('itself')
  c.set('b', 2, { ttl: 2000 })
  expect(c.ttl('a')).toBe(1000)
  clock.advance(999)
  expect(await call(other, 'get', 'a')).toBe(1)
  clock.advance(1)
  expect(c.has('a')).toBe(false)
  expect(await call(other, 'has', 'a')).toBe(false)
  expect(await call(other, 'ttl', 'b')).toBe(1000)
  expect(await call(other, 'expire', 'b', 10)).toBe(true)
  clock.advance(10)
  expect(c.native()).toEqual({})
  // Whichever process cleans, both see it.
  while ((await call(other, 'count')) !== 0 || c.size !== 0) await pause(5)
  await db.verify()
})

test('cleaning goes on when a process is killed that may have been at it', async () => {
  const path = freshPath()
  const db = openAt(path)
  const c = (db.root.c = db.collection())
  for (let round = 0; round < 5; round++) {
    const other = await start(path)
    db.transaction(() => {
      for (let i = 0; i < 20000; i++) c.set(i, i, { ttl: 1 + (i % 50) })
    })
    clock.advance(50)
    const size = c.size
    while (c.size === size) await pause(1)
    other.kill('SIGKILL')
    await once(other, 'exit')
  }
  while (c.size !== 0) await pause(5)
  await db.gc({ complete: true })
  await db.verify()
})

test('a storm of killed writers leaves entries, time index and bounds in agreement', async () => {
  const path = freshPath()
  const db = openAt(path)
  const c = (db.root.c = db.collection())
  const cache = (db.root.bounded = db.collection({ maxItems: 50, maxBytes: 6000, evict: 'fifo' }))
  const lru = (db.root.lru = db.collection({ maxItems: 200, maxBytes: 20_000 }))
  for (let round = 0; round < 12; round++) {
    const storm = await Promise.all([start(path), start(path)])
    const running = storm.map((child) => once(child, 'message'))
    storm.forEach((child, i) => child.send({ storm: round * 7 + i + 1 }))
    await Promise.all(running)
    for (let i = 0; i < 20; i++) {
      clock.advance(25)
      expect(cache.size).toBeLessThanOrEqual(50)
      expect(cache.bounds!.bytes).toBeLessThanOrEqual(6000)
      expect(lru.size).toBeLessThanOrEqual(200)
      expect(lru.bounds!.bytes).toBeLessThanOrEqual(20_000)
      await pause(1)
    }
    for (const child of storm) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await db.verify()
  }
  for (const key of c.keys()) c.expire(key, 1)
  cache.clear()
  clock.advance(10_000)
  while (c.size !== 0) await pause(5)
  await db.gc({ complete: true })
  const counts = await db.verify()
  expect(counts['orphans'] ?? 0).toBe(0)
})
