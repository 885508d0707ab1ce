// The interface as a whole: what holds for every method of every object.

import { mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { Collection, Dict, List, MultiCollection, open, PongoError, Uuid } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase, freshPath, openAt } from '../support/database'

describe('one file, whatever path leads to it', () => {
  test('symbolic link, relative path, URL', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pongodb-test-'))
    const before = process.cwd()
    try {
      const db = openAt(join(folder, 'state.pongo'))
      db.root.o = { a: 1 }
      symlinkSync(db.path, join(folder, 'link'))
      const linked = openAt(join(folder, 'link'))
      process.chdir(folder)
      const relative = openAt('./state.pongo')
      process.chdir(before)
      for (const other of [linked, relative]) {
        // The same database: by reference, not a copy.
        other.root.p = db.root.o
        expect(other.root.p.$id).toBe(db.root.o.$id)
        other.root.o.a++
      }
      expect(db.root.p.a).toBe(3)
      db.close()
      expect(relative.root.o.a).toBe(3)
    } finally {
      process.chdir(before)
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('permissions of a new file', () => {
    expect(statSync(freshDatabase().path).mode & 0o777).toBe(0o600)
    const before = process.umask(0)
    const { path } = freshDatabase({ mode: 0o640 })
    process.umask(before)
    expect(statSync(path).mode & 0o777).toBe(0o640)
  })

  test('sizes that the file stores', () => {
    const path = freshPath()
    const db = openAt(path, { chunksize: 32 * 2 ** 20, maxSize: 2 ** 30 })
    expectCode('ARG', () => open(path, { chunksize: 16 * 2 ** 20 }), /chunksize/)
    db.close()
    expectCode('ARG', () => open(path, { maxSize: 2 ** 31 }), /maxSize/)
    openAt(path, { chunksize: 32 * 2 ** 20, maxSize: 2 ** 30 }).close()
  })
})

test('what answers with a promise throws inside a transaction: nobody could wait for the rejection there', async () => {
  const db = freshDatabase()
  const snapshot = db.snapshot()
  const path = freshPath()
  const calls = [
    () => void db.sync(),
    () => void db.backup(path),
    () => void snapshot.backup(path),
  ] // prettier-ignore
  for (const call of calls) expectCode('ARG', () => db.transaction(call), /inside a transaction/)
  snapshot.release()
  await db.sync()
})

test('after close every method of every object throws CLOSED', async () => {
  const db = freshDatabase()
  const { root } = db
  root.$update({ o: { a: 1 }, l: [1], c: db.collection(), m: db.collection({ multi: true }) })
  const { o, l, c, m } = root
  c.set('a', 1)
  const iterator = c.entries()
  const view = c.search([], '==', 1)
  const snapshot = db.snapshot()
  const then = snapshot.root
  db.close()
  const calls: (() => unknown)[] = [
    () => db.root, () => db.meta, () => db.version, () => db.collection(), () => db.transaction(() => 1),
    () => db.snapshot(), () => db.syncNow(), () => db.stats(), () => db.info(),
    () => Collection.create(db), () => Dict.create(db), () => List.create(db),
    () => o.a, () => (o.a = 1), () => delete o.a, () => 'a' in o, () => Object.keys(o), () => ({ ...o }),
    () => o.$size, () => o.$get('a'), () => o.$set('a', 1), () => o.$delete('a'), () => o.$has('a'), () => o.$pop('a', 1),
    () => o.$update({ a: 1 }), () => o.$incr('a'), () => o.$cas('a', 1, 2), () => o.$modify('a', () => 1),
    () => o.$native(), () => o.$json(), () => o.$json('{}'), () => o.$search('a', '==', 1), () => [...o.$keys()],
    () => [...o.$values()], () => [...o.$entries()],
    () => l[0], () => (l[0] = 1), () => l.length, () => (l.length = 0), () => l.at(-1), () => l.push(1), () => l.push(),
    () => l.pop(), () => l.shift(), () => l.unshift(1), () => l.splice(0, 1), () => l.map(String), () => l.join(),
    () => l.sort(), () => l.reverse(), () => l.fill(0), () => [...l], () => l.insert(0, 1), () => l.remove(1),
    () => l.extend([]), () => l.native(), () => l.json(), () => l.json('[]'),
    () => c.size, () => c.get('a'), () => c.set('a', 1), () => c.has('a'), () => c.delete('a'), () => c.pop('a'),
    () => c.clear(), () => [...c], () => [...c.keys()], () => c.forEach(() => 0), () => c.getPath('a'),
    () => c.setPath('a', 1), () => c.update([]), () => c.incr('a'), () => c.cas('a', 1, 2), () => c.modify('a', () => 1),
    () => c.add({}), () => c.first(), () => c.last(), () => c.shift(), () => c.at(0), () => c.rank('a'), () => c.count(),
    () => [...c.range()], () => c.search('a', '==', 1), () => c.native(), () => c.json(), () => c.json('a', '1'),
    () => m.getAll('a'), () => m.delete('a', 1), () => m.set('a', 1), () => iterator.next(), () => view.size,
    () => snapshot.root, () => snapshot.version, () => snapshot.get(o), () => then.o,
  ] // prettier-ignore
  for (const call of calls) expectCode('CLOSED', call, '')
  for (const call of [() => db.sync(), () => db.verify(), () => db.gc()]) {
    await expect(call()).rejects.toMatchObject({ code: 'PONGO_ERR_CLOSED' })
  }
  db.close()
  snapshot.release()
  for (const value of [db, o, l, c, m, view, snapshot]) expect(typeof inspect(value)).toBe('string')
})

test('an unknown option is refused by name, everywhere', () => {
  const db = freshDatabase()
  const { root } = db
  const c = (root.c = db.collection())
  const wrong = { misspelt: 1 } as any
  const calls: [string, () => unknown][] = [
    ['open', () => open(db.path, wrong)],
    ['Collection', () => db.collection(wrong)],
    ['create', () => Collection.create(db, wrong)],
    ['$get', () => root.$get('a', 1, wrong)],
    ['$set', () => root.$set('a', 1, wrong)],
    ['$delete', () => root.$delete('a', wrong)],
    ['$has', () => root.$has('a', wrong)],
    ['set', () => c.set('a', 1, wrong)],
    ['getPath', () => c.getPath('a', 1, wrong)],
    ['setPath', () => c.setPath('a', 1, wrong)],
    ['add', () => c.add({}, wrong)],
    ['range', () => c.range(wrong)],
    ['count', () => c.count(wrong)],
  ]
  for (const [name, call] of calls) expectCode('ARG', call, name)
  for (const [, call] of calls) expectCode('ARG', call, /"misspelt"/)
  return expect(db.gc(wrong)).rejects.toMatchObject({ code: 'PONGO_ERR_ARG' })
})

describe('kinds', () => {
  test('instanceof, tags and makers', () => {
    const db = freshDatabase()
    const c = db.collection()
    const m = db.collection({ multi: true })
    const d = Dict.create(db)
    const l = List.create(db)
    const kinds = [Collection, MultiCollection, Dict, List, Array] as {
      [Symbol.hasInstance](value: unknown): boolean
    }[]
    const is = (value: unknown): boolean[] => kinds.map((kind) => kind[Symbol.hasInstance](value))
    expect(is(c)).toEqual([true, false, false, false, false])
    expect(is(m)).toEqual([true, true, false, false, false])
    expect(is(d)).toEqual([false, false, true, false, false])
    expect(is(db.root)).toEqual([false, false, true, false, false])
    expect(is(l)).toEqual([false, false, false, true, true])
    expect(is({})).toEqual([false, false, false, false, false])
    expect([c, m, d, l].map((x) => Object.prototype.toString.call(x))).toEqual([
      '[object Collection]',
      '[object MultiCollection]',
      '[object Object]',
      '[object Array]',
    ])
    for (const create of [Dict.create, List.create, Collection.create] as ((db: unknown) => unknown)[]) {
      expectCode('ARG', () => create(db.root))
      expectCode('ARG', () => create(undefined))
    }
    class Mine extends Collection {}
    expectCode('ARG', () => new (Mine as any)())
    expect(createRequire(import.meta.url)('../../dist/index.js').Collection).toBe(Collection)
  })

  test('iterators follow the protocol', () => {
    const { root } = freshDatabase()
    root.d = { a: 1, b: 2, c: 3 }
    const iterator = root.d.$entries()
    expect(iterator[Symbol.iterator]()).toBe(iterator)
    expect(iterator.next()).toEqual({ value: ['a', 1], done: false })
    expect(iterator.return(5)).toEqual({ value: 5, done: true })
    expect(iterator.next()).toEqual({ value: undefined, done: true })
    expect([...iterator]).toEqual([])
    const keys = root.d.$keys()
    for (const key of keys) if (key === 'a') break
    expect([...keys]).toEqual([])
    if (typeof keys.map === 'function')
      expect([...root.d.$keys().map((key: string) => `${key}!`)]).toEqual(['a!', 'b!', 'c!'])
  })

  test('a Collection is taken for a Map by what takes Maps', () => {
    const c = freshDatabase().collection()
    c.set('a', 1).set('b', 2)
    expect(new Map(c)).toEqual(new Map([['a', 1], ['b', 2]])) // prettier-ignore
    expect(Object.fromEntries(c)).toEqual({ a: 1, b: 2 })
    expect([...new Set(c.keys())]).toEqual(['a', 'b'])
    expect(Array.from(c.values())).toEqual([1, 2])
    const { groupBy } = Map as {
      groupBy?: (items: Iterable<unknown>, by: (item: any) => unknown) => Map<unknown, unknown>
    }
    if (groupBy !== undefined) expect(groupBy.call(Map, c, ([, n]) => n > 1).size).toBe(2)
    expect(structuredClone(c.native())).toEqual({ a: 1, b: 2 })
  })

  test('errors are of one family', () => {
    const { root } = freshDatabase()
    root.d = {}
    let error: any
    try {
      root.d.$json('{')
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(SyntaxError)
    expect(error).toBeInstanceOf(PongoError)
    expect([error.code, /line 1, column 2/.test(error.message)]).toEqual(['PONGO_ERR_VALUE', true])
    const made = new PongoError('PONGO_ERR_KEY', 'text', { cause: error })
    expect([made.name, made.code, made.message, made.cause]).toEqual(['PongoError', 'PONGO_ERR_KEY', 'text', error])
    expect(new Uuid(new Uint8Array(16)) instanceof PongoError).toBe(false)
  })
})
