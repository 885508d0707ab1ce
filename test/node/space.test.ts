// The size of the file: it goes back at the last close.

import { statSync } from 'node:fs'
import { open } from 'pongodb'
import { describe, expect, test } from 'vitest'
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
    db.close()
    const again = openAt(path)
    expect(again.root.list.length).toBe(1)
    expect(again.root.list[0]).toBe(last)
  })
})
