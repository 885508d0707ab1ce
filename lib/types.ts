// The types of the public interface.

import type { Collection } from './collection'
import type { PagedIterator } from './iterators'
import type { Path } from './path'
import type { At } from './path_types'
import type { PathOptions, SetOptions } from './options'
import type { SearchView } from './search_view'
import type { Uuid } from './uuid'

/** What can be a key. Arrays are tuples. */
export type Key = string | number | bigint | boolean | null | Date | Uuid | Uint8Array | readonly Key[]

/** `==`, `!=`, `<`, `<=`, `>`, `>=` or their names. */
export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'

/** The operations of a live Dict, beside its properties. */
export interface DictOperations<T extends object> {
  /** The number of entries. O(1). */
  readonly $size: number
  /** The container's id. */
  readonly $id: number
  /**
   * Reads what is at a path; it crosses Dict, List and Collection. O(log n) for each segment.
   *
   * @param path `'a.b.0.c'` or `['a', 'b', 0, 'c']`.
   * @param missing what to return when nothing is there; default undefined.
   * @param options `sep`: the separator of a string path, default `.`
   *
   * @example
   * root.$get('users.alice.tags.0', 'none')
   * root.$get(['hosts', 'a.example.org'])
   */
  $get<const P extends Path>(path: P): At<T, P>
  /** With a default, which takes the place of undefined. */
  $get<const P extends Path, D>(path: P, missing: D): Exclude<At<T, P>, undefined> | D
  /** With another separator the type is not known. */
  $get(path: Path, missing: unknown, options: PathOptions | undefined): any
  /**
   * Writes at a path, atomically. Returns `value`. O(log n) for each segment.
   *
   * @param options `fail`: throw `EXISTS` when something is there; `sync`: return when the write is on disk; `sep`.
   * Errors: `KEY` when an intermediate is missing; `TYPE`, `VALUE`, `DEPTH` when the value cannot be stored.
   *
   * @example
   * root.$set('users.alice.age', 30)
   * root.$set(['$price'], 9, { fail: true })
   */
  $set<V>(path: Path, value: V, options?: SetOptions & PathOptions): V
  /**
   * Deletes what is at a path; an element of a List is removed, the following ones move up. O(log n) for each segment.
   * Returns whether something was there.
   *
   * @example
   * root.$delete('users.alice')
   * root.$delete(['queue', 0])
   */
  $delete(path: Path, options?: PathOptions): boolean
  /**
   * Whether something is at a path. O(log n) for each segment.
   *
   * @example
   * root.$has('users.alice')
   * root.$has(['users', 'alice'])
   */
  $has(path: Path, options?: PathOptions): boolean
  /**
   * Removes the entry of a key and returns its value, atomically. The key is not split. O(log n).
   *
   * Errors: `KEY` when it is absent and no default is given.
   *
   * @example
   * const job = root.jobs.$pop('next', null)
   * const must = root.jobs.$pop('first')
   */
  $pop(key: Key, missing?: unknown): any
  /**
   * Sets many entries in one commit. Keys are not split. O(m log n).
   *
   * @param content an object, a Map or pairs.
   *
   * @example
   * root.config.$update({ host: 'a', port: 80 })
   * root.config.$update([['host', 'b']])
   */
  $update(content: object | Iterable<readonly [Key, unknown]>): void
  /**
   * Adds to a number, atomically across processes; a missing one counts from 0. Returns the sum. O(log n) per segment.
   * `d.n++` instead is a read and a write: another process can come between.
   *
   * Errors: `TYPE` when a value is there that is no number.
   *
   * @example
   * root.$incr('visits')
   * root.$incr('accounts.ann.balance', -5)
   */
  $incr(path: Path, by?: number | bigint): number | bigint
  /**
   * Writes `next` only if the value is `expected` (deep equality), atomically; returns whether it did. O(log n) per
   * segment and the size of the values. `expected` undefined means absent; `next` undefined deletes.
   *
   * @example
   * root.$cas('leader', undefined, process.pid)   // the first process wins
   * root.$cas('leader', process.pid, undefined)   // gives it up
   */
  $cas(path: Path, expected: unknown, next: unknown): boolean
  /**
   * Replaces a value by what `fn` makes of it, atomically. `fn` may run again, so it must have no side effects.
   *
   * @param fn receives the value, or undefined; what it returns is stored, undefined deletes. Returns that.
   *
   * @example
   * root.$modify('best', (old) => Math.max(old ?? 0, score))
   * root.$modify('tags', (old) => [...(old ?? []), 'new'])
   */
  $modify<V>(path: Path, fn: (old: any) => V): V
  /**
   * A deep plain copy: objects and arrays; a Map where keys are not all strings. O(size).
   *
   * Errors: `TYPE` when containers form a cycle.
   *
   * @example
   * const copy = root.config.$native()
   * structuredClone(root.$native())
   */
  $native(): any
  /**
   * Without an argument: the content as JSON text. With one: replaces the content by that of JSON text, atomically.
   *
   * Errors: code `VALUE` (a `SyntaxError`) with line and column when the text is not JSON; `TYPE` when it is no object.
   *
   * @example
   * writeFileSync('state.json', root.$json())
   * root.config.$json('{"port": 80}')
   */
  $json(): string
  $json(text: string): void
  /**
   * The entries whose value at `path` satisfies a comparison, as a read-only view of one version. O(n).
   *
   * @param path from each child; `*` stands for any key or index.
   * @param op `==`, `!=`, `<`, `<=`, `>`, `>=` or `eq`, `ne`, `lt`, `le`, `gt`, `ge`.
   *
   * @example
   * for (const [name, user] of root.users.$search('age', '>=', 18)) console.log(name)
   * root.posts.$search('tags.*', '==', 'red').size
   */
  $search(path: Path, op: Operator, value: unknown): SearchView
  /**
   * All keys, of any type, in order, from one version: the one of `[Symbol.iterator]()`. O(1) for each.
   *
   * @example
   * for (const key of root.users.$keys()) console.log(key)
   * const all = [...root.$keys()]
   */
  $keys(): PagedIterator<any>
  /**
   * All values in the order of their keys, from one version, containers live. O(1) for each.
   *
   * @example
   * for (const user of root.users.$values()) user.seen = true
   * const all = [...root.$values()]
   */
  $values(): PagedIterator<any>
  /**
   * All [key, value] in the order of keys, from one version, containers live. O(1) for each.
   *
   * @example
   * for (const [name, user] of root.users.$entries()) console.log(name, user.age)
   * const map = new Map(root.$entries())
   */
  $entries(): PagedIterator<[any, any]>
}

