import assert from 'node:assert'
import { inspect } from 'node:util'
import { Dict } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase, openAt } from '../support/database'

describe('a Dict is like an object', () => {
  test('read, write, delete, in', () => {
    const root = freshDatabase().root
    root.name = 'Ann'
    expect(root.name).toBe('Ann')
    expect('name' in root).toBe(true)
    expect('toString' in root).toBe(false)
    expect(root.missing).toBe(undefined)
    expect(delete root.name).toBe(true)
    expect(delete root.name).toBe(true)
    expect('name' in root).toBe(false)
  })

  test('keys come sorted; spread, for in, entries, JSON, structuredClone', () => {
    const root = freshDatabase().root
    root.d = { b: 2, a: 1, 10: 'ten', 9: 'nine' }
    expect(Object.keys(root.d)).toEqual(['10', '9', 'a', 'b'])
    expect({ ...root.d }).toEqual({ a: 1, b: 2, 9: 'nine', 10: 'ten' })
    const seen: string[] = []
    for (const key in root.d) seen.push(key)
    expect(seen).toEqual(['10', '9', 'a', 'b'])
    expect(Object.entries(root.d)).toEqual([
      ['10', 'ten'],
      ['9', 'nine'],
      ['a', 1],
      ['b', 2],
    ])
    expect(JSON.stringify(root.d)).toBe('{"10":"ten","9":"nine","a":1,"b":2}')
    expect(structuredClone(root.d.$native())).toEqual({ 9: 'nine', 10: 'ten', a: 1, b: 2 })
    expect(root.d).toEqual({ a: 1, b: 2, 9: 'nine', 10: 'ten' })
    expect(root.d).not.toEqual({ a: 1 })
    expect(Object.getPrototypeOf(root.d)).toBe(Object.prototype)
    expect(Object.hasOwn(root.d, 'a')).toBe(true)
    expect(Object.getOwnPropertyDescriptor(root.d, 'a')).toEqual({
      value: 1,
      writable: true,
      enumerable: true,
      configurable: true,
    })
  })

  test('nested objects are live and the same proxy each time', () => {
    const db = freshDatabase()
    const source = { x: { y: 1 } }
    db.root.a = source
    source.x.y = 99
    expect(db.root.a.x.y).toBe(1)
    expect(db.root.a.x).toBe(db.root.a.x)
    expect(db.root.a).toBeInstanceOf(Dict)
    const again = openAt(db.path)
    again.root.a.x.y = 2
    expect(db.root.a.x.y).toBe(2)
    db.root.a.x.y++
    expect(again.root.a.x.y).toBe(3)
  })

  test('any string is a safe key, and no way leads from data to a prototype', () => {
    const root = freshDatabase().root
    const names = [
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'hasOwnProperty',
      '',
      'a.b',
      '😀',
      'then',
      'toJSON',
    ]
    root.d = {}
    expect(root.d['__proto__']).toBe(undefined)
    expect(root.d.toString()).toBe('[object Object]')
    for (const [i, name] of names.entries()) root.d[name] = i
    for (const [i, name] of names.entries()) expect(root.d[name]).toBe(i)
    expect(Object.keys(root.d).sort()).toEqual([...names].sort())
    const copy = root.d.$native()
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
    expect(Object.getOwnPropertyDescriptor(copy, '__proto__')?.value).toBe(0)
    root.e = JSON.parse('{"__proto__": {"polluted": true}}')
    expect(root.e.polluted).toBe(undefined)
    expect(root.e['__proto__'].polluted).toBe(true)
    expect(({} as any).polluted).toBe(undefined)
    for (const name of names) delete root.d[name]
    expect(root.d.$size).toBe(0)
    expect(root.d['__proto__']).toBe(undefined)
    expect(root.$get('d.constructor.prototype')).toBe(undefined)
    expect(root.$get(['d', '__proto__'])).toBe(undefined)
  })

  test('symbols, freezing, accessors, prototypes', () => {
    const root = freshDatabase().root
    root.d = { a: 1 }
    const symbol = Symbol('s')
    expect(root.d[symbol]).toBe(undefined)
    expect(root.d[Symbol.iterator]).toBe(undefined)
    expect(symbol in root.d).toBe(false)
    expectCode('TYPE', () => (root.d[symbol] = 1))
    expectCode('TYPE', () => Object.freeze(root.d))
    expectCode('TYPE', () => Object.seal(root.d))
    expectCode('TYPE', () => Object.preventExtensions(root.d))
    expectCode('TYPE', () => Object.defineProperty(root.d, 'g', { get: () => 1 }))
    expectCode('TYPE', () => Object.defineProperty(root.d, 'g', { value: 1 }))
    expectCode('TYPE', () => Object.defineProperty(root.d, 'a', { value: 1, writable: false }))
    expectCode('TYPE', () => Object.setPrototypeOf(root.d, {}))
    Object.defineProperty(root.d, 'b', { value: 2, writable: true, enumerable: true, configurable: true })
    Object.defineProperty(root.d, 'a', { value: 3 })
    expect(root.d.$native()).toEqual({ a: 3, b: 2 })
  })

  test('names that begin with $', () => {
    const root = freshDatabase().root
    root.d = { $price: 1, plain: 2 }
    expect(root.d.$unknown).toBe(undefined)
    expect(root.d.$price).toBe(undefined)
    expectCode('KEY', () => (root.d.$price = 2))
    expectCode('KEY', () => (root.d.$get = 2))
    expectCode('KEY', () => delete root.d.$price)
    expect(Object.keys(root.d)).toEqual(['plain'])
    expect({ ...root.d }).toEqual({ plain: 2 })
    expect('$price' in root.d).toBe(false)
    expect('$get' in root.d).toBe(false)
    expect(root.d.$get(['$price'])).toBe(1)
    root.d.$set(['$price'], 5)
    expect([...root.d.$entries()]).toEqual([
      ['$price', 5],
      ['plain', 2],
    ])
    expect(root.d.$native()).toEqual({ $price: 5, plain: 2 })
    expect(root.d.$json()).toBe('{"$price":5,"plain":2}')
  })

  test("node's own assertions take it for what it shows", () => {
    const { root } = freshDatabase()
    root.d = { a: 1, b: [1, 2, { c: 3 }] }
    assert.deepStrictEqual(root.d, { a: 1, b: [1, 2, { c: 3 }] })
    assert.notDeepStrictEqual(root.d, { a: 1, b: [1, 2, { c: 4 }] })
    assert.deepStrictEqual(root.d.b, [1, 2, { c: 3 }])
    const { a, ...rest } = root.d
    expect(a).toBe(1)
    expect(Object.keys(rest)).toEqual(['b'])
    Object.assign(root.d, { b: 'replaced', z: { y: 1 } })
    expect(root.d.$native()).toEqual({ a: 1, b: 'replaced', z: { y: 1 } })
  })

  test('prints as an object, cycles and all', () => {
    const root = freshDatabase().root
    root.d = { a: 1, list: [1, { x: 2 }] }
    expect(inspect(root.d)).toBe('{ a: 1, list: List(2) [ 1, { x: 2 } ] }')
    root.d.self = root.d
    expect(inspect(root.d, { depth: null })).toContain('self: [Circular]')
  })
})

