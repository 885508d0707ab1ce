// db.locks: the Web Locks API (https://w3c.github.io/web-locks/) for all threads and processes that have the file open.

import { isSignal } from './abort'
import { kindNamed, lockName, type LockBook } from './coordination'

const onlyIfAvailable = 1
const steal = 2
const tellIfStolen = 4

export type LockMode = 'exclusive' | 'shared'

export interface LockOptions {
  /** Default `exclusive`. */
  mode?: LockMode
  /** Call the callback with null instead of waiting. */
  ifAvailable?: boolean
  /** Take the lock from those who hold it: their `request` is rejected with an `AbortError`. */
  steal?: boolean
  /** Ends the waiting; no effect once the lock is granted. */
  signal?: AbortSignal
}

/** A lock that was granted. */
export interface WebLock {
  readonly name: string
  readonly mode: LockMode
}

export interface LockInfo {
  name: string
  mode: LockMode
  /** Names the handle that holds it or waits for it. */
  clientId: string
}

export interface LockManagerSnapshot {
  held: LockInfo[]
  pending: LockInfo[]
}

class GrantedLock implements WebLock {
  readonly #name: string
  readonly #mode: LockMode

  constructor(name: string, mode: LockMode) {
    this.#name = name
    this.#mode = mode
  }

  get name(): string {
    return this.#name
  }

  get mode(): LockMode {
    return this.#mode
  }

  get [Symbol.toStringTag](): string {
    return 'Lock'
  }
}

const notSupported = (text: string): DOMException => new DOMException(text, 'NotSupportedError')

interface Request {
  name: string
  mode: LockMode
  flags: number
  signal: AbortSignal | undefined
}

// The checks of the specification in its order; as there, unknown options are ignored.
function interpret(name: string, options: LockOptions | null | undefined): Request {
  if (options !== undefined && options !== null && typeof options !== 'object' && typeof options !== 'function')
    throw new TypeError('locks.request: options must be an object')
  const { mode: givenMode, ifAvailable, steal: stealing, signal } = options ?? {}
  const mode = givenMode === undefined ? 'exclusive' : (`${givenMode}` as LockMode)
  if (mode !== 'exclusive' && mode !== 'shared')
    throw new TypeError(`locks.request: mode must be 'exclusive' or 'shared', not '${mode as string}'`)
  if (signal !== undefined && !isSignal(signal)) throw new TypeError('locks.request: signal must be an AbortSignal')
  if (name.startsWith('-')) throw notSupported("names that begin with '-' are reserved")
  if (stealing && ifAvailable) throw notSupported('steal and ifAvailable exclude each other')
  if (stealing && mode !== 'exclusive') throw notSupported("steal needs mode 'exclusive'")
  if (signal !== undefined && (stealing || ifAvailable))
    throw notSupported('signal can be used with neither steal nor ifAvailable')
  if (signal?.aborted) throw signal.reason as Error
  const flags = (ifAvailable ? onlyIfAvailable : 0) | (stealing ? steal : 0) | tellIfStolen
  return { name, mode, flags, signal }
}

/** Named locks after the Web Locks API. Their names are apart from those of `db.lock`. */
export class LockManager {
  readonly #book: () => LockBook

  /** @internal Made by `db.locks`. */
  constructor(book: () => LockBook) {
    this.#book = book
  }

  /**
   * Calls `callback` when the lock is granted, and holds it until what the callback returns is settled. Resolves or rejects
   * with that. Requests for a name are granted in the order they were made, by whatever process.
   *
   * Errors, as rejections: a `DOMException` `NotSupportedError` for a name with `-` in front and for options that exclude each
   * other; `AbortError` when the lock is stolen; the signal's reason; `TypeError`; `PongoError`s `CLOSED`, `READONLY`, `FULL`,
   * and `ARG` for a name of more than 952 bytes or inside a transaction.
   *
   * @example
   * const total = await db.locks.request('totals', async () => await recount())
   * await db.locks.request('leader', { ifAvailable: true }, (lock) => (lock ? lead() : follow()))
   */
  request<T>(name: string, callback: (lock: WebLock) => T): Promise<Awaited<T>>
  request<T>(
    name: string,
    options: LockOptions | null | undefined,
    callback: (lock: WebLock | null) => T,
  ): Promise<Awaited<T>>
  async request(...given: unknown[]): Promise<unknown> {
    if (given.length < 2) throw new TypeError('locks.request needs a name and a callback')
    const [nameGiven, options, callback] = given.length === 2 ? [given[0], undefined, given[1]] : given
    const name = `${nameGiven as string}` // a symbol: TypeError, as everywhere in the Web's interfaces
    if (typeof callback !== 'function') throw new TypeError('locks.request: the callback must be a function')
    const asked = interpret(name, options as LockOptions)
    return await this.#run(asked, callback as (lock: WebLock | null) => unknown)
  }

  async #run({ name, mode, flags, signal }: Request, callback: (lock: WebLock | null) => unknown): Promise<unknown> {
    const book = this.#book()
    let wasStolen: (() => void) | undefined
    let early = false
    const stolenAway = new Promise<never>((_, reject) => {
      wasStolen = () => {
        early = true
        reject(new DOMException('the lock was stolen by another request', 'AbortError'))
      }
    })
    stolenAway.catch(() => undefined) // it may be stolen when nobody looks any more
    const wish = {
      kind: kindNamed,
      shared: mode === 'shared',
      permits: 0,
      name: lockName('locks.request', name),
      what: `lock ${name}`,
    }
    const id = await book.request(wish, -1, signal, flags, wasStolen)
    if (id === 0) return await callback(null)
    try {
      // Aborted between the grant and this moment.
      if (signal?.aborted) throw signal.reason as Error
      if (early) return await stolenAway
      const result = (async () => await callback(new GrantedLock(name, mode)))()
      result.catch(() => undefined) // when it was stolen nobody waits for this
      return await Promise.race([result, stolenAway])
    } finally {
      book.end(id)
    }
  }

  /**
   * All locks that are held and waited for now, of all processes, in the order of each name's queue. O(all of them).
   *
   * @example
   * const { held, pending } = await db.locks.query()
   */
  async query(): Promise<LockManagerSnapshot> {
    const flat = this.#book().handle.native.lockQuery()
    const snapshot: LockManagerSnapshot = { held: [], pending: [] }
    for (let i = 0; i < flat.length; i += 4) {
      const info: LockInfo = {
        name: flat[i] as string,
        mode: flat[i + 1] === true ? 'shared' : 'exclusive',
        clientId: flat[i + 2] as string,
      }
      ;(flat[i + 3] === true ? snapshot.held : snapshot.pending).push(info)
    }
    return snapshot
  }

  get [Symbol.toStringTag](): string {
    return 'LockManager'
  }
}
