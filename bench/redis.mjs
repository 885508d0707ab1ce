// The work that people give to Redis beside a cluster of Node processes, done by two processes: with Redis 7 over a unix
// socket (ioredis) and with a shared file, in the same run.
//
//   queue    one process pushes at one end, the other takes from the other end (LPUSH / RPOP; push / shift)
//   counter  both add 1 to the same number (INCR; $incr)
//   cache    both read 9 of 10 times and write 1 of 10 with a time to live, 10,000 keys of 100 bytes, zipfian
//            (GET, SET PX; get, set with ttl)
//   lock     both take the same lock and give it back (SET NX PX with a token, tried again until it works, and a script that
//            deletes it if the token fits; tryAcquire and acquire)
//   notify   there and back between the two: half the time of a round trip (PUBLISH / SUBSCRIBE; watch, where there is one)
//
// Redis waits for each answer before it asks again, as a program that needs the answer does; "32 at once" keeps so many
// requests under way in each process, which is what pipelining can give it at best. Persistence: none in Redis, `none` here.
// Rounds of both in turn; medians; ratios are formed round by round.
//
//   node bench/redis.mjs [--rounds 7] [--only queue,counter]

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { open } from 'pongodb'
import { peer } from './compare/peers.mjs'
import { members } from './harness/pair.mjs'
import { summary } from './harness/statistics.mjs'

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, only: { type: 'string' } },
})
const rounds = Number(options.rounds)

// Operations in a round, of both processes together: about as long for each engine.
const work = {
  queue: { ours: 200_000, redis: 8_000 },
  counter: { ours: 400_000, redis: 16_000 },
  cache: { ours: 400_000, redis: 16_000 },
  lock: { ours: 40_000, redis: 4_000 },
  notify: { ours: 4_000, redis: 4_000 },
}

if (spawnSync('redis-server', ['--version']).status !== 0) {
  console.log('redis: skipped, because there is no redis-server here')
  process.exit(0)
}
const folder = mkdtempSync(join(tmpdir(), 'pongodb-redis-'))
const socket = join(folder, 'redis.sock')
const server = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no'], {
  cwd: folder,
  stdio: 'ignore',
})
try {
  await run()
} finally {
  server.kill()
  rmSync(folder, { recursive: true, force: true })
}

async function run() {
  const { version } = peer('ioredis')
  while (!existsSync(socket)) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with exit code ${server.exitCode}`)
    await pause(10)
  }
  const path = join(folder, 'ours.pongo')
  const db = open(path, { durability: 'none' })
  db.root.jobs = []
  db.root.n = 0
  db.root.cache = db.collection()
  db.root.box = {}
  const program = fileURLToPath(new URL('redis_member.mjs', import.meta.url))
  const engines = {
    ours: await members(program, Array(2).fill(['pongodb', path])),
    redis: await members(program, Array(2).fill(['redis', socket])),
  }
  const wanted = options.only?.split(',') ?? Object.keys(work)
  const table = [['2 processes', 'pongodb', 'redis', 'redis, 32 at once', 'times as fast', 'than 32 at once']]
  for (const name of wanted) {
    if (name === 'notify' && typeof db.watch !== 'function') continue
    const found = await measure(engines, name)
    table.push([name, ...found])
    await db.verify()
  }
  await engines.ours.end()
  await engines.redis.end()
  db.close()
  print(table, version)
}

async function measure(engines, name) {
  const runs = { ours: [], redis: [], many: [] }
  const once = async (engine, count, atOnce) => {
    const answers = await engine.run({ name, count, atOnce })
    // Operations per second of both together; of notify the time of one way.
    return name === 'notify' ? 1 / answers[0].seconds : count / Math.max(...answers.map(({ seconds }) => seconds))
  }
  for (let round = -1; round < rounds; round++) {
    const ours = await once(engines.ours, work[name].ours, 1)
    const redis = await once(engines.redis, work[name].redis, 1)
    const many = name === 'notify' || name === 'lock' ? NaN : await once(engines.redis, work[name].redis * 4, 32)
    if (round < 0) continue
    runs.ours.push(ours)
    runs.redis.push(redis)
    runs.many.push(many)
  }
  const figure = (values) => {
    const { median } = summary(values)
    if (Number.isNaN(median)) return '-'
    return name === 'notify' ? `${(1e6 / median).toFixed(1)} us` : `${Math.round(median).toLocaleString('en')}/s`
  }
  const ratio = (theirs) => {
    const { median, least, most } = summary(theirs.map((value, i) => runs.ours[i] / value))
    return Number.isNaN(median) ? '-' : `${median.toFixed(1)}x (${least.toFixed(1)}-${most.toFixed(1)})`
  }
  return [figure(runs.ours), figure(runs.redis), figure(runs.many), ratio(runs.redis), ratio(runs.many)]
}

function print(table, version) {
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  for (const row of table)
    console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[i] + 2))).join(''))
  const server = /v=(\S+)/.exec(spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout)?.[1]
  console.log(`${rounds} rounds in turn; medians, ratios with least and most. Redis ${server}, ioredis ${version}`)
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}, Node ${process.version}`,
  )
}
