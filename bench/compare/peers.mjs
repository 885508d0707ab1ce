// Loads the databases that the benchmarks compare with; installs them into this folder when they are missing.
// They are no dependencies of the package, so nobody who only uses it downloads them.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
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

function missing(name) {
  return !existsSync(join(folder, 'node_modules', name, 'package.json'))
}

/** Installs what is missing; for whoever starts several processes that will ask for peers at the same time. */
export function installPeers() {
  if (Object.keys(require('./package.json').dependencies).some(missing)) install()
}

/** The module of a peer, and its version (package.json pins it). */
export function peer(name) {
  if (missing(name)) install() // looked for as a file: Node remembers that a module could not be found
  const module = require(name)
  return { ...module, module, version: require('./package.json').dependencies[name] }
}
