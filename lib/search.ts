// `search`: the entries of a container whose value at a path satisfies a comparison, all judged in one version.

import type { View } from './binding'
import { compareSame, valuesEqual } from './equality'
import { pongoError, show } from './errors'
import { readAll } from './iterators'
import { jsonText, keyText } from './json_out'
import { refOf, type Ref } from './live'
import type { Path } from './path'
import type { Key, Operator } from './types'
import { What, plainCopy } from './packed'
import { encodeKey, normalise } from './values'

type Test = (found: unknown, wanted: unknown) => boolean

function ordered(accept: (order: number) => boolean): Test {
  return (found, wanted) => {
    const order = compareSame(found, wanted)
    return order !== undefined && accept(order)
  }
}

const tests: Record<Operator, Test> = (() => {
  const equal: Test = valuesEqual
  const different: Test = (found, wanted) => !valuesEqual(found, wanted)
  const less = ordered((order) => order < 0)
  const lessOrEqual = ordered((order) => order <= 0)
  const greater = ordered((order) => order > 0)
  const greaterOrEqual = ordered((order) => order >= 0)
  return {
    '==': equal,
    '!=': different,
    '<': less,
    '<=': lessOrEqual,
    '>': greater,
    '>=': greaterOrEqual,
    eq: equal,
    ne: different,
    lt: less,
    le: lessOrEqual,
    gt: greater,
    ge: greaterOrEqual,
  }
})()

/** One form for each number, deep in tuples. */
function oneNumber(key: unknown): unknown {
  if (Array.isArray(key)) return key.map(oneNumber)
  if (typeof key === 'number' && Number.isInteger(key) && !Number.isSafeInteger(key)) return BigInt(key)
  if (typeof key === 'bigint' && Number.isSafeInteger(Number(key))) return Number(key)
  return key === 0 ? 0 : key
}

/** A read-only view of the entries that a search found: the keys in order, the children live. */
export class SearchView implements Iterable<[any, any]> {
  readonly #ref: Ref
  readonly #entries: [unknown, unknown][]
  #byKey: Map<unknown, unknown> | undefined

  constructor(ref: Ref, entries: [unknown, unknown][]) {
    this.#ref = ref
    this.#entries = entries
  }

  /** The number of entries found. O(1). */
  get size(): number {
    return this.#entries.length
  }

  // Keys that are objects are looked up by their wire form. 1 and 1.0 and 1n are one key, in tuples too.
  #keyOf(key: unknown): unknown {
    const native = encodeKey(this.#ref.handle, oneNumber(key))
    if (native instanceof Uint8Array) return `wire:${Buffer.from(native).toString('latin1')}`
    return typeof native === 'string' ? `text:${native}` : native
  }

