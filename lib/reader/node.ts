// Nodes of the trees and of the object table: docs/file_format.md, "Node header" to "Tree nodes".

import { decodeKey, type StoredKey } from './key'
import { FormatError, readBlock, readRef, readU64 } from './layout'
import type { Source } from './source'
import { decodeWord, type StoredValue } from './value'

export const nodeKinds = {
  keyedLeaf: 1,
  keyedInner: 2,
  listLeaf: 3,
  listInner: 4,
  tableLeaf: 5,
  tableInner: 6,
  root: 7,
  blob: 8,
  shape: 9,
  shapedLeaf: 10,
} as const

const overflowFlag = 1 << 28
const formFlag = 1 << 29
const expiresFlag = 1 << 30
const up = (x: number, n: number) => Math.ceil(x / n) * n

export interface Child {
  ref: number
  count: number
}

/** What a visitor of blocks hears of each. */
export type BlockKind = 'root' | 'table' | 'node' | 'blob' | 'shape'
export interface BlockVisitor {
  (ref: number, kind: BlockKind): void
}

/** The file as the nodes need it. */
export class Blocks {
  constructor(
    readonly source: Source,
    readonly length: number,
    readonly visit: BlockVisitor | undefined,
  ) {}

  read(ref: number, kind: BlockKind): Buffer {
    this.visit?.(ref, kind)
    return readBlock(this.source, this.length, ref)
  }

  /** The bytes of a blob. */
  blob(ref: number, type: number): Buffer {
    const bytes = this.read(ref, 'blob')
    const size = readU64(bytes, 8)
    if (bytes[0] !== nodeKinds.blob || bytes[1] !== type || size > bytes.length - 16) {
      throw new FormatError('a blob holds impossible bytes')
    }
    return bytes.subarray(16, 16 + size)
  }
}

/** One node of a tree. */
export class TreeNode {
  readonly kind: number
  readonly level: number
  readonly count: number
  readonly #prefix: Buffer
  readonly #words: number
  readonly #slots: number
  readonly #counts: number
  readonly #heap: number
  #shape: TreeNode | undefined

  constructor(
    readonly blocks: Blocks,
    readonly bytes: Buffer,
  ) {
    this.kind = bytes.readUInt8(0)
    this.level = bytes.readUInt8(1)
    this.count = bytes.readUInt16LE(2)
    const capacity = bytes.readUInt16LE(4)
    const prefixSize = bytes.readUInt16LE(6)
    this.#heap = bytes.readUInt16LE(8)
    const { keyedLeaf, keyedInner, listLeaf, listInner, shape, shapedLeaf } = nodeKinds
    let words = 16
    let slots = 0
    let counts = 0
    let end = 0
    switch (this.kind) {
      case keyedLeaf:
      case shape: {
        const fingerprints = 16 + prefixSize
        slots = up(fingerprints + up(capacity, 16), 4)
        words = up(slots + 4 * capacity, 8)
        end = words + 8 * capacity
        break
      }
      case shapedLeaf:
        words = 24
        end = words + 8 * capacity
        break
      case listLeaf:
        end = words + 8 * capacity
        break
      case keyedInner:
        words = up(16 + prefixSize, 8) + 8 * capacity
        counts = words + 8 * capacity
        slots = counts + 4 * capacity
        end = slots + 4 * capacity
        break
      case listInner:
        counts = words + 8 * capacity
        end = counts + 4 * capacity
        break
      default:
        throw new FormatError(`a node of a tree has the kind ${this.kind}`)
    }
    if (this.count === 0 || this.count > capacity || end + this.#heap > bytes.length || this.level > 30) {
      throw new FormatError('a node of a tree holds impossible numbers')
    }
    if (this.leaf !== (this.level === 0)) throw new FormatError('a node of a tree has the wrong level')
    this.#prefix = bytes.subarray(16, 16 + prefixSize)
    this.#words = words
    this.#slots = slots
    this.#counts = counts
  }

