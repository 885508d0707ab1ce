// Collections that keep within a number of entries or of bytes.

import { Collection } from 'pongodb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Clock } from '../support/clock'
import { expectCode, freshDatabase, freshPath, openAt } from '../support/database'
import { Random } from '../support/random'

let clock: Clock
beforeEach(() => {
  clock = new Clock(`${freshPath()}.clock`)
})
afterEach(() => clock.stop())

test('options', () => {
  const db = freshDatabase()
  const make = (options: any) => () => db.collection(options)
  for (const bad of [0, -1, 1.5, NaN, '5', null, 2 ** 50]) {
    expectCode('ARG', make({ maxItems: bad }), /maxItems/)
    expectCode('ARG', make({ maxBytes: bad }), /maxBytes/)
  }
  expectCode('ARG', make({ maxItem: 5 }), /maxItem/)
  expectCode('ARG', make({ maxItems: 5, evict: 'random' }), /evict/)
  expectCode('ARG', make({ evict: 'lru' }), /evict/)
  expectCode('ARG', make({ multi: true, maxItems: 5 }), /multi/)
  expectCode('ARG', () => Collection.create(db, { maxitems: 5 } as any), /maxitems/)
  expect(Collection.create(db, { maxItems: 5 }).bounds).toEqual({ maxItems: 5, evict: 'lru' })
  expect(db.collection({ maxBytes: 100, evict: 'fifo' }).bounds).toEqual({ maxBytes: 100, bytes: 0, evict: 'fifo' })
  expect(db.collection().bounds).toBeUndefined()
  expect(db.collection({ multi: true }).bounds).toBeUndefined()
})

test('maxItems: the least recently used one goes', () => {
  const db = freshDatabase()
  const cache = (db.root.cache = db.collection({ maxItems: 3 }))
  cache.set('a', 1).set('b', 2).set('c', 3)
  expect(cache.get('a')).toBe(1)
  cache.set('d', 4)
  expect([...cache.keys()]).toEqual(['a', 'c', 'd'])
  db.root.$get(['cache', 'c'])
  cache.incr('a')
  cache.set('e', 5)
  expect([...cache.keys()]).toEqual(['a', 'c', 'e'])
  cache.update({ f: 6, g: 7, h: 8, i: 9 })
  expect([...cache.keys()]).toEqual(['g', 'h', 'i'])
  cache.clear()
  cache.update({ f: 6, g: 7, h: 8, i: 9 })
  expect([...cache.keys()]).toEqual(['g', 'h', 'i'])
  expect(cache.bounds).toEqual({ maxItems: 3, evict: 'lru' })
})

test('lru: among few entries the order of uses is exact', () => {
  const db = freshDatabase()
  const room = 20
  const cache: Collection<number, number> = (db.root.cache = db.collection({ maxItems: room }))
  const model = new Map<number, number>() // the least recently used one first
  const put = (key: number, value: number): void => {
    model.delete(key)
    model.set(key, value)
    if (model.size > room) model.delete(model.keys().next().value!)
  }
  const use = (key: number): void => {
    if (model.has(key)) put(key, model.get(key)!)
  }
  const random = new Random(1)
  for (let i = 0; i < 2000; i++) {
    const key = random.below(2 * room)
    switch (random.below(7)) {
      case 0:
        expect(cache.get(key)).toBe(model.get(key))
        use(key)
        break
      case 1:
        expect(cache.getPath([key])).toBe(model.get(key))
        use(key)
        break
      case 2:
        put(key, Number(cache.incr(key)))
        break
      case 3:
        expect(cache.delete(key)).toBe(model.delete(key))
        break
      case 4:
        expect(cache.has(key)).toBe(model.has(key)) // no use
        break
      case 5:
        expect(() =>
          db.transaction(() => {
            expect(cache.has(key)).toBe(model.has(key))
            cache.set(-1 - key, i)
            throw new Error('aborted')
          }),
        ).toThrow('aborted')
        break
      default:
        cache.set(key, i)
        put(key, i)
    }
    expect([...cache.keys()]).toEqual([...model.keys()].sort((a, b) => a - b))
  }
})

