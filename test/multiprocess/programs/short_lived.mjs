// A thread or process that opens the database, says 'busy' in the middle of work of one kind, and goes on until it is ended:
//   inside      in the function of a transaction
//   committing  between any two steps of many transactions
//   pending     with promises under way, locks held and waited for, watchers, snapshots, iterators, live objects
// As a process (node short_lived.mjs <path> <kind> <folder>) it ends itself there, by process.exit(); kinds of its own:
//   threads     while worker threads do each of the above

import { join } from 'node:path'
import { parentPort, Worker, workerData, isMainThread } from 'node:worker_threads'
import { open } from 'pongodb'

const { path, kind, folder } = isMainThread
  ? { path: process.argv[2], kind: process.argv[3], folder: process.argv[4] }
  : workerData
const db = open(path, { checkpointInterval: 20 })
const { root } = db

function busy() {
  if (isMainThread) process.exit(0)
  parentPort.postMessage('busy')
}

function writePair(i) {
  root.pair.a = i
  root.pair.list.push(i)
  root.pair.b = i
}

const kinds = {
  inside() {
    db.transaction(() => {
      writePair(-1)
      root.half = true
      busy()
      for (;;);
    })
  },

  committing() {
    for (let i = 1; ; i++) {
      db.transaction(() => {
        writePair(i)
        if (root.pair.list.length > 100) root.pair.list = []
      })
      if (i === 20) busy()
    }
  },

  async pending() {
    const ignore = () => undefined
    const hold = await db.lock('one').acquire()
    root.waiting = hold !== undefined
    const under = [
      db.lock('one').acquire(),
      db.rwlock('two').read.acquire(),
      db.semaphore('three', 2).acquire(),
      db.locks.request('four', () => new Promise(ignore)),
      db.event('never').wait(),
      db.sync(),
      db.gc({ complete: true }),
      db.verify(),
      db.backup(join(folder, `${process.pid}-${Math.random()}.pongo`)),
      db.changes('items').next(),
    ]
    for (const promise of under) promise.catch(ignore)
    db.watch('items', ignore)
    const snapshot = db.snapshot()
    const iterator = root.items.entries()
    iterator.next()
    const live = [...root.items.values()]
    for (let i = 0; ; i++) {
      live[i % live.length].n = i
      root.items.set(i % 300, { n: i })
      if (i === 5) busy()
      if (i % 16 === 0) await new Promise(setImmediate)
      if (snapshot.root.items.size === 0 || iterator.next().done) break
    }
    setInterval(ignore, 1000)
  },

  async threads() {
    const workers = ['inside', 'committing', 'pending'].map(
      (other) => new Worker(new URL(import.meta.url), { workerData: { path, kind: other, folder } }),
    )
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
    busy()
  },
}

await kinds[kind]()
