// Collection and MultiCollection against a sorted array: keys of all types, ranges, ranks, counts, queue operations,
// iteration while the content changes. Keys and values must read back as they were stored, the first form of a key included.

import { inspect, isDeepStrictEqual } from 'node:util'
import { Collection, MultiCollection, Uuid } from 'pongodb'
import { expect, test } from 'vitest'
import { freshDatabase } from '../support/database'
import { beginsWith, compareKeys, lowerBound, randomKey, readsAs } from '../support/key_model'
import { operations, Random } from '../support/random'

type Pair = [key: any, value: any]

/** Uuids compare by their private bytes, which isDeepStrictEqual does not see. */
function visible(value: any): any {
  if (value instanceof Uuid) return `uuid ${value}`
  if (value instanceof Date || value instanceof Uint8Array || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(visible)
  if (typeof value.$native === 'function') return visible(value.$native())
  if (value instanceof Map) return [...value].map(visible)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visible(item)]))
}

/** The range options of a random range, and the pairs of `pairs` that it means. */
function randomRange(random: Random, pairs: readonly Pair[], key: () => any): { options: any; found: Pair[] } {
  const options: any = {}
  let found = [...pairs]
  if (random.chance(0.25)) {
    const base = key()
    const prefix =
      typeof base === 'string'
        ? [...base].slice(0, random.below(3)).join('')
        : Array.isArray(base)
          ? base.slice(0, 2)
          : 'us'
    options.prefix = prefix
    found = found.filter(([k]) => beginsWith(k, readsAs(prefix)))
  } else {
    for (const [name, keep] of [
      [random.pick(['gt', 'gte']), 1],
      [random.pick(['lt', 'lte']), -1],
    ] as const) {
      if (random.chance(0.3)) continue
      const bound = (options[name] = key())
      found = found.filter(([k]) => {
        const order = compareKeys(k, readsAs(bound)) * keep
        return order > 0 || (order === 0 && name.length === 3)
      })
    }
  }
  return { options, found }
}

/** The window of `range` on what it found. */
function window(random: Random, options: any, found: Pair[]): Pair[] {
  if (random.chance(0.5)) {
    options.reverse = random.chance(0.7)
    if (options.reverse) found = found.reverse()
  }
  if (random.chance(0.4)) found = found.slice((options.offset = random.below(20)))
  if (random.chance(0.4)) found = found.slice(0, (options.limit = random.below(20)))
  if (random.chance(0.2)) options.native = true
  return found
}

function value(random: Random): any {
  return random.pick<() => any>([
    () => random.between(-5, 5),
    () => random.pick([null, true, 'text', 'x'.repeat(500), 2n ** 70n, 0.5, NaN, -0]),
    () => random.pick([new Date(7), new Uint8Array([9]), [1, 'a'], { k: 1 }]),
  ])()
}

class Model {
  pairs: Pair[] = []

  constructor(readonly random: Random) {}

  /** A key: often one that is there. */
  key = (): any => {
    const { random, pairs } = this
    return pairs.length > 0 && random.chance(0.5) ? random.pick(pairs)[0] : randomKey(random)
  }

  position(key: any): { at: number; present: boolean } {
    const wanted = readsAs(key)
    const at = lowerBound(this.pairs, ([k]) => compareKeys(k, wanted) < 0)
    const next = this.pairs[at]
    return { at, present: next !== undefined && compareKeys(next[0], wanted) === 0 }
  }

  get(key: any): any {
    const { at, present } = this.position(key)
    return present ? this.pairs[at]![1] : undefined
  }

  set(key: any, item: any): void {
    const { at, present } = this.position(key)
    if (present) this.pairs[at]![1] = item
    else this.pairs.splice(at, 0, [readsAs(key), item])
  }

  delete(key: any): boolean {
    const { at, present } = this.position(key)
    if (present) this.pairs.splice(at, 1)
    return present
  }
}

function check(seed: number, what: () => string, got: unknown, expected: unknown): void {
  if (isDeepStrictEqual(visible(got), visible(expected))) return
  expect(visible(got), `seed ${seed}: ${what()}`).toStrictEqual(visible(expected))
  expect.fail(`seed ${seed}: ${what()}`)
}

function code(call: () => unknown): unknown {
  try {
    return call()
  } catch (error) {
    return (error as { code?: string }).code ?? error
  }
}

