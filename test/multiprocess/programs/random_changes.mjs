// Random changes of everything below `root.data`, and a model that follows them by what db.watch and db.changes report.

import { Collection, Dict, List, MultiCollection } from 'pongodb'

/** Numbers that repeat for a seed (mulberry32). */
export function generator(seed) {
  let state = seed | 0
  return (n) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

export function prepare(db) {
  db.root.data = { big: db.collection() }
  const { data } = db.root
  data.big.update(Array.from({ length: 3000 }, (_, i) => [i, { n: i, tags: ['a'] }]))
  data.tags = db.collection({ multi: true })
  data.list = Array.from({ length: 600 }, (_, i) => i)
  data.rows = Array.from({ length: 200 }, (_, i) => ({ i }))
  data.small = { x: 1, deep: { er: { est: [] } } }
}

const isContainer = (value) =>
  value instanceof List || value instanceof Dict || value instanceof Collection || value instanceof MultiCollection

const sizeOf = (c) => (c instanceof List ? c.length : c instanceof Dict ? c.$size : c.size)
const childAt = (c, i) => {
  if (c instanceof List) return c.at(i)
  if (c instanceof Dict) return c[Object.keys(c)[i]]
  return c.at(i)?.[1]
}

function primitive(below) {
  switch (below(7)) {
    case 0:
      return null
    case 1:
      return below(2) === 1
    case 2:
      return `short${below(9)}`
    case 3:
      return 'x'.repeat(below(300))
    case 4:
      return below(1000) / 8
    case 5:
      return `blob${below(3)}`.repeat(100)
    default:
      return below(1000)
  }
}

function fresh(below, depth = 0) {
  if (depth > 2 || below(3) > 0) return primitive(below)
  const many = below(5)
  if (below(2) === 0) return Array.from({ length: many }, () => fresh(below, depth + 1))
  return Object.fromEntries(Array.from({ length: many }, (_, i) => [`k${i}`, fresh(below, depth + 1)]))
}

// A random container, seldom a deep one.
function pick(data, below) {
  let at = data
  for (;;) {
    const size = sizeOf(at)
    if (size === 0 || (at !== data && below(3) === 0)) return at
    const child = childAt(at, below(size))
    if (isContainer(child)) at = child
    else if (at !== data) return at
  }
}

function leads(from, to, seen = new Set()) {
  if (from === to) return true
  if (!isContainer(from) || seen.has(from)) return false
  seen.add(from)
  const values = from instanceof Dict ? Object.values(from) : [...from.values()]
  return values.some((value) => leads(value, to, seen))
}

// Whether the step under way may give a container a second place. It is a transaction then: a ring, which has no plain copy, could come
// about when two processes looked at the same time.
let sharing = false

// What is put somewhere: mostly a new value, sometimes a container that has a place already.
function something(data, below, into) {
  if (!sharing || below(2) > 0) return fresh(below)
  const other = pick(data, below)
  const taken = other === data || data.big === other || other instanceof MultiCollection || other.$id === into.$id
  return taken || leads(other, into) ? fresh(below) : other
}

function changeList(list, data, below) {
  const value = () => something(data, below, list)
  switch (below(11)) {
    case 0:
      return list.push(value())
    case 1:
      return list.shift()
    case 2:
      return list.pop()
    case 3:
      return list.splice(below(list.length + 1), below(4), ...Array.from({ length: below(4) }, value))
    case 4:
      return list.insert(below(list.length + 1), value())
    case 5:
      return below(20) === 0 ? list.reverse() : list.unshift(value())
    case 6:
      return below(20) === 0 ? list.sort() : list.push(below(9))
    case 7:
      return below(30) === 0 ? (list.length = 0) : undefined
    case 8:
      return list.length > 400 ? list.splice(below(list.length), 60) : list.push(primitive(below), value())
    default:
      return list.length > 0 ? (list[below(list.length)] = value()) : undefined
  }
}

function changeKeyed(keyed, data, below) {
  const size = sizeOf(keyed)
  const root = keyed instanceof Dict
  const keys = root ? Object.keys(keyed) : undefined
  const known = () => (root ? keys[below(size)] : keyed.at(below(size))?.[0])
  const key = size > 0 && below(2) === 0 ? known() : keyed === data.big ? below(4000) : `k${below(30)}`
  if (key === undefined || (keyed === data && !key.startsWith('k'))) return // what prepare made stays
  if (below(4) === 0 && (size > 3 || below(5) === 0)) {
    if (root) delete keyed[key]
    else keyed.delete(key)
  } else if (root) {
    keyed[key] = something(data, below, keyed)
  } else {
    keyed.set(key, something(data, below, keyed))
  }
}

function changePairs(tags, below) {
  const key = `t${below(20)}`
  if (below(3) === 0) tags.delete(key)
  else if (below(3) === 0) tags.shift()
  else tags.set(key, below(5) === 0 ? { n: below(100) } : below(50))
}

function change(db, below) {
  const data = db.root.data
  const container = pick(data, below)
  if (container instanceof List) changeList(container, data, below)
  else if (container instanceof MultiCollection) changePairs(container, below)
  else changeKeyed(container, data, below)
}

// One change; others may take the containers away meanwhile.
export function step(db, below) {
  try {
    sharing = below(6) === 0
    if (sharing) db.transaction(() => change(db, below))
    else change(db, below)
  } catch (error) {
    // Another process has removed or replaced what was picked, between the picking and the change.
    if (!['PONGO_ERR_KEY', 'PONGO_ERR_TYPE', 'PONGO_ERR_INDEX'].includes(error.code) && !(error instanceof TypeError))
      throw error
  }
}

// -- the model --

const keyText = (key) => `${typeof key}:${Array.isArray(key) ? JSON.stringify(key) : String(key)}`

class Pairs {
  list = []
  add(key, value) {
    this.list.push([keyText(key), canon(value)])
  }
  remove(key, value) {
    const text = canon(value)
    const at = this.list.findIndex(([k, v]) => k === keyText(key) && v === text)
    if (at < 0) throw new Error(`the model has no pair ${String(key)} ${text}`)
    this.list.splice(at, 1)
  }
}

/** The same text for equal contents, of models and of plain copies. */
export function canon(value) {
  if (value instanceof Pairs) return `pairs${JSON.stringify(value.list.map((p) => p.join()).sort())}`
  if (Array.isArray(value)) return `[${value.map(canon).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined'
  const entries = value instanceof Map ? [...value] : Object.entries(value).map(([k, v]) => [keyText(k), v])
  const texts = entries.map(([key, inner]) => [/^\w+:/.test(String(key)) ? key : keyText(key), inner])
  return `{${texts
    .map(([key, inner]) => `${key}=${canon(inner)}`)
    .sort()
    .join()}}`
}

/** A container as a snapshot shows it, in the form of the model. */
export function copyOf(value, snapshot) {
  if (!isContainer(value)) return value
  const there = snapshot.get(value)
  if (there === undefined) return null
  if (there instanceof List) return Array.from(there, (element) => copyOf(element, snapshot))
  if (there instanceof MultiCollection) {
    const pairs = new Pairs()
    for (const [key, element] of there.entries()) pairs.add(key, copyOf(element, snapshot))
    return pairs
  }
  const map = new Map()
  const entries = there instanceof Dict ? there.$entries() : there.entries()
  for (const [key, element] of entries) map.set(keyText(key), copyOf(element, snapshot))
  return map
}

export class Model {
  #db
  #target
  state
  resets = 0
  changes = 0
  batches = 0

  /** `strict`: nobody changes anything while a batch is applied, so old values can be checked. */
  constructor(db, target, snapshot, strict = false) {
    this.#db = db
    this.#target = target
    this.strict = strict
    this.state = copyOf(target, snapshot)
  }

  #now(value) {
    const snapshot = this.#db.snapshot()
    try {
      return copyOf(value, snapshot)
    } finally {
      snapshot.release()
    }
  }

  #check(old, oldValue) {
    if (this.strict && canon(old) !== canon(oldValue))
      throw new Error(`oldValue ${canon(oldValue)}, the model has ${canon(old)}`)
  }

  apply(batch) {
    this.batches++
    for (const change of batch) {
      this.changes++
      if (change.type === 'reset') {
        this.resets++
        this.state = this.#now(this.#target)
        continue
      }
      this.#one(change)
    }
  }

  #one({ path, type, value, oldValue, index, removed, inserted }) {
    let at = this.state
    const steps = type === 'splice' ? path : path.slice(0, -1)
    for (const key of steps) at = at instanceof Map ? at.get(keyText(key)) : at[key]
    if (at === undefined) throw new Error(`the model has nothing at ${path.join('.')}`)
    if (type === 'splice') {
      at.splice(index, removed, ...inserted.map((element) => this.#now(element)))
      return
    }
    const last = path.at(-1)
    if (at instanceof Pairs) {
      if (type === 'delete') at.remove(last, oldValue)
      else at.add(last, this.#now(value))
    } else if (at instanceof Map) {
      this.#check(at.get(keyText(last)), oldValue)
      if (type === 'delete') {
        if (!at.delete(keyText(last))) throw new Error(`the model has no key ${path.join('.')}`)
      } else {
        at.set(keyText(last), this.#now(value))
      }
    } else {
      if (last >= at.length) throw new Error(`the model has no element ${path.join('.')}`)
      this.#check(at[last], oldValue)
      at[last] = this.#now(value)
    }
  }

  /** The first difference between the model and the database as it is now; undefined when there is none. */
  difference() {
    const now = canon(this.#now(this.#target))
    const mine = canon(this.state)
    if (now === mine) return undefined
    let i = 0
    while (now[i] === mine[i]) i++
    return `database ...${now.slice(Math.max(0, i - 60), i + 60)}..., model ...${mine.slice(Math.max(0, i - 60), i + 60)}...`
  }
}
