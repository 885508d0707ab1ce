import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { freshDatabase } from '../support/database'
import { startProcess, type Member } from '../support/group'

const program = fileURLToPath(new URL('./programs/watcher.mjs', import.meta.url))
const start = (path: string, ...more: string[]): Promise<Member> => startProcess(path, program, ...more)

interface Followed {
  difference: string | null
  changes: number
  batches: number
  resets: number
}

// 100,000 in all for a release: PONGODB_CHANGES=100000.
const changesInAll = Number(process.env['PONGODB_CHANGES'] ?? 6000)

test('models that apply what watchers report equal the database in the end, whenever they began and however slow', async () => {
  const db = freshDatabase()
  const { prepare } = (await import('./programs/random_changes.mjs' as string)) as { prepare(db: unknown): void }
  prepare(db)
  const writers = await Promise.all([0, 1, 2].map(() => start(db.path)))
  const readers = await Promise.all([start(db.path, 'readOnly'), start(db.path)])
  await readers[0]!.run('follow', { name: 'callback', how: 'callback' })
  await readers[1]!.run('follow', { name: 'slow', how: 'iteration', milliseconds: 100 })
  await readers[1]!.run('restless')
  const seed = Number(process.env['PONGODB_SEED'] ?? (Math.random() * 2 ** 31) >>> 0)
  const half = Math.ceil(changesInAll / 6)
  await Promise.all(writers.map((writer, i) => writer.run('churn', { seed: seed + i, steps: half })))
  await readers[0]!.run('follow', { name: 'late', how: 'iteration' })
  await writers[0]!.run('follow', { name: 'in a writer', how: 'callback' })
  await Promise.all(writers.map((writer, i) => writer.run('churn', { seed: seed + 10 + i, steps: half })))
  db.root.data.end = true
  for (const member of [...readers, ...writers]) {
    const results = (await member.run('finish')) as Record<string, Followed>
    for (const [name, { difference, changes, resets }] of Object.entries(results)) {
      expect(difference, `the model of ${name}, seed ${seed}`).toBeNull()
      expect(changes).toBeGreaterThan(0)
      expect(resets).toBe(0)
    }
  }
  await Promise.all([...readers, ...writers].map((member) => member.end()))
  await db.verify()
})

test('a ping-pong of two processes that only wait for each other', async () => {
  const db = freshDatabase()
  const players = await Promise.all([start(db.path), start(db.path)])
  const times = Number(process.env['PONGODB_PINGPONGS'] ?? 4000)
  await Promise.all(players.map((player, i) => player.run('join', { serve: i === 0 })))
  const played = await Promise.all(players.map((player, i) => player.run('play', { serve: i === 0, times })))
  expect(played).toStrictEqual([times, times])
  await Promise.all(players.map((player) => player.end()))
})

test('a process that is killed while it waits is not waited for', async () => {
  const db = freshDatabase()
  const [idle, player] = await Promise.all([start(db.path), start(db.path)])
  await Promise.all([idle, player].map((member) => member.run('join', { serve: false })))
  const waiting = idle.run('play', { serve: false, times: 1 })
  waiting.catch(() => undefined)
  await idle.kill()
  await expect(waiting).rejects.toThrow('gone')
  // Its slot is adopted; wakers and sleepers go on.
  await db.gc({ complete: true })
  const game = player.run('play', { serve: false, times: 10 })
  const seen: number[] = []
  const pongs = db.changes('pong')
  for (let i = 1; i <= 10; i++) {
    db.root.ping = i
    seen.push(((await pongs.next()).value as { value: number }[])[0]!.value)
  }
  expect(seen).toStrictEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  await game
  await player.end()
})
