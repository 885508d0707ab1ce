import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { freshDatabase } from '../support/database'
import { startProcess, type Member } from '../support/group'

const program = (name: string): string => fileURLToPath(new URL(`./programs/${name}.mjs`, import.meta.url))
const start = (path: string): Promise<Member> => startProcess(path, program('transactions'))
// A release runs more: PONGODB_TRANSFERS=100000.
const transfers = Number(process.env['PONGODB_TRANSFERS'] ?? 3000)

test('transfers between 1,000 accounts from 4 processes: every snapshot has the exact sum', async () => {
  const db = freshDatabase()
  db.root.accounts = db.collection()
  db.root.accounts.update(Array.from({ length: 1000 }, (_, i) => [i, { balance: 1000 }] as const))
  db.root.busy = true
  const sum = 1_000_000
  const banks = await Promise.all([0, 1, 2, 3].map(() => start(db.path)))
  const auditors = await Promise.all([0, 1].map(() => start(db.path)))
  const audits = Promise.all(auditors.map((auditor) => auditor.run('audit', { sum })))
  const runs = (await Promise.all(
    banks.map((bank, i) => bank.run('transfer', { seed: i + 1, times: transfers })),
  )) as number[]
  db.root.busy = false
  for (const { taken, wrong } of await audits) {
    expect(wrong).toStrictEqual([])
    expect(taken).toBeGreaterThan(0)
  }
  for (const times of runs) expect(times).toBeGreaterThanOrEqual(transfers)
  let total = 0
  for (const account of db.root.accounts.values()) total += (account as { balance: number }).balance
  expect(total).toBe(sum)
  await Promise.all([...banks, ...auditors].map((member) => member.end()))
  await db.verify()
})

test('write skew: two that each look at the other before they go are never both gone', async () => {
  const db = freshDatabase()
  db.root.duty = { a: { on: true }, b: { on: true } }
  const members = await Promise.all([start(db.path), start(db.path)])
  const offs = (await Promise.all(
    members.map((member, i) => member.run('duty', { member: i, times: transfers })),
  )) as number[]
  expect(offs[0]! + offs[1]!).toBeGreaterThan(0)
  await Promise.all(members.map((member) => member.end()))
})

// Deterministic: the other thread commits between the read of a transaction and its own commit.
describe('what a transaction has read, absence included, is as it was when it commits', async () => {
  type Case = [name: string, setup: (root: any) => void, read: (root: any) => unknown, write: (root: any) => void]
  const { cases } = (await import('./programs/phantoms.mjs' as string)) as { cases: Case[] }

  test('it runs again whatever it was that it read', async () => {
    const db = freshDatabase()
    const shared = new SharedArrayBuffer(4)
    const turn = new Int32Array(shared)
    const worker = new Worker(program('phantoms'), { workerData: { serve: 'phantoms', path: db.path, shared } })
    const ended = new Promise((resolve, reject) => {
      worker.on('exit', resolve)
      worker.on('error', reject)
    })
    ended.catch(() => undefined)
    for (const [index, [name, setup, read]] of cases.entries()) {
      db.root.empty = db.collection()
      db.root.multi = db.collection({ multi: true })
      setup(db.root)
      const answers: unknown[] = []
      const result = db.transaction(() => {
        const answer = read(db.root)
        answers.push(answer)
        if (answers.length === 1) {
          Atomics.store(turn, 0, index + 1)
          Atomics.notify(turn, 0)
          // The fail-safe is for a worker that has died.
          expect(Atomics.wait(turn, 0, index + 1, 20_000), name).not.toBe('timed-out')
        }
        db.root.result = answer
        return answer
      })
      expect(answers.length, `runs of the transaction that read ${name}`).toBe(2)
      expect(answers[1], name).not.toStrictEqual(answers[0])
      expect(result, name).toStrictEqual(answers[1])
    }
    Atomics.store(turn, 0, -1)
    Atomics.notify(turn, 0)
    await ended
  })
})

test('a transaction of 10,000 writes ends although others hammer the same container', async () => {
  const db = freshDatabase()
  db.root.target = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`k${i}`, 0]))
  db.root.hammering = true
  const hammers = await Promise.all([0, 1, 2].map(() => start(db.path)))
  const commits = Promise.all(hammers.map((hammer) => hammer.run('hammer')))
  const writer = await start(db.path)
  const runs = (await writer.run('long', { writes: 10_000 })) as number
  db.root.hammering = false
  const hits = ((await commits) as number[]).reduce((a, b) => a + b, 0)
  // Nothing of either is lost.
  let total = 0
  for (const value of Object.values<number>(db.root.target)) total += value
  expect(total).toBe(hits + 10_000 * 1000)
  expect(runs).toBeGreaterThan(0)
  await Promise.all([...hammers, writer].map((member) => member.end()))
  await db.verify()
})