/**
 * A live Dict: a plain object whose properties are in the database, with operations that begin with `$`.
 * `T` describes the properties; without it any name is allowed.
 */
export type Dict<T extends object = Record<string, any>> = T & DictOperations<T>

/** What a live List has beyond an array. */
export interface ListOperations<T> {
  /** The container's id. */
  readonly $id: number
  /**
   * Inserts a value before an index, as Python's list.insert: negative from the end, cut to the ends. O(log n).
   *
   * @example
   * list.insert(0, 'first')
   * list.insert(-1, 'last but one')
   */
  insert(index: number, value: T): void
  /**
   * Removes the first element that equals a value (deeply). O(n).
   *
   * Errors: `VALUE` when there is none.
   *
   * @example
   * list.remove('b')
   * list.remove({ id: 1 })
   */
  remove(value: T): void
  /**
   * Appends all values of an iterable in one commit. O(m log n).
   *
   * @example
   * list.extend([1, 2, 3])
   * list.extend(otherList)
   */
  extend(values: Iterable<T>): void
  /**
   * A deep plain copy. O(size).
   *
   * Errors: `TYPE` when containers form a cycle.
   *
   * @example
   * const copy = root.list.native()
   * structuredClone(copy)
   */
  native(): any[]
  /**
   * Without an argument: the content as JSON text. With one: replaces the content by that of JSON text, atomically.
   *
   * Errors: code `VALUE` (a `SyntaxError`) with line and column when it is not JSON; `TYPE` when it is no array.
   *
   * @example
   * list.json()
   * list.json('[1, 2, 3]')
   */
  json(): string
  json(text: string): void
}

/** A live List: an array whose elements are in the database. */
export type List<T = any> = T[] & ListOperations<T>

/** Any live container. */
export type Container = Dict<any> | List | Collection<any, any>
