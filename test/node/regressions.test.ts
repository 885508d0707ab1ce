// Defects that were found once, and what their repairs must leave alone.

import { inspect, isDeepStrictEqual } from 'node:util'
import { runInNewContext } from 'node:vm'
import { List, MultiCollection, PongoError, Uuid } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase, openAt } from '../support/database'

describe('values', () => {
  test('an ArrayBuffer of another realm is bytes, as value, as key and for a Uuid', () => {
    const db = freshDatabase()
    const foreign = runInNewContext('new Uint8Array([1, 2, 3]).buffer') as ArrayBuffer
    db.root.bytes = foreign
    expect(db.root.bytes).toEqual(Uint8Array.of(1, 2, 3))
    const keyed = (db.root.keyed = db.collection())
    keyed.set(foreign as any, 'value')
    expect(keyed.get(Uint8Array.of(1, 2, 3))).toBe('value')
    const zero = runInNewContext('new ArrayBuffer(16)') as ArrayBuffer
    expect(new Uuid(zero).toString()).toBe('00000000-0000-0000-0000-000000000000')
    expectCode('VALUE', () => new Uuid(new ArrayBuffer(15)))
  })

  test('a Date keeps its nature without its prototype', () => {
    const root = freshDatabase().root
    root.date = Object.setPrototypeOf(new Date(7), null)
    expect(root.date).toEqual(new Date(7))
  })

  test('an array too long for any value is refused before it is walked', () => {
    const root = freshDatabase().root
    let read = 0
    const endless = new Proxy(new Array(2 ** 32 - 1), {
      get(target, key, receiver) {
        if (typeof key === 'string' && /^[0-9]+$/.test(key) && ++read > 10) throw new Error('it is being walked')
        return Reflect.get(target, key, receiver) as unknown
      },
    })
    expectCode('VALUE', () => (root.list = endless), /4 GiB/)
    expect('list' in root).toBe(false)
  })

  test('a message shows the beginning of a long path', () => {
    const root = freshDatabase().root
    const inner: Record<string, unknown> = {}
    let outer = inner
    for (let i = 0; i < 600; i++) outer = { level: outer }
    try {
      root.deep = outer
      expect.unreachable()
    } catch (error) {
      expect((error as PongoError).code).toBe('PONGO_ERR_DEPTH')
      expect((error as Error).message).toMatch(/^deep\.level\.level/)
      expect((error as Error).message.length).toBeLessThan(300)
    }
  })

  test('a container of a closed handle cannot be stored', () => {
    const db = freshDatabase()
    db.root.value = { a: 1 }
    const second = openAt(db.path)
    const container = second.root.value
    second.close()
    expectCode('CLOSED', () => (db.root.copy = container))
    expect('copy' in db.root).toBe(false)
  })
})

describe('objects that inherit from a live one, or stand before it', () => {
  test('assigning to an heir of a Dict makes an own property, as with any object', () => {
    const root = freshDatabase().root
    root.defaults = { port: 80 }
    const config = Object.create(root.defaults) as Record<string, unknown>
    config['host'] = 'example.org'
    config['port'] = 8080
    expect(Object.keys(config)).toEqual(['host', 'port'])
    expect(root.defaults.$native()).toEqual({ port: 80 })
    const receiver = {}
    expect(Reflect.set(root.defaults, 'x', 1, receiver)).toBe(true)
    expect(receiver).toEqual({ x: 1 })
    expect('x' in root.defaults).toBe(false)
  })

  test('the same for an heir of a List', () => {
    const root = freshDatabase().root
    root.list = [1, 2]
    const heir = Object.create(root.list) as Record<string, unknown>
    heir['label'] = 'x'
    heir['0'] = 9
    expect(Object.keys(heir)).toEqual(['0', 'label'])
    expect(root.list.native()).toEqual([1, 2])
  })

  test('a proxy of a live object writes through', () => {
    const root = freshDatabase().root
    root.dict = { a: 1 }
    root.list = [1]
    const dict = new Proxy(root.dict, {})
    dict.a = 2
    dict.b = { c: 3 }
    expect(root.dict.$native()).toEqual({ a: 2, b: { c: 3 } })
    const list = new Proxy(root.list, {})
    list[0] = 5
    list[1] = 6
    expect(root.list.native()).toEqual([5, 6])
    expectCode('KEY', () => (dict.$size = 1))
  })
})

