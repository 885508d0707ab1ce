// Fuzzing by time: the programs of test/fuzz in turn, with one seed after the other.
//
//   node scripts/fuzz.mjs [seed] [seconds] [program...]
//
// Ends at the first failure, whose output says how to repeat it, or after the given time (default: 300 s).

import { buildTesting, runProgram } from './crash.mjs'

const [first = String(Date.now() % 1_000_000), seconds = '300', ...wanted] = process.argv.slice(2)
const programs = wanted.length > 0 ? wanted : ['bytes_test', 'operations_test']
buildTesting()
const end = Date.now() + Number(seconds) * 1000
let seed = Number(first)
let failed = false
for (; Date.now() < end && !failed; seed++) {
  for (const program of programs) {
    const { ok, output } = runProgram(program, { env: { SEED: String(seed) }, timeout: 20 * 60_000 })
    process.stdout.write(`${program}, seed ${seed}: ${output}`)
    failed ||= !ok
  }
}
process.exitCode = failed ? 1 : 0
