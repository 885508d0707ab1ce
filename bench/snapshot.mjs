// What a snapshot costs in a database of many keys, and how little it depends on their number.
//
//   node bench/snapshot.mjs [keys]

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'pongodb'

function nanoseconds(times, fn) {
  let best = Infinity
  for (let round = 0; round < 7; round++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < times; i++) fn(i)
    best = Math.min(best, Number(process.hrtime.bigint() - start) / times)
  }
  return best.toFixed(0)
}

const folder = mkdtempSync(join(tmpdir(), 'pongodb-bench-'))
const db = open(join(folder, 'state.pongo'), { durability: 'none' })
const keysMax = Number(process.argv[2] ?? 1_000_000)
db.root.all = db.collection()
const { all } = db.root
let filled = 0
console.log('keys, snapshot() + release(), the same after a commit each, iterator + first entry (ns, best of 7)')
for (const keys of [1000, Math.min(100_000, keysMax), keysMax]) {
  for (; filled < keys; filled += 1000) {
    all.update(Array.from({ length: Math.min(1000, keys - filled) }, (_, i) => [`user:${filled + i}`, filled + i]))
  }
  const same = nanoseconds(20_000, () => db.snapshot().release())
  const commit = nanoseconds(20_000, (i) => all.set('user:1', i))
  const both = nanoseconds(20_000, (i) => {
    all.set('user:1', i)
    db.snapshot().release()
  })
  const iterator = nanoseconds(20_000, () => {
    const entries = all.entries()[Symbol.iterator]()
    entries.next()
    entries.return()
  })
  console.log(`${String(keys).padStart(8)}  ${same.padStart(6)}  ${String(both - commit).padStart(6)}  ${iterator.padStart(6)}`)
}
db.close()
rmSync(folder, { recursive: true })
