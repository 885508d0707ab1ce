// MultiCollection: an ordered map with many values for one key.

import { readPage, What } from './packed'
import type { View } from './binding'
import { Collection } from './collection'
import { pongoError } from './errors'
import { kLive, refOf, writable } from './live'
import type { Key } from './types'
import { encodeKey, encodeValue } from './values'

/**
 * A Collection in which one key has many values, each once, in the order of values; containers by identity.
 * Ranges, ranks, `first`, `last`, `shift`, `size` work on pairs.
 *
 * @example
 * const byTag = db.collection({ multi: true })
 * byTag.set('red', 1).set('red', 2).getAll('red')   // [1, 2]
 */
export class MultiCollection<K extends Key = any, V = any> extends Collection<K, V> {
  /**
   * All values of a key, in their order. O(log n) and the number of values.
   *
   * @example
   * byTag.getAll('red')
   * byTag.getAll('none')   // []
   */
  getAll(key: K): V[] {
    const ref = this[kLive]
    const native = encodeKey(ref.handle, key)
    const read = (view: View): V[] => {
      const [start, end] = ref.native.bounds(view, ref.id, native, native, 1 | 2 | 4 | 8)
      return start >= end ? [] : (readPage(ref, view, start, end - start, 1, What.values) as V[])
    }
    return ref.view === 0 ? ref.handle.pinned(read) : read(ref.view)
  }

  /**
   * Removes all values of a key, or one of them (containers by identity); returns whether something was removed. One
   * commit; O(log n) for each that goes.
   *
   * @example
   * byTag.delete('red', 1)
   * byTag.delete('red')
   */
  override delete(key: K, ...value: [] | [value: V]): boolean {
    const ref = this[kLive]
    writable(ref)
    const native = encodeKey(ref.handle, key)
    if (value.length === 0) return ref.native.delete(ref.id, native)
    const [unwanted] = value
    const live = refOf(unwanted)
    // A container of another database or of a snapshot would be stored as a copy: what it is itself was never stored.
    if (live !== undefined && (live.view !== 0 || live.handle.identity !== ref.handle.identity)) return false
    return ref.native.deletePair(ref.id, native, encodeValue(ref.handle, unwanted, key))
  }

  /** Not for MultiCollections: `TYPE`. */
  override cas(): never {
    throw pongoError('TYPE', 'cas does not fit a MultiCollection: a key has many values')
  }

  /** Not for MultiCollections: `TYPE`. */
  override incr(): never {
    throw pongoError('TYPE', 'incr does not fit a MultiCollection: a key has many values')
  }

  /** Not for MultiCollections: `TYPE`. */
  override modify(): never {
    throw pongoError('TYPE', 'modify does not fit a MultiCollection: a key has many values')
  }

  override get [Symbol.toStringTag](): string {
    return 'MultiCollection'
  }
}
