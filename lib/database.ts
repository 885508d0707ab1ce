// Opening a file, and what concerns the database as a whole.

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { backup, type BackupOptions, type BackupReport } from './backup'
import type { NativeOptions } from './binding'
import type { BoundOptions } from './bounds'
import { Collection, type CollectionOptions } from './collection'
import { Event, kindMutex, Lock, lockName, RwLock, semaphore, type Semaphore } from './coordination'
import { pongoError, show } from './errors'
import { Handle, SnapshotState } from './handle'
import { makeMeta, type Meta } from './meta'
import type { MultiCollection } from './multi_collection'
import { booleanOption, checkOptions, durabilities, integerOption, needFunction } from './options'
import { kHandle } from './owner'
import { Snapshot } from './snapshot'
import type { Path } from './path'
import type { Container, Dict, Key } from './types'
import { changes, watch, type Change, type ChangeIterator, type StopWatching, type WatchOptions } from './watch'
import { LockManager } from './web_locks'

export interface OpenOptions {
  /** Create the file when there is none. Default true. */
  create?: boolean
  /**
   * Refuse writes through this handle. Default false. A process that may read the file but not write it can open it like
   * this: it sees checkpoints, the newest one at most `checkpointInterval` after it was made, or at once after `sync()`.
   */
  readOnly?: boolean
  /** Permissions of a new file. Default 0o600. */
  mode?: number
  /** Bytes by which the file grows; stored at creation. Default 16 MiB. */
  chunksize?: number
  /** Bytes that the file may reach, then `FULL`; stored at creation. Default 2^40. */
  maxSize?: number
  /**
   * What a crash of the machine may lose: `checkpoint` (default): what came after the last checkpoint; `sync`: nothing, each
   * commit waits for the disk; `none`: no checkpoints by themselves. A crash of a process loses nothing in any mode.
   */
  durability?: 'checkpoint' | 'sync' | 'none'
  /** Milliseconds between checkpoints while there are changes. Default 1000. */
  checkpointInterval?: number
}

/** Blocks of the file by their state, and containers. What is in those only `verify` counts, for it reads everything. */
export interface GcCounts {
  /** Blocks in use, and their bytes. */
  count: number
  bytes: number
  containers: number
  /** Replaced, and still protected by a snapshot, a checkpoint or an operation under way. */
  retired: number
  retiredBytes: number
  free: number
  freeBytes: number
  /** Of `before` in a complete run: blocks that killed processes had left. */
  orphans: number
  [name: string]: number
}

/** What `gc` found before and left after. */
export interface GcReport {
  before: GcCounts
  after: GcCounts
  /**
   * Of a complete run: containers were not collected, because an operation took longer than two seconds or a thread shows more
   * containers than can be counted; try again later.
   */
  skipped: boolean
  [name: string]: unknown
}

const openNames = ['create', 'readOnly', 'mode', 'chunksize', 'maxSize', 'durability', 'checkpointInterval']

function interpret(options: OpenOptions | undefined): NativeOptions {
  const given = checkOptions('open', options, openNames)
  const durability = given.durability ?? 'checkpoint'
  if (!durabilities.includes(durability)) {
    throw pongoError('ARG', `open: durability must be one of ${durabilities.join(', ')}, not ${show(durability)}`)
  }
  return {
    create: booleanOption('open', 'create', given.create, true),
    readOnly: booleanOption('open', 'readOnly', given.readOnly, false),
    mode: integerOption('open', 'mode', given.mode, 0, 0o7777) ?? 0o600,
    // 0: as the file has it.
    chunksize: integerOption('open', 'chunksize', given.chunksize, 1, 2 ** 40) ?? 0,
    maxSize: integerOption('open', 'maxSize', given.maxSize, 1, 2 ** 53 - 1) ?? 0,
    durability,
    durabilityGiven: given.durability !== undefined,
    checkpointInterval: integerOption('open', 'checkpointInterval', given.checkpointInterval, 1, 2 ** 31 - 1) ?? 0,
  }
}

