// Exit codes and messages of failures.

import { PongoError } from '../errors'
import { FormatError } from '../reader/layout'

export const exitCodes = {
  ok: 0,
  /** The operation failed; the message has the code of the error. */
  failed: 1,
  /** Unknown command or option, or an argument of the wrong form. */
  usage: 2,
  /** `get`, `del`, `dump`: there is nothing at that path. */
  missing: 3,
  /** The file is damaged, or no database. */
  corrupt: 4,
} as const

/** An end of the command with a code of its own. */
export class Failure extends Error {
  constructor(
    readonly exitCode: number,
    message: string,
  ) {
    super(message)
  }
}

/** Prints what went wrong to stderr; returns the exit code. */
export function report(error: unknown, json: boolean): number {
  const { message, code } = error as { message?: string; code?: string }
  const text = message ?? String(error)
  if (json) process.stderr.write(`${JSON.stringify({ error: { code: code ?? null, message: text } })}\n`)
  else process.stderr.write(`pongo: ${text}${code !== undefined && !text.includes(code) ? ` (${code})` : ''}\n`)
  if (error instanceof Failure) return error.exitCode
  if (error instanceof FormatError || code === 'PONGO_ERR_CORRUPT') return exitCodes.corrupt
  if (
    !(error instanceof PongoError) &&
    !(error instanceof SyntaxError) &&
    code === undefined &&
    process.env.PONGODB_DEBUG
  ) {
    process.stderr.write(`${(error as Error).stack ?? ''}\n`)
  }
  return exitCodes.failed
}
