// Values from their words: docs/file_format.md, "Value words".

import { dateOfMicroseconds, decodeText, exactInteger, type StoredKey } from './key'
import { FormatError, readRef, uuidText } from './layout'

/** A UUID as stored. */
export class StoredUuid {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    if (bytes.length !== 16) throw new FormatError('a UUID has not 16 bytes')
    this.bytes = Uint8Array.from(bytes)
  }
  toString(): string {
    return uuidText(this.bytes)
  }
  toJSON(): string {
    return this.toString()
  }
}

/** A container by its id, where a value names one. */
export class ContainerRef {
  constructor(
    readonly id: number,
    readonly kind: number,
  ) {}
}

export type StoredValue = StoredKey | ContainerRef | ShapeRef

/** A shape, where the registry names one. */
export class ShapeRef {
  constructor(readonly ref: number) {}
}

function unsigned(bytes: Uint8Array): bigint {
  let value = 0n
  for (let i = bytes.length; i-- > 0;) value = (value << 8n) | BigInt(bytes[i]!)
  return value
}

/** The value of a payload, by its type. */
export function decodePayload(type: number, bytes: Buffer): StoredValue {
  switch (type) {
    case 1:
      return decodeText(bytes)
    case 2:
      return Uint8Array.from(bytes)
    case 3:
      return new StoredUuid(bytes)
    case 4:
      if (bytes.length !== 8) throw new FormatError('an integer has not 8 bytes')
      return exactInteger(bytes.readBigInt64LE(0))
    case 5:
      return exactInteger(-unsigned(bytes))
    case 6:
      return exactInteger(unsigned(bytes))
    case 7:
      if (bytes.length !== 8) throw new FormatError('a datetime has not 8 bytes')
      return dateOfMicroseconds(bytes.readBigInt64LE(0))
    default:
      throw new FormatError(`a payload has the unknown type ${type}`)
  }
}

export interface Payloads {
  /** Bytes of the heap of the node that holds the word. */
  local(distance: number, size: number): Buffer
  /** The bytes in a blob; its type must be the given one. */
  blob(ref: number, type: number): Buffer
}

/** The value of the word at `offset` of a node. */
export function decodeWord(node: Buffer, offset: number, payloads: Payloads): StoredValue {
  const high = node.readUInt32LE(offset + 4)
  const low = node.readUInt32LE(offset)
  const upper = high & 0xffff // of the payload
  switch (high >>> 16) {
    case 0xfff1: {
      const constant = upper === 0 ? [null, false, true][low] : undefined
      if (constant === undefined) throw new FormatError('an unknown constant')
      return constant
    }
    case 0xfff2:
      return ((upper << 16) >> 16) * 2 ** 32 + low
    case 0xfff3: {
      const length = upper >>> 8
      if (length > 5) throw new FormatError('a short string is too long')
      return decodeText(node.subarray(offset, offset + length))
    }
    case 0xfff4:
      return new Date(((upper << 16) >> 16) * 2 ** 32 + low)
    case 0xfff5: {
      // 44-47 type, 24-43 size, 0-23 distance
      const size = (upper & 0x0fff) * 256 + (low >>> 24)
      return decodePayload(upper >>> 12, payloads.local(low & 0xffffff, size))
    }
    case 0xfff6: {
      const type = (upper >>> 8) & 15
      const ref = readRef(node, offset)
      return type === 8 ? new ShapeRef(ref) : decodePayload(type, payloads.blob(ref, type))
    }
    case 0xfff7:
      return new ContainerRef((upper & 0x0fff) * 2 ** 32 + low, upper >>> 12)
    default:
      return node.readDoubleLE(offset)
  }
}