describe('List as an array', () => {
  test('a bigint is no number for array methods', () => {
    const root = freshDatabase().root
    const calls: ((list: any) => unknown)[] = [
      (list) => list.at(1n),
      (list) => list.fill(0, 0n),
      (list) => list.copyWithin(0, 1n),
      (list) => list.splice(0, 1n),
      (list) => list.splice(0n, 1),
      (list) => {
        list.length = 1n
      },
    ]
    for (const call of calls) {
      root.list = [1, 2, 3]
      expect(() => call([1, 2, 3]), String(call)).toThrow(TypeError)
      expect(() => call(root.list), String(call)).toThrow(TypeError)
      expect(root.list.native()).toEqual([1, 2, 3])
    }
  })

  test('methods have the names and lengths of those of arrays', () => {
    const list: any = List.create(freshDatabase())
    for (const name of Object.getOwnPropertyNames(Array.prototype)) {
      const method: unknown = (Array.prototype as any)[name]
      if (typeof method !== 'function' || name === 'constructor') continue
      expect([name, list[name].name, list[name].length]).toEqual([name, method.name, method.length])
    }
    expect(list.insert.name).toBe('insert')
  })

  test('at and extend of a closed database throw CLOSED', () => {
    const db = freshDatabase()
    db.root.list = [1]
    const list = db.root.list
    db.close()
    expectCode('CLOSED', () => list.at(2 ** 33))
    expectCode('CLOSED', () => list.extend([]))
  })
})

describe('Dict and Collection', () => {
  test('update takes a List of pairs for pairs', () => {
    const db = freshDatabase()
    db.root.pairs = [
      ['a', 1],
      ['b', { c: 2 }],
    ]
    db.root.dict = {}
    db.root.dict.$update(db.root.pairs)
    expect(db.root.dict.$native()).toEqual({ a: 1, b: { c: 2 } })
    const collection = (db.root.collection = db.collection())
    collection.update(db.root.pairs)
    expect(collection.native()).toEqual({ a: 1, b: { c: 2 } })
  })

  test('cas compares live containers by content', () => {
    const db = freshDatabase()
    db.root.$update({ a: { x: [1, { y: 2 }] }, b: { x: [1, { y: 2 }] }, c: { x: [] } })
    expect(db.root.$cas('a', db.root.c, 'wrong')).toBe(false)
    expect(db.root.$cas('a', { x: db.root.b.x }, 'nested')).toBe(true)
    db.root.a = db.root.b.$native()
    expect(db.root.$cas('a', db.root.b, 'equal')).toBe(true)
    const users = (db.root.users = db.collection())
    users.set('k', { n: 1 }).set('l', { n: 1 })
    expect(users.cas('k', users.get('l'), 'equal')).toBe(true)
    // Containers that hold themselves have no plain content: identity decides.
    db.root.ring = {}
    db.root.ring.self = db.root.ring
    db.root.other = {}
    db.root.other.self = db.root.other
    expect(db.root.$cas('ring', db.root.other, 0)).toBe(false)
    expect(db.root.$cas('ring', db.root.ring, 0)).toBe(true)
  })

  test('cas compares with a container of a snapshot', () => {
    const db = freshDatabase()
    db.root.a = { n: db.collection() }
    db.root.a.n.set(1, 'one')
    const snapshot = db.snapshot()
    expect(db.root.$cas('a', snapshot.root.a, 'next')).toBe(true)
    snapshot.release()
  })

  test('a bigint in a path is an index', () => {
    const root = freshDatabase().root
    root.list = ['a', 'b']
    expect(root.$get(['list', 1n])).toBe('b')
    root.$set(['list', 0n], 'c')
    expect(root.list.native()).toEqual(['c', 'b'])
  })

  test('forEach without a function is a TypeError, as with a Map', () => {
    const collection: any = freshDatabase().collection()
    expect(() => collection.forEach(5)).toThrow(TypeError)
    expect(() => collection.forEach(5)).toThrow(PongoError)
    expectCode('ARG', () => collection.forEach(), /forEach/)
  })

  test('a view of a search finds numbers in any form and refuses every write', () => {
    const db = freshDatabase()
    const collection = (db.root.collection = db.collection())
    collection
      .set([1, [2]], 1)
      .set(2n ** 64n, 1)
      .set(7, 1)
    const view: any = collection.search('', '==', 1)
    expect([view.has([1n, [2n]]), view.has(2 ** 64), view.has(2n ** 64n), view.has(7n)]).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(view.has([1, 2])).toBe(false)
    for (const name of [
      'set',
      'delete',
      'clear',
      'pop',
      'shift',
      'add',
      'update',
      'setPath',
      'incr',
      'cas',
      'modify',
      'expire',
      'persist',
    ]) {
      expectCode('READONLY', () => view[name]('x', 1))
    }
  })
})

