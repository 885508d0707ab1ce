import { describe, expect, test } from 'vitest'
import { freshDatabase } from '../support/database'
import { startProcess, startWorker, type Member } from '../support/group'

const starters: [string, (path: string) => Promise<Member>][] = [
  ['processes', startProcess],
  ['worker threads', startWorker],
]

describe.each(starters)('four %s share one database', (_name, start) => {
  const group = async (path: string): Promise<Member[]> => Promise.all([0, 1, 2, 3].map(() => start(path)))
  const all = (members: Member[], job: string, more: object = {}): Promise<any[]> =>
    Promise.all(members.map((member, i) => member.run(job, { member: i, ...more })))
  const end = (members: Member[]): Promise<unknown> => Promise.all(members.map((member) => member.end()))

  test('increments are never lost', async () => {
    const db = freshDatabase()
    db.root.counters = db.collection()
    db.root.stats = { deep: {} }
    const members = await group(db.path)
    const times = 100_000
    await all(members, 'increment', { times })
    expect(db.root.count).toBe(4 * times)
    expect(db.root.counters.get('shared')).toBe(8 * times)
    expect(db.root.stats.deep.n).toBe(4 * times)
    await end(members)
    await db.verify()
  })

  test('pushes are never lost, and keep the order of each member', async () => {
    const db = freshDatabase()
    db.root.list = []
    const members = await group(db.path)
    const times = 25_000
    await all(members, 'push', { times })
    const list = db.root.list.native() as number[]
    expect(list).toHaveLength(4 * times)
    for (let member = 0; member < 4; member++) {
      const own = list.filter((n) => Math.floor(n / times) === member)
      expect(own).toEqual(Array.from({ length: times }, (_, i) => member * times + i))
    }
    await end(members)
    await db.verify()
  })

  test('each job is taken exactly once', async () => {
    const db = freshDatabase()
    const times = 500
    db.root.queue = Array.from({ length: 2 * times }, (_, n) => ({ n }))
    db.root.jobs = db.collection()
    db.root.jobs.update(Array.from({ length: times }, (_, i) => [[i % 3, i], 2 * times + i] as const))
    const members = await group(db.path)
    const taken = (await all(members, 'work', { times })).flat() as number[]
    expect(taken.sort((a, b) => a - b)).toEqual(Array.from({ length: 3 * times }, (_, n) => n))
    expect(db.root.queue.length + db.root.jobs.size).toBe(0)
    await end(members)
    await db.verify()
  })

  test('transactions over many containers conserve the sum, in every snapshot', async () => {
    const db = freshDatabase()
    db.root.accounts = Array.from({ length: 10 }, () => ({ balance: 100 }))
    db.root.moves = 0
    const members = await group(db.path)
    const times = 400
    const done = all(members, 'transfer', { times })
    let finished = false
    void done.finally(() => (finished = true)).catch(() => undefined)
    const total = (root: any): number => root.accounts.native().reduce((sum: number, a: any) => sum + a.balance, 0)
    do {
      const snap = db.snapshot()
      expect(total(snap.root)).toBe(1000)
      snap.release()
      // Lets messages of the members in; they alone end this loop.
      await new Promise((resolve) => setImmediate(resolve))
    } while (!finished)
    await done
    expect(total(db.root)).toBe(1000)
    expect(db.root.moves).toBe(4 * times)
    await end(members)
    await db.verify()
  })

  test('modify runs again on conflict; one of all wins a cas', async () => {
    const db = freshDatabase()
    const members = await group(db.path)
    const times = 300
    await all(members, 'modify', { times })
    expect(db.root.modified.at(-1)).toBe(4 * times)
    const winners = await all(members, 'lead')
    expect(winners.filter(Boolean)).toHaveLength(1)
    expect(db.root.leader).toBe(winners.indexOf(true))
    await end(members)
  })

  test('what one writes, the others read at once', async () => {
    const db = freshDatabase()
    const members = await group(db.path)
    for (let round = 0; round < 20; round++) {
      const writer = members[round % 4]!
      await writer.run('write', { path: 'state', value: { round, list: [round] } })
      const read = await all(members, 'read', { path: 'state' })
      for (const value of read) expect(value).toEqual({ round, list: [round] })
      expect(db.root.state.list[0]).toBe(round)
    }
    await end(members)
  })

  test('a snapshot stays as it was while others write', async () => {
    const db = freshDatabase()
    db.root.list = [1, 2, 3]
    const members = await group(db.path)
    const snap = db.snapshot()
    await all(members, 'push', { times: 200 })
    expect(snap.root.list.native()).toEqual([1, 2, 3])
    expect(db.root.list.length).toBe(803)
    snap.release()
    await end(members)
  })

  test('one that is killed in the middle leaves the others working and the data whole', async () => {
    const db = freshDatabase()
    db.root.list = []
    const [victim, ...others] = await group(db.path)
    const running = await victim!.run('forever')
    expect(running).toBe('running')
    const done = Promise.all(others.map((member, i) => member.run('push', { member: i, times: 300 })))
    await victim!.kill()
    await done
    const count = db.root.endless as number
    expect(count).toBeGreaterThan(50)
    expect(db.root.a.i).toBe(db.root.b.i)
    // Its increments and pushes alternate: at most one of them is without the other.
    const pushes = db.root.list.length - 900
    expect(pushes === count || pushes === count - 1).toBe(true)
    expect(db.root.$incr('endless')).toBe(count + 1)
    await end(others)
    await db.verify()
  })
})
