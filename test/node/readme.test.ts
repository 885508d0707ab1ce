// What README.md shows must run: each program in it is run as a user would, and must print what stands below it.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const programs = [...readme.matchAll(/^```js\n([^]*?)^```\n\s*^```text\n([^]*?)^```$/gm)].map(
  ([, program = '', output = '']) => ({ program, output }),
)

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

describe('README.md', () => {
  test('every program has its output below it', () => {
    expect(programs.length).toBeGreaterThan(0)
    expect(readme.match(/^```js$/gm)).toHaveLength(programs.length)
  })

  test.each(programs.map(({ program, output }, index) => [index + 1, program, output] as const))(
    'program %i prints what it says',
    async (_index, program, output) => {
      expect(await run(program)).toBe(output)
    },
  )

  test('the first program is about twenty lines, and finds its data when it runs again', async () => {
    const first = programs[0]!
    expect(first.program.trimEnd().split('\n').length).toBeLessThanOrEqual(22)
    await run(first.program)
    expect(await run(first.program)).toContain('8000 visits, 4 sessions')
  })
})
