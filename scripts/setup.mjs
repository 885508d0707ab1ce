// Brings a clone to the state in which its programs and tests run, doing only what is missing or out of date.
// Needs nothing but Node and npm, asks nothing.
//
//   node scripts/setup.mjs [modules] [dist] [native]     default: all three

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

function filesOf(path) {
  const whole = join(root, path)
  if (!existsSync(whole)) return []
  if (!statSync(whole).isDirectory()) return [path]
  return readdirSync(whole)
    .sort()
    .flatMap((name) => filesOf(`${path}/${name}`))
}

// Contents, not times: a checkout or an unpacked archive may give every file the same time.
function fingerprint(paths, keep = () => true) {
  const hash = createHash('sha256').update(process.version).update(process.arch)
  for (const file of paths.flatMap(filesOf).filter(keep)) {
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0')
  }
  return hash.digest('hex')
}

const parts = {
  modules: {
    stamp: 'node_modules/.pongodb/modules',
    product: 'node_modules/typescript/package.json',
    inputs: () => fingerprint(['package-lock.json']),
    // Install scripts of dependencies are not needed; our own runs as the part `native`.
    build: () => npm(['ci', '--ignore-scripts', '--no-fund', '--no-audit', '--loglevel=error']),
  },
  dist: {
    stamp: 'node_modules/.pongodb/dist',
    product: 'dist/index.mjs',
    inputs: () => fingerprint(['lib', 'types', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs']),
    build: () => node(['scripts/build.mjs', 'dist']),
  },
  native: {
    stamp: 'node_modules/.pongodb/native',
    product: 'build/Release/pongodb.node',
    inputs: () => fingerprint(['native/core', 'native/node', 'binding.gyp'], (file) => /\.(cc|h|def|gyp)$/.test(file)),
    build: () => node(['scripts/build.mjs', 'native']),
  },
}

function succeed(command, args, what) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (result.error || result.status !== 0) {
    process.stderr.write(`setup: ${what} failed${result.error ? `: ${result.error.message}` : ''}\n`)
    process.exit(result.status || 1)
  }
}

function npm(args) {
  // Started by npm, the same npm is used.
  const cli = process.env.npm_execpath
  if (cli !== undefined && /npm-cli\.c?js$/.test(cli)) succeed(process.execPath, [cli, ...args], 'npm ci')
  else succeed('npm', args, 'npm ci')
}

function node(args) {
  succeed(process.execPath, args, args.join(' '))
}

const wanted = process.argv.slice(2)
for (const [name, part] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const stamp = join(root, part.stamp)
  const inputs = part.inputs()
  if (existsSync(join(root, part.product)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) continue
  process.stdout.write(`setup: ${name}\n`)
  part.build()
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, inputs)
}
