// The contract between the TypeScript layer (lib/) and the native addon (native/node/).
//
// lib/binding.ts is the only importer of the addon. Every function is bound to its database at creation (call them
// unbound: `const { get } = db`). Every failure is thrown as the Error that `hooks.error(code, message)` returns.
// All functions are synchronous unless they return a Promise.

/** Container kinds as the engine numbers them. */
export type Kind = 1 /* Dict */ | 2 /* List */ | 3 /* Collection */ | 4 /* MultiCollection */

/** Primitives cross as themselves; every other key crosses in the wire form (native/core/format/wire.h). */
export type NativeKey = string | number | bigint | boolean | null | Uint8Array

/** Primitives cross as themselves; every other value crosses in the wire form. A number that is a safe integer and not
 * -0 is an integer, any other a float. */
export type NativeValue = string | number | bigint | boolean | null | Uint8Array

/** What a read returns: a primitive, a Date, a Uint8Array (bytes), or what `hooks.container` / `hooks.uuid` returned. */
export type Read = unknown

/** 0: the live state, or inside a transaction its private state. Above 0: a snapshot that `snapshot()` returned. */
export type View = number

/** A plain copy on its way to lib/packed.ts: a primitive as it is; a record as one string of all its texts, with numbers beside
 * it; any other container as [wire]. A record is a Dict that shares its property names (a shape) and holds primitives alone. Its
 * numbers are 1 (0: there is no record), the shape, and two for each value: 0 null, 1 false, 2 true, 3 with a number, 4 with the
 * milliseconds of a Date, 16 + the length of a text. */
export type Plain = Read | [Uint8Array]

/** Many values on their way to lib/packed.ts: two numbers for each, as above, but: 5 it is the next of `others`, 6 with a shape: a
 * record, whose numbers follow and whose text is the next of `others`, 7 a wire value, the next of `others`; 16 + twice the length
 * of a text, which is the next part of the `narrow` strings, + 1 of the `wide` ones. */
export type Page = [numbers: Float64Array, narrow: string[], wide: string[], others: unknown[]]

export interface Hooks {
  /** Makes the error that the addon throws. `code` without its prefix, as in codes.def: `KEY`. */
  error(code: string, message: string): Error
  /** The live proxy of a container, seen in `view`. `cell` keeps the container alive, although others may remove it
   * everywhere, until unpin(cell): when the proxy is gone, or at once when there was one already. */
  container(kind: Kind, id: number, view: View, cell: number): object
  uuid(bytes: Uint8Array): object
}

export interface NativeOptions {
  create: boolean
  readOnly: boolean
  mode: number
  /** Bytes; 0: as stored in the file, or the default for a new one. */
  chunksize: number
  maxSize: number
  durability: 'checkpoint' | 'sync' | 'none'
  /** The caller chose the durability: it must agree with the other handles of the process. */
  durabilityGiven: boolean
  /** Milliseconds; 0: the default. */
  checkpointInterval: number
}

export interface NativeChange {
  path: unknown[]
  type: 'set' | 'delete' | 'splice' | 'reset'
  value?: unknown
  /** The plain copy of a container comes as [wire]. */
  oldValue?: Read | [Uint8Array]
  index?: number
  removed?: number
  inserted?: unknown[]
}

export interface Addon {
  /** Opens or creates a database for the calling thread; handles to one file share one mapping in the process. `numbers`: at least
   * 128 elements, for the numbers of the record that `plain` returns. */
  open(path: string, options: NativeOptions, hooks: Hooks, numbers: Float64Array): NativeDb
  /** For tests: from now on the first 8 bytes of a file (int64, microseconds) are the wall clock of this process; '' the real one. */
  followClock(path: string): void
  /** A time-ordered UUID (RFC 9562 version 7) as 16 bytes. */
  uuid7(): Uint8Array
  uuid4(): Uint8Array
}

export interface NativeDb {
  close(): void
  rootId: number
  /** What the file stores: { chunksize, maxSize, idKey, uuid }. */
  options(): { chunksize: number; maxSize: number; idKey: string; uuid: string }
  setMeta(name: 'chunksize' | 'id', value: number | string): void
  /** The durability of this handle. */
  setDurability(mode: 'checkpoint' | 'sync' | 'none'): void

  // -- keyed containers: Dict, Collection (and where it says so MultiCollection) --
  get(view: View, id: number, key: NativeKey): Read | undefined
  has(view: View, id: number, key: NativeKey): boolean
  /** flags: 1 = fail with EXISTS if present, 2 = return when durable, 4 = keep the expiry of an entry that is present. */
  set(id: number, key: NativeKey, value: NativeValue, flags: number): void
  delete(id: number, key: NativeKey): boolean
  /** Of a MultiCollection: removes one value of a key; containers count by identity. */
  deletePair(id: number, key: NativeKey, value: NativeValue): boolean
  /** Removes and returns; a container comes back live. undefined when absent. */
  pop(id: number, key: NativeKey): Read | undefined
  /** All pairs of a wire dict (0x0f) in one commit. */
  update(id: number, wireDict: Uint8Array): void
  /** Atomic; a missing key counts from 0; TYPE when the value is not a number. Result: number or bigint. */
  incr(id: number, key: NativeKey, by: number | bigint): number | bigint
  /** Atomic compare-and-set by value; undefined = absent / delete. */
  cas(id: number, key: NativeKey, expected: NativeValue | undefined, next: NativeValue | undefined): boolean

