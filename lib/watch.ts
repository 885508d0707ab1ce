// Change notification: db.watch and db.changes.
//
// The engine finds what has changed between two versions; nothing is recorded when a commit is made. One thread per process
// and file waits for commits of all processes and calls `#notified`. A watcher is armed only while its program is ready for
// more: whatever happens meanwhile comes as one batch.

import { AbortError, signalOption } from './abort'
import type { NativeDb, View } from './binding'
import { pongoError, show } from './errors'
import type { Handle } from './handle'
import { refOf } from './live'
import { checkOptions, needFunction } from './options'
import { nativePath, type Path } from './path'
import type { Snapshot } from './snapshot'
import type { Container, Key } from './types'
import { Reader } from './wire'

/** One change between two versions. Those of a batch, applied in order to a copy of the old state, give the new state. */
export type Change =
  /**
   * What `path` leads to is now `value`: a new key or another value for it, or another element of a List. In a
   * MultiCollection: `value` was added to the values of the last key.
   */
  | { path: Key[]; type: 'set'; value: any; oldValue: any }
  /** What `path` leads to is gone. In a MultiCollection: `oldValue` was removed from the values of the last key. */
  | { path: Key[]; type: 'delete'; oldValue: any }
  /** In the List that `path` leads to, at `index`: `removed` elements went, `inserted` came in their place. */
  | { path: Key[]; type: 'splice'; index: number; removed: number; inserted: any[] }
  /** What was known is worth nothing any more: read everything again. */
  | { path: Key[]; type: 'reset' }

export interface WatchOptions {
  /** Ends the watching. */
  signal?: AbortSignal
  /** Reports what has changed since this snapshot, instead of since now. It may be released afterwards. */
  since?: Snapshot<any>
}

/** Ends the watching. Idempotent. */
export interface StopWatching extends Disposable {
  (): void
  /** Lets the watcher keep the event loop alive, which it does unless told otherwise. */
  ref(): this
  /** Lets the process end although the watcher is active. */
  unref(): this
}

const optionNames = ['signal', 'since']

/** Something that has a watcher of the engine. */
interface Client {
  /** There is a newer version than the one it was told about last. */
  wake(): void
  /** The database is closed. */
  end(): void
  holdsLoop: boolean
}

/** The watchers of one handle. */
export class Feed {
  readonly #handle: Handle
  readonly #native: NativeDb
  readonly #clients = new Map<number, Client>()
  #holding = true

  constructor(handle: Handle) {
    this.#handle = handle
    this.#native = handle.native
  }

