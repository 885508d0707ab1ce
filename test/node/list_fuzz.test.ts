// A List against a real array: every method of Array.prototype (ES2023), indices and `length`, in random sequences with
// ordinary and odd arguments. Results, types of errors, callbacks' arguments and contents must be the same.
//
// The differences, all deliberate:
//   - There are no holes. Growth by index or length, and `delete`, give null; undefined is stored as null.
//   - Objects are stored as copies, and read as live containers: compared here by content. `fill` copies for each place.
//   - A bigint that is a safe integer reads as a number.
//   - Another property than an index or `length` cannot be set (INDEX), and what has no stored form is refused (TYPE).
//   - A List grows by at most 2^25 elements at a time by an index or a length beyond its end.
//   - Callbacks and iterators run on the version of the call (list.test.ts).

import { inspect, isDeepStrictEqual } from 'node:util'
import { expect, test } from 'vitest'
import { freshDatabase } from '../support/database'
import { operations, Random } from '../support/random'

type Call = [name: string, listArgs: any[], arrayArgs: any[]]

const odd: unknown[] = [
  undefined,
  NaN,
  Infinity,
  -Infinity,
  1.7,
  -1.2,
  '2',
  ' 1 ',
  'x',
  null,
  true,
  {},
  [],
  [3],
  { valueOf: () => 2 },
]
const refused = [1n, Symbol('no number')]

const order = (a: unknown, b: unknown): number => {
  const x = inspect(plain(a))
  const y = inspect(plain(b))
  return x < y ? -1 : x > y ? 1 : 0
}

/** Live containers as plain copies, all the way down. */
function plain(value: any): any {
  if (Array.isArray(value)) return Array.from(value, plain)
  return typeof value?.$native === 'function' ? value.$native() : value
}

/** What is read after a value was stored. */
function stored(value: any): any {
  if (value === undefined) return null
  if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) return Number(value)
  return structuredClone(value)
}

class Fuzz {
  constructor(
    readonly random: Random,
    readonly list: any,
    readonly array: any[],
  ) {}

  index(): any {
    const { random } = this
    if (random.chance(0.02)) return random.pick(refused)
    if (random.chance(0.15)) return random.pick(odd)
    return random.between(-this.array.length - 2, this.array.length + 2)
  }

  item(): any {
    const { random } = this
    return random.pick<() => unknown>([
      () => random.between(-3, 9),
      () => random.next() * 10,
      () => random.pick(['', 'a', 'b', 'B', 'é', '😀', 'longer than a word of eight bytes', 'x'.repeat(300)]),
      () => random.pick([null, true, false, -0, NaN, Infinity, 2 ** 53, 10n, 2n ** 70n, undefined]),
      () => random.pick([new Date(5), new Uint8Array([1, 2]), new Uint8Array(400)]),
      () => random.pick<unknown>([[], [1, [2, [3]]], ['a', null], { k: 1 }, { deep: { list: [1, 2] } }]),
    ])()
  }

  many(most: number, make: () => unknown): any[] {
    return Array.from({ length: this.random.below(most + 1) }, make)
  }

  /** Something to look for: a primitive, or an element, which is one object here and another there. */
  wanted(): [any, any] {
    const { random, list, array } = this
    if (array.length === 0 || random.chance(0.3)) {
      const value = random.pick([1, 2.5, 'a', null, NaN, 0, -0, undefined, 'none'])
      return [value, value]
    }
    const at = random.below(array.length)
    // Dates and bytes are new objects at each reading.
    if (array[at] instanceof Date || array[at] instanceof Uint8Array) return ['none', 'none']
    return [list[at], array[at]]
  }

  callback(): any {
    const { random } = this
    if (random.chance(0.06)) return random.pick([undefined, null, 5, 'f', {}])
    const modulus = random.between(1, 4)
    return random.pick([
      (_value: unknown, i: number) => i % modulus === 0,
      (value: unknown) => inspect(plain(value)).length % modulus === 0,
      () => true,
      () => false,
    ])
  }

