// Plain copies as the addon hands them over (`Plain` in types/addon.d.ts), made into ordinary values.

import type { NativeKey, View } from './binding'
import { pongoError } from './errors'
import type { Handle } from './handle'
import { Reader } from './wire'

/** Makes an object of a record: its texts in one string, its other values in `numbers` from `at`. */
export type Make = (text: string, numbers: Float64Array, at: number, other: typeof otherValue) => object

const textKind = 16

/** The deep plain copy of a container, or of the value of a key. undefined: there is no such key. */
export function plainCopy(handle: Handle, view: View, id: number, key?: NativeKey): unknown {
  const { native, numbers } = handle
  const value = native.plain(view, id, key)
  if (numbers[0] !== 0) return recordAt(handle, value as string, numbers, 0)
  return Array.isArray(value) ? new Reader(value[0] as Uint8Array, handle).value() : value
}

/** Makes values of a page of plain copies; `width` 1: values, 2: keys and values in turn. */
export function plainPage(handle: Handle, page: unknown[], width: 1 | 2): unknown[] {
  const numbers = page.pop() as Float64Array
  let next = 0
  for (let i = width - 1, index = 0; i < page.length; i += width, index++) {
    const value = page[i]
    if (numbers[next] === index && next < numbers.length) {
      page[i] = recordAt(handle, value as string, numbers, next)
      next += 2 + 2 * handle.records.get(numbers[next + 1]!)!.size
    } else if (Array.isArray(value)) {
      page[i] = new Reader(value[0] as Uint8Array, handle).value()
    }
  }
  return page
}

function recordAt(handle: Handle, text: string, numbers: Float64Array, at: number): object {
  const shape = numbers[at + 1]!
  let known = handle.records.get(shape)
  if (known === undefined) {
    const names = handle.native.shapeNames(shape)
    known = { size: names.length, make: makerOf(names) }
    handle.records.set(shape, known)
  }
  return known.make(text, numbers, at + 2, otherValue)
}

// What is no text.
function otherValue(kind: number, value: number): unknown {
  switch (kind) {
    case 0:
      return null
    case 1:
      return false
    case 2:
      return true
    case 3:
      return value
    case 4:
      return new Date(value)
    default:
      throw pongoError('CORRUPT', `a record holds a value of unknown kind ${kind}`)
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
      `: kind === 3 ? numbers[at + ${2 * i + 1}] : other(kind, numbers[at + ${2 * i + 1}])`
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
