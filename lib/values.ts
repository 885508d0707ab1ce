// What may be stored, and how it becomes bytes: the table "Values" of the documentation, first row wins.
//
// One pass classifies and encodes. Nesting is limited to 512 levels, so recursion stays within about 100 KiB of stack:
// safe in a worker with the smallest stack that Node can start. User code (getters, toPongo, toJSON) may run in between
// and may use the database: each encoding in progress has a writer of its own.

import { isArrayBuffer, isDate, isMap, isUint8Array } from 'node:util/types'
import { kindCollection, kindMulti, type NativeKey, type NativeValue } from './binding'
import { pongoError, show, type PongoError } from './errors'
import type { Handle } from './handle'
import { kLive, refOf, type Ref } from './live'
import { Uuid } from './uuid'
import { Reader, Tag, Writer } from './wire'

export const depthMax = 512

/** Where a value is going, for messages: keys and indices from the outermost. */
export type Place = readonly unknown[]

/** A number that JSON text wrote as a float: stays one although its value is that of an integer. */
export class JsonFloat {
  constructor(readonly value: number) {}
}

// Characters of a path that a message shows.
const placeMax = 200

/** The time of a Date of any realm, whatever its prototype. */
const timeOf = (date: object): number => Date.prototype.getTime.call(date)

const hasOwn = Object.prototype.hasOwnProperty

function isPlainPrototype(prototype: object | null): boolean {
  if (prototype === Object.prototype || prototype === null) return true
  // Another realm's Object.prototype: the end of a chain, with the methods that only it has.
  return Object.getPrototypeOf(prototype) === null && hasOwn.call(prototype, 'isPrototypeOf')
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && isPlainPrototype(Object.getPrototypeOf(value))
}

/** A path for messages: `users.alice.cb`. */
export function placeText(place: Place): string {
  const text = place
    .map((part) => (typeof part === 'string' ? part : typeof part === 'object' ? show(part) : String(part)))
    .join('.')
  return text.length > placeMax ? `${text.slice(0, placeMax)}...` : text
}

export class Encoder {
  readonly writer = new Writer()
  #handle!: Handle
  #base: Place = []
  // The containers around the value in hand, and the keys that lead to it; only [0, depth) is meaningful.
  readonly #around: object[] = []
  readonly #keys: unknown[] = []
  #hops = 0
  // Containers made on the way (deep copies of Collections): held so that no collection takes them before they are linked.
  #made: object[] = []
  #contents = false

  /** Live containers are written as what they hold, for a comparison, as long as they can be. */
  compare(): void {
    this.#contents = true
  }

  begin(handle: Handle, base: Place): void {
    this.#handle = handle
    this.#base = base
    this.#hops = 0
    this.#contents = false
    this.writer.reset()
  }

  /** Names the place of what is written next. */
  place(base: Place): void {
    this.#base = base
  }

  end(): void {
    this.#around.length = 0
    this.#keys.length = 0
    this.#made = []
  }

  #fail(depth: number, code: 'TYPE' | 'VALUE' | 'DEPTH', why: string): PongoError {
    const place = placeText([...this.#base, ...this.#keys.slice(0, depth)])
    return pongoError(code, place === '' ? why : `${place}: ${why}`)
  }

  /** Writes `value`; false, with nothing written, when it is undefined (or its toPongo or toJSON returned that). */
  value(value: unknown, depth: number): boolean {
    const writer = this.writer
    switch (typeof value) {
      case 'string':
        if (!writer.string(value)) throw this.#fail(depth, 'VALUE', 'the string holds a lone surrogate')
        return true
      case 'number':
        writer.number(value)
        return true
      case 'boolean':
        writer.tag(value ? Tag.true : Tag.false)
        return true
      case 'bigint':
        writer.bigint(value)
        return true
      case 'undefined':
        return false
      case 'object':
        if (value === null) {
          writer.tag(Tag.null)
          return true
        }
        return this.#object(value, depth)
      default:
        throw this.#fail(depth, 'TYPE', `${show(value)} cannot be stored`)
    }
  }

  #object(value: object, depth: number): boolean {
    const live = (value as { [kLive]?: Ref })[kLive]
    if (live !== undefined) {
      this.#live(live)
      return true
    }
    const toPongo = (value as { toPongo?: unknown }).toPongo
    if (typeof toPongo === 'function') return this.#hop(toPongo.call(value), depth)
    if (Array.isArray(value)) {
      this.#enter(value, depth)
      this.#array(value, depth)
      return true
    }
    const prototype: object | null = Object.getPrototypeOf(value)
    // The order of the table asks for Date, Uuid and bytes first; none of them has a plain prototype unless someone
    // gave it one, and then its own nature still counts.
    if (prototype === Object.prototype && !isDate(value) && !isMap(value)) {
      this.#enter(value, depth)
      this.#plain(value as Record<string, unknown>, depth)
      return true
    }
    return this.#other(value, prototype, depth)
  }

