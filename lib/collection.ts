// Collection: an ordered map of any size, used like a Map.

import { inspect, type InspectOptions } from 'node:util'
import { kindCollection, kindMulti, type NativeDb, type NativeKey, type View } from './binding'
import {
  checkIncrement,
  checkSync,
  encodeContent,
  encodeExpected,
  encodeNext,
  getPath,
  nativeCopy,
  popKey,
  setPathExpiring,
} from './dict_operations'
import { PongoTypeError, pongoError, show } from './errors'
import { boundNames as limitNames, createBounded, readBounds, type BoundOptions, type Bounds } from './bounds'
import type { Handle } from './handle'
import { inspectLive } from './inspect'
import { PagedIterable, PagedIterator } from './iterators'
import { parseJson } from './json_in'
import { containerJson, jsonReady } from './json_out'
import { busy, kLive, writable, type Ref } from './live'
import {
  booleanOption,
  checkOptions,
  expiringFlags,
  expiryOption,
  keepExpiry,
  needFunction,
  timeToLive,
  type ExpiryOptions,
  type NativeExpiry,
  type PathOptions,
  type SetOptions,
} from './options'
import type { MultiCollection } from './multi_collection'
import { handleOf, type Database } from './owner'
import type { Path } from './path'
import { What, plainCopy } from './packed'
import type { At } from './path_types'
import { checkKeyRange, checkRange, keyPositions, type KeyRange, type RangeOptions } from './ranges'
import { search } from './search'
import type { SearchView } from './search_view'
import type { Key, Operator } from './types'
import { encodeKey, encodeValue, isPlainObject } from './values'

export interface CollectionOptions extends BoundOptions {
  /** A MultiCollection: many values for one key. It cannot be bounded. */
  multi?: boolean
}

/**
 * An ordered map that lives in the database: keys of any type in one total order, any number of entries.
 * Every method is atomic across threads and processes. Made by `db.collection()`, kept when it is assigned somewhere.
 *
 * @example
 * const users = (db.root.users = db.collection())
 * users.set('ann', { age: 30 }).set('bob', { age: 25 })
 */
export class Collection<K extends Key = any, V = any> implements Iterable<[K, V]> {
  readonly #ref: Ref
  // Copies of what the reference holds: one step less on the way to the addon.
  readonly #native: NativeDb
  readonly #id: number
  readonly #view: View

  /** @internal Collections are made by `db.collection()` and `Collection.create(db)`. */
  constructor(ref: Ref) {
    if (typeof ref !== 'object' || ref === null || typeof ref.handle !== 'object') {
      throw pongoError('ARG', 'a Collection is made by db.collection() or Collection.create(db), not by new')
    }
    this.#ref = ref
    this.#native = ref.native
    this.#id = ref.id
    this.#view = ref.view
  }

  /**
   * Makes an empty Collection (`multi: true`: MultiCollection) in a database; it is kept when it is assigned somewhere.
   * Options: see `CollectionOptions`. Errors: `ARG`.
   *
   * @example
   * db.root.users = Collection.create(db)
   * db.root.tags = Collection.create(db, { multi: true })
   * db.root.cache = Collection.create(db, { maxItems: 10_000, evict: 'lru' })
   */
  static create<K extends Key = any, V = any>(db: Database, options: { multi: true }): MultiCollection<K, V>
  static create<K extends Key = any, V = any>(
    db: Database,
    options?: BoundOptions & { multi?: false },
  ): Collection<K, V>
  static create(db: Database, options?: CollectionOptions): Collection {
    const what = 'Collection.create'
    const checked = checkOptions(what, options, ['multi', ...limitNames])
    const { native } = handleOf(what, db)
    const multi = booleanOption(what, 'multi', checked.multi, false)
    const bounded = createBounded(what, native, checked, multi)
    return (bounded ?? native.create(multi ? kindMulti : kindCollection, undefined)) as Collection
  }

  get [kLive](): Ref {
    return this.#ref
  }

