// Arguments and options: unknown or misspelt names are refused by name, so that a typing error never passes in silence.

import { isDate } from 'node:util/types'
import { pongoError, show } from './errors'

/** Checks that `options` is an object with no other names than `allowed`. undefined is an empty one. */
export function checkOptions<T extends object>(
  what: string,
  options: T | undefined,
  allowed: readonly string[],
): Partial<T> {
  if (options === undefined) return {}
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw pongoError('ARG', `${what}: options must be an object, not ${show(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!allowed.includes(name)) {
      const known = allowed.length > 0 ? `: known are ${allowed.join(', ')}` : ': there are none'
      throw pongoError('ARG', `${what}: unknown option ${show(name)}${known}`)
    }
  }
  return options
}

export function booleanOption(what: string, name: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise
  if (typeof value !== 'boolean') throw pongoError('ARG', `${what}: ${name} must be true or false, not ${show(value)}`)
  return value
}

export function integerOption(
  what: string,
  name: string,
  value: unknown,
  min: number,
  max: number,
): number | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw pongoError('ARG', `${what}: ${name} must be an integer from ${min} to ${max}, not ${show(value)}`)
  }
  return value
}

export function needFunction(what: string, fn: unknown): void {
  if (typeof fn !== 'function') throw pongoError('ARG', `${what} needs a function, not ${show(fn)}`)
}

export const durabilities = ['checkpoint', 'sync', 'none'] as const

export interface SetOptions {
  /** Throws `EXISTS` when the key is present, atomically. */
  fail?: boolean
  /** Returns only when the write is on disk. Not inside a transaction. */
  sync?: boolean
}

/** When the entry of a Collection expires; without either it does not. */
export interface ExpiryOptions {
  /** Milliseconds from now, 0 or more. 0: it is gone at once. */
  ttl?: number
  /** The instant from which the key is absent. */
  expiresAt?: Date
}

export interface PathOptions {
  /** What separates the segments of a string path; default `.` */
  sep?: string
}

const setNames = ['fail', 'sync']
const pathSetNames = ['fail', 'sync', 'sep']
const expiringNames = ['fail', 'sync', 'ttl', 'expiresAt']
const expiringPathNames = ['fail', 'sync', 'ttl', 'expiresAt', 'sep']
const pathNames = ['sep']

/** The flag of a write that leaves the expiry of an entry as it is. */
export const keepExpiry = 4

/** The flags of a write: 1 = fail, 2 = sync. */
export function setFlags(what: string, options: SetOptions | undefined, path = false): number {
  if (options === undefined) return 0
  const { fail, sync } = checkOptions(what, options, path ? pathSetNames : setNames)
  return (booleanOption(what, 'fail', fail, false) ? 1 : 0) | (booleanOption(what, 'sync', sync, false) ? 2 : 0)
}

/** The flags of a write to a Collection, whose options may say when the entry expires. */
export function expiringFlags(what: string, options: (SetOptions & ExpiryOptions) | undefined, path = false): number {
  if (options === undefined) return 0
  const { fail, sync } = checkOptions(what, options, path ? expiringPathNames : expiringNames)
  return (booleanOption(what, 'fail', fail, false) ? 1 : 0) | (booleanOption(what, 'sync', sync, false) ? 2 : 0)
}

/** An expiry as the addon takes it: 0 never, 1 after so many ms, 2 at an instant; and the ms. */
export type NativeExpiry = readonly [kind: 0 | 1 | 2, ms: number]

/** A time to live in milliseconds. */
export function timeToLive(what: string, name: string, ms: unknown): NativeExpiry {
  if (typeof ms !== 'number' || !(ms >= 0) || ms > Number.MAX_SAFE_INTEGER) {
    throw pongoError('ARG', `${what}: ${name} must be a number of milliseconds from 0 to 2^53 - 1, not ${show(ms)}`)
  }
  return [1, ms]
}

/** When the entry shall expire, or undefined: never. */
export function expiryOption(what: string, options: ExpiryOptions | undefined): NativeExpiry | undefined {
  if (options === undefined) return undefined
  const { ttl, expiresAt } = options
  if (expiresAt === undefined) return ttl === undefined ? undefined : timeToLive(what, 'ttl', ttl)
  if (ttl !== undefined) throw pongoError('ARG', `${what}: ttl and expiresAt exclude each other`)
  if (!isDate(expiresAt)) throw pongoError('ARG', `${what}: expiresAt must be a Date, not ${show(expiresAt)}`)
  const ms = expiresAt.getTime()
  if (Number.isNaN(ms)) throw pongoError('VALUE', `${what}: expiresAt is an invalid Date`)
  return [2, ms]
}

/** The separator of a path. */
export function separator(what: string, options: PathOptions | undefined, checked = false): string {
  if (options === undefined) return '.'
  const { sep } = checked ? options : checkOptions(what, options, pathNames)
  if (sep === undefined) return '.'
  if (typeof sep !== 'string' || sep === '')
    throw pongoError('ARG', `${what}: sep must be a non-empty string, not ${show(sep)}`)
  return sep
}
