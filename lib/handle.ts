// One open handle: the addon's functions for it, the proxies it has made, and what belongs to this process only.

import { statSync } from 'node:fs'
import {
  addon,
  kindCollection,
  kindDict,
  kindList,
  kindMulti,
  noCell,
  type Kind,
  type NativeDb,
  type NativeOptions,
  type View,
} from './binding'
import { Collection } from './collection'
import { makeDict } from './dict_proxy'
import { pongoError } from './errors'
import type { CodeName } from './codes'
import { LockBook } from './coordination'
import { makeList } from './list'
import { busy, outsideOthers, type Ref } from './live'
import { MultiCollection } from './multi_collection'
import type { RecordMaker } from './packed'
import { Uuid } from './uuid'
import { Feed } from './watch'
import type { Makers } from './wire'

type Cache = Map<number, WeakRef<object>>

export type UuidConstructor = (unused: null, bytes: Uint8Array) => unknown
export type NewKey = (doc: Record<string, unknown>) => unknown

// Forgets cache entries whose proxy is gone, and lets go of the container that it showed. An entry may have been renewed in
// the meantime, with a cell of its own: then it stays.
const collected = new FinalizationRegistry<{ cache: Cache; id: number; native: NativeDb; cell: number }>(
  ({ cache, id, native, cell }) => {
    if (cache.get(id)?.deref() === undefined) cache.delete(id)
    if (cell !== noCell) native.unpin(cell)
  },
)

// Snapshots that nobody released: their space must not be pinned for ever.
const forgotten = new FinalizationRegistry<Pin>((pin) => {
  pin.shown?.delete(pin.view)
  try {
    pin.native.release(pin.view)
  } catch {
    // Closed in the meantime, which released it.
  }
})

interface Pin {
  readonly native: NativeDb
  readonly view: View
  /** The snapshots that containers are looked up in, once this one is among them. */
  shown: Map<View, unknown> | undefined
}

/** What the proxies of one snapshot share; released when the program says so or when all of them are gone. */
export class SnapshotState {
  readonly version: number
  readonly #pin: Pin
  #cache: Cache | undefined
  #released = false

