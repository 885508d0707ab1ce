// Locks, semaphores and events between processes: what one handle holds and waits for, and the objects that show it.

import { inspect } from 'node:util'
import { signalOption } from './abort'
import { PongoError, pongoError, show } from './errors'
import type { Handle } from './handle'
import { checkOptions } from './options'

export const kindMutex = 1
export const kindReadWrite = 2
export const kindSemaphore = 3
export const kindEvent = 4
export const kindNamed = 5

const nameBytesMax = 952
const permitsMax = 2 ** 30

const granted = 1
const stolen = 3
type Outcome = 1 | 2 | 3

/** What `acquire` and `wait` take. */
export interface AcquireOptions {
  /** Milliseconds to wait at most, then `TIMEOUT`; 0: not at all. Default: for ever. */
  timeout?: number
  /** Aborting ends the waiting: the promise is rejected with the signal's reason. */
  signal?: AbortSignal
}

/** What one asks for. */
export interface Wish {
  kind: number
  shared: boolean
  permits: number
  name: string
  /** For messages: `lock "a"`. */
  what: string
}

// Handles with something under way: the program need not keep them itself.
const inUse = new Set<LockBook>()

const attached = new FinalizationRegistry<{ book: LockBook; id: number; name: string }>(({ book, id, name }) => {
  if (book.semaphores.get(name)?.deref() === undefined) book.semaphores.delete(name)
  book.end(id)
})

/** What a handle holds and waits for. */
export class LockBook {
  readonly handle: Handle
  readonly semaphores = new Map<string, WeakRef<Semaphore>>()
  readonly #waiting = new Map<number, (outcome: Outcome | undefined) => void>()
  readonly #onStolen = new Map<number, () => void>()
  readonly #held = new Set<number>()
  #listening = false

  constructor(handle: Handle) {
    this.handle = handle
  }

  /** Blocks until the lock is granted: its id, or 0 when it is not available and that was asked for. */
  acquireSync(wish: Wish, timeout: number, ifAvailable: boolean): number {
    const { native } = this.handle
    try {
      const id = native.lockAcquire(wish.kind, wish.shared, wish.permits, wish.name, timeout, ifAvailable)
      if (id > 0) this.#hold(id)
      return id
    } catch (error) {
      throw timedOut(error) ? lateError(wish, timeout) : error
    }
  }

  /**
   * The id of a hold when it is granted at once; a promise of it otherwise; 0 when it is not available and that was asked for
   * (flag 1). `onStolen` is called when somebody steals it.
   */
  request(
    wish: Wish,
    timeout: number,
    signal: AbortSignal | undefined,
    flags = 0,
    onStolen?: () => void,
  ): number | Promise<number> {
    const { native } = this.handle
    this.#listen()
    const answer = native.lockRequest(wish.kind, wish.shared, wish.permits, wish.name, timeout, flags)
    const id = Math.abs(answer)
    if (onStolen !== undefined && id !== 0) this.#onStolen.set(id, onStolen)
    if (answer >= 0) {
      if (id > 0) this.#hold(id)
      return id
    }
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        this.#settle(id)
        this.end(id)
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', aborted, { once: true })
      this.#wait(id, (outcome) => {
        signal?.removeEventListener('abort', aborted)
        if (outcome === granted) {
          this.#hold(id)
          resolve(id)
          return
        }
        this.end(id)
        reject(outcome === undefined ? closedError(this.handle) : lateError(wish, timeout))
      })
    })
  }

  /** Ends a hold or a request. Idempotent. */
  end(id: number): void {
    if (!this.handle.closed) this.handle.native.lockRelease(id)
    this.#held.delete(id)
    this.#onStolen.delete(id)
    this.#update()
  }

  /** The handle has been closed, which gave everything back. */
  close(): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const settle of waiting) settle(undefined)
    this.#held.clear()
    this.#onStolen.clear()
    this.semaphores.clear()
    this.#update()
  }

  #listen(): void {
    if (this.#listening) return
    // The addon keeps the function for as long as the handle is open: it must not keep the handle.
    const book = new WeakRef(this)
    this.handle.native.lockListen((id, outcome) => {
      book.deref()?.told(id, outcome)
    })
    this.#listening = true
  }

  /** What has become of a request. */
  told(id: number, outcome: Outcome): void {
    if (outcome === stolen) {
      const onStolen = this.#onStolen.get(id)
      this.end(id)
      onStolen?.()
      return
    }
    // Not there any more: it was aborted meanwhile, and has been given back.
    this.#settle(id)?.(outcome)
  }

  #hold(id: number): void {
    this.#held.add(id)
    inUse.add(this)
  }

  #wait(id: number, settle: (outcome: Outcome | undefined) => void): void {
    this.#waiting.set(id, settle)
    inUse.add(this)
    if (this.#waiting.size === 1) this.handle.native.lockKeepAlive(true)
  }

  #settle(id: number): ((outcome: Outcome | undefined) => void) | undefined {
    const settle = this.#waiting.get(id)
    if (settle === undefined) return undefined
    this.#waiting.delete(id)
    if (this.#waiting.size === 0 && !this.handle.closed) this.handle.native.lockKeepAlive(false)
    this.#update()
    return settle
  }

  #update(): void {
    if (this.#waiting.size === 0 && this.#held.size === 0) inUse.delete(this)
  }
}

