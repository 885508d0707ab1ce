// Nothing is kept that nobody needs: neither live objects in memory, nor documents in the file.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { freshDatabase, freshPath } from '../support/database'

test('live objects come and go, and the resident size stays', async () => {
  const program = fileURLToPath(new URL('../multiprocess/programs/live_objects.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, freshPath(), '300000'])
  const { sizes, holds, same } = JSON.parse(stdout) as { sizes: number[]; holds: boolean; same: boolean }
  expect({ holds, same }).toEqual({ holds: true, same: true })
  // After the first parts the collector has its working size; 200,000 proxies that stayed would be a hundred megabytes.
  expect(sizes.at(-1)! - sizes[1]!).toBeLessThan(32 * 2 ** 20)
})

test('documents that were inserted, read and deleted leave nothing behind', async () => {
  const db = freshDatabase({ durability: 'none' })
  const users = (db.root.users = db.collection())
  const document = (i: number): object => ({
    name: `name ${i}`,
    age: i % 90,
    email: `user${i}@example.org`,
    active: i % 2 === 0,
    since: new Date(i),
    score: i / 7,
    tags: ['a', `tag ${i}`],
    address: { city: 'Vila', zip: i },
    note: 'x'.repeat(i % 400),
    none: null,
  })
  const round = (): void => {
    for (let i = 0; i < 1000; i++) {
      users.set(i, document(i))
      // Without live objects, which keep what they show for as long as they are there.
      expect(users.getPath([i, 'address', 'zip'])).toBe(i)
      if (i % 100 === 0) expect(users.native(i)).toEqual(document(i))
    }
    for (let i = 0; i < 1000; i++) users.delete(i)
  }
  // The names of properties are stored once, at the first documents.
  round()
  await db.gc({ complete: true })
  const before = (await db.gc({ complete: true })).after
  for (let i = 0; i < 5; i++) round()
  await db.gc({ complete: true })
  const { after } = await db.gc({ complete: true })
  expect(after.count - before.count).toBeLessThanOrEqual(8)
  expect((await db.verify())['orphans']).toBe(0)
})
