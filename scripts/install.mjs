// What `npm install` runs: builds the addon from source with node-gyp.
//
// When something that a build needs is missing, the user gets one sentence that says what to install, and the whole
// output of the build in a file. Uses nothing but Node itself: at this moment no dependency may be there.
//
//   node scripts/install.mjs [--debug] [--werror]
//   node scripts/install.mjs --sources <folder>...     the C++ sources, one a line (read by binding.gyp)

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const otherPort = process.platform === 'darwin' ? 'port_linux.cc' : 'port_macos.cc'

export function sources(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) return sources(path)
      return entry.name.endsWith('.cc') && entry.name !== otherPort ? [path] : []
    })
}

function runs(command, args) {
  const result = spawnSync(command, args, { stdio: 'ignore', shell: false })
  return result.error === undefined && result.status === 0
}

// The headers that came with this Node, so that nothing has to be downloaded.
function localHeaders() {
  const prefix = dirname(dirname(process.execPath))
  return existsSync(join(prefix, 'include/node/node_api.h')) ? prefix : undefined
}

// node-gyp: the one npm brings, else one that is installed beside us, else one on the PATH.
function findNodeGyp() {
  const bundled = process.env.npm_config_node_gyp
  if (bundled !== undefined && existsSync(bundled)) return [process.execPath, bundled]
  try {
    return [process.execPath, createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')]
  } catch {
    // Not installed here: look further.
  }
  const beside = join(dirname(dirname(process.execPath)), 'lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js')
  if (existsSync(beside)) return [process.execPath, beside]
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (existsSync(join(folder, 'node-gyp'))) return [join(folder, 'node-gyp')]
  }
  return undefined
}

function missingTools() {
  const mac = process.platform === 'darwin'
  const compiler = process.env.CXX?.split(' ')[0] ?? (mac ? 'clang++' : 'g++')
  const missing = []
  if (!runs(compiler, ['--version']) && !runs('c++', ['--version'])) missing.push('a C++20 compiler (g++ 11 or later)')
  if (!runs('make', ['--version'])) missing.push('make')
  if (!runs(process.env.PYTHON ?? 'python3', ['--version']) && !runs('python', ['--version'])) missing.push('python3')
  return missing
}

function whatToInstall(missing) {
  if (process.platform === 'darwin') return 'run "xcode-select --install"'
  if (existsSync('/etc/alpine-release')) return 'run "apk add build-base python3"'
  if (existsSync('/etc/debian_version')) return 'run "apt-get install build-essential python3"'
  if (existsSync('/etc/redhat-release')) return 'run "dnf install gcc-c++ make python3"'
  return `install ${missing.join(', ')}`
}

function fail(sentence) {
  process.stderr.write(`pongodb: ${sentence}\n`)
  process.exit(1)
}

function main(args) {
  const log = join(root, 'build-error.log')
  if (process.platform !== 'linux' && process.platform !== 'darwin') {
    fail(`Linux and macOS are supported, not ${process.platform}.`)
  }
  const missing = missingTools()
  if (missing.length > 0) {
    writeFileSync(log, `PATH=${process.env.PATH ?? ''}\nmissing: ${missing.join(', ')}\n`)
    fail(
      `cannot be built without ${missing.join(', ')}: ${whatToInstall(missing)}, then install again (details: ${log}).`,
    )
  }
  const gyp = findNodeGyp()
  if (gyp === undefined) fail('cannot be built without node-gyp: run "npm install -g node-gyp", then install again.')
  const headers = localHeaders()
  const shared = [
    ...(args.includes('--debug') ? ['--debug'] : []),
    ...(headers === undefined ? [] : [`--nodedir=${headers}`]),
  ]
  const started = Date.now()
  // Two steps instead of "rebuild", which would begin by deleting what is already compiled.
  const steps = [
    [...gyp, 'configure', ...shared, '--', `-Dpongo_werror=${args.includes('--werror') ? 1 : 0}`],
    [...gyp, 'build', ...shared],
  ]
  let output = ''
  let failed = false
  for (const [command, ...rest] of steps) {
    const result = spawnSync(command, rest, {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      env: { MAKEFLAGS: '-j2', ...process.env },
    })
    output += `${[command, ...rest].join(' ')}\n${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}\n`
    failed = result.status !== 0
    if (failed) break
  }
  if (!failed) {
    rmSync(log, { force: true })
    const warnings = output.split('\n').filter((line) => line.includes('warning:'))
    if (warnings.length > 0) process.stdout.write(`${warnings.join('\n')}\n`)
    process.stdout.write(`pongodb: built in ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
    return
  }
  writeFileSync(log, output)
  const firstError = output.split('\n').find((line) => / error: /.test(line))
  if (firstError !== undefined) fail(`the C++ build failed with "${firstError.trim()}" (whole output: ${log}).`)
  if (/node_api\.h|headers|ENOTFOUND|ECONNREFUSED|getaddrinfo|nodedir/.test(output) && headers === undefined) {
    fail(
      `cannot be built without the headers of Node ${process.version}: install them (package nodejs-dev, or a Node from nodejs.org) or give their folder with "npm install --nodedir=<folder>" (details: ${log}).`,
    )
  }
  fail(
    `the build failed: make sure that a C++20 compiler, make and python3 work, then install again (whole output: ${log}).`,
  )
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [first, ...folders] = process.argv.slice(2)
  if (first === '--sources') process.stdout.write(`${folders.flatMap(sources).join('\n')}\n`)
  else main(process.argv.slice(2))
}
