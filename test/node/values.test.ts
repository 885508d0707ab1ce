import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { Collection, Dict, List, Uuid } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase, nested, openAt } from '../support/database'

describe('values that read back as they were stored', () => {
  const date = new Date(1_700_000_000_123)
  const uuid = new Uuid('00112233-4455-6677-8899-aabbccddeeff')
  const cases: [string, unknown][] = [
    ['null', null],
    ['true', true],
    ['false', false],
    ['zero', 0],
    ['minus zero', -0],
    ['small integer', 42],
    ['negative', -7],
    ['int32 limit', 2 ** 31],
    ['int32 limit below', -(2 ** 31) - 1],
    ['largest safe integer', Number.MAX_SAFE_INTEGER],
    ['smallest safe integer', Number.MIN_SAFE_INTEGER],
    ['unsafe integer-valued float', 2 ** 60],
    ['fraction', 0.1],
    ['smallest double', Number.MIN_VALUE],
    ['largest double', Number.MAX_VALUE],
    ['infinity', Infinity],
    ['minus infinity', -Infinity],
    ['NaN', NaN],
    ['bigint of 64 bits', 2n ** 63n - 1n],
    ['bigint below 64 bits', -(2n ** 63n)],
    ['bigint beyond 64 bits', 2n ** 63n],
    ['large bigint', 3n ** 300n],
    ['negative large bigint', -(3n ** 300n)],
    ['empty string', ''],
    ['string with NUL', 'a\0b'],
    ['non-ASCII string', 'héllo wörld ✓ 😀'],
    ['long string', 'x'.repeat(100_000)],
    ['long non-ASCII string', 'é😀'.repeat(30_000)],
    ['Date', date],
    ['Date before 1970', new Date(-1)],
    ['earliest Date', new Date(-8.64e15)],
    ['latest Date', new Date(8.64e15)],
    ['Uuid', uuid],
    ['bytes', new Uint8Array([0, 1, 255])],
    ['no bytes', new Uint8Array()],
  ]
  test.each(cases)('%s, as a property, an element, nested and as a Collection value', (_name, value) => {
    const { root, ...db } = { root: freshDatabase().root as any }
    expect(db).toEqual({})
    root.value = value
    root.list = [value]
    root.deep = { a: { b: [value] } }
    const read = [root.value, root.list[0], root.list.native()[0], root.deep.a.b[0], root.$native().deep.a.b[0]]
    for (const item of read) {
      if (value instanceof Uuid) expect(item.equals(value)).toBe(true)
      else expect(item).toStrictEqual(value)
      if (typeof value === 'number') expect(Object.is(item, value)).toBe(true)
    }
  })

  test('any double is bit-exact', () => {
    const root = freshDatabase().root
    fc.assert(
      fc.property(fc.double(), (value) => {
        root.x = value
        root.y = [value]
        return Object.is(root.x, value) && Object.is(root.y[0], value)
      }),
    )
  })

  test('any bigint', () => {
    const root = freshDatabase().root
    fc.assert(
      fc.property(fc.bigInt(), (value) => {
        const expected = Number.isSafeInteger(Number(value)) ? Number(value) : value
        root.x = value
        root.y = [value]
        return root.x === expected && root.y.native()[0] === expected
      }),
    )
  })

  test('any string without lone surrogates', () => {
    const root = freshDatabase().root
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (value) => {
        root.x = value
        root.y = { [value]: [value] }
        return root.x === value && root.y.$native()[value][0] === value
      }),
    )
  })

  test('a bigint that is safe reads as a number', () => {
    const root = freshDatabase().root
    root.x = 5n
    expect(root.x).toBe(5)
  })

  test('bytes are a copy both ways, from Buffer and ArrayBuffer too', () => {
    const root = freshDatabase().root
    const source = Buffer.from('abc')
    root.a = source
    source[0] = 0
    const read = root.a
    expect(read).toStrictEqual(new Uint8Array([97, 98, 99]))
    read[0] = 0
    expect(root.a[0]).toBe(97)
    root.b = new Uint8Array([1, 2]).buffer
    expect(root.b).toStrictEqual(new Uint8Array([1, 2]))
  })
})

