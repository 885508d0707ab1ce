// The demonstration in examples/cluster judges itself: it must end with exit code 0, and find its data the second time.

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../examples/cluster/main.mjs', import.meta.url))

test('a worker is killed under load and no acknowledged increment is missing', async () => {
  const data = mkdtempSync(join(tmpdir(), 'pongodb-example-'))
  try {
    // Rejects, with what was printed, when the exit code is not 0.
    const start = () => promisify(execFile)(process.execPath, [program, '--seconds', '2', '--data', data])
    const first = await start()
    expect(first.stdout).toMatch(/^cities {6}171,075 imported in /m)
    expect(first.stdout).toMatch(/^killed {6}worker \d+ \(process \d+\) with SIGKILL$/m)
    expect(first.stdout).toMatch(/^increments {2}[1-9]/m)
    expect(first.stdout).toMatch(/^verify\(\) {4}passed: /m)
    expect(first.stderr).toContain('importing cities: 100 % (171,075)')
    const second = await start()
    expect(second.stdout).toMatch(/^cities {6}171,075 found, no import needed$/m)
    expect(second.stderr).toBe('')
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})
