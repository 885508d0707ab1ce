// JSON out: from the wire form of a plain copy straight to UTF-8, without objects in between and without recursion.
// No white space, keys in order. What JSON lacks is written as the documentation says.

import { isDate, isMap, isUint8Array } from 'node:util/types'
import { pongoError } from './errors'
import { refOf, type Ref } from './live'
import { Uuid } from './uuid'
import { Reader, sameKey, Tag } from './wire'

const comma = 0x2c
const quote = 0x22

// What a byte of a string becomes when it cannot stand as it is.
const escaped: (Buffer | undefined)[] = Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === quote || byte === 0x5c
    ? Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1))
    : undefined,
)

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** JSON text of a value that is no live container: of plain copies too. */
export function plainJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null'
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'object':
      break
    default:
      return 'null'
  }
  if (value === null) return 'null'
  if (Array.isArray(value)) return `[${value.map(plainJson).join(',')}]`
  if (isDate(value)) return JSON.stringify(value.toISOString())
  if (isUint8Array(value)) return JSON.stringify(base64(value))
  if (isMap(value) || Object.getPrototypeOf(value) === Object.prototype) {
    const pairs: Iterable<[unknown, unknown]> = isMap(value) ? value : Object.entries(value)
    return `{${Array.from(pairs, ([key, item]) => `${JSON.stringify(jsonKey(key))}:${plainJson(item)}`).join(',')}}`
  }
  // A Uuid, or whatever meta['.uuid_constructor'] made of one.
  return JSON.stringify(value) ?? 'null'
}

/** The text of a key as the name of a property: strings as they are, other keys as their JSON text without quotes. */
export function jsonKey(key: unknown): string {
  if (typeof key === 'string') return key
  if (typeof key === 'number') return String(key)
  const text = plainJson(key)
  return text.startsWith('"') ? (JSON.parse(text) as string) : text
}

const plainMakers = { uuid: (bytes: Uint8Array) => new Uuid(bytes), container: () => null }

interface Open {
  /** Pairs or elements that are left. */
  left: number
  tag: number
  first: boolean
  /** Of a MultiCollection: the key of the pair before, in wire form. */
  key: Uint8Array | undefined
}

class Printer {
  readonly #reader: Reader
  readonly #wire: Uint8Array
  #out: Buffer
  #at = 0
  readonly #open: Open[] = []

  constructor(wire: Uint8Array) {
    this.#wire = wire
    this.#reader = new Reader(wire, plainMakers)
    this.#out = Buffer.allocUnsafe(wire.length + 64)
  }

  text(): string {
    this.#value()
    for (let top = this.#open.at(-1); top !== undefined; top = this.#open.at(-1)) {
      if (top.left-- > 0) this.#next(top)
      else this.#leave(top)
    }
    try {
      return this.#out.toString('utf8', 0, this.#at)
    } catch {
      throw pongoError(
        'VALUE',
        `JSON text of ${this.#at} bytes is longer than a string of this JavaScript engine: write its parts`,
      )
    }
  }