test('a Collection does what a sorted array of pairs does', async () => {
  const random = new Random()
  const db = freshDatabase()
  let left = operations(200_000)
  while (left > 0) {
    const c: Collection<any, any> = (db.root.c = db.collection())
    const model = new Model(random)
    const limit = random.pick([8, 60, 400, 1500])
    for (let step = 0; step < 1500 && left > 0; step++, left--) {
      const key = model.key()
      const item = value(random)
      let what = (): string => inspect(key)
      const same = (name: string, got: unknown, expected: unknown): void =>
        check(random.seed, () => `${name} ${what()}`, got, expected)
      switch (random.below(model.pairs.length > limit ? 12 : 24)) {
        case 0:
        case 1:
          same('delete', c.delete(key), model.delete(key))
          break
        case 2: {
          const old = model.get(key)
          const present = model.delete(key)
          same(
            'pop',
            code(() => c.pop(key)),
            present ? old : 'PONGO_ERR_KEY',
          )
          break
        }
        case 3:
          same('shift', c.shift(), model.pairs.shift())
          break
        case 4: {
          const rank = random.between(-model.pairs.length - 1, model.pairs.length)
          what = () => String(rank)
          same('at', c.at(rank), model.pairs.at(rank))
          same('first', c.first(), model.pairs[0])
          same('last', c.last(), model.pairs.at(-1))
          break
        }
        case 5:
          same('rank', c.rank(key), model.position(key).at)
          break
        case 6:
        case 7: {
          const { options, found } = randomRange(random, model.pairs, model.key)
          what = () => inspect(options)
          same('count', c.count(options), found.length)
          const expected = window(random, options, found)
          same('range', [...c.range(options)], expected)
          break
        }
        case 8: {
          // An iterator sees the version of its beginning, whatever happens meanwhile.
          const before = model.pairs.map(([k, v]): Pair => [k, v])
          const iterator = c[Symbol.iterator]()
          const first = iterator.next()
          for (let i = 0; i < 3; i++) {
            const other = model.key()
            c.delete(other)
            model.delete(other)
            const fresh = randomKey(random)
            c.set(fresh, i)
            model.set(fresh, i)
          }
          if (random.chance(0.1)) {
            c.clear()
            model.pairs = []
          }
          const seen = first.done === true ? [] : [first.value, ...iterator]
          same(
            'keys while it changes',
            seen.map(([k]) => k),
            before.map(([k]) => k),
          )
          break
        }
        case 9: {
          const expected = model.get(key)
          same('cas', c.cas(key, expected === undefined ? 'other' : ['other'], 5), false)
          break
        }
        case 10:
          if (random.chance(0.01)) {
            c.clear()
            model.pairs = []
          }
          same('size', c.size, model.pairs.length)
          break
        case 11: {
          const next = random.chance(0.5) ? undefined : random.between(0, 9)
          same(
            'modify',
            c.modify(key, () => next),
            next,
          )
          if (next === undefined) model.delete(key)
          else model.set(key, next)
          break
        }
        case 12: {
          const present = model.position(key).present
          same(
            'set fail',
            code(() => c.set(key, item, { fail: true }) === c),
            present ? 'PONGO_ERR_EXISTS' : true,
          )
          if (!present) model.set(key, item)
          break
        }
        case 13: {
          const old = model.get(key)
          const number = typeof old === 'number' || old === undefined
          const sum = number ? ((old as number) ?? 0) + 3 : undefined
          if (number) {
            same('incr', c.incr(key, 3), sum)
            model.set(key, sum)
          } else {
            same(
              'incr',
              code(() => c.incr(key, 3)),
              typeof old === 'bigint' ? old + 3n : 'PONGO_ERR_TYPE',
            )
            if (typeof old === 'bigint') model.set(key, old + 3n)
          }
          break
        }
        case 14: {
          const pairs = Array.from({ length: random.below(6) }, (): Pair => [model.key(), random.between(0, 99)])
          // A Map tells keys of equal bytes apart, and a key that comes again keeps its place: both change who is last.
          const entries = random.chance(0.5) ? pairs : new Map(pairs)
          c.update(entries)
          for (const [k, v] of entries) model.set(k, v)
          break
        }
        case 15: {
          const expected = model.get(key)
          same('cas', c.cas(key, expected, 'swapped'), true)
          model.set(key, 'swapped')
          break
        }
        case 16:
        case 17:
          same('get', c.get(key, 'none'), model.position(key).present ? model.get(key) : 'none')
          same('has', c.has(key), model.position(key).present)
          break
        default:
          same('set', c.set(key, item) === c, true)
          model.set(key, item)
      }
      if (step % 50 === 49) {
        what = () => 'after step'
        same('entries', [...c], model.pairs)
        same('size', c.size, model.pairs.length)
      }
    }
    check(
      random.seed,
      () => 'values',
      [...c.values()],
      model.pairs.map(([, v]) => v),
    )
    const all: Pair[] = []
    c.forEach((v, k) => all.push([k, v]))
    check(random.seed, () => 'forEach', all, model.pairs)
    for (const [at, [k]] of model.pairs.entries()) check(random.seed, () => `rank ${inspect(k)}`, c.rank(k), at)
  }
  db.root.$delete('c')
  const { orphans } = await db.verify()
  expect(orphans).toBe(0)
}, 600_000)

/** A value of a MultiCollection: a primitive, or a live container, which sorts behind all others, by its id. */
function compareValues(a: any, b: any): number {
  const x = typeof a?.$id === 'number' ? [a.$id] : a
  const y = typeof b?.$id === 'number' ? [b.$id] : b
  return compareKeys(x, y)
}

