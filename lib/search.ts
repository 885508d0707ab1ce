// `search`: the entries of a container whose value at a path satisfies a comparison, all judged in one version.

import type { View } from './binding'
import { compareSame, valuesEqual } from './equality'
import { pongoError, show } from './errors'
import { readAll } from './iterators'
import { refOf, type Ref } from './live'
import { What, plainCopy } from './packed'
import type { Path } from './path'
import { SearchView } from './search_view'
import type { Operator } from './types'
import { encodeKey, normalise } from './values'

type Test = (found: unknown, wanted: unknown) => boolean

function ordered(accept: (order: number) => boolean): Test {
  return (found, wanted) => {
    const order = compareSame(found, wanted)
    return order !== undefined && accept(order)
  }
}

const tests: Record<Operator, Test> = (() => {
  const equal: Test = valuesEqual
  const different: Test = (found, wanted) => !valuesEqual(found, wanted)
  const less = ordered((order) => order < 0)
  const lessOrEqual = ordered((order) => order <= 0)
  const greater = ordered((order) => order > 0)
  const greaterOrEqual = ordered((order) => order >= 0)
  return {
    '==': equal,
    '!=': different,
    '<': less,
    '<=': lessOrEqual,
    '>': greater,
    '>=': greaterOrEqual,
    eq: equal,
    ne: different,
    lt: less,
    le: lessOrEqual,
    gt: greater,
    ge: greaterOrEqual,
  }
})()

function segmentsOf(what: string, path: unknown): readonly unknown[] {
  if (typeof path === 'string') return path === '' ? [] : path.split('.')
  if (Array.isArray(path)) return path
  if (typeof path === 'number') return [path]
  throw pongoError('TYPE', `${what}: a path is a string or an array of keys, not ${show(path)}`)
}

/** Runs a search over the children of `ref`. O(n) path reads. */
export function search(ref: Ref, what: string, path: Path, op: Operator, value: unknown): SearchView {
  if (typeof op !== 'string' || !Object.hasOwn(tests, op)) {
    throw pongoError('ARG', `${what}: unknown operator ${show(op)}: known are ${Object.keys(tests).join(' ')}`)
  }
  const test = tests[op]
  const segments = segmentsOf(what, path)
  const wanted = normalise(ref.handle, value)
  const { native, handle } = ref

  const run = (view: View): [unknown, unknown][] => {
    // Whether something at segments[from...] under `child` passes.
    const matches = (child: unknown, from: number): boolean => {
      const inner = refOf(child)
      if (from === segments.length) {
        // A container is judged by what it holds in this version, unless it is compared with a container.
        const byContent = inner !== undefined && refOf(wanted) === undefined
        return test(byContent ? plainCopy(handle, view, inner.id) : child, wanted)
      }
      if (inner === undefined) return false
      if (segments[from] === '*') {
        return readAll(inner, What.values, view).some((item) => matches(item, from + 1))
      }
      const star = segments.indexOf('*', from)
      const end = star === -1 ? segments.length : star
      // An array: segments are keys as they stand, and indices where they meet a List.
      const steps = segments.slice(from, end).map((segment) => encodeKey(handle, segment))
      const found: unknown = native.getPath(view, inner.id, steps, '.')
      return found !== undefined && matches(found, end)
    }
    const flat = readAll(ref, What.entries, view)
    // Judged are UUIDs as such, whatever meta['.uuid_constructor'] makes of those that are returned.
    const found = handle.withPlainUuids(() => {
      const judged = handle.uuidConstructor === null ? flat : readAll(ref, What.entries, view)
      return flat.map((_, i) => i % 2 === 1 && matches(judged[i], 0))
    })
    const entries: [unknown, unknown][] = []
    for (let i = 1; i < flat.length; i += 2) {
      if (found[i] === true) entries.push([flat[i - 1], flat[i]])
    }
    return entries
  }
  return new SearchView(ref, ref.view === 0 ? handle.pinned(run) : run(ref.view))
}
