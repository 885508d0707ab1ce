// From a Database to its handle, without making the handle reachable for programs.

import { pongoError, show } from './errors'
import type { Handle } from './handle'
import { outsideOthers } from './live'

export type { Database } from './database'

export const kHandle: unique symbol = Symbol('pongodb.handle')

/** The handle of a Database given as an argument. Anything else: `ARG`. */
export function handleOf(what: string, db: unknown): Handle {
  const handle = typeof db === 'object' && db !== null ? (db as { [kHandle]?: Handle })[kHandle] : undefined
  if (handle === undefined) throw pongoError('ARG', `${what} needs a database that open() returned, not ${show(db)}`)
  outsideOthers(handle)
  return handle
}