  // -- entries that expire: only those of a Collection (TYPE). kind: 0 never, 1 after so many ms, 2 at ms since 1970 --
  setExpiring(id: number, key: NativeKey, value: NativeValue, flags: number, kind: number, ms: number): void
  setPathExpiring(
    id: number,
    path: string | NativeKey[],
    sep: string,
    value: NativeValue,
    flags: number,
    kind: number,
    ms: number,
  ): void
  /** Whether the key was present. */
  setExpiry(id: number, key: NativeKey, kind: number, ms: number): boolean
  /** Whole milliseconds, at least 1; undefined: absent, or without expiry. */
  timeLeft(view: View, id: number, key: NativeKey): number | undefined
  /** The first entry from one end that has not expired: 1 the least key, -1 the greatest. */
  edge(view: View, id: number, step: 1 | -1): [unknown, unknown] | undefined
  /** How many positions from `start`, at most `limit`, lead past `count` entries that have not expired. */
  skip(view: View, id: number, start: number, limit: number, count: number, step: 1 | -1): number

  // -- bounded Collections --
  /** As create, for an empty Collection; 0: no such bound. */
  createBounded(maxItems: number, maxBytes: number, fifo: 0 | 1): object
  /** undefined: not bounded. */
  limits(
    view: View,
    id: number,
  ): { maxItems: number; maxBytes: number; fifo: boolean; bytes: number } | undefined

  // -- paths: an array of segments. For a keyed container a segment is a key, for a List an index (a number, or a
  //    string of a decimal integer). A string path is split at `sep` natively. --
  getPath(view: View, id: number, path: string | NativeKey[], sep: string): Read | undefined
  /** As getPath with an array of one to three segments; one that is not there must not be given at all. */
  getSteps(view: View, id: number, ...segments: NativeKey[]): Read | undefined
  /** Missing intermediate: KEY. */
  setPath(id: number, path: string | NativeKey[], sep: string, value: NativeValue, flags: number): void
  deletePath(id: number, path: string | NativeKey[], sep: string): boolean
  incrPath(id: number, path: string | NativeKey[], sep: string, by: number | bigint): number | bigint
  casPath(id: number, path: string | NativeKey[], sep: string, expected: NativeValue | undefined, next: NativeValue | undefined): boolean

  // -- all containers --
  /** A new container that nothing holds yet: what hooks.container returned for it. */
  create(kind: Kind, contentWire: Uint8Array | undefined): object
  /** Gives a cell back. Never throws. */
  unpin(cell: number): void
  /** The kind of a container, or 0 when it does not exist in that view. */
  kind(view: View, id: number): Kind | 0
  size(view: View, id: number): number
  clear(id: number): void
  /** Replaces the whole content by that of a wire dict or list, in one commit. */
  replace(id: number, wire: Uint8Array): void
  /** The deep plain copy in the wire form (dict, list, collection, multi), to be stored again. A cycle: TYPE. */
  native(view: View, id: number): Uint8Array
  /** The deep plain copy of a container, or of the value of a key (undefined when absent), for lib/packed.ts. A cycle: TYPE. */
  plain(view: View, id: number, key?: NativeKey): Plain
  /** The property names of a shape, in the order of the values of its records. */
  shapeNames(shape: number): Page
  /** Entries by position: what 1 = keys, 2 = values, 3 = both in turn; + 4: containers as plain copies.
   * start is a position from 0; step 1 upward or -1 downward; the entries at `count` positions, without those that have expired.
   * For a List keys are indices. + 8: undefined when there are `count` positions or more. */
  page(view: View, id: number, start: number, count: number, step: 1 | -1, what: number): Page | undefined
  /** The positions [start, end) of the keys between two bounds. Flags: 1 = lower given, 2 = lower inclusive, 4 = upper
   * given, 8 = upper inclusive, 16 = `lo` is a prefix (a string, or a wire tuple) and `hi` unused. */
  bounds(view: View, id: number, lo: NativeKey, hi: NativeKey, flags: number): [number, number]
  /** [key, value] at a position, expired or not, or undefined. */
  at(view: View, id: number, position: number): [unknown, unknown] | undefined
  /** The number of keys below `key`. */
  rank(view: View, id: number, key: NativeKey): number
  /** Removes and returns the entry with the least key (atomic): [key, value], or undefined when empty. */
  shift(id: number): [unknown, unknown] | undefined