  #other(value: object, prototype: object | null, depth: number): boolean {
    const writer = this.writer
    if (isDate(value)) {
      const time = timeOf(value)
      if (Number.isNaN(time)) throw this.#fail(depth, 'VALUE', 'the Date is invalid')
      writer.float64(Tag.datetimeMs, time)
      return true
    }
    const uuid = this.#handle.uuidBytes(value)
    if (uuid !== undefined) {
      writer.uuid(uuid)
      return true
    }
    if (isUint8Array(value)) {
      writer.bytes(value)
      return true
    }
    if (isArrayBuffer(value)) {
      writer.bytes(new Uint8Array(value))
      return true
    }
    if (isMap(value)) {
      this.#enter(value, depth)
      this.#map(value, depth)
      return true
    }
    if (isPlainPrototype(prototype)) {
      this.#enter(value, depth)
      this.#plain(value as Record<string, unknown>, depth)
      return true
    }
    if (value instanceof JsonFloat) {
      writer.float64(Tag.float64, value.value)
      return true
    }
    const toJSON = (value as { toJSON?: unknown }).toJSON
    if (typeof toJSON === 'function') {
      const key = depth > 0 ? this.#keys[depth - 1] : this.#base.at(-1)
      return this.#hop(toJSON.call(value, key === undefined ? '' : String(key)), depth)
    }
    throw this.#fail(depth, 'TYPE', `${show(value)} cannot be stored`)
  }

  // The result of toPongo or toJSON takes the place of the object; it may have such a method itself.
  #hop(result: unknown, depth: number): boolean {
    if (++this.#hops > depthMax) throw this.#fail(depth, 'DEPTH', 'toPongo() and toJSON() return objects without end')
    const written = this.value(result, depth)
    this.#hops--
    return written
  }

  #enter(value: object, depth: number): void {
    const around = this.#around
    for (let i = depth - 1; i >= 0; i--) {
      if (around[i] === value) throw this.#fail(depth, 'TYPE', 'the object contains itself: only live containers may')
    }
    if (depth >= depthMax) throw this.#fail(depth, 'DEPTH', `deeper than ${depthMax} levels`)
    around[depth] = value
  }

  #array(value: readonly unknown[], depth: number): void {
    const length = value.length
    // Each element takes a byte at least: an array that cannot be stored is refused before it is walked.
    this.writer.room(5 + length)
    this.writer.counted(Tag.list, length)
    for (let i = 0; i < length; i++) {
      this.#keys[depth] = i
      if (!this.value(value[i], depth + 1)) this.writer.tag(Tag.null)
    }
  }

  #plain(value: Record<string, unknown>, depth: number): void {
    const writer = this.writer
    const count = writer.counted(Tag.dict, 0)
    let pairs = 0
    for (const key of Object.keys(value)) {
      this.#keys[depth] = key
      const start = writer.position
      if (!writer.string(key)) throw this.#fail(depth + 1, 'VALUE', 'the key holds a lone surrogate')
      if (this.value(value[key], depth + 1)) pairs++
      else writer.rewind(start)
    }
    writer.patch(count, pairs)
  }

  #map(value: ReadonlyMap<unknown, unknown>, depth: number): void {
    const writer = this.writer
    const count = writer.counted(Tag.dict, 0)
    let pairs = 0
    for (const [key, item] of value) {
      this.#keys[depth] = key
      const start = writer.position
      this.key(key, 0, depth + 1)
      if (this.value(item, depth + 1)) pairs++
      else writer.rewind(start)
    }
    writer.patch(count, pairs)
  }

  /** A key; `nesting` counts the tuples around it. */
  key(key: unknown, nesting: number, depth: number): void {
    const writer = this.writer
    switch (typeof key) {
      case 'string':
        if (!writer.string(key)) throw this.#fail(depth, 'VALUE', 'the key holds a lone surrogate')
        return
      case 'number':
        if (Number.isNaN(key)) throw this.#fail(depth, 'VALUE', 'NaN cannot be a key')
        return writer.number(key === 0 ? 0 : key)
      case 'boolean':
        return writer.tag(key ? Tag.true : Tag.false)
      case 'bigint':
        return writer.bigint(key)
      case 'object': {
        if (key === null) return writer.tag(Tag.null)
        if (refOf(key) !== undefined) break
        if (isDate(key)) {
          const time = timeOf(key)
          if (Number.isNaN(time)) throw this.#fail(depth, 'VALUE', 'the Date is invalid')
          return writer.float64(Tag.datetimeMs, time)
        }
        const uuid = this.#handle.uuidBytes(key)
        if (uuid !== undefined) return writer.uuid(uuid)
        if (isUint8Array(key)) return writer.bytes(key)
        if (isArrayBuffer(key)) return writer.bytes(new Uint8Array(key))
        if (Array.isArray(key)) {
          if (nesting >= depthMax) throw this.#fail(depth, 'DEPTH', `the key is nested deeper than ${depthMax} levels`)
          writer.counted(Tag.tuple, key.length)
          for (let i = 0; i < key.length; i++) this.key(key[i], nesting + 1, depth)
          return
        }
      }
    }
    throw this.#fail(
      depth,
      'TYPE',
      `${show(key)} cannot be a key: strings, numbers, booleans, null, Date, Uuid, bytes and arrays of these can`,
    )
  }

  // A container of this database goes by reference; one of another database, or of a snapshot, as a deep copy.
  #live(ref: Ref): void {
    if (ref.handle.closed) throw pongoError('CLOSED', `the database ${ref.handle.path} of the container is closed`)
    if (this.#contents) return this.#compared(ref)
    if (ref.view === 0 && ref.handle.identity === this.#handle.identity) {
      this.writer.container(ref.kind, ref.id)
      return
    }
    const reader = new Reader(ref.native.native(ref.view, ref.id), this.#handle)
    this.#copy(reader, this.writer)
  }

  // For a comparison: the content, keyed containers alike. What has no plain copy (a cycle) or no order of its own can
  // only be compared by identity.
  #compared(ref: Ref): void {
    const start = this.writer.position
    try {
      if (ref.kind !== kindMulti)
        return this.#copy(new Reader(ref.native.native(ref.view, ref.id), ref.handle), this.writer)
    } catch (error) {
      const code = (error as { code?: unknown }).code
      if (code !== 'PONGO_ERR_TYPE' && code !== 'PONGO_ERR_DEPTH') throw error
      this.writer.rewind(start)
    }
    this.writer.container(ref.kind, ref.id)
  }

  // Copies one value of the core's own making. Collections have no wire form of their own on the way in: each becomes a
  // new one of this database, and a reference to it.
  #copy(reader: Reader, writer: Writer): void {
    const start = reader.at
    const tag = reader.buffer[start]
    switch (tag) {
      case Tag.list: {
        reader.at++
        const count = reader.u32()
        writer.counted(Tag.list, count)
        for (let i = 0; i < count; i++) this.#copy(reader, writer)
        return
      }
      case Tag.dict:
      case Tag.collection:
      case Tag.multi: {
        reader.at++
        const count = reader.u32()
        if (this.#contents && tag === Tag.multi) throw pongoError('TYPE', 'a MultiCollection has no content to compare')
        const inPlace = tag === Tag.dict || this.#contents
        const into = inPlace ? writer : new Writer()
        into.counted(Tag.dict, count)
        for (let i = 0; i < count * 2; i++) this.#copy(reader, into)
        if (inPlace) return
        const kind = tag === Tag.collection ? kindCollection : kindMulti
        const made = this.#handle.native.create(kind, into.view())
        this.#made.push(made)
        writer.container(kind, refOf(made)!.id)
        return
      }
      default:
        reader.value()
        writer.raw(reader.buffer.subarray(start, reader.at))
    }
  }
}

