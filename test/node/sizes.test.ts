// Large values, and all the bits of numbers.

import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase, nested } from '../support/database'
import { Random } from '../support/random'

test('doubles of random bits read back bit for bit', () => {
  const random = new Random()
  const { root } = freshDatabase()
  const bits = new BigUint64Array(20_000)
  const doubles = new Float64Array(bits.buffer)
  const words = new Uint32Array(bits.buffer)
  for (let i = 0; i < words.length; i++) words[i] = random.below(2 ** 32)
  // A NaN has one form.
  for (let i = 0; i < doubles.length; i++) if (Number.isNaN(doubles[i])) doubles[i] = NaN
  root.list = [...doubles]
  expect(new BigUint64Array(Float64Array.from(root.list.native()).buffer)).toEqual(bits)
  expect(new BigUint64Array(Float64Array.from([...root.list]).buffer)).toEqual(bits)
  const c = freshDatabase().collection()
  for (let i = 0; i < 2000; i++) {
    c.set(i, doubles[i])
    if (!Object.is(c.get(i), doubles[i])) expect.fail(`seed ${random.seed}: ${doubles[i]}`)
    // As a key too, where -0 is 0.
    if (Number.isNaN(doubles[i])) continue
    c.set([doubles[i]!], i)
    if (c.get([doubles[i]!]) !== i) expect.fail(`seed ${random.seed}: the key ${doubles[i]}`)
  }
})

test('big integers of any size', () => {
  const random = new Random()
  const { root } = freshDatabase()
  for (const size of [8, 63, 64, 65, 127, 128, 1000, 2047, 2048, 100_000, 1_000_000]) {
    let digits = '0x1'
    for (let i = 4; i < size; i += 4) digits += random.below(16).toString(16)
    for (const value of [BigInt(digits), -BigInt(digits)]) {
      const expected = Number.isSafeInteger(Number(value)) ? Number(value) : value
      root.value = value
      root.list = [value]
      // Not toBe: printing such a number takes its time.
      expect(root.value === expected && root.list[0] === expected && root.list.native()[0] === expected).toBe(true)
    }
  }
})

test('a string of 256 MB, and a long one beyond ASCII', () => {
  const { root } = freshDatabase()
  for (const text of ['abcdefgh'.repeat(2 ** 25), 'é✓😀'.repeat(2 ** 20)]) {
    root.text = text
    expect(root.text === text).toBe(true)
  }
  expect(delete root.text).toBe(true)
})

test('long keys, as properties, in Collections and in tuples', () => {
  const db = freshDatabase()
  const c = db.collection()
  db.root.d = {}
  for (const size of [255, 256, 4096, 65_536, 1_000_000]) {
    const key = 'k'.repeat(size)
    db.root.d[key] = size
    c.set(key, size).set([key, 1], size).set(new Uint8Array(size), size)
    expect(db.root.d[key]).toBe(size)
    expect([c.get(key), c.get([key, 1]), c.get(new Uint8Array(size)), c.get(`${key}x`)]).toEqual([
      size,
      size,
      size,
      undefined,
    ])
  }
  expect(Object.keys(db.root.d).map((key) => key.length)).toEqual([255, 256, 4096, 65_536, 1_000_000])
  expect([...c.values()].slice(0, 5)).toEqual([255, 256, 4096, 65_536, 1_000_000])
})

test('an array of 1,000,000 elements in one assignment', () => {
  const { root } = freshDatabase()
  const array = Array.from({ length: 1_000_000 }, (_, i) => (i % 3 === 0 ? i : i % 3 === 1 ? i / 7 : `element ${i}`))
  root.list = array
  expect(root.list.length).toBe(1_000_000)
  const copy = root.list.native() as unknown[]
  expect(copy.length === array.length && copy.every((item, i) => item === array[i])).toBe(true)
  expect(root.list[777_777]).toBe(array[777_777])
  expect(root.list.splice(500_000, 2)).toEqual(array.slice(500_000, 500_002))
  expect(root.list.length).toBe(999_998)
})

test('10,000 properties in one Dict', () => {
  const { root } = freshDatabase()
  const names = Array.from({ length: 10_000 }, (_, i) => `name${i}`)
  root.d = Object.fromEntries(names.map((name, i) => [name, i]))
  expect(root.d.$size).toBe(10_000)
  expect(Object.keys(root.d)).toEqual([...names].sort())
  for (const [i, name] of names.entries()) if (root.d[name] !== i) expect.fail(name)
  for (const name of names.slice(0, 9_999)) delete root.d[name]
  expect(root.d.$native()).toEqual({ name9999: 9999 })
})

describe('512 levels', () => {
  test('are written and read in a worker with a small stack, and 513 is an error', async () => {
    const db = freshDatabase()
    db.root.deep = nested(512)
    const program = fileURLToPath(new URL('../multiprocess/programs/deep.mjs', import.meta.url))
    const worker = new Worker(program, { workerData: db.path, resourceLimits: { stackSizeMb: 0.5 } })
    const [message] = (await once(worker, 'message')) as [Record<string, unknown>]
    expect(message).toEqual({
      'store 512': 'done',
      'store 513': 'PONGO_ERR_DEPTH',
      'store 513 as objects': 'PONGO_ERR_DEPTH',
      'read natively': 512,
      'read natively through a Dict': 512,
      'read level by level': 512,
      'json out': 512,
      'json in': 512,
      'json 513': 'PONGO_ERR_DEPTH',
      cas: true,
      'cas by a live container': true,
      remove: 0,
      search: 1,
      'copy from another database': 512,
      inspect: 'done',
      'inspect without end': 'done',
      'JSON.stringify': 'done',
    })
    await worker.terminate()
    expect(db.root.fromWorker.native()).toEqual(nested(512))
  })

  test('live containers may nest deeper, but have no plain copy then', () => {
    const { root } = freshDatabase()
    root.deep = nested(512)
    root.deeper = [root.deep]
    expect(root.deeper[0][0]).toBe(root.deep[0])
    expectCode('DEPTH', () => root.deeper.native())
    expectCode('DEPTH', () => root.deeper.json())
    expect(root.deep.native()).toEqual(nested(512))
  })
})
