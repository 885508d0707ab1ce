import { inspect } from 'node:util'
import fc from 'fast-check'
import { Collection, Uuid } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase } from '../support/database'

function fresh(): Collection<any, any> {
  const db = freshDatabase()
  return (db.root.c = db.collection())
}

test('against a Map, in random sequences', () => {
  const db = freshDatabase()
  const key = fc.oneof(fc.integer({ min: -20, max: 20 }), fc.constantFrom('a', 'b', 'ab', '', 'é', 0.5))
  const step = fc.oneof(
    fc.tuple(fc.constant('set' as const), key, fc.integer()),
    fc.tuple(fc.constantFrom('delete' as const, 'pop' as const, 'get' as const, 'has' as const), key, fc.constant(0)),
    fc.tuple(fc.constantFrom('shift' as const, 'clear' as const), key, fc.constant(0)),
    fc.tuple(fc.constant('incr' as const), key, fc.integer({ min: -9, max: 9 })),
  )
  const order = (a: any, b: any): number =>
    typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === 'number' ? -1 : 1
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const c = db.collection()
      const model = new Map<unknown, any>()
      const sorted = (): [any, any][] => [...model].sort(([a], [b]) => order(a, b))
      for (const [name, k, v] of steps) {
        switch (name) {
          case 'set':
            expect(c.set(k, v)).toBe(c)
            model.set(k, v)
            break
          case 'delete':
            expect(c.delete(k)).toBe(model.delete(k))
            break
          case 'pop':
            expect(c.pop(k, 'none')).toBe(model.has(k) ? model.get(k) : 'none')
            model.delete(k)
            break
          case 'get':
            expect(c.get(k, 'none')).toBe(model.has(k) ? model.get(k) : 'none')
            break
          case 'has':
            expect(c.has(k)).toBe(model.has(k))
            break
          case 'incr':
            model.set(k, (model.get(k) ?? 0) + v)
            expect(c.incr(k, v)).toBe(model.get(k))
            break
          case 'shift': {
            const [first] = sorted()
            expect(c.shift()).toEqual(first)
            if (first !== undefined) model.delete(first[0])
            break
          }
          case 'clear':
            c.clear()
            model.clear()
        }
        expect(c.size).toBe(model.size)
      }
      const entries = sorted()
      expect([...c]).toEqual(entries)
      expect(c.first()).toEqual(entries[0])
      expect(c.last()).toEqual(entries.at(-1))
      for (const [i, [k]] of entries.entries()) {
        expect(c.rank(k)).toBe(i)
        expect(c.at(i)).toEqual(entries[i])
        expect(c.at(i - entries.length)).toEqual(entries[i])
      }
    }),
    { numRuns: 60 },
  )
})

