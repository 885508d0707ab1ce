// The operations of a Dict, `d.$get(...)`: functions of `this`, which is the proxy.

import { kindList, kindMulti, type NativeKey, type NativeValue } from './binding'
import { pongoError, show } from './errors'
import { PagedIterator } from './iterators'
import { parseJson } from './json_in'
import { containerJson } from './json_out'
import { refOf, writable, type Ref } from './live'
import {
  expiringFlags,
  expiryOption,
  keepExpiry,
  needFunction,
  separator,
  setFlags,
  type ExpiryOptions,
  type PathOptions,
  type SetOptions,
} from './options'
import { nativePath, pathPlace, type Path } from './path'
import { What, plainCopy } from './packed'
import { search } from './search'
import { encodeContents, encodeKey, encodePairs, encodeValue, isPlainObject } from './values'
import { isMap } from 'node:util/types'
import type { Key, Operator } from './types'

function own(self: unknown, name: string): Ref {
  const ref = refOf(self)
  if (ref === undefined) throw pongoError('TYPE', `${name} must be called on a Dict: dict.${name}(...)`)
  return ref
}

function mutable(self: unknown, name: string): Ref {
  const ref = own(self, name)
  writable(ref)
  return ref
}

/** Refuses { sync: true } inside a transaction: only its commit can be waited for. */
export function checkSync(ref: Ref, flags: number): void {
  if ((flags & 2) !== 0) ref.handle.outside('the option sync')
}

type Segment = string | number
type Short = readonly [Segment] | readonly [Segment, Segment] | readonly [Segment, Segment, Segment]

// Most paths: up to three strings or numbers, which the addon takes as they are.
function isShort(path: unknown): path is Short {
  if (!Array.isArray(path)) return false
  const { length } = path
  if (length === 0 || length > 3) return false
  for (let i = 0; i < length; i++) {
    const segment: unknown = path[i]
    if (typeof segment !== 'string' && typeof segment !== 'number') return false
  }
  return true
}

function getShort({ native, view, id }: Ref, path: Short): unknown {
  switch (path.length) {
    case 1:
      return native.getSteps(view, id, path[0])
    case 2:
      return native.getSteps(view, id, path[0], path[1])
    default:
      return native.getSteps(view, id, path[0], path[1], path[2])
  }
}

/** A path read: shared by `$get` and `getPath`. */
export function getPath(ref: Ref, what: string, path: Path, missing: unknown, options?: PathOptions): unknown {
  const sep = separator(what, options)
  const value = isShort(path)
    ? getShort(ref, path)
    : ref.native.getPath(ref.view, ref.id, nativePath(ref.handle, what, path), sep)
  return value === undefined ? missing : value
}

/** A path write: shared by `$set` and `setPath`. */
export function setPath(ref: Ref, what: string, path: Path, value: unknown, options?: SetOptions & PathOptions): void {
  writable(ref)
  const flags = setFlags(what, options, true)
  const sep = separator(what, options, true)
  checkSync(ref, flags)
  const wire = encodeValue(ref.handle, value, pathPlace(path, sep))
  ref.native.setPath(ref.id, nativePath(ref.handle, what, path), sep, wire, flags)
}

/** As `setPath`, of a Collection: the options may say when the entry expires. */
export function setPathExpiring(
  ref: Ref,
  what: string,
  path: Path,
  value: unknown,
  options?: SetOptions & ExpiryOptions & PathOptions,
): void {
  const expiry = expiryOption(what, options)
  writable(ref)
  const flags = expiringFlags(what, options, true)
  const sep = separator(what, options, true)
  checkSync(ref, flags)
  const wire = encodeValue(ref.handle, value, pathPlace(path, sep))
  const native = nativePath(ref.handle, what, path)
  if (expiry === undefined) ref.native.setPath(ref.id, native, sep, wire, flags)
  else ref.native.setPathExpiring(ref.id, native, sep, wire, flags, ...expiry)
}

/** A value to store, or undefined for "delete". */
export function encodeNext(ref: Ref, value: unknown, key: unknown): NativeValue | undefined {
  return value === undefined ? undefined : encodeValue(ref.handle, value, key)
}

/** A value to compare with, or undefined for "absent". */
export function encodeExpected(ref: Ref, value: unknown, key: unknown): NativeValue | undefined {
  return value === undefined ? undefined : encodeContents(ref.handle, value, key)
}

/** Refuses a change in place of what is in a MultiCollection. */
function refuseMulti(ref: Ref, path: string | NativeKey[]): void {
  const end = typeof path === 'string' ? path.lastIndexOf('.') : path.length - 1
  const parent = end <= 0 ? ref : refOf(ref.native.getPath(0, ref.id, path.slice(0, end) as typeof path, '.'))
  if (parent?.kind === kindMulti) {
    throw pongoError('TYPE', `$modify does not fit a MultiCollection: a key has many values: ${String(path)}`)
  }
}

