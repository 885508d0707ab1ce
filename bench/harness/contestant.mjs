// The driver's side of an agent.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export class Contestant {
  #child
  #pending

  constructor(engine, folder) {
    this.engine = engine
    this.folder = folder
    this.#child = fork(fileURLToPath(new URL('agent.mjs', import.meta.url)), {
      serialization: 'advanced',
      execArgv: ['--expose-gc'],
    })
    this.#child.on('message', ({ result, error }) => {
      const { resolve, reject } = this.#pending
      this.#pending = undefined
      if (error !== undefined) reject(new Error(`${this.engine}: ${error}`))
      else resolve(result)
    })
    this.#child.on('exit', (code, signal) => {
      this.#pending?.reject(new Error(`${this.engine}: the process ended (${signal ?? `exit code ${code}`})`))
    })
  }

  call(name, args = {}) {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#child.send({ call: name, args })
    })
  }

  async end() {
    const ended = once(this.#child, 'exit')
    try {
      await this.call('close')
    } finally {
      this.#child.kill()
      await ended
    }
  }
}