describe('MultiCollection', () => {
  test('delete takes containers by identity', () => {
    const db = freshDatabase()
    db.root.$update({ a: { n: 1 }, b: { n: 1 }, c: { n: 1 } })
    const multi = (db.root.multi = db.collection({ multi: true }))
    multi.set('k', db.root.a).set('k', db.root.b)
    expect(multi.delete('k', db.root.c)).toBe(false)
    expect(multi.delete('k', { n: 1 })).toBe(false)
    expect(multi.delete('k', db.root.b)).toBe(true)
    expect(multi.getAll('k')).toHaveLength(1)
    expect(multi.get('k')).toBe(db.root.a)
  })

  test('ranges and counts by prefix', () => {
    const db = freshDatabase()
    const multi = (db.root.multi = db.collection({ multi: true }))
    const single = (db.root.single = db.collection())
    const keys: any[] = [
      '',
      'a',
      'aa',
      'ab',
      'ab\u{10ffff}',
      'ab\u{10ffff}z',
      'ac',
      'b',
      5,
      null,
      Uint8Array.of(97, 98),
    ]
    keys.push([], ['a'], [1], [1, 'x'], [1, [2]], [1, [2], 3], [2n ** 70n])
    for (const key of keys) {
      single.set(key, 0)
      multi.set(key, 1).set(key, 2)
    }
    for (const prefix of ['', 'a', 'ab', 'ab\u{10ffff}', 'abc', 'z', [], [1], [1n, [2n]], ['a'], [3], [2n ** 70n]]) {
      const expected = [...single.range({ prefix })]
      const doubled = expected.flatMap(([key]: any) => [
        [key, 1],
        [key, 2],
      ])
      expect([...multi.range({ prefix })], inspect(prefix)).toEqual(doubled)
      expect([...multi.range({ prefix, reverse: true, limit: 3 })]).toEqual(doubled.reverse().slice(0, 3))
      expect(multi.count({ prefix })).toBe(expected.length * 2)
      expect(db.transaction(() => multi.count({ prefix }))).toBe(expected.length * 2)
    }
    // What is no key is refused at once, not by the first step of an iteration.
    for (const collection of [single, multi]) expectCode('TYPE', () => collection.range({ prefix: [{}] as any }))
  })

  test('$modify through a path is refused, as modify is', () => {
    const db = freshDatabase()
    const multi = (db.root.multi = db.collection({ multi: true }))
    multi.set('k', 1)
    for (const path of ['multi.k', ['multi', 'k']]) {
      expectCode('TYPE', () => db.root.$modify(path, (n: number) => n + 1), /MultiCollection/)
    }
    expect(multi.getAll('k')).toEqual([1])
    // The property that holds it is an ordinary one.
    db.root.$modify('multi', () => 'replaced')
    expect(db.root.multi).toBe('replaced')
  })
})

