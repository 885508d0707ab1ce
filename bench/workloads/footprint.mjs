// What a process that reads a large store costs in memory of its own.
import { readFileSync } from 'node:fs'
import get from './get.mjs'

function privateBytes() {
  const text = readFileSync('/proc/self/smaps_rollup', 'utf8')
  const kilobytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)[1])
  return 1024 * (kilobytes('Private_Clean') + kilobytes('Private_Dirty'))
}

export default {
  fill: get.fill,
  prepare: (store, params) => params,
  // Walks by reading each key once; the keys are made one at a time, so that they are not part of what is measured.
  memory(store, { keys }) {
    for (let i = 0; i < keys; i++) if (store.get(`user:${i}`) === undefined) throw new Error('a key is missing')
    globalThis.gc?.()
    return privateBytes()
  },
}