  get leaf(): boolean {
    return this.kind !== nodeKinds.keyedInner && this.kind !== nodeKinds.listInner
  }

  get keyed(): boolean {
    return this.kind !== nodeKinds.listLeaf && this.kind !== nodeKinds.listInner
  }

  #heapBytes(distance: number, size: number): Buffer {
    if (distance > this.#heap || size > distance) throw new FormatError('a payload lies outside the heap of its node')
    const start = this.bytes.length - distance
    return this.bytes.subarray(start, start + size)
  }

  child(i: number): Child {
    const high = this.bytes.readUInt32LE(this.#words + 8 * i + 4)
    const count = ((high >>> 8) & 0xff) * 2 ** 32 + this.bytes.readUInt32LE(this.#counts + 4 * i)
    return { ref: readRef(this.bytes, this.#words + 8 * i), count }
  }

  /** Reads the blobs of long separators, which are part of the tree though no key is asked for. */
  visitSeparators(): void {
    if (this.kind !== nodeKinds.keyedInner) return
    for (let i = 1; i < this.count; i++) {
      const slot = this.bytes.readUInt32LE(this.#slots + 4 * i)
      if (slot & overflowFlag) this.#longKey(slot)
    }
  }

  #longKey(slot: number): { ordered: Buffer; form: Buffer } {
    const at = this.#heapBytes(slot & 0xffff, 16)
    const size = at.readUInt32LE(8)
    const bytes = this.blocks.blob(readRef(at, 0), 0)
    return { ordered: bytes.subarray(0, size), form: bytes.subarray(size, size + at.readUInt32LE(12)) }
  }

  /** The ordered form of a leaf's key, and its form. */
  keyBytes(i: number): { ordered: Buffer; form: Buffer } {
    if (this.kind === nodeKinds.shapedLeaf) return this.shape().keyBytes(i)
    const slot = this.bytes.readUInt32LE(this.#slots + 4 * i)
    if (slot & overflowFlag) return this.#longKey(slot)
    let suffix = this.#heapBytes(slot & 0xffff, (slot >>> 16) & 0xfff)
    let form = Buffer.alloc(0)
    if (slot & formFlag) {
      const size = suffix.at(-1) ?? suffix.length
      if (size >= suffix.length) throw new FormatError('the form of a key is longer than the key')
      form = Buffer.from(suffix.subarray(suffix.length - 1 - size, -1))
      suffix = suffix.subarray(0, suffix.length - 1 - size)
    }
    return { ordered: Buffer.concat([this.#prefix, suffix]), form }
  }

  /** Microseconds since 1970 from which on the entry is absent; undefined: it does not expire. */
  expiry(i: number): bigint | undefined {
    if (this.kind !== nodeKinds.keyedLeaf) return undefined
    const slot = this.bytes.readUInt32LE(this.#slots + 4 * i)
    if (!(slot & expiresFlag)) return undefined
    const instant = this.#heapBytes((slot & 0xffff) + 8, 8).readBigInt64LE(0)
    if (instant <= 0n || !(this.bytes.readUInt32LE(12) & 1))
      throw new FormatError('an entry expires at an impossible instant')
    return instant
  }

  key(i: number): StoredKey {
    const { ordered, form } = this.keyBytes(i)
    return decodeKey(ordered, form)
  }

  /** The shape of a shaped leaf. */
  shape(): TreeNode {
    if (this.#shape === undefined) {
      const bytes = this.blocks.read(readRef(this.bytes, 16), 'shape')
      const shape = new TreeNode(this.blocks, bytes)
      if (shape.kind !== nodeKinds.shape || shape.count !== this.count)
        throw new FormatError('a leaf names a wrong shape')
      this.#shape = shape
    }
    return this.#shape
  }

  value(i: number): StoredValue {
    return decodeWord(this.bytes, this.#words + 8 * i, {
      local: (distance, size) => this.#heapBytes(distance, size),
      blob: (ref, type) => this.blocks.blob(ref, type),
    })
  }
}
