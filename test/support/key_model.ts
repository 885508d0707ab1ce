// The order of keys as the documentation gives it, written anew: what the tests compare the engine with.

import { Uuid } from 'pongodb'
import type { Random } from './random'

function rankOf(key: unknown): number {
  if (key === null) return 0
  if (typeof key === 'boolean') return 1
  if (typeof key === 'number' || typeof key === 'bigint') return 2
  if (key instanceof Date) return 3
  if (key instanceof Uuid) return 4
  if (typeof key === 'string') return 5
  if (key instanceof Uint8Array) return 6
  if (Array.isArray(key)) return 7
  throw new Error(`no key: ${String(key)}`)
}

function sign(a: any, b: any): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function compareAll(a: readonly unknown[], b: readonly unknown[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const order = compareKeys(a[i], b[i])
    if (order !== 0) return order
  }
  return a.length - b.length
}

/** Below 0, 0 or above: null < false < true < numbers < datetimes < UUIDs < strings < bytes < tuples. */
export function compareKeys(a: any, b: any): number {
  const rank = rankOf(a)
  if (rank !== rankOf(b)) return rank - rankOf(b)
  switch (rank) {
    case 2:
      // The greatest number, where a NaN is possible: as a value of a MultiCollection.
      if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
      return sign(a, b)
    case 3:
      return a.getTime() - b.getTime()
    case 4:
      return Buffer.compare(a.bytes, b.bytes)
    case 5:
      return compareAll(
        [...(a as string)].map((c) => c.codePointAt(0)),
        [...(b as string)].map((c) => c.codePointAt(0)),
      )
    case 6:
      return Buffer.compare(a, b)
    case 7:
      return compareAll(a, b)
    default:
      return sign(a, b)
  }
}

/** What a key reads as after it was stored. */
export function readsAs(key: any): any {
  if (Array.isArray(key)) return key.map(readsAs)
  if (key === 0) return 0
  return typeof key === 'bigint' && Number.isSafeInteger(Number(key)) ? Number(key) : key
}

const words = [
  '',
  'a',
  'ab',
  'abc',
  'b',
  'a\0',
  'a\0b',
  'é',
  '\uffff',
  '😀',
  '😀a',
  '__proto__',
  '10',
  '9',
  'x'.repeat(300),
]

/** A key of any type; few enough different ones that they meet again. */
export function randomKey(random: Random, nesting = 0): any {
  switch (random.below(nesting > 2 ? 15 : 17)) {
    case 0:
      return random.pick([null, false, true])
    case 1:
    case 2:
    case 3:
      return random.between(-60, 60)
    case 4:
      return random.between(-20, 20) / 4
    case 5:
      return random.pick([
        -0,
        0n,
        1n,
        Infinity,
        -Infinity,
        2 ** 53,
        2n ** 53n,
        2 ** 60,
        2n ** 60n,
        2n ** 60n + 1n,
        2 ** 64,
        2n ** 64n,
      ])
    case 6:
      return random.pick([
        -(2n ** 80n),
        -(2 ** 80),
        2n ** 80n,
        2n ** 80n + 1n,
        1e300,
        5e-324,
        -5e-324,
        0.1,
        1 + 2 ** -52,
      ])
    case 7:
      return new Date(random.between(-5, 5) * 1000)
    case 8:
      return new Uuid(new Uint8Array(16).fill(random.below(3)))
    case 9:
    case 10:
    case 11:
      return random.pick(words) + random.pick(words)
    case 12:
      return `user:${random.below(200)}`
    case 13:
      return new Uint8Array(random.below(4)).fill(random.pick([0, 1, 255]))
    case 14:
      return random.pick(words)
    default:
      return Array.from({ length: random.below(4) }, () => randomKey(random, nesting + 1))
  }
}

/** The position of the first of `sorted` that is not below: in order of `compare`. */
export function lowerBound<T>(sorted: readonly T[], below: (item: T) => boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (below(sorted[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}

/** Whether a key begins with a string, or a tuple with a tuple. */
export function beginsWith(key: any, prefix: any): boolean {
  if (typeof prefix === 'string') return typeof key === 'string' && key.startsWith(prefix)
  return Array.isArray(key) && key.length >= prefix.length && compareKeys(key.slice(0, prefix.length), prefix) === 0
}