  // -- List --
  listGet(view: View, id: number, index: number): Read | undefined
  /** Index beyond the end grows the list with nulls. */
  listSet(id: number, index: number, value: NativeValue): void
  /** Removes `deleteCount` elements at `start` and inserts those of the wire list, in one commit; returns the new length;
   * start = -1: at the end. */
  listSplice(id: number, start: number, deleteCount: number, insertWire: Uint8Array | undefined): number
  /** One value appended: the fast case of splice. Returns the new length. */
  listPush(id: number, value: NativeValue): number
  listPop(id: number): Read | undefined
  listShift(id: number): Read | undefined
  /** Makes the elements at these positions, in this order, the content, in one commit. They move as they are stored. */
  listArrange(id: number, positions: Uint32Array): void

  // -- transactions (of this thread and handle; reads with view 0 then see the private state) --
  begin(): void
  /** false: conflict, run again (begin() must be called anew). */
  commit(): boolean
  abort(): void
  inTransaction(): boolean
  /** While another handle to the file is inside a transaction of this thread: everything but close and release throws ARG. */
  bar(on: boolean): void

  // -- snapshots --
  /** Leaves the number of its version in numbers[0]. */
  snapshot(): View
  release(view: View): void
  /** The version of a view; 0 = the current one. */
  version(view: View): number

  // -- backup: one version copied to a new file. `backup` starts it and returns a number for the other calls, and a promise
  //    for the end of the copy, which is then a temporary file; `backupPublish` gives it its name; `backupEnd` forgets it, and
  //    removes what was not published. All but `backup` work after close(). --
  backup(view: View, path: string, overwrite: boolean): [token: number, copied: Promise<{ bytes: number; containers: number; version: number }>]
  /** [bytes done, bytes in all (an estimate until the end), containers done, containers in all] */
  backupProgress(token: number): [number, number, number, number]
  /** Makes the promise of the copy reject soon. */
  backupCancel(token: number): void
  backupPublish(token: number): Promise<void>
  backupEnd(token: number): void
  // -- change notification --
  /** Begins to watch a container, or what `path` leads to from it. `since`: a view whose version is the base, or 0. */
  watch(id: number, path: string | NativeKey[] | undefined, sep: string, since: View): number
  unwatch(watcher: number): void
  /** What has changed since the last call; the objects that programs get, but for their old values. Empty when nothing did. */
  changes(watcher: number): NativeChange[]
  /** True when there is a newer version than the one that changes() has reported last; else the listener is called, once,
   * when there is. To be called when the program has read what it wanted of the last changes. */
  armChanges(watcher: number): boolean
  /** Sets what is called with the numbers of watchers; undefined when there are none. It holds the event loop. */
  listen(callback: ((watcher: number) => void) | undefined): void
  holdLoop(hold: boolean): void

  // -- locks, semaphores, events. kind: 1 mutex, 2 reader-writer, 3 semaphore, 4 event, 5 named (Web Locks). timeoutMs: at
  //    once 0, for ever -1. Ids are above 0. --
  /** Blocks until it is granted. 0: not available (with `ifAvailable`). */
  lockAcquire(kind: number, shared: boolean, permits: number, name: string, timeoutMs: number, ifAvailable: boolean): number
  /** Never blocks: the id of what is held; or minus the id, then the listener is told; 0: not available. Flags: 1 = only if
   * available, 2 = steal, 4 = tell the listener when it is stolen. */
  lockRequest(kind: number, shared: boolean, permits: number, name: string, timeoutMs: number, flags: number): number
  /** Who is told what became of requests: outcome 1 = granted, 2 = time is over, 3 = stolen. Kept until close(). */
  lockListen(listener: (id: number, outcome: 1 | 2 | 3) => void): void
  /** Whether the event loop is to be kept running. */
  lockKeepAlive(keep: boolean): void
  /** Keeps the permits of a semaphore as they are; an id for lockRelease. */
  lockAttach(name: string, permits: number): number
  /** Ends a hold or a request; the listener is not told of it any more, but for calls under way. Idempotent, also after close(). */
  lockRelease(id: number): void
  /** Flat: name, shared, client, held; of named locks. */
  lockQuery(): (string | boolean)[]
  eventSet(name: string, set: boolean): void
  eventIsSet(name: string): boolean

  // -- whole database --
  /** rewrite: after an error of the disk, writes the whole file anew first. */
  sync(rewrite: boolean): Promise<void>
  syncNow(): void
  verify(): Promise<Record<string, number>>
  gc(complete: boolean): Promise<Record<string, unknown>>
  stats(): Record<string, number>
  info(): string
  /** The report of info() as figures. Sizes in bytes; `size` 0: spans; `age` in commits; `pid` 0: a pin of the file. */
  report(): {
    slabs: number
    freeSlabs: number
    classes: { size: number; slabs: number; live: number; retired: number; cached: number; free: number; liveBytes: number }[]
    pins: { kind: string; pid: number; version: number; age: number; seconds?: number; users: number; heldBytes: number }[]
    processes: { pid: number; threads: number; pins: number; containers: number }[]
  }
  /** The containers that the proxies of each process show, by process id. */
  proxies(): [pid: number, ids: number[]][]
  /** The property names that are stored once. */
  names(): string[]
}