const encoders: Encoder[] = []

/**
 * Runs `write` with a free encoder and `use` on the bytes, which are valid only during that call.
 * Encoders are kept for reuse: as many as encodings were ever in progress at once, usually one.
 */
function encoding<T>(handle: Handle, place: Place, write: (encoder: Encoder) => void, use: (wire: Uint8Array) => T): T {
  const encoder = encoders.pop() ?? new Encoder()
  try {
    encoder.begin(handle, place)
    write(encoder)
    return use(encoder.writer.view())
  } finally {
    encoder.end()
    encoders.push(encoder)
  }
}

/** The wire form of a value in bytes of its own. undefined is null with `orNull`, else refused. */
export function encodeWire(handle: Handle, value: unknown, place: Place, orNull = false): Uint8Array {
  return encoding(
    handle,
    place,
    (encoder) => {
      if (encoder.value(value, 0)) return
      if (!orNull) throw undefinedValue(place)
      encoder.writer.tag(Tag.null)
    },
    (wire) => Buffer.from(wire),
  )
}

// A path, or one key. A tuple is read as a path: in a message that does no harm.
function placeOf(key: unknown): Place {
  return key === undefined ? [] : Array.isArray(key) ? key : [key]
}

function undefinedValue(place: Place): PongoError {
  const where = placeText(place)
  return pongoError('TYPE', `${where === '' ? '' : `${where}: `}undefined cannot be stored: use null, or delete`)
}

