// Reads a data file without the engine, from its documentation alone: docs/file_format.md.
//
// It shows the newest checkpoint. Beside running writers the blocks of that version are used again once a newer one is on disk:
// `current()` says whether what was read can be trusted. Everything that the format does not allow is a FormatError.

import { type StoredKey } from './key'
import {
  FormatError,
  readSlab,
  readSuperblock,
  refText,
  slabSize,
  spanClass,
  classSizes,
  readRef,
  readU64,
  type Superblock,
} from './layout'
import { Blocks, nodeKinds, TreeNode, type BlockKind } from './node'
import { openSource, type Source } from './source'
import { ContainerRef, ShapeRef, type StoredValue } from './value'

export const kindNames = ['none', 'Dict', 'List', 'Collection', 'MultiCollection'] as const
export const rootId = 1
export const shapesId = 2
export const companionsId = 3
const depthMax = 512

/** An entry of the object table. */
export interface ContainerEntry {
  id: number
  kind: number
  /** Ref of its tree, 0 when it is empty. */
  tree: number
  size: number
  parent: number
  links: number
  /** It has a time index or bounds. */
  companion: boolean
  bounded: boolean
  lru: boolean
}

/** Of a bounded Collection. */
export interface Bounds {
  maxItems?: number
  maxBytes?: number
  evict: 'lru' | 'fifo'
  /** With maxBytes: what is used of it. */
  bytes?: number
}

export interface RootRecord {
  version: number
  levels: number
  table: number
  containers: number
}

/** What `check` has counted. */
export interface CheckReport {
  containers: number
  values: number
  blocks: Record<BlockKind, number>
  bytes: number
}

export type Plain = StoredKey | ShapeRef | Plain[] | Map<StoredKey, Plain> | { [name: string]: Plain }

function bitCount(bits: number): number {
  let count = 0
  for (; bits !== 0; bits &= bits - 1) count++
  return count
}

export class DatabaseReader {
  readonly source: Source
  readonly superblock: Superblock
  readonly root: RootRecord

  constructor(path: string, options: { mapping?: boolean } = {}) {
    this.source = openSource(path, options.mapping)
    try {
      this.superblock = this.#newest()
      if (this.source.size < this.superblock.length)
        throw new FormatError('the file is shorter than its superblock says')
      this.root = this.#readRoot(new Blocks(this.source, this.superblock.length, undefined))
    } catch (error) {
      this.source.close()
      throw error
    }
  }

  close(): void {
    this.source.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Both copies, each a superblock or what is wrong with it. */
  superblocks(): Record<'A' | 'B', Superblock | FormatError> {
    const read = (copy: 'A' | 'B') => {
      try {
        return readSuperblock(this.source, copy)
      } catch (error) {
        if (error instanceof FormatError) return error
        throw error
      }
    }
    return { A: read('A'), B: read('B') }
  }

  #newest(): Superblock {
    const { A, B } = this.superblocks()
    if (A instanceof FormatError && B instanceof FormatError) throw A
    if (A instanceof FormatError) return B as Superblock
    if (B instanceof FormatError) return A
    return B.sequence > A.sequence ? B : A
  }

  /** Whether no newer checkpoint has been made since: if so, all that was read belongs to one version. */
  current(): boolean {
    this.source.refresh()
    return this.#newest().sequence === this.superblock.sequence
  }