describe('operations', () => {
  test('$get and $has cross containers; default; separator', () => {
    const db = freshDatabase()
    db.root.a = { list: [10, { x: 'deep' }] }
    db.root.c = db.collection().set('k.1', { v: 1 }).set('u', [7])
    const root = db.root
    expect(root.$get('a.list.1.x')).toBe('deep')
    expect(root.$get(['a', 'list', 1, 'x'])).toBe('deep')
    expect(root.$get('a/list/0', undefined, { sep: '/' })).toBe(10)
    expect(root.$get('c.u.0')).toBe(7)
    expect(root.$get(['c', 'k.1', 'v'])).toBe(1)
    expect(root.$get('a.none.x', 'dflt')).toBe('dflt')
    expect(root.$get('a.none')).toBe(undefined)
    expect(root.$has('a.list.1')).toBe(true)
    expect(root.$has('a.list.2')).toBe(false)
    expectCode('ARG', () => root.$get('a', 0, { seperator: '/' } as any), /seperator/)
    expectCode('ARG', () => root.$get('a', 0, { sep: '' }))
    expectCode('TYPE', () => root.$get({} as any))
  })

  test('$set returns the value; KEY for a missing intermediate; EXISTS', () => {
    const root = freshDatabase().root
    expect(root.$set('a', 1)).toBe(1)
    expect(root.$set('o', { x: 1 }, { sync: true })).toEqual({ x: 1 })
    expect(root.$set('o.y', 2)).toBe(2)
    expect(root.o.$native()).toEqual({ x: 1, y: 2 })
    expectCode('KEY', () => root.$set('none.x', 1))
    expectCode('EXISTS', () => root.$set('a', 2, { fail: true }))
    expect(root.$set('b', 3, { fail: true })).toBe(3)
    expect(root.a).toBe(1)
    expectCode('ARG', () => root.$set('a', 1, { ttl: 5 } as any), /ttl/)
    expectCode('ARG', () => root.$set('a', 1, { fail: 1 } as any), /fail/)
  })

  test('$delete, also of list elements', () => {
    const root = freshDatabase().root
    root.a = { list: [1, 2, 3], x: 1 }
    expect(root.$delete('a.list.0')).toBe(true)
    expect(root.a.list.native()).toEqual([2, 3])
    expect(root.$delete('a.x')).toBe(true)
    expect(root.$delete('a.x')).toBe(false)
    expect(root.$delete('no.such.path')).toBe(false)
  })

  test('$pop and $update do not split keys', () => {
    const root = freshDatabase().root
    root.$update({ 'a.b': 1, c: 2 })
    root.$update([['d', [1]]])
    root.$update(new Map([['e', 5]]))
    expect(root.$pop('a.b')).toBe(1)
    expect(root.$pop('a.b', 'none')).toBe('none')
    expect(root.$pop('a.b', undefined)).toBe(undefined)
    expectCode('KEY', () => root.$pop('a.b'))
    const list = root.$pop('d')
    expect(list.native()).toEqual([1])
    expect(root.$native()).toEqual({ c: 2, e: 5 })
    expectCode('TYPE', () => root.$update(5 as any))
    expectCode('TYPE', () => root.$update([['x', undefined]]))
    expect('x' in root).toBe(false)
  })

  test('$incr', () => {
    const root = freshDatabase().root
    expect(root.$incr('n')).toBe(1)
    expect(root.$incr('n', -5)).toBe(-4)
    expect(root.$incr('f', 0.5)).toBe(0.5)
    expect(root.$incr('big', 2n ** 53n)).toBe(2n ** 53n)
    expect(root.$incr('big', 2n ** 70n)).toBe(2n ** 70n + 2n ** 53n)
    root.o = { text: 'x' }
    expect(root.$incr('o.deep')).toBe(1)
    expectCode('TYPE', () => root.$incr('o.text'))
    expectCode('TYPE', () => root.$incr('n', 'x' as any))
    expectCode('KEY', () => root.$incr('none.n'))
  })

  test('$cas compares by value', () => {
    const root = freshDatabase().root
    expect(root.$cas('a', undefined, 1)).toBe(true)
    expect(root.$cas('a', undefined, 2)).toBe(false)
    expect(root.$cas('a', 1n, { deep: [1, { x: NaN }] })).toBe(true)
    expect(root.$cas('a', { deep: [1, { x: 0 }] }, 0)).toBe(false)
    expect(root.$cas('a', { deep: [1, { x: NaN }] }, -0)).toBe(true)
    expect(root.$cas('a', 0, undefined)).toBe(true)
    expect('a' in root).toBe(false)
  })

  test('$modify', () => {
    const root = freshDatabase().root
    expect(root.$modify('n', (old: number | undefined) => (old ?? 10) + 1)).toBe(11)
    expect(root.n).toBe(11)
    expect(root.$modify('n', () => undefined)).toBe(undefined)
    expect('n' in root).toBe(false)
    expect(() =>
      root.$modify('n', () => {
        throw new RangeError('mine')
      }),
    ).toThrow('mine')
    expectCode('ARG', () => root.$modify('n', 5 as any))
  })

  test('$json in and out', () => {
    const root = freshDatabase().root
    root.d = { a: 1 }
    expect(root.d.$json('{"x": [1, 2.5, {"y": null}], "big": 123456789012345678901234567890}')).toBe(undefined)
    expect(root.d.$native()).toEqual({ x: [1, 2.5, { y: null }], big: 123456789012345678901234567890n })
    expect(root.d.$json()).toBe('{"big":123456789012345678901234567890,"x":[1,2.5,{"y":null}]}')
    expectCode('TYPE', () => root.d.$json('[1]'))
    expectCode('VALUE', () => root.d.$json('{"a": 1,\n  b}'), /line 2, column 3/)
    expect(() => root.d.$json('{')).toThrow(SyntaxError)
    expect(root.d.$size).toBe(2)
  })

  test('iterators show one version', () => {
    const root = freshDatabase().root
    root.d = { a: 1, b: 2 }
    const values: unknown[] = []
    for (const [key, value] of root.d.$entries()) {
      root.d[`${key}2`] = 0
      values.push(value)
    }
    expect(values).toEqual([1, 2])
    expect([...root.d.$keys()]).toEqual(['a', 'a2', 'b', 'b2'])
    expect([...root.d.$values()]).toEqual([1, 0, 2, 0])
  })

  test('$search', () => {
    const root = freshDatabase().root
    root.users = {
      ann: { age: 30, tags: ['red', 'blue'], pet: { name: 'Rex' } },
      bob: { age: 20.5, tags: [] },
      cid: { tags: ['red'] },
    }
    const names = (path: any, op: any, value: unknown) => [...root.users.$search(path, op, value).keys()]
    expect(names('age', '>', 25)).toEqual(['ann'])
    expect(names('age', '<=', 30n)).toEqual(['ann', 'bob'])
    expect(names('age', '!=', 30)).toEqual(['bob'])
    expect(names('age', 'ge', 20.5)).toEqual(['ann', 'bob'])
    expect(names('tags.*', '==', 'red')).toEqual(['ann', 'cid'])
    expect(names('tags', 'eq', [])).toEqual(['bob'])
    expect(names(['pet'], '==', { name: 'Rex' })).toEqual(['ann'])
    expect(names('age', '<', 'text')).toEqual([])
    const found = root.users.$search('age', '>', 0)
    expect(found.size).toBe(2)
    expect(found.get('ann')).toBe(root.users.ann)
    expect(found.has('cid')).toBe(false)
    expect(found.native().bob.age).toBe(20.5)
    expectCode('READONLY', () => found.set())
    expectCode('ARG', () => names('age', '=' as any, 1))
  })
})

test('the root is a Dict over a Collection with the same operations', () => {
  const { root } = freshDatabase()
  root.$update(new Map<unknown, unknown>([['text', 1], [5, 'five']]) as any) // prettier-ignore
  expect(Object.keys(root)).toEqual(['text'])
  expect([...root.$keys()]).toEqual([5, 'text'])
  expect(root.$get([5])).toBe('five')
  expect(root.$size).toBe(2)
  expect(root).toBeInstanceOf(Dict)
  root.self = root
  expect(root.self).toBe(root)
})

test('Dict.create', () => {
  const db = freshDatabase()
  const d = Dict.create(db) as any
  d.x = 1
  db.root.d = d
  expect(db.root.d).toBe(d)
  expect(db.root.d.x).toBe(1)
  expectCode('ARG', () => Dict.create({} as any))
})
