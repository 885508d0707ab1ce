// The one family of errors. What tells them apart is `code`, never the class or the message.

import type { CodeName, ErrorCode } from './codes'

// Shared by every copy of the package in the process, so that `instanceof` holds between two versions of it.
const brand = Symbol.for('pongodb.error')

/**
 * Every error that the package itself raises.
 *
 * `code` is stable (`PONGO_ERR_KEY`), the message is for people: it names the argument, the path or the file.
 *
 * @example
 * try { db.root.$set('a.b', 1) }
 * catch (error) { if (error instanceof PongoError && error.code === 'PONGO_ERR_KEY') db.root.a = {} }
 */
export class PongoError extends Error {
  /** The stable code, `PONGO_ERR_` and a name of docs/errors.md. */
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value
  }
}
Object.defineProperty(PongoError.prototype, brand, { value: true })
// On the prototype, as the built-in errors have it: not enumerable, not in each instance.
Object.defineProperty(PongoError.prototype, 'name', { value: 'PongoError', writable: true, configurable: true })

/** Text that is not JSON: a `SyntaxError`, as `JSON.parse` throws, that is a `PongoError` with code `VALUE` as well. */
export class PongoSyntaxError extends SyntaxError {
  readonly code: ErrorCode = 'PONGO_ERR_VALUE'
}
Object.defineProperty(PongoSyntaxError.prototype, brand, { value: true })

/** Where the same method of a Map or an array throws a `TypeError`: one that is a `PongoError` with code `ARG` as well. */
export class PongoTypeError extends TypeError {
  readonly code: ErrorCode = 'PONGO_ERR_ARG'
}
Object.defineProperty(PongoTypeError.prototype, brand, { value: true })

/** An error by the short name of its code: `fail('KEY', ...)`. */
export function pongoError(code: CodeName, message: string): PongoError {
  return new PongoError(`PONGO_ERR_${code}`, message)
}

/** A short text for an argument in a message. */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)
    case 'bigint':
      return `${value}n`
    case 'function':
      return 'a function'
    case 'symbol':
      return 'a symbol'
    case 'object': {
      if (value === null) return 'null'
      if (Array.isArray(value)) return 'an array'
      const name = (value as { constructor?: { name?: unknown } }).constructor?.name
      return typeof name === 'string' && name !== '' && name !== 'Object' ? `an instance of ${name}` : 'an object'
    }
    default:
      return String(value)
  }
}
