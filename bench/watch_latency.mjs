// How long a watcher in another process takes to hear of a commit, on an otherwise idle machine.
//
//   node bench/watch_latency.mjs [samples]
//
// One process commits the time, then pauses; another is told by db.watch and compares with its own clock, which is the same one.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { open } from 'pongodb'

const now = () => Number(process.hrtime.bigint()) / 1000

async function write(path, samples) {
  const db = open(path, { durability: 'none' })
  for (let i = 0; i < samples; i++) {
    await pause(1 + (i % 3))
    db.root.at = now()
  }
  db.root.at = 'end'
  db.close()
}

async function measure(samples) {
  const folder = mkdtempSync(join(tmpdir(), 'pongodb-bench-'))
  const db = open(join(folder, 'state.pongo'), { durability: 'none' })
  const latencies = []
  const before = process.cpuUsage()
  const done = new Promise((resolve) => {
    const stop = db.watch('at', ([change]) => {
      if (change.value === 'end') resolve(stop())
      else latencies.push(now() - change.value)
    })
  })
  const writer = fork(fileURLToPath(import.meta.url), ['--write', db.path, String(samples)])
  await done
  await once(writer, 'exit')
  const { user, system } = process.cpuUsage(before)
  latencies.sort((a, b) => a - b)
  const at = (part) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))].toFixed(1)
  console.log(`watch latency over ${latencies.length} commits, microseconds:`)
  console.log(`  p50 ${at(0.5)}   p90 ${at(0.9)}   p99 ${at(0.99)}   max ${at(1)}   (goals: p50 60, p99 1000)`)
  console.log(`  processor time of the watching process: ${((user + system) / latencies.length).toFixed(0)} us per commit`)
  db.close()
  rmSync(folder, { recursive: true })
}

if (process.argv[2] === '--write') await write(process.argv[3], Number(process.argv[4]))
else await measure(Number(process.argv[2] ?? 5000))