  call(): Call {
    const { random } = this
    const same = (name: string, args: any[]): Call => [name, args, args]
    const copied = (name: string, args: any[]): Call => [name, args, args.map(stored)]
    switch (random.below(26)) {
      case 0:
        return same(
          'at',
          this.many(1, () => this.index()),
        )
      case 1:
        return same(
          'concat',
          this.many(3, () => this.item()),
        )
      case 2:
        return same(
          'copyWithin',
          this.many(3, () => this.index()),
        )
      case 3: {
        const name = random.pick(['entries', 'keys', 'values'])
        return same(name, [])
      }
      case 4:
      case 5: {
        const name = random.pick([
          'every',
          'some',
          'filter',
          'find',
          'findIndex',
          'findLast',
          'findLastIndex',
          'forEach',
          'map',
        ])
        return same(name, random.chance(0.03) ? [] : [this.callback(), { some: 'this' }])
      }
      case 6: {
        const value = this.item()
        const rest = this.many(2, () => this.index())
        return ['fill', [value, ...rest], [stored(value), ...rest]]
      }
      case 7:
        return same(
          'flat',
          this.many(1, () => random.pick([0, 1, 2, Infinity, '1', undefined, NaN, -1])),
        )
      case 8:
        return same('flatMap', [random.pick([(x: any) => [x, x], (x: any) => x, (x: any) => [[x]], 5])])
      case 9:
      case 10: {
        const [here, there] = this.wanted()
        const from = this.many(1, () => this.index())
        return [random.pick(['includes', 'indexOf', 'lastIndexOf']), [here, ...from], [there, ...from]]
      }
      case 11:
        return same(
          'join',
          this.many(1, () => random.pick([',', '', ' - ', undefined, null, 5])),
        )
      case 12:
        return same('pop', [])
      case 13:
      case 14:
        return copied(
          'push',
          this.many(4, () => this.item()),
        )
      case 15: {
        const text = (a: any, b: any): string => `${inspect(plain(a))},${inspect(plain(b))}`.slice(-50)
        return same(
          random.pick(['reduce', 'reduceRight']),
          random.pick([[text], [text, 'start'], [text, undefined], [], [1]]),
        )
      }
      case 16:
        return same(random.pick(['reverse', 'toReversed']), [])
      case 17:
        return same('shift', [])
      case 18:
        return same(
          'slice',
          this.many(2, () => this.index()),
        )
      case 19: {
        const by = random.pick<any[]>([
          [],
          [undefined],
          [order],
          [(a: any, b: any) => -order(a, b)],
          [() => 0],
          [() => NaN],
          [5],
          [null],
        ])
        return same(random.pick(['sort', 'toSorted']), by)
      }
      case 20:
      case 21: {
        const head = this.many(2, () => this.index())
        const items = head.length === 2 ? this.many(3, () => this.item()) : []
        return random.chance(0.7)
          ? ['splice', [...head, ...items], [...head, ...items.map(stored)]]
          : same('toSpliced', [...head, ...items])
      }
      case 22:
        return same(random.pick(['toLocaleString', 'toString']), [])
      case 23:
        return copied(
          'unshift',
          this.many(3, () => this.item()),
        )
      case 24:
        return same('with', [this.index(), this.item()])
      default:
        return same(random.pick(['index', 'length', 'delete', 'grow', 'in', 'spread']), [random.next(), this.item()])
    }
  }
}

/** What is no method of arrays: indices, length, `in`, delete, spread. */
function syntax(target: any, model: boolean, name: string, [where, item]: [number, any]): unknown {
  const length: number = target.length
  const at = Math.floor(where * (length + 1))
  switch (name) {
    case 'index':
      if (at <= length) target[at] = model ? stored(item) : item
      return target[at]
    case 'grow': {
      const to = length + Math.floor(where * 6)
      target[to] = model ? stored(item) : item
      if (model) target.fill(null, length, to)
      return target.length
    }
    case 'length': {
      const to = where < 0.1 ? 1.5 : Math.floor(where * 1.3 * length)
      target.length = to
      if (model) target.fill(null, length)
      return target.length
    }
    case 'delete':
      if (model && at < length) target[at] = null
      return model ? true : delete target[at]
    case 'in':
      return [at in target, (-1) in target, 'length' in target, Object.keys(target), 'none' in target]
    default: {
      const [first, ...rest] = target
      return [first, rest, { ...target }, Array.from(target), Object.entries(target)]
    }
  }
}

interface Outcome {
  value?: unknown
  error?: string
  self?: boolean
  seen?: unknown[]
}

function outcome(target: any, model: boolean, name: string, args: any[]): Outcome {
  const seen: unknown[] = []
  const watched = args.map((arg: any, at) =>
    at > 0 || typeof arg !== 'function' || /sort/i.test(name)
      ? arg
      : function (this: unknown, ...inner: any[]): unknown {
          seen.push(
            this,
            inner.map((x) => (x === target ? 'whole' : plain(x))),
          )
          return Reflect.apply(arg, this, inner)
        },
  )
  try {
    const result: any =
      name in Array.prototype && name !== 'length' ? target[name](...watched) : syntax(target, model, name, args as any)
    if (result === target) return { self: true, seen }
    return { value: typeof result?.next === 'function' ? [...result].map(plain) : plain(result), seen }
  } catch (error) {
    return { error: (error as Error).constructor.name, seen }
  }
}

/** A copy for each place that holds one object: what `fill` of a List stores. */
function separate(array: any[], value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  array.forEach((item, at) => {
    if (item === value) array[at] = structuredClone(item)
  })
}

test('a List does what an array does', () => {
  const random = new Random()
  const db = freshDatabase()
  let total = operations(200_000)
  const used = new Set<string>()
  while (total > 0) {
    const length = random.chance(0.02) ? random.between(100, 700) : random.below(12)
    const maker = new Fuzz(random, [], [])
    const start = Array.from({ length }, () => maker.item())
    db.root.list = start
    const fuzz = new Fuzz(random, db.root.list, start.map(stored))
    const run = length > 100 ? 60 : 400
    for (let i = 0; i < run; i++, total--) {
      const [name, listArgs, arrayArgs] = fuzz.call()
      used.add(name)
      const before = [...fuzz.array]
      const expected = outcome(fuzz.array, true, name, arrayArgs)
      if (name === 'fill') separate(fuzz.array, arrayArgs[0])
      const got = outcome(fuzz.list, false, name, listArgs)
      if (!isDeepStrictEqual(got, expected) || !isDeepStrictEqual(fuzz.list.native(), fuzz.array)) {
        const what = `seed ${random.seed}: ${inspect(before)}.${name}(${listArgs.map((x) => inspect(x)).join(', ')})`
        expect(got, what).toStrictEqual(expected)
        expect(fuzz.list.native(), `${what}, contents after it`).toStrictEqual(fuzz.array)
        expect.fail(what)
      }
      if (fuzz.array.length > 1000) fuzz.array.length = fuzz.list.length = 5
    }
  }
  const missing = Object.getOwnPropertyNames(Array.prototype).filter(
    (name) => !used.has(name) && name !== 'constructor',
  )
  expect(missing).toEqual([])
}, 600_000)
