// Watchers together with the rest: the space limit, keys that expire, bounded Collections.

import { type Change, type Database } from 'pongodb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Clock } from '../support/clock'
import { expectCode, freshDatabase, freshPath, openAt } from '../support/database'

const MiB = 2 ** 20

async function next(changes: AsyncIterator<Change[]>): Promise<Change[]> {
  return ((await changes.next()) as IteratorYieldResult<Change[]>).value
}

describe('when the space is needed that a watcher pins', () => {
  // The file has room for what is stored and its successor, and not for a third.
  function pressed(): { db: Database<any>; press: () => void } {
    const db = openAt(freshPath(), { chunksize: MiB, maxSize: 16 * MiB })
    db.root.box = { blob: 'a'.repeat(6 * MiB), n: 0 }
    const press = (): void => {
      const before = db.snapshot()
      for (const letter of 'bc') db.root.box.blob = letter.repeat(6 * MiB)
      expectCode('SNAPSHOT', () => before.root.box) // what the watcher pinned too
      before.release()
    }
    return { db, press }
  }

  test('an iterator gets a reset, then changes as before', async () => {
    const { db, press } = pressed()
    const changes = db.changes(db.root.box)
    press()
    expect(await next(changes)).toStrictEqual([{ path: [], type: 'reset' }])
    const then = next(changes) // who asks for more has read what was to be read again
    db.root.box.n = 1
    expect(await then).toStrictEqual([{ path: ['n'], type: 'set', value: 1, oldValue: 0 }])
    await changes.return()
    await db.verify()
  })

  test('a callback gets a reset, then changes as before; so does the watcher of a path', async () => {
    const { db, press } = pressed()
    const watchers = [db.root.box, 'box'].map((target) => {
      const told: Change[][] = []
      let heard = (): void => undefined
      const stop = db.watch(target, (changes) => {
        told.push(changes)
        setImmediate(() => heard()) // when the callback has returned
      })
      const hear = (): Promise<void> => new Promise((resolve) => (heard = resolve))
      return { told, stop, hear }
    })
    let all = Promise.all(watchers.map(({ hear }) => hear()))
    press()
    await all
    all = Promise.all(watchers.map(({ hear }) => hear()))
    db.root.box.n = 1
    await all
    for (const { told, stop } of watchers) {
      expect(told).toStrictEqual([[{ path: [], type: 'reset' }], [{ path: ['n'], type: 'set', value: 1, oldValue: 0 }]])
      stop()
    }
    await db.verify()
  })
})

describe('keys that expire', () => {
  let clock: Clock
  beforeEach(() => {
    clock = new Clock(`${freshPath()}.clock`)
  })
  afterEach(() => clock.stop())

  test('are reported as deleted when they are cleaned away; a new value before that replaces the old', async () => {
    const db = freshDatabase()
    const c = (db.root.c = db.collection())
    const changes = db.changes(c)
    c.set('a', { n: 1 }, { ttl: 1000 })
    const [first] = await next(changes)
    expect(first).toMatchObject({ path: ['a'], type: 'set' })
    c.set('b', 2, { ttl: 5000 }).set('c', 3)
    expect(await next(changes)).toHaveLength(2)
    clock.advance(1000)
    expect(await next(changes)).toStrictEqual([{ path: ['a'], type: 'delete', oldValue: { n: 1 } }])
    c.persist('b')
    c.expire('c', 2000)
    clock.advance(5000)
    expect(await next(changes)).toStrictEqual([{ path: ['c'], type: 'delete', oldValue: 3 }])
    expect(c.native()).toEqual({ b: 2 })
    await changes.return()
  })
})

describe('bounded Collections', () => {
  test.each(['lru', 'fifo'] as const)('%s: what is evicted is deleted in the batch of the insertion', async (evict) => {
    const db = freshDatabase()
    const cache = (db.root.cache = db.collection({ maxItems: 2, evict }))
    cache.set('a', 1).set('b', 2)
    const changes = db.changes(cache)
    cache.set('c', 3)
    expect(await next(changes)).toStrictEqual([
      { path: ['a'], type: 'delete', oldValue: 1 },
      { path: ['c'], type: 'set', value: 3, oldValue: undefined },
    ])
    await changes.return()
  })

  test('a model that follows one never exceeds its bound', async () => {
    const db = freshDatabase()
    const room = 10
    const cache = (db.root.cache = db.collection({ maxItems: room }))
    const model = new Map<unknown, unknown>()
    const changes = db.changes(cache)
    for (let i = 0; i < 200; i++) {
      for (let k = 0; k < 1 + (i % 3); k++) cache.set((i * 7 + k * 13) % 40, i)
      cache.get((i * 3) % 40)
      for (const change of await next(changes)) {
        const key = change.path[0]
        if (change.type === 'set') model.set(key, change.value)
        else model.delete(key)
      }
      expect(model.size).toBeLessThanOrEqual(room)
      expect(model).toEqual(new Map(cache.entries()))
    }
    await changes.return()
  })
})
