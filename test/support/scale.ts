// How much a test of the reliability harness does: what CI runs, or more. PONGO_SCALE multiplies, as in test/crash; the release
// column of docs/reliability.md is its limit.

const scale = Number(process.env['PONGO_SCALE'] ?? 1)

/** `ci` times the scale, at most `release`. */
export function amount(ci: number, release: number): number {
  return Math.min(ci * scale, release)
}

/** The time limit of such a test: a fail-safe, which grows with the work. Milliseconds. */
export function limit(ci: number, release: number): number {
  return 5 * 60_000 * Math.ceil(amount(ci, release) / ci)
}
