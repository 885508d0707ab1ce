// What the addon hands over packed (`Plain` and `Page` in types/addon.d.ts), made into ordinary values.

import type { NativeKey, Page, View } from './binding'
import { pongoError } from './errors'
import type { Handle } from './handle'
import type { Ref } from './live'
import { Reader } from './wire'

/** Makes an object of a record: its texts in one string, its other values in `numbers` from `at`. */
export type Make = (text: string, numbers: Float64Array, at: number, other: typeof scalar) => object

export interface RecordMaker {
  /** The number of names. */
  readonly size: number
  readonly make: Make
}

const numberKind = 3
const otherKind = 5
const recordKind = 6
const wireKind = 7
const textKind = 16

/** The deep plain copy of a container, or of the value of a key. undefined: there is no such key. */
export function plainCopy(handle: Handle, view: View, id: number, key?: NativeKey): unknown {
  const { native, numbers } = handle
  const value = native.plain(view, id, key)
  if (numbers[0] !== 0) return recordOf(handle, numbers[1]!).make(value as string, numbers, 2, scalar)
  return Array.isArray(value) ? new Reader(value[0] as Uint8Array, handle).value() : value
}

/**
 * What a page holds. `plain` is added when containers come as plain copies, `whole` when a page that does not reach the end is
 * useless.
 */
export const What = { keys: 1, values: 2, entries: 3, plain: 4, whole: 8 } as const

/** Entries by position: keys, values, or both in turn. See `page` in types/addon.d.ts. undefined: only with What.whole. */
export function readPage(
  ref: Ref,
  view: View,
  start: number,
  count: number,
  step: 1 | -1,
  what: number,
): unknown[] | undefined {
  const page = ref.native.page(view, ref.id, start, count, step, what)
  return page === undefined ? undefined : unpack(ref.handle, page)
}

function unpack(handle: Handle, [numbers, narrow, wide, others]: Page): unknown[] {
  const values: unknown[] = []
  // The string that texts are cut from, where the next one begins, and which string comes then.
  let narrowText = ''
  let narrowAt = 0
  let narrowNext = 0
  let wideText = ''
  let wideAt = 0
  let wideNext = 0
  let otherNext = 0
  for (let i = 0; i < numbers.length; i += 2) {
    const kind = numbers[i]!
    if (kind >= textKind) {
      const length = (kind - textKind) >>> 1
      if ((kind & 1) === 0) {
        if (narrowAt === narrowText.length && length > 0) {
          narrowText = narrow[narrowNext++]!
          narrowAt = 0
        }
        values.push(narrowText.slice(narrowAt, (narrowAt += length)))
      } else {
        if (wideAt === wideText.length) {
          wideText = wide[wideNext++]!
          wideAt = 0
        }
        values.push(wideText.slice(wideAt, (wideAt += length)))
      }
    } else if (kind === numberKind) {
      values.push(numbers[i + 1])
    } else if (kind === otherKind) {
      values.push(others[otherNext++])
    } else if (kind === recordKind) {
      const { size, make } = recordOf(handle, numbers[i + 1]!)
      values.push(make(others[otherNext++] as string, numbers, i + 2, scalar))
      i += 2 * size
    } else if (kind === wireKind) {
      values.push(new Reader(others[otherNext++] as Uint8Array, handle).value())
    } else {
      values.push(scalar(kind, numbers[i + 1]!))
    }
  }
  return values
}

function recordOf(handle: Handle, shape: number): RecordMaker {
  let known = handle.records.get(shape)
  if (known === undefined) {
    const names = unpack(handle, handle.native.shapeNames(shape)) as string[]
    known = { size: names.length, make: makerOf(names) }
    handle.records.set(shape, known)
  }
  return known
}

// A constant, a number or a date.
function scalar(kind: number, value: number): unknown {
  switch (kind) {
    case 0:
      return null
    case 1:
      return false
    case 2:
      return true
    case numberKind:
      return value
    case 4:
      return new Date(value)
    default:
      throw pongoError('CORRUPT', `the addon returned a value of unknown kind ${kind}`)
  }
}

// An object literal gives the object its final hidden class in one step; filling it name by name takes several times as long. Names are
// data: each becomes a string literal, and a computed one where a literal would mean the prototype.
function makerOf(names: readonly string[]): Make {
  const fields = names.map((name, i) => {
    const literal = JSON.stringify(name)
    const kind = `numbers[at + ${2 * i}]`
    const value =
      `(kind = ${kind}) >= ${textKind} ? text.slice(from, from += kind - ${textKind}) ` +
      `: kind === ${numberKind} ? numbers[at + ${2 * i + 1}] : other(kind, numbers[at + ${2 * i + 1}])`
    return `${name === '__proto__' ? `[${literal}]` : literal}: ${value}`
  })
  try {
    const body = `let from = 0, kind; return { ${fields.join(', ')} }`
    return new Function('text', 'numbers', 'at', 'other', body) as Make
  } catch {
    // Node was started with --disallow-code-generation-from-strings.
    return makerWithoutCode(names)
  }
}

/** As an object literal would do it, for a Node that makes no code from strings. */
export function makerWithoutCode(names: readonly string[]): Make {
  return (text, numbers, at, other) => {
    let from = 0
    return Object.fromEntries(
      names.map((name, i) => {
        const kind = numbers[at + 2 * i]!
        if (kind < textKind) return [name, other(kind, numbers[at + 2 * i + 1]!)]
        return [name, text.slice(from, (from += kind - textKind))]
      }),
    )
  }
}
