// JSON of any part of a database, piece by piece, from one snapshot: memory does not grow with what is written.

import { Collection } from '../collection'
import { pongoError } from '../errors'
import { jsonKey, plainJson } from '../json_out'
import { refOf } from '../live'

const kindList = 2
const kindMulti = 4

/** The entries of a live container, of a MultiCollection the pairs. */
export function entriesOf(container: any): Iterable<[unknown, unknown]> {
  const kind = refOf(container)!.kind
  if (kind === kindList) return (container as unknown[]).entries()
  // The root is a Collection that shows itself as a Dict.
  return container instanceof Collection ? container.entries() : container.$entries()
}

function* members(container: unknown, path: readonly number[]): Generator<string> {
  const ref = refOf(container)!
  if (path.includes(ref.id)) throw pongoError('TYPE', `container ${ref.id} contains itself: JSON has no cycles`)
  const below = [...path, ref.id]
  let first = true
  if (ref.kind === kindList) {
    yield '['
    for (const [, value] of entriesOf(container)) {
      if (!first) yield ','
      first = false
      yield* jsonPieces(value, below)
    }
    yield ']'
    return
  }
  // The values of one key of a MultiCollection follow each other.
  let group: string | undefined
  yield '{'
  for (const [key, value] of entriesOf(container)) {
    const name = JSON.stringify(jsonKey(key))
    if (ref.kind === kindMulti) {
      const same = group === name
      if (!first) yield same ? ',' : '],'
      if (!same) yield `${name}:[`
      group = name
    } else {
      yield first ? `${name}:` : `,${name}:`
    }
    first = false
    yield* jsonPieces(value, below)
  }
  yield group === undefined ? '}' : ']}'
}

/** The JSON text of a value or live container. */
export function* jsonPieces(value: unknown, path: readonly number[] = []): Generator<string> {
  if (refOf(value) === undefined) yield plainJson(value)
  else yield* members(value, path)
}

/** One line per entry: of a List its value, of anything else `[key, value]`. */
export function* linePieces(container: unknown): Generator<string> {
  const list = refOf(container)!.kind === kindList
  for (const [key, value] of entriesOf(container)) {
    if (!list) yield `[${plainJson(key)},`
    yield* jsonPieces(value)
    yield list ? '\n' : ']\n'
  }
}
