// 128-bit identifiers as values and keys.

import { inspect } from 'node:util'
import { isArrayBuffer, isUint8Array } from 'node:util/types'
import { addon } from './binding'
import { pongoError, show } from './errors'

const canonical = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

function parse(text: string): Uint8Array {
  if (!canonical.test(text)) {
    throw pongoError('VALUE', `Uuid: ${show(text)} is not of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`)
  }
  return new Uint8Array(Buffer.from(text.replaceAll('-', ''), 'hex'))
}

const kText: unique symbol = Symbol('bytes')

/**
 * A UUID. Immutable; stored as 16 bytes; as a key, UUIDs sort by their bytes.
 *
 * @example
 * const id = Uuid.v7()
 * db.root.users.set(id, { name: 'Ann' })
 */
export class Uuid {
  readonly #bytes: Uint8Array
  // What deep comparisons of tests and of node:assert see: they cannot look into private fields, and would take any two
  // UUIDs for equal.
  readonly [kText]: string

  /**
   * @param source the text (hyphens optional, either case) or the 16 bytes, which are copied.
   * Errors: `VALUE` when the text or the number of bytes is wrong, `TYPE` for anything else.
   */
  constructor(source: string | Uint8Array | ArrayBuffer) {
    if (typeof source === 'string') {
      this.#bytes = parse(source)
    } else if (isUint8Array(source) || isArrayBuffer(source)) {
      if (source.byteLength !== 16) throw pongoError('VALUE', `Uuid: 16 bytes are needed, not ${source.byteLength}`)
      this.#bytes = Uint8Array.from(isUint8Array(source) ? source : new Uint8Array(source))
    } else {
      throw pongoError('TYPE', `Uuid: text or 16 bytes are needed, not ${show(source)}`)
    }
    this[kText] = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, 16).toString('latin1')
  }

  /** A random UUID (RFC 9562 version 4). */
  static v4(): Uuid {
    return new Uuid(addon.uuid4())
  }

  /** A time-ordered UUID (RFC 9562 version 7): later ones sort after earlier ones. */
  static v7(): Uuid {
    return new Uuid(addon.uuid7())
  }

  /** The bytes of `value` without a copy, or undefined when it is no Uuid. Not for changing. */
  static peek(value: object): Uint8Array | undefined {
    return #bytes in value ? value.#bytes : undefined
  }

  /** The 16 bytes, a copy. */
  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }

  /** Whether `other` is a Uuid of the same bytes. */
  equals(other: unknown): boolean {
    if (!(typeof other === 'object' && other !== null && #bytes in other)) return false
    const bytes = other.#bytes
    return this.#bytes.every((byte, i) => byte === bytes[i])
  }

  /** The canonical text in lower case. */
  toString(): string {
    const hex = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, 16).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  /** As `toString`. */
  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return `Uuid ${this.toString()}`
  }
}
