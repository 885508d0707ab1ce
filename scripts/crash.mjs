// The tests of docs/reliability.md. Builds the test build of the engine (CMake option PONGO_TESTING) and runs the programs that
// need it, test/crash and test/fuzz; then, with the product build, those of test/multiprocess that have a long form too.
//
//   node scripts/crash.mjs [--release] [--build-only] [--sanitize=address|thread] [name...]
//
// A name is that of a program, or `program:text` for those of its tests whose names contain the text.
// --release: the long column of docs/reliability.md; PONGO_SCALE multiplies the work of one program (CI: 1).
// SEED=n (PONGODB_SEED in test/multiprocess) repeats a run. The last line says how many programs passed and failed.

import { spawnSync } from 'node:child_process'
import { accessSync, constants, readdirSync, statfsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildCore } from './core.mjs'
import { reports } from './sanitizer_runtime.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const releaseScale = 100

// Whole processes in Node and Python. Without a scale they are part of `npm run test:multiprocess`.
const processTests = ['kill_storm', 'stopped_reader', 'full_disk', 'lifecycle']

// A folder in memory when there is room: the tests make and remove files by the thousand, and sync none of them for real.
export function scratchFolder() {
  try {
    accessSync('/dev/shm', constants.W_OK)
    const { bavail, bsize } = statfsSync('/dev/shm')
    if (bavail * bsize > 2 ** 30) return '/dev/shm'
  } catch {
    // no such folder here
  }
  return tmpdir()
}

export function testingFolder(sanitize = '') {
  return join('build', sanitize === '' ? 'testing' : `testing-${sanitize}`)
}

export function buildTesting(sanitize = '', targets = ['all']) {
  buildCore(testingFolder(sanitize), { PONGO_TESTING: 'ON', PONGO_SANITIZE: sanitize }, { targets })
}

/** Runs one program of the test build; { ok, why, output, seconds }. */
export function runProgram(name, { env = {}, args = [], sanitize = '', timeout = 10 * 60_000 } = {}) {
  const started = Date.now()
  const result = spawnSync(join(root, testingFolder(sanitize), 'tests', name), args, {
    cwd: root,
    encoding: 'utf8',
    timeout,
    killSignal: 'SIGKILL',
    env: { ...process.env, ...reports, TMPDIR: scratchFolder(), ...env },
  })
  const why = result.error?.message ?? (result.signal ? `signal ${result.signal}` : `exit code ${result.status}`)
  return {
    ok: result.status === 0,
    started: result.error === undefined, // false: missing, or ended by the time limit
    why,
    output: `${result.stdout ?? ''}${result.stderr ?? ''}`,
    seconds: (Date.now() - started) / 1000,
  }
}

export function crashPrograms() {
  return ['test/crash', 'test/fuzz']
    .flatMap((folder) => readdirSync(join(root, folder)))
    .filter((name) => name.endsWith('_test.cc'))
    .map((name) => name.slice(0, -'.cc'.length))
    .sort()
}

function interpret(args) {
  const release = args.includes('--release')
  const wanted = new Map(args.filter((arg) => !arg.startsWith('--')).map((arg) => arg.split(':')))
  return {
    release,
    sanitize: args.find((arg) => arg.startsWith('--sanitize='))?.slice('--sanitize='.length) ?? '',
    buildOnly: args.includes('--build-only'),
    all: wanted.size === 0,
    chosen: (names) => (wanted.size === 0 ? names : names.filter((name) => wanted.has(name))),
    tests: (name) => (wanted.get(name) === undefined ? [] : [wanted.get(name)]),
    scale: process.env.PONGO_SCALE ?? String(release ? releaseScale : 1),
  }
}

/** Runs the programs of the test build: { passed, failed }. */
export function crashTests(args) {
  const { release, sanitize, buildOnly, all, chosen, tests, scale } = interpret(args)
  const names = chosen(crashPrograms())
  let passed = 0
  let failed = 0
  if (names.length > 0) buildTesting(sanitize, all ? ['all'] : names)
  if (buildOnly) return { passed, failed }
  for (const name of names) {
    const timeout = (release ? 24 * 60 : 10) * 60_000
    const result = runProgram(name, { env: { PONGO_SCALE: scale }, args: tests(name), sanitize, timeout })
    const took = `${result.seconds.toFixed(1)} s`
    if (result.ok) {
      passed++
      // What the program counted, without the line of the harness.
      const figures = result.output.trim().split('\n').slice(0, -1).join('; ')
      process.stdout.write(`  ok      ${name} (${took})${figures === '' ? '' : `: ${figures}`}\n`)
    } else {
      failed++
      process.stdout.write(`${result.output}  FAILED  ${name} (${result.why}, ${took})\n`)
    }
  }
  process.stdout.write(`crash: ${passed} passed, ${failed} failed\n`)
  return { passed, failed }
}

/** Runs the tests with whole processes: how many failed. */
function longProcessTests(args) {
  const { sanitize, buildOnly, chosen, scale } = interpret(args)
  if (buildOnly || sanitize !== '') return 0
  const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
  const failed = chosen(processTests).filter((name) => {
    const result = spawnSync(process.execPath, [vitest, 'run', `test/multiprocess/${name}.test.ts`], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, TMPDIR: scratchFolder(), PONGO_SCALE: scale },
    })
    return result.status !== 0
  })
  for (const name of failed) process.stdout.write(`  FAILED  ${name}\n`)
  return failed.length
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2)
  const failed = crashTests(args).failed + longProcessTests(args)
  process.exitCode = failed === 0 ? 0 : 1
}
