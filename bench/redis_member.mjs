// One of the two processes of bench/redis.mjs: node redis_member.mjs pongodb|redis <path>

import { randomUUID } from 'node:crypto'
import { open } from 'pongodb'
import { peer } from './compare/peers.mjs'
import { member } from './harness/pair.mjs'

const [engine, path] = process.argv.slice(2)
const cacheKeys = 10_000
const value = 'v'.repeat(100)
const ttl = 60_000

// Ranks with a zipfian distribution (0.99), drawn once.
const ranks = (() => {
  const weights = Array.from({ length: cacheKeys }, (_, i) => 1 / (i + 1) ** 0.99)
  const sums = []
  let sum = 0
  for (const weight of weights) sums.push((sum += weight))
  let seed = 12345
  return Array.from({ length: 1 << 16 }, () => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    const at = (seed / 2 ** 31) * sum
    let [low, high] = [0, cacheKeys - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] < at) low = middle + 1
      else high = middle
    }
    return `key:${low}`
  })
})()

function ours() {
  const db = open(path, { durability: 'none' })
  const { root } = db
  return {
    queue({ count, member: which }) {
      const { jobs } = root
      if (which === 0) for (let i = 0; i < count / 2; i++) jobs.push(`job ${i}`)
      else for (let taken = 0; taken < count / 2;) if (jobs.shift() !== undefined) taken++
    },
    counter({ count }) {
      for (let i = 0; i < count / 2; i++) root.$incr('n')
    },
    cache({ count, member: which }) {
      const { cache } = root
      for (let i = 0; i < count / 2; i++) {
        const key = ranks[(i * 2 + which) % ranks.length]
        if (i % 10 === 0) cache.set(key, value, { ttl })
        else cache.get(key)
      }
    },
    async lock({ count }) {
      const lock = db.lock('bench')
      for (let i = 0; i < count / 2; i++) (lock.tryAcquire() ?? (await lock.acquire())).release()
    },
    async notify({ count, member: which }) {
      const [mine, theirs] = which === 0 ? ['a', 'b'] : ['b', 'a']
      root.box[mine] = 0
      // Both begin anew: 0, or 1 when the other one has seen that already and served.
      await until((check) => db.watch(['box', theirs], check), () => root.box[theirs] <= 1)
      let seen = 0
      await new Promise((resolve) => {
        const answer = () => {
          const n = root.box[theirs]
          if (n <= seen) return
          seen = n
          if (which === 1) root.box[mine] = n
          if (n === count) {
            stop()
            resolve()
          } else if (which === 0) root.box[mine] = n + 1
        }
        const stop = db.watch(['box', theirs], answer)
        if (which === 0) root.box[mine] = 1
        else answer()
      })
    },
  }
}

// Resolves when `holds()` does, looked at after each call of what `watch` is given.
function until(watch, holds) {
  return new Promise((resolve) => {
    const check = () => {
      if (!holds()) return
      stop()
      resolve()
    }
    const stop = watch(check)
    check()
  })
}

function theirs() {
  const Redis = peer('ioredis').module
  const connect = () => new (Redis.default ?? Redis)(path)
  const redis = connect()
  const subscriber = connect()
  redis.defineCommand('unlock', {
    numberOfKeys: 1,
    lua: 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end',
  })
  // `count` calls, `atOnce` of them under way at a time.
  const many = async (count, atOnce, call) => {
    let next = 0
    const worker = async () => {
      while (next < count) await call(next++)
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
  }
  return {
    async queue({ count, atOnce, member: which }) {
      if (which === 0) await many(count / 2, atOnce, (i) => redis.lpush('jobs', `job ${i}`))
      else {
        let taken = 0
        const worker = async () => {
          while (taken < count / 2) if ((await redis.rpop('jobs')) !== null) taken++
        }
        await Promise.all(Array.from({ length: atOnce }, worker))
      }
    },
    async counter({ count, atOnce }) {
      await many(count / 2, atOnce, () => redis.incr('n'))
    },
    async cache({ count, atOnce, member: which }) {
      await many(count / 2, atOnce, (i) => {
        const key = ranks[(i * 2 + which) % ranks.length]
        return i % 10 === 0 ? redis.set(key, value, 'PX', ttl) : redis.get(key)
      })
    },
    async lock({ count }) {
      const token = randomUUID()
      for (let i = 0; i < count / 2; i++) {
        while ((await redis.set('lock', token, 'PX', 10_000, 'NX')) === null);
        await redis.unlock('lock', token)
      }
    },
    async notify({ count, member: which }) {
      const [mine, theirs] = which === 0 ? ['a', 'b'] : ['b', 'a']
      await subscriber.subscribe(theirs)
      await new Promise((resolve) => {
        subscriber.on('message', (_, text) => {
          const n = Number(text)
          if (n === 0) return // from untilHeard
          if (which === 1) void redis.publish(mine, n)
          if (n === count) resolve()
          else if (which === 0) void redis.publish(mine, n + 1)
        })
        if (which === 0) void untilHeard(redis, mine).then(() => redis.publish(mine, 1))
      })
      subscriber.removeAllListeners('message')
      await subscriber.unsubscribe(theirs)
    },
  }
}

// Until the other one has subscribed.
async function untilHeard(redis, channel) {
  while ((await redis.publish(channel, 0)) === 0);
}

const jobs = engine === 'redis' ? theirs() : ours()

member(async (job) => {
  const began = process.hrtime.bigint()
  await jobs[job.name](job)
  const seconds = Number(process.hrtime.bigint() - began) / 1e9
  // Of notify: one way of a round trip.
  return { seconds: job.name === 'notify' ? seconds / job.count / 2 : seconds }
})
