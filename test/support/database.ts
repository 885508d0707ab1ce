// A fresh database for each test, closed and removed after it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open, type Database, type OpenOptions } from 'pongodb'
import { afterEach, expect } from 'vitest'

const folders: string[] = []
const databases: Database<any>[] = []

afterEach(() => {
  for (const db of databases.splice(0)) db.close()
  // Processes that a test has killed may still be ending: retried while a folder is not empty.
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
})

/** The path of a file that does not exist yet. */
export function freshPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pongodb-test-'))
  folders.push(folder)
  return join(folder, 'state.pongo')
}

/** Opens a database that is closed after the test. */
export function openAt(path: string, options?: OpenOptions): Database<any> {
  const db = open<any>(path, options)
  databases.push(db)
  return db
}

export function freshDatabase(options?: OpenOptions): Database<any> {
  return openAt(freshPath(), options)
}

/** Expects a PongoError with a code, and words in its message. */
export function expectCode(code: string, fn: () => unknown, message: RegExp | string = ''): void {
  let thrown: unknown
  try {
    fn()
  } catch (error) {
    thrown = error
  }
  expect(thrown, `expected PONGO_ERR_${code}`).toBeInstanceOf(Error)
  expect((thrown as { code?: string }).code, String(thrown)).toBe(`PONGO_ERR_${code}`)
  expect((thrown as Error).message).toMatch(message)
}

/** An array nested `levels` deep. */
export function nested(levels: number): unknown {
  let value: unknown = 0
  for (let i = 0; i < levels; i++) value = [value]
  return value
}
