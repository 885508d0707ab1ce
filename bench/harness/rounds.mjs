// Compares two ways of doing the same: rounds in turn, so that whatever slows the machine down for a while slows both.

import { summary } from './statistics.mjs'

/** Nanoseconds for each of `count` calls of what `fn(count)` does. */
function measure(fn, count) {
  const began = process.hrtime.bigint()
  fn(count)
  return Number(process.hrtime.bigint() - began) / count
}

/**
 * Runs `ours(count)` and `theirs(count)` in turn; who begins alternates. Returns summaries of ns per call of each and of
 * the ratio theirs / ours of each round: above 1 we are faster.
 */
export async function compare({ ours, theirs, count, rounds, warmUp = 2 }) {
  const times = { ours: [], theirs: [], ratios: [] }
  for (let round = -warmUp; round < rounds; round++) {
    const order = round % 2 === 0 ? [ours, theirs] : [theirs, ours]
    const measured = new Map()
    for (const fn of order) {
      measured.set(fn, measure(fn, count))
      // A turn of the event loop between them: neither pays for what the other has put off.
      await new Promise(setImmediate)
    }
    if (round < 0) continue
    times.ours.push(measured.get(ours))
    times.theirs.push(measured.get(theirs))
    times.ratios.push(measured.get(theirs) / measured.get(ours))
  }
  return { ours: summary(times.ours), theirs: summary(times.theirs), ratio: summary(times.ratios) }
}
