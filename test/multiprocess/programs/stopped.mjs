// A process that reads and writes on command, as member.mjs: { job, ...arguments } -> { result } or { error: code }.

import { createHash } from 'node:crypto'
import { open } from 'pongodb'
import { generator } from './random_changes.mjs'

// Without checkpoints in the background: whoever is stopped in the middle of one holds up those of all.
const db = open(process.argv[2], { durability: 'none' })
const { items } = db.root
const snapshots = []
let iterator
let hash

function add(into, [key, item]) {
  into.update(JSON.stringify([key, item]))
}

function hashOf(view) {
  const whole = createHash('sha256')
  for (const entry of view.root.items.range({ native: true })) add(whole, entry)
  return whole.digest('hex')
}

const jobs = {
  // A snapshot, and the hash of what it shows; then and later.
  hold() {
    snapshots.push(db.snapshot())
    return hashOf(snapshots.at(-1))
  },
  hash: ({ number }) => hashOf(snapshots[number]),

  // The middle of an iteration, and its rest.
  begin() {
    hash = createHash('sha256')
    iterator = items.range({ native: true })[Symbol.iterator]()
    for (let i = 0; i < 1000; i++) add(hash, iterator.next().value)
  },
  finish() {
    for (const entry of iterator) add(hash, entry)
    return hash.digest('hex')
  },

  // Reads its snapshot again and again, so that a signal finds it in the middle of an operation. Ends when it is told to.
  read() {
    const [snapshot] = snapshots
    const first = hashOf(snapshot)
    process.send({ result: 'reading' })
    let times = 0
    while (!db.event('enough').isSet) {
      times++
      if (hashOf(snapshot) !== first) throw new Error('the snapshot has changed')
    }
    return times
  },

  // Replaces values, each in a commit of its own; returns how many.
  update({ seed, times }) {
    const below = generator(seed)
    const size = items.size
    let done = 0
    for (; done < times; done++) items.set(below(size), `${seed} ${done} ${'y'.repeat(below(60))}`)
    return done
  },

  end() {
    db.close()
    process.disconnect()
  },
}

process.on('message', ({ job, ...rest }) => {
  try {
    const result = jobs[job](rest)
    if (job !== 'end') process.send({ result })
  } catch (error) {
    process.send({ error: `${error.code ?? ''} ${error.stack}` })
  }
})
process.send({ result: 'ready' })
