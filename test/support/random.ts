// Repeatable random choices: a failing test names its seed, PONGODB_SEED runs it again.

/** A generator with 32 bits of state (mulberry32). */
export class Random {
  #state: number

  constructor(readonly seed: number = Number(process.env['PONGODB_SEED'] ?? (Math.random() * 2 ** 32) >>> 0)) {
    this.#state = seed
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** An integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  /** An integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }
}

/** The number of operations of a fuzz test: `PONGODB_OPERATIONS`, or what CI runs. */
export function operations(ci: number): number {
  return Number(process.env['PONGODB_OPERATIONS'] ?? ci)
}
