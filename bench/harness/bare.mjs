// Prints the private memory of a Node process that handles the strings of the workload `footprint`, without a database.
import { readFileSync } from 'node:fs'
import { valuesOf } from './data.mjs'

const values = valuesOf(40)
const keys = Number(process.argv[2])
let length = 0
for (let i = 0; i < keys; i++) length += `user:${i}`.length + `${values[i % 1000]}${i}`.length
if (length === 0) throw new Error('there are no keys')
globalThis.gc?.()
const text = readFileSync('/proc/self/smaps_rollup', 'utf8')
const kilobytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)[1])
process.stdout.write(String(1024 * (kilobytes('Private_Clean') + kilobytes('Private_Dirty'))))
