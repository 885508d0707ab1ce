// Does a List stay as fast when it is long? push, shift, insert and splice in the middle of a List of 1,000,000 elements
// against the same on 1,000, in the same run, in turn. The sizes stay as they are: each measurement undoes what it does.
//
//   npm run bench:list [-- --large 1000000 --small 1000 --rounds 15 --folder <where the file goes>]

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { open } from 'pongodb'
import { compare } from './harness/rounds.mjs'

const { values: options } = parseArgs({
  options: {
    large: { type: 'string', default: '1000000' },
    small: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '15' },
    folder: { type: 'string', default: tmpdir() },
  },
})

// Each pair of operations leaves the List as long as it was.
const pairs = {
  'push + pop': (list) => (list.push('element'), list.pop()),
  'unshift + shift': (list) => (list.unshift('element'), list.shift()),
  'insert + splice in the middle': (list) => {
    const middle = list.length >> 1
    list.insert(middle, 'element')
    list.splice(middle, 1)
  },
  'read in the middle': (list) => list[list.length >> 1],
}

const folder = mkdtempSync(join(options.folder, 'pongodb-bench-'))
try {
  const db = open(join(folder, 'list.pongo'))
  for (const name of ['small', 'large']) db.root[name] = Array.from({ length: Number(options[name]) }, (_, i) => `element ${i}`)
  const { small, large } = db.root
  const repeat = (list, fn) => (count) => {
    for (let i = 0; i < count; i++) fn(list)
  }
  console.log(`${options.large} elements against ${options.small}; ns per operation, median of ${options.rounds} rounds`)
  for (const [name, fn] of Object.entries(pairs)) {
    const result = await compare({
      ours: repeat(large, fn),
      theirs: repeat(small, fn),
      count: 2000,
      rounds: Number(options.rounds),
    })
    const ratio = 1 / result.ratio.median
    console.log(
      `${name.padEnd(32)} ${result.ours.median.toFixed(0).padStart(8)} against ${result.theirs.median.toFixed(0).padStart(8)}` +
        `   ratio ${ratio.toFixed(2)}${ratio > 3 ? '   above the bound of 3' : ''}`,
    )
  }
  db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
