// Exactly what CI runs, in the order of the cheapest first. Every step runs, so that one look shows all that is wrong.
// The last line sums the tests; a failed step that is not a test makes the exit code non-zero too.
//
//   node scripts/check.mjs

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { allTests } from './test.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

function bin(pkg, file) {
  return join(dirname(require.resolve(`${pkg}/package.json`)), file)
}

const steps = [
  ['generated files are fresh', ['scripts/codes.mjs', '--check']],
  ['tidy', ['scripts/tidy.mjs']],
  ['lint', [bin('eslint', 'bin/eslint.js'), '.', '--max-warnings', '0']],
  ['format', [bin('prettier', 'bin/prettier.cjs'), '--check', '--log-level', 'warn', '.']],
  ['types of the library', [bin('typescript', 'bin/tsc'), '-p', '.']],
  ['types of the tests', [bin('typescript', 'bin/tsc'), '-p', 'test']],
  ['API documentation', [bin('typedoc', 'bin/typedoc'), '--emit', 'none', '--logLevel', 'Error']],
]

const broken = []
for (const [name, args] of steps) {
  process.stdout.write(`check: ${name}\n`)
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (result.status !== 0) broken.push(name)
}
process.stdout.write('check: tests\n')
const { passed, failed } = allTests()
if (broken.length > 0) process.stdout.write(`check: FAILED: ${broken.join(', ')}\n`)
process.stdout.write(`${passed} passed, ${failed + broken.length} failed\n`)
process.exitCode = failed + broken.length === 0 ? 0 : 1
