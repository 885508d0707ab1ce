// Readers that are stopped (SIGSTOP) while they hold a snapshot, in the middle of an iteration and of a read, until others have made
// a million updates. Then each finds what it had, or a typed error; meanwhile the others go on.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Database, OpenOptions } from 'pongodb'
import { afterEach, expect, test } from 'vitest'
import { freshPath, openAt } from '../support/database'
import { startProcess, type Member } from '../support/group'
import { amount, limit } from '../support/scale'

const program = fileURLToPath(new URL('./programs/stopped.mjs', import.meta.url))
const size = 20_000
const updates = 1_000_000

function prepare(options: OpenOptions): Database<any> {
  const db = openAt(freshPath(), { chunksize: 2 ** 18, ...options })
  const items = db.collection()
  items.update(Array.from({ length: size }, (_, i) => [i, `first ${'x'.repeat(i % 60)}`] as const))
  db.root.items = items
  return db
}

function hashOf(db: Database<any>): string {
  const hash = createHash('sha256')
  for (const entry of db.root.items.range({ native: true })) hash.update(JSON.stringify(entry))
  return hash.digest('hex')
}

/** Stops a process; returns when it does not run any more. */
async function stop(member: Member): Promise<void> {
  member.signal('SIGSTOP')
  while (!/\) T /.test(readFileSync(`/proc/${member.pid}/stat`, 'utf8'))) await new Promise(setImmediate)
}

/** The writers make so many updates, and in a release go on for a minute at least. Returns how many. */
async function update(writers: Member[], count: number): Promise<number> {
  const ends = Date.now() + 1000 * (amount(1, 61) - 1)
  const times = count / 10 / writers.length
  let made = 0
  for (let round = 0; made < count || Date.now() < ends; round++) {
    const done = await Promise.all(writers.map((writer, i) => writer.run('update', { seed: round * 10 + i, times })))
    made += (done as number[]).reduce((sum, n) => sum + n, 0)
  }
  return made
}

// A stopped process does not even notice that the test is over.
const started: Member[] = []
afterEach(() => Promise.all(started.splice(0).map((member) => member.kill())))

async function start(db: Database<any>, count: number): Promise<Member[]> {
  const members = await Promise.all(Array.from({ length: count }, () => startProcess(db.path, program)))
  started.push(...members)
  return members
}

test(
  'readers that are stopped while others make a million updates find what they had',
  async () => {
    const db = prepare({})
    const writers = await start(db, 2)
    const readers = (await start(db, 3)) as [Member, Member, Member]
    const [holding, iterating, reading] = readers
    const expected = hashOf(db)
    expect(await holding.run('hold')).toBe(expected)
    await iterating.run('begin')
    expect(await reading.run('hold')).toBe(expected)
    expect(await reading.run('read')).toBe('reading')
    await Promise.all(readers.map(stop))

    const made = await update(writers, updates)
    const { retiredBytes: held } = db.stats() as { retiredBytes: number }
    for (const reader of readers) reader.signal('SIGCONT')
    expect(await Promise.all([holding.run('hash', { number: 0 }), iterating.run('finish')])).toEqual([
      expected,
      expected,
    ])
    db.event('enough').set()
    expect(await reading.next()).toBeGreaterThan(0)
    await Promise.all(readers.map((reader) => reader.end()))

    // What they held comes back, and is used again: more of the same work does not make the file longer.
    await db.sync()
    await db.gc()
    const { fileBytes, retiredBytes } = db.stats() as { fileBytes: number; retiredBytes: number }
    expect(retiredBytes).toBeLessThan(held / 10)
    await update(writers, updates / 10)
    expect(db.stats()['fileBytes']).toBeLessThanOrEqual(fileBytes)
    await Promise.all(writers.map((writer) => writer.end()))
    await db.gc({ complete: true })
    expect(await db.verify()).toMatchObject({ orphans: 0 })
    console.log(`stopped readers: ${made} updates, ${held} bytes held, ${retiredBytes} afterwards`)
  },
  limit(1, 5),
)

test(
  'in a file that may not grow, stopped readers lose snapshots, and a writer nothing',
  async () => {
    const maxSize = 12 * 2 ** 20
    const db = prepare({ maxSize })
    const [writer, holding, iterating] = (await start(db, 3)) as [Member, Member, Member]
    // Versions that have nothing in common, each of at least a megabyte: with the newest one more than there is room for.
    const versions = 12
    const expected: string[] = []
    for (let number = 0; number < versions; number++) {
      for (let i = 0; i < size; i++) db.root.items.set(i, `version ${number} ${'x'.repeat(50)}`)
      expected.push(hashOf(db))
      if (number === 0) await iterating.run('begin')
      await holding.run('hold').catch(lost)
    }
    await Promise.all([holding, iterating].map(stop))

    await update([writer], updates / 5)
    for (const reader of [holding, iterating]) reader.signal('SIGCONT')
    let kept = 0
    for (let number = 0; number < versions; number++) {
      const found = await holding.run('hash', { number }).catch(lost)
      if (found !== undefined) expect(found, `version ${number}, ${++kept} are whole`).toBe(expected[number])
    }
    expect(kept).toBeLessThan(versions)
    expect(await iterating.run('finish').catch(lost)).toBeOneOf([undefined, expected[0]])
    await Promise.all([holding, iterating, writer].map((member) => member.end()))
    expect(db.stats()['fileBytes']).toBeLessThanOrEqual(maxSize)
    await db.gc({ complete: true })
    expect(await db.verify()).toMatchObject({ orphans: 0 })
  },
  limit(1, 5),
)

/** A snapshot may be lost, which has a code of its own; nothing else may happen. */
function lost(error: unknown): undefined {
  expect(String(error)).toMatch(/PONGO_ERR_SNAPSHOT/)
  return undefined
}
