import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { open, Uuid, type Change, type Database } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase, freshPath, openAt } from '../support/database'

/** Collects batches; `next` resolves with the next one. */
function collect(db: Database<any>, target: any, options?: { signal?: AbortSignal }) {
  const batches: Change[][] = []
  let arrived: (() => void) | undefined
  const stop = db.watch(
    target,
    (changes) => {
      batches.push(changes)
      arrived?.()
    },
    options,
  )
  return {
    stop,
    batches,
    async next(): Promise<Change[]> {
      while (batches.length === 0) await new Promise<void>((resolve) => (arrived = resolve))
      return batches.shift()!
    },
  }
}

/** Resolves after every watcher of the database has reported what has been committed so far. */
async function settled(db: Database<any>): Promise<void> {
  const seen = collect(db, 'settled')
  db.root.settled = Math.random()
  await seen.next()
  seen.stop()
}

describe('what a change says', () => {
  test('keys of a Dict: set with the old value, delete', async () => {
    const db = freshDatabase()
    const { next, stop } = collect(db, db.root)
    db.root.a = 1
    expect(await next()).toStrictEqual([{ path: ['a'], type: 'set', value: 1, oldValue: undefined }])
    db.root.a = 'text that is longer than one word'
    expect(await next()).toStrictEqual([
      { path: ['a'], type: 'set', value: 'text that is longer than one word', oldValue: 1 },
    ])
    delete db.root.a
    expect(await next()).toStrictEqual([{ path: ['a'], type: 'delete', oldValue: 'text that is longer than one word' }])
    stop()
  })

  test('containers are live as values and plain copies as old values', async () => {
    const db = freshDatabase()
    const { next, stop } = collect(db, db.root)
    db.root.user = { name: 'Ann', tags: ['x'] }
    const [set] = (await next()) as [Change & { type: 'set' }]
    expect(set.value).toBe(db.root.user)
    db.root.user = { name: 'Bob' }
    const [again] = (await next()) as [Change & { type: 'set' }]
    expect(again.value).toBe(db.root.user)
    expect(again.oldValue).toStrictEqual({ name: 'Ann', tags: ['x'] })
    delete db.root.user
    expect(await next()).toStrictEqual([{ path: ['user'], type: 'delete', oldValue: { name: 'Bob' } }])
    stop()
  })

  test('paths are arrays of keys of any type, relative to what is watched', async () => {
    const db = freshDatabase()
    db.root.outer = { users: db.collection() }
    const id = Uuid.v7()
    const { next, stop } = collect(db, db.root.outer)
    db.root.outer.users.set(id, { a: [{ b: 1 }] })
    expect((await next())[0]!.path).toStrictEqual(['users', id])
    db.root.outer.users.get(id).a[0].b = 2
    expect(await next()).toStrictEqual([{ path: ['users', id, 'a', 0, 'b'], type: 'set', value: 2, oldValue: 1 }])
    db.root.outer.users.set([1, 'x', null], 5)
    expect((await next())[0]!.path).toStrictEqual(['users', [1, 'x', null]])
    stop()
  })

  test('Lists: an index assignment is a set, the rest are splices', async () => {
    const db = freshDatabase()
    db.root.list = [1, 2, 3]
    const { list } = db.root
    const { next, stop } = collect(db, list)
    list[1] = 'b'
    expect(await next()).toStrictEqual([{ path: [1], type: 'set', value: 'b', oldValue: 2 }])
    list.push(4, 5)
    expect(await next()).toStrictEqual([{ path: [], type: 'splice', index: 3, removed: 0, inserted: [4, 5] }])
    list.splice(0, 2, 'x')
    expect(await next()).toStrictEqual([{ path: [], type: 'splice', index: 0, removed: 2, inserted: ['x'] }])
    list.length = 0
    expect(await next()).toStrictEqual([{ path: [], type: 'splice', index: 0, removed: 4, inserted: [] }])
    stop()
  })

  test('distant changes of a long List are changes of their own', async () => {
    const db = freshDatabase()
    db.root.list = Array.from({ length: 10_000 }, (_, i) => i)
    const { list } = db.root
    const { next, stop } = collect(db, list)
    db.transaction(() => {
      list.shift()
      list.push('end')
      list[5000] = 'middle'
      list.insert(7000, 'new')
    })
    expect(await next()).toStrictEqual([
      { path: [], type: 'splice', index: 0, removed: 1, inserted: [] },
      { path: [5000], type: 'set', value: 'middle', oldValue: 5001 },
      { path: [], type: 'splice', index: 7000, removed: 0, inserted: ['new'] },
      { path: [], type: 'splice', index: 10_000, removed: 0, inserted: ['end'] },
    ])
    stop()
  })

  test('MultiCollections: pairs', async () => {
    const db = freshDatabase()
    db.root.tags = db.collection({ multi: true })
    const { tags } = db.root
    tags.set('red', 1)
    const { next, stop } = collect(db, tags)
    tags.set('red', 2)
    expect(await next()).toStrictEqual([{ path: ['red'], type: 'set', value: 2, oldValue: undefined }])
    tags.delete('red')
    expect(await next()).toStrictEqual([
      { path: ['red'], type: 'delete', oldValue: 1 },
      { path: ['red'], type: 'delete', oldValue: 2 },
    ])
    tags.set('blue', { n: 1 })
    await next()
    tags.get('blue').n = 2
    expect(await next()).toStrictEqual([
      { path: ['blue'], type: 'delete', oldValue: { n: 1 } },
      { path: ['blue'], type: 'set', value: tags.get('blue'), oldValue: undefined },
    ])
    stop()
  })

  // A reader finds a pair by its value: one that he copied later than the batch was made has to come again with all others.
  test.each<[string, (db: Database<any>) => { multis: string[]; link: () => void }]>([
    [
      'holds what was shown elsewhere',
      (db) => {
        db.root.here = {}
        return {
          multis: ['tags'],
          link() {
            db.root.tags = db.collection({ multi: true })
            db.root.tags.set('t', { inner: { n: 1 } })
            db.root.here.inner = db.root.tags.get('t').inner
          },
        }
      },
    ],
    [
      'is one of two MultiCollections',
      (db) => {
        db.root.tags = db.collection({ multi: true })
        db.root.more = db.collection({ multi: true })
        return {
          multis: ['more', 'tags'],
          link() {
            db.root.here = { inner: { n: 1 } }
            db.root.tags.set('t', db.root.here)
            db.root.more.set('t', db.root.here)
          },
        }
      },
    ],
  ])('a pair that changed while it was read comes again, when its value %s', async (_, prepare) => {
    const db = freshDatabase()
    const { multis, link } = prepare(db)
    const batches: Change[][] = []
    await new Promise<void>((resolve) => {
      const stop = db.watch(db.root, (changes) => {
        batches.push(changes)
        if (batches.length === 1) db.root.here.inner.n = 2
        else resolve(stop())
      })
      db.transaction(link)
    })
    expect(batches[1]!.filter(({ path }) => multis.includes(path[0] as string))).toMatchObject(
      multis.map((name) => ({ path: [name], type: 'set' })),
    )
  })

  test('a value that is set again as it was is no change', async () => {
    const db = freshDatabase()
    db.root.a = 'x'.repeat(1000)
    db.root.list = [1, 2]
    const { next, stop } = collect(db, db.root)
    db.root.a = 'x'.repeat(1000)
    db.root.list[0] = 1
    db.root.b = 1
    delete db.root.b
    db.root.c = 1
    expect(await next()).toStrictEqual([{ path: ['c'], type: 'set', value: 1, oldValue: undefined }])
    stop()
  })

  test('a container in two places gives its changes for both', async () => {
    const db = freshDatabase()
    db.root.a = { n: 1 }
    db.root.b = { inner: db.root.a }
    const { next, stop } = collect(db, db.root)
    db.root.a.n = 2
    expect((await next()).map((change) => change.path)).toStrictEqual([
      ['a', 'n'],
      ['b', 'inner', 'n'],
    ])
    stop()
  })

  test('a container that holds itself gives its changes once', async () => {
    const db = freshDatabase()
    db.root.a = { n: 1 }
    db.root.a.self = db.root.a
    db.root.a.root = db.root
    const { next, stop } = collect(db, db.root)
    db.root.a.n = 2
    expect(await next()).toStrictEqual([{ path: ['a', 'n'], type: 'set', value: 2, oldValue: 1 }])
    delete db.root.a
    // What holds itself has no plain copy.
    expect(await next()).toStrictEqual([{ path: ['a'], type: 'delete', oldValue: undefined }])
    stop()
  })

  test('a container that only changed its place is reported at the new one', async () => {
    const db = freshDatabase()
    db.root.from = { doc: { n: 1 } }
    db.root.to = {}
    const doc = db.root.from.doc
    const { next, stop } = collect(db, db.root)
    db.transaction(() => {
      db.root.to.doc = doc
      delete db.root.from.doc
    })
    expect(await next()).toStrictEqual([
      { path: ['from', 'doc'], type: 'delete', oldValue: { n: 1 } },
      { path: ['to', 'doc'], type: 'set', value: doc, oldValue: undefined },
    ])
    doc.n = 2
    expect(await next()).toStrictEqual([{ path: ['to', 'doc', 'n'], type: 'set', value: 2, oldValue: 1 }])
    stop()
  })

  test('a document in a large Collection is found without reading the Collection for each change', async () => {
    const db = freshDatabase()
    db.root.docs = db.collection()
    db.root.docs.update(Array.from({ length: 20_000 }, (_, i) => [i, { n: 0 }] as const))
    const { next, stop } = collect(db, db.root)
    db.root.docs.get(17).n = 1
    expect(await next()).toStrictEqual([{ path: ['docs', 17, 'n'], type: 'set', value: 1, oldValue: 0 }])
    const moved = db.root.docs.get(18)
    db.root.docs.delete(18)
    await next()
    db.root.docs.set('moved', moved)
    await next()
    moved.n = 2
    expect(await next()).toStrictEqual([{ path: ['docs', 'moved', 'n'], type: 'set', value: 2, oldValue: 0 }])
    stop()
  })
})

