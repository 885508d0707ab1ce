// The methods of a List: those of Array.prototype (ES2023), in alphabetical order, and a few of its own.
//
//   primitive   one element or the end: straight to the engine           at, pop, push, shift, unshift
//   mutating    read, compute, write as one transaction                   copyWithin, fill, insert, remove, reverse, sort, splice
//   transform   the real array method on a copy of the elements           every, filter, map, reduce, toSorted ...
//   subset      the same, where the result is a part of the elements      concat, flat, slice ...
//
// Everything but the primitives runs on the version of the moment of the call, in callbacks too. Results and errors come
// from the real array methods wherever one is called, so that they cannot differ. Methods that make a new array return
// plain arrays. `from` and `of` belong to Array, not to its prototype: a List is made by List.create or by assignment.

import { readPage, What } from './packed'
import { nativeCopy } from './dict_operations'
import { valuesEqual } from './equality'
import { pongoError, show } from './errors'
import { PagedIterator, readAll } from './iterators'
import { parseJson } from './json_in'
import { containerJson } from './json_out'
import { refOf, writable, type Ref } from './live'
import { encodeElement, encodeList, normalise } from './values'

// No array is as long as this.
const lengthMax = 2 ** 32

type Method = (this: unknown, ...args: any[]) => unknown
const arrayMethods = Array.prototype as unknown as Record<string, Method>

function elements(ref: Ref): unknown[] {
  return readAll(ref, What.values)
}

/** The reference of `this`, when it is a List; else the call is one of an array method on something else. */
function listOf(self: unknown): Ref | undefined {
  const ref = refOf(self)
  return ref !== undefined && Array.isArray(self) ? ref : undefined
}

function own(self: unknown, name: string): Ref {
  const ref = listOf(self)
  if (ref === undefined) throw pongoError('TYPE', `${name} must be called on a List: list.${name}(...)`)
  return ref
}

// -- transform and subset: the real method on a copy of the elements --

function onCopy(name: string): Method {
  const method = arrayMethods[name]!
  return function (...args) {
    const ref = listOf(this)
    return method.apply(ref === undefined ? this : elements(ref), args)
  }
}

/** As `onCopy`, for methods whose callback receives the array as its last argument: it receives the List. */
function withCallback(name: string, position: number): Method {
  const method = arrayMethods[name]!
  return function (this: unknown, ...args) {
    const ref = listOf(this)
    if (ref === undefined) return method.apply(this, args)
    const fn: unknown = args[0]
    if (typeof fn === 'function') {
      // eslint-disable-next-line @typescript-eslint/no-this-alias
      const list = this
      args[0] = function (this: unknown, ...inner: unknown[]): unknown {
        inner[position] = list
        return Reflect.apply(fn, this, inner)
      }
    }
    return method.apply(elements(ref), args)
  }
}

// Lists being joined now: a List that contains itself contributes nothing, as in an array that does.
const joining: string[] = []

function joined(name: string): Method {
  const method = arrayMethods[name]!
  return function (...args) {
    const ref = listOf(this)
    if (ref === undefined) return method.apply(this, args)
    const mark = `${ref.handle.identity}/${ref.view}/${ref.id}`
    if (joining.includes(mark)) return ''
    joining.push(mark)
    try {
      return method.apply(elements(ref), args)
    } finally {
      joining.pop()
    }
  }
}

function iterator(name: string, what: number): Method {
  const method = arrayMethods[name]!
  return function () {
    const ref = listOf(this)
    return ref === undefined ? method.call(this) : new PagedIterator(ref, what).start()
  }
}

// -- mutating --

/** What array methods make of a number: cut to an integer, NaN is 0, a bigint or a symbol a TypeError. */
function toInteger(value: unknown): number {
  return Math.trunc(+(value as number)) || 0
}

/** Array positions: negative from the end, cut to [0, length]. */
function position(value: unknown, length: number, otherwise: number): number {
  if (value === undefined) return otherwise
  const integer = toInteger(value)
  return integer < 0 ? Math.max(0, length + integer) : Math.min(integer, length)
}

function inTransaction(name: string, change: (ref: Ref, length: number, args: unknown[]) => unknown): Method {
  return function (...args) {
    const ref = listOf(this)
    if (ref === undefined) return arrayMethods[name]!.apply(this, args)
    writable(ref)
    const result = ref.handle.transaction(() => ({ value: change(ref, ref.native.size(0, ref.id), args) }))
    // `this` stands for "the list itself", which is what reverse, sort, fill and copyWithin return.
    return result.value === ref ? this : result.value
  }
}

function write(ref: Ref, start: number, count: number, values: readonly unknown[]): void {
  ref.native.listSplice(ref.id, start, count, values.length === 0 ? undefined : encodeList(ref.handle, values))
}

function elementsIn(ref: Ref, start: number, count: number): unknown[] {
  return count <= 0 ? [] : readPage(ref, 0, start, count, 1, What.values)!
}

