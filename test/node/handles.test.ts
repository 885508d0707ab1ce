// Defects of handles, threads and options that were found once, and what their repairs must leave alone.

import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Collection } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase, openAt } from '../support/database'

describe('handles', () => {
  test('in a transaction of one handle, another handle to the file refuses to read and to write', () => {
    const db = freshDatabase()
    db.root.$update({ counter: 0, list: [1] })
    const collection: Collection = (db.root.collection = db.collection())
    const other = openAt(db.path)
    const held = { dict: other.root, list: other.root.list, collection: other.root.collection }
    let runs = 0
    expectCode(
      'ARG',
      () =>
        db.transaction(() => {
          // Without the refusal the transaction would conflict with its own function, and run again for ever.
          if (++runs > 1) throw new Error('runs again')
          db.root.counter = 1
          held.dict.counter = 2
        }),
      /another handle/,
    )
    db.transaction(() => {
      db.root.counter = 1
      collection.set('a', 1)
      expectCode('ARG', () => held.list.push(2))
      expectCode('ARG', () => held.collection.set('a', 2))
      expectCode('ARG', () => other.transaction(() => 0))
      expectCode('ARG', () => other.collection())
      // What it reads would be the committed state, which the transaction does not watch.
      expectCode('ARG', () => held.dict.counter, /another handle/)
      expectCode('ARG', () => held.list.length)
      expectCode('ARG', () => [...held.collection])
      expectCode('ARG', () => other.root.$native())
      const opened = openAt(db.path)
      expectCode('ARG', () => opened.root.counter)
      opened.close()
      // One of another file is free.
      const apart = freshDatabase()
      apart.transaction(() => (apart.root.x = 1))
      expect(apart.root.x).toBe(1)
    })
    expect(held.collection.get('a')).toBe(1)
    held.dict.counter = 3
    expect(db.root.counter).toBe(3)
  })

  test('durability and checkpointInterval must agree with those of an open handle', () => {
    const db = freshDatabase({ durability: 'none', checkpointInterval: 500 })
    expectCode('ARG', () => openAt(db.path, { durability: 'sync' }), /durability/)
    expectCode('ARG', () => openAt(db.path, { checkpointInterval: 1000 }), /checkpointInterval/)
    expect(openAt(db.path, { durability: 'none', checkpointInterval: 500 }).root.$size).toBe(0)
    expect(openAt(db.path).root.$size).toBe(0)
  })

  test('they must agree with those of a handle of another thread', async () => {
    const db = freshDatabase({ durability: 'none', checkpointInterval: 500 })
    const program = `
      const { parentPort, workerData } = require('node:worker_threads')
      const { open } = require(workerData.pongodb)
      for (const options of [{ durability: 'sync' }, { checkpointInterval: 1000 }, { durability: 'none', checkpointInterval: 500 }]) {
        try {
          open(workerData.path, options).close()
          parentPort.postMessage('open')
        } catch (error) {
          parentPort.postMessage(error.code + ' ' + error.message)
        }
      }`
    const pongodb = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
    const worker = new Worker(program, { eval: true, workerData: { path: db.path, pongodb } })
    const messages: string[] = []
    worker.on('message', (text: string) => messages.push(text))
    await once(worker, 'exit')
    expect(messages).toEqual([
      expect.stringMatching(/^PONGO_ERR_ARG durability/),
      expect.stringMatching(/^PONGO_ERR_ARG checkpointInterval/),
      'open',
    ])
  })

  test('a handle that changed its durability counts with the new one', () => {
    const db = freshDatabase({ durability: 'none' })
    db.meta['.sync'] = 'sync'
    expectCode('ARG', () => openAt(db.path, { durability: 'none' }), /durability/)
    openAt(db.path, { durability: 'sync' }).close()
  })

  test('the durability of a closed handle no longer counts', () => {
    const db = freshDatabase({ durability: 'none' })
    db.close()
    expect(openAt(db.path, { durability: 'sync' }).meta['.sync']).toBe('sync')
  })

  test('a URL that is no file is refused', () => {
    expectCode('ARG', () => openAt(new URL('http://example.org/x') as any), /example\.org/)
  })

  test('meta of a closed handle throws CLOSED, and prints', () => {
    const db = freshDatabase()
    const { meta } = db
    db.close()
    for (const name of ['id', 'chunksize', '.sync', '.newkey', '.uuid_class', '.uuid_constructor'] as const) {
      expectCode('CLOSED', () => meta[name])
    }
    expectCode('CLOSED', () => (meta['.newkey'] = null))
    expect(inspect(meta)).toBe('Meta { closed }')
  })

  test('an iterator throws CLOSED once its database is closed', () => {
    const db = freshDatabase()
    db.root.list = [1, 2, 3]
    db.root.dict = { a: 1, b: 2 }
    const values = db.root.list.values()
    const keys = db.root.dict.$keys()
    values.next()
    keys.next()
    db.close()
    expectCode('CLOSED', () => values.next())
    expectCode('CLOSED', () => keys.next())
  })
})
