// A disk without room: a file system of 16 MiB, in a mount namespace of its own, so that nothing outside sees it. A tmpfs needs
// user namespaces or root, an ext4 root and a loop device; where neither is allowed the tests are skipped, and say so.

import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'

const program = fileURLToPath(new URL('./programs/full_disk.mjs', import.meta.url))
const scenarios = ['filled by the database itself', 'filled by others', 'backups', 'newcomers']
const size = 2 ** 24
const folder = mkdtempSync(join(tmpdir(), 'pongodb-disk-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

// In a shell with: $1 the folder to mount at, $2 the image of a file system; then what to run.
const tmpfs = `mount -t tmpfs -o size=${size},mode=700 pongodb "$1"; shift 2; exec "$@"`
const ext4 = 'mount -o loop "$2" "$1"; shift 2; exec "$@"'
const disks: Record<string, string[][]> = {
  // By an ordinary user, or by root where user namespaces are off.
  tmpfs: [
    ['unshare', '-rm', 'sh', '-ec', tmpfs, 'sh'],
    ['unshare', '-m', 'sh', '-ec', tmpfs, 'sh'],
  ],
  ext4: [['unshare', '-m', 'sh', '-ec', ext4, 'sh']],
}

interface Disk {
  readonly at: string
  readonly elsewhere: string
  command(program: string, ...args: string[]): [string, string[]]
}

/** A fresh file system, and how to run a program that sees it; undefined where that is not allowed. */
function makeDisk(kind: string): Disk | undefined {
  const at = mkdtempSync(join(folder, 'disk-'))
  const elsewhere = mkdtempSync(join(folder, 'elsewhere-'))
  const image = join(elsewhere, 'image')
  if (kind === 'ext4') {
    writeFileSync(image, '')
    truncateSync(image, size)
    if (spawnSync('mkfs.ext4', ['-q', '-F', '-m', '0', image]).status !== 0) return undefined
  }
  for (const [first, ...rest] of disks[kind]!) {
    const command = (what: string, ...args: string[]): [string, string[]] => [
      first!,
      [...rest, at, image, what, ...args],
    ]
    if (spawnSync(...command('true')).status === 0) return { at, elsewhere, command }
  }
  return undefined
}

describe.each(Object.keys(disks))('on a full %s', (kind) => {
  test.each(scenarios)('%s', async (scenario) => {
    const disk = makeDisk(kind)
    if (disk === undefined) {
      console.log(`full disk: skipped: this machine lets nobody mount a private ${kind} here`)
      return
    }
    const run = disk.command(process.execPath, program, disk.at, disk.elsewhere, scenario)
    // Rejects, with what was printed, when the exit code is not 0.
    const { stderr } = await promisify(execFile)(...run)
    expect(stderr).toBe('')
  })
})
