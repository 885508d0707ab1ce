// The Python module: builds it into build/python, and runs its tests. Where the machine lacks what a build needs (headers,
// setuptools, a compiler), the tests are skipped with one line that says so.
//
//   node scripts/python.mjs [build|test] [options] [names of tests...]     PYTHON=<interpreter>, default python3
//
//   test --asan    with AddressSanitizer, UndefinedBehaviorSanitizer and Python's allocator in debug mode; 5 minutes
//   test --leaks   10,000,000 operations of all kinds, after which blocks, references and memory are as before; 5 minutes

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { preloaded } from './sanitizer_runtime.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const asanFolder = join(root, 'build/python-asan')
export const interpreter = process.env.PYTHON ?? 'python3'
export const moduleFolder = join(root, 'build/python')

const probe = `
import sys, sysconfig, os
if sys.implementation.name != 'cpython' or sys.version_info < (3, 9):
    sys.exit('it needs CPython 3.9 or later, and %s is %s' % (sys.executable, sys.version.split()[0]))
if not os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h')):
    sys.exit('the headers of Python are not installed (package python3-dev)')
try:
    import setuptools
except ImportError:
    sys.exit('setuptools is not installed for %s' % sys.executable)
`

function python(args, options = {}) {
  return spawnSync(interpreter, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28, ...options })
}

/** Why the module cannot be built here, or undefined. */
export function whyNot() {
  const result = python(['-c', probe])
  if (result.error) return `${interpreter} cannot be started`
  if (result.status !== 0) return result.stderr.trim().split('\n').at(-1)
  const compiler = (process.env.CXX ?? 'c++').split(' ')[0]
  if (spawnSync(compiler, ['--version'], { stdio: 'ignore' }).status !== 0) return 'there is no C++ compiler'
  return undefined
}

/** Builds what is out of date. False, with the output shown, when that fails. */
export function build(sanitize = false) {
  const folder = sanitize ? asanFolder : moduleFolder
  const result = python(['setup.py', '-q', 'build', '--build-base', `${folder}-objects`, '--build-lib', folder], {
    env: sanitize ? { ...process.env, PONGO_SANITIZE: 'address,undefined' } : process.env,
  })
  if (result.status === 0) return true
  process.stdout.write(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`)
  return false
}

function sanitized() {
  // What Python itself never frees is no leak; test_leaks.py counts.
  return { ...preloaded(), PYTHONMALLOC: 'debug' }
}

/** Runs the tests: { passed, failed }. */
export function test(args = []) {
  const names = args.filter((arg) => !arg.startsWith('--'))
  const asan = args.includes('--asan')
  const leaks = args.includes('--leaks')
  const reason = whyNot()
  if (reason !== undefined) {
    process.stdout.write(`python: skipped: ${reason}\n`)
    return { passed: 0, failed: 0 }
  }
  if (!existsSync(join(root, 'dist/index.js'))) {
    process.stdout.write('python: dist/ is missing: run "npm run build" first\n')
    return { passed: 0, failed: 1 }
  }
  if (!build(asan)) return { passed: 0, failed: 1 }
  if (leaks) names.push('test_leaks')
  const what = names.length > 0 ? names : ['discover', '-t', 'test/python', '-s', 'test/python']
  const result = python(['-X', 'dev', '-W', 'error::ResourceWarning', '-m', 'unittest', ...what], {
    env: {
      ...process.env,
      PYTHONPATH: `${asan ? asanFolder : moduleFolder}:${join(root, 'test/python')}`,
      NODE: process.execPath,
      ...(asan ? sanitized() : {}),
      ...(leaks ? { PONGO_LEAK_OPERATIONS: '10000000' } : {}),
    },
  })
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`
  const ran = Number(/^Ran (\d+) tests?/m.exec(output)?.[1] ?? 0)
  const skipped = Number(/skipped=(\d+)/.exec(output)?.[1] ?? 0)
  const bad = [...output.matchAll(/(?:failures|errors|unexpected successes)=(\d+)/g)].reduce(
    (sum, m) => sum + Number(m[1]),
    0,
  )
  const failed = result.status === 0 ? 0 : Math.max(1, bad)
  if (failed > 0) process.stdout.write(output)
  process.stdout.write(`python: ${ran - failed - skipped} passed, ${failed} failed, ${skipped} skipped\n`)
  return { passed: Math.max(0, ran - failed - skipped), failed }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [command = 'build', ...names] = process.argv.slice(2)
  if (command === 'test') {
    process.exitCode = test(names).failed === 0 ? 0 : 1
  } else {
    const reason = whyNot()
    if (reason !== undefined) process.stdout.write(`python: cannot be built: ${reason}\n`)
    process.exitCode = reason === undefined && build() ? 0 : 1
    if (process.exitCode === 0) process.stdout.write(`python: built; use it with PYTHONPATH=${moduleFolder}\n`)
  }
}