  #next(top: Open): void {
    if (top.tag === Tag.multi) return this.#pair(top)
    if (!top.first) this.#byte(comma)
    top.first = false
    if (top.tag !== Tag.list) this.#key()
    this.#value()
  }

  // The values of one key are neighbours: they become one array.
  #pair(top: Open): void {
    const key = this.#peekKey()
    if (top.key !== undefined && sameKey(key, top.key)) {
      this.#reader.value()
      this.#byte(comma)
    } else {
      if (top.key !== undefined) this.#ascii('],')
      this.#key()
      this.#ascii('[')
    }
    top.key = key
    this.#value()
  }

  #peekKey(): Uint8Array {
    const start = this.#reader.at
    this.#reader.value()
    const key = this.#wire.subarray(start, this.#reader.at)
    this.#reader.at = start
    return key
  }

  #leave(top: Open): void {
    if (top.key !== undefined) this.#ascii(']')
    this.#byte(top.tag === Tag.list ? 0x5d : 0x7d)
    this.#open.pop()
  }

  #value(): void {
    const tag = this.#wire[this.#reader.at]!
    switch (tag) {
      case Tag.list:
      case Tag.dict:
      case Tag.collection:
      case Tag.multi:
        this.#reader.at++
        this.#open.push({ left: this.#reader.u32(), tag, first: true, key: undefined })
        return this.#byte(tag === Tag.list ? 0x5b : 0x7b)
      case Tag.string:
      case Tag.shortAscii:
        return this.#string(tag)
      default:
        return this.#ascii(plainJson(this.#reader.value()))
    }
  }

  #key(): void {
    const tag = this.#wire[this.#reader.at]!
    if (tag === Tag.string || tag === Tag.shortAscii) this.#string(tag)
    else this.#utf8(JSON.stringify(jsonKey(this.#reader.value())))
    this.#byte(0x3a)
  }

  // The bytes of a stored string are UTF-8 already: only what must be escaped changes.
  #string(tag: number): void {
    const reader = this.#reader
    reader.at++
    const size = tag === Tag.string ? reader.u32() : this.#wire[reader.at++]!
    const end = reader.at + size
    if (end > this.#wire.length) throw pongoError('CORRUPT', 'wire form: a string ends behind its text')
    this.#reserve(size * 6 + 2)
    const out = this.#out
    let at = this.#at
    out[at++] = quote
    for (let i = reader.at; i < end; i++) {
      const byte = this.#wire[i]!
      const instead = escaped[byte]
      if (instead === undefined) out[at++] = byte
      else at += instead.copy(out, at)
    }
    out[at++] = quote
    this.#at = at
    reader.at = end
  }

  #reserve(extra: number): void {
    if (this.#at + extra <= this.#out.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#at + extra, this.#out.length * 2))
    this.#out.copy(larger, 0, 0, this.#at)
    this.#out = larger
  }

  #byte(byte: number): void {
    this.#reserve(1)
    this.#out[this.#at++] = byte
  }

  #ascii(text: string): void {
    this.#reserve(text.length)
    this.#at += this.#out.write(text, this.#at, 'latin1')
  }

  #utf8(text: string): void {
    this.#reserve(text.length * 3)
    this.#at += this.#out.write(text, this.#at, 'utf8')
  }
}

/** JSON text of a container. O(size). Errors: `TYPE` when containers form a cycle, `VALUE` when it is too long for a string. */
export function containerJson(ref: Ref): string {
  return new Printer(ref.native.native(ref.view, ref.id)).text()
}

/** JSON text of a value that was read: a live container or another one. */
export function jsonText(value: unknown): string {
  const ref = refOf(value)
  return ref === undefined ? plainJson(value) : containerJson(ref)
}

// Newer engines can write the digits of a big integer into JSON.
const rawJson = (JSON as { rawJSON?: (text: string) => unknown }).rawJSON

/**
 * A plain copy as JSON.stringify writes it like `json()`: keys as text, bytes as base64. Big integers as digits where the
 * engine can; else JSON.stringify refuses them, as it always does, and `json()` is the way.
 */
export function jsonReady(value: unknown): unknown {
  if (typeof value === 'bigint') return rawJson === undefined ? value : rawJson(String(value))
  if (typeof value !== 'object' || value === null || isDate(value)) return value
  if (isUint8Array(value)) return base64(value)
  if (Array.isArray(value)) return value.map(jsonReady)
  const plain = Object.getPrototypeOf(value) === Object.prototype
  if (!plain && !isMap(value)) return value
  // Without a prototype every name is an ordinary one.
  const object: Record<string, unknown> = Object.create(null)
  for (const [key, item] of isMap(value) ? value : Object.entries(value)) object[jsonKey(key)] = jsonReady(item)
  return object
}