/** The positions 0, 1, 2 ... of so many elements, to be put in another order and given to `listArrange`. */
function positions(length: number): Uint32Array {
  const order = new Uint32Array(length)
  for (let i = 0; i < length; i++) order[i] = i
  return order
}

/** The positions of the elements in sorted order: what Array.prototype.sort makes of them, errors included. */
function sortedPositions(seen: readonly unknown[], compare: Compare | undefined): Uint32Array {
  const order = Array.from(seen, (_, i) => i)
  if (seen.length < 2) return Uint32Array.from(order)
  if (compare !== undefined) {
    // With the `this` that Array.prototype.sort gives it.
    order.sort((a, b) => Reflect.apply(compare, undefined, [seen[a], seen[b]]) as number)
  } else {
    // Not String(value), which accepts symbols.
    const texts = seen.map((value) => `${value as string}`)
    order.sort((a, b) => Number(texts[a]! > texts[b]!) - Number(texts[a]! < texts[b]!))
  }
  return Uint32Array.from(order)
}

type Compare = (a: unknown, b: unknown) => number

const values = iterator('values', What.values)

const methods: Record<string, Method> = {
  /** The element at an index, from the end when negative; undefined beyond. O(log n). */
  at(index: unknown) {
    const ref = listOf(this)
    if (ref === undefined) return arrayMethods['at']!.call(this, index)
    const integer = toInteger(index)
    if (integer >= 0) return ref.native.listGet(ref.view, ref.id, Math.min(integer, lengthMax))
    for (;;) {
      const at = ref.native.size(ref.view, ref.id) + integer
      if (at < 0) return undefined
      const value: unknown = ref.native.listGet(ref.view, ref.id, at)
      // The list became shorter between the two calls: look at its new end.
      if (value !== undefined || at < ref.native.size(ref.view, ref.id)) return value
    }
  },

  /** A plain array of the elements followed by the arguments, arrays and Lists spread out. O(n). */
  concat(...args: unknown[]) {
    const ref = listOf(this)
    const spread = args.map((arg) => {
      const other = listOf(arg)
      return other === undefined ? arg : elements(other)
    })
    return arrayMethods['concat']!.apply(ref === undefined ? this : elements(ref), spread)
  },

  /** Copies a part of the elements over another part, in one commit; returns the List. O(n). */
  copyWithin: inTransaction('copyWithin', (ref, length, [target, start, end]) => {
    const to = position(target, length, 0)
    const from = position(start, length, 0)
    const last = position(end, length, length)
    if (Math.min(last - from, length - to) > 0) {
      ref.native.listArrange(ref.id, positions(length).copyWithin(to, from, last))
    }
    return ref
  }),

  entries: iterator('entries', What.entries),
  every: withCallback('every', 2),

  /** Stores a value in every place of a range, in one commit; returns the List. An object is copied for each. O(n). */
  fill: inTransaction('fill', (ref, length, [value, start, end]) => {
    const from = position(start, length, 0)
    const to = position(end, length, length)
    if (to > from) write(ref, from, to - from, new Array<unknown>(to - from).fill(value))
    return ref
  }),

  filter: withCallback('filter', 2),
  find: withCallback('find', 2),
  findIndex: withCallback('findIndex', 2),
  findLast: withCallback('findLast', 2),
  findLastIndex: withCallback('findLastIndex', 2),
  flat: onCopy('flat'),
  flatMap: withCallback('flatMap', 2),
  forEach: withCallback('forEach', 2),
  includes: onCopy('includes'),
  indexOf: onCopy('indexOf'),
  join: joined('join'),
  keys: iterator('keys', What.keys),
  lastIndexOf: onCopy('lastIndexOf'),
  map: withCallback('map', 2),

  /** Removes the last element and returns it; undefined when empty. One commit, O(log n). */
  pop() {
    const ref = listOf(this)
    if (ref === undefined) return arrayMethods['pop']!.call(this)
    writable(ref)
    return ref.native.listPop(ref.id)
  },

  /** Appends; returns the new length. One commit, O(log n) for each. */
  push(...items: unknown[]) {
    const ref = listOf(this)
    if (ref === undefined) return arrayMethods['push']!.apply(this, items)
    writable(ref)
    if (items.length === 1) return ref.native.listPush(ref.id, encodeElement(ref.handle, items[0], 0))
    if (items.length === 0) return ref.native.size(0, ref.id)
    return ref.native.listSplice(ref.id, -1, 0, encodeList(ref.handle, items))
  },

  reduce: withCallback('reduce', 3),
  reduceRight: withCallback('reduceRight', 3),

  /** Turns the order round, in one commit; returns the List. O(n). */
  reverse: inTransaction('reverse', (ref, length) => {
    if (length > 1) ref.native.listArrange(ref.id, positions(length).reverse())
    return ref
  }),

  /** Removes the first element and returns it; undefined when empty. One commit, O(log n). */
  shift() {
    const ref = listOf(this)
    if (ref === undefined) return arrayMethods['shift']!.call(this)
    writable(ref)
    return ref.native.listShift(ref.id)
  },

  slice: onCopy('slice'),
  some: withCallback('some', 2),

  /** Sorts in one commit; returns the List. The comparator may run again on conflict. O(n log n). */
  sort(compare?: unknown) {
    const ref = listOf(this)
    if (ref === undefined) return arrayMethods['sort']!.call(this, compare)
    // The error for a bad comparator is the array's own.
    if (compare !== undefined && typeof compare !== 'function') arrayMethods['sort']!.call([], compare)
    writable(ref)
    ref.handle.transaction(() => {
      const seen = elements(ref)
      const before = ref.handle.writes
      const sorted = sortedPositions(seen, compare as Compare | undefined)
      // What is sorted is the version of the call, as everywhere, although the comparator may have changed the List.
      if (ref.handle.writes !== before) {
        ref.native.replace(
          ref.id,
          encodeList(
            ref.handle,
            Array.from(sorted, (at) => seen[at]),
          ),
        )
      } else if (seen.length > 1) {
        ref.native.listArrange(ref.id, sorted)
      }
    })
    return this
  },

  /** Removes and inserts in one commit; returns what was removed, live. O((removed + inserted) log n). */
  splice: inTransaction('splice', (ref, length, args) => {
    if (args.length === 0) return []
    const [start, deleteCount, ...items] = args
    const from = position(start, length, 0)
    const asked = args.length === 1 ? length - from : toInteger(deleteCount)
    const count = Math.min(Math.max(asked, 0), length - from)
    const removed = elementsIn(ref, from, count)
    if (count > 0 || items.length > 0) write(ref, from, count, items)
    return removed
  }),

  toLocaleString: joined('toLocaleString'),
  toReversed: onCopy('toReversed'),
  toSorted: onCopy('toSorted'),
  toSpliced: onCopy('toSpliced'),
  toString: joined('toString'),

  /** Inserts at the front; returns the new length. One commit, O(log n) for each. */
  unshift(...items: unknown[]) {
    const ref = listOf(this)
    if (ref === undefined) return arrayMethods['unshift']!.apply(this, items)
    writable(ref)
    if (items.length === 0) return ref.native.size(0, ref.id)
    return ref.native.listSplice(ref.id, 0, 0, encodeList(ref.handle, items))
  },

  values,
  with: onCopy('with'),

  // -- beyond arrays: documented in types.ts, where programs see them --

  insert(index: unknown, value: unknown) {
    const ref = own(this, 'insert')
    if (typeof index !== 'number' || !Number.isInteger(index)) {
      throw pongoError('ARG', `insert needs an integer index, not ${show(index)}`)
    }
    writable(ref)
    const wire = encodeList(ref.handle, [value])
    ref.handle.transaction(() => {
      const length = ref.native.size(0, ref.id)
      ref.native.listSplice(ref.id, position(index, length, 0), 0, wire)
    })
    return undefined
  },

  remove(value: unknown) {
    const ref = own(this, 'remove')
    writable(ref)
    const wanted = normalise(ref.handle, value === undefined ? null : value)
    ref.handle.transaction(() => {
      const index = ref.handle.withPlainUuids(() => elements(ref).findIndex((item) => valuesEqual(item, wanted)))
      if (index < 0) throw pongoError('VALUE', `remove: no element equals ${show(value)}`)
      ref.native.listSplice(ref.id, index, 1, undefined)
    })
    return undefined
  },

  extend(items: unknown) {
    const ref = own(this, 'extend')
    writable(ref)
    if (typeof items !== 'object' || items === null ? typeof items !== 'string' : !(Symbol.iterator in items)) {
      throw pongoError('TYPE', `extend needs an iterable, not ${show(items)}`)
    }
    const added = [...(items as Iterable<unknown>)]
    if (added.length === 0)
      ref.native.size(0, ref.id) // for its errors
    else ref.native.listSplice(ref.id, -1, 0, encodeList(ref.handle, added))
    return undefined
  },

  native() {
    return nativeCopy(own(this, 'native'))
  },

  json(...text: unknown[]) {
    const ref = own(this, 'json')
    if (text.length === 0) return containerJson(ref)
    writable(ref)
    ref.native.replace(ref.id, parseJson(text[0], 'array'))
    return undefined
  },
}

// As reflection shows them.
for (const [name, method] of Object.entries(methods)) {
  const like = arrayMethods[name]
  Object.defineProperty(method, 'name', { value: name, configurable: true })
  if (like !== undefined) Object.defineProperty(method, 'length', { value: like.length, configurable: true })
}

// Without prototype: a name that is not in the table is looked up on Array.prototype by the proxy.
export const listMethods: Record<string | symbol, Method | undefined> = Object.assign(Object.create(null), methods, {
  [Symbol.iterator]: values,
})
