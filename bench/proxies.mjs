// What live objects cost.
//
//   reads      the name of a document by its key, among 100,000: users.get(k).name, getPath([k, 'name']), native(k).name;
//              a JS Map of plain objects beside them
//   memory     10,000,000 live objects are made, one after the other, and collected: the resident size must stay flat.
//              Run node with --expose-gc, or the collector runs when it likes.
//
//   npm run bench:proxies [-- --keys 100000 --rounds 9 --proxies 10000000 --folder <where the file goes>]

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { open } from 'pongodb'
import { compare } from './harness/rounds.mjs'

const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '9' },
    proxies: { type: 'string', default: '10000000' },
    folder: { type: 'string', default: tmpdir() },
  },
})

const count = Number(options.keys)
const folder = mkdtempSync(join(options.folder, 'pongodb-bench-'))
try {
  const db = open(join(folder, 'proxies.pongo'))
  const users = (db.root.users = db.collection())
  const make = (i) => ({ name: `user ${i}`, age: i % 90, email: `user${i}@example.org`, tags: ['a', 'b'] })
  users.update(Array.from({ length: count }, (_, i) => [`user:${i}`, make(i)]))
  const map = new Map(Array.from({ length: count }, (_, i) => [`user:${i}`, make(i)]))
  await reads(users, map)
  await memory(users)
  db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function reads(users, map) {
  // In an order that misses the caches, the same for all.
  const keys = Array.from({ length: count }, (_, i) => `user:${(i * 7919) % count}`)
  const each = (read) => (n) => {
    let length = 0
    for (let i = 0; i < n; i++) length += read(keys[i % count]).length
    if (length === 0) throw new Error('nothing was read')
  }
  const plain = each((key) => map.get(key).name)
  console.log(`ns for each read, median of ${options.rounds} rounds; JS Map beside it in the same round`)
  for (const [name, read] of Object.entries({
    'users.get(k).name': (key) => users.get(key).name,
    "users.getPath([k, 'name'])": (key) => users.getPath([key, 'name']),
    'users.native(k).name': (key) => users.native(key).name,
  })) {
    const result = await compare({ ours: each(read), theirs: plain, count, rounds: Number(options.rounds) })
    console.log(`${name.padEnd(28)} ${result.ours.median.toFixed(0).padStart(6)}   Map ${result.theirs.median.toFixed(0).padStart(4)}`)
  }
}

async function memory(users) {
  const total = Number(options.proxies)
  const part = Math.ceil(total / 10)
  console.log(`resident size while ${total} live objects come and go, after each tenth, in MB`)
  const sizes = []
  for (let made = 0; made < total; ) {
    for (const end = Math.min(total, made + part); made < end; made++) {
      if (users.get(`user:${made % count}`).age === undefined) throw new Error('a document has no age')
      // Finalizers run between turns of the event loop.
      if (made % 20_000 === 0) {
        globalThis.gc?.()
        await new Promise(setImmediate)
      }
    }
    sizes.push(Math.round(process.memoryUsage().rss / 2 ** 20))
  }
  console.log(sizes.join('  '))
}