test('fifo: the first inserted one goes, however much it is used', () => {
  const db = freshDatabase()
  const cache = (db.root.cache = db.collection({ maxItems: 3, evict: 'fifo' }))
  cache.set('c', 3).set('b', 2).set('a', 1)
  cache.set('c', 33)
  cache.get('c')
  cache.set('d', 4)
  expect([...cache.keys()]).toEqual(['a', 'b', 'd'])
  cache.delete('b')
  cache.set('e', 5)
  expect([...cache.keys()]).toEqual(['a', 'd', 'e'])
  cache.set('f', 6)
  expect([...cache.keys()]).toEqual(['d', 'e', 'f'])
})

test('maxBytes: keys and values as stored, containers with what they held', async () => {
  const db = freshDatabase()
  const cache = (db.root.cache = db.collection({ maxBytes: 1000 }))
  cache.set('k', 1)
  const one = cache.bounds!.bytes!
  expect(one).toBe(10)
  cache.set('k', 'x'.repeat(100))
  expect(cache.bounds!.bytes).toBe(110)
  cache.set('doc', { text: 'y'.repeat(500) })
  const two = cache.bounds!.bytes!
  expect(two).toBeGreaterThan(600)
  cache.get('doc').text = 'z'
  expect(cache.bounds!.bytes).toBe(two)
  cache.set('doc', { text: 'z' })
  expect(cache.bounds!.bytes).toBeLessThan(200)
  cache.set('doc', { text: 'y'.repeat(500) })
  cache.set('third', { text: 'y'.repeat(500) })
  expect(cache.bounds!.bytes).toBeLessThanOrEqual(1000)
  expect(cache.has('third')).toBe(true)
  expect(cache.has('doc')).toBe(false)
  const before = cache.native()
  expectCode('VALUE', () => cache.set('large', 'x'.repeat(2000)), /maxBytes/)
  expectCode('VALUE', () => cache.set('large', { deep: [{ text: 'x'.repeat(2000) }] }), /maxBytes/)
  expect(cache.native()).toEqual(before)
  for (let i = 0; i < 500; i++) {
    cache.set(i % 37, i % 3 === 0 ? { i, text: 'x'.repeat(i) } : 'x'.repeat(i))
    expect(cache.bounds!.bytes).toBeLessThanOrEqual(1000)
  }
  await db.verify()
})

test('what has expired goes first', async () => {
  const db = freshDatabase()
  const cache = (db.root.cache = db.collection({ maxItems: 3, evict: 'fifo' }))
  cache.set('a', 1)
  cache.set('b', 2, { ttl: 1000 })
  cache.set('c', 3)
  clock.advance(1000)
  cache.set('d', 4)
  expect([...cache.keys()]).toEqual(['a', 'c', 'd'])
  cache.set('a', 1, { ttl: 10 })
  clock.advance(10)
  cache.set('a', 1)
  cache.set('e', 5)
  expect([...cache.keys()]).toEqual(['a', 'd', 'e'])
  await db.verify()
})

test('bounds survive closing and a backup; a transaction evicts with what it inserts', async () => {
  const path = freshPath()
  let db = openAt(path)
  db.root.cache = db.collection({ maxItems: 100, maxBytes: 5000, evict: 'fifo' })
  db.transaction(() => {
    for (let i = 0; i < 1000; i++) db.root.cache.set(i, { i })
    expect(db.root.cache.size).toBeLessThanOrEqual(100)
  })
  expect(() =>
    db.transaction(() => {
      db.root.cache.set('undone', 1)
      throw new Error('undone')
    }),
  ).toThrow('undone')
  const snap = db.snapshot()
  const content = db.root.cache.native()
  await db.backup(`${path}.copy`)
  db.root.cache.set('more', 1)
  expect(snap.get(db.root.cache).native()).toEqual(content)
  snap.release()
  const { bounds } = db.root.cache
  db.close()
  db = openAt(path)
  expect(db.root.cache.bounds).toEqual(bounds)
  db.root.cache.set('again', { x: 1 })
  expect(db.root.cache.size).toBeLessThanOrEqual(100)
  await db.verify()
  const copy = openAt(`${path}.copy`)
  expect(copy.root.cache.native()).toEqual(content)
  for (let i = 0; i < 300; i++) copy.root.cache.set(i, i)
  expect(copy.root.cache.size).toBeLessThanOrEqual(100)
  await copy.verify()
  delete db.root.cache
  await db.gc({ complete: true })
  await db.verify()
})
