// Output: stdout with backpressure, and a line of progress on a terminal.

import { once } from 'node:events'
import type { Writable } from 'node:stream'

const bufferSize = 65536

/** Writes data, no faster than it is read. A reader that has gone away (`| head`) ends the process quietly. */
export class Out {
  #buffer = ''

  constructor(readonly stream: Writable) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }

  /** Resolves when there is room for more. */
  async write(text: string): Promise<void> {
    this.#buffer += text
    if (this.#buffer.length >= bufferSize) await this.flush()
  }

  async line(text: string): Promise<void> {
    await this.write(`${text}\n`)
  }

  async pieces(pieces: Iterable<string>): Promise<void> {
    for (const piece of pieces) {
      this.#buffer += piece
      if (this.#buffer.length >= bufferSize) await this.flush()
    }
  }

  async flush(): Promise<void> {
    const text = this.#buffer
    this.#buffer = ''
    if (text !== '' && !this.stream.write(text)) await once(this.stream, 'drain')
  }
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function bytesText(bytes: number): string {
  const power = Math.min(units.length - 1, bytes < 1024 ? 0 : Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

const redrawInterval = 100 // ms

/** A line that is drawn anew, when stderr is a terminal; otherwise nothing. */
export class Progress {
  #drawn = 0
  #shown = false

  update(text: () => string): void {
    if (!process.stderr.isTTY) return
    const now = Date.now()
    if (now - this.#drawn < redrawInterval) return
    this.#drawn = now
    this.#shown = true
    process.stderr.write(`\r\x1b[K${text().slice(0, (process.stderr.columns ?? 80) - 1)}`)
  }

  /** Ends the line; on a terminal leaves the text there. */
  done(text?: string): void {
    if (!process.stderr.isTTY) return
    process.stderr.write(`${this.#shown ? '\r\x1b[K' : ''}${text === undefined ? '' : `${text}\n`}`)
  }
}

export function bar(done: number, total: number, width = 30): string {
  const part = total <= 0 ? 1 : Math.min(1, done / total)
  const full = Math.round(part * width)
  return `[${'#'.repeat(full)}${'-'.repeat(width - full)}] ${(part * 100).toFixed(0).padStart(3)}%`
}
