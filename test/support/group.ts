// Groups of processes or worker threads that run a program of test/multiprocess/programs; all waiting is for messages.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const member = fileURLToPath(new URL('../multiprocess/programs/member.mjs', import.meta.url))

type Message = { result?: any; error?: string }

export interface Member {
  /** Runs a job there; resolves with its result. */
  run(job: string, more?: object): Promise<any>
  /** The next result that it sends by itself. */
  next(): Promise<any>
  /** Of a process. */
  readonly pid?: number
  signal(name: NodeJS.Signals): void
  end(): Promise<void>
  kill(): Promise<void>
}

class Mailbox {
  readonly #waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = []
  readonly #arrived: Message[] = []
  #gone: Error | undefined

  take(message: Message): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#arrived.push(message)
    else if (message.error !== undefined) next.reject(new Error(message.error))
    else next.resolve(message.result)
  }

  // A member that dies must fail the test, not let it wait.
  gone(why: string): void {
    this.#gone = new Error(`the member is gone: ${why}`)
    for (const { reject } of this.#waiting.splice(0)) reject(this.#gone)
  }

  next(): Promise<any> {
    const message = this.#arrived.shift()
    if (message !== undefined) {
      return message.error === undefined ? Promise.resolve(message.result) : Promise.reject(new Error(message.error))
    }
    if (this.#gone) return Promise.reject(this.#gone)
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }
}

export async function startProcess(path: string, program = member, ...more: string[]): Promise<Member> {
  const child = fork(program, [path, ...more], { execArgv: [] })
  const mailbox = new Mailbox()
  const exited = once(child, 'exit')
  child.on('message', (message) => mailbox.take(message as Message))
  child.on('exit', (code, signal) => mailbox.gone(`exit code ${code}, signal ${signal}`))
  await mailbox.next()
  return {
    pid: child.pid!,
    run(job, more) {
      child.send({ job, ...more })
      return mailbox.next()
    },
    next: () => mailbox.next(),
    signal: (name) => void child.kill(name),
    async end() {
      child.send({ job: 'end' })
      const [code] = (await exited) as [number]
      if (code !== 0) throw new Error(`the process ended with exit code ${code}`)
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

export async function startWorker(path: string, program = member): Promise<Member> {
  const worker = new Worker(program, { workerData: path })
  const mailbox = new Mailbox()
  const exited = once(worker, 'exit')
  worker.on('message', (message) => mailbox.take(message as Message))
  worker.on('error', (error) => mailbox.gone(String(error)))
  worker.on('exit', (code) => mailbox.gone(`exit code ${code}`))
  await mailbox.next()
  return {
    run(job, more) {
      worker.postMessage({ job, ...more })
      return mailbox.next()
    },
    next: () => mailbox.next(),
    signal: () => {
      throw new Error('a worker thread has no signals of its own')
    },
    async end() {
      worker.postMessage({ job: 'end' })
      await exited
    },
    async kill() {
      await worker.terminate()
    },
  }
}
