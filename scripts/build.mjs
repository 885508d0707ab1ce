// Builds the parts that are asked for, without asking whether it is needed (scripts/setup.mjs does).
//
//   node scripts/build.mjs [dist] [native] [--debug]

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options })
  if (result.error) throw result.error
  if (result.status !== 0) process.exit(result.status ?? 1)
}

// The ESM face over the CommonJS build: the library, its caches and its classes exist once per process whichever way
// it is loaded. Names are written out because static analysis of CommonJS exports is a guess.
export function esmWrapper(names) {
  const list = names.filter((name) => /^[A-Za-z_$][\w$]*$/.test(name) && name !== 'default').sort()
  return `import pongodb from './index.js'\n\n${list.map((name) => `export const ${name} = pongodb.${name}\n`).join('')}`
}

// The names that lib/index.ts exports as values, read from the compiler's output: loading it would need the addon.
export function exportedNames(commonJs) {
  const names = new Set()
  for (const match of commonJs.matchAll(/^Object\.defineProperty\(exports, "(\w+)", \{ enumerable: true/gm))
    names.add(match[1])
  for (const match of commonJs.matchAll(/^exports\.(\w+) = /gm)) names.add(match[1])
  names.delete('__esModule')
  return [...names]
}

function buildDist() {
  const staging = join(root, 'dist')
  rmSync(staging, { recursive: true, force: true })
  mkdirSync(staging)
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  run(process.execPath, [tsc, '-p', 'tsconfig.build.json'])
  const names = exportedNames(readFileSync(join(staging, 'index.js'), 'utf8'))
  if (names.length === 0) throw new Error('dist/index.js exports nothing')
  writeFileSync(join(staging, 'index.d.mts'), "export * from './index.js'\n")
  // Last, by rename: its presence says that the build is whole.
  writeFileSync(join(staging, 'index.mjs.part'), esmWrapper(names))
  renameSync(join(staging, 'index.mjs.part'), join(staging, 'index.mjs'))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2)
  if (args.includes('dist')) buildDist()
  if (args.includes('native')) {
    run(process.execPath, ['scripts/install.mjs', '--werror', ...args.filter((arg) => arg.startsWith('--'))])
  }
}
