// A storm of kills: Node and Python processes work on one file, each killed at a random moment and replaced at once. Each says
// what it has done on a pipe. When one is dead, what it said is compared with what is there: all of it, and at most the one
// operation more that it was killed in. PONGODB_SEED repeats the choices, not the timing.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Database } from 'pongodb'
import { expect, test } from 'vitest'
import { freshPath, openAt } from '../support/database'
import { python } from '../support/python'
import { Random } from '../support/random'
import { amount, limit } from '../support/scale'

const members = 6
const killsOfARound = 50
const accounts = 100
const program = (name: string): string => fileURLToPath(new URL(`./programs/${name}`, import.meta.url))

interface Acknowledged {
  kind: string
  n: number
  value: number | undefined
}

type Transfer = [life: number, n: number, from: number, to: number, sum: number]

type Start = (path: string, life: number, seed: number) => ChildProcess

/** One process, from its start to its death. */
class Life {
  readonly acknowledged: Acknowledged[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown[]>
  #rest = ''
  #errors = ''
  #wanted = 0
  #enough: () => void = () => undefined

  constructor(
    readonly number: number,
    child: ChildProcess,
  ) {
    this.#child = child
    // 'close': when it is dead and all that it wrote has been read.
    this.#ended = once(child, 'close')
    child.stdout!.on('data', (data: Buffer) => this.#read(String(data)))
    child.stderr!.on('data', (data: Buffer) => (this.#errors += String(data)))
  }

  // A line without its end was not told: its writer died in the middle.
  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) {
      const [kind, n, value] = line.split(' ') as [string, string, string?]
      this.acknowledged.push({ kind, n: Number(n), value: value === undefined ? undefined : Number(value) })
    }
    if (this.acknowledged.length >= this.#wanted) this.#enough()
  }

  /** Until it has acknowledged so many operations, or is dead. */
  async works(operations: number): Promise<void> {
    this.#wanted = operations
    await Promise.race([new Promise<void>((resolve) => (this.#enough = resolve)), this.#ended])
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    const [code, signal] = await this.#ended
    expect([code, signal], this.#errors).toEqual([null, 'SIGKILL'])
    expect(this.acknowledged.map(({ n }) => n)).toEqual(this.acknowledged.map((_, i) => i))
  }

  /** The numbers of the operations of one kind. */
  numbers(kind: string): number[] {
    return this.acknowledged.filter((one) => one.kind === kind).map(({ n }) => n)
  }
}

/** What the dead have said, and what there was of it. */
class Account {
  lives = 0
  operations = 0
  readonly #counts = new Set<number>()
  readonly #locked = new Set<number>()
  readonly #taken = new Set<number>()
  #fed = 0
  #moves = 0
  readonly #balances = new Array<number>(accounts).fill(1000)
  readonly #pushed = new Map<number, number[]>()
  readonly #moved = new Map<number, number[]>()

  static prepare(db: Database<any>): void {
    const { root } = db
    for (const name of ['own', 'seen', 'accounts', 'expiring']) root[name] = db.collection()
    for (const name of ['ledger', 'pushes', 'jobs']) root[name] = []
    for (let i = 0; i < accounts; i++) root.accounts.set(i, 1000)
    Object.assign(root, { count: 0, locked: 0, moves: 0 })
  }

  /** Gives work to those who take jobs. */
  feed(db: Database<any>): void {
    if (db.root.jobs.length > 1000) return
    db.root.jobs.extend(Array.from({ length: 2000 }, (_, i) => this.#fed + i))
    this.#fed += 2000
  }

  /** Takes what all lives have pushed since the last time, in order. */
  #drain(db: Database<any>): void {
    const { root } = db
    const { pushes, ledger } = db.transaction(() => {
      const taken = { pushes: root.pushes.native() as number[], ledger: root.ledger.native() as Transfer[] }
      root.pushes.length = root.ledger.length = 0
      return taken
    })
    const of = (map: Map<number, number[]>, life: number) => map.get(life) ?? map.set(life, []).get(life)!
    for (const push of pushes) of(this.#pushed, Math.floor(push / 2 ** 20)).push(push % 2 ** 20)
    for (const [life, n, from, to, sum] of ledger) {
      of(this.#moved, life).push(n)
      this.#balances[from]! -= sum
      this.#balances[to]! += sum
      this.#moves++
    }
  }

  /** Compares what a dead life has acknowledged with what is there, and takes it away. */
  settle(db: Database<any>, life: Life): void {
    const { root } = db
    const { number } = life
    this.lives++
    this.operations += life.acknowledged.length
    this.#drain(db)
    // The operation that it was killed in may have been done: in one of its kinds, once.
    const last = life.acknowledged.length
    let more = 0
    const settles = (what: string, found: unknown, acknowledged: unknown, withOneMore: unknown) => {
      try {
        expect(found).toEqual(acknowledged)
      } catch {
        more++
        expect(found, `${what} of life ${number}, which acknowledged ${last} operations`).toEqual(withOneMore)
      }
    }
    const list = (what: string, kind: string, found: number[]) => {
      const numbers = life.numbers(kind)
      settles(what, found, numbers, [...numbers, last])
    }
    list('pushes', 'push', this.#pushed.get(number) ?? [])
    list('transfers', 'transfer', this.#moved.get(number) ?? [])
    const increments = life.numbers('own').length
    settles('increments', root.own.get(number, 0), increments, increments + 1)
    const seen = root.seen.get(number)?.$native()
    const record = (n: number) => ({ n, text: 'x'.repeat((n * 7919) % 20_000) })
    settles('what was set', seen, life.numbers('set').map(record).at(-1), record(last))
    const entries = [...root.expiring.range({ prefix: [number] })] as [[number, number], number][]
    const even = (n: number) => n % 2 === 0
    const lasting = entries.map(([, n]) => n).filter(even)
    const expected = life.numbers('expire').filter(even)
    settles('entries that expire', lasting, expected, [...expected, last])
    expect(more, `operations of life ${number} without an acknowledgement`).toBeLessThanOrEqual(1)

    this.#distinct(life, 'increment', this.#counts)
    this.#distinct(life, 'lock', this.#locked)
    this.#distinct(life, 'take', this.#taken)
    this.#pushed.delete(number)
    this.#moved.delete(number)
    root.own.delete(number)
    root.seen.delete(number)
    for (const [key] of entries) root.expiring.expire(key, 1)
    this.feed(db)
  }

  #distinct(life: Life, kind: string, values: Set<number>): void {
    for (const one of life.acknowledged) {
      if (one.kind !== kind || one.value === undefined) continue
      expect(values.has(one.value), `${kind} ${one.value} was answered twice`).toBe(false)
      values.add(one.value)
    }
  }

  /** When all lives are over. */
  close(db: Database<any>): void {
    const { root } = db
    this.#drain(db)
    expect([...this.#pushed, ...this.#moved]).toEqual([])
    expect([...root.own, ...root.seen]).toEqual([])
    expect([...root.accounts.values()]).toEqual(this.#balances)
    expect(root.moves).toBe(this.#moves)
    const jobs = root.jobs.native() as number[]
    for (const job of jobs) expect(this.#taken.has(job)).toBe(false)
    for (const [done, told] of [
      [root.count, this.#counts.size],
      [root.locked, this.#locked.size],
      [this.#fed - jobs.length, this.#taken.size],
    ]) {
      expect(done).toBeGreaterThanOrEqual(told)
      expect(done).toBeLessThanOrEqual(told + this.lives)
    }
  }
}

async function starters(): Promise<Start[]> {
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
  const node: Start = (...args) => spawn(process.execPath, [program('storm.mjs'), ...args.map(String)], { stdio })
  const how = await python()
  if ('skipped' in how) {
    console.log(`kill storm: no Python processes: ${how.skipped}`)
    return [node]
  }
  return [node, (...args) => spawn(how.command, [program('storm.py'), ...args.map(String)], { stdio, env: how.env })]
}

test(
  'a storm of kills: all that was acknowledged is there, and nothing else',
  async () => {
    const random = new Random()
    const starts = await starters()
    const path = freshPath()
    const kills = amount(200, 10_000)
    const account = new Account()
    let db = openAt(path, { chunksize: 2 ** 18, checkpointInterval: 20 })
    Account.prepare(db)
    account.feed(db)
    let lives = 0
    const begin = (i: number) => new Life(++lives, starts[i % starts.length]!(path, lives, random.below(2 ** 31)))

    while (lives < kills) {
      const end = Math.min(lives + killsOfARound, kills)
      // The last life of each goes on to the end of the round.
      const running = await Promise.all(
        Array.from({ length: members }, async (_, i) => {
          for (;;) {
            const life = begin(i)
            // Some die while they open the file, most in the middle of their work.
            const operations = random.below(400)
            if (operations < 40) await pause(operations * 3)
            else await life.works(operations)
            if (lives >= end) return life
            await life.kill()
            account.settle(db, life)
          }
        }),
      )
      // All at once, and nobody else has the file open: the next one finds what only the dead have left.
      db.close()
      await Promise.all(running.map((life) => life.kill()))
      db = openAt(path)
      for (const life of running) account.settle(db, life)
      await db.verify()
    }

    while (db.root.expiring.size !== 0) await pause(5)
    account.close(db)
    await db.gc({ complete: true })
    expect(await db.verify()).toMatchObject({ orphans: 0 })
    db.close()
    db = openAt(path)
    account.close(db)
    await db.verify()
    console.log(`kill storm: ${lives} kills, ${account.operations} operations acknowledged, seed ${random.seed}`)
    expect(account.operations).toBeGreaterThan(kills)
  },
  limit(200, 10_000),
)
