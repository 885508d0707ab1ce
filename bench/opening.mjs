// How long a database of 1 GB takes to open, and until the first read has answered, counted from the call of open():
//
//   clean stop      the last process has closed it
//   kill            the last process was killed after a thousand commits
//   machine crash   killed, and the control file is from another run of the kernel: recovery
//   the same, cold  and the page cache holds nothing of the data file
//
// Each time in a new process that has loaded the package. A loss of power also loses what was not synced: this database is synced.
//
//   node bench/opening.mjs [--rounds 15] [--megabytes 1000] [--folder <where the file goes>]

import { fork, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { open } from 'pongodb'
import { summary } from './harness/statistics.mjs'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    megabytes: { type: 'string', default: '1000' },
    folder: { type: 'string', default: tmpdir() },
    member: { type: 'string' }, // the path: this is a process that opens
  },
})
const recordSize = 1000
const records = Number(options.megabytes) * (1e6 / recordSize)
const bootIdOffset = 56 // docs/file_format.md

function fill(path) {
  const db = open(path, { durability: 'none' })
  const values = (db.root.values = db.collection())
  for (let i = 0; i < records; )
    db.transaction(() => {
      for (const end = Math.min(records, i + 10_000); i < end; i++) values.set(`record ${i}`, `${i} `.padEnd(recordSize, 'v'))
    })
  db.close()
}

const milliseconds = (from) => Number(process.hrtime.bigint() - from) / 1e6

// Opens, reads, tells; then leaves in the way that the parent wants.
async function member(path) {
  const ready = once(process, 'message')
  process.send('ready')
  await ready
  const began = process.hrtime.bigint()
  const db = open(path)
  const opened = milliseconds(began)
  const { values } = db.root
  const i = Math.floor(Math.random() * records)
  if (!values.get(`record ${i}`).startsWith(`${i} `)) throw new Error('not what was stored')
  process.send({ opened, read: milliseconds(began) })
  const [{ kill }] = await once(process, 'message')
  if (kill) {
    for (let k = 0; k < 1000; k++) values.set('changed', k)
    process.kill(process.pid, 'SIGKILL')
  }
  db.close()
  process.disconnect()
}

/** What a new process measures; it is killed afterwards, or stops. */
async function measure(path, kill) {
  const child = fork(fileURLToPath(import.meta.url), ['--member', path, '--megabytes', options.megabytes], { execArgv: [] })
  const exited = once(child, 'exit')
  await once(child, 'message')
  child.send('go')
  const [times] = await once(child, 'message')
  child.send({ kill })
  const [code, signal] = await exited
  if (kill ? signal !== 'SIGKILL' : code !== 0) throw new Error(`a member ended with ${code ?? signal}`)
  return times
}

function otherBoot(path) {
  const control = openSync(`${path}-lock`, 'r+')
  writeSync(control, randomBytes(16), 0, 16, bootIdOffset)
  closeSync(control)
}

// What is dirty must be written first, or it stays.
function dropFromPageCache(path) {
  for (const args of [
    [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none'],
    [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'],
  ])
    if (spawnSync('dd', args, { stdio: ['ignore', 'ignore', 'inherit'] }).status !== 0) throw new Error('dd failed')
}

const states = {
  'clean stop': { kill: false, prepare: () => {} },
  kill: { kill: true, prepare: () => {} },
  'machine crash': { kill: true, prepare: otherBoot },
  'the same, cold': {
    kill: true,
    prepare(path) {
      otherBoot(path)
      dropFromPageCache(path)
    },
  },
}

async function main() {
  const folder = mkdtempSync(join(options.folder, 'pongodb-opening-'))
  try {
    const path = join(folder, 'db.pongo')
    fill(path)
    console.log(`${records} records, ${(statSync(path).size / 1e9).toFixed(2)} GB`)
    for (const [name, { kill, prepare }] of Object.entries(states)) {
      const found = { opened: [], read: [] }
      await measure(path, kill) // leaves it in this state
      for (let round = 0; round < Number(options.rounds); round++) {
        prepare(path)
        const times = await measure(path, kill)
        for (const key of Object.keys(found)) found[key].push(times[key])
      }
      const shown = ({ median, least, most }) => `${median.toFixed(1)} ms (${least.toFixed(1)}-${most.toFixed(1)})`
      console.log(`${name.padEnd(15)} open ${shown(summary(found.opened))}, first read after ${shown(summary(found.read))}`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const load = loadavg()[0].toFixed(1)
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, load ${load}, Node ${process.version}`)
}

if (options.member === undefined) await main()
else await member(options.member)
