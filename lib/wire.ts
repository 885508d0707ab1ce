// The wire form (native/core/format/wire.h): a writer with a reused buffer, and the decoder.

import { pongoError } from './errors'

// Buffer has these; its types leave them out. They spare the view that subarray().toString() would make.
type Bytes = Buffer & {
  latin1Slice(start: number, end: number): string
  utf8Slice(start: number, end: number): string
}

export const Tag = {
  absent: 0x00,
  null: 0x01,
  false: 0x02,
  true: 0x03,
  int32: 0x04,
  int64: 0x05,
  float64: 0x06,
  bigint: 0x07,
  string: 0x08,
  shortAscii: 0x09,
  datetimeMs: 0x0a,
  datetimeUs: 0x0b,
  uuid: 0x0c,
  bytes: 0x0d,
  list: 0x0e,
  dict: 0x0f,
  collection: 0x10,
  container: 0x11,
  tuple: 0x12,
  multi: 0x13,
} as const

// A string up to this length is copied character by character; above, one call into the runtime is cheaper.
const shortMax = 48
const sizeInitial = 1 << 14
// A buffer that grew beyond this for one big value is not kept.
const sizeKept = 1 << 20
// What a length field can say, and more than V8 allows in one array of bytes on most machines.
const sizeMax = 2 ** 32 - 1

const float = new Float64Array(1)
const floatBytes = new Uint8Array(float.buffer)
// Big-endian machines have no memory-mapped little-endian file either: the core refuses them.

export class Writer {
  #buffer = Buffer.allocUnsafeSlow(sizeInitial)
  #at = 0

  get position(): number {
    return this.#at
  }

  /** Drops what was written since `position` was this. */
  rewind(position: number): void {
    this.#at = position
  }

