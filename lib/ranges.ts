// Ranges of keys: what may be asked for, and where it lies.

import { kindMulti, type View } from './binding'
import { pongoError, show } from './errors'
import type { Ref } from './live'
import { booleanOption, checkOptions, integerOption } from './options'
import { prefixBounds } from './prefix'
import type { Key } from './types'
import { encodeKey } from './values'

/** Which keys a range takes; all without an option. */
export interface KeyRange {
  /** Keys above this one. */
  gt?: Key
  /** Keys from this one up. */
  gte?: Key
  /** Keys below this one. */
  lt?: Key
  /** Keys up to this one. */
  lte?: Key
  /** Strings that begin with this string, or tuples that begin with this tuple. */
  prefix?: string | readonly Key[]
}

/** Which keys `range` takes, and how it walks them. */
export interface RangeOptions extends KeyRange {
  /** From the greatest key down. */
  reverse?: boolean
  /** At most this many entries. */
  limit?: number
  /** Leaves out this many entries first. */
  offset?: number
  /** Containers come as plain copies instead of live. */
  native?: boolean
}

/** What `range` was asked for, checked. */
export interface CheckedRange {
  keys: KeyRange
  native: boolean
  reverse: boolean
  limit?: number
  offset?: number
}

const keyNames = ['gt', 'gte', 'lt', 'lte', 'prefix']
const rangeNames = [...keyNames, 'reverse', 'limit', 'offset', 'native']

function checkKeys(what: string, { gt, gte, lt, lte, prefix }: KeyRange): void {
  if (gt !== undefined && gte !== undefined) throw pongoError('ARG', `${what}: gt and gte exclude each other`)
  if (lt !== undefined && lte !== undefined) throw pongoError('ARG', `${what}: lt and lte exclude each other`)
  if (prefix === undefined) return
  if ([gt, gte, lt, lte].some((bound) => bound !== undefined)) {
    throw pongoError('ARG', `${what}: prefix excludes gt, gte, lt and lte`)
  }
  if (typeof prefix !== 'string' && !Array.isArray(prefix)) {
    throw pongoError('ARG', `${what}: prefix must be a string or a tuple, not ${show(prefix)}`)
  }
}

/** Errors: `ARG`. */
export function checkKeyRange(what: string, range: KeyRange | undefined): KeyRange {
  const checked = checkOptions(what, range, keyNames)
  checkKeys(what, checked)
  return checked
}

/** Errors: `ARG`. */
export function checkRange(options: RangeOptions | undefined): CheckedRange {
  const { reverse, limit, offset, native, ...keys } = checkOptions('range', options, rangeNames)
  checkKeys('range', keys)
  const checked: CheckedRange = {
    keys,
    native: booleanOption('range', 'native', native, false),
    reverse: booleanOption('range', 'reverse', reverse, false),
  }
  const most = limit === Infinity ? undefined : integerOption('range', 'limit', limit, 0, 2 ** 53 - 1)
  if (most !== undefined) checked.limit = most
  const first = integerOption('range', 'offset', offset, 0, 2 ** 53 - 1)
  if (first !== undefined) checked.offset = first
  return checked
}

/** A function that finds the positions [start, end) of a range of keys in a version; undefined: of all keys. */
export function keyPositions(ref: Ref, keys: KeyRange): ((view: View) => [number, number]) | undefined {
  const { gt, gte, lt, lte, prefix } = keys
  const { native, id, handle } = ref
  const encoded = (key: unknown) => (typeof key === 'string' ? key : encodeKey(handle, key))
  if (prefix !== undefined) {
    const key = encoded(prefix) // refuses at once what is no key
    if (ref.kind === kindMulti) return (view) => prefixBounds(ref, view, prefix)
    return (view) => native.bounds(view, id, key, null, 16)
  }
  const lower = gt !== undefined ? gt : gte // null is a key too
  const upper = lt !== undefined ? lt : lte
  if (lower === undefined && upper === undefined) return undefined
  const low = lower === undefined ? null : encoded(lower)
  const high = upper === undefined ? null : encoded(upper)
  const flags =
    (lower === undefined ? 0 : 1) |
    (gte === undefined ? 0 : 2) |
    (upper === undefined ? 0 : 4) |
    (lte === undefined ? 0 : 8)
  return (view) => native.bounds(view, id, low, high, flags)
}
