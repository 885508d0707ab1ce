// Arguments and options: unknown or misspelt names are refused by name, so that a typing error never passes in silence.

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

export interface PathOptions {
  /** What separates the segments of a string path; default `.` */
  sep?: string
}

const setNames = ['fail', 'sync']
const pathSetNames = ['fail', 'sync', 'sep']
const pathNames = ['sep']

/** The flags of a write: 1 = fail, 2 = sync. */
export function setFlags(what: string, options: SetOptions | undefined, path = false): number {
  if (options === undefined) return 0
  const { fail, sync } = checkOptions(what, options, path ? pathSetNames : setNames)
  return (booleanOption(what, 'fail', fail, false) ? 1 : 0) | (booleanOption(what, 'sync', sync, false) ? 2 : 0)
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