describe("meta['.uuid_constructor']", () => {
  const a = new Uuid('00000000-0000-0000-0000-00000000000a')
  const b = new Uuid('00000000-0000-0000-0000-00000000000b')

  test('does not change what is stored', () => {
    const db = freshDatabase()
    db.meta['.uuid_constructor'] = (_unused, bytes) => Buffer.from(bytes).toString('hex')
    db.root.list = [b, a]
    db.root.list.reverse()
    db.root.list.copyWithin(0, 0)
    db.root.list.sort((x: string, y: string) => (x < y ? 1 : -1))
    db.root.list.sort()
    const multi: MultiCollection = (db.root.multi = db.collection({ multi: true }))
    multi.set('k', a).set('k', b).set('k', 5).set('k', 6)
    multi.delete('k', 5)
    expect(multi.pop('k')).toBe(6)
    db.meta['.uuid_constructor'] = null
    expect(db.root.list.native()).toEqual([a, b])
    expect(multi.getAll('k')).toEqual([a, b])
  })

  test('remove, delete and search find UUIDs', () => {
    const db = freshDatabase()
    db.meta['.uuid_constructor'] = (_unused, bytes) => ({ bytes, text: 'own' })
    db.root.list = [a, b]
    db.root.list.remove(b)
    expect(db.root.list).toHaveLength(1)
    const docs = (db.root.docs = db.collection())
    docs.set('x', { id: a }).set('y', { id: b }).set('z', a)
    expect([...docs.search('id', '==', a).keys()]).toEqual(['x'])
    expect(docs.search('', '==', a).get('z')).toMatchObject({ text: 'own' })
    const multi = (db.root.multi = db.collection({ multi: true }))
    multi.set('k', a).set('k', b)
    expect(multi.delete('k', a)).toBe(true)
    expect(multi.pop('k')).toMatchObject({ text: 'own', bytes: b.bytes })
    expect(multi.size).toBe(0)
  })

  test('may return undefined', () => {
    const db = freshDatabase()
    db.root.list = [a]
    let calls = 0
    db.meta['.uuid_constructor'] = () => {
      if (++calls > 100) throw new Error('called without end')
      return undefined
    }
    expect(db.root.list.at(-1)).toBe(undefined)
  })
})

test('deleting where a List has nothing is no error, as $has says', () => {
  const db = freshDatabase()
  db.root.list = [1, 2, 3]
  for (const path of ['list.x', 'list.-1', 'list.3', ['list', 'length'], ['list', -1]]) {
    expect(db.root.$has(path)).toBe(false)
    expect(db.root.$delete(path)).toBe(false)
  }
  expect(db.root.$delete('list.1')).toBe(true)
  expect(db.root.list.native()).toEqual([1, 3])
})

describe('messages', () => {
  test('of a lone surrogate name where it is', () => {
    const { root } = freshDatabase()
    root.$update({ user: {}, list: [1] })
    const bad = '\ud800'
    expectCode('VALUE', () => (root.name = bad), /name/)
    expectCode('VALUE', () => (root.user = { deep: [1, bad] }), /user\.deep\.1/)
    expectCode('VALUE', () => root.$set('user.name', bad), /user\.name/)
    expectCode('VALUE', () => root.$cas('user.name', undefined, bad), /user\.name/)
    expectCode('VALUE', () => root.$modify('user.name', () => bad), /user\.name/)
    expectCode('VALUE', () => (root.list[0] = bad), /0/)
    expectCode('VALUE', () => root.list.push(bad), /new element/)
    expectCode('VALUE', () => (root[bad] = 1), /key/)
    expect(root.$native()).toEqual({ user: {}, list: [1] })
  })
})

test('two Uuids are equal for deep comparisons only when they are', () => {
  const [a, b, same] = [1, 2, 1].map((byte) => new Uuid(new Uint8Array(16).fill(byte)))
  expect(a).toEqual(same)
  expect(a).not.toEqual(b)
  expect(isDeepStrictEqual(a, same)).toBe(true)
  expect(isDeepStrictEqual({ id: a }, { id: b })).toBe(false)
})

test('JSON.stringify of a Collection does not round big integers', () => {
  const db = freshDatabase()
  const c = db.collection()
  c.set('big', 2n ** 64n)
    .set('bytes', new Uint8Array([1]))
    .set(5, NaN)
  expect(c.json()).toBe('{"5":null,"big":18446744073709551616,"bytes":"AQ=="}')
  const exact = 'rawJSON' in JSON
  if (exact) expect(JSON.stringify(c)).toBe(c.json())
  else expect(() => JSON.stringify(c)).toThrow(TypeError)
})

