// A process of the tests of transactions. As member.mjs: it says 'ready', then answers each message.

import { setImmediate as breathe } from 'node:timers/promises'
import { open } from 'pongodb'
import { generator } from './random_changes.mjs'

const db = open(process.argv[2])
const { root } = db

const sumOf = (accounts) => {
  let sum = 0
  for (const account of accounts.values()) sum += account.balance
  return sum
}

const jobs = {
  transfer({ seed, times }) {
    const below = generator(seed)
    const { accounts } = root
    let runs = 0
    for (let i = 0; i < times; i++) {
      const amount = 1 + below(100)
      // Now and then through the same few accounts, so that transactions meet.
      const range = below(4) === 0 ? 5 : 1000
      const from = below(range)
      const to = (from + 1 + below(range - 1)) % range
      db.transaction(() => {
        runs++
        accounts.get(from).balance -= amount
        accounts.get(to).balance += amount
      })
    }
    return runs
  },

  /** Sums of snapshots, until the money is said to be at rest: how many were taken, and what was not the right sum. */
  async audit({ sum }) {
    const wrong = []
    let taken = 0
    while (root.busy === true) {
      const snapshot = db.snapshot()
      const seen = sumOf(snapshot.root.accounts)
      if (seen !== sum) wrong.push(seen)
      // The same through a transaction that only reads, and through an iterator, which is a snapshot too.
      if (taken % 8 === 0) {
        const inside = db.transaction(() => sumOf(root.accounts))
        if (inside !== sum) wrong.push(inside)
      }
      snapshot.release()
      taken++
      await breathe()
    }
    return { taken, wrong }
  },

  /** Goes off duty only if the other one is on: what both being off would say is write skew. */
  async duty({ member, times }) {
    const [mine, other] = member === 0 ? [root.duty.a, root.duty.b] : [root.duty.b, root.duty.a]
    let offs = 0
    for (let i = 0; i < times; i++) {
      const off = db.transaction(() => {
        if (!other.on) return false
        mine.on = false
        return true
      })
      if (off) {
        offs++
        const both = db.transaction(() => !mine.on && !other.on)
        if (both) throw new Error(`both are off duty, after ${i} rounds`)
        mine.on = true
      }
      await breathe()
    }
    return offs
  },

  /** Small commits to the same containers, for as long as `root.hammering` says so. */
  async hammer() {
    let commits = 0
    while (root.hammering === true) {
      for (let i = 0; i < 50; i++) root.target.$incr(`k${i % 10}`)
      commits += 50
      await breathe()
    }
    return commits
  },

  /** One transaction of many writes: how often its function has run. */
  long({ writes }) {
    let runs = 0
    db.transaction(() => {
      runs++
      for (let i = 0; i < writes; i++) root.target[`k${i % 10}`] += 1000
      root.long = writes
    })
    return runs
  },

  async end() {
    db.close()
    process.disconnect()
  },
}

process.on('message', async ({ job, ...more }) => {
  try {
    const result = await jobs[job](more)
    if (job !== 'end') process.send({ result })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
process.send({ result: 'ready' })
