// The house rules that a program can check. Prints one line per finding; exit code 1 when one of them is an error.
//
//   node scripts/tidy.mjs

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const linesMax = 600

// The folders of native/core from the lowest up: a file includes from its own folder or from lower ones.
const layers = ['util', 'port', 'format', 'store', 'tree', 'model', 'database']

let errors = 0
function error(file, line, text) {
  errors++
  process.stdout.write(`${file}:${line}: error: ${text}\n`)
}
function warn(file, line, text) {
  process.stdout.write(`${file}:${line}: warning: ${text}\n`)
}

const skipped = new Set(['node_modules', 'build', 'dist', 'coverage', '.git', 'package-lock.json', '__pycache__'])

function filesOf(folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return []
    const path = folder === '.' ? entry.name : `${folder}/${entry.name}`
    return entry.isDirectory() ? filesOf(path) : [path]
  })
}

function layerOf(path) {
  const name = path.includes('/') ? path.split('/')[0] : path.replace(/(_\w+)?\.(h|cc|def)$/, '')
  return layers.indexOf(name)
}

function checkIncludes(file, lines) {
  const inside = file.slice('native/core/'.length)
  const own = layerOf(inside)
  if (own < 0) error(file, 1, `belongs to none of the layers ${layers.join(', ')}`)
  for (const [index, line] of lines.entries()) {
    const included = /^\s*#\s*include\s+"([^"]+)"/.exec(line)?.[1]
    if (included === undefined) {
      if (/^\s*#\s*include\s+<(node|v8|js_native|napi|uv|Python)/.test(line)) {
        error(file, index + 1, 'the engine knows neither Node nor Python')
      }
      continue
    }
    const theirs = layerOf(included)
    if (theirs < 0)
      error(file, index + 1, `includes "${included}", which is in no layer (write the path from native/core)`)
    else if (theirs > own) error(file, index + 1, `includes upwards: ${layers[own]} must not know ${layers[theirs]}`)
  }
}

// The words are put together here so that this file does not find itself.
const unfinished = new RegExp(
  `\\b(${['TO', 'FIX', 'XX'].map((start, i) => start + ['DO', 'ME', 'X'][i]).join('|')})\\b`,
)

for (const file of filesOf('.')) {
  if (!/\.(cc|h|def|ts|mts|mjs|cjs|js|py|md|gyp|txt|json|yml)$/.test(file) && file !== '.ci/run') continue
  const text = readFileSync(join(root, file), 'utf8')
  const lines = text.split('\n')
  for (const [index, line] of lines.entries()) {
    if (unfinished.test(line)) error(file, index + 1, `unfinished: ${line.trim()}`)
  }
  if (text !== '' && !text.endsWith('\n')) error(file, lines.length, 'no newline at the end')
  if (/\.(cc|h|ts|mjs|py)$/.test(file) && lines.length > linesMax) {
    warn(file, lines.length, `${lines.length} lines: over ${linesMax} a file asks to be divided`)
  }
  if (/^native\/core\/.*\.(cc|h)$/.test(file)) checkIncludes(file, lines)
  if (
    file.startsWith('lib/') &&
    file !== 'lib/binding.ts' &&
    /pongodb\.node|createRequire|process\.dlopen/.test(text)
  ) {
    error(file, 1, 'only lib/binding.ts may load the addon')
  }
}
process.stdout.write(`tidy: ${errors} errors\n`)
process.exitCode = errors === 0 ? 0 : 1
