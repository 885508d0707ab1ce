// All tests: the engine's, those on Node, Python's, the types, the package. The last line sums them.
//
//   node scripts/test.mjs

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { coreTests } from './core.mjs'
import { crashTests } from './crash.mjs'
import { plantedTests } from './planted.mjs'
import { test as pythonTests } from './python.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

function succeeds(args) {
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  return result.status === 0
}

function vitest() {
  const folder = mkdtempSync(join(tmpdir(), 'pongodb-report-'))
  const report = join(folder, 'report.json')
  const cli = join(dirname(require.resolve('vitest/package.json')), 'vitest.mjs')
  const ok = succeeds([cli, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`])
  const counts = existsSync(report)
    ? JSON.parse(readFileSync(report, 'utf8'))
    : { numPassedTests: 0, numFailedTests: 0 }
  rmSync(folder, { recursive: true, force: true })
  // A file that cannot be loaded has no tests to fail: it counts as one.
  const failed = Math.max(counts.numFailedTests, ok ? 0 : 1)
  return { passed: counts.numPassedTests, failed }
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
    vitest,
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
