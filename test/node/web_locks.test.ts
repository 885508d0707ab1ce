// db.locks against what the Web Locks API specifies.

import { LockManager } from 'pongodb'
import { describe, expect, it } from 'vitest'
import { freshDatabase, freshPath, openAt } from '../support/database'

const named = (name: string) => expect.objectContaining({ name }) as Error
const never = () => expect.unreachable()

function deferred<T = void>() {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((r) => (resolve = r))
  return { promise, resolve }
}

// A lock that is held until the returned function is called.
async function holding(locks: LockManager, name: string, mode: 'exclusive' | 'shared' = 'exclusive') {
  const held = deferred()
  const release = deferred()
  const request = locks.request(name, { mode }, async () => {
    held.resolve()
    await release.promise
  })
  await held.promise
  return { release: release.resolve, request }
}

describe('locks.request', () => {
  it('passes the lock, and what the callback returns', async () => {
    const { locks } = freshDatabase()
    expect(locks).toBeInstanceOf(LockManager)
    expect(Object.prototype.toString.call(locks)).toBe('[object LockManager]')
    const seen = await locks.request('a', (lock) => [lock.name, lock.mode, Object.prototype.toString.call(lock)])
    expect(seen).toEqual(['a', 'exclusive', '[object Lock]'])
    expect(await locks.request('a', { mode: 'shared' }, (lock) => lock!.mode)).toBe('shared')
    expect(await locks.request('a', null, async () => await Promise.resolve(3))).toBe(3)
    const error = new Error('from the callback')
    await expect(
      locks.request('a', () => {
        throw error
      }),
    ).rejects.toBe(error)
    await expect(locks.request('a', () => Promise.reject(error))).rejects.toBe(error)
    expect((await locks.query()).held).toEqual([]) // a failure gives it back
  })

  it('calls back later, not at once, and in order', async () => {
    const { locks } = freshDatabase()
    const log: string[] = []
    const requests = ['a', 'b', 'c'].map((text) => locks.request('x', () => void log.push(text)))
    const shared = ['d', 'e'].map((text) => locks.request('x', { mode: 'shared' }, () => void log.push(text)))
    log.push('now')
    await Promise.all([...requests, ...shared])
    expect(log).toEqual(['now', 'a', 'b', 'c', 'd', 'e'])
  })

  it('keeps the order of modes: a shared request does not overtake', async () => {
    const { locks } = freshDatabase()
    const first = await holding(locks, 'x', 'shared')
    const second = await holding(locks, 'x', 'shared')
    const log: string[] = []
    const exclusive = locks.request('x', () => void log.push('exclusive'))
    const shared = locks.request('x', { mode: 'shared' }, () => void log.push('shared'))
    expect(await locks.request('x', { mode: 'shared', ifAvailable: true }, (lock) => lock)).toBeNull()
    first.release()
    second.release()
    await Promise.all([exclusive, shared])
    expect(log).toEqual(['exclusive', 'shared'])
  })

  it('ifAvailable: null instead of waiting', async () => {
    const { locks } = freshDatabase()
    const held = await holding(locks, 'x')
    expect(await locks.request('x', { ifAvailable: true }, (lock) => lock)).toBeNull()
    expect(await locks.request('x', { ifAvailable: true, mode: 'shared' }, (lock) => lock)).toBeNull()
    await expect(locks.request('x', { ifAvailable: true }, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    held.release()
    await held.request
    expect(await locks.request('x', { ifAvailable: true }, (lock) => lock?.name)).toBe('x')
  })

  it('steal: takes it from whoever has it, before those who wait', async () => {
    const path = freshPath()
    const { locks } = openAt(path)
    const others = openAt(path).locks
    const victims = [await holding(locks, 'x', 'shared'), await holding(others, 'x', 'shared')]
    const log: string[] = []
    const waiting = locks.request('x', () => void log.push('waited'))
    await others.request('x', { steal: true }, () => void log.push('stole'))
    for (const victim of victims) await expect(victim.request).rejects.toEqual(named('AbortError'))
    await waiting
    expect(log).toEqual(['stole', 'waited'])
    await expect(victims[0]!.request).rejects.toBeInstanceOf(DOMException)
    expect(await locks.query()).toEqual({ held: [], pending: [] })
  })

  it('a signal ends the waiting, not the holding', async () => {
    const { locks } = freshDatabase()
    const held = await holding(locks, 'x')
    const controller = new AbortController()
    const waiting = locks.request('x', { signal: controller.signal }, never)
    controller.abort()
    await expect(waiting).rejects.toEqual(named('AbortError'))
    await expect(locks.request('x', { signal: controller.signal }, never)).rejects.toBe(controller.signal.reason)
    held.release()
    await held.request
    // Aborted in the same turn: it had been granted, but the callback had not been called.
    const soon = new AbortController()
    const request = locks.request('x', { signal: soon.signal }, never)
    soon.abort('my reason')
    await expect(request).rejects.toBe('my reason')
    const late = new AbortController()
    expect(
      await locks.request('x', { signal: late.signal }, async () => {
        late.abort()
        return await Promise.resolve('done')
      }),
    ).toBe('done')
    expect(await locks.query()).toEqual({ held: [], pending: [] })
  })

  it('refuses as specified', async () => {
    const { locks } = freshDatabase()
    const { signal } = new AbortController()
    const request = locks.request.bind(locks) as (...given: unknown[]) => Promise<unknown>
    for (const given of [
      ['-a', never],
      ['-', never],
      ['a', { steal: true, ifAvailable: true }, never],
      ['a', { steal: true, mode: 'shared' }, never],
      ['a', { signal, steal: true }, never],
      ['a', { signal, ifAvailable: true }, never],
    ]) {
      await expect(request(...given)).rejects.toEqual(named('NotSupportedError'))
      await expect(request(...given)).rejects.toBeInstanceOf(DOMException)
    }
    for (const given of [
      [],
      ['a'],
      ['a', {}],
      ['a', {}, 5],
      ['a', undefined, undefined],
      ['a', { mode: 'other' }, never],
      ['a', { mode: null }, never],
      ['a', { signal: {} }, never],
      ['a', 5, never],
      [Symbol('a'), never],
    ]) {
      await expect(request(...given)).rejects.toBeInstanceOf(TypeError)
    }
    await expect(request('x'.repeat(953), never)).rejects.toMatchObject({ code: 'PONGO_ERR_ARG' })
    expect(await request(5, (lock: { name: string }) => lock.name)).toBe('5')
    expect(await request('', { unknown: 1 }, (lock: { name: string }) => lock.name)).toBe('')
  })

  it('does not share names with db.lock', async () => {
    const db = freshDatabase()
    const hold = db.lock('x').acquireSync()
    expect(await db.locks.request('x', { ifAvailable: true }, (lock) => lock?.name)).toBe('x')
    hold.release()
  })
})

describe('locks.query', () => {
  it('shows what is held and pending, and by whom', async () => {
    const path = freshPath()
    const [a, b] = [openAt(path).locks, openAt(path).locks]
    const held = [await holding(a, 'x', 'shared'), await holding(b, 'x', 'shared'), await holding(a, 'y')]
    const waiting = [b.request('x', () => undefined), a.request('x', { mode: 'shared' }, () => undefined)]
    const { held: now, pending } = await b.query()
    expect(now.map(({ name, mode }) => `${name} ${mode}`).sort()).toEqual(['x shared', 'x shared', 'y exclusive'])
    expect(pending.map(({ name, mode }) => `${name} ${mode}`)).toEqual(['x exclusive', 'x shared'])
    const ids = new Set([...now, ...pending].map(({ clientId }) => clientId))
    expect(ids.size).toBe(2)
    expect(pending[0]!.clientId).not.toBe(pending[1]!.clientId)
    for (const lock of held) lock.release()
    await Promise.all(waiting)
    expect(await a.query()).toEqual({ held: [], pending: [] })
  })
})
