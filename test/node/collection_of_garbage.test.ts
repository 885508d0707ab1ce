// Containers that nothing leads to: freed by gc(), unless a proxy, a snapshot or the tree still shows them.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { open, type Collection } from 'pongodb'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { freshDatabase } from '../support/database'
import { startProcess } from '../support/group'

const viewer = fileURLToPath(new URL('../multiprocess/programs/viewer.mjs', import.meta.url))

setFlagsFromString('--expose-gc')
const collectJavaScript = runInNewContext('gc') as () => void

// Finalizers run in tasks of their own, some turns after a collection: waits until `done` says that they have.
async function collected(done: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    collectJavaScript()
    await new Promise((resolve) => setImmediate(resolve))
    if (turn % 10 === 9 && (await done())) return
  }
  throw new Error('the garbage collector has not let go of a proxy')
}

const containers = async (db: ReturnType<typeof open>): Promise<number> => {
  await db.gc({ complete: true })
  return (await db.verify())['containers']!
}

test('removed documents die, and a proxy keeps its own alive and usable', async () => {
  const db = freshDatabase()
  const other = open(db.path)
  const empty = await containers(db)
  const users: Collection = (db.root.users = db.collection())
  for (let i = 0; i < 200; i++) users.set(i, { n: i, list: [i] })
  expect(await containers(db)).toBe(empty + 401)
  let kept: any = users.get(7)
  other.root.users.clear()
  expect(await containers(other)).toBe(empty + 3)
  expect(kept.n).toBe(7)
  expect(kept.list.length).toBe(1)
  kept.more = 'written'
  expect(kept.$native()).toEqual({ n: 7, list: [7], more: 'written' })
  users.set('back', kept)
  kept = undefined
  await collected(async () => (await containers(other)) === empty + 3)
  expect(other.root.users.get('back').more).toBe('written')
  other.root.users.clear()
  await collected(async () => (await containers(other)) === empty + 1)
  other.close()
})

test('cycles die', async () => {
  const db = freshDatabase()
  const empty = await containers(db)
  db.root.a = { name: 'a' }
  db.root.b = { name: 'b', other: db.root.a }
  db.root.a.other = db.root.b
  db.root.b.self = db.root.b
  delete db.root.a
  expect(await containers(db)).toBe(empty + 2)
  delete db.root.b
  await collected(async () => (await containers(db)) === empty)
})

test('a container that was made and never stored lives as long as its proxy', async () => {
  const db = freshDatabase()
  const empty = await containers(db)
  let made: Collection | undefined = db.collection()
  made.set('x', { y: 1 })
  expect(await containers(db)).toBe(empty + 2)
  expect(made.get('x').y).toBe(1)
  made = undefined
  await collected(async () => (await containers(db)) === empty)
})

test('a snapshot keeps what it shows until it is released', async () => {
  const db = freshDatabase()
  const empty = await containers(db)
  db.root.doc = { text: 'old' }
  const snapshot = db.snapshot()
  delete db.root.doc
  await collected(async () => (await containers(db)) === empty + 1)
  expect((snapshot.root as any).doc.text).toBe('old')
  snapshot.release()
  await collected(async () => (await containers(db)) === empty)
})

test('closing a handle lets go of all that its proxies showed', async () => {
  const db = freshDatabase()
  const other = open(db.path)
  const empty = await containers(db)
  other.root.doc = { text: 'x' }
  const shown = other.root.doc
  delete other.root.doc
  expect(await containers(db)).toBe(empty + 1)
  other.close()
  expect(await containers(db)).toBe(empty)
  expect(() => shown.text).toThrow(/closed/)
})

test('a read-only handle keeps what it shows, and stops no collection', async () => {
  const db = freshDatabase()
  const empty = await containers(db)
  const docs = (db.root.docs = db.collection<number, unknown>())
  docs.update(Array.from({ length: 1000 }, (_, n): [number, object] => [n, { n }]))
  await db.sync()
  const reader = await startProcess(db.path, viewer)
  const keys = [3, 500, 999]
  expect(await reader.run('show', { keys })).toEqual(keys)
  docs.clear()
  expect(await containers(db)).toBe(empty + 1 + keys.length)
  expect(await reader.run('read')).toEqual(keys)
  expect((await db.gc({ complete: true })).skipped).toBe(false)
  await reader.run('drop')
  expect(await containers(db)).toBe(empty + 1)
  await reader.kill()
})

test('a read-only handle that shows more than it has cells for stops collections until it shows fewer', async () => {
  const db = freshDatabase()
  const empty = await containers(db)
  const docs = (db.root.docs = db.collection<number, unknown>())
  docs.update(Array.from({ length: 600 }, (_, n): [number, object] => [n, { n }]))
  const reader = await startProcess(db.path, viewer)
  await reader.run('show', { keys: Array.from({ length: 600 }, (_, n) => n) })
  docs.clear()
  expect((await db.gc({ complete: true })).skipped).toBe(true)
  await reader.run('drop')
  expect(await containers(db)).toBe(empty + 1)
  await reader.kill()
})

test('gc says how many containers there are before and after', async () => {
  const db = freshDatabase()
  const empty = (await db.verify())['containers']!
  ;(() => (db.root.docs = Array.from({ length: 50 }, (_, n) => ({ n }))))()
  expect((await db.gc()).after.containers).toBe(empty + 51)
  delete db.root.docs
  await collected(async () => (await containers(db)) === empty)
  const { before, after } = await db.gc({ complete: true })
  expect([before.containers, after.containers]).toEqual([empty, empty])
  db.root.a = [[]]
  delete db.root.a
  expect((await db.gc({ complete: true })).before.containers).toBe(empty + 2)
})
