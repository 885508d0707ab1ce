// info(), stats(), pidcache(), atoms(): what the database says about itself.

import { describe, expect, test } from 'vitest'
import { startProcess } from '../support/group'
import { freshDatabase, freshPath, openAt } from '../support/database'

describe('reports', () => {
  test('pidcache lists what this process shows', () => {
    const db = freshDatabase()
    const shown = db.collection()
    const ids = db.pidcache().get(process.pid)!
    expect(ids).toContain(shown.$id)
    expect(ids).not.toContain(db.root.$id) // it lives in any case
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
    expect([...db.pidcache().keys()]).toEqual([process.pid])
  })

  test('pidcache lists other processes, until they end', async () => {
    const path = freshPath()
    const db = openAt(path)
    db.root.list = []
    db.root.counters = db.collection()
    db.root.stats = { deep: { n: 0 } }
    const member = await startProcess(path)
    await member.run('increment', { times: 1 })
    const others = [...db.pidcache()].filter(([pid]) => pid !== process.pid)
    expect(others.length).toBe(1)
    expect(others[0]![1]).toContain(db.root.counters.$id)
    await member.kill()
    await db.gc()
    expect([...db.pidcache().keys()]).toEqual([process.pid])
  })

  test('atoms are the names that are stored once', () => {
    const db = freshDatabase()
    expect(db.atoms()).toEqual([])
    db.root.people = db.collection()
    for (let i = 0; i < 20; i++) db.root.people.set(i, { name: `n${i}`, Ünïcode: i, age: i })
    for (let i = 0; i < 20; i++) db.root.people.set(`c${i}`, { name: `n${i}`, color: 'red' })
    expect(db.atoms()).toEqual(['age', 'color', 'name', 'Ünïcode'])
  })

  test('info and stats show pins and processes', async () => {
    const db = freshDatabase()
    db.root.data = Array.from({ length: 5000 }, (_, i) => `value ${i}`)
    const pins = db.stats().pins!
    const snap = db.snapshot()
    db.root.data.splice(0)
    await db.gc({ complete: true })
    await db.sync()
    expect(db.stats().pins).toBeGreaterThan(pins - 1)
    const info = db.info()
    expect(info).toContain(db.path)
    expect(info).toMatch(new RegExp(`snapshot +${process.pid} +${snap.version} `))
    expect(info).toMatch(/durable +file/)
    expect(info).toMatch(new RegExp(`${process.pid}  threads \\d+, pins \\d+, shows \\d+ containers`))
    const held = Number(/snapshot +\d+ +\d+ +\d+ +\d+ +(\d+)/.exec(info)![1])
    expect(held).toBeGreaterThan(50_000)
    snap.release()
    expect(db.info()).not.toMatch(/snapshot +\d/)
  })
})
