// A wall clock that only the test moves. Processes that follow the same file have the same time.

import { closeSync, openSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'

const { addon } = createRequire(import.meta.url)('../../dist/binding.js') as {
  addon: { followClock(path: string): void }
}

export class Clock {
  readonly #file: number
  #now: number

  /** Creates the file; this process follows it until `stop`. */
  constructor(
    readonly path: string,
    now = Date.UTC(2030, 0, 1),
  ) {
    this.#now = now
    this.#file = openSync(path, 'w')
    this.set(now)
    addon.followClock(path)
  }

  /** Milliseconds since 1970. */
  get now(): number {
    return this.#now
  }

  set(now: number): void {
    this.#now = now
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(Math.round(now * 1000)))
    writeSync(this.#file, bytes, 0, 8, 0)
  }

  advance(ms: number): void {
    this.set(this.#now + ms)
  }

  /** The real clock again. */
  stop(): void {
    addon.followClock('')
    closeSync(this.#file)
  }
}
