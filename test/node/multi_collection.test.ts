import { MultiCollection } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase } from '../support/database'

describe('a MultiCollection', () => {
  test('many values for one key, each once, in order', () => {
    const db = freshDatabase()
    const c: MultiCollection = (db.root.m = db.collection({ multi: true }))
    c.set('red', 3).set('red', 1).set('red', 1).set('blue', 2)
    expect(c).toBeInstanceOf(MultiCollection)
    expect(c.size).toBe(3)
    expect(c.get('red')).toBe(1)
    expect(c.getAll('red')).toEqual([1, 3])
    expect(c.getAll('none')).toEqual([])
    expect([...c]).toEqual([
      ['blue', 2],
      ['red', 1],
      ['red', 3],
    ])
    expect(c.native()).toEqual(
      new Map([
        ['blue', [2]],
        ['red', [1, 3]],
      ]),
    )
    expect(c.json()).toBe('{"blue":[2],"red":[1,3]}')
    expect(c.delete('red', 2)).toBe(false)
    expect(c.delete('red', 1)).toBe(true)
    expect(c.getAll('red')).toEqual([3])
    c.set('red', 4)
    expect(c.pop('red')).toBe(3)
    expect(c.delete('red')).toBe(true)
    expect(c.delete('red')).toBe(false)
    expect(c.shift()).toEqual(['blue', 2])
    expectCode('KEY', () => c.pop('red'))
    for (const name of ['cas', 'incr', 'modify'] as const) expectCode('TYPE', () => (c as any)[name]('a', 1, 2))
  })

  test('containers as values go by identity', () => {
    const db = freshDatabase()
    db.root.a = { n: 1 }
    db.root.b = { n: 1 }
    const c = (db.root.m = db.collection({ multi: true }))
    c.set('k', db.root.b).set('k', db.root.a).set('k', db.root.a)
    expect(c.getAll('k')).toEqual([db.root.a, db.root.b])
    expect(c.delete('k', db.root.a)).toBe(true)
    expect(c.getAll('k')[0]).toBe(db.root.b)
    expect(db.root.a.n).toBe(1)
  })

  test('a deep copy in another database is one too', () => {
    const db = freshDatabase()
    const other = freshDatabase()
    db.root.a = { tags: db.collection({ multi: true }).set('red', 1).set('red', 2) }
    other.root.copy = db.root.a
    expect(other.root.copy.tags).toBeInstanceOf(MultiCollection)
    expect(other.root.copy.tags.getAll('red')).toEqual([1, 2])
  })
})
