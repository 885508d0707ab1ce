// backup(): what the copy holds, how it comes into being, what ends it.

import fc from 'fast-check'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { open, Uuid, type Database } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { freshDatabase, freshPath, openAt } from '../support/database'

function target(db: Database<any>, name = 'copy.pongo'): string {
  return join(dirname(db.path), name)
}

function leftOvers(db: Database<any>): string[] {
  return readdirSync(dirname(db.path)).filter((name) => name.endsWith('.part'))
}

async function rejection(promise: Promise<unknown>): Promise<{ code?: string; message: string; name: string }> {
  try {
    await promise
  } catch (error) {
    return error as { code?: string; message: string; name: string }
  }
  throw new Error('the promise was not rejected')
}

function fill(db: Database<any>): void {
  const users = (db.root.users = db.collection<number, any>())
  for (let i = 0; i < 3000; i++) users.set(i, { name: `user ${i}`, tags: [i, `tag ${i % 7}`], at: new Date(i * 1000) })
  db.root.big = 'x'.repeat(1_000_000)
  db.root.longKeys = db.collection()
  for (let i = 0; i < 40; i++) db.root.longKeys.set(`${'key '.repeat(100)}${i}`, 'y'.repeat(300 + i))
  const multi = (db.root.multi = db.collection({ multi: true }))
  for (let i = 0; i < 500; i++) multi.set(`k${i % 20}`, i)
  db.root.self = db.root.users
  db.root.list = Array.from({ length: 5000 }, (_, i) => (i % 3 === 0 ? i : `item ${i}`))
  db.root.odd = { nan: NaN, minus: -0, big: 2n ** 200n, uuid: new Uuid(new Uint8Array(16)), bytes: new Uint8Array(700) }
}