describe('what is watched', () => {
  test('only what is below the container', async () => {
    const db = freshDatabase()
    db.root.a = { x: 1 }
    db.root.b = { x: 1 }
    const { batches, stop } = collect(db, db.root.a)
    db.root.b.x = 2
    db.root.c = 1
    await settled(db)
    expect(batches).toStrictEqual([])
    db.root.a.x = 3
    await settled(db)
    expect(batches).toStrictEqual([[{ path: ['x'], type: 'set', value: 3, oldValue: 1 }]])
    stop()
  })

  test('a container is watched although it has no place any more', async () => {
    const db = freshDatabase()
    db.root.a = { x: 1 }
    const { a } = db.root
    const { next, stop } = collect(db, a)
    delete db.root.a
    a.x = 2
    expect(await next()).toStrictEqual([{ path: ['x'], type: 'set', value: 2, oldValue: 1 }])
    stop()
  })

  test('a path: absent, appears, is changed, replaced, a primitive, gone', async () => {
    const db = freshDatabase()
    const { next, stop, batches } = collect(db, 'config.http')
    db.root.config = {}
    await settled(db)
    expect(batches).toStrictEqual([])
    db.root.config.http = { port: 80 }
    expect(await next()).toStrictEqual([{ path: [], type: 'set', value: db.root.config.http, oldValue: undefined }])
    db.root.config.http.port = 81
    expect(await next()).toStrictEqual([{ path: ['port'], type: 'set', value: 81, oldValue: 80 }])
    db.root.config = { http: { port: 82 } }
    expect(await next()).toStrictEqual([{ path: [], type: 'set', value: db.root.config.http, oldValue: { port: 81 } }])
    db.root.config.http = 'off'
    expect(await next()).toStrictEqual([{ path: [], type: 'set', value: 'off', oldValue: { port: 82 } }])
    delete db.root.config
    expect(await next()).toStrictEqual([{ path: [], type: 'delete', oldValue: 'off' }])
    stop()
  })

  test('a path as an array, through a List; the empty one is the root', async () => {
    const db = freshDatabase()
    db.root['a.b'] = [{ n: 1 }]
    const element = collect(db, ['a.b', 0, 'n'])
    const root = collect(db, [])
    db.root['a.b'][0].n = 2
    expect(await element.next()).toStrictEqual([{ path: [], type: 'set', value: 2, oldValue: 1 }])
    expect(await root.next()).toStrictEqual([{ path: ['a.b', 0, 'n'], type: 'set', value: 2, oldValue: 1 }])
    element.stop()
    root.stop()
  })

  test('since a snapshot', async () => {
    const db = freshDatabase()
    db.root.a = 1
    const snapshot = db.snapshot()
    db.root.a = 2
    const batches: Change[][] = []
    const stop = db.watch(db.root, (changes) => batches.push(changes), { since: snapshot })
    snapshot.release()
    await settled(db)
    stop()
    expect(batches[0]![0]).toStrictEqual({ path: ['a'], type: 'set', value: 2, oldValue: 1 })
  })

  test('bursts come as one batch', async () => {
    const db = freshDatabase()
    const { next, stop } = collect(db, 'n')
    for (let i = 1; i <= 1000; i++) db.root.n = i
    expect(await next()).toStrictEqual([{ path: [], type: 'set', value: 1000, oldValue: undefined }])
    stop()
  })

  test('what the callback itself writes is reported too', async () => {
    const db = freshDatabase()
    let last = 0
    await new Promise<void>((resolve) => {
      const stop = db.watch('n', () => {
        last = db.root.n
        if (last < 50) db.root.n = last + 1
        else resolve(stop())
      })
      db.root.n = 1
    })
    expect(last).toBe(50)
  })
})

