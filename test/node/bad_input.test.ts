// Files that are no database, or one that cannot be opened: each gives its code, and the file stays as it was.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'pongodb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectCode } from '../support/database'

let folder: string
let valid: Buffer

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pongodb-bad-'))
  const path = join(folder, 'valid')
  const db = open(path, { chunksize: 2 ** 20 })
  db.root.x = 1
  db.close()
  valid = readFileSync(path)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function refused(name: string, content: Buffer, code: string): void {
  const path = join(folder, name)
  writeFileSync(path, content)
  expectCode(code, () => open(path))
  expect(readFileSync(path).equals(content)).toBe(true)
}

test('a file that is not ours is refused and left alone', () => {
  refused('text', Buffer.from('not a database '.repeat(2000)), 'CORRUPT')
  refused('short', Buffer.from('x'), 'CORRUPT')
})

test('a later format is refused and left alone', () => {
  const later = Buffer.from(valid)
  for (const superblock of [0, 4096]) later.writeUInt32LE(2, superblock + 8)
  refused('later', later, 'VERSION')
})

test('a file that was cut off is refused and left alone', () => {
  refused('cut', valid.subarray(0, valid.length / 2), 'CORRUPT')
})

test('a file with both superblocks damaged is refused and left alone', () => {
  const damaged = Buffer.from(valid)
  damaged.writeUInt8(damaged.readUInt8(41) ^ 1, 41)
  damaged.writeUInt8(damaged.readUInt8(4096 + 41) ^ 1, 4096 + 41)
  refused('damaged', damaged, 'CORRUPT')
})

test('paths that are no file', () => {
  mkdirSync(join(folder, 'folder'))
  expectCode('ARG', () => open(join(folder, 'folder')))
  expectCode('IO', () => open(join(folder, 'missing', 'file')))
  expectCode('IO', () => open(join(folder, 'absent'), { create: false }))
})
