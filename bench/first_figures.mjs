// How fast is the simplest read and the simplest write, against lmdb-js in the same run?
//
//   get   a 40-byte string by key, among 100,000 keys `user:N`, in random order; lmdb with its default environment
//   set   a 40-byte string under an existing key, each with its own commit that other processes see; lmdb with noSync
//         and putSync, the fastest way it has to commit each write by itself
//
// Ours has its default durability (a checkpoint each second); lmdb with noSync never flushes.
//
//   npm run bench:first [-- --keys 100000 --rounds 15 --folder <where the files go>]

import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { open } from 'pongodb'
import { peer } from './compare/peers.mjs'
import { keysOf, valuesOf } from './harness/data.mjs'
import { compare } from './harness/rounds.mjs'

const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '15' },
    folder: { type: 'string', default: tmpdir() },
  },
})
const keyCount = Number(options.keys)
const rounds = Number(options.rounds)
const lmdb = peer('lmdb')

const keys = keysOf(keyCount)
const values = valuesOf(40)

const folder = mkdtempSync(join(options.folder, 'pongodb-bench-'))
try {
  await run()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function run() {
  const db = open(join(folder, 'ours.pongo'))
  const users = (db.root.users = db.collection())
  const theirReads = lmdb.open({ path: join(folder, 'theirs.mdb') })
  const theirWrites = lmdb.open({ path: join(folder, 'theirs-nosync.mdb'), noSync: true })

  users.update(keys.map((key, i) => [key, values[i % values.length]]))
  for (const store of [theirReads, theirWrites]) {
    store.transactionSync(() => keys.forEach((key, i) => store.putSync(key, values[i % values.length])))
  }

  const rows = []
  rows.push([
    'get',
    await compare({ ours: reader(users), theirs: reader(theirReads), count: Math.max(keyCount, 200_000), rounds }),
  ])
  rows.push([
    'set',
    await compare({
      ours: writer((key, value) => users.set(key, value)),
      theirs: writer((key, value) => theirWrites.putSync(key, value)),
      count: Math.min(keyCount, 20_000),
      rounds,
    }),
  ])
  print(rows)
  db.close()
  await theirReads.close()
  await theirWrites.close()
}

function reader(store) {
  return (count) => {
    let length = 0
    for (let i = 0; i < count; i++) length += store.get(keys[i % keyCount]).length
    if (length !== 40 * count) throw new Error('a value is not what was stored')
  }
}

function writer(set) {
  let at = 0
  return (count) => {
    for (let i = 0; i < count; i++, at++) set(keys[at % keyCount], values[(at * 7) % values.length])
  }
}

function print(rows) {
  const nanoseconds = ({ median, p25, p75 }) => `${median.toFixed(0)} (${p25.toFixed(0)}–${p75.toFixed(0)})`
  const times = ({ median, least, most }) => `${median.toFixed(2)}× (${least.toFixed(2)}–${most.toFixed(2)})`
  const table = [
    ['', 'pongodb ns', `lmdb ${lmdb.version} ns`, 'times as fast'],
    ...rows.map(([name, { ours, theirs, ratio }]) => [name, nanoseconds(ours), nanoseconds(theirs), times(ratio)]),
  ]
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  for (const row of table)
    console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(6) : cell.padStart(widths[i] + 2))).join(''))
  console.log(
    `${keyCount.toLocaleString('en')} keys, ${rounds} rounds in turn; medians, with quartiles for times and least–most for ratios`,
  )
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}, Node ${process.version}`,
  )
}
