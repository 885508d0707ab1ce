// Keys that expire, by a clock that stands still until the test moves it.

import { setTimeout as pause } from 'node:timers/promises'
import { Collection, List } from 'pongodb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Clock } from '../support/clock'
import { expectCode, freshDatabase, freshPath, openAt } from '../support/database'

let clock: Clock
beforeEach(() => {
  clock = new Clock(`${freshPath()}.clock`)
})
afterEach(() => clock.stop())

function fresh(): { db: any; c: Collection } {
  const db = freshDatabase()
  return { db, c: (db.root.c = db.collection()) }
}

/** Waits until the background cleaner has left `size` entries; the tests' time-out ends a wait in vain. */
async function cleaned(c: Collection, size: number): Promise<void> {
  while (c.size !== size) await pause(5)
}

describe('ttl', () => {
  test('a key is absent from its instant on, in every way of reading', () => {
    const { db, c } = fresh()
    c.set('a', { n: 1 }, { ttl: 1000 })
    c.set('b', 2, { expiresAt: new Date(clock.now + 1000) })
    c.set('m', { tags: ['x'] })
    c.set('z', 26, { ttl: 1000 })
    expect(c.ttl('a')).toBe(1000)
    clock.advance(999)
    expect(c.ttl('b')).toBe(1)
    expect(Object.keys(c.native())).toEqual(['a', 'b', 'm', 'z'])
    expect(c.first()![0]).toBe('a')
    clock.advance(1)
    expect(c.get('a')).toBeUndefined()
    expect(c.get('a', 'none')).toBe('none')
    expect(c.has('b')).toBe(false)
    expect(c.ttl('a')).toBeUndefined()
    expect(c.getPath('a.n')).toBeUndefined()
    expect(db.root.$get('c.a.n', 'none')).toBe('none')
    expect([...c.keys()]).toEqual(['m'])
    expect([...c].map(([key]) => key)).toEqual(['m'])
    expect([...c.range({ gte: 'a' })].map(([key]) => key)).toEqual(['m'])
    const seen: string[] = []
    c.forEach((_, key) => seen.push(key))
    expect(seen).toEqual(['m'])
    expect(c.first()![0]).toBe('m')
    expect(c.last()![0]).toBe('m')
    expect(c.native()).toEqual({ m: { tags: ['x'] } })
    expect(c.json()).toBe('{"m":{"tags":["x"]}}')
    expect(c.search('tags.0', '==', 'x').size).toBe(1)
    expect(c.search('', '!=', 0).size).toBe(1)
    expect(db.root.$cas('c', { m: { tags: ['x'] } }, 'same')).toBe(true)
  })

  test('a key is absent for every way of writing', () => {
    const { c } = fresh()
    const put = () => {
      c.set('k', 5, { ttl: 10 })
      clock.advance(10)
    }
    put()
    expect(c.delete('k')).toBe(false)
    put()
    expectCode('KEY', () => c.pop('k'))
    put()
    expect(c.incr('k', 3)).toBe(3)
    expect(c.ttl('k')).toBeUndefined()
    put()
    expect(c.cas('k', 5, 6)).toBe(false)
    expect(c.cas('k', undefined, 6)).toBe(true)
    put()
    expect(c.set('k', 7, { fail: true }).get('k')).toBe(7)
    put()
    expect(c.modify('k', (old) => [old === undefined])).toEqual([true])
    put()
    expect(c.expire('k', 1000)).toBe(false)
    expect(c.persist('k')).toBe(false)
    expect(c.shift()).toBeUndefined()
    expectCode('KEY', () => c.setPath('k.x', 1))
  })

  test('what keeps an expiry and what removes it', () => {
    const { c } = fresh()
    const put = () => c.set('k', 1, { ttl: 500 })
    const left = (act: () => unknown) => {
      put()
      act()
      return c.ttl('k')
    }
    expect(left(() => c.incr('k'))).toBe(500)
    expect(left(() => c.modify('k', (n) => n + 1))).toBe(500)
    expect(left(() => c.set('k', 2))).toBeUndefined()
    expect(left(() => c.set('k', 2, {}))).toBeUndefined()
    expect(left(() => c.update({ k: 2 }))).toBeUndefined()
    expect(left(() => c.cas('k', 1, 2))).toBeUndefined()
    expect(left(() => c.json('k', '2'))).toBeUndefined()
    expect(left(() => c.persist('k'))).toBeUndefined()
    expect(left(() => c.expire('k', 7))).toBe(7)
    expect(left(() => c.set('k', 'x'.repeat(1000), { ttl: 9 }))).toBe(9)
    c.set('k', { n: 1 }, { ttl: 500 })
    c.get('k').n = 2
    c.setPath('k.n', 3)
    expect(c.ttl('k')).toBe(500)
  })

  test('expire and persist say whether the key was there', () => {
    const { c } = fresh()
    c.set('a', 1)
    expect(c.expire('a', 100)).toBe(true)
    expect(c.expire('zoe', 100)).toBe(false)
    expect(c.persist('a')).toBe(true)
    expect(c.persist('a')).toBe(true)
    expect(c.persist('zoe')).toBe(false)
    clock.advance(1000)
    expect(c.get('a')).toBe(1)
  })

  test('no time left: gone at once', () => {
    const { c } = fresh()
    c.set('a', 1)
    c.set('a', 2, { ttl: 0 })
    expect(c.size).toBe(0)
    c.set('a', 1).set('b', 1)
    c.set('a', 2, { expiresAt: new Date(clock.now) })
    expect(c.expire('b', 0)).toBe(true)
    expect(c.size).toBe(0)
    c.set('a', 1)
    expectCode('EXISTS', () => c.set('a', 2, { ttl: 0, fail: true }))
    expect(c.get('a')).toBe(1)
  })

  test('arguments', () => {
    const { db, c } = fresh()
    for (const ttl of [NaN, -1, Infinity, '5', null, 2n, 2 ** 60] as any[]) {
      expectCode('ARG', () => c.set('a', 1, { ttl }), /ttl/)
      expectCode('ARG', () => c.expire('a', ttl), /expire/)
    }
    expectCode('ARG', () => c.set('a', 1, { expiresAt: 5 as any }), /expiresAt/)
    expectCode('VALUE', () => c.set('a', 1, { expiresAt: new Date(NaN) }), /expiresAt/)
    expectCode('ARG', () => c.set('a', 1, { ttl: 1, expiresAt: new Date() }), /exclude/)
    expect(c.size).toBe(0)
    c.set('far', 1, { ttl: Number.MAX_SAFE_INTEGER })
    expect(c.ttl('far')).toBe(Number.MAX_SAFE_INTEGER)
    const multi = (db.root.multi = db.collection({ multi: true }))
    expectCode('TYPE', () => multi.set('a', 1, { ttl: 1 } as any))
    expectCode('TYPE', () => multi.expire('a', 1))
    c.set('dict', {}).set('list', [1]).set('inner', db.collection())
    expectCode('TYPE', () => c.setPath('dict.x', 1, { ttl: 5 }), /Collection/)
    expectCode('TYPE', () => c.setPath('list.0', 1, { ttl: 5 }), /Collection/)
    c.setPath('inner.x', 1, { ttl: 5 })
    expect(c.get('inner').ttl('x')).toBe(5)
    const snap = db.snapshot()
    expectCode('READONLY', () => snap.get(c).expire('far', 5))
    snap.release()
  })

  test('a transaction and a snapshot judge by their own time', () => {
    const { db, c } = fresh()
    c.set('a', 1, { ttl: 100 })
    const snap = db.snapshot()
    const kept = snap.get(c)
    db.transaction(() => {
      clock.advance(500)
      expect(c.get('a')).toBe(1)
      expect([...c.keys()]).toEqual(['a'])
      c.set('b', 1, { ttl: 100 })
      expect(c.ttl('b')).toBe(100)
    })
    expect(c.get('a')).toBeUndefined()
    expect(c.get('b')).toBeUndefined()
    expect(kept.get('a')).toBe(1)
    expect(kept.ttl('a')).toBe(100)
    expect([...kept.entries()]).toEqual([['a', 1]])
    snap.release()
    expect(() => db.transaction(() => (c.set('z', 1, { ttl: 5 }), expect.fail('undone')))).toThrow('undone')
    expect(c.has('z')).toBe(false)
  })

  test('ranges leave out what has expired: limit and offset count the others', () => {
    const { db, c } = fresh()
    db.transaction(() => {
      for (let i = 0; i < 3000; i++) c.set(i, i, i % 3 === 0 ? undefined : { ttl: 1000 })
    })
    clock.advance(1000)
    const live = Array.from({ length: 1000 }, (_, i) => 3 * i)
    const check = () => {
      const keys = (options: object) => [...c.range(options)].map(([key]) => key)
      expect([...c.keys()]).toEqual(live)
      expect(keys({ limit: 300 })).toEqual(live.slice(0, 300))
      expect(keys({ reverse: true, limit: 5 })).toEqual(live.slice(-5).reverse())
      expect(keys({ offset: 10, limit: 5 })).toEqual(live.slice(10, 15))
      expect(keys({ offset: 990 })).toEqual(live.slice(990))
      expect(keys({ offset: 2000 })).toEqual([])
      expect(keys({ reverse: true, offset: 10, limit: 5 })).toEqual(live.slice(-15, -10).reverse())
      expect(keys({ gt: 300, lte: 360, offset: 1, limit: 4 })).toEqual([306, 309, 312, 315])
      expect(keys({ limit: 0 })).toEqual([])
    }
    check()
    db.transaction(check)
    expect(c.first()).toEqual([0, 0])
    expect(c.last()).toEqual([2997, 2997])
  })

  test('the head of a queue is the first that has not expired', () => {
    const { c } = fresh()
    for (let i = 0; i < 100; i++) c.set(i, `job ${i}`, i < 50 ? { ttl: 1 } : undefined)
    clock.advance(1)
    expect(c.shift()).toEqual([50, 'job 50'])
    expect(c.shift()).toEqual([51, 'job 51'])
  })

  test('the cleaner takes out what has expired; positions and sizes follow', async () => {
    const { db, c } = fresh()
    for (let i = 0; i < 1000; i++) c.set(i, { i }, i % 2 === 0 ? { ttl: 1000 } : undefined)
    clock.advance(1000)
    expect([...c.keys()]).toHaveLength(500)
    await cleaned(c, 500)
    expect(c.at(0)![0]).toBe(1)
    expect(c.rank(999)).toBe(499)
    expect(c.count({ lt: 100 })).toBe(50)
    const { containers } = await db.verify()
    expect(containers).toBeGreaterThan(500)
  })

  test('survives closing, a lost control file, and a backup', async () => {
    const path = freshPath()
    let db = openAt(path)
    db.root.c = db.collection()
    db.root.c.set('a', 'x', { ttl: 5000 })
    db.root.c.set('b', 'y')
    await db.backup(`${path}.copy`)
    db.close()
    db = openAt(path)
    expect(db.root.c.ttl('a')).toBe(5000)
    clock.advance(5000)
    expect(db.root.c.native()).toEqual({ b: 'y' })
    await cleaned(db.root.c, 1)
    await db.verify()
    const copy = openAt(`${path}.copy`)
    expect(copy.root.c.has('a')).toBe(false)
    await cleaned(copy.root.c, 1)
    await copy.verify()
  })

  test('a Collection takes its time index along when it goes', async () => {
    const { db } = fresh()
    const { containers } = await db.verify()
    for (let i = 0; i < 20; i++) {
      const cache = (db.root.cache = db.collection())
      for (let k = 0; k < 50; k++) cache.set(k, k, { ttl: 1000 })
      if (i % 2 === 0) cache.clear()
    }
    db.root.$delete('cache')
    db.close()
    const again = openAt(db.path)
    await again.gc({ complete: true })
    expect((await again.verify()).containers).toBe(containers! + 1)
  })

  test('values of every kind', () => {
    const { db, c } = fresh()
    const list = (db.root.list = List.create(db))
    const values = [null, true, 1.5, 2n ** 70n, 'short', 'x'.repeat(200), 'x'.repeat(5000), new Date(5), [1], list]
    values.forEach((value, i) => c.set(['key', i], value, { ttl: 100 }))
    values.forEach((_, i) => c.set(`long ${i} ${'y'.repeat(300)}`, i, { ttl: 100 }))
    expect(c.size).toBe(20)
    expect(c.get(['key', 9])).toBe(list)
    values.forEach((_, i) => expect(c.expire(['key', i], 200)).toBe(true))
    clock.advance(100)
    expect([...c.keys()]).toHaveLength(10)
    expect(c.get(['key', 6])).toBe('x'.repeat(5000))
    clock.advance(100)
    expect([...c]).toEqual([])
    expect([...list]).toEqual([])
  })
})

test('the real clock runs', async () => {
  const { c } = fresh()
  clock.stop()
  c.set('a', 1, { ttl: 20 })
  const left = c.ttl('a')
  if (left !== undefined) expect(left).toBeLessThanOrEqual(20)
  while (c.has('a')) await pause(5)
  await cleaned(c, 0)
  clock = new Clock(`${freshPath()}.clock`)
})
