// What it costs that every reference and header is looked at before it is used (docs/reliability.md: a damaged file gives right data
// or a typed error): point gets of the engine alone, built as an install builds it, and the same without the checks
// (PONGO_UNCHECKED, for this measurement only). Rounds in turn; the ratio is formed round by round.
//
//   node bench/dereference_checks.mjs [--rounds 15] [--gets 2000000]

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildCore } from '../scripts/core.mjs'
import { scratchFolder } from '../scripts/crash.mjs'
import { summary } from './harness/statistics.mjs'

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, gets: { type: 'string', default: '2000000' } },
})
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const builds = { checked: 'build/bench-checked', unchecked: 'build/bench-unchecked' }
for (const [name, out] of Object.entries(builds))
  buildCore(out, { PONGO_BENCH: 'ON', PONGO_UNCHECKED: name === 'unchecked' ? 'ON' : 'OFF' }, { config: 'Release' })

function nanoseconds(build, file, keys) {
  const args = [file, String(keys), options.gets]
  const result = spawnSync(join(root, builds[build], 'point_get'), args, { encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`point_get: ${result.stderr}`)
  return Number(result.stdout)
}

const folder = mkdtempSync(join(scratchFolder(), 'pongodb-checks-'))
try {
  for (const keys of [1_000, 100_000]) {
    const file = join(folder, String(keys))
    const times = { checked: [], unchecked: [] }
    nanoseconds('checked', file, keys)
    for (let round = 0; round < Number(options.rounds); round++) {
      const order = round % 2 === 0 ? ['checked', 'unchecked'] : ['unchecked', 'checked']
      for (const build of order) times[build].push(nanoseconds(build, file, keys))
    }
    const ratios = times.checked.map((time, i) => time / times.unchecked[i])
    const shown = Object.entries(times).map(([build, all]) => `${build} ${summary(all).median.toFixed(1)} ns`)
    const { median, p25, p75 } = summary(ratios)
    const spread = `quartiles ${p25.toFixed(3)}, ${p75.toFixed(3)}`
    console.log(`${keys} keys: ${shown.join(', ')}; checked / unchecked ${median.toFixed(3)} (${spread})`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const load = loadavg()[0].toFixed(1)
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, load ${load}`)
