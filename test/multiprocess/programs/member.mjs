// One member of a group that shares a database: a child process or a worker thread, whichever started it.
// It says 'ready', then does what each message asks and answers with the result: { job, ...arguments } -> { result }.

import { parentPort, workerData, isMainThread } from 'node:worker_threads'
import { open } from 'pongodb'

const send = isMainThread ? (message) => process.send(message) : (message) => parentPort.postMessage(message)
const port = isMainThread ? process : parentPort
const db = open(isMainThread ? process.argv[2] : workerData)
const { root } = db

const jobs = {
  increment({ times }) {
    for (let i = 0; i < times; i++) {
      root.$incr('count')
      root.counters.incr('shared', 2)
      root.stats.$incr('deep.n')
    }
  },

  push({ member, times }) {
    for (let i = 0; i < times; i++) root.list.push(member * times + i)
  },

  // Both ends of one list at once.
  work({ times }) {
    const taken = []
    for (let i = 0; i < times; i++) {
      const job = root.queue.shift()
      if (job !== undefined) taken.push(job.n)
      const entry = root.jobs.shift()
      if (entry !== undefined) taken.push(entry[1])
    }
    return taken
  },

  transfer({ member, times }) {
    const size = root.accounts.length
    for (let i = 0; i < times; i++) {
      const from = (i * 7 + member) % size
      const to = (i * 3 + member * 5 + 1) % size
      db.transaction(() => {
        root.accounts[from].balance -= 1
        root.accounts[to].balance += 1
        root.moves += 1
      })
    }
  },

  modify({ times }) {
    for (let i = 0; i < times; i++)
      root.$modify('modified', (old) => [...(old ?? []).slice(-3), (old?.at(-1) ?? 0) + 1])
  },

  lead({ member }) {
    return root.$cas('leader', undefined, member)
  },

  read({ path }) {
    return root.$get(path)?.$native?.() ?? root.$get(path)
  },

  write({ path, value }) {
    root.$set(path, value)
  },

  // Never ends: the parent kills it.
  forever() {
    for (let i = 0; ; i++) {
      root.$incr('endless')
      root.list.push(i)
      db.transaction(() => {
        root.a = { i }
        root.b = { i }
      })
      if (i === 50) send({ result: 'running' })
    }
  },

  end() {
    db.close()
    if (isMainThread) process.disconnect()
    else parentPort.close()
  },
}

port.on('message', ({ job, ...rest }) => {
  try {
    const result = jobs[job](rest)
    if (job !== 'end') send({ result })
  } catch (error) {
    send({ error: `${error.code ?? ''} ${error.stack}` })
  }
})
send({ result: 'ready' })
