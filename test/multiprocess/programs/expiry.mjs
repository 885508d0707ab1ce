// A process that shares a database and the test's clock: it answers { method, args } with the result of that method of the Collection
// under test, or works for ever at { storm: seed }.

import { createRequire } from 'node:module'
import { open } from 'pongodb'

const [, , path, clock] = process.argv
if (clock !== '') createRequire(import.meta.url)('../../../dist/binding.js').addon.followClock(clock)
const db = open(path)
const { root } = db

function storm(seed) {
  let state = seed
  const random = (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % below
  }
  for (let i = 0; ; i++) {
    const key = `key ${random(500)}`
    const { c, bounded, lru } = root
    switch (random(8)) {
      case 0:
      case 1:
        c.set(key, { i, text: 'x'.repeat(random(400)) }, { ttl: random(2000) })
        break
      case 2:
        c.set(key, i)
        break
      case 3:
        c.expire(key, random(1000))
        break
      case 4:
        c.delete(key)
        break
      case 5:
        db.transaction(() => {
          for (let k = 0; k < 20; k++) c.set(`${key} ${k}`, k, { ttl: 1 + random(500) })
        })
        break
      case 6:
        c.persist(key)
        break
      default:
        bounded?.set(key, 'y'.repeat(random(300)), random(2) === 0 ? { ttl: 1 + random(500) } : {})
        lru?.get(`key ${random(500)}`)
        lru?.set(key, { text: 'z'.repeat(random(300)) })
    }
    if (i === 100) process.send({ result: 'running' })
  }
}

process.on('message', ({ method, args, storm: seed }) => {
  if (seed !== undefined) return storm(seed)
  try {
    const result = root.c[method](...args)
    process.send({ result: result === root.c ? 'itself' : result })
  } catch (error) {
    process.send({ error: `${error.code ?? ''} ${error.stack}` })
  }
})
process.send({ result: 'ready' })
