// What `search` returns: like a Collection that cannot be written.

import { inspect, type InspectOptions } from 'node:util'
import { getPath } from './dict_operations'
import { compareValues } from './equality'
import { pongoError } from './errors'
import { jsonReady, jsonText, jsonKey } from './json_out'
import { refOf, type Ref } from './live'
import { separator, type PathOptions } from './options'
import { pathPlace, type Path } from './path'
import { plainCopy } from './packed'
import { beginsWith } from './prefix'
import { checkKeyRange, checkRange, type KeyRange, type RangeOptions } from './ranges'
import type { Key } from './types'
import { encodeKey, normalise } from './values'

/** One form for each number, deep in tuples. */
function oneNumber(key: unknown): unknown {
  if (Array.isArray(key)) return key.map(oneNumber)
  if (typeof key === 'number' && Number.isInteger(key) && !Number.isSafeInteger(key)) return BigInt(key)
  if (typeof key === 'bigint' && Number.isSafeInteger(Number(key))) return Number(key)
  return key === 0 ? 0 : key
}

/**
 * A read-only view of the entries that a search found: the keys in order, the children live. What writes to a Collection
 * throws `READONLY` here. O(1) unless noted.
 *
 * @example
 * const adults = users.search('age', '>=', 18)
 * for (const [name, user] of adults) console.log(name, user.age)
 */
export class SearchView implements Iterable<[any, any]> {
  readonly #ref: Ref
  readonly #found: [unknown, unknown][]
  #byKey: Map<unknown, unknown> | undefined

  /** @internal Made by `search` and `$search`. */
  constructor(ref: Ref, entries: [unknown, unknown][]) {
    this.#ref = ref
    this.#found = entries
  }

  get #entries(): [unknown, unknown][] {
    if (this.#ref.handle.closed) throw pongoError('CLOSED', `the database ${this.#ref.handle.path} is closed`)
    return this.#found
  }

  /** The number of entries found. */
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

  /** What is at a path from here, as `Collection.getPath`: the children as the search found them. */
  getPath(path: Path, missing?: unknown, options?: PathOptions): any {
    const [key, ...rest] = pathPlace(path, separator('getPath', options)) as Key[]
    const child = this.get(key!)
    if (rest.length === 0) return child === undefined ? missing : child
    const ref = refOf(child)
    return ref === undefined ? missing : getPath(ref, 'getPath', rest, missing)
  }

  /** The keys in order. */
  *keys(): IterableIterator<any> {
    for (const [key] of this.#entries) yield key
  }

  /** The children in the order of their keys, containers live. */
  *values(): IterableIterator<any> {
    for (const [, value] of this.#entries) yield value
  }

  /** The pairs [key, child] in order. */
  *entries(): IterableIterator<[any, any]> {
    for (const [key, value] of this.#entries) yield [key, value]
  }

  [Symbol.iterator](): IterableIterator<[any, any]> {
    return this.entries()
  }

  /** Calls `fn(child, key, view)` for each entry. O(n). */
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

  /** The number of keys found that are below `key`. O(log n). */
  rank(key: Key): number {
    const wanted = normalise(this.#ref.handle, key)
    const entries = this.#entries
    let low = 0
    let high = entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareValues(entries[middle]![0], wanted)! < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The number of entries found in a range of keys. O(n). */
  count(range?: KeyRange): number {
    return this.#within(checkKeyRange('count', range)).length
  }

  /** The entries found in a range of keys, as `Collection.range`. O(n). */
  range(options?: RangeOptions): Iterable<[any, any]> {
    const { keys, native, reverse, limit = Infinity, offset = 0 } = checkRange(options)
    let found = this.#within(keys)
    if (reverse) found = found.reverse()
    found = found.slice(offset, offset + limit)
    return found.map(([key, value]) => [key, native ? copyOf(value) : value])
  }

  #within({ gt, gte, lt, lte, prefix }: KeyRange): [unknown, unknown][] {
    const bounds = [gt, gte, lt, lte].map((bound) => (bound === undefined ? bound : normalise(this.#ref.handle, bound)))
    const accept = [(n: number) => n > 0, (n: number) => n >= 0, (n: number) => n < 0, (n: number) => n <= 0]
    const start = prefix === undefined ? undefined : normalise(this.#ref.handle, prefix)
    return this.#entries.filter(
      ([key]) =>
        (start === undefined || beginsWith(key, start)) &&
        bounds.every((bound, i) => bound === undefined || accept[i]!(compareValues(key, bound)!)),
    )
  }

  /** A deep plain copy: an object when all keys are strings, else a Map. */
  native(): any {
    const copies = this.#entries.map(([key, value]): [unknown, unknown] => {
      return [key, copyOf(value)]
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
    return `{${this.#entries.map(([key, value]) => `${JSON.stringify(jsonKey(key))}:${jsonText(value)}`).join(',')}}`
  }

  /** What JSON.stringify writes: as `Collection.toJSON`. */
  toJSON(): unknown {
    return this.#ref.handle.withPlainUuids(() => jsonReady(this.native()))
  }

  get [Symbol.toStringTag](): string {
    return 'SearchView'
  }

  [inspect.custom](_depth: number, options: InspectOptions): string {
    return this.#ref.handle.closed ? '[SearchView: closed]' : `SearchView ${inspect(new Map(this.#found), options)}`
  }

  /** Not for views: `READONLY`, as all that would write. */
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
  declare expire: () => never
  declare persist: () => never
}

function copyOf(value: unknown): unknown {
  const ref = refOf(value)
  return ref === undefined ? value : plainCopy(ref.handle, ref.view, ref.id)
}

// A view is like a Collection: whatever writes to one is refused by name.
for (const name of [
  'delete',
  'clear',
  'pop',
  'shift',
  'add',
  'update',
  'setPath',
  'incr',
  'cas',
  'modify',
  'expire',
  'persist',
]) {
  Object.defineProperty(SearchView.prototype, name, {
    value: SearchView.prototype.set,
    writable: true,
    configurable: true,
  })
}
