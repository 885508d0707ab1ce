// All tests: the engine's, those on Node, Python's, the same under sanitizers, the types, the package. The last line sums them.
//
//   node scripts/test.mjs

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { coreTests } from './core.mjs'
import { crashTests } from './crash.mjs'
import { plantedTests } from './planted.mjs'
import { test as pythonTests } from './python.mjs'
import { sanitizerTests } from './sanitizers.mjs'
import { vitest } from './vitest.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

function succeeds(args) {
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  return result.status === 0
}

function one(args) {
  return succeeds(args) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

export function allTests() {
  const sum = { passed: 0, failed: 0 }
  for (const part of [
    () => coreTests([]),
    () => crashTests([]),
    () => plantedTests([]),
    // Builds the module, whose processes take part in tests of vitest.
    () => pythonTests(),
    () => vitest(),
    () => sanitizerTests([]),
    () => one([require.resolve('typescript/bin/tsc'), '-p', 'test/types']),
    () => one(['scripts/pack_test.mjs']),
  ]) {
    const { passed, failed } = part()
    sum.passed += passed
    sum.failed += failed
  }
  return sum
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed } = allTests()
  process.stdout.write(`${passed} passed, ${failed} failed\n`)
  process.exitCode = failed === 0 ? 0 : 1
}
