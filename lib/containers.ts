// The names `Dict` and `List` as values: makers of empty containers, and something to test with `instanceof`.

import { kindDict, kindList } from './binding'
import { isDictRef } from './dict_proxy'
import { refOf } from './live'
import { handleOf, type Database } from './owner'
import type { Dict as DictType, List as ListType } from './types'

/**
 * `Dict.create(db)` makes an empty live Dict, kept when it is assigned somewhere. `value instanceof Dict` tells whether a
 * value is one; the root is.
 *
 * @example
 * const config = Dict.create(db)
 * db.root.config = config
 */
export const Dict = {
  create<T extends object = Record<string, any>>(db: Database): DictType<T> {
    const handle = handleOf('Dict.create', db)
    return handle.native.create(kindDict, undefined) as DictType<T>
  },
  [Symbol.hasInstance](value: unknown): boolean {
    const ref = refOf(value)
    return ref !== undefined && isDictRef(ref)
  },
}

/**
 * `List.create(db)` makes an empty live List, kept when it is assigned somewhere. `value instanceof List` tells whether a
 * value is one.
 *
 * @example
 * const queue = List.create(db)
 * db.root.queue = queue
 */
export const List = {
  create<T = any>(db: Database): ListType<T> {
    const handle = handleOf('List.create', db)
    return handle.native.create(kindList, undefined) as unknown as ListType<T>
  },
  [Symbol.hasInstance](value: unknown): boolean {
    return refOf(value)?.kind === kindList
  },
}

// The types of the same names.
export type Dict<T extends object = Record<string, any>> = DictType<T>
export type List<T = any> = ListType<T>
