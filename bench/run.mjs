// How fast are we, beside others, in one run?
//
//   npm run bench                          all rows, quick (about three minutes)
//   npm run bench -- --full                longer, with the plots of scaling
//   npm run bench -- --only get,set        some rows
//   npm run bench -- --guard               fails when a row is more than 20 % below its recorded ratio
//
// Writes bench/results/latest.json and latest.md, with --full also the plots; --record keeps the ratios for the guard.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { installPeers } from './compare/peers.mjs'
import { machine, markdown, tableText } from './harness/report.mjs'
import { runRow } from './harness/run_row.mjs'
import { rows } from './rows.mjs'

const { values: options } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
    guard: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    folder: { type: 'string', default: tmpdir() },
    results: { type: 'string', default: fileURLToPath(new URL('results/', import.meta.url)) },
  },
})
const recordedPath = fileURLToPath(new URL('results/recorded.json', import.meta.url))
const pace = options.full ? 'full' : 'quick'
const wanted = options.only?.split(',')
const unknown = wanted?.filter((id) => !rows.some((row) => row.id === id)) ?? []
if (unknown.length > 0) {
  console.error(`bench: no such row: ${unknown.join(', ')} (there are ${rows.map((row) => row.id).join(', ')})`)
  process.exit(2)
}

installPeers()

// The plots need them; a file that is kept does not.
const withoutBuckets = (key, value) => (key === 'buckets' ? undefined : value)

const folder = mkdtempSync(join(options.folder, 'pongodb-bench-'))
const results = []
try {
  for (const row of rows) {
    if (wanted && !wanted.includes(row.id)) continue
    process.stderr.write(`bench: ${row.id} …`)
    const began = Date.now()
    results.push(await runRow(row, { folder, pace }))
    process.stderr.write(` ${((Date.now() - began) / 1000).toFixed(1)} s\n`)
  }
  console.log(tableText(results))
  const report = { machine: machine(), date: new Date().toISOString().slice(0, 10), pace, rows: results }
  mkdirSync(options.results, { recursive: true })
  if (!wanted) {
    writeFileSync(join(options.results, 'latest.json'), `${JSON.stringify(report, withoutBuckets, 1)}\n`)
    writeFileSync(join(options.results, 'latest.md'), markdown(report))
  }
  if (options.record) {
    const ratios = Object.fromEntries(
      results.map(({ id, ratios: all }) => [id, Object.fromEntries(Object.entries(all).map(([versus, { median }]) => [versus, median]))]),
    )
    writeFileSync(recordedPath, `${JSON.stringify({ machine: report.machine, pace, ratios }, null, 1)}\n`)
  }
  if (options.full && !wanted) {
    const { scaling } = await import('./scaling.mjs')
    const { plots } = await import('./harness/plots.mjs')
    await plots(report, await scaling({ folder }), options.results)
  }
  if (options.guard) process.exitCode = guard() ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function guard() {
  const { ratios } = JSON.parse(readFileSync(recordedPath, 'utf8'))
  let good = true
  for (const { id, ratios: now } of results) {
    for (const [versus, before] of Object.entries(ratios[id] ?? {})) {
      if (now[versus].median >= 0.8 * before) continue
      good = false
      console.error(`bench: ${id} against ${versus} is ${now[versus].median.toFixed(2)}, recorded ${before.toFixed(2)}`)
    }
  }
  if (good) console.error('bench: no row is more than 20 % below its recorded ratio')
  return good
}
