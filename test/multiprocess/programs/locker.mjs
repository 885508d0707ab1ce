// A process or worker that takes locks on command: { job, ...arguments } -> { result } or { error }. Holds have numbers.

import { parentPort, workerData, isMainThread } from 'node:worker_threads'
import { open } from 'pongodb'

const send = isMainThread ? (message) => process.send(message) : (message) => parentPort.postMessage(message)
const port = isMainThread ? process : parentPort
let db = open(isMainThread ? process.argv[2] : workerData)
const holds = []

const lockOf = ({ kind = 'lock', name, n }) =>
  kind === 'read' || kind === 'write'
    ? db.rwlock(name)[kind]
    : kind === 'semaphore'
      ? db.semaphore(name, n)
      : db.lock(name)
const keep = (hold) => holds.push(hold) - 1

const jobs = {
  acquire: async (what) => keep(await lockOf(what).acquire(what.options)),
  acquireSync: (what) => keep(lockOf(what).acquireSync(what.options)),
  tryAcquire: (what) => lockOf(what).tryAcquire() !== undefined,
  release: ({ hold }) => holds[hold].release(),
  wait: async ({ name }) => await db.event(name).wait(),
  set: ({ name }) => db.event(name).set(),
  isSet: ({ name }) => db.event(name).isSet,

  // Holds a named lock until it is stolen or released.
  async request({ name, options = {} }) {
    const held = Promise.withResolvers?.() ?? withResolvers()
    const request = db.locks.request(name, options, () => {
      held.resolve('held')
      return new Promise(() => {})
    })
    request.catch((error) => send({ result: error.name }))
    return await held.promise
  },

  // Reads, then writes, with a turn of the event loop in between: only a lock makes it right.
  async count({ times, sync }) {
    const { root } = db
    for (let i = 0; i < times; i++) {
      const hold = sync ? db.lock('count').acquireSync() : await db.lock('count').acquire()
      const n = root.n ?? 0
      if (!sync) await new Promise(setImmediate)
      root.n = n + 1
      hold.release()
    }
  },

  cpu: () => process.cpuUsage(),
  reopen() {
    db.close()
    db = open(process.argv[2])
  },
  exit() {
    process.exit(0)
  },
  end() {
    db.close()
    if (isMainThread) process.disconnect()
    else parentPort.close()
  },
}

function withResolvers() {
  let resolve
  const promise = new Promise((r) => (resolve = r))
  return { promise, resolve }
}

port.on('message', async ({ job, ...rest }) => {
  try {
    const result = await jobs[job](rest)
    if (job !== 'end') send({ result })
  } catch (error) {
    send({ error: `${error.code ?? error.name} ${error.message}` })
  }
})
send({ result: 'ready' })