const timedOut = (error: unknown): boolean => error instanceof PongoError && error.code === 'PONGO_ERR_TIMEOUT'

function lateError(wish: Wish, timeout: number): PongoError {
  return pongoError('TIMEOUT', `the ${wish.what} was not granted within ${timeout} ms`)
}

function closedError(handle: Handle): PongoError {
  return pongoError('CLOSED', `the database ${handle.path} was closed while a lock was waited for`)
}

/** The name of a lock, checked. */
export function lockName(what: string, name: unknown): string {
  if (typeof name !== 'string') throw pongoError('ARG', `${what}: the name must be a string, not ${show(name)}`)
  if (Buffer.byteLength(name) > nameBytesMax)
    throw pongoError('ARG', `${what}: the name has more than ${nameBytesMax} bytes in UTF-8: ${show(name)}`)
  return name
}

// For the addon: -1 = for ever.
function timeoutOf(what: string, timeout: unknown): number {
  if (timeout === undefined || timeout === Infinity) return -1
  if (typeof timeout !== 'number' || !(timeout >= 0))
    throw pongoError('ARG', `${what}: timeout must be milliseconds from 0 on, not ${show(timeout)}`)
  return timeout
}

function waitOptions(what: string, options: AcquireOptions | undefined): { timeout: number; signal?: AbortSignal } {
  const given = checkOptions(what, options, ['timeout', 'signal'])
  const checked = timeoutOf(what, given.timeout)
  const signal = signalOption(what, given.signal)
  if (signal === undefined) return { timeout: checked }
  if (signal.aborted) throw signal.reason as Error
  return { timeout: checked, signal }
}

/**
 * What was acquired. It is given back by `release()`, by `using`, by closing the handle, and when the thread or process ends in
 * whatever way. It belongs to the handle it was acquired through.
 *
 * @example
 * const hold = await db.lock('report').acquire()
 * try { await work() } finally { hold.release() }
 */
export class Hold {
  readonly #book: LockBook
  readonly #id: number
  #released = false

  /** @internal Made by `acquire`. */
  constructor(book: LockBook, id: number) {
    this.#book = book
    this.#id = id
  }

  /** Gives it back; the next in the queue has it then. Idempotent, also after `db.close()`. */
  release(): void {
    if (this.#released) return
    this.#book.end(this.#id)
    this.#released = true
  }

  [Symbol.dispose](): void {
    this.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
  }
}

/**
 * A lock that threads and processes with the same file open share by its name: at most one holds it. Strictly first come,
 * first served; not re-entrant. A holder that dies gives it back within 100 ms if somebody waits. Not durable: it is gone, as
 * everything of this kind, when the last process closes the file.
 *
 * @example
 * await using hold = await db.lock('report').acquire({ timeout: 1000 })
 */
export class Lock {
  readonly #book: LockBook
  readonly #wish: Wish

  /** @internal Made by `db.lock`, `db.rwlock`, `db.semaphore`. */
  constructor(book: LockBook, wish: Wish) {
    this.#book = book
    this.#wish = wish
  }

  get name(): string {
    return this.#wish.name
  }

