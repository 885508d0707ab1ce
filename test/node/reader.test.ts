// The reader of data files that knows nothing of the engine: what it finds must be what the engine shows.

import fc from 'fast-check'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { open, Uuid } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { DatabaseReader } from '../../lib/reader/reader'
import { FormatError } from '../../lib/reader/layout'
import { StoredUuid } from '../../lib/reader/value'
import { freshPath } from '../support/database'

/** Both kinds of UUID as one. */
function comparable(value: any): any {
  if (value instanceof Uuid || value instanceof StoredUuid) return { uuid: value.toString() }
  if (Array.isArray(value)) return value.map(comparable)
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [comparable(key), comparable(item)]))
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, comparable(item)]))
  }
  return value
}

/** Closes a database and compares what the reader finds with what the engine showed. */
async function compare(path: string): Promise<DatabaseReader> {
  const db = open<any>(path)
  const shown = db.root.$native()
  const counts = await db.verify()
  db.close()
  const reader = new DatabaseReader(path)
  expect(comparable(reader.native(1))).toEqual(comparable(shown))
  const report = reader.check()
  expect(report.containers).toBe(counts.containers)
  expect(report.values).toBe(counts.values)
  expect(reader.current()).toBe(true)
  return reader
}

const scalar = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.string({ maxLength: 7 }),
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 600 }),
  fc.date({ noInvalidDate: true }),
  fc.uuid().map((text) => new Uuid(text)),
)
const plainKey = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.double({ noNaN: true }),
  fc.double({ min: -2, max: 2, noNaN: true }),
  fc.integer().map((n) => n * 1.5),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n }),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 20 }),
  fc.date({ noInvalidDate: true }),
  fc.uuid().map((text) => new Uuid(text)),
)
const key = fc.letrec((tie) => ({
  key: fc.oneof({ maxDepth: 3, withCrossShrink: true }, plainKey, fc.array(tie('key'), { maxLength: 4 })),
})).key

describe('the independent reader', () => {
  test('finds what the engine stored: any keys and values', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(key, scalar), { maxLength: 120 }),
        fc.array(scalar, { maxLength: 300 }),
        fc.array(fc.tuple(plainKey, scalar), { maxLength: 60 }),
        async (pairs, list, multi) => {
          const path = freshPath()
          const db = open<any>(path)
          db.root.map = db.collection()
          for (const [name, value] of pairs) db.root.map.set(name, value)
          for (const [name] of pairs.slice(0, 20)) db.root.map.delete(name)
          db.root.list = list
          db.root.multi = db.collection({ multi: true })
          for (const [name, value] of multi) db.root.multi.set(name, value)
          db.close()
          await compare(path).then((reader) => reader.close())
        },
      ),
      { numRuns: 25 },
    )
  })

  test('large trees, shapes, long keys, blobs, shared containers', async () => {
    const path = freshPath()
    const db = open<any>(path)
    db.root.users = db.collection()
    for (let i = 0; i < 20_000; i++) db.root.users.set(`user:${(i * 7919) % 20_000}`, { name: `n${i}`, age: i % 90 })
    db.root.numbers = db.collection()
    for (let i = 0; i < 3000; i++) db.root.numbers.set(i / 8 - 100, i)
    for (let i = 0; i < 9000; i++) db.root.users.delete(`user:${i * 2}`)
    db.root.long = db.collection()
    for (let i = 0; i < 200; i++) db.root.long.set(`${'long '.repeat(80)}${i}`, 'z'.repeat(i * 10))
    db.root.span = 'q'.repeat(300_000)
    db.root.list = Array.from({ length: 10_000 }, (_, i) => (i % 2 ? i : `${i}`))
    db.root.alias = db.root.users
    db.root.__proto__ = { polluted: 1 }
    db.root.__proto__.x = 2
    db.close()
    const reader = await compare(path)
    expect(reader.superblock.clean).toBe(true)
    expect(reader.slabs().reduce((sum, { bytes }) => sum + bytes, 0)).toBe(reader.superblock.length - 65536)
    expect(reader.check().blocks.shape).toBeGreaterThan(0)
    reader.close()
  })

  test('entries that expire', async () => {
    const path = freshPath()
    const db = open<any>(path)
    db.root.sessions = db.collection()
    for (let i = 0; i < 500; i++) {
      // None expires during the test: the cleaner must not change what is compared.
      const expiry =
        i % 3 === 0 ? {} : i % 3 === 1 ? { ttl: 3_600_000 } : { expiresAt: new Date(Date.now() + 3_600_000) }
      db.root.sessions.set(i % 2 ? `${'key '.repeat((i % 5) * 30)}${i}` : i / 4, i, expiry)
    }
    db.close()
    const reader = await compare(path)
    const sessions = [...reader.containers()].find(({ companion }) => companion)!
    expect([...reader.entries(sessions)].length).toBe(500)
    expect([...reader.entries(sessions, Date.now() + 7_200_000)].length).toBe(167)
    reader.close()
    const again = open<any>(path)
    await again.backup(`${path}-copy`)
    again.close()
    ;(await compare(`${path}-copy`)).close()
    const copy = open<any>(`${path}-copy`)
    expect(copy.root.sessions.ttl(1)).toBeGreaterThan(3_000_000)
    copy.close()
  })

  test('reads the newest checkpoint beside an open database, and a backup', async () => {
    const path = freshPath()
    const db = open<any>(path, { checkpointInterval: 2 ** 30 })
    db.root.a = { b: [1, 2, 3] }
    await db.sync()
    db.root.a = 'later'
    const reader = new DatabaseReader(path)
    expect(reader.native(1)).toEqual({ a: { b: [1, 2, 3] } })
    expect(reader.current()).toBe(true)
    await db.sync()
    expect(reader.current()).toBe(false)
    reader.close()
    await db.backup(`${path}-copy`)
    const copy = new DatabaseReader(`${path}-copy`, { mapping: false })
    expect(copy.native(1)).toEqual({ a: 'later' })
    copy.check()
    copy.close()
    db.close()
  })

  test('says what is wrong with a file', () => {
    const path = freshPath()
    writeFileSync(path, 'no database')
    expect(() => new DatabaseReader(path)).toThrow(FormatError)
    writeFileSync(path, Buffer.alloc(200_000))
    expect(() => new DatabaseReader(path)).toThrow('no PongoDB superblock')
  })

  test('any damage gives a FormatError or data, and never anything else', () => {
    const path = freshPath()
    const db = open<any>(path, { chunksize: 65536 })
    db.root.c = db.collection()
    for (let i = 0; i < 300; i++) db.root.c.set(i % 3 ? `k${i}` : [i, 'x'], { v: i, w: 'w'.repeat(i * 3) })
    db.root.list = [1, 'two', 3n ** 80n, new Date(5), new Uint8Array(400)]
    db.close()
    const good = readFileSync(path)
    const damaged = `${path}-damaged`
    copyFileSync(path, damaged)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 65536, max: good.length - 1 }), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 200,
        }),
        (changes) => {
          const bytes = Buffer.from(good)
          for (const [at, flip] of changes) bytes[at] = bytes[at]! ^ flip
          writeFileSync(damaged, bytes)
          try {
            const reader = new DatabaseReader(damaged)
            try {
              reader.check()
              reader.native(1)
            } finally {
              reader.close()
            }
          } catch (error) {
            expect(error).toBeInstanceOf(FormatError)
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})