describe('backup', () => {
  test('takes away what killed backups to the same target have left, and nothing else', async () => {
    const db = freshDatabase()
    db.root.a = 1
    const left = `${target(db)}.0123456789abcdef.part`
    const others = [
      `${target(db)}.part`,
      `${target(db, 'other.pongo')}.0123456789abcdef.part`,
      `${target(db)}.x.part`,
      `${target(db)}.my-notes-of-2026.part`,
    ]
    for (const name of [left, ...others]) writeFileSync(name, 'half of it')
    // The file of one that is at work is locked: each of these keeps its own.
    const results = await Promise.allSettled([db.backup(target(db)), db.backup(target(db))])
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true)
    expect(existsSync(left)).toBe(false)
    expect(leftOvers(db).sort()).toEqual(others.map((name) => basename(name)).sort())
    expect(openAt(target(db)).root.a).toBe(1)
  })

  test('equals the source, keeps ids, is clean and compact', async () => {
    const db = freshDatabase()
    fill(db)
    for (let i = 0; i < 3000; i++) db.root.users.delete(i % 2 === 0 ? i : -1)
    const report = await db.backup(target(db))
    expect(report.path).toBe(target(db))
    // At most one slab of each class has room left, and slab 0 holds the superblocks.
    expect(statSync(report.path).size).toBeLessThanOrEqual(report.bytes * 1.02 + 30 * 65536)
    const source = await db.verify()
    const copy = openAt(report.path)
    expect(copy.root.$native()).toEqual(db.root.$native())
    expect(copy.root.users.$id).toBe(db.root.users.$id)
    expect(copy.root.self).toBe(copy.root.users)
    const counts = await copy.verify()
    expect(counts.containers).toBe(source.containers)
    expect(counts.values).toBe(source.values)
    expect(counts.orphans).toBe(0)
    expect(report.containers).toBe(source.containers)
    expect(report.bytes).toBeLessThanOrEqual(source.bytes!)
    copy.root.users.set('new', { after: true })
    expect(copy.root.users.get('new').after).toBe(true)
    expect(db.root.users.has('new')).toBe(false)
    expect(leftOvers(db)).toEqual([])
  })

  test('new containers of the copy get ids of their own', async () => {
    const db = freshDatabase()
    db.root.a = { b: { c: 1 } }
    await db.backup(target(db))
    const copy = openAt(target(db))
    copy.root.d = {}
    expect(copy.root.d.$id).toBeGreaterThan(db.root.a.b.$id)
    expect(copy.root.a.$native()).toEqual({ b: { c: 1 } })
  })

  test('any content', async () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.string({ unit: 'grapheme', maxLength: 400 }),
        fc.double(),
        fc.integer(),
        fc.bigInt(),
        fc.boolean(),
        fc.constant(null),
        fc.uint8Array({ maxLength: 40_000 }),
        fc.date({ noInvalidDate: true }),
        fc.array(tie('any'), { maxLength: 12 }),
        fc.dictionary(fc.string({ maxLength: 300 }), tie('any'), { maxKeys: 12 }),
      ),
    })).any
    let run = 0
    const db = freshDatabase()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.string({ maxLength: 400 }), value), { maxLength: 60 }), async (pairs) => {
        db.transaction(() => {
          db.root.$update(Object.fromEntries(pairs))
          for (const name of Object.keys(db.root).slice(0, 10)) db.root.$delete([name])
        })
        const path = target(db, `copy ${run++}.pongo`)
        await db.backup(path)
        const copy = open<any>(path)
        try {
          expect(copy.root.$native()).toEqual(db.root.$native())
          await copy.verify()
        } finally {
          copy.close()
        }
      }),
      { numRuns: 25 },
    )
  })

  test('of a snapshot, which may be released meanwhile', async () => {
    const db = freshDatabase()
    db.root.list = Array.from({ length: 20_000 }, (_, i) => i)
    const snap = db.snapshot()
    const then = snap.root.$native()
    db.root.list = []
    const running = snap.backup(target(db))
    snap.release()
    const { version } = await running
    expect(version).toBe(snap.version)
    expect(openAt(target(db)).root.$native()).toEqual(then)
    expect((await rejection(snap.backup(target(db, 'other')))).code).toBe('PONGO_ERR_SNAPSHOT')
  })

  test('of a readOnly handle', async () => {
    const path = freshPath()
    const writer = open<any>(path)
    writer.root.a = [1, 2, 3]
    writer.close()
    const db = openAt(path, { readOnly: true })
    await db.backup(target(db))
    expect(openAt(target(db)).root.$native()).toEqual({ a: [1, 2, 3] })
  })

  test('is of one version while others write', async () => {
    const db = freshDatabase()
    const pairs = (db.root.pairs = db.collection<number, number>())
    for (let i = 0; i < 20_000; i++) pairs.set(i, 0)
    let done = false
    const running = db.backup(target(db)).finally(() => (done = true))
    for (let round = 1; !done; round++) {
      db.transaction(() => {
        for (let i = 0; i < 20; i++) pairs.set((i * 997) % 20_000, round)
      })
      await new Promise((resolve) => setImmediate(resolve))
    }
    await running
    const copy = openAt(target(db))
    const values = new Set(Array.from({ length: 20 }, (_, i) => copy.root.pairs.get((i * 997) % 20_000)))
    expect(values.size).toBe(1)
    await copy.verify()
    await db.verify()
  })

  test('reports its progress', async () => {
    const db = freshDatabase()
    fill(db)
    const seen: any[] = []
    const { bytes, containers } = await db.backup(target(db), { onProgress: (progress) => seen.push(progress) })
    expect(seen.length).toBeGreaterThanOrEqual(2)
    expect(seen.at(-1)).toEqual({
      bytesDone: bytes,
      bytesTotal: bytes,
      containersDone: containers,
      containersTotal: containers,
    })
    for (const [i, { bytesDone, bytesTotal }] of seen.entries()) {
      expect(bytesDone).toBeLessThanOrEqual(bytesTotal)
      if (i > 0) expect(bytesDone).toBeGreaterThanOrEqual(seen[i - 1].bytesDone)
    }
  })

  test('what onProgress throws ends it, at the beginning and at the end', async () => {
    const db = freshDatabase()
    fill(db)
    for (const last of [false, true]) {
      const onProgress = ({ bytesDone, bytesTotal }: { bytesDone: number; bytesTotal: number }) => {
        if (!last || bytesDone === bytesTotal) throw new TypeError('enough')
      }
      expect(await rejection(db.backup(target(db), { onProgress }))).toMatchObject({
        name: 'TypeError',
        message: 'enough',
      })
      expect(existsSync(target(db))).toBe(false)
      expect(leftOvers(db)).toEqual([])
    }
    expect((await db.verify()).orphans).toBe(0)
    expect(db.stats().pins).toBeLessThanOrEqual(2)
  })

  test('a signal ends it', async () => {
    const db = freshDatabase()
    fill(db)
    const controller = new AbortController()
    const running = db.backup(target(db), { signal: controller.signal })
    controller.abort()
    expect((await rejection(running)).name).toBe('AbortError')
    expect(existsSync(target(db))).toBe(false)
    expect(leftOvers(db)).toEqual([])
    expect((await rejection(db.backup(target(db), { signal: controller.signal }))).name).toBe('AbortError')
  })

  test('goes on when the handle is closed', async () => {
    const db = freshDatabase()
    fill(db)
    const content = db.root.$native()
    const running = db.backup(target(db))
    db.close()
    await running
    expect(openAt(target(db)).root.$native()).toEqual(content)
  })

  test('replaces a file only when told, and never one that is open', async () => {
    const db = freshDatabase()
    db.root.a = 1
    writeFileSync(target(db), 'something else')
    expect((await rejection(db.backup(target(db)))).code).toBe('PONGO_ERR_EXISTS')
    expect(readFileSync(target(db), 'utf8')).toBe('something else')
    await db.backup(target(db), { overwrite: true })
    const copy = openAt(target(db))
    expect(copy.root.a).toBe(1)
    expect((await rejection(db.backup(target(db), { overwrite: true }))).code).toBe('PONGO_ERR_LOCKED')
    expect((await rejection(db.backup(db.path, { overwrite: true }))).code).toBe('PONGO_ERR_LOCKED')
    copy.root.a = 2
    copy.close()
    await db.backup(target(db), { overwrite: true })
    expect(openAt(target(db)).root.a).toBe(1)
    expect(leftOvers(db)).toEqual([])
  })

  test('refuses what it cannot do', async () => {
    const db = freshDatabase()
    const refused: [string, Promise<unknown>][] = [
      ['PONGO_ERR_ARG', db.backup('')],
      ['PONGO_ERR_ARG', db.backup(7 as any)],
      ['PONGO_ERR_ARG', db.backup(target(db), { progress: 1 } as any)],
      ['PONGO_ERR_ARG', db.backup(target(db), { onProgress: 1 as any })],
      ['PONGO_ERR_IO', db.backup(join(dirname(db.path), 'no', 'such', 'folder'))],
    ]
    for (const [code, promise] of refused) expect((await rejection(promise)).code).toBe(code)
    db.close()
    expect((await rejection(db.backup(target(db)))).code).toBe('PONGO_ERR_CLOSED')
    expect(readdirSync(dirname(db.path)).sort()).toEqual([basename(db.path), `${basename(db.path)}-lock`])
  })
})
