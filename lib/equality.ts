// Equality and order of values as the documentation defines them: `$cas`, `remove` and `search` use them.
// Equality is deep, with 1 = 1.0, NaN = NaN and -0 = 0. A live container equals itself and whatever has the same content.

import { isDate, isMap, isUint8Array } from 'node:util/types'
import { refOf } from './live'
import { Uuid } from './uuid'
import { compareCodePoints } from './wire'
import { plainCopy } from './packed'

function plainOf(value: unknown): unknown {
  const ref = refOf(value)
  return ref === undefined ? value : plainCopy(ref.handle, ref.view, ref.id)
}

/** Whether two values that were read from a database, or normalised, are equal. */
export function valuesEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a === 'number' && typeof b === 'number') return Number.isNaN(a) && Number.isNaN(b)
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    // A float beyond 2^53 and a big integer: `==` compares their mathematical values.
    const numbers = (typeof a === 'bigint' && typeof b === 'number') || (typeof a === 'number' && typeof b === 'bigint')
    return numbers && a == b // eslint-disable-line eqeqeq
  }
  const x = refOf(a)
  const y = refOf(b)
  if (
    x !== undefined &&
    y !== undefined &&
    x.id === y.id &&
    x.view === y.view &&
    x.handle.identity === y.handle.identity
  ) {
    return true
  }
  return plainEqual(plainOf(a), plainOf(b))
}

function plainEqual(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return valuesEqual(a, b)
  if (isDate(a)) return isDate(b) && a.getTime() === b.getTime()
  if (isUint8Array(a)) return isUint8Array(b) && Buffer.compare(a, b) === 0
  if (Uuid.peek(a) !== undefined) return (a as Uuid).equals(b)
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => valuesEqual(item, b[i]))
  }
  if (Array.isArray(b) || isDate(b) || isUint8Array(b) || Uuid.peek(b) !== undefined) return false
  const left = pairsOf(a)
  const right = pairsOf(b)
  if (left.length !== right.length) return false
  // Both come from the core in key order, but a plain object puts integer-like names first: sort what is all strings.
  return left.every(([key, value], i) => valuesEqual(key, right[i]![0]) && valuesEqual(value, right[i]![1]))
}

function pairsOf(value: object): [unknown, unknown][] {
  const pairs: [unknown, unknown][] = isMap(value) ? [...value] : Object.entries(value)
  return pairs.sort(([a], [b]) => compareValues(a, b) ?? 0)
}

// The place of a type in the order of keys.
function typeRank(value: unknown): number {
  switch (typeof value) {
    case 'boolean':
      return 1
    case 'number':
    case 'bigint':
      return 2
    case 'string':
      return 5
    case 'object':
      if (value === null) return 0
      if (isDate(value)) return 3
      if (Uuid.peek(value) !== undefined) return 4
      if (isUint8Array(value)) return 6
      if (Array.isArray(value)) return 7
      return 8
    default:
      return 9
  }
}

/**
 * The order of two values of one type, as keys are ordered: negative, 0, positive; undefined when they have none: of
 * different types, or NaN, or objects.
 */
export function compareSame(a: unknown, b: unknown): number | undefined {
  const rank = typeRank(a)
  if (rank !== typeRank(b) || rank >= 8) return undefined
  switch (rank) {
    case 0:
      return 0
    case 1:
      return Number(a) - Number(b)
    case 2: {
      const x = a as number
      const y = b as number
      // JavaScript compares numbers and big integers exactly.
      return x < y ? -1 : x > y ? 1 : Number.isNaN(x) || Number.isNaN(y) ? undefined : 0
    }
    case 3:
      return (a as Date).getTime() - (b as Date).getTime()
    case 4:
      return Buffer.compare(Uuid.peek(a as Uuid)!, Uuid.peek(b as Uuid)!)
    case 5:
      return compareCodePoints(a as string, b as string)
    case 6:
      return Buffer.compare(a as Uint8Array, b as Uint8Array)
    default: {
      const x = a as unknown[]
      const y = b as unknown[]
      const length = Math.min(x.length, y.length)
      for (let i = 0; i < length; i++) {
        const order = compareValues(x[i], y[i])
        if (order !== 0) return order
      }
      return x.length - y.length
    }
  }
}

/** The order of two keys: negative, 0, positive. */
export function compareValues(a: unknown, b: unknown): number | undefined {
  const difference = typeRank(a) - typeRank(b)
  return difference !== 0 ? difference : compareSame(a, b)
}
