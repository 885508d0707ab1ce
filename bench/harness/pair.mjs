// Two processes that do a piece of work at the same time. Each runs `program` with arguments; it says 'ready', starts at 'go',
// and answers with what it measured.

import { fork } from 'node:child_process'
import { once } from 'node:events'

/** In a member: announces itself, and does `work` when told; what that returns goes to the parent. Ends with its parent. */
export function member(work) {
  process.on('message', async (job) => {
    try {
      process.send({ result: await work(job) })
    } catch (error) {
      process.send({ error: error.stack })
    }
  })
  process.on('disconnect', () => process.exit(0))
  process.send({ result: 'ready' })
}

/** Starts the members: an array of argument lists. `run(job)` sends each the job at once and resolves with all results. */
export async function members(program, lists) {
  const children = lists.map((list) => fork(program, list, { execArgv: [] }))
  const waiting = new Map()
  for (const child of children) {
    child.on('message', (message) => waiting.get(child)?.(message))
    child.on('exit', () => waiting.get(child)?.({ error: 'a member has ended early' }))
  }
  const answer = async (child) => {
    const message = await new Promise((resolve) => waiting.set(child, resolve))
    waiting.delete(child)
    if (message.error !== undefined) throw new Error(message.error)
    return message.result
  }
  await Promise.all(children.map(answer))
  return {
    async run(job) {
      const answers = children.map(answer)
      children.forEach((child, i) => child.send({ ...job, member: i }))
      return await Promise.all(answers)
    },
    async end() {
      for (const child of children) {
        const exited = once(child, 'exit')
        child.disconnect()
        await exited
      }
    },
  }
}
