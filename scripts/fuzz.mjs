// Fuzzing by time: the programs of test/fuzz in turn, with one seed after the other.
//
//   node scripts/fuzz.mjs [seed] [seconds] [program...]
//   node scripts/fuzz.mjs --libfuzzer [seconds]
//
// Ends at the first failure, whose output says how to repeat it, or after the given time (default: 300 s). --libfuzzer needs clang
// (Debian: apt-get install clang): test/fuzz/bytes_fuzzer.cc under the address sanitizer, from the kept inputs on; what reaches new
// code is added to them.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildCore } from './core.mjs'
import { buildTesting, runProgram, scratchFolder } from './crash.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

function fuzz([first = String(Date.now() % 1_000_000), seconds = '300', ...wanted]) {
  const programs = wanted.length > 0 ? wanted : ['bytes_test', 'operations_test']
  buildTesting()
  const end = Date.now() + Number(seconds) * 1000
  let seed = Number(first)
  let ok = true
  for (; Date.now() < end && ok; seed++) {
    for (const program of programs) {
      const result = runProgram(program, { env: { SEED: String(seed) }, timeout: 20 * 60_000 })
      process.stdout.write(`${program}, seed ${seed}: ${result.output}`)
      ok &&= result.ok
    }
  }
  return ok
}

function libFuzzer([seconds = '300']) {
  const versions = ['', ...Array.from({ length: 12 }, (_, i) => `-${25 - i}`)]
  const compiler = versions.map((v) => `clang++${v}`).find((name) => spawnSync(name, ['--version']).status === 0)
  if (compiler === undefined) throw new Error('clang++ was not found')
  const out = 'build/testing-libfuzzer'
  const definitions = { PONGO_TESTING: 'ON', PONGO_LIBFUZZER: 'ON', CMAKE_CXX_COMPILER: compiler }
  buildCore(out, definitions, { targets: ['bytes_fuzzer'] })
  const program = join(root, out, 'tests/bytes_fuzzer')
  const kept = join(root, 'test/fuzz/corpus/bytes')
  const found = mkdtempSync(join(scratchFolder(), 'pongodb-fuzz-'))
  const limits = ['-max_len=48', '-timeout=30', '-rss_limit_mb=4096', '-print_final_stats=1']
  const run = (args) =>
    spawnSync(program, [...limits, ...args], {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, TMPDIR: scratchFolder() },
    })
  try {
    const { status } = run([`-max_total_time=${seconds}`, found, kept])
    if (status === 0) run(['-merge=1', kept, found])
    return status === 0
  } finally {
    rmSync(found, { recursive: true, force: true })
  }
}

const args = process.argv.slice(2)
const ok = args[0] === '--libfuzzer' ? libFuzzer(args.slice(1)) : fuzz(args)
process.exitCode = ok ? 0 : 1