  /**
   * Resolves with a hold when it is granted. The event loop runs on, and is kept running. O(1).
   *
   * Errors: `TIMEOUT`; the signal's reason; `CLOSED` when the handle is closed meanwhile; `FULL` when 16384 names or 65536
   * holders and waiters are there already; `ARG` for wrong options or inside a transaction; `READONLY`.
   *
   * @example
   * const hold = await lock.acquire({ timeout: 500, signal })
   */
  async acquire(options?: AcquireOptions): Promise<Hold> {
    const { timeout, signal } = waitOptions('acquire', options)
    return new Hold(this.#book, await this.#book.request(this.#wish, timeout, signal))
  }

  /**
   * As `acquire`, but blocks the thread; never use it in a thread whose event loop others need, nor for what this same thread
   * holds. Errors: as `acquire`.
   */
  acquireSync(options?: Pick<AcquireOptions, 'timeout'>): Hold {
    const { timeout } = checkOptions('acquireSync', options, ['timeout'])
    return new Hold(this.#book, this.#book.acquireSync(this.#wish, timeoutOf('acquireSync', timeout), false))
  }

  /** A hold if it can be had at once, which it cannot while others wait; else undefined. O(1). */
  tryAcquire(): Hold | undefined {
    const id = this.#book.acquireSync(this.#wish, 0, true)
    return id === 0 ? undefined : new Hold(this.#book, id)
  }

  [inspect.custom](): string {
    return `Lock { ${this.#wish.what} }`
  }
}

/** A lock for many readers or one writer. A reader that comes after a waiting writer waits behind it. */
export class RwLock {
  /** Held by any number at once. */
  readonly read: Lock
  /** Held by one, while nobody holds `read`. */
  readonly write: Lock

  /** @internal Made by `db.rwlock`. */
  constructor(book: LockBook, name: string) {
    const wish = { kind: kindReadWrite, permits: 0, name }
    this.read = new Lock(book, { ...wish, shared: true, what: `read lock ${show(name)}` })
    this.write = new Lock(book, { ...wish, shared: false, what: `write lock ${show(name)}` })
  }

  get name(): string {
    return this.read.name
  }
}

/** A lock that up to `permits` hold at once. */
export class Semaphore extends Lock {
  readonly permits: number

  /** @internal Made by `db.semaphore`. */
  constructor(book: LockBook, name: string, permits: number) {
    super(book, { kind: kindSemaphore, shared: false, permits, name, what: `semaphore ${show(name)}` })
    this.permits = permits
  }
}

/** The semaphore of a name; one object for each handle and name while it is in use. */
export function semaphore(handle: Handle, name: unknown, permits: unknown): Semaphore {
  const text = lockName('semaphore', name)
  if (typeof permits !== 'number' || !Number.isInteger(permits) || permits < 1 || permits > permitsMax)
    throw pongoError('ARG', `semaphore: the number must be an integer from 1 to ${permitsMax}, not ${show(permits)}`)
  const book = handle.locks
  const known = book.semaphores.get(text)?.deref()
  if (known !== undefined) {
    if (known.permits === permits) return known
    throw pongoError('ARG', `semaphore ${show(text)}: this handle uses it with ${known.permits}, not ${permits}`)
  }
  const made = new Semaphore(book, text, permits)
  try {
    const id = handle.native.lockAttach(text, permits)
    book.semaphores.set(text, new WeakRef(made))
    attached.register(made, { book, id, name: text })
  } catch (error) {
    // It can be looked at all the same; acquire() says READONLY, and finds out about another number.
    const code = error instanceof PongoError ? error.code : undefined
    if (code !== 'PONGO_ERR_READONLY' && code !== 'PONGO_ERR_FULL') throw error
  }
  return made
}

/**
 * A flag that threads and processes share, and can wait for. A new one is not set.
 *
 * @example
 * await db.event('ready').wait({ timeout: 5000 })
 */
export class Event {
  readonly #book: LockBook
  readonly #wish: Wish

  /** @internal Made by `db.event`. */
  constructor(book: LockBook, name: string) {
    this.#book = book
    this.#wish = { kind: kindEvent, shared: true, permits: 0, name, what: `event ${show(name)}` }
  }

  get name(): string {
    return this.#wish.name
  }

  /** Whether it is set now. O(1). */
  get isSet(): boolean {
    return this.#book.handle.native.eventIsSet(this.#wish.name)
  }

  /** Lets go on all who wait, even if it is cleared at once, and all who come until it is cleared. O(waiters). */
  set(): void {
    this.#book.handle.native.eventSet(this.#wish.name, true)
  }

  clear(): void {
    this.#book.handle.native.eventSet(this.#wish.name, false)
  }

  /** Resolves when it is set. Errors: as `Lock.acquire`. */
  async wait(options?: AcquireOptions): Promise<void> {
    const { timeout, signal } = waitOptions('wait', options)
    this.#book.end(await this.#book.request(this.#wish, timeout, signal))
  }

  /** As `wait`, but blocks the thread. */
  waitSync(options?: Pick<AcquireOptions, 'timeout'>): void {
    const { timeout } = checkOptions('waitSync', options, ['timeout'])
    this.#book.end(this.#book.acquireSync(this.#wish, timeoutOf('waitSync', timeout), false))
  }

  [inspect.custom](): string {
    return `Event { ${show(this.#wish.name)} }`
  }
}
