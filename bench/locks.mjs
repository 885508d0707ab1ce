// Locks between processes: how soon a killed holder's lock is granted, how fairly one is shared, what waiting costs.
//
//   death     a process that holds a lock is killed by SIGKILL while this one waits for it: from the kill to the grant
//   fairness  4 processes take and give back one lock for 3 seconds: how often each had it, and how long it waited
//   idle      processor time of a process that waits for a lock, in `acquire` and in `acquireSync`, and of one that does not
//   end       from worker.terminate() to the end of a worker that waits in `acquireSync`
//
//   node bench/locks.mjs [--samples 200] [--only death,fairness,idle,end]

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker, isMainThread, workerData } from 'node:worker_threads'
import { open } from 'pongodb'
import { member, members } from './harness/pair.mjs'
import { quantile } from './harness/statistics.mjs'

const program = fileURLToPath(import.meta.url)
const now = () => Number(process.hrtime.bigint()) / 1e6
const distribution = (milliseconds, digits = 1) => {
  const sorted = milliseconds.toSorted((a, b) => a - b)
  const at = (q) => quantile(sorted, q).toFixed(digits)
  return `p50 ${at(0.5)}   p99 ${at(0.99)}   max ${at(1)} ms`
}

// -- the members --

const jobs = {
  async share({ milliseconds, sync }, db) {
    const lock = db.lock('shared')
    const waits = []
    for (const end = now() + milliseconds; now() < end; ) {
      const asked = now()
      const hold = sync ? lock.acquireSync() : await lock.acquire()
      waits.push(now() - asked)
      hold.release()
    }
    return waits
  },

  async wait({ milliseconds, how }, db) {
    const before = process.cpuUsage()
    const options = { timeout: milliseconds }
    try {
      if (how === 'acquireSync') db.lock('kept').acquireSync(options)
      else if (how === 'acquire') await db.lock('kept').acquire(options)
      else await pause(milliseconds)
    } catch (error) {
      if (error.code !== 'PONGO_ERR_TIMEOUT') throw error
    }
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  },
}

async function takePart(path) {
  const db = open(path, { durability: 'none' })
  await member(({ name, ...job }) => jobs[name](job, db))
}

function hold(path) {
  const db = open(path, { durability: 'none' })
  db.lock('doomed').acquireSync()
  process.on('disconnect', () => process.exit()) // stays until then
  process.send('held')
}

// -- the questions --

async function death(db, samples) {
  const times = []
  for (let i = 0; i < samples; i++) {
    const holder = fork(program, ['--hold', db.path])
    await once(holder, 'message')
    const next = db.lock('doomed').acquire()
    await pause(Math.random() * 30) // anywhere between two looks of the waiter
    const killed = now()
    holder.kill('SIGKILL')
    const held = await next
    times.push(now() - killed)
    held.release()
    if (holder.exitCode === null && holder.signalCode === null) await once(holder, 'exit')
  }
  return `from SIGKILL to the grant, ${samples} times: ${distribution(times)}`
}

async function fairness(db) {
  const group = await members(program, Array(4).fill(['--member', db.path]))
  const lines = []
  for (const sync of [false, true]) {
    const waits = await group.run({ name: 'share', milliseconds: 3000, sync })
    const counts = waits.map((all) => all.length)
    const share = (n) => `${((100 * n) / counts.reduce((a, b) => a + b)).toFixed(1)} %`
    lines.push(
      `${sync ? 'acquireSync' : 'acquire'}: 4 processes had it ${counts.join(', ')} times (${share(Math.min(...counts))} to ` +
        `${share(Math.max(...counts))}); waits ${distribution(waits.flat(), 3)}`,
    )
  }
  await group.end()
  return lines.join('\n          ')
}

async function idle(db) {
  const kept = db.lock('kept').acquireSync()
  const group = await members(program, [['--member', db.path]])
  const milliseconds = 5000
  const shares = []
  for (const how of ['acquire', 'acquireSync', 'waiting for nothing']) {
    const [cpu] = await group.run({ name: 'wait', milliseconds, how })
    shares.push(`${how} ${((100 * cpu) / milliseconds).toFixed(2)} %`)
  }
  await group.end()
  kept.release()
  return `of a core: ${shares.join(', ')}`
}

async function end(db) {
  const kept = db.lock('kept').acquireSync()
  const times = []
  for (let i = 0; i < 20; i++) {
    const worker = new Worker(program, { workerData: db.path })
    await once(worker, 'online')
    await pause(100 + Math.random() * 30)
    const asked = now()
    await worker.terminate()
    times.push(now() - asked)
  }
  kept.release()
  return `from terminate() to the end of the worker, 20 times: ${distribution(times)}`
}

async function run() {
  const { values: options } = parseArgs({
    options: { samples: { type: 'string', default: '200' }, only: { type: 'string' } },
  })
  const folder = mkdtempSync(join(tmpdir(), 'pongodb-bench-'))
  const db = open(join(folder, 'state.pongo'), { durability: 'none' })
  const questions = { death: () => death(db, Number(options.samples)), fairness, idle, end }
  try {
    for (const name of options.only?.split(',') ?? Object.keys(questions))
      console.log(name.padEnd(9), await questions[name](db))
  } finally {
    db.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

if (!isMainThread) open(workerData, { durability: 'none' }).lock('kept').acquireSync()
else if (process.argv[2] === '--member') await takePart(process.argv[3])
else if (process.argv[2] === '--hold') hold(process.argv[3])
else await run()