function filePath(path: unknown): string {
  if (path instanceof URL) {
    if (path.protocol !== 'file:') throw pongoError('ARG', `open needs a file: URL, not ${path.href}`)
    return fileURLToPath(path)
  }
  if (typeof path !== 'string' || path === '') {
    throw pongoError('ARG', `open needs the path of a file, not ${show(path)}`)
  }
  if (path.includes('\0')) throw pongoError('ARG', 'open: the path holds a NUL character')
  return resolve(path)
}

/**
 * Opens a database file, creating it when there is none. Synchronous. Any number of processes and threads may have the
 * same file open; handles to one file within a process share one mapping and close independently.
 *
 * `T` describes the properties of the root.
 *
 * @param path the file; beside it a file `<path>-lock` comes into being.
 * @param options see `OpenOptions`.
 * Errors: `ARG` for an unknown option or one that differs from what the file stores or from another open handle; `IO`,
 * `CORRUPT`, `VERSION`, `LOCKED`.
 *
 * @example
 * const db = open('state.pongo')
 * db.root.visits = (db.root.visits ?? 0) + 1   // two operations; db.root.$incr('visits') is one, safe across processes
 */
export function open<T extends object = Record<string, any>>(path: string | URL, options?: OpenOptions): Database<T> {
  const native = interpret(options)
  return new Database<T>(new Handle(filePath(path), native))
}

/** An open database. Made by `open`. */
export class Database<T extends object = Record<string, any>> {
  readonly #handle: Handle
  readonly #meta: Meta
  #locks: LockManager | undefined

  /** @internal Made by `open`. */
  constructor(handle: Handle) {
    if (!(handle instanceof Handle)) throw pongoError('ARG', 'a Database is made by open(path), not by new')
    this.#handle = handle
    this.#meta = makeMeta(handle)
  }

  get [kHandle](): Handle {
    return this.#handle
  }

  #open(): Handle {
    if (this.#handle.closed) throw pongoError('CLOSED', `the database ${this.#handle.path} is closed: open it again`)
    return this.#handle
  }

  // For what answers with a promise: a transaction ends before anybody could see it rejected. CLOSED is left to the promise.
  #outside(what: string): void {
    if (!this.#handle.closed) this.#handle.outside(what)
  }

  /** The path of the file, absolute. */
  get path(): string {
    return this.#handle.path
  }

  /** The root: a live object of which everything else hangs. */
  get root(): Dict<T> {
    return this.#open().root as Dict<T>
  }

  /** Settings: `chunksize` and `id` of the file, `.sync`, `.newkey`, `.uuid_class`, `.uuid_constructor` of this process. */
  get meta(): Meta {
    this.#open()
    return this.#meta
  }

  /** The number of the newest version; each commit has a greater one. */
  get version(): number {
    return this.#open().native.version(0)
  }

  /**
   * Makes an empty Collection; it is kept when it is assigned somewhere.
   *
   * @param options `multi`: a MultiCollection, many values for one key; `maxItems`, `maxBytes`, `evict`: a cache that stays within these
   * bounds, for all processes together.
   * Errors: `ARG` for an unknown option.
   *
   * @example
   * const users = (db.root.users = db.collection())
   * const byTag = (db.root.byTag = db.collection({ multi: true }))
   */
  collection<K extends Key = any, V = any>(options: { multi: true }): MultiCollection<K, V>
  collection<K extends Key = any, V = any>(options?: BoundOptions & { multi?: false }): Collection<K, V>
  collection(options?: CollectionOptions): Collection {
    this.#open()
    return Collection.create(this, options as { multi?: false })
  }

  /**
   * Runs `fn` as one transaction over all containers of this database: all of its writes become visible together or not
   * at all, as if nobody else wrote meanwhile. Returns what `fn` returns. A nested call joins.
   *
   * `fn` may run again when another process wrote what it read: no side effects in it. What it throws aborts the
   * transaction and comes out here.
   *
   * Errors: `TYPE` when `fn` returns a promise; within `fn`, `snapshot`, `watch`, `changes` and `sync` throw `ARG`.
   *
   * @example
   * db.transaction(() => { a.balance -= 5; b.balance += 5 })
   * const id = db.transaction(() => root.queue.shift())
   */
  transaction<R>(fn: () => R): R {
    const handle = this.#open()
    needFunction('transaction', fn)
    return handle.transaction(fn)
  }

