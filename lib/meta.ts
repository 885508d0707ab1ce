// `db.meta`: two settings that live in the file, and those of this process, whose names begin with a dot.

import { inspect, type InspectOptions } from 'node:util'
import { pongoError, show } from './errors'
import type { Handle, NewKey, UuidConstructor } from './handle'
import { durabilities } from './options'

/** What `db.meta` holds. */
export interface Meta {
  /** Bytes by which the file grows. In the file. */
  chunksize: number
  /** The property under which `Collection.add` finds or puts the key of a document. In the file. Default `_id`. */
  id: string
  /** The durability of this handle: assign a mode, or true for `sync`, false for `checkpoint`. */
  get '.sync'(): 'checkpoint' | 'sync' | 'none'
  set '.sync'(mode: 'checkpoint' | 'sync' | 'none' | boolean)
  /** Makes the key of a document without one; null: a time-ordered UUID. */
  '.newkey': ((doc: any) => any) | null
  /** A class whose instances, with 16 bytes in `bytes`, are stored as UUIDs. */
  '.uuid_class': (new (...args: any[]) => { bytes: Uint8Array }) | null
  /** Called `(null, bytes)` to make what a stored UUID reads as; null: `Uuid`. */
  '.uuid_constructor': ((unused: null, bytes: Uint8Array) => unknown) | null
}

function functionOrNull(name: string, value: unknown): any {
  if (value !== null && typeof value !== 'function') {
    throw pongoError('TYPE', `meta[${show(name)}] must be a function or null, not ${show(value)}`)
  }
  return value
}

interface Setting {
  read(handle: Handle): unknown
  write(handle: Handle, value: unknown): void
}

const settings: Record<string, Setting> = Object.assign(Object.create(null), {
  chunksize: {
    read: (handle) => handle.native.options().chunksize,
    write(handle, value) {
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0) {
        throw pongoError('ARG', `meta.chunksize must be a number of bytes, not ${show(value)}`)
      }
      handle.native.setMeta('chunksize', value)
    },
  },
  id: {
    read: (handle) => handle.native.options().idKey,
    write(handle, value) {
      if (typeof value !== 'string' || value === '') {
        throw pongoError('ARG', `meta.id must be the name of a property, not ${show(value)}`)
      }
      handle.native.setMeta('id', value)
    },
  },
  '.sync': {
    read: (handle) => handle.durability,
    write(handle, value) {
      const mode = value === true ? 'sync' : value === false ? 'checkpoint' : value
      const known = durabilities.find((name) => name === mode)
      if (known === undefined) {
        throw pongoError(
          'ARG',
          `meta['.sync'] must be true, false or one of ${durabilities.join(', ')}, not ${show(value)}`,
        )
      }
      handle.native.setDurability(known)
      handle.durability = known
    },
  },
  '.newkey': {
    read: (handle) => handle.newKey,
    write(handle, value) {
      handle.newKey = functionOrNull('.newkey', value) as NewKey | null
    },
  },
  '.uuid_class': {
    read: (handle) => handle.uuidClass,
    write(handle, value) {
      handle.uuidClass = functionOrNull('.uuid_class', value) as Handle['uuidClass']
    },
  },
  '.uuid_constructor': {
    read: (handle) => handle.uuidConstructor,
    write(handle, value) {
      handle.uuidConstructor = functionOrNull('.uuid_constructor', value) as UuidConstructor | null
    },
  },
} satisfies Record<string, Setting>)

const names = Object.keys(settings)

// What the language and tools ask every object for; these names can be no settings.
const probes = new Set([
  'then',
  'toJSON',
  'asymmetricMatch',
  'nodeType',
  'tagName',
  '$$typeof',
  '@@__IMMUTABLE_ITERABLE__@@',
  '@@__IMMUTABLE_RECORD__@@',
])

function unknown(key: string): Error {
  return pongoError('KEY', `meta has no setting ${show(key)}: known are ${names.join(', ')}`)
}

// From a `Meta` to its handle, which none of its properties shows.
const settingsOf = new WeakMap<object, Handle>()

function opened({ handle }: MetaTarget): Handle {
  if (handle.closed) throw pongoError('CLOSED', `the database ${handle.path} is closed: open it again`)
  return handle
}

class MetaTarget {
  constructor(readonly handle: Handle) {}

  // What util.inspect finds through the proxy.
  [inspect.custom](_depth: number, options: InspectOptions): string {
    // Called with the proxy as `this`: the copy reads through it. Printing must not fail.
    if (settingsOf.get(this)?.closed === true) return 'Meta { closed }'
    return `Meta ${inspect({ ...this }, options)}`
  }
}

const handler: ProxyHandler<MetaTarget> = {
  get(target, key, receiver) {
    if (typeof key === 'symbol') return undefined
    const setting = settings[key]
    if (setting !== undefined) return setting.read(opened(target))
    if (key !== '__proto__' && key in Object.prototype) return Reflect.get(Object.prototype, key, receiver)
    if (probes.has(key)) return undefined
    throw unknown(key)
  },
  set(target, key, value) {
    const setting = typeof key === 'string' ? settings[key] : undefined
    if (setting === undefined) throw unknown(String(key))
    setting.write(opened(target), value)
    return true
  },
  has: (_target, key) => typeof key === 'string' && key in settings,
  ownKeys: () => names,
  getOwnPropertyDescriptor(target, key) {
    const setting = typeof key === 'string' ? settings[key] : undefined
    if (setting === undefined) return undefined
    return { value: setting.read(opened(target)), writable: true, enumerable: true, configurable: true }
  },
  defineProperty(_target, key) {
    throw pongoError('TYPE', `meta: ${String(key)} can only be assigned`)
  },
  deleteProperty(_target, key) {
    throw pongoError('TYPE', `meta: ${String(key)} cannot be deleted`)
  },
  getPrototypeOf: () => Object.prototype,
  preventExtensions() {
    throw pongoError('TYPE', 'meta cannot be frozen')
  },
}

export function makeMeta(handle: Handle): Meta {
  const meta = new Proxy(new MetaTarget(handle), handler)
  settingsOf.set(meta, handle)
  return meta as unknown as Meta
}