/** The content of `update`: an object, a Map, a live container or pairs, as a wire dict. */
export function encodeContent(ref: Ref, what: string, content: unknown): Uint8Array {
  const other = refOf(content)
  if (other !== undefined && other.kind !== kindList) {
    const pairs: Iterable<[unknown, unknown]> = new PagedIterator<[unknown, unknown]>(other, What.entries)
    return encodePairs(ref.handle, pairs, true)
  }
  if (isMap(content)) return encodePairs(ref.handle, content, true)
  const iterable = typeof content === 'object' && content !== null && Symbol.iterator in content
  if (iterable) return encodePairs(ref.handle, checkedPairs(what, content as Iterable<unknown>), false)
  if (isPlainObject(content)) return encodePairs(ref.handle, Object.entries(content), true)
  throw pongoError('TYPE', `${what} needs an object or [key, value] pairs, not ${show(content)}`)
}

function* checkedPairs(what: string, pairs: Iterable<unknown>): Iterable<[unknown, unknown]> {
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length < 2) {
      throw pongoError('TYPE', `${what} needs pairs of [key, value], not ${show(pair)}`)
    }
    yield [pair[0], pair[1]]
  }
}

export function checkIncrement(what: string, by: unknown): number | bigint {
  if (typeof by !== 'number' && typeof by !== 'bigint') {
    throw pongoError('TYPE', `${what} needs a number to add, not ${show(by)}`)
  }
  return by
}

/**
 * Removes an entry and returns what it was.
 * `missing` is what follows the key in the call: nothing there means that an absent key is an error.
 */
export function popKey(ref: Ref, what: string, key: Key, missing: readonly unknown[]): unknown {
  writable(ref)
  const value = ref.native.pop(ref.id, encodeKey(ref.handle, key))
  if (value !== undefined) return value
  if (missing.length > 0) return missing[0]
  throw pongoError('KEY', `${what}: there is no key ${show(key)}: give a default, or check with has`)
}

/** Replaces the content of a container by that of JSON text. */
export function replaceByJson(ref: Ref, text: unknown): void {
  writable(ref)
  ref.native.replace(ref.id, parseJson(text, 'object'))
}

/** The deep plain copy of a container. */
export function nativeCopy(ref: Ref): unknown {
  return plainCopy(ref.handle, ref.view, ref.id)
}

// Documented in types.ts, where programs see them.
export const dictOperations: Record<string, unknown> = Object.assign(Object.create(null), {
  $get(this: unknown, path: Path, missing?: unknown, options?: PathOptions): unknown {
    return getPath(own(this, '$get'), '$get', path, missing, options)
  },

  $set(this: unknown, path: Path, value: unknown, options?: SetOptions & PathOptions): unknown {
    setPath(mutable(this, '$set'), '$set', path, value, options)
    return value
  },

  $delete(this: unknown, path: Path, options?: PathOptions): boolean {
    const ref = mutable(this, '$delete')
    return ref.native.deletePath(ref.id, nativePath(ref.handle, '$delete', path), separator('$delete', options))
  },

  $has(this: unknown, path: Path, options?: PathOptions): boolean {
    return getPath(own(this, '$has'), '$has', path, undefined, options) !== undefined
  },

  $pop(this: unknown, key: Key, ...missing: unknown[]): unknown {
    return popKey(mutable(this, '$pop'), '$pop', key, missing)
  },

  $update(this: unknown, content: unknown): void {
    const ref = mutable(this, '$update')
    ref.native.update(ref.id, encodeContent(ref, '$update', content))
  },

  $incr(this: unknown, path: Path, by: number | bigint = 1): number | bigint {
    const ref = mutable(this, '$incr')
    return ref.native.incrPath(ref.id, nativePath(ref.handle, '$incr', path), '.', checkIncrement('$incr', by))
  },

  $cas(this: unknown, path: Path, expected: unknown, next: unknown): boolean {
    const ref = mutable(this, '$cas')
    const place = pathPlace(path, '.')
    return ref.native.casPath(
      ref.id,
      nativePath(ref.handle, '$cas', path),
      '.',
      encodeExpected(ref, expected, place),
      encodeNext(ref, next, place),
    )
  },

  $modify(this: unknown, path: Path, fn: (old: unknown) => unknown): unknown {
    const ref = mutable(this, '$modify')
    needFunction('$modify', fn)
    const native = nativePath(ref.handle, '$modify', path)
    return ref.handle.transaction(() => {
      refuseMulti(ref, native)
      const next = fn(ref.native.getPath(0, ref.id, native, '.'))
      if (next === undefined) ref.native.deletePath(ref.id, native, '.')
      else ref.native.setPath(ref.id, native, '.', encodeValue(ref.handle, next, pathPlace(path, '.')), keepExpiry)
      return next
    })
  },

  $native(this: unknown): unknown {
    return nativeCopy(own(this, '$native'))
  },

  $json(this: unknown, ...text: [] | [text: string]): string | undefined {
    const ref = own(this, '$json')
    if (text.length === 0) return containerJson(ref)
    replaceByJson(ref, text[0])
    return undefined
  },

  $search(this: unknown, path: Path, op: Operator, value: unknown): unknown {
    return search(own(this, '$search'), '$search', path, op, value)
  },

  $keys(this: unknown): PagedIterator<unknown> {
    return new PagedIterator(own(this, '$keys'), What.keys)
  },

  $values(this: unknown): PagedIterator<unknown> {
    return new PagedIterator(own(this, '$values'), What.values)
  },

  $entries(this: unknown): PagedIterator<[unknown, unknown]> {
    return new PagedIterator(own(this, '$entries'), What.entries)
  },
})
