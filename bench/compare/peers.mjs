// Loads the databases that the benchmarks compare with; installs them into this folder when they are missing.
// They are no dependencies of the package, so nobody who only uses it downloads them.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = dirname(fileURLToPath(import.meta.url))
const require = createRequire(import.meta.url)

function install() {
  process.stderr.write('bench: installing the peers to compare with\n')
  const args = ['install', '--no-fund', '--no-audit', '--loglevel=error']
  const cli = process.env.npm_execpath
  const [command, first] = cli !== undefined && /npm-cli\.c?js$/.test(cli) ? [process.execPath, [cli]] : ['npm', []]
  const { status, error } = spawnSync(command, [...first, ...args], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error(`bench: npm install in ${folder} failed${error ? `: ${error.message}` : ''}`)
}

/** The module of a peer, and its version (package.json pins it). */
export function peer(name) {
  let loaded
  try {
    loaded = require(name)
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
    install()
    loaded = require(name)
  }
  return { ...loaded, module: loaded, version: require('./package.json').dependencies[name] }
}