  #index(): Map<unknown, unknown> {
    this.#byKey ??= new Map(this.#entries.map(([key, value]) => [this.#keyOf(key), value]))
    return this.#byKey
  }

  /** The child of a key, or `missing`. O(1) after the first call. */
  get(key: Key, missing?: unknown): any {
    const found = this.#index().get(this.#keyOf(key))
    return found === undefined ? missing : found
  }

  /** Whether a key was found. */
  has(key: Key): boolean {
    return this.#index().has(this.#keyOf(key))
  }

  *keys(): IterableIterator<any> {
    for (const [key] of this.#entries) yield key
  }

  *values(): IterableIterator<any> {
    for (const [, value] of this.#entries) yield value
  }

  *entries(): IterableIterator<[any, any]> {
    for (const [key, value] of this.#entries) yield [key, value]
  }

  [Symbol.iterator](): IterableIterator<[any, any]> {
    return this.entries()
  }

  forEach(fn: (value: any, key: any, view: this) => void, thisArg?: unknown): void {
    for (const [key, value] of this.#entries) fn.call(thisArg, value, key, this)
  }

  /** The first [key, child], or undefined. */
  first(): [any, any] | undefined {
    return this.at(0)
  }

  /** The last [key, child], or undefined. */
  last(): [any, any] | undefined {
    return this.at(-1)
  }

  /** The [key, child] at a position, from the end when negative. */
  at(rank: number): [any, any] | undefined {
    const entry = this.#entries.at(rank)
    return entry === undefined ? undefined : [entry[0], entry[1]]
  }

  /** A deep plain copy: an object when all keys are strings, else a Map. */
  native(): any {
    const copies = this.#entries.map(([key, value]): [unknown, unknown] => {
      const ref = refOf(value)
      return [key, ref === undefined ? value : plainCopy(ref.handle, ref.view, ref.id)]
    })
    if (copies.some(([key]) => typeof key !== 'string')) return new Map(copies)
    const object: Record<string, unknown> = {}
    for (const [key, value] of copies) {
      Object.defineProperty(object, key as string, { value, writable: true, enumerable: true, configurable: true })
    }
    return object
  }

  /** The JSON text of `native()`. */
  json(): string {
    return `{${this.#entries.map(([key, value]) => `${JSON.stringify(keyText(key))}:${jsonText(value)}`).join(',')}}`
  }

  set(): never {
    throw pongoError('READONLY', 'the result of a search cannot be written: write to the container')
  }

  declare delete: () => never
  declare clear: () => never
  declare pop: () => never
  declare shift: () => never
  declare add: () => never
  declare update: () => never
  declare setPath: () => never
  declare incr: () => never
  declare cas: () => never
  declare modify: () => never
}
// A view is like a Collection: whatever writes to one is refused by name.
for (const name of ['delete', 'clear', 'pop', 'shift', 'add', 'update', 'setPath', 'incr', 'cas', 'modify']) {
  Object.defineProperty(SearchView.prototype, name, {
    value: SearchView.prototype.set,
    writable: true,
    configurable: true,
  })
}

function segmentsOf(what: string, path: unknown): readonly unknown[] {
  if (typeof path === 'string') return path === '' ? [] : path.split('.')
  if (Array.isArray(path)) return path
  if (typeof path === 'number') return [path]
  throw pongoError('TYPE', `${what}: a path is a string or an array of keys, not ${show(path)}`)
}

/** Runs a search over the children of `ref`. O(n) path reads. */
export function search(ref: Ref, what: string, path: Path, op: Operator, value: unknown): SearchView {
  if (typeof op !== 'string' || !Object.hasOwn(tests, op)) {
    throw pongoError('ARG', `${what}: unknown operator ${show(op)}: known are ${Object.keys(tests).join(' ')}`)
  }
  const test = tests[op]
  const segments = segmentsOf(what, path)
  const wanted = normalise(ref.handle, value)
  const { native, handle } = ref

  const run = (view: View): [unknown, unknown][] => {
    // Whether something at segments[from...] under `child` passes.
    const matches = (child: unknown, from: number): boolean => {
      const inner = refOf(child)
      if (from === segments.length) {
        // A container is judged by what it holds in this version, unless it is compared with a container.
        const byContent = inner !== undefined && refOf(wanted) === undefined
        return test(byContent ? plainCopy(handle, view, inner.id) : child, wanted)
      }
      if (inner === undefined) return false
      if (segments[from] === '*') {
        return readAll(inner, What.values, view).some((item) => matches(item, from + 1))
      }
      const star = segments.indexOf('*', from)
      const end = star === -1 ? segments.length : star
      // An array: segments are keys as they stand, and indices where they meet a List.
      const steps = segments.slice(from, end).map((segment) => encodeKey(handle, segment))
      const found: unknown = native.getPath(view, inner.id, steps, '.')
      return found !== undefined && matches(found, end)
    }
    const flat = readAll(ref, What.entries, view)
    // Judged are UUIDs as such, whatever meta['.uuid_constructor'] makes of those that are returned.
    const found = handle.withPlainUuids(() => {
      const judged = handle.uuidConstructor === null ? flat : readAll(ref, What.entries, view)
      return flat.map((_, i) => i % 2 === 1 && matches(judged[i], 0))
    })
    const entries: [unknown, unknown][] = []
    for (let i = 1; i < flat.length; i += 2) {
      if (found[i] === true) entries.push([flat[i - 1], flat[i]])
    }
    return entries
  }
  return new SearchView(ref, ref.view === 0 ? handle.pinned(run) : run(ref.view))
}