  #readRoot(blocks: Blocks): RootRecord {
    const bytes = blocks.read(this.superblock.root, 'root')
    const version = Number(bytes.readBigUInt64LE(8))
    if (bytes[0] !== nodeKinds.root || version !== this.superblock.version) {
      throw new FormatError('the root record is not the one that the superblock names')
    }
    return { version, levels: bytes[1]!, table: readRef(bytes, 16), containers: readU64(bytes, 24) }
  }

  #blocks(visit?: (ref: number, kind: BlockKind) => void): Blocks {
    return new Blocks(this.source, this.superblock.length, visit)
  }

  // -- the object table --

  *#tableNode(blocks: Blocks, ref: number, level: number, base: number): Generator<ContainerEntry> {
    const bytes = blocks.read(ref, 'table')
    const bitmap = bytes.readUInt32LE(12)
    const leaf = level === 0
    if (bytes[0] !== (leaf ? nodeKinds.tableLeaf : nodeKinds.tableInner) || bytes[1] !== level) {
      throw new FormatError('a node of the object table has a wrong kind or level')
    }
    const width = leaf ? 24 : 8
    const capacity = bytes.readUInt16LE(4)
    const count = bitCount(bitmap)
    if (count !== bytes.readUInt16LE(2) || count > capacity || count === 0 || 16 + capacity * width > bytes.length) {
      throw new FormatError('a node of the object table holds impossible numbers')
    }
    let index = 0
    for (let position = 0; position < (leaf ? 16 : 32); position++) {
      if (((bitmap >>> position) & 1) === 0) continue
      const at = 16 + width * index++
      if (!leaf) {
        yield* this.#tableNode(blocks, readRef(bytes, at), level - 1, base + position * 2 ** (4 + 5 * (level - 1)))
        continue
      }
      const rootHigh = bytes.readUInt32LE(at + 4)
      const parentHigh = bytes.readUInt32LE(at + 20)
      yield {
        id: base + position,
        kind: (rootHigh >>> 8) & 15,
        tree: readRef(bytes, at),
        size: readU64(bytes, at + 8),
        parent: (parentHigh & 0xff) * 2 ** 32 + bytes.readUInt32LE(at + 16),
        links: parentHigh >>> 8,
        companion: ((rootHigh >>> 12) & 1) === 1,
        bounded: ((rootHigh >>> 13) & 1) === 1,
        lru: ((rootHigh >>> 14) & 1) === 1,
      }
    }
  }

  /** All containers in the order of their ids. */
  *containers(blocks = this.#blocks()): Generator<ContainerEntry> {
    const { levels, table } = this.root
    if (levels > 9) throw new FormatError('the object table is too high')
    if (levels > 0) yield* this.#tableNode(blocks, table, levels - 1, 0)
  }

  /** One container. O(levels). */
  container(id: number): ContainerEntry | undefined {
    const blocks = this.#blocks()
    let ref = this.root.table
    if (id >= 2 ** (4 + 5 * (this.root.levels - 1))) return undefined
    for (let level = this.root.levels - 1; level >= 0; level--) {
      if (level === 0) {
        const base = id - (id % 16)
        for (const entry of this.#tableNode(blocks, ref, 0, base)) if (entry.id === id) return entry
        return undefined
      }
      const bytes = blocks.read(ref, 'table')
      if (bytes[0] !== nodeKinds.tableInner) throw new FormatError('a node of the object table has a wrong kind')
      const bitmap = bytes.readUInt32LE(12)
      const position = Math.floor(id / 2 ** (4 + 5 * (level - 1))) % 32
      if (((bitmap >>> position) & 1) === 0) return undefined
      ref = readRef(bytes, 16 + 8 * bitCount(bitmap & ((1 << position) - 1)))
    }
    return undefined
  }

  // -- trees --

  *#nodes(blocks: Blocks, ref: number, keyed: boolean, level: number | undefined): Generator<TreeNode> {
    const node = new TreeNode(blocks, blocks.read(ref, 'node'))
    if (node.keyed !== keyed || node.kind === nodeKinds.shape)
      throw new FormatError('a node does not fit its container')
    if (level !== undefined && node.level !== level)
      throw new FormatError('a node has another level than its parent says')
    yield node
    if (node.leaf) return
    node.visitSeparators()
    for (let i = 0; i < node.count; i++) {
      const { ref: child, count } = node.child(i)
      let entries = 0
      for (const below of this.#nodes(blocks, child, keyed, node.level - 1)) {
        if (below.leaf) entries += below.count
        yield below
      }
      if (entries !== count) throw new FormatError('the counts of a node are wrong')
    }
  }

  /** All nodes of a container, parents before children. */
  *nodes(entry: ContainerEntry, blocks = this.#blocks()): Generator<TreeNode> {
    if (kindNames[entry.kind] === undefined || entry.kind === 0)
      throw new FormatError('a container has an unknown kind')
    if (entry.tree !== 0) yield* this.#nodes(blocks, entry.tree, entry.kind !== 2, undefined)
  }

  /** Keys and values of a container in their order; of a List the keys are positions. Without what has expired at `now` (ms). */
  *entries(entry: ContainerEntry, now = Date.now()): Generator<[StoredKey, StoredValue]> {
    let position = 0
    for (const node of this.nodes(entry)) {
      if (!node.leaf) continue
      for (let i = 0; i < node.count; i++) {
        if ((node.expiry(i) ?? Infinity) <= now * 1000) continue
        const value = node.value(i)
        if (entry.kind !== 4) {
          yield [entry.kind === 2 ? position++ : node.key(i), value]
          continue
        }
        // A MultiCollection: the key is the pair, and a container stands in the word.
        const pair = node.key(i)
        if (!Array.isArray(pair) || pair.length !== 2) throw new FormatError('a key of a MultiCollection is no pair')
        yield [pair[0]!, value === null ? pair[1]! : value]
      }
    }
  }

  /** The bounds of a bounded Collection, from its companion; undefined of any other container. O(bounded Collections). */
  bounds(entry: ContainerEntry): Bounds | undefined {
    if (!entry.bounded) return undefined
    const registry = this.container(companionsId)
    let companion: ContainerEntry | undefined
    for (const [key, value] of registry === undefined ? [] : this.entries(registry))
      if (key === entry.id && value instanceof ContainerRef) companion = this.container(value.id)
    if (companion === undefined) throw new FormatError(`the bounded container ${entry.id} has no companion`)
    const bounds: Bounds = { evict: entry.lru ? 'lru' : 'fifo' }
    for (const [key, value] of this.entries(companion)) {
      if (typeof key !== 'string') break // its indexes come behind
      if ((key === 'maxItems' || key === 'maxBytes' || key === 'bytes') && typeof value === 'number')
        bounds[key] = value
    }
    return bounds
  }

  /** The deep plain copy of a container, as `native()` makes it. */
  native(id: number, path: readonly number[] = []): Plain {
    const entry = this.container(id)
    if (entry === undefined) throw new FormatError(`container ${id} does not exist`)
    if (path.includes(id)) throw new FormatError(`container ${id} contains itself`)
    if (path.length > depthMax) throw new FormatError(`containers are nested deeper than ${depthMax} levels`)
    const below = [...path, id]
    const plain = (value: StoredValue): Plain => (value instanceof ContainerRef ? this.native(value.id, below) : value)
    if (entry.kind === 2) return Array.from(this.entries(entry), ([, value]) => plain(value))
    if (entry.kind === 4) {
      const groups = new Map<string, [StoredKey, Plain[]]>()
      for (const [key, value] of this.entries(entry)) {
        const name = keyName(key)
        if (!groups.has(name)) groups.set(name, [key, []])
        groups.get(name)![1].push(plain(value))
      }
      return new Map(groups.values())
    }
    const pairs = Array.from(this.entries(entry), ([key, value]): [StoredKey, Plain] => [key, plain(value)])
    if (!pairs.every(([key]) => typeof key === 'string')) return new Map(pairs)
    const object: { [name: string]: Plain } = {}
    for (const [key, value] of pairs) {
      // So that a name like __proto__ is a property as any other.
      Object.defineProperty(object, key as string, { value, enumerable: true, writable: true, configurable: true })
    }
    return object
  }

  // -- the file as a whole --

  /** How the slabs are used: by the size of their blocks, `span` or `unused`. */
  slabs(): { use: string; slabs: number; bytes: number }[] {
    const counts = new Map<string, number>()
    const count = this.superblock.length / slabSize
    for (let slab = 1; slab < count;) {
      let use: string
      let slabs = 1
      try {
        const header = readSlab(this.source, slab)
        if (header === undefined) use = 'unused'
        else if (header.sizeClass === spanClass) [use, slabs] = ['span', Math.min(header.spanSlabs, count - slab)]
        else use = String(classSizes[header.sizeClass])
      } catch (error) {
        if (!(error instanceof FormatError)) throw error
        use = 'unknown' // inside a former span
      }
      counts.set(use, (counts.get(use) ?? 0) + slabs)
      slab += slabs
    }
    return [...counts].map(([use, slabs]) => ({ use, slabs, bytes: slabs * slabSize }))
  }

  /** Reads everything that the version is made of, and checks it. O(size), with one number for each block in memory. */
  check(): CheckReport {
    const used = new Set<number>()
    const report: CheckReport = {
      containers: 0,
      values: 0,
      blocks: { root: 0, table: 0, node: 0, blob: 0, shape: 0 },
      bytes: 0,
    }
    const blocks = this.#blocks((ref, kind) => {
      // A shape has many parents; it is counted where the registry names it.
      if (kind === 'shape') return
      if (used.has(ref)) throw new FormatError(`the block ${refText(ref)} is used twice`)
      used.add(ref)
      report.blocks[kind]++
    })
    this.#readRoot(blocks)
    for (const entry of this.containers(blocks)) {
      report.containers++
      let entries = 0
      let before: Buffer | undefined
      for (const node of this.nodes(entry, blocks)) {
        if (!node.leaf) continue
        for (let i = 0; i < node.count; i++) {
          entries++
          const value = node.value(i)
          if (value instanceof ShapeRef) {
            if (entry.id !== shapesId) throw new FormatError('a shape outside the registry')
            report.blocks.shape++
            used.add(value.ref)
          }
          if (!node.keyed) continue
          if (node.expiry(i) !== undefined && !entry.companion) {
            throw new FormatError(`an entry of container ${entry.id} expires, which has no time index`)
          }
          const { ordered } = node.keyBytes(i)
          if (before !== undefined && Buffer.compare(before, ordered) >= 0) {
            throw new FormatError(`the keys of container ${entry.id} are out of order`)
          }
          before = Buffer.from(ordered)
        }
      }
      if (entries !== entry.size) throw new FormatError(`the size of container ${entry.id} is wrong`)
      report.values += entries
    }
    if (report.containers !== this.root.containers) throw new FormatError('the number of containers is wrong')
    report.bytes = [...used].reduce((sum, ref) => sum + (classSizes[Math.floor(ref / 2 ** 34)] ?? 0), 0)
    return report
  }
}

/** A text that two keys have in common only when they are the same key. */
function keyName(key: StoredKey): string {
  if (Array.isArray(key)) return `[${key.map(keyName).join(',')}]`
  if (key instanceof Date) return `d${key.getTime()}`
  if (key instanceof Uint8Array) return `b${Buffer.from(key).toString('hex')}`
  return `${typeof key} ${typeof key === 'string' ? JSON.stringify(key) : String(key)}`
}
