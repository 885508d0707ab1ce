// JSON of what the reader found; what JSON lacks is written as docs of the package say.

import type { StoredKey } from './key'
import { ShapeRef, StoredUuid } from './value'
import type { Plain } from './reader'

function keyText(key: StoredKey): string {
  if (typeof key === 'string') return key
  const text = jsonOf(key)
  return text.startsWith('"') ? (JSON.parse(text) as string) : text
}

/** JSON text, without white space. */
export function jsonOf(value: Plain): string {
  if (value === null || value instanceof ShapeRef) return 'null'
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null'
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object') return JSON.stringify(value)
  if (value instanceof Date || value instanceof StoredUuid) return JSON.stringify(value)
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'))
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(',')}]`
  const pairs: Iterable<[StoredKey, Plain]> = value instanceof Map ? value : Object.entries(value)
  return `{${Array.from(pairs, ([key, item]) => `${JSON.stringify(keyText(key))}:${jsonOf(item)}`).join(',')}}`
}