test('a MultiCollection does what a sorted array of different pairs does', async () => {
  const random = new Random()
  const db = freshDatabase()
  db.root.shared = Array.from({ length: 5 }, (_, i) => ({ i }))
  let left = operations(200_000)
  while (left > 0) {
    const c: MultiCollection<any, any> = (db.root.c = db.collection({ multi: true }))
    let pairs: Pair[] = []
    const limit = random.pick([8, 60, 400])
    const key = (): any => (pairs.length > 0 && random.chance(0.6) ? random.pick(pairs)[0] : randomKey(random))
    const item = (): any => {
      if (random.chance(0.15)) return random.pick([...db.root.shared])
      if (random.chance(0.05)) return NaN
      const made = randomKey(random)
      return Array.isArray(made) ? random.between(0, 9) : made
    }
    const place = (k: any, v: any): { at: number; present: boolean } => {
      const [x, y] = [readsAs(k), readsAs(v)]
      const order = ([a, b]: Pair): number => compareKeys(a, x) || compareValues(b, y)
      const at = lowerBound(pairs, (pair) => order(pair) < 0)
      return { at, present: at < pairs.length && order(pairs[at]!) === 0 }
    }
    const ofKey = (k: any): Pair[] => pairs.filter(([other]) => compareKeys(other, readsAs(k)) === 0)
    const add = (k: any, v: any): void => {
      const { at, present } = place(k, v)
      if (!present) pairs.splice(at, 0, [readsAs(k), readsAs(v)])
    }
    const remove = (gone: readonly Pair[]): void => {
      pairs = pairs.filter((pair) => !gone.includes(pair))
    }
    for (let step = 0; step < 1500 && left > 0; step++, left--) {
      const k = key()
      const v = pairs.length > 0 && random.chance(0.4) ? random.pick(pairs)[1] : item()
      const same = (name: string, got: unknown, expected: unknown): void =>
        check(random.seed, () => `${name} ${inspect(k)} ${inspect(v)}`, got, expected)
      switch (random.below(pairs.length > limit ? 10 : 20)) {
        case 0: {
          const found = ofKey(k)
          same('delete all', c.delete(k), found.length > 0)
          remove(found)
          break
        }
        case 1:
        case 2: {
          const { at, present } = place(k, v)
          same('delete one', c.delete(k, v), present)
          if (present) pairs.splice(at, 1)
          break
        }
        case 3: {
          const [first] = ofKey(k)
          same(
            'pop',
            code(() => c.pop(k)),
            first === undefined ? 'PONGO_ERR_KEY' : first[1],
          )
          if (first !== undefined) remove([first])
          break
        }
        case 4:
          same('shift', c.shift(), pairs.shift())
          break
        case 5: {
          const rank = random.between(-pairs.length - 1, pairs.length)
          same(`at ${rank}`, c.at(rank), pairs.at(rank))
          same('first', c.first(), pairs[0])
          same('last', c.last(), pairs.at(-1))
          break
        }
        case 6:
          same(
            'rank',
            c.rank(k),
            lowerBound(pairs, ([other]) => compareKeys(other, readsAs(k)) < 0),
          )
          break
        case 7:
        case 8: {
          const { options, found } = randomRange(random, pairs, key)
          same(`count ${inspect(options)}`, c.count(options), found.length)
          const expected = window(random, options, found)
          same(`range ${inspect(options)}`, [...c.range(options)], expected)
          break
        }
        case 9:
          same(
            'cas, incr, modify',
            [
              code(() => (c as any).cas(k, v, 1)),
              code(() => (c as any).incr(k)),
              code(() => (c as any).modify(k, () => 1)),
            ],
            Array(3).fill('PONGO_ERR_TYPE'),
          )
          break
        case 10: {
          const found = ofKey(k)
          same(
            'getAll',
            c.getAll(k),
            found.map(([, x]) => x),
          )
          same('get', c.get(k, 'none'), found.length > 0 ? found[0]![1] : 'none')
          same('has', c.has(k), found.length > 0)
          break
        }
        case 11: {
          const more = Array.from({ length: random.below(5) }, (): Pair => [key(), item()])
          c.update(more)
          for (const [a, b] of more) add(a, b)
          break
        }
        case 12: {
          const { present } = place(k, v)
          same(
            'set fail',
            code(() => c.set(k, v, { fail: true }) === c),
            present ? 'PONGO_ERR_EXISTS' : true,
          )
          add(k, v)
          break
        }
        default:
          same('set', c.set(k, v) === c, true)
          add(k, v)
      }
      if (step % 50 === 49) {
        same('entries', [...c], pairs)
        same('size', c.size, pairs.length)
      }
    }
    const grouped: Pair[] = []
    for (const [k, v] of pairs) {
      if (grouped.length > 0 && compareKeys(grouped.at(-1)![0], k) === 0) grouped.at(-1)![1].push(v)
      else grouped.push([k, [v]])
    }
    check(random.seed, () => 'native', [...c.native()], grouped)
  }
  db.root.$delete('c')
  const { orphans } = await db.verify()
  expect(orphans).toBe(0)
}, 600_000)
