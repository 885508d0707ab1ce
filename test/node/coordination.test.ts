// Locks, semaphores and events within one process; between processes: test/multiprocess/locks.test.ts.

import { spawn } from 'node:child_process'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { Event, Hold, Lock, RwLock, Semaphore, type Database } from 'pongodb'
import { describe, expect, it } from 'vitest'
import { expectCode, freshDatabase, freshPath, openAt } from '../support/database'

const code = (name: string) => expect.objectContaining({ code: `PONGO_ERR_${name}` }) as Error

describe('lock', () => {
  it('is held by one, and goes to the next', async () => {
    const db = freshDatabase()
    const lock = db.lock('a')
    expect(lock).toBeInstanceOf(Lock)
    const hold = await lock.acquire()
    expect(hold).toBeInstanceOf(Hold)
    expect(lock.tryAcquire()).toBeUndefined()
    expect(db.lock('b').tryAcquire()).toBeInstanceOf(Hold) // another name
    let got = false
    const next = db.lock('a').acquire()
    void next.then(() => (got = true))
    expect(lock.tryAcquire()).toBeUndefined()
    expect(got).toBe(false)
    hold.release()
    ;(await next).release()
    expect(got).toBe(true)
    lock.tryAcquire()!.release()
  })

  it('is granted in the order of asking, whoever asks', async () => {
    const path = freshPath()
    const handles = [openAt(path), openAt(path), openAt(path)]
    const first = handles[0]!.lock('q').acquireSync()
    const order: number[] = []
    const all = Array.from({ length: 300 }, async (_, i) => {
      const hold = await handles[i % 3]!.lock('q').acquire()
      order.push(i)
      hold.release()
    })
    first.release()
    await Promise.all(all)
    expect(order).toEqual(Array.from({ length: 300 }, (_, i) => i))
  })

  it('belongs to the hold, not to who has it: not re-entrant, released once', async () => {
    const db = freshDatabase()
    const hold = db.lock('a').acquireSync()
    expectCode('TIMEOUT', () => db.lock('a').acquireSync({ timeout: 0 }), 'lock "a"')
    await expect(db.lock('a').acquire({ timeout: 0 })).rejects.toEqual(code('TIMEOUT'))
    hold.release()
    const other = db.lock('a').acquireSync()
    hold.release() // not the other's
    expect(db.lock('a').tryAcquire()).toBeUndefined()
    other.release()
    db.lock('a').acquireSync({ timeout: 0 }).release()
  })

  it('is disposable', async () => {
    const db = freshDatabase()
    const hold = db.lock('a').tryAcquire()!
    hold[Symbol.dispose]()
    const again = db.lock('a').tryAcquire()!
    await again[Symbol.asyncDispose]()
    expect(db.lock('a').tryAcquire()).toBeDefined()
  })

  it('times out, and leaves the queue then', async () => {
    const db = freshDatabase()
    const hold = db.lock('a').acquireSync()
    await expect(db.lock('a').acquire({ timeout: 5 })).rejects.toEqual(code('TIMEOUT'))
    expectCode('TIMEOUT', () => db.lock('a').acquireSync({ timeout: 1.5 }), '1.5 ms')
    hold.release()
    expect(db.lock('a').tryAcquire()).toBeDefined()
  })

  it('leaves the queue when the signal is aborted', async () => {
    const db = freshDatabase()
    const hold = db.lock('a').acquireSync()
    const controller = new AbortController()
    const waiting = db.lock('a').acquire({ signal: controller.signal })
    const second = db.lock('a').acquire({ signal: controller.signal, timeout: 60_000 })
    const third = db.lock('a').acquire()
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    await expect(second).rejects.toBe(controller.signal.reason)
    await expect(db.lock('a').acquire({ signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' })
    const reason = new Error('enough')
    await expect(db.lock('b').acquire({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    hold.release()
    ;(await third).release()
    // Aborting after the grant has no effect.
    const later = new AbortController()
    const held = await db.lock('a').acquire({ signal: later.signal })
    later.abort()
    expect(db.lock('a').tryAcquire()).toBeUndefined()
    held.release()
  })

  it('refuses wrong arguments by name', async () => {
    const db = freshDatabase()
    const lock = db.lock('a')
    for (const timeout of [-1, NaN, '5', null, -Infinity, 5n]) {
      await expect(lock.acquire({ timeout: timeout as number })).rejects.toEqual(code('ARG'))
      expectCode('ARG', () => lock.acquireSync({ timeout: timeout as number }), 'timeout')
    }
    await expect(lock.acquire({ time: 5 } as object)).rejects.toThrow(/"time"/)
    expectCode('ARG', () => lock.acquireSync({ signal: AbortSignal.abort() } as object), 'signal')
    await expect(lock.acquire({ signal: {} as AbortSignal })).rejects.toThrow(/AbortSignal/)
    await expect(lock.acquire(5 as unknown as object)).rejects.toEqual(code('ARG'))
    for (const name of [5, undefined, null, Symbol('a'), {}] as unknown[] as string[]) {
      for (const make of [
        () => db.lock(name),
        () => db.rwlock(name),
        () => db.event(name),
        () => db.semaphore(name, 1),
      ])
        expectCode('ARG', make, 'name')
    }
    ;(await lock.acquire({ timeout: Infinity })).release()
  })

  it('takes any string as a name', async () => {
    const db = freshDatabase()
    const names = ['', '\0', 'a\0b', '\ud800', '\udc00', '\ud83d\ude00', 'é', '-x', 'x'.repeat(952), '€'.repeat(317)]
    const holds = names.map((name) => db.lock(name).tryAcquire())
    expect(holds.every(Boolean)).toBe(true)
    expect(names.map((name) => db.lock(name).tryAcquire())).toEqual(names.map(() => undefined))
    expectCode('ARG', () => db.lock('x'.repeat(953)), '952')
    expectCode('ARG', () => db.event('€'.repeat(318)), '952')
    const [named] = await db.locks.request('\ud800x\ud83d\ude00', async () => (await db.locks.query()).held)
    expect(named!.name).toBe('\ud800x\ud83d\ude00')
    for (const hold of holds) hold!.release()
  })

  it('shows itself', () => {
    const db = freshDatabase()
    expect(inspect(db.lock('a'))).toBe('Lock { lock "a" }')
    expect(inspect(db.semaphore('s', 2))).toBe('Lock { semaphore "s" }')
    expect(inspect(db.event('e'))).toBe('Event { "e" }')
    expect([db.lock('a').name, db.rwlock('b').name, db.event('c').name, db.semaphore('d', 1).name].join('')).toBe(
      'abcd',
    )
  })
})

describe('rwlock', () => {
  it('lets readers in together and writers alone, in order', async () => {
    const db = freshDatabase()
    const lock = db.rwlock('r')
    expect(lock).toBeInstanceOf(RwLock)
    const readers = [await lock.read.acquire(), lock.read.tryAcquire()!, lock.read.acquireSync()]
    expect(lock.write.tryAcquire()).toBeUndefined()
    const log: string[] = []
    const writer = lock.write.acquire().then((hold) => (log.push('writer'), hold))
    expect(lock.read.tryAcquire()).toBeUndefined() // it would overtake the writer
    const late = lock.read.acquire().then((hold) => (log.push('reader'), hold))
    for (const reader of readers) reader.release()
    const writing = await writer
    expect(log).toEqual(['writer'])
    expect(lock.read.tryAcquire()).toBeUndefined()
    writing.release()
    ;(await late).release()
    expect(log).toEqual(['writer', 'reader'])
  })
})

describe('semaphore', () => {
  it('lets in as many as it says', async () => {
    const db = freshDatabase()
    const semaphore = db.semaphore('s', 3)
    expect(semaphore).toBeInstanceOf(Semaphore)
    expect(semaphore.permits).toBe(3)
    let inside = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const hold = await db.semaphore('s', 3).acquire()
        most = Math.max(most, ++inside)
        await new Promise(setImmediate)
        inside--
        hold.release()
      }),
    )
    expect(most).toBe(3)
  })

  it('has one number for all who use it', () => {
    const path = freshPath()
    const [a, b] = [openAt(path), openAt(path)]
    const used = a.semaphore('s', 2)
    expectCode('ARG', () => a.semaphore('s', 3), '"s"')
    expectCode('ARG', () => b.semaphore('s', 3), 'another number')
    expect(b.semaphore('s', 2).tryAcquire()).toBeDefined()
    for (const n of [0, -1, 1.5, NaN, '2', undefined, 2 ** 31])
      expectCode('ARG', () => a.semaphore('t', n as number), '1')
    a.close()
    b.close()
    expect(openAt(path).semaphore('s', 3).permits).toBe(3) // nobody uses it any more
    expect(used.permits).toBe(2)
  })
})

describe('event', () => {
  it('lets all go on when it is set', async () => {
    const db = freshDatabase()
    const event = db.event('e')
    expect(event).toBeInstanceOf(Event)
    expect(event.isSet).toBe(false)
    const waiting = [event.wait(), db.event('e').wait({ timeout: 60_000 })]
    event.set()
    expect(event.isSet).toBe(true)
    expect(db.event('e').isSet).toBe(true)
    expect(await Promise.all(waiting)).toEqual([undefined, undefined])
    await event.wait()
    event.waitSync()
    event.clear()
    expect(event.isSet).toBe(false)
    await expect(event.wait({ timeout: 1 })).rejects.toEqual(code('TIMEOUT'))
    expectCode('TIMEOUT', () => event.waitSync({ timeout: 1 }), 'event "e"')
    await expect(event.wait({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('wakes those who waited, even if it is cleared at once', async () => {
    const db = freshDatabase()
    const waiting = db.event('e').wait()
    db.event('e').set()
    db.event('e').clear()
    await waiting
    expect(db.event('e').isSet).toBe(false)
  })

  it('stays set while the file is open, without users', () => {
    const path = freshPath()
    const db = openAt(path)
    const other = openAt(path)
    other.event('e').set()
    other.close()
    expect(db.event('e').isSet).toBe(true)
    db.close()
    expect(openAt(path).event('e').isSet).toBe(false)
  })
})

describe('a handle', () => {
  const uses = (db: Database<any>) => [
    () => db.lock('a').tryAcquire(),
    () => db.lock('a').acquireSync(),
    () => db.rwlock('a').read.tryAcquire(),
    () => db.semaphore('a', 1).tryAcquire(),
    () => db.event('a').set(),
    () => db.event('a').clear(),
    () => db.event('a').waitSync({ timeout: 0 }),
  ]

  it('gives everything back when it is closed, and rejects what waits', async () => {
    const path = freshPath()
    const [a, b] = [openAt(path), openAt(path)]
    const hold = a.lock('a').acquireSync()
    const named = a.locks.request('n', () => new Promise(() => undefined))
    void named
    const next = b.lock('a').acquire()
    const nextNamed = b.locks.request('n', () => 'mine')
    const queued = a.lock('a').acquire()
    const event = a.event('e').wait()
    const third = b.lock('a').acquire()
    a.close()
    await expect(queued).rejects.toEqual(code('CLOSED'))
    await expect(event).rejects.toEqual(code('CLOSED'))
    hold.release()
    ;(await next).release()
    ;(await third).release()
    expect(await nextNamed).toBe('mine')
  })

  it('that is closed says so', async () => {
    const db = freshDatabase()
    const [lock, event, locks] = [db.lock('a'), db.event('e'), db.locks]
    db.close()
    await expect(lock.acquire()).rejects.toEqual(code('CLOSED'))
    expectCode('CLOSED', () => lock.tryAcquire())
    expectCode('CLOSED', () => event.isSet)
    expectCode('CLOSED', () => event.set())
    expectCode('CLOSED', () => db.lock('a'))
    expectCode('CLOSED', () => db.locks)
    await expect(locks.request('a', () => 1)).rejects.toEqual(code('CLOSED'))
    await expect(locks.query()).rejects.toEqual(code('CLOSED'))
  })

  it('that may not write has no locks', async () => {
    const path = freshPath()
    openAt(path).close()
    const db = openAt(path, { readOnly: true })
    for (const use of uses(db)) expectCode('READONLY', use)
    await expect(db.lock('a').acquire()).rejects.toEqual(code('READONLY'))
    await expect(db.event('a').wait()).rejects.toEqual(code('READONLY'))
    await expect(db.locks.request('a', () => 1)).rejects.toEqual(code('READONLY'))
  })

  it('has none inside a transaction, but releases there', async () => {
    const db = freshDatabase()
    const hold = db.lock('held').acquireSync()
    for (const use of uses(db)) expectCode('ARG', () => db.transaction(use), 'transaction')
    let acquired: Promise<unknown> | undefined
    db.transaction(() => {
      acquired = db.lock('a').acquire()
      hold.release()
    })
    await expect(acquired).rejects.toEqual(code('ARG'))
    db.lock('held').acquireSync({ timeout: 0 }).release()
  })

  it('of a worker that ends gives everything back', async () => {
    const path = freshPath()
    const db = openAt(path)
    const program = `
      const { workerData, parentPort } = require('node:worker_threads')
      const db = require(workerData.pongodb).open(workerData.path)
      const hold = db.lock('a').acquireSync()
      db.lock('b').acquire().then((b) => {
        db.lock('a').acquire()                 // pending for ever, and being watched
        db.locks.request('n', () => new Promise(() => {}))
        setImmediate(() => parentPort.postMessage('held'))
      })`
    for (let i = 0; i < 5; i++) {
      const workerData = { path, pongodb: new URL('../../dist/index.js', import.meta.url).pathname }
      const worker = new Worker(program, { eval: true, workerData })
      await once(worker, 'message')
      const next = [db.lock('a').acquire(), db.lock('b').acquire()]
      expect(db.lock('a').tryAcquire()).toBeUndefined()
      await worker.terminate()
      for (const hold of await Promise.all(next)) hold.release()
      expect(await db.locks.request('n', { ifAvailable: true }, (lock) => lock?.name)).toBe('n')
    }
  })

  describe('a worker that blocks its thread in acquireSync', () => {
    const pongodb = new URL('../../dist/index.js', import.meta.url).pathname
    const writer = `
      const { workerData } = require('node:worker_threads')
      require(workerData.pongodb).open(workerData.path).rwlock('a').write.acquireSync()`

    // Readers wait behind a waiting writer: that shows it.
    async function writerWaits(db: Database<any>): Promise<void> {
      for (let hold; (hold = db.rwlock('a').read.tryAcquire()) !== undefined; await new Promise(setImmediate))
        hold.release()
    }

    it('can be terminated, and leaves the queue', async () => {
      const path = freshPath()
      const db = openAt(path)
      const hold = db.rwlock('a').read.acquireSync()
      const worker = new Worker(writer, { eval: true, workerData: { path, pongodb } })
      await writerWaits(db)
      await worker.terminate()
      db.rwlock('a').read.tryAcquire()!.release()
      hold.release()
    })

    it('does not keep its process from ending', async () => {
      const path = freshPath()
      const db = openAt(path)
      const hold = db.rwlock('a').read.acquireSync()
      const text = `
        const { Worker } = require('node:worker_threads')
        const { path, pongodb } = ${JSON.stringify({ path, pongodb })}
        new Worker(${JSON.stringify(writer)}, { eval: true, workerData: { path, pongodb } })
        process.stdin.on('end', () => process.exit(7)).resume()`
      const child = spawn(process.execPath, ['-e', text], { stdio: ['pipe', 'inherit', 'inherit'] })
      await writerWaits(db)
      child.stdin.end()
      expect(await once(child, 'exit')).toEqual([7, null])
      hold.release()
    })
  })
})
