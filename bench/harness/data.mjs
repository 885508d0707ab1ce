// The data that every engine is given: the same keys, values, documents and orders in each run.

/** A fixed sequence of numbers in [0, 1), so that two runs do the same (mulberry32). */
export function randomFrom(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export function shuffled(array, seed = 1) {
  const random = randomFrom(seed)
  for (let i = array.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[array[i], array[j]] = [array[j], array[i]]
  }
  return array
}

/**
 * `count` keys `user:N` in random order, made in the order of their use: otherwise walking over the strings themselves misses
 * the caches of the processor, and a good part of what is measured would be that.
 */
export function keysOf(count, seed = 1) {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  return Array.from(shuffled(order, seed), (i) => `user:${i}`)
}

/** 1,000 different ASCII strings of `size` characters. */
export function valuesOf(size) {
  return Array.from({ length: 1000 }, (_, i) => {
    const number = String(i).padStart(Math.min(8, size), '0').slice(-size)
    return number + 'abcdefgh'.repeat(Math.ceil(size / 8)).slice(0, size - number.length)
  })
}

/** A document with ten fields, as an application has them. */
export function documentOf(i) {
  return {
    name: `Alexandra Example ${i % 1000}`,
    email: `alex.${i}@example.org`,
    age: 20 + (i % 60),
    score: i * 1.25 + 0.5,
    active: i % 3 !== 0,
    city: 'Santiago de Compostela',
    country: 'ES',
    visits: i,
    note: 'likes long walks and short functions',
    tag: null,
  }
}

const fieldNames = Array.from({ length: 10 }, (_, i) => `field${i}`)

/** A record as YCSB has it: ten fields of 100 characters. */
export function ycsbRecord(i) {
  const text = valuesOf.hundred ?? (valuesOf.hundred = valuesOf(100))
  return Object.fromEntries(fieldNames.map((name, f) => [name, text[(i * 10 + f) % 1000]]))
}

/** Key numbers of a zipfian distribution (theta 0.99) over [0, n), scattered over the key space as YCSB does it. */
export function zipfian(n, seed, theta = 0.99) {
  // Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994.
  const random = randomFrom(seed)
  const zeta = (count) => {
    let sum = 0
    for (let i = 1; i <= count; i++) sum += 1 / i ** theta
    return sum
  }
  const zetaN = zeta(n)
  const alpha = 1 / (1 - theta)
  const eta = (1 - (2 / n) ** (1 - theta)) / (1 - zeta(2) / zetaN)
  return {
    /** The rank, 0 the most frequent. */
    rank() {
      const u = random()
      const uz = u * zetaN
      if (uz < 1) return 0
      if (uz < 1 + 0.5 ** theta) return 1
      return Math.floor(n * (eta * u - eta + 1) ** alpha)
    },
    next() {
      // 32-bit FNV-1a of the rank.
      let hash = 0x811c9dc5
      for (let rank = this.rank(), i = 0; i < 4; i++, rank >>>= 8) hash = Math.imul(hash ^ (rank & 0xff), 0x01000193)
      return (hash >>> 0) % n
    },
  }
}