  /** What was written: a view that the next use of this writer overwrites. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#at)
  }

  /** To be called after the last use of `view()`. */
  reset(): void {
    this.#at = 0
    if (this.#buffer.length > sizeKept) this.#buffer = Buffer.allocUnsafeSlow(sizeInitial)
  }

  #grow(extra: number): void {
    this.room(extra)
    const needed = this.#at + extra
    const larger = Buffer.allocUnsafeSlow(Math.min(sizeMax, Math.max(needed, this.#buffer.length * 2)))
    this.#buffer.copy(larger, 0, 0, this.#at)
    this.#buffer = larger
  }

  tag(tag: number): void {
    if (this.#at + 1 > this.#buffer.length) this.#grow(1)
    this.#buffer[this.#at++] = tag
  }

  #u32(at: number, value: number): void {
    const b = this.#buffer
    b[at] = value
    b[at + 1] = value >>> 8
    b[at + 2] = value >>> 16
    b[at + 3] = value >>> 24
  }

  /** A tag with a count or length; returns where the number is, for `patch`. */
  counted(tag: number, count: number): number {
    if (this.#at + 5 > this.#buffer.length) this.#grow(5)
    this.#buffer[this.#at] = tag
    this.#u32(this.#at + 1, count)
    this.#at += 5
    return this.#at - 4
  }

  patch(at: number, count: number): void {
    this.#u32(at, count)
  }

  #float(value: number): void {
    const b = this.#buffer
    const at = this.#at
    float[0] = value
    for (let i = 0; i < 8; i++) b[at + i] = floatBytes[i]!
    this.#at += 8
  }

  float64(tag: number, value: number): void {
    if (this.#at + 9 > this.#buffer.length) this.#grow(9)
    this.#buffer[this.#at++] = tag
    this.#float(value)
  }

  /** An integer when `value` is a safe one and not -0, else a float. */
  number(value: number): void {
    const small = value | 0
    if (small === value && (value !== 0 || 1 / value > 0)) {
      if (this.#at + 5 > this.#buffer.length) this.#grow(5)
      this.#buffer[this.#at] = Tag.int32
      this.#u32(this.#at + 1, small)
      this.#at += 5
    } else if (Number.isSafeInteger(value) && value !== 0) {
      if (this.#at + 9 > this.#buffer.length) this.#grow(9)
      const high = Math.floor(value / 2 ** 32)
      this.#buffer[this.#at] = Tag.int64
      this.#u32(this.#at + 1, value - high * 2 ** 32)
      this.#u32(this.#at + 5, high)
      this.#at += 9
    } else {
      this.float64(Tag.float64, value)
    }
  }

  bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      if (this.#at + 9 > this.#buffer.length) this.#grow(9)
      this.#buffer[this.#at] = Tag.int64
      this.#buffer.writeBigInt64LE(value, this.#at + 1)
      this.#at += 9
      return
    }
    const negative = value < 0n
    const hex = (negative ? -value : value).toString(16)
    const magnitude = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').reverse()
    this.#reserve(6 + magnitude.length)
    this.#buffer[this.#at] = Tag.bigint
    this.#buffer[this.#at + 1] = negative ? 1 : 0
    this.#u32(this.#at + 2, magnitude.length)
    this.#buffer.set(magnitude, this.#at + 6)
    this.#at += 6 + magnitude.length
  }

  /** Refuses `extra` more bytes when no length field could say so many. */
  room(extra: number): void {
    if (this.#at + extra > sizeMax) throw pongoError('VALUE', 'the value is larger than 4 GiB: store it in parts')
  }

  #reserve(extra: number): void {
    if (this.#at + extra > this.#buffer.length) this.#grow(extra)
  }

  /** A string; false, with nothing written, when it holds a lone surrogate. */
  string(text: string): boolean {
    const length = text.length
    if (length <= shortMax) {
      this.#reserve(length + 2)
      const b = this.#buffer
      const start = this.#at + 2
      let i = 0
      for (; i < length; i++) {
        const unit = text.charCodeAt(i)
        if (unit > 0x7f) break
        b[start + i] = unit
      }
      if (i === length) {
        b[this.#at] = Tag.shortAscii
        b[this.#at + 1] = length
        this.#at = start + length
        return true
      }
    }
    if (!wellFormed(text)) return false
    // At most three bytes per UTF-16 unit; for long strings the exact size is worth counting.
    this.#reserve(5 + (length < 4096 ? length * 3 : Buffer.byteLength(text)))
    const size = this.#buffer.write(text, this.#at + 5, 'utf8')
    this.#buffer[this.#at] = Tag.string
    this.#u32(this.#at + 1, size)
    this.#at += 5 + size
    return true
  }

  bytes(bytes: Uint8Array): void {
    if (bytes.length > sizeMax) throw pongoError('VALUE', 'the bytes are more than 4 GiB: store them in parts')
    this.#reserve(5 + bytes.length)
    this.#buffer[this.#at] = Tag.bytes
    this.#u32(this.#at + 1, bytes.length)
    this.#buffer.set(bytes, this.#at + 5)
    this.#at += 5 + bytes.length
  }

  uuid(bytes: Uint8Array): void {
    this.#reserve(17)
    this.#buffer[this.#at] = Tag.uuid
    this.#buffer.set(bytes, this.#at + 1)
    this.#at += 17
  }

  container(kind: number, id: number): void {
    this.#reserve(10)
    this.#buffer[this.#at] = Tag.container
    this.#buffer[this.#at + 1] = kind
    this.#at += 2
    this.#float(id)
  }

  /** Bytes that are wire form already. */
  raw(wire: Uint8Array): void {
    this.#reserve(wire.length)
    this.#buffer.set(wire, this.#at)
    this.#at += wire.length
  }
}

/** Whether a string has no lone surrogate. */
export function wellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}

/** What the decoder makes of the values that plain JavaScript has no form for. */
export interface Makers {
  uuid(bytes: Uint8Array): unknown
  container(kind: number, id: number): unknown
  /** Floats whose value is that of an integer are not to be mistaken for one. */
  float?(value: number): unknown
}

// Short ASCII strings, property names above all, repeat: those seen last are found again without making a new one.
const internedSizeMax = 24
const interned: (string | undefined)[] = new Array<string | undefined>(1024).fill(undefined)

const eight = new Uint8Array(8)
const eightView = new DataView(eight.buffer)

/** Reads wire form that the core wrote. */
export class Reader {
  readonly buffer: Bytes
  readonly #makers: Makers
  at = 0

  constructor(wire: Uint8Array, makers: Makers) {
    this.buffer = Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength) as unknown as Bytes
    this.#makers = makers
  }

  // Moves on by `size` bytes and returns where they begin.
  #skip(size: number): number {
    const start = this.at
    this.at = start + size
    if (this.at > this.buffer.length) throw pongoError('CORRUPT', 'wire form: truncated value')
    return start
  }

  u32(): number {
    const start = this.#skip(4)
    const b = this.buffer
    return (b[start]! | (b[start + 1]! << 8) | (b[start + 2]! << 16) | (b[start + 3]! << 24)) >>> 0
  }

  #eight(): DataView {
    const start = this.#skip(8)
    const b = this.buffer
    for (let i = 0; i < 8; i++) eight[i] = b[start + i]!
    return eightView
  }

  #take(size: number): Buffer {
    const start = this.#skip(size)
    return this.buffer.subarray(start, start + size)
  }

  #ascii(size: number): string {
    const start = this.#skip(size)
    const b = this.buffer
    if (size > internedSizeMax) return b.latin1Slice(start, start + size)
    let hash = size
    for (let i = start; i < this.at; i++) hash = (hash * 31 + b[i]!) | 0
    const slot = hash & 1023
    const known = interned[slot]
    if (known !== undefined && known.length === size) {
      let i = 0
      while (i < size && known.charCodeAt(i) === b[start + i]) i++
      if (i === size) return known
    }
    return (interned[slot] = b.latin1Slice(start, start + size))
  }

  #float64(value: number): unknown {
    return this.#makers.float === undefined ? value : this.#makers.float(value)
  }

  /** One value as plain JavaScript; undefined for the tag `absent`. */
  value(): unknown {
    const tag = this.buffer[this.#skip(1)]!
    switch (tag) {
      case Tag.absent:
        return undefined
      case Tag.null:
        return null
      case Tag.false:
        return false
      case Tag.true:
        return true
      case Tag.int32:
        return this.u32() | 0
      case Tag.int64: {
        const value = this.#eight().getBigInt64(0, true)
        const number = Number(value)
        return Number.isSafeInteger(number) ? number : value
      }
      case Tag.float64:
        return this.#float64(this.#eight().getFloat64(0, true))
      case Tag.bigint:
        return this.#bigint()
      case Tag.string:
        return this.#string(this.u32())
      case Tag.shortAscii:
        return this.#ascii(this.buffer[this.#skip(1)]!)
      case Tag.datetimeMs:
        return date(this.#eight().getFloat64(0, true))
      case Tag.datetimeUs: {
        const us = this.#eight().getBigInt64(0, true)
        const below = ((us % 1000n) + 1000n) % 1000n
        return date(Number((us - below) / 1000n))
      }
      case Tag.uuid:
        return this.#makers.uuid(this.#take(16))
      case Tag.bytes:
        return Uint8Array.from(this.#take(this.u32()))
      case Tag.list:
      case Tag.tuple: {
        const count = this.u32()
        const list: unknown[] = []
        for (let i = 0; i < count; i++) list.push(this.value())
        return list
      }
      case Tag.dict:
      case Tag.collection:
        return this.#dict(this.u32())
      case Tag.multi:
        return this.#multi(this.u32())
      case Tag.container: {
        const kind = this.buffer[this.#skip(1)]!
        return this.#makers.container(kind, this.#eight().getFloat64(0, true))
      }
      default:
        throw pongoError('CORRUPT', `wire form: unknown tag ${tag}`)
    }
  }

  #bigint(): number | bigint {
    const negative = this.buffer[this.#skip(1)] === 1
    const hex = Buffer.from(this.#take(this.u32())).reverse().toString('hex')
    const magnitude = BigInt(hex === '' ? 0 : `0x${hex}`)
    const value = negative ? -magnitude : magnitude
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  #string(size: number): string {
    const start = this.#skip(size)
    try {
      return this.buffer.utf8Slice(start, start + size)
    } catch {
      throw pongoError('VALUE', `a string of ${size} bytes is longer than this JavaScript engine allows`)
    }
  }

  // A plain object as long as all keys are strings; a Map from the first key that is not.
  #dict(count: number): object {
    const object: Record<string, unknown> = {}
    for (let i = 0; i < count; i++) {
      const key = this.value()
      if (typeof key !== 'string') return this.#map(object, key, count - i - 1)
      const value = this.value()
      // Plain assignment to this one name would set the prototype.
      if (key === '__proto__') {
        Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
      } else {
        object[key] = value
      }
    }
    return object
  }

  #map(before: Record<string, unknown>, key: unknown, rest: number): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>()
    // Keys that are not strings sort before strings or after them; integer-like names would come out of `before` in
    // another order than they were read, which the core's order makes good below.
    for (const name of Object.keys(before).sort(compareCodePoints)) map.set(name, before[name])
    map.set(key, this.value())
    for (let i = 0; i < rest; i++) {
      const next = this.value()
      map.set(next, this.value())
    }
    return map
  }

  #multi(count: number): Map<unknown, unknown[]> {
    const map = new Map<unknown, unknown[]>()
    let previous: Uint8Array | undefined
    let values: unknown[] = []
    for (let i = 0; i < count; i++) {
      const start = this.at
      const key = this.value()
      const bytes = this.buffer.subarray(start, this.at)
      // The pairs of one key are neighbours; keys are compared in wire form because a tuple is never `===` another.
      if (previous === undefined || !sameKey(bytes, previous)) {
        values = []
        map.set(key, values)
      }
      previous = bytes
      values.push(this.value())
    }
    return map
  }
}

/** Whether two keys in wire form are one: numbers have several forms, 1 and 1.0. */
export function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  if (Buffer.compare(a, b) === 0) return true
  const numbers = a[0]! >= Tag.int32 && a[0]! <= Tag.bigint && b[0]! >= Tag.int32 && b[0]! <= Tag.bigint
  return (numbers || (a[0] === Tag.tuple && b[0] === Tag.tuple)) && canonicalKey(a) === canonicalKey(b)
}

function canonicalKey(key: Uint8Array): string {
  const text = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(text).join()}]`
    if (typeof value === 'number') return Number.isInteger(value) ? String(BigInt(value)) : String(value)
    if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`
    if (value instanceof Date) return `date ${value.getTime()}`
    return typeof value === 'string' ? JSON.stringify(value) : String(value)
  }
  const makers = {
    uuid: (bytes: Uint8Array) => new String(`uuid ${Buffer.from(bytes).toString('hex')}`),
    container: () => undefined,
  }
  return text(new Reader(key, makers).value())
}

function date(milliseconds: number): Date {
  const value = new Date(milliseconds)
  if (Number.isNaN(value.getTime())) {
    throw pongoError('VALUE', 'the stored datetime is outside the range of a JavaScript Date')
  }
  return value
}

/** Order of two strings by code point, which differs from `<` (by UTF-16 unit) when surrogates meet U+E000 and above. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    // A surrogate is half of a character above U+FFFF.
    const xHigh = x >= 0xd800 && x <= 0xdfff
    const yHigh = y >= 0xd800 && y <= 0xdfff
    if (xHigh !== yHigh) return xHigh ? 1 : -1
    return x - y
  }
  return a.length - b.length
}