describe('the end of watching', () => {
  test('stop is idempotent, and nothing is reported after it', async () => {
    const db = freshDatabase()
    const first = collect(db, db.root)
    const second = collect(db, db.root)
    db.root.a = 1
    first.stop()
    first.stop()
    expect(await second.next()).toHaveLength(1)
    expect(first.batches).toStrictEqual([])
    second.stop()
    expect(db.stats()['pins']).toBeLessThanOrEqual(1) // that of the durable version
  })

  test('a signal ends it; one that is aborted already lets nothing begin', async () => {
    const db = freshDatabase()
    const controller = new AbortController()
    const watched = collect(db, db.root, { signal: controller.signal })
    db.root.a = 1
    controller.abort()
    const late = collect(db, db.root, { signal: controller.signal })
    db.root.a = 2
    await settled(db)
    expect([...watched.batches, ...late.batches]).toStrictEqual([])
  })

  test('closing the database ends callbacks and iterators', async () => {
    const db = freshDatabase()
    const { batches } = collect(db, db.root)
    const waiting = db.changes(db.root).next()
    db.root.a = 1
    db.close()
    await expect(waiting).resolves.toStrictEqual({ value: undefined, done: true })
    await new Promise(setImmediate)
    expect(batches).toStrictEqual([])
  })

  test('a callback that throws is an uncaught exception, and is called again', async () => {
    const program = `
      import { open } from 'pongodb'
      const db = open(process.argv[1])
      let calls = 0
      process.on('uncaughtException', (error) => { console.log(error.message); db.root.a = 2 })
      const stop = db.watch('a', () => {
        if (++calls === 1) throw new Error('from the callback')
        console.log('again')
        stop()
      })
      db.root.a = 1`
    expect(await output(program)).toBe('from the callback\nagain\n')
  })

  test('an active watcher keeps the process alive, an unreferenced one does not', async () => {
    const program = (more: string): string => `
      import { open } from 'pongodb'
      const db = open(process.argv[1])
      const stop = db.watch('a', () => { console.log('called'); stop() })
      ${more}`
    // The write comes from the loop, a little later.
    const write = `setTimeout(() => { db.root.a = 1 }, 50).unref()`
    expect(await output(program(write))).toBe('called\n')
    expect(await output(program(`stop.unref(); ${write}`))).toBe('')
    expect(await output(program(`stop.unref().ref(); ${write}`))).toBe('called\n')
    expect(await output(program(`stop(); db.changes('a'); ${write}`))).toBe('')
    expect(await output(program(`stop(); db.changes('a').next().then(() => console.log('next')); ${write}`))).toBe(
      'next\n',
    )
  })
})

