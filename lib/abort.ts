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

/** The option `signal`. Anything but an AbortSignal or undefined: `ARG`. */
export function signalOption(what: string, signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined
  // By its shape: signals of another realm, or of a polyfill, are signals too.
  const like = typeof signal === 'object' && signal !== null && 'aborted' in signal
  if (!like || typeof (signal as AbortSignal).addEventListener !== 'function') {
    throw pongoError('ARG', `${what}: signal must be an AbortSignal, not ${show(signal)}`)
  }
  return signal as AbortSignal
}