describe('what becomes a container', () => {
  test('plain objects, of other realms too, and without prototype', () => {
    const root = freshDatabase().root
    root.a = { x: 1 }
    root.b = runInNewContext('({ x: 1, list: [1, 2], when: new Date(5) })')
    root.c = Object.assign(Object.create(null), { x: 1 })
    expect(root.a).toBeInstanceOf(Dict)
    expect(root.b.$native()).toEqual({ x: 1, list: [1, 2], when: new Date(5) })
    expect(root.c.$native()).toEqual({ x: 1 })
  })

  test('a Map, with keys of any type', () => {
    const root = freshDatabase().root
    const map = new Map<unknown, unknown>([
      ['b', 1],
      [2, 'two'],
      [null, 0],
      [new Date(5), 'date'],
      [[1, 'a'], 'tuple'],
    ])
    root.m = map
    expect(root.m).toBeInstanceOf(Dict)
    const copy = root.m.$native() as Map<unknown, unknown>
    expect([...copy.keys()]).toEqual([null, 2, new Date(5), 'b', [1, 'a']])
    expect([...root.m.$keys()]).toEqual([null, 2, new Date(5), 'b', [1, 'a']])
    root.n = new Map([['only', 'strings']])
    expect(root.n.$native()).toEqual({ only: 'strings' })
  })

  test('getters are evaluated, once', () => {
    const root = freshDatabase().root
    let calls = 0
    root.a = {
      get x() {
        return ++calls
      },
    }
    expect(root.a.x).toBe(1)
    expect(calls).toBe(1)
  })

  test('holes and undefined in arrays are null; undefined in objects is left out', () => {
    const root = freshDatabase().root
    root.l = [1, , undefined, 4]
    expect(root.l.native()).toEqual([1, null, null, 4])
    root.o = { a: undefined, b: 1 }
    expect(root.o.$native()).toEqual({ b: 1 })
    expect(root.o.$size).toBe(1)
  })

  test('toPongo comes first, toJSON last; both may use the database', () => {
    const root = freshDatabase().root
    class Point {
      constructor(readonly x: number) {}
      toPongo() {
        root.seen = { at: this.x }
        return { p: this.x }
      }
      toJSON() {
        return 'not this'
      }
    }
    class Celsius {
      toJSON() {
        return { degrees: [20] }
      }
    }
    root.list = [new Point(1), { q: new Point(2) }, new Celsius()]
    expect(root.list.native()).toEqual([{ p: 1 }, { q: { p: 2 } }, { degrees: [20] }])
    expect(root.seen.at).toBe(2)
    const stamped = Object.assign(new Date(7), { toPongo: () => 'stamp' })
    root.d = stamped
    expect(root.d).toBe('stamp')
    root.o = { gone: { toPongo: () => undefined }, here: 1 }
    expect(root.o.$native()).toEqual({ here: 1 })
  })

  test('a live container of the same database goes by reference, cycles included', () => {
    const root = freshDatabase().root
    root.a = { n: 1 }
    root.b = { other: root.a }
    expect(root.b.other).toBe(root.a)
    root.b.other.n = 2
    expect(root.a.n).toBe(2)
    root.a.self = root.a
    root.a.top = root
    expect(root.a.self.self).toBe(root.a)
    expect(root.a.top).toBe(root)
    expectCode('TYPE', () => root.a.$native())
  })

  test('a second handle of the same file counts as the same database', () => {
    const db = freshDatabase()
    const again = openAt(db.path)
    db.root.a = { n: 1 }
    again.root.b = db.root.a
    again.root.b.n = 2
    expect(db.root.a.n).toBe(2)
    expect(again.root.b.$id).toBe(db.root.a.$id)
  })

  test('a container of another database or of a snapshot becomes a deep copy of the same kinds', () => {
    const db = freshDatabase()
    const other = freshDatabase()
    db.root.a = { list: [1, { x: 2 }], users: db.collection().set(5, { name: 'Ann' }) }
    other.root.copy = db.root.a
    db.root.a.list.push('later')
    expect(other.root.copy.list.native()).toEqual([1, { x: 2 }])
    expect(other.root.copy.users).toBeInstanceOf(Collection)
    expect(other.root.copy.users.get(5).name).toBe('Ann')
    const snap = db.snapshot()
    db.root.a.list[0] = 'changed'
    db.root.back = snap.root.a
    expect(db.root.back.list[0]).toBe(1)
    expect(db.root.back).not.toBe(db.root.a)
    snap.release()
  })
})

