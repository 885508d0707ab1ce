import { inspect } from 'node:util'
import fc from 'fast-check'
import { List } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase } from '../support/database'

function listOf(content: unknown[]): any {
  const db = freshDatabase()
  db.root.list = content
  return db.root.list
}

/** What a call gives: its result or its error, in a form that can be compared. */
function outcome(call: () => unknown): unknown {
  try {
    const result: any = call()
    if (typeof result === 'object' && result !== null && typeof result.next === 'function')
      return { iterated: [...result] }
    return { result: result instanceof List ? result.native() : result }
  } catch (error) {
    return { error: (error as Error).constructor.name }
  }
}

describe('a List against an array', () => {
  const index = fc.oneof(
    fc.integer({ min: -8, max: 8 }),
    fc.constantFrom(undefined, NaN, Infinity, -Infinity, 1.7, '2', null),
  )
  const item = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom('a', 'b', null, true, 0.5, NaN))
  const even = (x: unknown): boolean => typeof x === 'number' && x % 2 === 0
  const text = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0)

  // [method, arguments]: each is run on both, results and contents must be the same.
  const call = fc.oneof(
    fc.tuple(fc.constantFrom('at', 'with', 'lastIndexOf', 'indexOf', 'includes'), fc.tuple(index, item)),
    fc.tuple(fc.constantFrom('indexOf', 'includes', 'lastIndexOf'), fc.tuple(item)),
    fc.tuple(fc.constantFrom('slice', 'copyWithin'), fc.array(index, { maxLength: 3 })),
    fc.tuple(fc.constantFrom('splice', 'toSpliced'), fc.array(index, { maxLength: 2 })),
    fc.tuple(fc.constantFrom('splice', 'toSpliced'), fc.tuple(index, index, item, item)),
    fc.tuple(fc.constant('fill'), fc.tuple(item, index, index)),
    fc.tuple(fc.constantFrom('push', 'unshift', 'concat'), fc.array(item, { maxLength: 4 })),
    fc.tuple(fc.constant('concat'), fc.tuple(fc.array(item, { maxLength: 3 }), item)),
    fc.tuple(
      fc.constantFrom('pop', 'shift', 'reverse', 'toReversed', 'join', 'toString', 'flat', 'keys', 'values', 'entries'),
      fc.tuple(),
    ),
    fc.tuple(fc.constantFrom('sort', 'toSorted'), fc.constantFrom([], [text], [5])),
    fc.tuple(
      fc.constantFrom('every', 'some', 'filter', 'find', 'findIndex', 'findLast', 'findLastIndex', 'map', 'forEach'),
      fc.constantFrom([even], [5], []),
    ),
    fc.tuple(fc.constant('flatMap'), fc.constantFrom([(x: unknown) => [x, x]], [(x: unknown) => x])),
    fc.tuple(
      fc.constantFrom('reduce', 'reduceRight'),
      fc.constantFrom(
        [(a: unknown, x: unknown) => `${a},${x}`],
        [(a: unknown, x: unknown) => `${a},${x}`, 'start'],
        [],
      ),
    ),
  )

  test('every method, in random sequences', () => {
    const db = freshDatabase()
    fc.assert(
      fc.property(fc.array(item, { maxLength: 6 }), fc.array(call, { maxLength: 12 }), (start, calls) => {
        const model: any[] = [...start]
        db.root.list = start
        const list = db.root.list
        for (const [name, args] of calls) {
          const expected = outcome(() => (model as any)[name](...args))
          const got = outcome(() => list[name](...args))
          expect(got, `${name}(${inspect(args)})`).toEqual(expected)
          expect(list.native(), `after ${name}(${inspect(args)})`).toEqual(model)
          expect(list.length).toBe(model.length)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('the table is whole: every method of Array.prototype answers on a List', () => {
    const list = listOf([3, 1, 2])
    for (const name of Object.getOwnPropertyNames(Array.prototype)) {
      if (name === 'constructor' || name === 'length') continue
      expect(typeof list[name], name).toBe('function')
      expect(list[name], `${name} must not be the generic one`).not.toBe((Array.prototype as any)[name])
    }
  })

  test('it is an array for the language', () => {
    const list = listOf([1, [2], { x: 3 }])
    expect(Array.isArray(list)).toBe(true)
    expect(list instanceof Array).toBe(true)
    expect(list).toBeInstanceOf(List)
    expect(list.constructor).toBe(Array)
    expect(JSON.stringify(list)).toBe('[1,[2],{"x":3}]')
    expect([...list].length).toBe(3)
    expect([0].concat(list).length).toBe(4)
    expect([0, list].flat(2)).toHaveLength(4)
    expect(Object.keys(list)).toEqual(['0', '1', '2'])
    expect(0 in list && !(3 in list) && 'length' in list && 'push' in list).toBe(true)
    expect(Object.getOwnPropertyDescriptor(list, 'length')).toEqual({
      value: 3,
      writable: true,
      enumerable: false,
      configurable: false,
    })
    const seen: string[] = []
    for (const key in list) seen.push(key)
    expect(seen).toEqual(['0', '1', '2'])
    expect(list).toEqual([1, [2], { x: 3 }])
    expect(list.foo).toBe(undefined)
    expect(list[-1]).toBe(undefined)
    expect(list[3]).toBe(undefined)
    const [first, ...rest] = list
    expect(first).toBe(1)
    expect(rest).toHaveLength(2)
    expect(Array.prototype.push.call(list, 9)).toBe(4)
    expect(list.native()).toEqual([1, [2], { x: 3 }, 9])
    expect(Array.prototype.indexOf.call(list, 9)).toBe(3)
    expect(inspect(list)).toBe('List(4) [ 1, List(1) [ 2 ], { x: 3 }, 9 ]')
  })

  test('elements that are containers are live', () => {
    const list = listOf([{ n: 1 }, [1]])
    list[0].n = 2
    expect(list.native()).toEqual([{ n: 2 }, [1]])
    expect(list[0]).toBe(list[0])
    expect(list.indexOf(list[1])).toBe(1)
    const [removed] = list.splice(0, 1)
    expect(removed.$native()).toEqual({ n: 2 })
    list.reverse().push({ m: 1 })
    expect(list.map((x: any) => (Array.isArray(x) ? 'list' : x.m))).toEqual(['list', 1])
    list.sort((a: any, b: any) => Number(Array.isArray(a)) - Number(Array.isArray(b)))
    const inner = list[1]
    inner.push(5)
    expect(list.native()).toEqual([{ m: 1 }, [1, 5]])
  })

  test('joining a list that contains itself ends', () => {
    const list = listOf([1, 2])
    list.push(list)
    expect(list.join()).toBe('1,2,')
    expect(String(list)).toBe('1,2,')
  })
})

describe('where a List differs from an array', () => {
  test('no holes: growth and delete give null', () => {
    const list = listOf([1])
    list[3] = 4
    expect(list.native()).toEqual([1, null, null, 4])
    expect(delete list[0]).toBe(true)
    expect(delete list[9]).toBe(true)
    expect(list.native()).toEqual([null, null, null, 4])
    list.length = 6
    expect(list.native()).toEqual([null, null, null, 4, null, null])
    list.length = 1
    expect(list.native()).toEqual([null])
    list.length = 0
    expect(list.length).toBe(0)
    expect(() => (list.length = -1)).toThrow(RangeError)
    expect(() => (list.length = 1.5)).toThrow(RangeError)
    list[0] = undefined
    list.push(undefined)
    list.fill(undefined, 0, 1)
    expect(list.native()).toEqual([null, null])
  })

  test('other properties: INDEX; symbols: TYPE', () => {
    const list = listOf([1])
    expectCode('INDEX', () => (list.foo = 1), /foo/)
    expectCode('INDEX', () => (list[-1] = 1))
    expectCode('INDEX', () => (list['01'] = 1))
    expectCode('INDEX', () => (list[1.5] = 1))
    expectCode('INDEX', () => (list[2 ** 32 - 1] = 1))
    expectCode('TYPE', () => (list[Symbol('x')] = 1))
    expectCode('TYPE', () => Object.freeze(list))
    expectCode('TYPE', () => Object.defineProperty(list, 0, { get: () => 1 }))
    expect(list.native()).toEqual([1])
  })

  test('callbacks and iterators run on the version of the call, and receive the List', () => {
    const list = listOf([1, 2, 3])
    const seen: unknown[] = []
    list.forEach(function (this: unknown, value: unknown, i: number, whole: unknown) {
      list.push(0)
      seen.push([this, value, i, whole === list])
    }, 'self')
    expect(seen).toEqual([
      ['self', 1, 0, true],
      ['self', 2, 1, true],
      ['self', 3, 2, true],
    ])
    const iterator = list.values()
    list.length = 0
    expect([...iterator]).toEqual([1, 2, 3, 0, 0, 0])
    expect(list.reduce((a: number, x: number, _i: number, whole: unknown) => a + x + Number(whole === list), 0)).toBe(0)
  })

  test('a long list is iterated in one version, with break and return', () => {
    const db = freshDatabase()
    db.root.list = Array.from({ length: 3000 }, (_, i) => i)
    const list = db.root.list
    let n = 0
    for (const value of list) {
      if (value === 10) list.splice(0, 2000)
      n++
    }
    expect(n).toBe(3000)
    expect(list.length).toBe(1000)
    for (const _value of list) break
    expect([...list.entries()][999]).toEqual([999, 2999])
    expect([...list.keys()].length).toBe(1000)
  })
})

describe('own methods', () => {
  test('insert as in Python', () => {
    const list = listOf(['b'])
    list.insert(0, 'a')
    list.insert(-1, 'x')
    list.insert(99, 'z')
    list.insert(-99, { first: true })
    expect(list.native()).toEqual([{ first: true }, 'a', 'x', 'b', 'z'])
    expectCode('ARG', () => list.insert('0', 1))
  })

  test('remove by deep value', () => {
    const list = listOf([1, { a: [1, NaN] }, 'x', 2n ** 70n, -0])
    list.remove({ a: [1n, NaN] })
    list.remove(2n ** 70n)
    list.remove(0)
    expect(list.native()).toEqual([1, 'x'])
    expectCode('VALUE', () => list.remove('none'))
  })

  test('extend, json, native, $id', () => {
    const list = listOf([])
    list.extend([1, [2]])
    list.extend(new Set(['s']))
    list.extend(list)
    expect(list.native()).toEqual([1, [2], 's', 1, [2], 's'])
    expect(list.json()).toBe('[1,[2],"s",1,[2],"s"]')
    list.json('[1.0, {"a": null}]')
    expect(list.native()).toEqual([1, { a: null }])
    expectCode('TYPE', () => list.json('{}'))
    expectCode('TYPE', () => list.extend(5))
    expect(list.$id).toBeGreaterThan(0)
  })

  test('List.create', () => {
    const db = freshDatabase()
    const list = List.create(db)
    list.push(1)
    db.root.list = list
    expect(db.root.list).toBe(list)
    expect(db.root.list.native()).toEqual([1])
  })
})
