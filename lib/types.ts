// The types of the public interface.

import type { Collection } from './collection'
import type { PagedIterator } from './iterators'
import type { Path } from './path'
import type { PathOptions, SetOptions } from './options'
import type { SearchView } from './search'
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
  $get<K extends keyof T & string>(path: K): T[K] | undefined
  $get<D>(path: Path, missing: D, options?: PathOptions): any
  $get(path: Path, missing?: undefined, options?: PathOptions): any
  $set<V>(path: Path, value: V, options?: SetOptions & PathOptions): V
  $delete(path: Path, options?: PathOptions): boolean
  $has(path: Path, options?: PathOptions): boolean
  $pop(key: Key, missing?: unknown): any
  $update(content: object | Iterable<readonly [Key, unknown]>): void
  $incr(path: Path, by?: number | bigint): number | bigint
  $cas(path: Path, expected: unknown, next: unknown): boolean
  $modify<V>(path: Path, fn: (old: any) => V): V
  $native(): any
  $json(): string
  $json(text: string): void
  $search(path: Path, op: Operator, value: unknown): SearchView
  $keys(): PagedIterator<any>
  $values(): PagedIterator<any>
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
  insert(index: number, value: T): void
  remove(value: T): void
  extend(values: Iterable<T>): void
  native(): any[]
  json(): string
  json(text: string): void
}

/** A live List: an array whose elements are in the database. */
export type List<T = any> = T[] & ListOperations<T>

/** Any live container. */
export type Container = Dict<any> | List | Collection<any, any>