  /**
   * A read-only view of the whole database as it is now. O(1).
   *
   * @example
   * const snap = db.snapshot()
   * snap.root.$size; snap.release()
   */
  snapshot(): Snapshot<T> {
    const handle = this.#open()
    handle.outside('snapshot()')
    return new Snapshot<T>(new SnapshotState(handle))
  }

  /**
   * A lock by name, shared by all threads and processes that have the file open.
   *
   * @param name any string of up to 952 bytes in UTF-8. Locks, rwlocks, semaphores, events and `db.locks` have names of their own.
   * Errors: `ARG`.
   *
   * @example
   * using hold = db.lock('report').tryAcquire()
   * if (hold) await makeReport()
   */
  lock(name: string): Lock {
    const text = lockName('lock', name)
    const wish = { kind: kindMutex, shared: false, permits: 0, name: text, what: `lock ${show(text)}` }
    return new Lock(this.#open().locks, wish)
  }

  /**
   * A lock that many readers or one writer can hold. Errors: `ARG`.
   *
   * @example
   * using hold = await db.rwlock('catalogue').read.acquire()
   */
  rwlock(name: string): RwLock {
    return new RwLock(this.#open().locks, lockName('rwlock', name))
  }

  /**
   * A lock that up to `n` can hold at once.
   *
   * @param n the same for all who use the name at a time, in whatever process: else `ARG`.
   * Errors: `ARG`.
   *
   * @example
   * using permit = await db.semaphore('uploads', 4).acquire()
   */
  semaphore(name: string, n: number): Semaphore {
    return semaphore(this.#open(), name, n)
  }

  /**
   * A flag that one process sets and others wait for. Errors: `ARG`.
   *
   * @example
   * await db.event('migrated').wait()
   */
  event(name: string): Event {
    return new Event(this.#open().locks, lockName('event', name))
  }

  /**
   * Locks after the Web Locks API, between processes.
   *
   * @example
   * await db.locks.request('totals', async () => await recount())
   */
  get locks(): LockManager {
    this.#open()
    return (this.#locks ??= new LockManager(() => this.#open().locks))
  }

  /**
   * Calls `callback` with what has changed below a container, by whatever process; this one included. Batches of changes
   * between two versions: bursts come as one, the last state is never missed. Writers pay nothing for it.
   *
   * A path is followed from the root anew for each batch: when it leads to something else, or to nothing any more, one
   * change with an empty path says so. The callback is called from the event loop, never from within a commit; what it
   * throws is an uncaught exception. The watcher keeps the event loop alive: `stop.unref()`.
   *
   * @param target a live container of this database, or a path from the root, which need not lead to anything yet.
   * @param callback receives the changes, to be applied in order. Containers among their values are live.
   * @param options `signal` ends the watching; `since`: a snapshot, whose version is the state that the changes start from.
   * Returns a function that ends it. Closing the database ends it too.
   * Errors: `ARG` for a container of a snapshot or another database, and inside a transaction; `FULL` when this thread
   * pins 256 versions already.
   *
   * @example
   * const stop = db.watch('users', (changes) => {
   *   for (const { path, type } of changes) console.log(type, path.join('.'))
   * })
   */
  watch(target: Container | Path, callback: (changes: Change[]) => void, options?: WatchOptions): StopWatching {
    return watch(this.#open(), target, callback, options)
  }

  /**
   * As `watch`, as an async iterator of batches. A batch is made when it is asked for: what happens while the loop's body
   * is busy comes as one. The event loop is kept alive while somebody waits for a batch. Closing the database ends it.
   *
   * @param options `signal`: aborting rejects with an `AbortError`, as `events.on` does; `since`: as in `watch`.
   *
   * @example
   * for await (const changes of db.changes(db.root.jobs, { signal })) await handle(changes)
   */
  changes(target: Container | Path, options?: WatchOptions): ChangeIterator {
    return changes(this.#open(), target, options)
  }

  /**
   * Resolves when every commit made so far is on disk.
   *
   * When the disk has reported an error, it may have lost what was written since the last checkpoint. From then on `sync` and
   * writes (except in the mode `none`) fail with `IO` in every process, also after reopening. Back the data up; or, if you
   * trust the disk again, write the whole file anew and sync it: `sync({ rewrite: true })`, then `verify()`. O(size of the file).
   *
   * Errors: `IO`, `NOSPACE`; `READONLY` for a rewrite through a read-only handle. Inside a transaction the call itself throws
   * `ARG`: nobody can wait there.
   */
  sync(options?: { rewrite?: boolean }): Promise<void> {
    this.#outside('sync()')
    return this.#sync(options)
  }

  async #sync(options: { rewrite?: boolean } | undefined): Promise<void> {
    const handle = this.#open()
    const given = checkOptions('sync', options, ['rewrite'])
    await handle.native.sync(booleanOption('sync', 'rewrite', given.rewrite, false))
  }

  /** As `sync`, but blocks the thread. */
  syncNow(): void {
    const handle = this.#open()
    handle.outside('syncNow()')
    handle.native.syncNow()
  }

  /** Figures of the engine by name. */
  stats(): Record<string, number> {
    return this.#open().native.stats()
  }

  /**
   * Reads the whole file and checks it; resolves with what it counted, by kind. O(size), in the background.
   *
   * Errors: rejects with `CORRUPT`.
   *
   * @example
   * const { containers, keys } = await db.verify()
   */
  async verify(): Promise<Record<string, number>> {
    return await this.#open().native.verify()
  }

  /**
   * Frees what nothing refers to any more. Never needed in normal work; `complete` also finds containers in cycles and
   * what killed processes left. In the background.
   *
   * @example
   * const { before, after } = await db.gc({ complete: true })
   */
  async gc(options?: { complete?: boolean }): Promise<GcReport> {
    const { complete } = checkOptions('gc', options, ['complete'])
    return (await this.#open().native.gc(booleanOption('gc', 'complete', complete, false))) as GcReport
  }

  /**
   * Copies the newest version into a new file, consistently and compactly, while others write. The copy is a database of its
   * own with the same containers under the same ids; it appears under its name whole and on disk, or not at all. Also the way
   * to make a file smaller, and out of a file whose disk has failed. O(size), in the background.
   *
   * Errors: `EXISTS` when the file is there (see `overwrite`), `LOCKED` when the one to be replaced is open, `IO`, `NOSPACE`,
   * `CORRUPT`; what `onProgress` throws; the reason of `signal`. Inside a transaction the call itself throws `ARG`.
   *
   * @example
   * await db.backup('state-monday.pongo', { onProgress: ({ bytesDone, bytesTotal }) => draw(bytesDone / bytesTotal) })
   */
  backup(path: string | URL, options?: BackupOptions): Promise<BackupReport> {
    this.#outside('backup()')
    return this.#backup(path, options)
  }

  async #backup(path: string | URL, options: BackupOptions | undefined): Promise<BackupReport> {
    return await backup(this.#open(), 0, path, options)
  }

  /**
   * A report for people: space, size classes and how full their slabs are, pins with their age in commits and the bytes of
   * garbage that they hold, processes. O(file).
   */
  info(): string {
    return this.#open().native.info()
  }

  /**
   * The containers that each process shows through live objects, by process id: they live as long, even if nothing in the
   * database leads to them any more. A process that has shown none has an empty list. O(containers shown).
   *
   * @example
   * db.pidcache().get(process.pid)   // [ 7, 12 ]: their `$id`; the root is not among them, it lives in any case
   */
  pidcache(): Map<number, number[]> {
    return new Map(this.#open().native.proxies())
  }

  /** The property names that the database stores once for all objects that have them, in order. */
  atoms(): string[] {
    return this.#open().native.names()
  }

  /** Closes this handle; other handles to the file stay open. Whatever was read through it throws `CLOSED` then. Idempotent. */
  close(): void {
    if (this.#handle.closed) return
    this.#handle.outside('close()')
    this.#handle.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  [inspect.custom](): string {
    return `Database { path: ${inspect(this.#handle.path)}${this.#handle.closed ? ', closed' : ''} }`
  }
}
