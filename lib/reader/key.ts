// Keys from their ordered form and form: docs/file_format.md, "Keys".

import { FormatError } from './layout'
import { StoredUuid } from './value'

export type StoredKey = null | boolean | number | bigint | Date | StoredUuid | string | Uint8Array | StoredKey[]

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function decodeText(bytes: Uint8Array): string {
  try {
    return text.decode(bytes)
  } catch {
    throw new FormatError('a string is no UTF-8')
  }
}

export function exactInteger(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

export function dateOfMicroseconds(microseconds: bigint): Date {
  const quotient = microseconds / 1000n
  return new Date(Number(microseconds % 1000n < 0n ? quotient - 1n : quotient))
}

class KeyReader {
  #at = 0
  #numbers = 0

  constructor(
    readonly bytes: Uint8Array,
    readonly form: Uint8Array,
  ) {}

  get done(): boolean {
    return this.#at === this.bytes.length
  }

  #take(count: number): Uint8Array {
    if (this.#at + count > this.bytes.length) throw new FormatError('a key ends in the middle')
    this.#at += count
    return this.bytes.subarray(this.#at - count, this.#at)
  }

  // Groups of seven binary digits behind the point, as long as there are any; `flip` inverts the bytes.
  #fraction(flip: number): { sum: number; any: boolean } {
    let sum = 0
    let scale = 1
    let any = false
    while (this.#at < this.bytes.length) {
      const byte = this.bytes[this.#at]! ^ flip
      if (byte < 0x80) break
      this.#at++
      scale /= 128
      sum += (byte - 0x80) * scale
      any = true
    }
    return { sum, any }
  }

  #whole(count: number, flip: number): bigint {
    let value = 0n
    for (const byte of this.#take(count)) value = (value << 8n) | BigInt(byte ^ flip)
    return value
  }

  // An integer is an integer or a float, as the form says.
  #integer(value: bigint): number | bigint {
    const index = this.#numbers++
    const isFloat = ((this.form[index >> 3] ?? 0) >> (index & 7)) & 1
    return isFloat ? Number(value) : exactInteger(value)
  }

  #float(value: number): number {
    this.#numbers++
    return value
  }

  #number(tag: number): number | bigint {
    if (tag === 0x20) return this.#integer(0n)
    if (tag === 0x10) return this.#float(-Infinity)
    if (tag === 0x2f) return this.#float(Infinity)
    const negative = tag < 0x20
    const flip = negative ? 0xff : 0
    const sign = negative ? -1n : 1n
    const positive = negative ? 0x40 - tag : tag // 0x16..0x1f mirror 0x2a..0x21
    if (positive === 0x2a) return this.#integer(sign * this.#whole(Number(this.#whole(4, flip)), flip))
    let value: number | bigint
    if (positive === 0x21) {
      const exponent = Number(this.#whole(2, flip)) - 1075
      const { sum } = this.#fraction(flip)
      value = this.#float(Number(sign) * (1 + sum) * 2 ** exponent)
    } else {
      const whole = this.#whole(positive - 0x21, flip)
      const { sum, any } = this.#fraction(flip)
      value = any ? this.#float(Number(sign) * (Number(whole) + sum)) : this.#integer(sign * whole)
    }
    if (negative && this.#take(1)[0] !== 0xff) throw new FormatError('a negative number in a key has no end')
    return value
  }

  // The rest of the key; inside a tuple up to a zero byte.
  #run(nested: boolean): Uint8Array {
    if (!nested) return this.#take(this.bytes.length - this.#at)
    const found: number[] = []
    for (;;) {
      const byte = this.#take(1)[0]!
      if (byte === 0) {
        if (this.bytes[this.#at] !== 0xff) return Uint8Array.from(found)
        this.#at++
      }
      found.push(byte)
    }
  }

  value(depth: number): StoredKey {
    if (depth > 512) throw new FormatError('a key is nested too deep')
    const tag = this.#take(1)[0]!
    switch (tag) {
      case 0x05:
        return null
      case 0x06:
      case 0x07:
        return tag === 0x07
      case 0x30:
        return dateOfMicroseconds(BigInt.asIntN(64, this.#whole(8, 0) ^ (1n << 63n)))
      case 0x34:
        return new StoredUuid(this.#take(16))
      case 0x40: {
        // Inside a tuple a zero byte of a string is written as two.
        return decodeText(this.#run(depth > 0))
      }
      case 0x44:
        return Uint8Array.from(this.#run(depth > 0))
      case 0x50: {
        const items: StoredKey[] = []
        for (;;) {
          if (depth === 0 ? this.done : this.bytes[this.#at] === 0) break
          items.push(this.value(depth + 1))
        }
        if (depth > 0) this.#take(1)
        return items
      }
      default:
        if (tag === 0x10 || (tag >= 0x16 && tag <= 0x2a) || tag === 0x2f) return this.#number(tag)
        throw new FormatError(`a key has the unknown tag 0x${tag.toString(16)}`)
    }
  }
}

/** The key of an ordered form and its form. */
export function decodeKey(ordered: Uint8Array, form: Uint8Array): StoredKey {
  const reader = new KeyReader(ordered, form)
  const key = reader.value(0)
  if (!reader.done) throw new FormatError('a key goes on behind its end')
  return key
}
