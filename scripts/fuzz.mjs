// Fuzzing by time: the byte fuzzer of test/fuzz with one seed after the other.
//
//   node scripts/fuzz.mjs [seed] [seconds]
//
// Ends at the first failure, whose output says how to repeat it, or after the given time (default: 300 s).

import { buildTesting, runProgram } from './crash.mjs'

const [first = String(Date.now() % 1_000_000), seconds = '300'] = process.argv.slice(2)
buildTesting()
const end = Date.now() + Number(seconds) * 1000
let seed = Number(first)
let failed = false
for (; Date.now() < end && !failed; seed++) {
  const { ok, output } = runProgram('bytes_test', { env: { SEED: String(seed) }, timeout: 20 * 60_000 })
  process.stdout.write(`seed ${seed}: ${output}`)
  failed = !ok
}
process.exitCode = failed ? 1 : 0
