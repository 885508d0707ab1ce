// One life in a storm of kills: random work of all kinds, without end. Each operation that has returned is acknowledged on the
// standard output by a line `<kind> <number> [value]`; what kill_storm.test.ts makes of it is said there. storm.py does the same.
//   node storm.mjs <path> <life> <seed>

import { writeSync } from 'node:fs'
import { open } from 'pongodb'
import { generator } from './random_changes.mjs'

const [path, life, seed] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])]
const below = generator(seed)
const hour = 3_600_000
const db = open(path, { checkpointInterval: 20 })
const { root } = db
const { own, seen, accounts, ledger, pushes, jobs, expiring } = root

function sumIn(view) {
  let sum = 0
  for (const balance of view.root.accounts.values()) sum += balance
  return sum
}

function checkSum(snapshot) {
  const sum = sumIn(snapshot)
  if (sum !== 100_000) throw new Error(`the accounts of one version sum up to ${sum}`)
}

let held = db.snapshot()

const kinds = {
  increment: () => root.$incr('count'),
  own: () => void own.incr(life),
  set: (n) => void seen.set(life, { n, text: 'x'.repeat((n * 7919) % 20_000) }),
  push: (n) => void pushes.push(life * 2 ** 20 + n),
  take: () => jobs.shift(),
  transfer(n) {
    const from = below(100)
    const to = below(100)
    const amount = 1 + below(9)
    db.transaction(() => {
      accounts.incr(from, -amount)
      accounts.set(to, accounts.get(to) + amount)
      ledger.push([life, n, from, to, amount])
      root.moves += 1
    })
  },
  // Entries of odd numbers are gone before anybody looks.
  expire: (n) => void expiring.set([life, n], n, { ttl: n % 2 === 0 ? hour : 1 }),
  // A read and a write apart: only the lock makes it one step.
  lock() {
    const hold = db.lock('storm').acquireSync()
    const value = (root.locked = root.locked + 1)
    hold.release()
    return value
  },
  view() {
    checkSum(held)
    held.release()
    held = db.snapshot()
    checkSum(held)
  },
  sync: () => db.syncNow(),
  quick: async () => void (await db.gc()),
  complete: async () => void (await db.gc({ complete: true })),
}

const often = ['increment', 'own', 'set', 'push', 'take', 'transfer', 'transfer', 'expire', 'lock', 'view']
const seldom = ['sync', 'quick', 'complete']

for (let n = 0; ; n++) {
  const kind = below(100) === 0 ? seldom[below(seldom.length)] : often[below(often.length)]
  const value = await kinds[kind](n)
  writeSync(1, value === undefined ? `${kind} ${n}\n` : `${kind} ${n} ${value}\n`)
  // Finalizers run between turns of the event loop.
  if (n % 64 === 63) await new Promise(setImmediate)
}