async function output(program: string): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, freshPath()], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(child, 'close')
  return text
}

describe('db.changes', () => {
  test('batches when they are asked for: what happens meanwhile comes as one', async () => {
    const db = freshDatabase()
    const seen: unknown[] = []
    const changes = db.changes('n')
    db.root.n = 1
    for await (const batch of changes) {
      seen.push(batch)
      if (db.root.n === 1) {
        db.root.n = 2
        db.root.n = 3
      } else {
        break
      }
    }
    expect(seen).toStrictEqual([
      [{ path: [], type: 'set', value: 1, oldValue: undefined }],
      [{ path: [], type: 'set', value: 3, oldValue: 1 }],
    ])
    expect(await changes.next()).toStrictEqual({ value: undefined, done: true })
  })

  test('several calls of next are served in order', async () => {
    const db = freshDatabase()
    const changes = db.changes('n')
    const first = changes.next()
    const second = changes.next()
    db.root.n = 1
    expect((await first).value).toMatchObject([{ value: 1 }])
    db.root.n = 2
    expect((await second).value).toMatchObject([{ value: 2 }])
    await changes.return()
  })

  test('abort: an AbortError once, with the reason as its cause, then the end', async () => {
    const db = freshDatabase()
    const controller = new AbortController()
    const changes = db.changes(db.root, { signal: controller.signal })
    const waiting = changes.next()
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    expect(await changes.next()).toStrictEqual({ value: undefined, done: true })
    expect(() => db.changes(db.root, { signal: controller.signal })).toThrow('aborted')
    // Aborted while nobody waits: the next call hears of it.
    const later = new AbortController()
    const idle = db.changes(db.root, { signal: later.signal })
    later.abort()
    await expect(idle.next()).rejects.toMatchObject({ name: 'AbortError' })
    expect(await idle.next()).toStrictEqual({ value: undefined, done: true })
  })

  test('throw ends it with the error', async () => {
    const db = freshDatabase()
    const changes = db.changes(db.root)
    await expect(changes.throw(new Error('mine'))).rejects.toThrow('mine')
    expect(await changes.next()).toStrictEqual({ value: undefined, done: true })
  })
})

