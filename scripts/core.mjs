// Builds the engine's own tests with cmake-js and runs them.
//
//   node scripts/core.mjs [--sanitize=address|thread] [--build-only] [name...]
//
// A name is that of a program, or `program:text` for those of its tests whose names contain the text. The last line says how many of
// the test programs passed and failed; the exit code is non-zero when one failed.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './build.mjs'
import { reports } from './sanitizer_runtime.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

// Configures and builds into a folder, with definitions for CMake: { NAME: value }.
export function buildCore(out, definitions, { config = 'RelWithDebInfo', targets = ['all'] } = {}) {
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')
  const headers = dirname(dirname(process.execPath))
  const defined = Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`)
  const shared = ['--out', out, '--config', config, ...defined]
  // The tests do not include Node's headers, but cmake-js wants to know where they are, or downloads them.
  const env = { ...process.env, CMAKE_BUILD_PARALLEL_LEVEL: process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? '2' }
  if (existsSync(join(headers, 'include/node/node_api.h'))) env.npm_config_nodedir = headers
  for (const target of targets)
    run(process.execPath, [cmakeJs, 'build', '--target', target, ...shared, '--log-level', 'error'], { env })
}

export function coreTests(args) {
  const sanitize = args.find((arg) => arg.startsWith('--sanitize='))?.slice('--sanitize='.length) ?? ''
  const wanted = new Map(args.filter((arg) => !arg.startsWith('--')).map((arg) => arg.split(':')))
  const out = join('build', sanitize === '' ? 'core' : `core-${sanitize}`)
  buildCore(out, { PONGO_SANITIZE: sanitize }, wanted.size > 0 ? { targets: [...wanted.keys()] } : {})
  if (args.includes('--build-only')) return { passed: 0, failed: 0 }

  let passed = 0
  let failed = 0
  const folder = join(root, out, 'tests')
  const sources = readdirSync(join(root, 'test/core')).filter((name) => name.endsWith('_test.cc'))
  for (const name of sources.map((source) => source.slice(0, -'.cc'.length)).sort()) {
    if (wanted.size > 0 && !wanted.has(name)) continue
    const started = Date.now()
    const env = { ...process.env, ...reports }
    const tests = wanted.get(name) === undefined ? [] : [wanted.get(name)]
    const result = spawnSync(join(folder, name), tests, { cwd: root, encoding: 'utf8', timeout: 20 * 60_000, env })
    const took = `${((Date.now() - started) / 1000).toFixed(1)} s`
    if (result.status === 0) {
      passed++
      process.stdout.write(`  ok      ${name} (${took})\n`)
    } else {
      failed++
      const why = result.error?.message ?? (result.signal ? `signal ${result.signal}` : `exit code ${result.status}`)
      process.stdout.write(`${result.stdout ?? ''}${result.stderr ?? ''}  FAILED  ${name} (${why}, ${took})\n`)
    }
  }
  process.stdout.write(`core: ${passed} passed, ${failed} failed\n`)
  return { passed, failed }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { failed } = coreTests(process.argv.slice(2))
  process.exitCode = failed === 0 ? 0 : 1
}
