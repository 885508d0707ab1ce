// Two copies of the package in one process, each with an addon of its own, and one copy loaded by import and by require, on one file.
//   node two_copies.mjs <path> <folder of the other copy> <rounds>

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import * as imported from 'pongodb'

const [path, folder, rounds] = [process.argv[2], process.argv[3], Number(process.argv[4])]
const require = createRequire(import.meta.url)
const required = require('pongodb')
const other = require(join(folder, 'dist/index.js'))
assert.equal(required.open, imported.open)
assert.equal(required.Collection, imported.Collection)
assert.notEqual(other.open, imported.open)

// A thread that uses the other copy only.
const thread = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { open } = require(workerData.module)
  const db = open(workerData.path)
  for (let i = 0; i < 20; i++) db.transaction(() => { db.root.count += 1; db.root.list.push(i) })
  if (workerData.close) db.close()
  parentPort.postMessage('done')`

let count = 0
for (let round = 0; round < rounds; round++) {
  const a = imported.open(path)
  const b = other.open(path)
  const c = required.open(path)
  const all = [a, b, c]
  if (round === 0) Object.assign(a.root, { count: 0, list: [], items: a.collection() })
  for (const db of all) {
    db.transaction(() => {
      db.root.count += 1
      db.root.list.push(round)
    })
    count++
    for (const reader of all) assert.equal(reader.root.count, count)
  }
  assert.ok(c.root.items instanceof imported.Collection)
  assert.ok(b.root.items instanceof other.Collection)
  // A container of the one is a value to the other: stored as a copy.
  b.root.copy = a.root.items
  assert.notEqual(b.root.copy.$id, b.root.items.$id)
  delete a.root.copy
  // They exclude each other, and wake each other up.
  const hold = a.lock('one').acquireSync()
  assert.equal(b.lock('one').tryAcquire(), undefined)
  const next = b.lock('one').acquire()
  hold.release()
  ;(await next).release()
  const changes = b.changes('signal')
  const signalled = changes.next()
  a.root.signal = round
  assert.equal((await signalled).value[0].value, round)
  await changes.return()
  const snapshot = a.snapshot()
  b.root.list = []
  assert.ok(snapshot.root.list.length > 0)
  if (round % 10 === 0) {
    const module = join(folder, 'dist/index.js')
    const workerData = { path, module, close: round % 20 === 0 }
    const worker = new Worker(thread, { eval: true, workerData })
    await once(worker, 'exit')
    count += 20
    assert.equal(a.root.count, count)
  }
  if (round % 50 === 0) {
    await b.gc({ complete: true })
    assert.equal((await a.verify()).orphans, 0)
  }
  // In any order.
  for (let i = 0; i < 3; i++) all[(round + i) % 3].close()
}