test('wrong arguments are refused by name', () => {
  const db = freshDatabase()
  const other = freshDatabase()
  const none = (): void => undefined
  const snapshot = db.snapshot()
  expectCode('ARG', () => db.watch(snapshot.root, none), 'snapshot')
  expectCode('ARG', () => db.watch(other.root, none), 'another database')
  expectCode('ARG', () => db.watch(5 as never, none), 'container or a path')
  expectCode('ARG', () => db.watch('a', 'b' as never), 'function')
  expectCode('ARG', () => db.watch('a', none, { sginal: 1 } as never), 'sginal')
  expectCode('ARG', () => db.watch('a', none, { signal: {} as never }), 'AbortSignal')
  expectCode('ARG', () => db.watch('a', none, { since: db.root as never }), 'Snapshot')
  expectCode('ARG', () => db.transaction(() => db.watch('a', none)), 'transaction')
  expectCode('ARG', () => db.transaction(() => db.changes('a')), 'transaction')
  snapshot.release()
  expectCode('SNAPSHOT', () => db.watch('a', none, { since: snapshot }))
  db.close()
  expectCode('CLOSED', () => db.watch('a', none))
  expectCode('CLOSED', () => db.changes('a'))
})

test('more watchers than a thread can pin versions: FULL, and the others go on', async () => {
  const db = freshDatabase()
  const stops: (() => void)[] = []
  let failed: unknown
  for (let i = 0; i < 300 && failed === undefined; i++) {
    db.root.version = i
    try {
      stops.push(db.watch('a', () => undefined))
    } catch (error) {
      failed = error
    }
  }
  expect((failed as { code: string }).code).toBe('PONGO_ERR_FULL')
  for (const stop of stops) stop()
  const { next, stop } = collect(db, 'a')
  db.root.a = 1
  expect(await next()).toHaveLength(1)
  stop()
})

test('nothing happens: no processor time is used', async () => {
  const db = freshDatabase()
  const { next, stop } = collect(db, db.root)
  const worker = new Worker(
    `const { open } = require('pongodb'); const { workerData, parentPort } = require('node:worker_threads')
     const db = open(workerData); db.watch(db.root, () => parentPort.postMessage('called')); parentPort.postMessage('ready')`,
    { eval: true, workerData: db.path },
  )
  await once(worker, 'message')
  const before = process.cpuUsage()
  const idle = 1000
  await new Promise((resolve) => setTimeout(resolve, idle))
  const { user, system } = process.cpuUsage(before)
  // Two event loops, the test runner, and two background threads that look at the file once per second.
  expect((user + system) / 1000).toBeLessThan(idle / 4)
  const called = once(worker, 'message')
  db.root.a = 1
  expect(await next()).toHaveLength(1)
  await called
  stop()
  await worker.terminate()
})

test('workers that are terminated while they watch and are being woken', async () => {
  const db = openAt(freshPath())
  db.root.n = 0
  let writing = true
  const writer = (async () => {
    while (writing) {
      for (let i = 0; i < 50; i++) db.root.$incr('n')
      await new Promise(setImmediate)
    }
  })()
  const program = `
    const { open } = require('pongodb'); const { workerData, parentPort } = require('node:worker_threads')
    const db = open(workerData)
    for (let i = 0; i < 5; i++) db.watch(i % 2 ? 'n' : db.root, () => parentPort.postMessage('called'))
    ;(async () => { for await (const c of db.changes('n')) ; })()`
  const rounds = Number(process.env['PONGODB_TERMINATIONS'] ?? 40)
  for (let round = 0; round < rounds; round++) {
    const workers = Array.from({ length: 2 }, () => new Worker(program, { eval: true, workerData: db.path }))
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  writing = false
  await writer
  await db.verify()
  expect(open(db.path)[Symbol.dispose]()).toBeUndefined()
})
