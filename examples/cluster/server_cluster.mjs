// The workers as a group: starts them, replaces one that dies, stops all.

import cluster from 'node:cluster'
import { EventEmitter, once } from 'node:events'
import { fileURLToPath } from 'node:url'

// The workers accept on one shared socket. The other policy, in which the primary accepts and hands connections on, can
// hand one to a worker that has just been killed, and that connection then hangs.
cluster.schedulingPolicy = cluster.SCHED_NONE

/** Emits 'replaced' when a replacement of a dead worker serves. */
export class ServerCluster extends EventEmitter {
  #state
  #count
  #stopping = false
  #fail
  /** The address of the server, once it has started. */
  url
  /** Rejects when a worker cannot be replaced. */
  failure = new Promise((resolve, reject) => (this.#fail = reject))

  constructor(state, { file, count, port }) {
    super()
    this.failure.catch(() => {}) // whoever waits for it hears of it
    this.#state = state
    this.#count = count
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('worker.mjs', import.meta.url)),
      args: ['--file', file, '--port', String(port)],
    })
    cluster.on('exit', (worker, code, signal) => this.#gone(worker, code, signal))
  }

  async start() {
    const addresses = await Promise.all(Array.from({ length: this.#count }, () => this.#fork()))
    this.url = `http://127.0.0.1:${addresses[0].port}`
  }

  /** How many workers serve. */
  get size() {
    return Object.keys(cluster.workers).length
  }

  /** Kills the busiest worker, without warning; returns { id, pid } of it. */
  kill() {
    const served = (worker) => this.#state.served.get(worker.id, 0)
    const worker = Object.values(cluster.workers).reduce((a, b) => (served(b) > served(a) ? b : a))
    const { pid } = worker.process
    process.kill(pid, 'SIGKILL')
    return { id: worker.id, pid }
  }

  async stop() {
    this.#stopping = true
    const workers = Object.values(cluster.workers)
    const gone = workers.map((worker) => once(worker, 'exit'))
    for (const worker of workers) if (worker.isConnected()) worker.send('stop')
    await Promise.all(gone)
  }

  // Resolves with the address once the worker listens.
  async #fork() {
    const worker = cluster.fork()
    worker.on('error', () => {}) // a message to a worker that is gone: its exit is what counts
    const listening = new Promise((resolve) => worker.once('listening', resolve))
    const exit = once(worker, 'exit').then(([code, signal]) => {
      throw new Error(`worker ${worker.id} ended (${signal ?? `exit code ${code}`}) before it served`)
    })
    return Promise.race([listening, exit])
  }

  async #gone(worker, code, signal) {
    const row = this.#state.workers.get(worker.id)
    if (row) row.state = signal === 'SIGKILL' ? 'killed' : 'ended'
    if (this.#stopping) return
    try {
      await this.#fork()
      this.emit('replaced')
    } catch (error) {
      this.#fail(error)
    }
  }
}