/** A value as the addon takes it: primitives as themselves, all else in wire form. undefined: `TYPE`. */
export function encodeValue(handle: Handle, value: unknown, key?: unknown): NativeValue {
  switch (typeof value) {
    // The addon refuses lone surrogates itself.
    case 'string':
    case 'number':
    case 'boolean':
    case 'bigint':
      return value
    case 'undefined':
      throw undefinedValue(placeOf(key))
    default:
      if (value === null) return null
      return encodeWire(handle, value, placeOf(key))
  }
}

/** As `encodeValue`, for a value to compare with: live containers count by their content. */
export function encodeContents(handle: Handle, value: unknown, key: unknown): NativeValue {
  if (typeof value !== 'object' || value === null) return encodeValue(handle, value, key)
  const place = placeOf(key)
  return encoding(
    handle,
    place,
    (encoder) => {
      encoder.compare()
      if (!encoder.value(value, 0)) throw undefinedValue(place)
    },
    (wire) => Buffer.from(wire),
  )
}

/** As `encodeValue`, for an element of a List: undefined is null there. */
export function encodeElement(handle: Handle, value: unknown, index: number): NativeValue {
  if (value === undefined) return null
  if (typeof value === 'object' && value !== null) return encodeWire(handle, value, [index], true)
  return encodeValue(handle, value, index)
}

/** Several values as one wire list. */
export function encodeList(handle: Handle, values: readonly unknown[]): Uint8Array {
  return encoding(
    handle,
    [],
    (encoder) => {
      encoder.writer.counted(Tag.list, values.length)
      for (let i = 0; i < values.length; i++) {
        encoder.place([i])
        // Depth is counted from each stored value, so the list itself is no level.
        if (!encoder.value(values[i], 0)) encoder.writer.tag(Tag.null)
      }
    },
    (wire) => Buffer.from(wire),
  )
}

/** Pairs as one wire dict; a pair whose value is undefined is left out (`skip`) or refused. */
export function encodePairs(handle: Handle, pairs: Iterable<readonly [unknown, unknown]>, skip: boolean): Uint8Array {
  return encoding(
    handle,
    [],
    (encoder) => {
      const writer = encoder.writer
      const count = writer.counted(Tag.dict, 0)
      let written = 0
      for (const [key, value] of pairs) {
        const start = writer.position
        encoder.place([key])
        encoder.key(key, 0, 0)
        if (encoder.value(value, 0)) written++
        else if (skip) writer.rewind(start)
        else throw undefinedValue([key])
      }
      writer.patch(count, written)
    },
    (wire) => Buffer.from(wire),
  )
}

/** A key as the addon takes it. Strings, the common case, go straight. */
export function encodeKey(handle: Handle, key: unknown): NativeKey {
  switch (typeof key) {
    // The addon refuses lone surrogates and NaN itself.
    case 'string':
    case 'number':
    case 'boolean':
    case 'bigint':
      return key
    default:
      if (key === null) return null
      return encoding(
        handle,
        [],
        (encoder) => encoder.key(key, 0, 0),
        (wire) => Buffer.from(wire),
      )
  }
}

/** What a value would read as after being stored, without storing it. */
export function normalise(handle: Handle, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (refOf(value) !== undefined) return value
  const wire = encodeWire(handle, value, [], true)
  return new Reader(wire, {
    uuid: (bytes) => new Uuid(bytes),
    container: (kind, id) => handle.container(kind as 1 | 2 | 3 | 4, id, 0),
  }).value()
}