test('ranges against a filtered array', () => {
  const c = fresh()
  const all = Array.from({ length: 700 }, (_, i) => i * 2)
  c.update(all.map((k) => [k, `v${k}`] as const))
  const bound = fc.integer({ min: -5, max: 1405 })
  const options = fc.record(
    {
      lower: fc.tuple(fc.constantFrom('gt' as const, 'gte' as const), bound),
      upper: fc.tuple(fc.constantFrom('lt' as const, 'lte' as const), bound),
      reverse: fc.boolean(),
      limit: fc.integer({ min: 0, max: 600 }),
      offset: fc.integer({ min: 0, max: 600 }),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(options, ({ lower, upper, ...rest }) => {
      const range: any = { ...rest }
      if (lower) range[lower[0]] = lower[1]
      if (upper) range[upper[0]] = upper[1]
      let expected = all.filter(
        (k) =>
          (range.gt === undefined || k > range.gt) &&
          (range.gte === undefined || k >= range.gte) &&
          (range.lt === undefined || k < range.lt) &&
          (range.lte === undefined || k <= range.lte),
      )
      const { gt, gte, lt, lte } = range
      const bounds = Object.fromEntries(Object.entries({ gt, gte, lt, lte }).filter(([, v]) => v !== undefined))
      expect(c.count(bounds)).toBe(expected.length)
      if (range.reverse) expected.reverse()
      expected = expected.slice(range.offset ?? 0)
      if (range.limit !== undefined) expected = expected.slice(0, range.limit)
      expect([...c.range(range)]).toEqual(expected.map((k) => [k, `v${k}`]))
    }),
    { numRuns: 150 },
  )
})

describe('ranges', () => {
  test('by prefix of strings and tuples', () => {
    const c = fresh()
    c.update([
      ['a', 1],
      ['ab', 2],
      ['abc', 3],
      ['b', 4],
      [['a', 1], 5],
      [['a', 2, 'x'], 6],
      [['b', 1], 7],
    ])
    expect([...c.range({ prefix: 'ab' })]).toEqual([
      ['ab', 2],
      ['abc', 3],
    ])
    expect([...c.range({ prefix: ['a'] })].map(([, v]) => v)).toEqual([5, 6])
    expect(c.count({ prefix: 'a' })).toBe(3)
    expect(c.count({ prefix: '' })).toBe(4)
    expect(c.count()).toBe(7)
  })

  test('live or as plain copies; each iteration sees its own version', () => {
    const c = fresh()
    c.set('x', { n: 1 })
    const range = c.range({})
    const [live] = [...range][0]!.slice(1) as any[]
    expect(live).toBe(c.get('x'))
    const [copy] = [...c.range({ native: true })][0]!.slice(1) as any[]
    expect(copy).toStrictEqual({ n: 1 })
    c.set('y', 2)
    expect([...range]).toHaveLength(2)
  })

  test('options that are wrong', () => {
    const c = fresh()
    expectCode('ARG', () => c.range({ from: 1 } as any), /from/)
    expectCode('ARG', () => c.range({ gt: 1, gte: 2 }))
    expectCode('ARG', () => c.range({ prefix: 'a', lt: 'b' }))
    expectCode('ARG', () => c.range({ prefix: 5 as any }))
    expectCode('ARG', () => c.range({ limit: -1 }))
    expectCode('ARG', () => c.count({ limit: 1 } as any), /limit/)
    expectCode('VALUE', () => [...c.range({ gt: NaN })])
  })
})

describe('a Collection', () => {
  test('is used as a Map', () => {
    const c = fresh()
    expect(c.set('ann', { age: 30 }).set('bob', { age: 20 })).toBe(c)
    expect(c.get('ann').age).toBe(30)
    expect(c.get('zoe')).toBe(undefined)
    expect(c.get('zoe', null)).toBe(null)
    expect([...c.keys()]).toEqual(['ann', 'bob'])
    expect([...c.values()].map((v) => v.age)).toEqual([30, 20])
    expect(new Map(c).get('ann')).toBe(c.get('ann'))
    const seen: unknown[] = []
    c.forEach(function (this: unknown, value, key, whole) {
      seen.push([this, value.age, key, whole === c])
    }, 'self')
    expect(seen).toEqual([
      ['self', 30, 'ann', true],
      ['self', 20, 'bob', true],
    ])
    expect(c.keys().next()).toEqual({ value: 'ann', done: false })
    expect(inspect(c)).toBe("Collection Map(2) { 'ann' => { age: 30 }, 'bob' => { age: 20 } }")
    expect(JSON.stringify({ c })).toBe('{"c":{"ann":{"age":30},"bob":{"age":20}}}')
  })

  test('iterators pin their version at [Symbol.iterator]()', () => {
    const c = fresh()
    c.update(Array.from({ length: 2000 }, (_, i) => [i, i] as const))
    const entries = c.entries()
    c.set(-1, 'before the first next()')
    const iterator = entries[Symbol.iterator]()
    c.clear()
    expect([...iterator]).toHaveLength(2001)
    expect([...c]).toEqual([])
  })

  test('set: fail, sync, unknown options', () => {
    const c = fresh()
    c.set('a', 1, { sync: true })
    expectCode('EXISTS', () => c.set('a', 2, { fail: true }))
    expect(c.get('a')).toBe(1)
    expectCode('ARG', () => c.set('a', 1, { tll: 1000 } as any), /tll/)
    expectCode('ARG', () => c.set('a', 1, 5 as any))
    expectCode('TYPE', () => c.set('a', undefined))
    expectCode('KEY', () => c.pop('zoe'))
  })

  test('keys hold dots; paths are split', () => {
    const c = fresh()
    c.set('a.b', { x: [1] })
    expect(c.get('a.b').x[0]).toBe(1)
    expect(c.getPath(['a.b', 'x', 0])).toBe(1)
    expect(c.getPath('a.b/x/0', undefined, { sep: '/' })).toBe(1)
    expect(c.setPath(['a.b', 'x', 0], 2)).toBe(c)
    expect(c.getPath('no.such', 'dflt')).toBe('dflt')
    expect(c.native()).toEqual({ 'a.b': { x: [2] } })
  })

  test('cas, modify, update', () => {
    const c = fresh()
    expect(c.cas('k', undefined, { v: [1] })).toBe(true)
    expect(c.cas('k', { v: [2] }, 0)).toBe(false)
    expect(c.cas('k', { v: [1] }, undefined)).toBe(true)
    expect(c.has('k')).toBe(false)
    expect(c.modify('n', (old) => (old ?? 1) * 2)).toBe(2)
    expect(c.modify('n', () => undefined)).toBe(undefined)
    expect(c.update({ a: 1 }).update(new Map([[5, 2]]))).toBe(c)
    expect([...c]).toEqual([
      [5, 2],
      ['a', 1],
    ])
    const other = fresh()
    other.update(c)
    expect([...other]).toEqual([...c])
  })

  test('native and json', () => {
    const c = fresh()
    expect(c.native()).toEqual({})
    c.set('a', { n: [1] }).set('b', new Date(0))
    expect(c.native()).toEqual({ a: { n: [1] }, b: new Date(0) })
    c.set(5, 'five').set([1, 'x'], new Uint8Array([1]))
    expect(c.native()).toBeInstanceOf(Map)
    expect(c.json()).toBe('{"5":"five","a":{"n":[1]},"b":"1970-01-01T00:00:00.000Z","[1,\\"x\\"]":"AQ=="}')
    c.json('j', '{"deep": [1.5, 12345678901234567890]}')
    expect(c.get('j').$native()).toEqual({ deep: [1.5, 12345678901234567890n] })
    expectCode('VALUE', () => c.json('j', '{'))
    expectCode('ARG', () => (c as any).json('{}'))
  })

  test('add', () => {
    const db = freshDatabase()
    const c = db.collection()
    const doc = { name: 'Ann' }
    const id = c.add(doc)
    expect(doc).toEqual({ name: 'Ann' })
    expect(id).toBeInstanceOf(Uuid)
    expect(c.get(id)._id.equals(id)).toBe(true)
    expect(c.add({ _id: 7, a: 1 })).toBe(7)
    expect(c.add({ _id: 7, a: 2 })).toBe(7)
    expect(c.get(7).a).toBe(2)
    expectCode('EXISTS', () => c.add({ _id: 7 }, { fail: true }))
    expectCode('TYPE', () => c.add([1]))
    db.meta.id = 'key'
    let n = 100
    db.meta['.newkey'] = () => n++
    expect(c.add({ x: 1 })).toBe(100)
    expect(c.get(100).key).toBe(100)
    const ids = [c.add({}), c.add({})]
    expect(ids).toEqual([101, 102])
  })

  test('equal keys in one update: the first key stays, the last value wins', () => {
    const pairs: [unknown, number][] = [
      ['x', 0],
      [-(2n ** 80n), 1],
      [-(2 ** 80), 2],
    ]
    const filled = fresh().set('y', 0)
    for (const c of [fresh(), filled]) {
      c.update(pairs)
      expect(c.entries().next().value).toEqual([-(2n ** 80n), 2])
    }
  })

  test('search', () => {
    const c = fresh()
    c.set(1, { tags: ['a', 'b'] })
      .set(2, { tags: ['c'] })
      .set('x', 5)
    expect([...c.search('tags.*', '==', 'c').keys()]).toEqual([2])
    expect(c.search(['tags', 0], 'lt', 'b').native()).toEqual(new Map([[1, { tags: ['a', 'b'] }]]))
    expect([...c.search([], '>', 4)]).toEqual([['x', 5]])
    expect(c.search('tags', '==', ['c']).json()).toBe('{"2":{"tags":["c"]}}')
  })

  test('is not made by new, and create checks its arguments', () => {
    const db = freshDatabase()
    expectCode('ARG', () => new (Collection as any)())
    expectCode('ARG', () => Collection.create(db, { mutli: true } as any), /mutli/)
    expectCode('ARG', () => db.collection({ maxItem: 5 } as any), /maxItem/)
    expect(Collection.create(db)).toBeInstanceOf(Collection)
  })
})
