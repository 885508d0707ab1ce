// The size of the file: it goes back at the last close.

import { statSync } from 'node:fs'
import { open } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { DatabaseReader } from '../../lib/reader/reader'
import { expectCode, freshPath, openAt } from '../support/database'

const MiB = 2 ** 20

test('a large value takes the free end of the file together with what can be added to it', () => {
  const db = openAt(freshPath(), { chunksize: MiB, maxSize: 16 * MiB })
  db.root.a = 'a'.repeat(6 * MiB) // the file grows beyond it
  db.root.b = 'b'.repeat(8 * MiB)
  expect(db.root.b).toBe('b'.repeat(8 * MiB))
  expectCode('FULL', () => (db.root.c = 'c'.repeat(6 * MiB)))
})

describe('the last close', () => {
  test('returns free chunks at the end of the file, and the file goes on', async () => {
    const path = freshPath()
    for (let round = 0; round < 3; round++) {
      const db = open<any>(path, { chunksize: MiB })
      const keep = (db.root.keep ??= db.collection())
      keep.set(round, `kept ${round}`)
      // No proxy of it is made: one would keep it alive until the handle is closed.
      db.root.junk = Array.from({ length: 4000 }, (_, i) => 'x'.repeat(1000 + (i % 7) * 1000))
      db.root.blob = 'y'.repeat(3 * MiB)
      expect(statSync(path).size).toBeGreaterThan(15 * MiB)
      delete db.root.blob
      delete db.root.junk
      await db.gc({ complete: true })
      db.close()
      expect(statSync(path).size).toBeLessThanOrEqual(3 * MiB)
      expect(statSync(path).size % MiB).toBe(0)
    }
    const db = openAt(path)
    expect(db.root.keep.native()).toEqual(
      new Map([
        [0, 'kept 0'],
        [1, 'kept 1'],
        [2, 'kept 2'],
      ]),
    )
    expect((await db.verify()).orphans).toBe(0)
  })

  test('leaves the file alone when another handle is open, or nothing has changed', async () => {
    const path = freshPath()
    const db = open<any>(path, { chunksize: MiB })
    db.root.blob = 'y'.repeat(4 * MiB)
    await db.sync()
    delete db.root.blob
    const other = open<any>(path)
    const size = statSync(path).size
    other.close()
    expect(statSync(path).size).toBe(size)
    db.close()
    const small = statSync(path).size
    expect(small).toBeLessThan(size)
    openAt(path, { readOnly: true }).close()
    expect(statSync(path).size).toBe(small)
  })

  test('keeps what is at the end of the file', () => {
    const path = freshPath()
    const db = open<any>(path, { chunksize: MiB })
    db.root.list = []
    for (let i = 0; i < 30; i++) db.root.list.push(`${i}`.repeat(200_000))
    const last = db.root.list.at(-1)
    db.root.list.splice(0, 29)
    const { size } = statSync(path)
    db.close()
    expect(statSync(path).size).toBeLessThan(size / 2)
    const again = openAt(path)
    expect(again.root.list.length).toBe(1)
    expect(again.root.list[0]).toBe(last)
  })

  test('moves what is live near the end, and the independent reader finds it', async () => {
    const path = freshPath()
    const db = open<any>(path, { chunksize: MiB / 4, checkpointInterval: 3_600_000 })
    const live = (db.root.live = db.collection())
    const write = (round: number) => {
      for (let i = 0; i < 3000; i++) live.set(`user:${(i * 7) % 3000}`, `${round} ${'x'.repeat(i % 300)}`)
      db.root.documents = Array.from({ length: 100 }, (_, i) => ({ name: `n${i}`, round, tags: ['a', i] }))
    }
    write(0)
    const loaded = statSync(path).size
    const snapshot = db.snapshot()
    for (let round = 1; round <= 4; round++) {
      write(round)
      await db.sync()
    }
    expect(statSync(path).size).toBeGreaterThan(1.5 * loaded)
    snapshot.release()
    const shown = db.root.$native()
    const counts = await db.verify()
    db.close()
    expect(statSync(path).size).toBeLessThanOrEqual(1.5 * loaded)
    const reader = new DatabaseReader(path)
    expect(reader.native(1)).toEqual(shown)
    expect(reader.check().values).toBe(counts.values)
    const again = openAt(path)
    expect(again.root.$native()).toEqual(shown)
    expect((await again.verify()).orphans).toBe(0)
  })
})
