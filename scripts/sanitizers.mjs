// The tests under sanitizers (docs/reliability.md), in three parts:
//
//   address    all programs of test/core with AddressSanitizer and UndefinedBehaviorSanitizer
//   node       test/node over an addon that is built with both
//   thread     programs of test/core whose threads share one mapping, with ThreadSanitizer
//
//   node scripts/sanitizers.mjs [--release] [address] [node] [thread]
//
// --release: the long column, with the test build and the Python module too. Where a sanitizer cannot be used (its runtime comes with
// g++ on Debian), its parts are skipped with one line. The last line says how many passed and failed.

import { fileURLToPath } from 'node:url'
import { buildCore, coreTests } from './core.mjs'
import { crashTests } from './crash.mjs'
import { test as pythonTests } from './python.mjs'
import { preloaded, whyNoSanitizer } from './sanitizer_runtime.mjs'
import { vitest } from './vitest.mjs'

// Programs with several threads at a time on one mapping. ThreadSanitizer cannot follow a forked child that starts threads: of
// programs that have such tests, another one only.
const threadPrograms = [
  'allocator_test',
  'container_gc_test',
  'horizon_test',
  'locks_test:ThreadsExcludeEachOther',
  'regressions_gc_test',
  'regressions_test',
  'revocation_test:NobodyReadsPoison',
  'shapes_test',
  'thread_slot_test',
  'threads_test',
]

const parts = {
  address: {
    sanitizer: 'address',
    run: () => [coreTests(['--sanitize=address'])],
    more: () => [crashTests(['--sanitize=address']), pythonTests(['--asan'])],
  },
  node: {
    sanitizer: 'address',
    run: () => [nodeTests()],
    more: () => [],
  },
  thread: {
    sanitizer: 'thread',
    run: () => [coreTests(['--sanitize=thread', ...threadPrograms])],
    more: () => [crashTests(['--sanitize=thread', 'history_test'])],
  },
}

// What the sanitizer changes itself: it keeps freed memory for a while, and its frames do not fit into a small stack.
const unfit = ['the resident size stays', 'in a worker with a small stack']

function nodeTests() {
  buildCore('build/core-address', { PONGO_SANITIZE: 'address' }, { targets: ['addon'] })
  // Everything takes several times as long.
  const args = ['test/node', '--testTimeout=600000', `--testNamePattern=^(?!.*(${unfit.join('|')}))`]
  return vitest(args, { ...preloaded(), PONGODB_BUILD: 'core-address' })
}

/** Runs the parts that are asked for, or all: { passed, failed }. */
export function sanitizerTests(args) {
  const wanted = args.filter((arg) => !arg.startsWith('--'))
  const sum = { passed: 0, failed: 0 }
  for (const [name, { sanitizer, run, more }] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const reason = whyNoSanitizer(sanitizer)
    if (reason !== undefined) {
      process.stdout.write(`sanitizers: ${name}: skipped: ${reason}\n`)
      continue
    }
    for (const { passed, failed } of [...run(), ...(args.includes('--release') ? more() : [])]) {
      sum.passed += passed
      sum.failed += failed
    }
  }
  process.stdout.write(`sanitizers: ${sum.passed} passed, ${sum.failed} failed\n`)
  return sum
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { failed } = sanitizerTests(process.argv.slice(2))
  process.exitCode = failed === 0 ? 0 : 1
}
