// What an AbortSignal makes of waiting: the error that Node's own functions reject with.

import { pongoError, show } from './errors'

/** As Node's: `name` AbortError, `code` ABORT_ERR, the signal's reason as `cause`. */
export class AbortError extends Error {
  readonly code = 'ABORT_ERR'

  constructor(signal: AbortSignal) {
    super('The operation was aborted', { cause: signal.reason })
  }
}
// As the built-in errors have it: not enumerable, not in each instance.
Object.defineProperty(AbortError.prototype, 'name', { value: 'AbortError', writable: true, configurable: true })

/** By its shape: signals of another realm, or of a polyfill, are signals too. */
export function isSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as AbortSignal).aborted === 'boolean' &&
    typeof (value as AbortSignal).addEventListener === 'function'
  )
}

/** The option `signal`. Anything but an AbortSignal or undefined: `ARG`. */
export function signalOption(what: string, signal: unknown): AbortSignal | undefined {
  if (signal === undefined || isSignal(signal)) return signal
  throw pongoError('ARG', `${what}: signal must be an AbortSignal, not ${show(signal)}`)
}
