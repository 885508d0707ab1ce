// What a user gets: packs the package, installs the tarball into an empty folder (which builds the addon there) and runs
// one small program per module system.
//
//   node scripts/pack_test.mjs

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = mkdtempSync(join(tmpdir(), 'pongodb-pack-'))

function run(cwd, command, args) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (result.status !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} failed:\n${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`,
    )
  }
  return result.stdout
}

const program = `
const db = open('state.pongo')
db.root.visits = { count: 0 }
db.root.visits.$incr('count', 41)
db.root.$incr('visits.count')
process.stdout.write(JSON.stringify(db.root))
db.close()
`
const expected = '{"visits":{"count":42}}'

try {
  run(root, 'npm', ['pack', '--pack-destination', folder, '--loglevel=error'])
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack wrote no tarball')
  // Newer versions of npm run the install script of a dependency only when the project allows it.
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'user', private: true, allowScripts: { [`file:${tarball}`]: true, pongodb: true } }),
  )
  run(folder, 'npm', ['install', `./${tarball}`, '--no-fund', '--no-audit', '--loglevel=error'])
  writeFileSync(join(folder, 'main.mjs'), `import { open } from 'pongodb'\n${program}`)
  writeFileSync(join(folder, 'main.cjs'), `const { open } = require('pongodb')\n${program}`)
  for (const file of ['main.mjs', 'main.cjs']) {
    const output = run(folder, process.execPath, [file])
    if (output !== expected) throw new Error(`${file} printed ${output} instead of ${expected}`)
  }
  const count = run(folder, join(folder, 'node_modules/.bin/pongo'), ['get', 'state.pongo', 'visits.count'])
  if (count !== '42\n') throw new Error(`pongo printed ${count} instead of 42`)
  process.stdout.write('pack: ok\n')
} catch (error) {
  process.stdout.write(`pack: FAILED: ${error.message}\n`)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
