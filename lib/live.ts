// What every live container is underneath: a reference to a container of a database as some view shows it.

import type { Kind, NativeDb, View } from './binding'
import { pongoError } from './errors'
import type { Handle } from './handle'

/** Answers a live container's `Ref`. Private to the package: no other code can hold this symbol. */
export const kLive: unique symbol = Symbol('pongodb.live')

export interface Ref {
  readonly handle: Handle
  readonly native: NativeDb
  readonly kind: Kind
  readonly id: number
  /** 0: live; above: a snapshot, and then read-only. */
  readonly view: View
  /** The snapshot, kept alive by all that it shows. */
  readonly snapshot: object | undefined
}

/** The reference under a live container, or undefined for any other value. */
export function refOf(value: unknown): Ref | undefined {
  return typeof value === 'object' && value !== null ? (value as { [kLive]?: Ref })[kLive] : undefined
}

/** The handles of this thread that are inside a transaction, the innermost last. */
export const busy: Handle[] = []

/**
 * Refuses a write through one handle while another handle to the same file is inside a transaction: it would be a commit
 * of its own, would take what the transaction read from under it, and so make it run again for ever.
 */
export function outsideOthers(handle: Handle): void {
  if (busy.some((other) => other !== handle && other.identity === handle.identity)) {
    throw pongoError(
      'ARG',
      `another handle to ${handle.path} is inside a transaction: write through the handle whose transaction it is`,
    )
  }
}

/** Refuses a write through a snapshot. */
export function writable(ref: Ref): void {
  if (ref.view !== 0) throw pongoError('READONLY', 'a snapshot cannot be written: write to the live container')
  ref.handle.writes++
  if (busy.length > 0) outsideOthers(ref.handle)
}
