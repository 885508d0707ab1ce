// Bounded Collections: the options that make one, and what they read as.

import type { NativeDb } from './binding'
import { pongoError, show } from './errors'
import { integerOption } from './options'

/** Which entry a full bounded Collection gives up: the one least recently used, or the one inserted first. */
export type Eviction = 'lru' | 'fifo'

export interface BoundOptions {
  /** At most so many entries. */
  maxItems?: number
  /**
   * At most so many bytes of keys and values, as stored. An entry counts with the bytes of its key, 8, and the bytes of a value that is
   * no number, boolean, null, Date or string of up to 5 bytes; a container with what it held when it was stored.
   */
  maxBytes?: number
  /** What goes when there is no room: `lru` (default) or `fifo`. */
  evict?: Eviction
}

/** The bounds of a Collection, and how many bytes it has now. */
export interface Bounds extends BoundOptions {
  evict: Eviction
  /** With `maxBytes`: the bytes of all entries. */
  bytes?: number
}

export const boundNames = ['maxItems', 'maxBytes', 'evict']

const evictions = ['lru', 'fifo']

/** Makes a bounded Collection when the options ask for one; undefined: they do not. */
export function createBounded(
  what: string,
  native: NativeDb,
  options: BoundOptions,
  multi: boolean,
): object | undefined {
  const maxItems = integerOption(what, 'maxItems', options.maxItems, 1, 2 ** 40)
  const maxBytes = integerOption(what, 'maxBytes', options.maxBytes, 1, 2 ** 40)
  const { evict } = options
  if (evict !== undefined && !evictions.includes(evict)) {
    throw pongoError('ARG', `${what}: evict must be 'lru' or 'fifo', not ${show(evict)}`)
  }
  if (maxItems === undefined && maxBytes === undefined) {
    if (evict !== undefined) throw pongoError('ARG', `${what}: evict needs maxItems or maxBytes`)
    return undefined
  }
  if (multi)
    throw pongoError('ARG', `${what}: a MultiCollection cannot be bounded: leave out multi, or maxItems and maxBytes`)
  return native.createBounded(maxItems ?? 0, maxBytes ?? 0, evict === 'fifo' ? 1 : 0)
}

/** The bounds of a Collection as a program reads them. */
export function readBounds(limits: ReturnType<NativeDb['limits']>): Bounds | undefined {
  if (limits === undefined) return undefined
  const { maxItems, maxBytes, fifo, bytes } = limits
  return {
    ...(maxItems > 0 ? { maxItems } : {}),
    ...(maxBytes > 0 ? { maxBytes, bytes } : {}),
    evict: fifo ? 'fifo' : 'lru',
  }
}
