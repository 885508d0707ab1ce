// Locks between processes and worker threads: who holds one may be killed in any way.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Database } from 'pongodb'
import { describe, expect, it } from 'vitest'
import { freshPath, openAt } from '../support/database'
import { startProcess, startWorker } from '../support/group'

const program = fileURLToPath(new URL('programs/locker.mjs', import.meta.url))
const process_ = (path: string) => startProcess(path, program)
const worker = (path: string) => startWorker(path, program)

// Until `count` requests wait for named locks: what they were sent is under way only.
async function pending(db: Database<any>, count: number): Promise<void> {
  while ((await db.locks.query()).pending.length < count) await new Promise(setImmediate)
}

describe('locks between processes', () => {
  it('exclude each other: a read and a write apart are one step', async () => {
    const path = freshPath()
    const db = openAt(path)
    const members = await Promise.all([process_(path), process_(path), worker(path)])
    await Promise.all(members.map((member, i) => member.run('count', { times: 100, sync: i === 0 })))
    expect(db.root.n).toBe(300)
    await Promise.all(members.map((member) => member.end()))
  })

  it('are granted in the order of asking', async () => {
    const path = freshPath()
    const db = openAt(path)
    const members = await Promise.all([process_(path), process_(path)])
    let release!: () => void
    const mine = db.locks.request('q', () => new Promise<void>((resolve) => (release = resolve)))
    const order: number[] = []
    const waiting: Promise<void>[] = []
    for (let i = 0; i < 4; i++) {
      const member = members[i % 2]!
      if (i < 2) {
        waiting.push(member.run('request', { name: 'q' }).then(() => void order.push(i)))
      } else {
        waiting.push(db.locks.request('q', () => void order.push(i)))
      }
      await pending(db, i + 1)
    }
    release()
    await mine
    await waiting[0]
    expect(order).toEqual([0])
    await members[0]!.kill() // the holder
    await waiting[1]
    await members[1]!.kill()
    await Promise.all(waiting)
    expect(order).toEqual([0, 1, 2, 3])
  })

  it('come back when their holder is killed, exits, closes or is terminated', async () => {
    const path = freshPath()
    const db = openAt(path)
    const what = { name: 'a' }
    for (const how of ['SIGKILL', 'exit', 'reopen', 'end', 'terminate']) {
      const holder = await (how === 'terminate' ? worker : process_)(path)
      await holder.run('acquireSync', what)
      await holder.run('acquire', { kind: 'write', name: 'a' })
      await holder.run('acquire', { kind: 'semaphore', name: 'a', n: 1 })
      await holder.run('request', { name: 'a' })
      expect(db.lock('a').tryAcquire()).toBeUndefined()
      const next = Promise.all([
        db.lock('a').acquire(),
        db.rwlock('a').read.acquire(),
        db.semaphore('a', 1).acquire(),
        db.locks.request('a', () => ({ release: () => undefined })),
      ])
      if (how === 'SIGKILL' || how === 'terminate') await holder.kill()
      else if (how === 'exit') void holder.run('exit').catch(() => undefined)
      else if (how === 'end') await holder.end()
      else await holder.run('reopen')
      for (const hold of await next) hold.release()
      if (how === 'reopen') await holder.end()
    }
  })

  it('pass over a waiter that was killed', async () => {
    const path = freshPath()
    const db = openAt(path)
    let release!: () => void
    const mine = db.locks.request('a', () => new Promise<void>((resolve) => (release = resolve)))
    const waiter = await process_(path)
    waiter.run('request', { name: 'a' }).catch(() => undefined)
    await pending(db, 1)
    const next = db.locks.request('a', () => 'next')
    await waiter.kill()
    release()
    await mine
    expect(await next).toBe('next')
  })

  it('are kept by a process that is stopped, and by nobody else', async () => {
    const path = freshPath()
    const db = openAt(path)
    const member = await process_(path)
    await member.run('acquireSync', { name: 'a' })
    member.signal('SIGSTOP')
    await expect(db.lock('a').acquire({ timeout: 200 })).rejects.toMatchObject({ code: 'PONGO_ERR_TIMEOUT' })
    db.lock('b').acquireSync().release()
    const next = db.lock('a').acquire()
    member.signal('SIGCONT')
    await member.run('release', { hold: 0 })
    ;(await next).release()
    await member.end()
  })

  it('can be stolen across processes', async () => {
    const path = freshPath()
    const db = openAt(path)
    const member = await process_(path)
    expect(await member.run('request', { name: 'a' })).toBe('held')
    expect(await db.locks.request('a', { steal: true }, () => 'stolen')).toBe('stolen')
    expect(await member.next()).toBe('AbortError')
    await member.kill()
  })

  it('keep the event loop running while one is waited for, and not longer', async () => {
    const path = freshPath()
    const db = openAt(path)
    const hold = db.lock('a').acquireSync()
    const waiting = db.locks.request('up', () => new Promise(() => undefined))
    void waiting.catch(() => undefined)
    const text = `
      import { open } from 'pongodb'
      const db = open(${JSON.stringify(path)})
      db.event('started').set()
      const hold = await db.lock('a').acquire()
      console.log('held')
      db.locks.request('mine', () => new Promise(() => {}))   // held: no reason to stay`
    const child = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (data) => (output += String(data)))
    const exited = once(child, 'exit')
    await db.event('started').wait()
    hold.release()
    expect(await exited).toEqual([0, null])
    expect(output).toBe('held\n')
  })
})

describe('events and semaphores between processes', () => {
  it('wake everybody', async () => {
    const path = freshPath()
    const db = openAt(path)
    const members = await Promise.all([process_(path), worker(path)])
    const waiting = members.map((member) => member.run('wait', { name: 'e' }))
    db.event('e').set()
    await Promise.all([...waiting, db.event('e').wait()])
    expect(await members[0]!.run('isSet', { name: 'e' })).toBe(true)
    await Promise.all(members.map((member) => member.kill()))
    expect(db.event('e').isSet).toBe(true)
  })

  it('agree on the number of permits', async () => {
    const path = freshPath()
    const db = openAt(path)
    const member = await process_(path)
    expect(await member.run('tryAcquire', { kind: 'semaphore', name: 's', n: 2 })).toBe(true)
    expect(() => db.semaphore('s', 3)).toThrow(/another number/)
    await member.end()
    expect(db.semaphore('s', 3).tryAcquire()).toBeDefined()
  })
})
