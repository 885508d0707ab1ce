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

/** Refuses a write through a snapshot. */
export function writable(ref: Ref): void {
  if (ref.view !== 0) throw pongoError('READONLY', 'a snapshot cannot be written: write to the live container')
}
