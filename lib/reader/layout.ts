// Superblocks, refs, slabs: docs/file_format.md from "Overview" to "Root record". Nothing here knows the engine.

import type { Source } from './source'

/** What the format does not allow, or a file that is none. */
export class FormatError extends Error {
  override readonly name = 'FormatError'
}

export const slabSize = 65536
export const classSizes = [
  64, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120,
  6144, 7168, 8192, 10880, 13056, 16320, 21824, 32704,
] as const
export const spanClass = 63
const slabMagic = 0x42414c53
const headerSize = 64
const magic = Buffer.from('PONGODB1')

export interface Superblock {
  copy: 'A' | 'B'
  format: number
  uuid: string
  sequence: number
  version: number
  root: number
  length: number
  maxSize: number
  chunkSize: number
  containerIdNext: number
  clean: boolean
  idKey: string
}

/** CRC-32C (Castagnoli, reflected). */
const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
  return c >>> 0
})
export function crc32c(bytes: Uint8Array): number {
  let c = 0xffffffff
  for (const byte of bytes) c = crcTable[(c ^ byte) & 0xff]! ^ (c >>> 8)
  return (c ^ 0xffffffff) >>> 0
}

/** A u64 that must be exact as a number. */
export function readU64(bytes: Buffer, offset: number): number {
  const value = bytes.readUInt32LE(offset + 4) * 2 ** 32 + bytes.readUInt32LE(offset)
  if (!Number.isSafeInteger(value)) throw new FormatError('a number is out of range')
  return value
}

export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Reads one of the two copies. Throws a FormatError that says what is wrong with it. */
export function readSuperblock(source: Source, copy: 'A' | 'B'): Superblock {
  const page = source.read(copy === 'A' ? 0 : 4096, 4096)
  if (page === undefined) throw new FormatError('the file is too short')
  if (!page.subarray(0, 8).equals(magic)) throw new FormatError('no PongoDB superblock')
  const format = page.readUInt32LE(8)
  if (format > 1 && format < 0x10000) throw new FormatError(`format ${format} is newer than this reader, which knows 1`)
  const unsealed = Buffer.from(page)
  unsealed.writeUInt32LE(0, 12)
  if (crc32c(unsealed) !== page.readUInt32LE(12)) throw new FormatError('the checksum is wrong')
  if (format !== 1) throw new FormatError(`unknown format ${format}`)
  const idKeySize = page.readUInt32LE(92)
  const superblock: Superblock = {
    copy,
    format,
    uuid: uuidText(page.subarray(16, 32)),
    sequence: readU64(page, 32),
    version: Number(page.readBigUInt64LE(40)),
    root: readRef(page, 48),
    length: readU64(page, 56),
    maxSize: readU64(page, 64),
    chunkSize: readU64(page, 72),
    containerIdNext: readU64(page, 80),
    clean: page.readUInt32LE(88) === 1,
    idKey: page.toString('utf8', 96, 96 + Math.min(idKeySize, 255)),
  }
  const { length, maxSize, chunkSize, containerIdNext, version } = superblock
  const plausible =
    length % slabSize === 0 &&
    length >= 2 * slabSize &&
    chunkSize > 0 &&
    chunkSize % slabSize === 0 &&
    idKeySize <= 255 &&
    version < 2 ** 60 &&
    Math.max(length, maxSize, chunkSize, containerIdNext) <= 2 ** 40
  if (!plausible) throw new FormatError('impossible values')
  return superblock
}

// -- refs: 40 bits, offset / 64 and size class --

export function readRef(bytes: Buffer, offset: number): number {
  return (bytes.readUInt32LE(offset + 4) & 0xff) * 2 ** 32 + bytes.readUInt32LE(offset)
}
export function refOffset(ref: number): number {
  return (ref % 2 ** 34) * 64
}
export function refClass(ref: number): number {
  return Math.floor(ref / 2 ** 34) & 63
}
export function refText(ref: number): string {
  return ref === 0 ? 'null' : `${refOffset(ref)}:${refClass(ref) === spanClass ? 'span' : classSizes[refClass(ref)]}`
}

export interface SlabHeader {
  slab: number
  sizeClass: number
  /** Bytes of a block; of a span all that it has. */
  blockSize: number
  spanSlabs: number
}

/** The header of a slab; undefined when it has never been used. */
export function readSlab(source: Source, slab: number): SlabHeader | undefined {
  const bytes = source.read(slab * slabSize, headerSize)
  if (bytes === undefined) throw new FormatError(`slab ${slab} lies outside the file`)
  const found = bytes.readUInt32LE(0)
  if (found === 0) return undefined
  const sizeClass = bytes.readUInt8(4)
  const spanSlabs = bytes.readUInt32LE(8)
  const blockSize = sizeClass === spanClass ? spanSlabs * slabSize - headerSize : classSizes[sizeClass]
  if (found !== slabMagic || blockSize === undefined || spanSlabs === 0)
    throw new FormatError(`slab ${slab} has no valid header`)
  return { slab, sizeClass, blockSize, spanSlabs }
}

/** The bytes of a block. Throws when the ref does not name one. */
export function readBlock(source: Source, length: number, ref: number): Buffer {
  const offset = refOffset(ref)
  const sizeClass = refClass(ref)
  const slab = Math.floor(offset / slabSize)
  if (slab < 1 || offset >= length) throw new FormatError(`the ref ${refText(ref)} lies outside the file`)
  const header = readSlab(source, slab)
  if (header?.sizeClass !== sizeClass)
    throw new FormatError(`the ref ${refText(ref)} does not fit the header of its slab`)
  const within = offset - slab * slabSize - headerSize
  const aligned = sizeClass === spanClass ? within === 0 : within >= 0 && within % header.blockSize === 0
  if (!aligned) throw new FormatError(`the ref ${refText(ref)} does not name the start of a block`)
  const bytes = offset + header.blockSize <= length ? source.read(offset, header.blockSize) : undefined
  if (bytes === undefined) throw new FormatError(`the block ${refText(ref)} lies outside the file`)
  return bytes
}
