// The range of a prefix in a MultiCollection, whose pairs the engine finds by whole keys only.

import { readPage, What } from './packed'
import type { View } from './binding'
import { compareSame } from './equality'
import type { Ref } from './live'
import { encodeKey, normalise } from './values'

/** Whether a key begins with a string, or a tuple with the elements of a tuple. */
export function beginsWith(key: unknown, prefix: unknown): boolean {
  if (typeof prefix === 'string') return typeof key === 'string' && key.startsWith(prefix)
  const length = (prefix as unknown[]).length
  return Array.isArray(key) && compareSame(key.slice(0, length), prefix) === 0
}

/** The positions [start, end) of the pairs whose keys begin with `prefix`. O(log² n). */
export function prefixBounds(ref: Ref, view: View, prefix: unknown): [number, number] {
  const { native, handle, id } = ref
  const wanted = normalise(handle, prefix)
  // What begins with the prefix follows it without a gap.
  const [start, all] = native.bounds(view, id, encodeKey(handle, prefix), null, 1 | 2)
  let [low, high] = [start, all]
  return handle.withPlainUuids(() => {
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const [key] = readPage(ref, view, middle, 1, 1, What.keys)!
      if (beginsWith(key, wanted)) low = middle + 1
      else high = middle
    }
    return [start, low]
  })
}