  constructor(readonly handle: Handle) {
    const { native } = handle
    this.#pin = { native, view: native.snapshot(), shown: undefined }
    this.version = handle.numbers[0]!
    forgotten.register(this, this.#pin, this)
  }

  get view(): View {
    return this.#pin.view
  }

  get cache(): Cache {
    return (this.#cache ??= new Map())
  }

  get released(): boolean {
    return this.#released
  }

  /** The proxy of a container in this snapshot. Many snapshots never show one: only the first makes it known to the handle. */
  container(kind: Kind, id: number): object {
    const { handle } = this
    if (this.#pin.shown === undefined) {
      this.#pin.shown = handle.snapshots
      handle.snapshots.set(this.view, new WeakRef(this))
    }
    return handle.container(kind, id, this.view)
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    forgotten.unregister(this)
    this.#pin.shown?.delete(this.view)
    this.#pin.native.release(this.view)
  }
}

// The open handles of this thread. One that was dropped without close() is closed by the garbage collector.
const handles = new Set<WeakRef<Handle>>()
const none: readonly Handle[] = []

function* openHandles(): Iterable<Handle> {
  for (const reference of handles) {
    const handle = reference.deref()
    if (handle === undefined || handle.closed) handles.delete(reference)
    else yield handle
  }
}

export class Handle implements Makers {
  readonly native: NativeDb
  /** Two handles with the same identity are open on the same file. */
  readonly identity: string
  readonly path: string
  readonly rootId: number
  readonly rootKind: Kind
  readonly cache: Cache = new Map()
  readonly snapshots = new Map<View, WeakRef<SnapshotState>>()
  /** What makes the plain copies of records, by shape: see packed.ts. */
  readonly records = new Map<number, RecordMaker>()
  /** The numbers of the record that the addon returned last, or the version of the snapshot. */
  readonly numbers = new Float64Array(128)
  durability: NativeOptions['durability']
  newKey: NewKey | null = null
  uuidClass: (new (...args: any[]) => { bytes: Uint8Array }) | null = null
  uuidConstructor: UuidConstructor | null = null
  closed = false
  /** Raised by each write inside a transaction, so that `sort` can tell whether its comparator has written. */
  writes = 0
  readonly root: object
  #plainUuids = false
  #locks: LockBook | undefined
  #feed: Feed | undefined

  constructor(path: string, options: NativeOptions) {
    this.path = path
    this.durability = options.durability
    this.native = addon.open(
      path,
      options,
      {
        error: (code, message) => pongoError(code as CodeName, message),
        container: (kind, id, view, cell) => this.container(kind, id, view, cell),
        uuid: (bytes) => this.uuid(bytes) as object,
      },
      this.numbers,
    )
    const { uuid } = this.native.options()
    const { dev, ino } = statSync(path)
    this.identity = `${uuid}:${dev}:${ino}`
    handles.add(new WeakRef(this))
    this.rootId = this.native.rootId
    this.rootKind = this.native.kind(0, this.rootId) || kindCollection
    this.root = this.container(this.rootKind, this.rootId, 0)
    if (busy.some((other) => other.identity === this.identity)) this.native.bar(true)
  }

  /**
   * The one proxy of a container in a view; made when there is none. `cell` keeps the container alive for it, although others
   * may remove it everywhere; without one the caller knows that the container lives.
   */
  container(kind: number, id: number, view: View = 0, cell: number = noCell): object {
    let cache = this.cache
    let snapshot: SnapshotState | undefined
    if (view !== 0) {
      // A view that no Snapshot stands for belongs to an iterator: what it yields is live.
      snapshot = this.snapshots.get(view)?.deref()
      if (snapshot === undefined) view = 0
      else cache = snapshot.cache
    }
    const known = cache.get(id)?.deref()
    if (known !== undefined) {
      if (cell !== noCell) this.native.unpin(cell)
      return known
    }
    const made = this.#make(kind as Kind, id, view, snapshot)
    cache.set(id, new WeakRef(made))
    collected.register(made, { cache, id, native: this.native, cell })
    return made
  }

  #make(kind: Kind, id: number, view: View, snapshot: SnapshotState | undefined): object {
    const ref: Ref = { handle: this, native: this.native, kind, id, view, snapshot }
    if (id === this.rootId) return makeDict(ref)
    switch (kind) {
      case kindDict:
        return makeDict(ref)
      case kindList:
        return makeList(ref)
      case kindMulti:
        return new MultiCollection(ref)
      default:
        return new Collection(ref)
    }
  }

  uuid(bytes: Uint8Array): unknown {
    if (this.uuidConstructor === null || this.#plainUuids) return new Uuid(bytes)
    return this.uuidConstructor(null, Uint8Array.from(bytes))
  }

  /**
   * Runs `read` with UUIDs as `Uuid`, whatever meta['.uuid_constructor'] makes of them: for values that are compared or
   * stored again, not handed to the program.
   */
  withPlainUuids<T>(read: () => T): T {
    const before = this.#plainUuids
    this.#plainUuids = true
    try {
      return read()
    } finally {
      this.#plainUuids = before
    }
  }

  /** The bytes of a Uuid, or of an instance of `meta['.uuid_class']`; undefined for anything else. */
  uuidBytes(value: object): Uint8Array | undefined {
    const own = Uuid.peek(value)
    if (own !== undefined || this.uuidClass === null || !(value instanceof this.uuidClass)) return own
    const bytes: unknown = value.bytes
    if (!(bytes instanceof Uint8Array) || bytes.length !== 16) {
      throw pongoError('TYPE', "an instance of meta['.uuid_class'] needs a property `bytes` of 16 bytes")
    }
    return bytes
  }

  /** The key of a document that has none. */
  makeId(doc: Record<string, unknown>): unknown {
    if (this.newKey === null) return this.uuid(addon.uuid7())
    const id = this.newKey(doc)
    if (id === undefined) throw pongoError('TYPE', "the function meta['.newkey'] returned undefined instead of a key")
    return id
  }

  /** Runs `fn` with all of its reads and writes as one commit. May run it again. Joins a transaction in progress. */
  transaction<T>(fn: () => T): T {
    const native = this.native
    if (native.inTransaction()) return settled(fn())
    if (busy.length > 0) outsideOthers(this)
    for (;;) {
      native.begin()
      busy.push(this)
      for (const other of this.#others()) other.native.bar(true)
      let committed = false
      let result: T
      try {
        result = settled(fn())
        committed = native.commit()
      } catch (error) {
        // A commit that failed has ended the transaction already.
        if (!this.closed && native.inTransaction()) native.abort()
        throw error
      } finally {
        busy.pop()
        for (const other of this.#others()) other.native.bar(false)
      }
      if (committed) return result
    }
  }

  // Other open handles of this thread to the same file: what is read through them would not belong to the transaction.
  #others(): readonly Handle[] {
    if (handles.size === 1) return none
    return [...openHandles()].filter((other) => other !== this && other.identity === this.identity)
  }

  /** `fn` on a pinned version, or inside a transaction on its state, which nobody else can change. */
  pinned<T>(fn: (view: View) => T): T {
    const native = this.native
    if (native.inTransaction()) return fn(0)
    const view = native.snapshot()
    try {
      return fn(view)
    } finally {
      native.release(view)
    }
  }

  /** Refuses what has no meaning inside a transaction. */
  outside(what: string): void {
    if (busy.length > 0 && this.native.inTransaction())
      throw pongoError('ARG', `${what} cannot be used inside a transaction`)
  }

  /** What this handle holds and waits for. */
  get locks(): LockBook {
    return (this.#locks ??= new LockBook(this))
  }

  /** The watchers of this handle. */
  get feed(): Feed {
    return (this.#feed ??= new Feed(this))
  }

  close(): void {
    if (this.closed) return
    this.native.close()
    this.closed = true
    this.snapshots.clear()
    this.#locks?.close()
    this.#feed?.end()
  }
}

// A transaction ends when fn returns: what a promise does later could be in no commit.
function settled<T>(result: T): T {
  if (typeof result === 'object' && result !== null && typeof (result as { then?: unknown }).then === 'function') {
    // Its own failure must not become an unhandled rejection on top of this error.
    Promise.resolve(result).catch(() => undefined)
    throw pongoError('TYPE', 'the function of a transaction returned a promise: await before it, not in it')
  }
  return result
}
