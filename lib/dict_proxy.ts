// A live Dict: an object whose properties are entries of a container. The root is one too, over a Collection.
//
// One handler serves all proxies; what differs is in the target, a `Ref`. The operations are functions of `this`, looked
// up by name on a table without prototype. Data never leads to a prototype: an absent name resolves as on an ordinary
// object, `__proto__` excepted.

import { What } from './packed'
import { inspect, type InspectOptions } from 'node:util'
import { kindDict } from './binding'
import { dictOperations } from './dict_operations'
import { pongoError, show } from './errors'
import { inspectLive } from './inspect'
import { readAll } from './iterators'
import { kLive, writable, type Ref } from './live'
import { encodeValue } from './values'

const dollar = 36

// The target: what util.inspect sees through the proxy.
class DictTarget implements Ref {
  readonly handle
  readonly native
  readonly kind
  readonly id
  readonly view
  readonly snapshot
  /** The Dict as programs hold it. */
  proxy: object | undefined

  constructor(ref: Ref) {
    this.handle = ref.handle
    this.native = ref.native
    this.kind = ref.kind
    this.id = ref.id
    this.view = ref.view
    this.snapshot = ref.snapshot
  }

  // Called with the proxy as `this`.
  [inspect.custom](depth: number, options: InspectOptions): unknown {
    return inspectLive(this, 'Dict', depth, options)
  }
}

function inherited(key: string, receiver: unknown): unknown {
  return key === '__proto__' ? undefined : Reflect.get(Object.prototype, key, receiver)
}

const handler: ProxyHandler<DictTarget> = {
  get(target, key, receiver) {
    if (typeof key === 'symbol') return key === kLive ? target : undefined
    if (key.charCodeAt(0) === dollar) return operation(target, key)
    const value = target.native.get(target.view, target.id, key)
    return value === undefined ? inherited(key, receiver) : value
  },

  set(target, key, value, receiver) {
    // Through an object that inherits from the Dict, or a proxy of it: what an ordinary object does.
    if (receiver !== target.proxy) return Reflect.set(Object.create(null) as object, key, value, receiver)
    refuseName(key, 'set')
    writable(target)
    target.native.set(target.id, key, encodeValue(target.handle, value, key), 0)
    return true
  },

  deleteProperty(target, key) {
    if (typeof key === 'symbol') return true
    refuseName(key, 'deleted')
    writable(target)
    target.native.delete(target.id, key)
    return true
  },

  has(target, key) {
    return typeof key === 'string' && key.charCodeAt(0) !== dollar && target.native.has(target.view, target.id, key)
  },

  ownKeys(target) {
    const keys = readAll(target, What.keys)
    return keys.filter((key): key is string => typeof key === 'string' && key.charCodeAt(0) !== dollar)
  },

  getOwnPropertyDescriptor(target, key) {
    if (typeof key === 'symbol' || key.charCodeAt(0) === dollar) return undefined
    const value: unknown = target.native.get(target.view, target.id, key)
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
  },

  defineProperty(target, key, descriptor) {
    refuseName(key, 'set')
    writable(target)
    const exists = target.native.has(0, target.id, key)
    // What is left out means false for a new property, and no change for one that exists.
    const flag = (value: boolean | undefined): boolean => value ?? exists
    const ordinary = flag(descriptor.writable) && flag(descriptor.enumerable) && flag(descriptor.configurable)
    if ('get' in descriptor || 'set' in descriptor || !ordinary) {
      throw pongoError('TYPE', `${key}: only ordinary properties can be stored, without accessors and not read-only`)
    }
    if ('value' in descriptor || !exists) {
      target.native.set(target.id, key, encodeValue(target.handle, descriptor.value, key), 0)
    }
    return true
  },

  getPrototypeOf() {
    return Object.prototype
  },

  setPrototypeOf(_target, prototype) {
    if (prototype === Object.prototype) return true
    throw pongoError('TYPE', 'a Dict cannot have another prototype')
  },

  preventExtensions() {
    throw pongoError('TYPE', 'a Dict cannot be frozen, sealed or made non-extensible: take $native() and freeze that')
  },
}

function operation(target: DictTarget, key: string): unknown {
  if (key === '$size') return target.native.size(target.view, target.id)
  if (key === '$id') return target.id
  return dictOperations[key]
}

function refuseName(key: string | symbol, done: string): asserts key is string {
  if (typeof key === 'symbol') throw pongoError('TYPE', `a symbol cannot be ${done} on a Dict: names are strings`)
  if (key.charCodeAt(0) === dollar) {
    throw pongoError(
      'KEY',
      `${show(key)} cannot be ${done} as a property: names that begin with $ are operations; use $set([name], value), $delete([name])`,
    )
  }
}

export function makeDict(ref: Ref): object {
  const target = new DictTarget(ref)
  const proxy = new Proxy(target, handler)
  target.proxy = proxy
  return proxy
}

/** Whether a reference is shown as a Dict: a Dict, or the root. */
export function isDictRef(ref: Ref): boolean {
  return ref.kind === kindDict || ref.id === ref.handle.rootId
}
