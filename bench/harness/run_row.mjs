// Runs one row: how each kind of question is measured. All return { id, title, unit, engines: { name: summary }, ratios: { versus: summary } };
// rows of several processes also `transfers`, the nanoseconds in which a cache line got from core to core before and after.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Contestant } from './contestant.mjs'
import { lineTransfer } from './line_transfer.mjs'
import { percentile, summary } from './statistics.mjs'

/** The pace of a run. Times are those of one measurement, in seconds. */
export const paces = {
  quick: { rounds: 5, micro: 0.12, timed: 0.35 },
  full: { rounds: 15, micro: 0.25, timed: 1 },
}

async function openAgents(row, folder, count = 1) {
  const agents = new Map()
  const versions = {}
  for (const engine of row.engines) {
    const place = join(folder, engine)
    mkdirSync(place, { recursive: true })
    const group = []
    agents.set(engine, group)
    for (let part = 0; part < count; part++) {
      const agent = new Contestant(engine, place)
      group.push(agent)
      const { version } = await agent.call('open', { engine, folder: place, workload: row.workload, params: row.params })
      versions[engine] = version
      if (part === 0) await agent.call('fill', { params: row.params })
    }
    for (const [part, agent] of group.entries()) {
      await agent.call('prepare', { params: row.params, part, parts: count })
    }
  }
  return { agents, versions }
}

async function endAgents(agents) {
  for (const group of agents.values()) for (const agent of group) await agent.end()
}

// Engines in turn, each round beginning with another one; two rounds more than are counted.
async function inTurn(names, rounds, measure) {
  const samples = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round + names.length) % names.length]
      const sample = await measure(name)
      if (round >= 0) samples[name].push(sample)
    }
  }
  return samples
}

const ratiosOf = (samples, versus, ours = 'pongodb') =>
  summary(samples[ours].map((value, i) => samples[versus][i] / value))

function result(row, unit, samples, versions, ratios, more = {}) {
  const engines = Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, summary(values)]))
  return { id: row.id, title: row.title, unit, engines, versions, ratios, bars: row.bars, ...more }
}

