// MultiCollection: an ordered map with many values for one key.

import { readPage, What } from './packed'
import type { View } from './binding'
import { Collection } from './collection'
import { popKey } from './dict_operations'
import { valuesEqual } from './equality'
import { pongoError } from './errors'
import { kLive, refOf, writable } from './live'
import type { Key } from './types'
import { encodeKey, encodeValue, normalise } from './values'

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
   * Removes all values of a key, or one of them; returns whether something was removed. One commit; O(log n) for all,
   * O(k log n) for one of k.
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
    const unwanted = normalise(ref.handle, value[0])
    const container = refOf(value[0])
    return ref.handle.transaction(() => {
      const values = ref.handle.withPlainUuids(() => this.getAll(key))
      const index = values.findIndex((item) => {
        const other = refOf(item)
        if (other === undefined) return container === undefined && valuesEqual(item, unwanted)
        // Containers by identity: two of the same content are two values.
        return container?.view === 0 && container.id === other.id && container.handle.identity === other.handle.identity
      })
      if (index < 0) return false
      ref.native.delete(ref.id, native)
      values.forEach((item, i) => {
        if (i !== index) ref.native.set(ref.id, native, encodeValue(ref.handle, item, key), 0)
      })
      return true
    })
  }

  /** Removes the first value of a key and returns it, atomically. Errors: `KEY` when there is none and no default. */
  override pop(key: K, ...missing: [] | [missing: unknown]): any {
    const ref = this[kLive]
    writable(ref)
    return ref.handle.transaction(() => {
      const [first] = this.getAll(key)
      if (first === undefined) return popKey(ref, 'pop', key, missing)
      this.delete(key, ref.handle.withPlainUuids(() => this.getAll(key))[0]!)
      return first
    })
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
