// What README.md and docs/*.md show must run. Each `js` block is a whole program, run as a user would; where a `text` block
// stands below it, it must print that.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const docs = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)

interface Program {
  name: string
  program: string
  output: string | undefined
}

const programs = ['README.md', ...docs].flatMap((file) => {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/^```js\n([^]*?)^```$(?:\n\s*^```text\n([^]*?)^```$)?/gm)].map(
    ([, program = '', output], index): Program => ({ name: `${file} ${index + 1}`, program, output }),
  )
})

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pongodb-readme-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules', 'pongodb'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function run(program: string): Promise<string> {
  writeFileSync(join(folder, 'main.mjs'), program)
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['main.mjs'], { cwd: folder })
  expect(stderr).toBe('')
  return stdout
}

describe('the documentation', () => {
  test('every program of README.md has its output below it', () => {
    const own = programs.filter(({ name }) => name.startsWith('README'))
    expect(own.length).toBeGreaterThan(0)
    expect(own.filter(({ output }) => output === undefined)).toEqual([])
  })

  test.each(programs)('$name prints what it says', async ({ program, output }) => {
    const printed = await run(program)
    if (output !== undefined) expect(printed).toBe(output)
  })

  test('the first program is about twenty lines, and finds its data when it runs again', async () => {
    const first = programs[0]!
    expect(first.program.trimEnd().split('\n').length).toBeLessThanOrEqual(22)
    await run(first.program)
    expect(await run(first.program)).toContain('8000 visits, 4 sessions')
  })
})
