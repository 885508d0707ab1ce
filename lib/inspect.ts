// How live containers print: their kind, and the content as plain objects print it, down to the depth that was asked for.

import { What } from './packed'
import { inspect, type InspectOptions } from 'node:util'
import { readAll } from './iterators'
import { refOf } from './live'

// The containers being printed now: cycles through live containers would never end.
const printing: string[] = []

/** The text of a live container. */
export function inspectLive(value: object, name: string, depth: number, options: InspectOptions): string {
  const ref = refOf(value)
  if (ref === undefined) return `[${name}]`
  const mark = `${ref.handle.identity}/${ref.view}/${ref.id}`
  if (ref.handle.closed) return `[${name}: closed]`
  if (printing.includes(mark)) return '[Circular]'
  if (depth < 0) return `[${name}]`
  printing.push(mark)
  try {
    const inner = { ...options, depth }
    if (name === 'List')
      return `List(${ref.native.size(ref.view, ref.id)}) ${inspect(readAll(ref, What.values), inner)}`
    const flat = readAll(ref, What.entries)
    const plain = name === 'Dict' && flat.every((item, i) => i % 2 === 1 || typeof item === 'string')
    const map = new Map<unknown, unknown>()
    const object: Record<string, unknown> = {}
    for (let i = 0; i < flat.length; i += 2) {
      if (!plain) map.set(flat[i], flat[i + 1])
      else Object.defineProperty(object, flat[i] as string, { value: flat[i + 1], enumerable: true })
    }
    return plain ? inspect(object, inner) : `${name} ${inspect(map, inner)}`
  } catch (error) {
    // Printing must not fail where the container is gone or the snapshot released.
    return `[${name}: ${(error as Error).message}]`
  } finally {
    printing.pop()
  }
}