describe('what is refused, naming the path, and changes nothing', () => {
  class Plain {}
  const cases: [string, string, unknown, RegExp][] = [
    ['a function', 'TYPE', { users: { alice: { cb: () => 1 } } }, /^value\.users\.alice\.cb: /],
    ['a symbol', 'TYPE', { list: [1, Symbol('s')] }, /^value\.list\.1: /],
    ['a class instance', 'TYPE', { a: new Plain() }, /^value\.a: .*Plain/],
    ['a Set', 'TYPE', new Set([1]), /^value: /],
    ['a RegExp', 'TYPE', [/x/], /^value\.0: /],
    ['a promise', 'TYPE', Promise.resolve(1), /^value: /],
    ['another typed array', 'TYPE', new Float64Array(1), /^value: /],
    ['a boxed number', 'TYPE', { n: Object(5) }, /^value\.n: /],
    ['undefined', 'TYPE', undefined, /^value: /],
    ['an invalid Date', 'VALUE', { when: new Date(NaN) }, /^value\.when: /],
    ['a lone surrogate', 'VALUE', { s: ['\ud800'] }, /^value\.s\.0: /],
    ['a lone surrogate in a key', 'VALUE', { '\udc00': 1 }, /surrogate/],
    ['a NaN key', 'VALUE', new Map([[NaN, 1]]), /NaN/],
    ['an object as key', 'TYPE', new Map([[{}, 1]]), /key/],
    ['513 levels', 'DEPTH', nested(513), /512/],
  ]
  test.each(cases)('%s: %s', (_name, code, value, message) => {
    const root = freshDatabase().root
    root.value = 'before'
    expectCode(code, () => (root.value = value), message)
    expectCode(code, () => root.$set('value', value), message)
    expect(root.$native()).toEqual({ value: 'before' })
  })

  test('a lone surrogate as value or key', () => {
    const root = freshDatabase().root
    expectCode('VALUE', () => (root.a = '\ud800'))
    expectCode('VALUE', () => (root['\ud800'] = 1))
    expectCode('VALUE', () => root.$set(['x\udfff'], 1))
    expect(root.$size).toBe(0)
  })

  test('a cycle among plain objects', () => {
    const root = freshDatabase().root
    const ring: Record<string, unknown> = { list: [] }
    ;(ring['list'] as unknown[]).push({ back: ring })
    expectCode('TYPE', () => (root.ring = ring), /^ring\.list\.0\.back: /)
    const shared = { n: 1 }
    root.twice = [shared, shared]
    expect(root.twice.native()).toEqual([{ n: 1 }, { n: 1 }])
  })

  test('toPongo that returns itself', () => {
    const root = freshDatabase().root
    const self = {
      toPongo(): unknown {
        return self
      },
    }
    expectCode('DEPTH', () => (root.a = self))
  })

  test('a getter that throws throws through', () => {
    const root = freshDatabase().root
    const bad = {
      get x(): number {
        throw new RangeError('mine')
      },
    }
    expect(() => (root.a = bad)).toThrow(RangeError)
    root.a = 'still works'
    expect(root.$native()).toEqual({ a: 'still works' })
  })
})

describe('keys', () => {
  test('are in one order', () => {
    const keys = [
      null,
      false,
      true,
      -Infinity,
      -(2n ** 80n),
      -1.5,
      0,
      0.5,
      1,
      2 ** 53,
      2n ** 63n,
      Infinity,
      new Date(-5),
      new Date(5),
      new Uuid('00000000-0000-0000-0000-000000000001'),
      new Uuid('ffffffff-0000-0000-0000-000000000000'),
      '',
      '1',
      'a',
      'ab',
      '\uffff',
      '😀',
      new Uint8Array([]),
      new Uint8Array([0]),
      new Uint8Array([1]),
      [],
      [null],
      [1],
      [1, 'a'],
      ['a'],
      [['a']],
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray(keys, { minLength: keys.length }), (shuffled) => {
        const c = freshCollection()
        for (const key of shuffled) c.set(key as any, keys.indexOf(key))
        expect([...c.values()]).toEqual(keys.map((_key, i) => i))
        expect(JSON.stringify([...c.keys()].map(String))).toBe(JSON.stringify(keys.map(String)))
      }),
      { numRuns: 10 },
    )
  })

  const freshCollection = (): Collection => {
    const db = freshDatabase()
    return (db.root.c = db.collection())
  }

  test('1 and 1.0 and 1n are one, 1 and "1" are two, -0 is 0', () => {
    const c = freshCollection()
    c.set(1, 'number').set('1', 'text').set(1n, 'bigint')
    expect(c.size).toBe(2)
    expect(c.get(1)).toBe('bigint')
    c.set(-0, 'zero')
    expect(Object.is([...c.keys()][0], 0)).toBe(true)
    expect(c.get(0)).toBe('zero')
  })

  test('NaN and what cannot be a key', () => {
    const c = freshCollection()
    expectCode('VALUE', () => c.set(NaN, 1))
    expectCode('VALUE', () => c.set([NaN], 1))
    expectCode('TYPE', () => c.set({} as any, 1))
    expectCode('TYPE', () => c.set((() => 1) as any, 1))
    expectCode('TYPE', () => c.set(List as any, 1))
    expectCode('TYPE', () => c.get(undefined as any))
    expect(c.size).toBe(0)
  })
})

describe('Uuid', () => {
  test('text, bytes, equality, JSON', () => {
    const id = new Uuid('00112233-4455-6677-8899-AABBCCDDEEFF')
    expect(String(id)).toBe('00112233-4455-6677-8899-aabbccddeeff')
    expect(JSON.stringify({ id })).toBe('{"id":"00112233-4455-6677-8899-aabbccddeeff"}')
    expect(id.equals(new Uuid(id.bytes))).toBe(true)
    expect(id.equals('00112233-4455-6677-8899-aabbccddeeff')).toBe(false)
    id.bytes[0] = 9
    expect(id.bytes[0]).toBe(0)
    expectCode('VALUE', () => new Uuid('nonsense'))
    expectCode('VALUE', () => new Uuid(new Uint8Array(15)))
    expectCode('TYPE', () => new Uuid(5 as any))
  })

  test('v4 and v7', () => {
    expect(String(Uuid.v4())).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const before = Date.now()
    const id = Uuid.v7()
    expect(String(id)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const time = Buffer.from(id.bytes).readUIntBE(0, 6)
    expect(time).toBeGreaterThanOrEqual(before)
    expect(time).toBeLessThanOrEqual(Date.now())
  })
})