  /** Begins to watch, for a client that is made of the watcher's number. */
  add<C extends Client>(what: string, target: unknown, since: unknown, make: (watcher: number) => C): C {
    const [id, path] = this.#target(what, target)
    const view = this.#since(what, since)
    if (this.#clients.size === 0) {
      this.#native.listen((watcher) => this.#clients.get(watcher)?.wake())
      this.#holding = true
    }
    let watcher: number
    try {
      watcher = this.#native.watch(id, path, '.', view)
    } catch (error) {
      if (this.#clients.size === 0) this.#native.listen(undefined)
      throw error
    }
    const client = make(watcher)
    this.#clients.set(watcher, client)
    return client
  }

  remove(watcher: number): void {
    if (!this.#clients.delete(watcher) || this.#handle.closed) return
    this.#native.unwatch(watcher)
    if (this.#clients.size === 0) this.#native.listen(undefined)
    else this.hold()
  }

  /** To be called when `holdsLoop` of a client has changed. */
  hold(): void {
    let hold = false
    for (const client of this.#clients.values()) hold ||= client.holdsLoop
    if (hold === this.#holding || this.#handle.closed || this.#clients.size === 0) return
    this.#holding = hold
    this.#native.holdLoop(hold)
  }

  changes(watcher: number): Change[] {
    const changes = this.#native.changes(watcher)
    for (const change of changes) {
      if (Array.isArray(change.oldValue)) {
        change.oldValue = new Reader(change.oldValue[0] as Uint8Array, this.#handle).value()
      }
    }
    return changes as Change[]
  }

  /** True when there is more already; else the client will be woken. */
  arm(watcher: number): boolean {
    return this.#native.armChanges(watcher)
  }

  /** The handle has been closed. */
  end(): void {
    const clients = [...this.#clients.values()]
    this.#clients.clear()
    for (const client of clients) client.end()
  }

  #target(what: string, target: unknown): [id: number, path: ReturnType<typeof nativePath> | undefined] {
    const ref = refOf(target)
    if (ref !== undefined) {
      if (ref.view !== 0) throw pongoError('ARG', `${what}: a snapshot does not change: watch the live container`)
      if (ref.handle.identity !== this.#handle.identity) {
        throw pongoError('ARG', `${what}: the container is of another database`)
      }
      return [ref.id, undefined]
    }
    if (Array.isArray(target) && target.length === 0) return [this.#handle.rootId, undefined]
    if (typeof target !== 'string' && !Array.isArray(target)) {
      throw pongoError('ARG', `${what} needs a container or a path, not ${show(target)}`)
    }
    return [this.#handle.rootId, nativePath(this.#handle, what, target)]
  }

  #since(what: string, since: unknown): View {
    if (since === undefined) return 0
    const root = typeof since === 'object' && since !== null && 'root' in since ? refOf(since.root) : undefined
    if (root === undefined || root.view === 0)
      throw pongoError('ARG', `${what}: since must be a Snapshot, not ${show(since)}`)
    if (root.handle !== this.#handle) throw pongoError('ARG', `${what}: the snapshot is of another handle`)
    return root.view
  }
}

class CallbackClient implements Client {
  readonly #feed: Feed
  readonly #watcher: number
  readonly #target: unknown
  readonly #callback: (changes: Change[]) => void
  readonly #signal: AbortSignal | undefined
  #active = true
  #immediate: NodeJS.Immediate | undefined
  holdsLoop = true

  constructor(
    feed: Feed,
    watcher: number,
    target: unknown,
    callback: (changes: Change[]) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#feed = feed
    this.#watcher = watcher
    this.#target = target
    this.#callback = callback
    this.#signal = signal
    signal?.addEventListener('abort', this.stop, { once: true })
  }

  /** Waits for the next version, or hears of it in the next turn of the event loop. */
  rearm(): void {
    if (!this.#feed.arm(this.#watcher)) return
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined
      this.wake()
    })
    if (!this.holdsLoop) this.#immediate.unref()
  }

  wake(): void {
    if (!this.#active) return
    try {
      const changes = this.#feed.changes(this.#watcher)
      if (changes.length > 0) this.#callback(changes)
      if (this.#active) this.rearm()
    } catch (error) {
      // Thrown by the callback, or by a file that cannot be read any more. The watching goes on only if it can.
      try {
        if (this.#active) this.rearm()
      } catch {
        this.stop()
      }
      throw error
    }
  }

  end(): void {
    this.#active = false
    this.#signal?.removeEventListener('abort', this.stop)
    if (this.#immediate !== undefined) clearImmediate(this.#immediate)
  }

  readonly stop = (): void => {
    if (!this.#active) return
    this.end()
    this.#feed.remove(this.#watcher)
  }

  hold(hold: boolean): void {
    if (!this.#active) return
    this.holdsLoop = hold
    if (hold) this.#immediate?.ref()
    else this.#immediate?.unref()
    this.#feed.hold()
  }

  /** Keeps the watched container alive. */
  get target(): unknown {
    return this.#target
  }
}

export function watch(
  handle: Handle,
  target: Container | Path,
  callback: (changes: Change[]) => void,
  options?: WatchOptions,
): StopWatching {
  handle.outside('watch()')
  needFunction('watch', callback)
  const given = checkOptions('watch', options, optionNames)
  const signal = signalOption('watch', given.signal)
  let client: CallbackClient | undefined
  if (signal?.aborted !== true) {
    client = handle.feed.add(
      'watch',
      target,
      given.since,
      (watcher) => new CallbackClient(handle.feed, watcher, target, callback, signal),
    )
    client.rearm()
  }
  const stop = (() => client?.stop()) as StopWatching
  stop.ref = () => (client?.hold(true), stop)
  stop.unref = () => (client?.hold(false), stop)
  stop[Symbol.dispose] = () => client?.stop()
  return stop
}

interface Waiting {
  resolve(result: IteratorResult<Change[], undefined>): void
  reject(error: unknown): void
}

/** The batches of changes of one watcher, each when it is asked for. */
export class ChangeIterator implements AsyncIterableIterator<Change[]>, Client {
  readonly #feed: Feed
  readonly #watcher: number
  readonly #target: unknown
  readonly #signal: AbortSignal | undefined
  readonly #waiting: Waiting[] = []
  #done = false
  #error: { error: unknown } | undefined
  #armed = false

  /** @internal */
  constructor(feed: Feed, watcher: number, target: unknown, signal: AbortSignal | undefined) {
    this.#feed = feed
    this.#watcher = watcher
    this.#target = target
    this.#signal = signal
    signal?.addEventListener('abort', this.#aborted, { once: true })
  }

  /** @internal Only while somebody waits. */
  holdsLoop = false

  readonly #aborted = (): void => {
    this.#fail(new AbortError(this.#signal!))
  }

  /** The next batch: what has changed since the last one. Waits until something has. */
  next(): Promise<IteratorResult<Change[], undefined>> {
    if (this.#error !== undefined) {
      const { error } = this.#error
      this.#error = undefined
      return Promise.reject(error as Error)
    }
    if (this.#done) return Promise.resolve({ value: undefined, done: true })
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      if (this.#waiting.length === 1) this.#pump()
    })
  }

  // Serves those who wait for as long as there is something to give, then waits for more.
  #pump(): void {
    try {
      while (this.#waiting.length > 0 && !this.#done && !this.#armed) {
        const changes = this.#feed.changes(this.#watcher)
        if (changes.length > 0) this.#waiting.shift()!.resolve({ value: changes, done: false })
        else if (!this.#feed.arm(this.#watcher)) this.#armed = true
      }
    } catch (error) {
      this.#fail(error)
    }
    this.#hold()
  }

  #hold(): void {
    const hold = this.#waiting.length > 0
    if (hold === this.holdsLoop) return
    this.holdsLoop = hold
    this.#feed.hold()
  }

  /** @internal */
  wake(): void {
    this.#armed = false
    this.#pump()
  }

  #fail(error: unknown): void {
    if (this.#done) return
    const first = this.#waiting.shift()
    if (first === undefined) this.#error = { error }
    else first.reject(error)
    this.#stop()
  }

  #stop(): void {
    if (this.#done) return
    this.#feed.remove(this.#watcher)
    this.end()
  }

  /** @internal The database is closed: the iteration ends. */
  end(): void {
    this.#done = true
    this.#signal?.removeEventListener('abort', this.#aborted)
    for (const waiting of this.#waiting.splice(0)) waiting.resolve({ value: undefined, done: true })
  }

  /** Ends the iteration, as `break` does. */
  return(): Promise<IteratorResult<Change[], undefined>> {
    this.#stop()
    return Promise.resolve({ value: undefined, done: true })
  }

  /** Ends the iteration with an error. */
  throw(error: unknown): Promise<IteratorResult<Change[], undefined>> {
    this.#stop()
    return Promise.reject(error as Error)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** @internal Keeps the watched container alive. */
  get target(): unknown {
    return this.#target
  }
}

export function changes(handle: Handle, target: Container | Path, options?: WatchOptions): ChangeIterator {
  handle.outside('changes()')
  const given = checkOptions('changes', options, optionNames)
  const signal = signalOption('changes', given.signal)
  if (signal?.aborted === true) throw new AbortError(signal)
  const iterator = handle.feed.add(
    'changes',
    target,
    given.since,
    (watcher) => new ChangeIterator(handle.feed, watcher, target, signal),
  )
  handle.feed.hold()
  return iterator
}
