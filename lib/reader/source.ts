// The bytes of a file, mapped into memory with `@riaskov/mmap-io` where that package is installed, else read piece by piece.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** Bytes of a file, by position. What is returned may be shared: it must not be written, nor kept for long. */
export interface Source {
  /** Bytes of the file when it was opened. */
  readonly size: number
  readonly mapped: boolean
  /** Exactly `length` bytes; undefined when the file does not have them. */
  read(offset: number, length: number): Buffer | undefined
  /** Forgets what was read before: the file may have been written since. */
  refresh(): void
  close(): void
}

interface MmapIo {
  map(size: number, protection: number, flags: number, fd: number, offset: number): Buffer
  PROT_READ: number
  MAP_SHARED: number
}

const pieceSize = 65536
const piecesKept = 1024
const windowSize = 2 ** 30

class FileSource implements Source {
  readonly size: number
  readonly mapped = false
  // The pieces used last, in that order.
  readonly #pieces = new Map<number, Buffer>()
  #fd: number

  constructor(path: string) {
    this.#fd = openSync(path, 'r')
    this.size = fstatSync(this.#fd).size
  }

  #fill(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    let done = 0
    while (done < length) {
      const count = readSync(this.#fd, bytes, done, length - done, offset + done)
      if (count === 0) break
      done += count
    }
    return bytes.subarray(0, done)
  }

  #piece(index: number): Buffer {
    let piece = this.#pieces.get(index)
    if (piece === undefined) {
      piece = this.#fill(index * pieceSize, pieceSize)
      if (this.#pieces.size >= piecesKept) this.#pieces.delete(this.#pieces.keys().next().value!)
    } else {
      this.#pieces.delete(index)
    }
    this.#pieces.set(index, piece)
    return piece
  }

  read(offset: number, length: number): Buffer | undefined {
    if (offset < 0 || length < 0 || offset + length > this.size) return undefined
    const index = Math.floor(offset / pieceSize)
    const start = offset - index * pieceSize
    const bytes =
      start + length <= pieceSize ? this.#piece(index).subarray(start, start + length) : this.#fill(offset, length)
    return bytes.length === length ? bytes : undefined
  }

  refresh(): void {
    this.#pieces.clear()
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }
}

class MappedSource implements Source {
  readonly size: number
  readonly mapped = true
  readonly #windows = new Map<number, Buffer>()
  readonly #mmap: MmapIo
  #fd: number

  constructor(path: string, mmap: MmapIo) {
    this.#mmap = mmap
    this.#fd = openSync(path, 'r')
    this.size = fstatSync(this.#fd).size
  }

  #window(index: number): Buffer {
    let window = this.#windows.get(index)
    if (window === undefined) {
      const start = index * windowSize
      const { PROT_READ, MAP_SHARED } = this.#mmap
      window = this.#mmap.map(Math.min(windowSize, this.size - start), PROT_READ, MAP_SHARED, this.#fd, start)
      this.#windows.set(index, window)
    }
    return window
  }

  read(offset: number, length: number): Buffer | undefined {
    if (offset < 0 || length < 0 || offset + length > this.size) return undefined
    const first = Math.floor(offset / windowSize)
    const start = offset - first * windowSize
    if (start + length <= windowSize)
      return length === 0 ? Buffer.alloc(0) : this.#window(first).subarray(start, start + length)
    const parts: Buffer[] = []
    for (let at = offset; at < offset + length;) {
      const index = Math.floor(at / windowSize)
      const end = Math.min((index + 1) * windowSize, offset + length)
      parts.push(this.#window(index).subarray(at - index * windowSize, end - index * windowSize))
      at = end
    }
    return Buffer.concat(parts)
  }

  refresh(): void {}

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
    this.#windows.clear() // unmapped when the buffers are collected
  }
}

function loadMmap(): MmapIo | undefined {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const loaded = require('@riaskov/mmap-io') as MmapIo & { default?: MmapIo }
    return loaded.default ?? loaded
  } catch {
    return undefined // not installed, or not built
  }
}

/**
 * Opens a file for reading.
 *
 * @param mapping true: only by mapping it, an error without the package; false: never; undefined: if possible.
 */
export function openSource(path: string, mapping?: boolean): Source {
  const mmap = mapping === false ? undefined : loadMmap()
  if (mapping === true && mmap === undefined) throw new Error('the package @riaskov/mmap-io is not installed')
  return mmap === undefined ? new FileSource(path) : new MappedSource(path, mmap)
}
