// What durability costs, on one disk and in one run:
//
//   commit     sets of 100 bytes, each waits for the disk: one process with durability 'sync', beside lmdb-js `putSync`, which
//              syncs at each commit unless it is told not to
//   group      the same, by four processes at once, beside one: commits that wait together share a sync
//   pause      how long sets take in one process (durability 'none') while another one changes the same file and completes a
//              checkpoint every 100 ms, beside the same without checkpoints: the median and p99.9
//
// Rounds in turn, medians; ratios are formed round by round. The folder must be on the disk in question, not in memory.
//
//   node bench/durability.mjs [--rounds 7] [--folder <where the files go>]

import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { open } from 'pongodb'
import { peer } from './compare/peers.mjs'
import { members } from './harness/pair.mjs'
import { quantile, summary } from './harness/statistics.mjs'

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, folder: { type: 'string', default: tmpdir() } },
})
const rounds = Number(options.rounds)
const commits = 200 // of each process in a round
const sets = 200_000 // of the process whose pauses are measured

const program = fileURLToPath(new URL('durability_member.mjs', import.meta.url))
const folder = mkdtempSync(join(options.folder, 'pongodb-durability-'))
try {
  await commit()
  await pause()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const load = loadavg()[0].toFixed(1)
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, load ${load}, Node ${process.version}`)

async function commit() {
  const path = join(folder, 'sync.pongo')
  const db = open(path, { durability: 'sync' })
  db.root.values = db.collection()
  const contestants = {
    ours: await members(program, [['pongodb', path]]),
    lmdb: await members(program, [['lmdb', join(folder, 'lmdb')]]),
    four: await members(program, Array(4).fill(['pongodb', path])),
  }
  const rates = { ours: [], lmdb: [], four: [] }
  for (let round = -1; round < rounds; round++)
    for (const [name, group] of Object.entries(contestants)) {
      const answers = await group.run({ name: 'commit', count: commits })
      const rate = (answers.length * commits) / Math.max(...answers.map(({ seconds }) => seconds))
      if (round >= 0) rates[name].push(rate)
    }
  for (const group of Object.values(contestants)) await group.end()
  await db.verify()
  db.close()
  const line = (name, values) => console.log(`${name.padEnd(44)} ${Math.round(summary(values).median).toString().padStart(7)}/s`)
  line("one process, durability 'sync'", rates.ours)
  line(`one process, lmdb-js ${peer('lmdb').version} putSync`, rates.lmdb)
  line("four processes, durability 'sync', together", rates.four)
  ratio('times as fast as lmdb-js', rates.ours.map((value, i) => value / rates.lmdb[i]))
  ratio('four processes: times one', rates.four.map((value, i) => value / rates.ours[i]))
}

async function pause() {
  const path = join(folder, 'pause.pongo')
  const db = open(path, { durability: 'none' })
  db.root.values = db.collection()
  db.root.others = db.collection()
  const group = await members(program, [
    ['pongodb', path, 'none'],
    ['pongodb', path, 'none'],
  ])
  const found = { with: { median: [], tail: [] }, without: { median: [], tail: [] } }
  let checkpoints = 0
  for (let round = -1; round < rounds; round++)
    for (const kind of ['without', 'with']) {
      const [measured, saver] = await group.run({ name: 'pause', count: sets, interval: kind === 'with' ? 100 : 0 })
      if (round < 0) continue
      const sorted = measured.nanoseconds.sort((a, b) => a - b)
      found[kind].median.push(quantile(sorted, 0.5) / 1000)
      found[kind].tail.push(quantile(sorted, 0.999) / 1000)
      checkpoints += saver.checkpoints
    }
  await group.end()
  await db.verify()
  db.close()
  for (const [kind, { median, tail }] of Object.entries(found)) {
    const figures = `median ${summary(median).median.toFixed(2)} us, p99.9 ${summary(tail).median.toFixed(1)} us`
    console.log(`${`sets, ${kind} checkpoints in another process`.padEnd(44)} ${figures}`)
  }
  ratio(`p99.9 with / without (${checkpoints} checkpoints)`, found.with.tail.map((value, i) => value / found.without.tail[i]))
}

function ratio(name, values) {
  const { median, least, most } = summary(values)
  console.log(`${name.padEnd(44)} ${median.toFixed(2)} (${least.toFixed(2)}-${most.toFixed(2)})`)
}