const kinds = {
  async micro(row, folder, pace) {
    const { agents, versions } = await openAgents(row, folder)
    const samples = await inTurn(row.engines, pace.rounds, async (name) => {
      const { ns } = await agents.get(name)[0].call('micro', { seconds: pace.micro })
      return ns
    })
    await check(agents)
    await endAgents(agents)
    return result(row, 'ns', samples, versions, Object.fromEntries(row.bars.map(({ versus }) => [versus, ratiosOf(samples, versus)])))
  },

  async batch(row, folder, pace) {
    const { agents, versions } = await openAgents(row, folder)
    const samples = await inTurn(row.engines, pace.rounds, async (name) => (await agents.get(name)[0].call('batch')).ns)
    await check(agents)
    await endAgents(agents)
    return result(row, 'ns', samples, versions, Object.fromEntries(row.bars.map(({ versus }) => [versus, ratiosOf(samples, versus)])))
  },

  async processes(row, folder, pace) {
    const { agents, versions } = await openAgents(row, folder, row.processes)
    const samples = await inTurn(row.engines, pace.rounds, (name) => timed(agents.get(name), pace))
    const latency = {}
    for (const [name, group] of agents) {
      latency[name] = await latencyOf(group, pace)
      if (row.verify) await verifyDone(name, group, row.verify)
    }
    await check(agents)
    await endAgents(agents)
    const ratios = {}
    for (const { versus } of row.bars) {
      if (versus === 'million per second') ratios[versus] = summary(samples.pongodb.map((ns) => 1000 / ns))
      else ratios[versus] = ratiosOf(samples, versus)
    }
    return result(row, 'ns', samples, versions, ratios, { latency })
  },

  // One process, then all of them, in each round: what they do together against what one does alone.
  async together(row, folder, pace) {
    const { agents, versions } = await openAgents(row, folder, row.processes)
    const group = agents.get('pongodb')
    const one = 'pongodb ×1'
    const all = `pongodb ×${row.processes}`
    const members = { [one]: group.slice(0, 1), [all]: group }
    const samples = await inTurn([one, all], pace.rounds, (name) => timed(members[name], pace))
    const latency = { [one]: await latencyOf(members[one], pace), [all]: await latencyOf(group, pace) }
    await check(agents)
    await endAgents(agents)
    return result(row, 'ns', samples, versions, { 'one process': ratiosOf(samples, one, all) }, { latency })
  },

  async beside(row, folder, pace) {
    const { agents, versions } = await openAgents(row, folder, 1)
    const [reader] = agents.get('pongodb')
    const writer = new Contestant('pongodb', join(folder, 'pongodb'))
    await writer.call('open', { engine: 'pongodb', folder: writer.folder, workload: row.beside, params: row.params })
    await writer.call('prepare', { params: row.params, part: 0, parts: 1 })
    const samples = { alone: [], beside: [] }
    for (let round = -1; round < pace.rounds; round++) {
      const alone = await reader.call('timed', { milliseconds: 1000 * pace.timed })
      // The writer begins before the reader and ends after it.
      const writing = writer.call('timed', { milliseconds: 1500 * pace.timed })
      const beside = await reader.call('timed', { milliseconds: 1000 * pace.timed })
      await writing
      if (round < 0) continue
      samples.alone.push(alone.ns / alone.count)
      samples.beside.push(beside.ns / beside.count)
    }
    await check(agents)
    await writer.end()
    await endAgents(agents)
    return result(row, 'ns', samples, versions, { alone: ratiosOf(samples, 'alone', 'beside') })
  },

  async file(row, folder) {
    const samples = {}
    const versions = {}
    for (const engine of row.engines) {
      const place = join(folder, engine)
      mkdirSync(place, { recursive: true })
      const agent = new Contestant(engine, place)
      const { version, path } = await agent.call('open', { engine, folder: place, workload: 'file_bytes', params: row.params })
      versions[engine] = version
      await agent.call('fill', { params: row.params })
      await agent.end()
      samples[engine] = [statSync(path).size / row.params.keys]
    }
    return result(row, 'bytes', samples, versions, { lmdb: ratiosOf(samples, 'lmdb') })
  },

  async memory(row, folder) {
    const { agents, versions } = await openAgents(row, folder)
    const bare = Number(node(['bare.mjs', String(row.params.keys)]))
    const samples = {}
    for (const [engine, [first]] of agents) {
      const further = new Contestant(engine, first.folder)
      await further.call('open', { engine, folder: first.folder, workload: row.workload, params: row.params })
      await further.call('prepare', { params: row.params, part: 0, parts: 1 })
      samples[engine] = [((await further.call('ask', { question: 'memory', params: row.params })) - bare) / 1e6]
      await further.end()
    }
    await endAgents(agents)
    return result(row, 'MB', samples, versions, { '15 MB': summary([15 / samples.pongodb[0]]) })
  },

  async startup(row, folder, pace) {
    const place = join(folder, 'pongodb')
    mkdirSync(place, { recursive: true })
    const maker = new Contestant('pongodb', place)
    const { version, path } = await maker.call('open', { engine: 'pongodb', folder: place, workload: 'file_bytes', params: row.params })
    await maker.call('fill', { params: { keys: 1_000_000, value: Math.ceil(row.params.bytes / 1_000_000) } })
    await maker.end()
    const times = []
    for (let i = 0; i < pace.rounds; i++) times.push(Number(node(['startup.mjs', path])))
    const samples = { pongodb: times }
    return result(row, 'ms', samples, { pongodb: version }, { '30 ms': summary(times.map((ms) => 30 / ms)) }, { bytes: statSync(path).size })
  },
}

// Nanoseconds of the machine for each operation of the group, all of which work at the same time.
async function timed(group, pace) {
  const parts = await Promise.all(group.map((agent) => agent.call('timed', { milliseconds: 1000 * pace.timed })))
  return 1 / parts.reduce((sum, { count, ns }) => sum + count / ns, 0)
}

async function latencyOf(group, pace) {
  const parts = await Promise.all(
    group.map((agent) => agent.call('timed', { milliseconds: 1000 * pace.timed, histogram: true })),
  )
  const buckets = parts[0].buckets.map((_, i) => parts.reduce((sum, part) => sum + part.buckets[i], 0))
  return { p50: percentile(buckets, 0.5), p99: percentile(buckets, 0.99), p999: percentile(buckets, 0.999), buckets }
}

function node([file, ...args]) {
  const { stdout, status, stderr } = spawnSync(process.execPath, ['--expose-gc', fileURLToPath(new URL(file, import.meta.url)), ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

// No row is met by giving up what is promised: the file must be whole after each workload.
async function check(agents) {
  for (const group of agents.values()) await group[0].call('check')
}

async function verifyDone(engine, group, question) {
  const answers = []
  for (const agent of group) answers.push(await agent.call('ask', { question }))
  const done = answers.reduce((sum, answer) => sum + answer.done, 0)
  if (answers[0].value !== done) throw new Error(`${engine}: ${done} increments were made, and the counter is ${answers[0].value}`)
}

export async function runRow(row, { folder, pace }) {
  const place = mkdtempSync(join(folder, `${row.id}-`))
  try {
    const before = row.processes > 1 ? await lineTransfer() : undefined
    const measured = await kinds[row.kind](row, place, paces[pace])
    return before === undefined ? measured : { ...measured, transfers: [before, await lineTransfer()] }
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}