  get #handle(): Handle {
    return this.#ref.handle
  }

  #key(key: unknown): NativeKey {
    return typeof key === 'string' ? key : encodeKey(this.#ref.handle, key)
  }

  #writable(): void {
    if (this.#view !== 0 || busy.length > 0) writable(this.#ref)
  }

  /** The container's id. */
  get $id(): number {
    return this.#id
  }

  /**
   * The bounds of a Collection that was made with `maxItems` or `maxBytes`, and its `bytes`; else undefined. O(log n).
   *
   * @example
   * cache.bounds   // { maxItems: 10000, evict: 'lru' }
   */
  get bounds(): Bounds | undefined {
    return readBounds(this.#native.limits(this.#view, this.#id))
  }

  /** The number of entries, those included that have expired and not been cleaned away; of a MultiCollection, of pairs. O(1). */
  get size(): number {
    return this.#native.size(this.#view, this.#id)
  }

  /**
   * The value of a key, or `missing` (default undefined). Containers come live. O(log n).
   *
   * @example
   * users.get('ann')
   * users.get('zoe', null)
   */
  get(key: K): V | undefined
  get<D>(key: K, missing: D): V | D
  get(key: K, missing?: unknown): unknown {
    const value = this.#native.get(this.#view, this.#id, typeof key === 'string' ? key : this.#key(key))
    return value === undefined ? missing : value
  }

  /**
   * Stores a value; returns the collection, as Map does. O(log n). Without `ttl` or `expiresAt` a key that had an expiry loses it.
   *
   * @param options `fail`: throw `EXISTS` when the key is present; `sync`: return when the write is on disk; `ttl`: the key is
   * absent for every process from so many milliseconds on; `expiresAt`: from that Date on.
   * Errors: `TYPE`, `VALUE`, `DEPTH` when the value or the key cannot be stored, `FULL`, `NOSPACE`, `READONLY`.
   *
   * @example
   * users.set('ann', { age: 30 })
   * users.set('ann', {}, { fail: true })   // throws PONGO_ERR_EXISTS
   * sessions.set(token, user, { ttl: 30 * 60_000 })
   */
  set(key: K, value: V, options?: SetOptions & ExpiryOptions): this {
    this.#writable()
    if (options !== undefined) {
      const flags = expiringFlags('set', options)
      this.#put(key, value, flags, expiryOption('set', options))
      return this
    }
    this.#native.set(this.#id, this.#key(key), encodeValue(this.#ref.handle, value, key), 0)
    return this
  }

  #put(key: unknown, value: unknown, flags: number, expiry: NativeExpiry | undefined): void {
    if (flags !== 0) checkSync(this.#ref, flags)
    const native = this.#key(key)
    const encoded = encodeValue(this.#ref.handle, value, key)
    if (expiry === undefined) this.#native.set(this.#id, native, encoded, flags)
    else this.#native.setExpiring(this.#id, native, encoded, flags, ...expiry)
  }

  /**
   * Lets a key expire in `ms` milliseconds; 0: at once. Returns whether it was present. O(log n).
   *
   * Errors: `ARG` when `ms` is no number from 0 on; `TYPE` in a MultiCollection.
   *
   * @example
   * sessions.expire(token, 60_000)
   * sessions.expire('nobody', 1000)   // false
   */
  expire(key: K, ms: number): boolean {
    this.#writable()
    return this.#native.setExpiry(this.#id, this.#key(key), ...timeToLive('expire', 'the time', ms))
  }

  /**
   * How many milliseconds a key has left, rounded up; undefined when it does not expire, or is absent. O(log n).
   *
   * @example
   * sessions.ttl(token)
   * sessions.ttl('nobody')   // undefined
   */
  ttl(key: K): number | undefined {
    return this.#native.timeLeft(this.#view, this.#id, this.#key(key))
  }

  /**
   * Takes the expiry of a key away; returns whether the key was present. O(log n).
   *
   * @example
   * sessions.persist(token)
   * sessions.ttl(token)   // undefined
   */
  persist(key: K): boolean {
    this.#writable()
    return this.#native.setExpiry(this.#id, this.#key(key), 0, 0)
  }

  /**
   * Whether a key is present. In an LRU Collection it does not count as a use. O(log n).
   *
   * @example
   * users.has('ann')
   * users.has(['tuple', 1])
   */
  has(key: K): boolean {
    return this.#native.has(this.#view, this.#id, this.#key(key))
  }

  /**
   * Removes a key; returns whether it was present. O(log n).
   *
   * Errors: `READONLY` through a snapshot or a read-only handle.
   *
   * @example
   * users.delete('ann')   // true
   * users.delete('ann')   // false
   */
  delete(key: K): boolean {
    this.#writable()
    return this.#native.delete(this.#id, this.#key(key))
  }

  /**
   * Removes a key and returns its value, atomically. O(log n).
   *
   * Errors: `KEY` when it is absent and no default is given.
   *
   * @example
   * const user = users.pop('ann', null)
   * users.pop('nobody')   // throws PONGO_ERR_KEY
   */
  pop(key: K, ...missing: [] | [missing: unknown]): any {
    return popKey(this.#ref, 'pop', key, missing)
  }

  /**
   * Removes all entries in one commit. O(n), by the engine.
   *
   * Errors: `READONLY` through a snapshot or a read-only handle.
   *
   * @example
   * users.clear()
   * users.size   // 0
   */
  clear(): void {
    this.#writable()
    this.#native.clear(this.#id)
  }

  /**
   * The keys in order. The version is the one of the moment of `[Symbol.iterator]()`. O(1) for each.
   *
   * @example
   * for (const key of users.keys()) console.log(key)
   * const all = [...users.keys()]
   */
  keys(): PagedIterator<K> {
    return new PagedIterator<K>(this.#ref, What.keys)
  }

  /**
   * The values in the order of their keys, containers live; one version, as `keys`. O(1) for each.
   *
   * @example
   * for (const user of users.values()) user.seen = true
   * const all = [...users.values()]
   */
  values(): PagedIterator<V> {
    return new PagedIterator<V>(this.#ref, What.values)
  }

  /**
   * The pairs [key, value] in order, containers live; one version, as `keys`. O(1) for each.
   *
   * @example
   * for (const [name, user] of users.entries()) console.log(name, user.age)
   * const map = new Map(users)
   */
  entries(): PagedIterator<[K, V]> {
    return new PagedIterator<[K, V]>(this.#ref, What.entries)
  }

  [Symbol.iterator](): PagedIterator<[K, V]> {
    return this.entries().start()
  }

  /**
   * Calls `fn(value, key, collection)` for each entry of the version at the call. O(n).
   *
   * @example
   * users.forEach((user, name) => console.log(name, user.age))
   * users.forEach(function (user) { this.push(user.age) }, ages)
   */
  forEach(fn: (value: V, key: K, collection: this) => void, thisArg?: unknown): void {
    if (typeof fn !== 'function') throw new PongoTypeError(`forEach needs a function, not ${show(fn)}`)
    for (const [key, value] of this) fn.call(thisArg, value, key, this)
  }

  /**
   * Reads what is at a path from here, across Dict, List and Collection. O(log n) for each segment.
   *
   * @example
   * users.getPath('ann.tags.0')
   * users.getPath(['a.b@example.org', 'age'], 0)
   */
  getPath<const P extends Path>(path: P): At<this, P>
  /** With a default, which takes the place of undefined. */
  getPath<const P extends Path, D>(path: P, missing: D): Exclude<At<this, P>, undefined> | D
  /** With another separator the type is not known. */
  getPath(path: Path, missing: unknown, options: PathOptions | undefined): any
  getPath(path: Path, missing?: unknown, options?: PathOptions): any {
    return getPath(this.#ref, 'getPath', path, missing, options)
  }

  /**
   * Writes at a path from here, atomically; returns the collection.
   *
   * Errors: `KEY` when an intermediate is missing, `EXISTS` with `fail`, `TYPE` with `ttl` or `expiresAt` when the path leads into
   * something else than a Collection: only its entries expire.
   *
   * @example
   * users.setPath('ann.age', 31)
   * users.setPath(['ann', 'tags', 0], 'x')
   */
  setPath(path: Path, value: unknown, options?: SetOptions & ExpiryOptions & PathOptions): this {
    setPathExpiring(this.#ref, 'setPath', path, value, options)
    return this
  }

  /**
   * Stores many entries in one commit; returns the collection. O(m log n).
   *
   * @param content pairs, a Map, or an object for string keys.
   *
   * @example
   * users.update([['ann', { age: 30 }], ['bob', { age: 25 }]])
   * users.update({ ann: { age: 31 } })
   */
  update(content: Iterable<readonly [K, V]> | Record<string, V>): this {
    this.#writable()
    this.#native.update(this.#id, encodeContent(this.#ref, 'update', content))
    return this
  }

  /**
   * Adds to a number, atomically; an absent one counts from 0; returns the sum. An expiry stays. O(log n).
   *
   * Errors: `TYPE` when the value is no number.
   *
   * @example
   * counters.incr('visits')
   * counters.incr('balance', -5)
   */
  incr(key: K, by: number | bigint = 1): number | bigint {
    this.#writable()
    return this.#native.incr(this.#id, this.#key(key), checkIncrement('incr', by))
  }

  /**
   * Stores `next` only if the value equals `expected` (deeply), atomically; returns whether it did.
   * `expected` undefined: absent; `next` undefined: delete. As `set` it takes an expiry away.
   *
   * @example
   * locks.cas('job', undefined, process.pid)
   * locks.cas('job', process.pid, undefined)
   */
  cas(key: K, expected: unknown, next: unknown): boolean {
    const ref = this.#ref
    this.#writable()
    return this.#native.cas(this.#id, this.#key(key), encodeExpected(ref, expected, key), encodeNext(ref, next, key))
  }

  /**
   * Replaces a value by what `fn` makes of it, atomically; returns that. `fn` may run again; undefined deletes. An expiry stays.
   *
   * @example
   * counts.modify('ann', (n) => (n ?? 0) * 2)
   * users.modify('bob', () => undefined)   // deletes
   */
  modify<R>(key: K, fn: (old: V | undefined) => R): R {
    this.#writable()
    needFunction('modify', fn)
    const native = this.#key(key)
    return this.#handle.transaction(() => {
      const next = fn(this.#native.get(0, this.#id, native) as V | undefined)
      if (next === undefined) this.#native.delete(this.#id, native)
      else this.#native.set(this.#id, native, encodeValue(this.#handle, next, key), keepExpiry)
      return next
    })
  }

  /**
   * Stores a plain object under its id property (`db.meta.id`, by default `_id`). When it has none, `db.meta['.newkey']`
   * makes one, by default a time-ordered UUID. Returns the id; `doc` is not changed. O(log n).
   *
   * @param options `fail`: throw `EXISTS` when the id is taken, instead of replacing; `sync`; `ttl`, `expiresAt`: see `set`.
   * Errors: `TYPE` when `doc` is no plain object.
   *
   * @example
   * const id = users.add({ name: 'Ann' })
   * users.get(id)._id.equals(id)
   */
  add(doc: object, options?: SetOptions & ExpiryOptions): any {
    this.#writable()
    const flags = expiringFlags('add', options)
    const expiry = expiryOption('add', options)
    if (!isPlainObject(doc)) throw pongoError('TYPE', `add needs a plain object, not ${show(doc)}`)
    const name = this.#native.options().idKey
    let id = Object.hasOwn(doc, name) ? doc[name] : undefined
    const copy: Record<string, unknown> = { ...doc }
    if (id === undefined) {
      id = this.#handle.makeId(doc)
      Object.defineProperty(copy, name, { value: id, writable: true, enumerable: true, configurable: true })
    }
    this.#put(id, copy, flags, expiry)
    return id
  }

  /**
   * The entry with the least key, or undefined. O(log n).
   *
   * @example
   * const [key, value] = users.first() ?? []
   * events.first()?.[0]
   */
  first(): [K, V] | undefined {
    return this.#native.edge(this.#view, this.#id, 1) as [K, V] | undefined
  }

  /**
   * The entry with the greatest key, or undefined. O(log n).
   *
   * @example
   * const [key, value] = users.last() ?? []
   * events.last()?.[0]
   */
  last(): [K, V] | undefined {
    return this.#native.edge(this.#view, this.#id, -1) as [K, V] | undefined
  }

  /**
   * Removes the entry with the least key and returns it, atomically: the head of a priority queue. O(log n).
   *
   * @example
   * queue.set([priority, Uuid.v7()], job)
   * const next = queue.shift()?.[1]
   */
  shift(): [K, V] | undefined {
    this.#writable()
    return this.#native.shift(this.#id) as [K, V] | undefined
  }

  /**
   * The entry at a position, from the end when negative, or undefined. Positions, as `size`, count entries that have expired until
   * the background cleaner has taken them out. O(log n).
   *
   * @example
   * scores.at(0)
   * scores.at(-1)
   */
  at(rank: number): [K, V] | undefined {
    if (typeof rank !== 'number' || !Number.isInteger(rank))
      throw pongoError('ARG', `at needs an integer, not ${show(rank)}`)
    const read = (view: View): [K, V] | undefined => {
      const position = rank < 0 ? this.#native.size(view, this.#id) + rank : rank
      return position < 0 || position >= 2 ** 53
        ? undefined
        : (this.#native.at(view, this.#id, position) as [K, V] | undefined)
    }
    // From the end the size and the entry must be of one version.
    return rank < 0 && this.#view === 0 ? this.#handle.pinned(read) : read(this.#view)
  }

  /**
   * The number of keys below `key`: its position, or where it would be. O(log n).
   *
   * @example
   * const place = scores.rank([-points, name]) + 1
   * users.at(users.rank('ann'))
   */
  rank(key: K): number {
    return this.#native.rank(this.#view, this.#id, this.#key(key))
  }

  /**
   * The number of entries in a range of keys (all without one). O(log n).
   *
   * @example
   * events.count({ gte: today, lt: tomorrow })
   * users.count({ prefix: 'a' })
   */
  count(range?: KeyRange): number {
    const bounds = keyPositions(this.#ref, checkKeyRange('count', range))
    if (bounds === undefined) return this.size
    const read = (view: View): number => {
      const [start, end] = bounds(view)
      return Math.max(0, end - start)
    }
    // A prefix in a MultiCollection takes several reads: they must be of one version.
    const several = this.#view === 0 && this.#ref.kind === kindMulti && range?.prefix !== undefined
    return several ? this.#handle.pinned(read) : read(this.#view)
  }

  /**
   * The entries of a range of keys, in order; each iteration pins the version of its beginning. O(log n) to begin,
   * O(1) for each entry. Options: see `RangeOptions`.
   *
   * @example
   * for (const [key, value] of users.range({ prefix: 'a', limit: 10 })) console.log(key)
   * const latest = [...events.range({ lte: new Date(), reverse: true, limit: 3, native: true })]
   */
  range(options?: RangeOptions): PagedIterable<[K, V]> {
    const { keys, native, ...window } = checkRange(options)
    const bounds = keyPositions(this.#ref, keys)
    const what = What.entries + (native ? What.plain : 0)
    return new PagedIterable(() => new PagedIterator<[K, V]>(this.#ref, what, bounds ? { ...window, bounds } : window))
  }

  /**
   * The entries whose value at `path` satisfies a comparison, as a read-only view of one version. O(n).
   *
   * @example
   * users.search('age', '>=', 18).size
   * for (const [id, post] of posts.search('tags.*', '==', 'red')) console.log(id)
   */
  search(path: Path, op: Operator, value: unknown): SearchView {
    return search(this.#ref, 'search', path, op, value)
  }

  /**
   * A deep plain copy: an object when all keys are strings, else a Map. O(size). With a key: of the value of that key alone, or
   * undefined; faster than `get(key).$native()`, because no live object is made.
   *
   * Errors: `TYPE` when containers form a cycle.
   *
   * @example
   * const copy = users.native()
   * const ann = users.native('ann')
   */
  native(): any
  native(key: K): any
  native(...keys: [] | [key: K]): any {
    if (keys.length === 0) return nativeCopy(this.#ref)
    return plainCopy(this.#ref.handle, this.#view, this.#id, this.#key(keys[0]))
  }

  /**
   * Without arguments: the content as JSON text. With a key and JSON text: stores what the text says under the key.
   *
   * Errors: code `VALUE` (a `SyntaxError`) with line and column when the text is not JSON.
   *
   * @example
   * users.json()
   * users.json('ann', '{"age": 30}')
   */
  json(): string
  json(key: K, text: string): this
  json(...args: [] | [key: K, text: string]): string | this {
    if (args.length === 0) return containerJson(this.#ref)
    if (args.length < 2) throw pongoError('ARG', 'json takes no argument, or a key and JSON text')
    const [key, text] = args
    this.#writable()
    this.#native.set(this.#id, this.#key(key), parseJson(text), 0)
    return this
  }

  /** What JSON.stringify writes: the content as an object; keys that are not strings become their text. */
  toJSON(): unknown {
    return this.#handle.withPlainUuids(() => jsonReady(this.native()))
  }

  get [Symbol.toStringTag](): string {
    return 'Collection'
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    return inspectLive(this, this[Symbol.toStringTag], depth, options)
  }
}
