// The operations of a Dict, `d.$get(...)`: functions of `this`, which is the proxy.

import type { NativeValue } from './binding'
import { pongoError, show } from './errors'
import { writable } from './handle'
import { PagedIterator, What } from './iterators'
import { jsonText, parseJson } from './json'
import { refOf, type Ref } from './live'
import { needFunction, separator, setFlags, type PathOptions, type SetOptions } from './options'
import { nativePath, pathPlace, type Path } from './path'
import { search } from './search'
import { decodeWire, encodeKey, encodePairs, encodeValue, encodeWire, isPlainObject } from './values'
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

/** A path read: shared by `$get` and `getPath`. */
export function getPath(ref: Ref, what: string, path: Path, missing: unknown, options?: PathOptions): unknown {
  const sep = separator(what, options)
  const value = ref.native.getPath(ref.view, ref.id, nativePath(ref.handle, what, path), sep)
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

/** A value to compare with, or undefined for "absent". */
export function encodeExpected(ref: Ref, value: unknown, key: unknown): NativeValue | undefined {
  return value === undefined ? undefined : encodeValue(ref.handle, value, key)
}

/** The content of `update`: an object, a Map, a live container or pairs, as a wire dict. */
export function encodeContent(ref: Ref, what: string, content: unknown): Uint8Array {
  const other = refOf(content)
  if (other !== undefined) {
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
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !isPlainObject(value)) {
    throw pongoError('TYPE', 'the JSON text must be an object, as what it replaces')
  }
  ref.native.replace(ref.id, encodeWire(ref.handle, value, []))
}

/** The deep plain copy of a container. */
export function nativeCopy(ref: Ref): unknown {
  return decodeWire(ref.handle, ref.native.native(ref.view, ref.id))
}

export const dictOperations: Record<string, unknown> = Object.assign(Object.create(null), {
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
  $get(this: unknown, path: Path, missing?: unknown, options?: PathOptions): unknown {
    return getPath(own(this, '$get'), '$get', path, missing, options)
  },

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
  $set(this: unknown, path: Path, value: unknown, options?: SetOptions & PathOptions): unknown {
    setPath(mutable(this, '$set'), '$set', path, value, options)
    return value
  },

  /**
   * Deletes what is at a path; an element of a List is removed, the following ones move up. O(log n) for each segment.
   * Returns whether something was there.
   *
   * @example
   * root.$delete('users.alice')
   * root.$delete(['queue', 0])
   */
  $delete(this: unknown, path: Path, options?: PathOptions): boolean {
    const ref = mutable(this, '$delete')
    return ref.native.deletePath(ref.id, nativePath(ref.handle, '$delete', path), separator('$delete', options))
  },

  /**
   * Whether something is at a path. O(log n) for each segment.
   *
   * @example
   * root.$has('users.alice')
   * root.$has(['users', 'alice'])
   */
  $has(this: unknown, path: Path, options?: PathOptions): boolean {
    return getPath(own(this, '$has'), '$has', path, undefined, options) !== undefined
  },

  /**
   * Removes the entry of a key and returns its value, atomically. The key is not split. O(log n).
   *
   * Errors: `KEY` when it is absent and no default is given.
   *
   * @example
   * const job = root.jobs.$pop('next', null)
   * const must = root.jobs.$pop('first')
   */
  $pop(this: unknown, key: Key, ...missing: unknown[]): unknown {
    return popKey(mutable(this, '$pop'), '$pop', key, missing)
  },

  /**
   * Sets many entries in one commit. Keys are not split. O(m log n).
   *
   * @param content an object, a Map or pairs.
   *
   * @example
   * root.config.$update({ host: 'a', port: 80 })
   * root.config.$update([['host', 'b']])
   */
  $update(this: unknown, content: unknown): void {
    const ref = mutable(this, '$update')
    ref.native.update(ref.id, encodeContent(ref, '$update', content))
  },

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
  $incr(this: unknown, path: Path, by: number | bigint = 1): number | bigint {
    const ref = mutable(this, '$incr')
    return ref.native.incrPath(ref.id, nativePath(ref.handle, '$incr', path), '.', checkIncrement('$incr', by))
  },

  /**
   * Writes `next` only if the value is `expected` (deep equality), atomically; returns whether it did. O(log n) per
   * segment and the size of the values. `expected` undefined means absent; `next` undefined deletes.
   *
   * @example
   * root.$cas('leader', undefined, process.pid)   // the first process wins
   * root.$cas('leader', process.pid, undefined)   // gives it up
   */
  $cas(this: unknown, path: Path, expected: unknown, next: unknown): boolean {
    const ref = mutable(this, '$cas')
    const place = pathPlace(path, '.')
    return ref.native.casPath(
      ref.id,
      nativePath(ref.handle, '$cas', path),
      '.',
      encodeExpected(ref, expected, place),
      encodeExpected(ref, next, place),
    )
  },

  /**
   * Replaces a value by what `fn` makes of it, atomically. `fn` may run again, so it must have no side effects.
   *
   * @param fn receives the value, or undefined; what it returns is stored, undefined deletes. Returns that.
   *
   * @example
   * root.$modify('best', (old) => Math.max(old ?? 0, score))
   * root.$modify('tags', (old) => [...(old ?? []), 'new'])
   */
  $modify(this: unknown, path: Path, fn: (old: unknown) => unknown): unknown {
    const ref = mutable(this, '$modify')
    needFunction('$modify', fn)
    const native = nativePath(ref.handle, '$modify', path)
    return ref.handle.transaction(() => {
      const next = fn(ref.native.getPath(0, ref.id, native, '.'))
      if (next === undefined) ref.native.deletePath(ref.id, native, '.')
      else ref.native.setPath(ref.id, native, '.', encodeValue(ref.handle, next, pathPlace(path, '.')), 0)
      return next
    })
  },

  /**
   * A deep plain copy: objects and arrays; a Map where keys are not all strings. O(size).
   *
   * Errors: `TYPE` when containers form a cycle.
   *
   * @example
   * const copy = root.config.$native()
   * structuredClone(root.$native())
   */
  $native(this: unknown): unknown {
    return nativeCopy(own(this, '$native'))
  },

  /**
   * Without an argument: the content as JSON text. With one: replaces the content by that of JSON text, atomically.
   *
   * Errors: code `VALUE` (a `SyntaxError`) with line and column when the text is not JSON; `TYPE` when it is no object.
   *
   * @example
   * writeFileSync('state.json', root.$json())
   * root.config.$json('{"port": 80}')
   */
  $json(this: unknown, ...text: [] | [text: string]): string | undefined {
    const ref = own(this, '$json')
    if (text.length === 0) return jsonText(nativeCopy(ref))
    replaceByJson(ref, text[0])
    return undefined
  },

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
  $search(this: unknown, path: Path, op: Operator, value: unknown): unknown {
    return search(own(this, '$search'), '$search', path, op, value)
  },

  /** All keys, of any type, in order, from one version. @example [...root.$keys()] */
  $keys(this: unknown): PagedIterator<unknown> {
    return new PagedIterator(own(this, '$keys'), What.keys)
  },

  /** All values in the order of their keys, from one version. @example [...root.$values()] */
  $values(this: unknown): PagedIterator<unknown> {
    return new PagedIterator(own(this, '$values'), What.values)
  },

  /** All [key, value] in order, from one version. @example new Map(root.$entries()) */
  $entries(this: unknown): PagedIterator<[unknown, unknown]> {
    return new PagedIterator(own(this, '$entries'), What.entries)
  },
})
