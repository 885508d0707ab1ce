// A live List: an array whose elements are in a container.
//
// The target of the proxy is a real array, so that Array.isArray, JSON.stringify, concat and spread take it for one. The
// rules of Proxy then demand that `length` is reported as the target has it: own, writable, not configurable; its value
// may differ. Nothing is ever stored in the target but the reference.

import { inspect, type InspectOptions } from 'node:util'
import { pongoError, show } from './errors'
import { inspectLive } from './inspect'
import { listMethods } from './list_methods'
import { kLive, writable, type Ref } from './live'
import { encodeElement } from './values'

class ListTarget extends Array<unknown> implements Ref {
  declare handle: Ref['handle']
  declare native: Ref['native']
  declare kind: Ref['kind']
  declare id: number
  declare view: number
  declare snapshot: Ref['snapshot']
  /** The List as programs hold it. */
  declare proxy: object;

  // Called with the proxy as `this`.
  [inspect.custom](depth: number, options: InspectOptions): unknown {
    return inspectLive(this, 'List', depth, options)
  }
}

export const lengthMax = 2 ** 32 - 1

/** The index that a property name stands for, or -1 when it is none. */
export function indexOf(key: string): number {
  const length = key.length
  const first = key.charCodeAt(0) - 48
  if (!(first >= 0 && first <= 9) || length > 10) return -1
  if (length === 1) return first
  if (first === 0) return -1
  let index = first
  for (let i = 1; i < length; i++) {
    const digit = key.charCodeAt(i) - 48
    if (!(digit >= 0 && digit <= 9)) return -1
    index = index * 10 + digit
  }
  return index < lengthMax ? index : -1
}

/** Assigns `length`: cuts the end off, or grows with nulls. */
function setLength(target: Ref, value: unknown): void {
  // Not Number(value): a bigint is a TypeError, as with an array.
  const length = +(value as number)
  if (!Number.isInteger(length) || length < 0 || length > lengthMax) throw new RangeError('Invalid array length')
  target.handle.transaction(() => {
    const size = target.native.size(0, target.id)
    if (length < size) target.native.listSplice(target.id, length, size - length, undefined)
    else if (length > size) target.native.listSet(target.id, length - 1, null)
  })
}

function refuse(key: string | symbol): never {
  if (typeof key === 'symbol') throw pongoError('TYPE', 'a symbol cannot be set on a List')
  throw pongoError('INDEX', `${show(key)} is not an index: a List has elements and length, no other properties`)
}

const handler: ProxyHandler<ListTarget> = {
  get(target, key, receiver) {
    if (typeof key === 'symbol') {
      if (key === kLive) return target
      return listMethods[key] ?? Reflect.get(Array.prototype, key, receiver)
    }
    const index = indexOf(key)
    if (index >= 0) return target.native.listGet(target.view, target.id, index)
    if (key === 'length') return target.native.size(target.view, target.id)
    if (key === '$id') return target.id
    if (key === '__proto__') return undefined
    return listMethods[key] ?? Reflect.get(Array.prototype, key, receiver)
  },

  set(target, key, value, receiver) {
    // Through an object that inherits from the List, or a proxy of it: what an ordinary array does.
    if (receiver !== target.proxy) return Reflect.set(Object.create(null) as object, key, value, receiver)
    const index = typeof key === 'string' ? indexOf(key) : -1
    if (index < 0 && key !== 'length') refuse(key)
    writable(target)
    if (index < 0) setLength(target, value)
    else target.native.listSet(target.id, index, encodeElement(target.handle, value, index))
    return true
  },

  deleteProperty(target, key) {
    if (key === 'length') return false
    const index = typeof key === 'string' ? indexOf(key) : -1
    if (index < 0) return true
    writable(target)
    target.handle.transaction(() => {
      // There are no holes: the element becomes null. Beyond the end there is nothing to delete.
      if (index < target.native.size(0, target.id)) target.native.listSet(target.id, index, null)
    })
    return true
  },

  has(target, key) {
    if (typeof key === 'symbol') return key in Array.prototype
    const index = indexOf(key)
    if (index >= 0) return index < target.native.size(target.view, target.id)
    return key === 'length' || (key !== '__proto__' && key in Array.prototype)
  },

  ownKeys(target) {
    const size = target.native.size(target.view, target.id)
    const keys: string[] = []
    for (let i = 0; i < size; i++) keys.push(String(i))
    keys.push('length')
    return keys
  },

  getOwnPropertyDescriptor(target, key) {
    if (key === 'length') {
      const value = target.native.size(target.view, target.id)
      return { value, writable: true, enumerable: false, configurable: false }
    }
    const index = typeof key === 'string' ? indexOf(key) : -1
    if (index < 0) return undefined
    const value: unknown = target.native.listGet(target.view, target.id, index)
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
  },

  defineProperty(target, key, descriptor) {
    const index = typeof key === 'string' ? indexOf(key) : -1
    if (index < 0 && key !== 'length') refuse(key)
    writable(target)
    if (index < 0) {
      if ('value' in descriptor) setLength(target, descriptor.value)
      return descriptor.writable !== false
    }
    const exists = index < target.native.size(0, target.id)
    const flag = (value: boolean | undefined): boolean => value ?? exists
    const ordinary = flag(descriptor.writable) && flag(descriptor.enumerable) && flag(descriptor.configurable)
    if ('get' in descriptor || 'set' in descriptor || !ordinary) {
      throw pongoError('TYPE', `${index}: only ordinary elements can be stored, without accessors and not read-only`)
    }
    if ('value' in descriptor || !exists) {
      target.native.listSet(target.id, index, encodeElement(target.handle, descriptor.value, index))
    }
    return true
  },

  getPrototypeOf() {
    return Array.prototype
  },

  setPrototypeOf(_target, prototype) {
    if (prototype === Array.prototype) return true
    throw pongoError('TYPE', 'a List cannot have another prototype')
  },

  preventExtensions() {
    throw pongoError('TYPE', 'a List cannot be frozen, sealed or made non-extensible: take native() and freeze that')
  },
}

export function makeList(ref: Ref): object {
  const target: ListTarget = Object.assign(new ListTarget(), ref)
  target.proxy = new Proxy(target, handler)
  return target.proxy
}