describe('a MultiCollection', () => {
  test('holds NaN once, behind all other numbers', () => {
    const db = freshDatabase()
    const c = db.collection({ multi: true })
    c.set('k', NaN).set('k', 'text').set('k', Infinity).set('k', NaN)
    expect(c.getAll('k')).toEqual([Infinity, NaN, 'text'])
    expect(c.delete('k', NaN)).toBe(true)
    expect(c.getAll('k')).toEqual([Infinity, 'text'])
    expectCode('VALUE', () => c.set(NaN, 1))
  })

  test('makes one key of the two forms of a number in native() and json()', () => {
    const db = freshDatabase()
    const c = db.collection({ multi: true })
    c.set(2 ** 60, 1)
      .set(2n ** 60n, 2)
      .set([2 ** 60], 3)
      .set([2n ** 60n], 4)
    expect([...(c.native() as Map<unknown, unknown>).values()]).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(c.json()).toBe('{"1152921504606847000":[1,2],"[1152921504606847000]":[3,4]}')
  })
})

describe('a List', () => {
  test('grows at once, within bounds, and shrinks at once', () => {
    const { root } = freshDatabase()
    root.list = ['first']
    root.list.length = 100_000
    expect(root.list.length).toBe(100_000)
    expect(root.list.at(-1)).toBe(null)
    root.list[150_000] = 'last'
    expect(root.list.indexOf('last')).toBe(150_000)
    root.list.length = 3
    expect(root.list.native()).toEqual(['first', null, null])
    expectCode('INDEX', () => (root.list.length = 2 ** 32 - 1), /beyond the end/)
    expectCode('INDEX', () => (root.list[2 ** 32 - 2] = 1))
    expect(root.list.length).toBe(3)
  })

  test('$incr beyond the end counts from 0, as for any missing value', () => {
    const { root } = freshDatabase()
    root.list = [5]
    expect(root.$incr('list.2', 3)).toBe(3)
    expect(root.list.native()).toEqual([5, null, 3])
    expectCode('TYPE', () => root.$incr('list.1'))
    expectCode('INDEX', () => root.$incr('list.-1'))
  })

  test('a comparator that changes the List sorts what was there', () => {
    const { root } = freshDatabase()
    root.list = [3, 1, 2]
    let calls = 0
    root.list.sort((a: number, b: number) => {
      if (calls++ === 0) root.list.push(9)
      return a - b
    })
    expect(root.list.native()).toEqual([1, 2, 3])
  })
})

describe('a view of a search', () => {
  test('is like a Collection: ranges, ranks, JSON, printing, CLOSED', () => {
    const db = freshDatabase()
    const c = db.collection()
    c.update([[2, { n: 1 }], ['a', { n: 1 }], ['ab', { n: 1 }], [['t', 1], 1], ['zero', { n: 0 }]]) // prettier-ignore
    const view = c.search('n', '==', 1)
    expect([...view.keys()]).toEqual([2, 'a', 'ab'])
    expect([view.rank(2), view.rank('a'), view.rank('b')]).toEqual([0, 1, 3])
    expect([view.count(), view.count({ prefix: 'a' }), view.count({ gt: 2, lt: 'ab' })]).toEqual([3, 2, 1])
    expect([...view.range({ reverse: true, limit: 2, offset: 1, native: true })]).toEqual([
      ['a', { n: 1 }],
      [2, { n: 1 }],
    ])
    expect(view.at(1)![1]).toBe(c.get('a'))
    expect([view.getPath('a.n'), view.getPath([2, 'n']), view.getPath('zero.n', 'none')]).toEqual([1, 1, 'none'])
    expectCode('ARG', () => view.range({ from: 1 } as any), /from/)
    for (const range of [{ gt: 1, gte: 1 }, { lt: 1, lte: 1 }, { prefix: 'a', gt: 1 }, { prefix: 1 as any }]) {
      expectCode('ARG', () => view.range(range), /range: /)
      expectCode('ARG', () => view.count(range), /count: /)
    }
    expect(view.json()).toBe('{"2":{"n":1},"a":{"n":1},"ab":{"n":1}}')
    expect(JSON.stringify(view)).toBe(view.json())
    expect(inspect(view)).toBe("SearchView Map(3) { 2 => { n: 1 }, 'a' => { n: 1 }, 'ab' => { n: 1 } }")
    expectCode('READONLY', () => view.set())
    db.close()
    expectCode('CLOSED', () => view.size)
    expectCode('CLOSED', () => view.native())
  })
})
