// Paths: a string that is split at a separator, or an array of keys and indices. The walk itself is native.

import type { NativeKey } from './binding'
import { pongoError, show } from './errors'
import type { Handle } from './handle'
import type { Key } from './types'
import { encodeKey } from './values'

/** `'a.b.0.c'` or `['a', 'b', 0, 'c']`. In a string every segment is a string key, or an index where it meets a List. */
export type Path = string | number | readonly Key[]

/** A path as the addon takes it. A number is a path of one index or key. */
export function nativePath(handle: Handle, what: string, path: unknown): string | NativeKey[] {
  if (typeof path === 'string') return path
  if (Array.isArray(path)) {
    if (path.length === 0) throw pongoError('ARG', `${what}: the path is empty`)
    // A bigint that is a safe integer is the same key as the number, and can be an index.
    return path.map((segment: unknown) =>
      typeof segment === 'bigint' && Number.isSafeInteger(Number(segment))
        ? Number(segment)
        : encodeKey(handle, segment),
    )
  }
  if (typeof path === 'number' || typeof path === 'bigint' || typeof path === 'boolean') return [path]
  throw pongoError('TYPE', `${what}: a path is a string or an array of keys, not ${show(path)}`)
}

/** The segments of a path for messages. */
export function pathPlace(path: unknown, sep: string): unknown[] {
  return typeof path === 'string' ? path.split(sep) : Array.isArray(path) ? path : [path]
}
