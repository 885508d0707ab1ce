// How does it change with the number of keys, the size of values and the number of processes? Only with --full: the larger
// stores take minutes.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Contestant } from './harness/contestant.mjs'
import { summary } from './harness/statistics.mjs'

const rounds = 5

async function agent(engine, folder, workload, params, part = 0, parts = 1) {
  const made = new Contestant(engine, folder)
  await made.call('open', { engine, folder, workload, params })
  if (part === 0) await made.call('fill', { params })
  await made.call('prepare', { params, part, parts })
  return made
}

// The median of ns per operation of each engine, in turn.
async function points(folder, engines, workload, params, { processes = 1, milliseconds = 300 } = {}) {
  const place = mkdtempSync(join(folder, 'scaling-'))
  const groups = new Map()
  for (const engine of engines) {
    const own = join(place, engine)
    mkdirSync(own)
    const group = []
    for (let part = 0; part < processes; part++) group.push(await agent(engine, own, workload, params, part, processes))
    groups.set(engine, group)
  }
  const samples = Object.fromEntries(engines.map((engine) => [engine, []]))
  for (let round = -1; round < rounds; round++) {
    for (const [engine, group] of groups) {
      const parts = await Promise.all(group.map((one) => one.call('timed', { milliseconds })))
      if (round >= 0) samples[engine].push(1 / parts.reduce((sum, { count, ns }) => sum + count / ns, 0))
    }
  }
  for (const group of groups.values()) for (const one of group) await one.end()
  rmSync(place, { recursive: true, force: true })
  return Object.entries(samples).map(([engine, values]) => ({ engine, ns: summary(values).median }))
}

/** All series: { keys, size, processes }, each a list of { x, engine, operation, ns }. */
export async function scaling({ folder }) {
  const series = { keys: [], size: [], processes: [] }
  for (const keys of [1e3, 1e4, 1e5, 1e6, 1e7]) {
    for (const operation of ['get', 'set']) {
      const engines = operation === 'get' && keys < 1e7 ? ['pongodb', 'lmdb', 'map'] : ['pongodb', 'lmdb']
      for (const point of await points(folder, engines, operation, { keys, size: 40 }))
        series.keys.push({ x: keys, operation, ...point })
    }
    process.stderr.write(`bench: scaling, ${keys} keys\n`)
  }
  for (const size of [8, 40, 200, 1000, 5000, 20_000]) {
    for (const operation of ['get', 'set'])
      for (const point of await points(folder, ['pongodb', 'lmdb'], operation, { keys: 10_000, size }))
        series.size.push({ x: size, operation, ...point })
    process.stderr.write(`bench: scaling, values of ${size} bytes\n`)
  }
  for (const processes of [1, 2, 3, 4]) {
    for (const operation of ['get', 'set'])
      for (const point of await points(folder, ['pongodb', 'lmdb'], operation, { keys: 100_000, size: 40 }, { processes }))
        series.processes.push({ x: processes, operation, ...point })
    process.stderr.write(`bench: scaling, ${processes} processes\n`)
  }
  return series
}
