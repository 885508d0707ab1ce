// Plain copies of documents that share their property names take a way of their own (lib/packed.ts), which must give what
// the general one gives.

import { deepStrictEqual } from 'node:assert'
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { Uuid } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { freshDatabase, freshPath } from '../support/database'

const name = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('__proto__', 'constructor', 'toString', '0', '10', '2', 'a.b', '', '"', '\\', '\u2028', '${x}'),
)
const value = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary-ascii', maxLength: 600 }),
  fc.constantFrom('', '😀', 'é', 'ÿ', 'Ā', '\0', 'x'.repeat(5000)),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.bigInt(),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array(),
)
const named = fc.uniqueArray(name, { minLength: 2, maxLength: 12 })

// What is stored: a big integer that is safe reads as a number.
function stored(wanted: unknown): unknown {
  return typeof wanted === 'bigint' && Number.isSafeInteger(Number(wanted)) ? Number(wanted) : wanted
}

function document(names: readonly string[], values: readonly unknown[]): Record<string, unknown> {
  const made: Record<string, unknown> = {}
  for (const [i, key] of names.entries())
    Object.defineProperty(made, key, { value: values[i], writable: true, enumerable: true, configurable: true })
  return made
}

describe('plain copies of documents of one shape', () => {
  test('are what was stored, one by one, in pages and within others', () => {
    const db = freshDatabase()
    fc.assert(
      fc.property(
        named,
        fc.array(fc.array(value, { minLength: 12, maxLength: 12 }), { minLength: 8, maxLength: 20 }),
        (names, rows) => {
          const users = (db.root.users = db.collection())
          const wanted = rows.map((row) => document(names, row.slice(0, names.length)))
          users.update(wanted.map((doc, i) => [i, doc]))
          const expected = rows.map((row) => document(names, row.slice(0, names.length).map(stored)))
          for (const [i, doc] of expected.entries()) {
            deepStrictEqual(users.native(i), doc)
            deepStrictEqual(users.get(i).$native(), doc)
          }
          deepStrictEqual(
            [...users.range({ native: true })],
            expected.map((doc, i) => [i, doc]),
          )
          deepStrictEqual(users.native(), new Map(expected.map((doc, i) => [i, doc])))
          deepStrictEqual(
            db.transaction(() => users.native(0)),
            expected[0],
          )
        },
      ),
      { numRuns: 150 },
    )
  })

  test('documents, primitives and other containers in one page', () => {
    const db = freshDatabase()
    const users = (db.root.users = db.collection())
    const values = Array.from({ length: 600 }, (_, i) =>
      i % 5 === 0
        ? `text ${i}`
        : i % 5 === 1
          ? [i, [`${i}`]]
          : i % 5 === 2
            ? i
            : { a: i, b: `b${i}`, ...(i % 5 === 4 && { c: { d: i } }) },
    )
    users.update(values.map((one, i) => [i, one]))
    expect([...users.range({ native: true })]).toStrictEqual(values.map((one, i) => [i, one]))
    expect([...users.range({ native: true, reverse: true, offset: 3, limit: 300 })].map(([key]) => key)).toStrictEqual(
      Array.from({ length: 300 }, (_, i) => 596 - i),
    )
    for (const [i, one] of values.entries()) expect(users.native(i)).toStrictEqual(one)
    expect(users.native('absent')).toBeUndefined()
  })

  test('of a shape that an aborted transaction had made', () => {
    const db = freshDatabase()
    const users = (db.root.users = db.collection())
    for (const names of [
      ['a', 'b', 'c'],
      ['d', 'e', 'f', 'g'],
      ['x', 'y', 'z'],
    ]) {
      const make = (i: number): object =>
        document(
          names,
          names.map((key) => `${key}${i}`),
        )
      expect(() =>
        db.transaction(() => {
          for (let i = 0; i < 20; i++) users.set(i, make(i))
          expect(users.native(7)).toStrictEqual(make(7))
          throw new Error('aborted')
        }),
      ).toThrow('aborted')
      for (let i = 0; i < 20; i++) users.set(i, make(i))
      for (let i = 0; i < 20; i++) expect(users.native(i)).toStrictEqual(make(i))
    }
  })

  test('hold UUIDs as the database makes them', () => {
    const db = freshDatabase()
    const users = (db.root.users = db.collection())
    const id = Uuid.v7()
    for (let i = 0; i < 10; i++) users.set(i, { id, i })
    expect(users.native(9).id).toBeInstanceOf(Uuid)
    expect(users.native(9).id.equals(id)).toBe(true)
  })

  test('in a Node that makes no code from strings', () => {
    const path = freshPath()
    const program = `
      const { open } = require('pongodb')
      const db = open(${JSON.stringify(path)})
      const users = db.root.users = db.collection()
      for (let i = 0; i < 10; i++) users.set(i, { name: 'é' + i, ['__proto__']: i, when: new Date(i), none: null, yes: true })
      const doc = users.native(9)
      process.stdout.write(JSON.stringify([Object.keys(doc), doc.name, doc.when, Object.getPrototypeOf(doc) === Object.prototype]))
      db.close()`
    const text = execFileSync(process.execPath, ['--disallow-code-generation-from-strings', '-e', program], {
      encoding: 'utf8',
    })
    expect(JSON.parse(text)).toStrictEqual([
      ['__proto__', 'name', 'none', 'when', 'yes'],
      'é9',
      '1970-01-01T00:00:00.009Z',
      true,
    ])
  })
})
