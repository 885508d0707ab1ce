// Loads the native addon. Nothing else in the package may: tidy checks it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Addon } from '../types/addon'

export type { Addon, Hooks, Kind, NativeDb, NativeKey, NativeOptions, NativeValue, Page, View } from '../types/addon'

function load(): Addon {
  // One level up from dist/ as from lib/.
  const root = join(__dirname, '..')
  // Another build than the one that is installed: Debug, or one with sanitizers.
  const file = join(root, 'build', process.env['PONGODB_BUILD'] ?? 'Release', 'pongodb.node')
  if (!existsSync(file)) {
    throw new Error(
      `pongodb: the native addon ${file} has not been built: allow the package's install script ` +
        '("allowScripts" in package.json with recent versions of npm), then run "npm rebuild pongodb"',
    )
  }
  const module: { exports: unknown } = { exports: {} }
  process.dlopen(module, file)
  return module.exports as Addon
}

export const addon: Addon = load()

/** Instead of the number of a cell: the container is protected in another way. */
export const noCell = 0xffffffff

export const kindDict = 1
export const kindList = 2
export const kindCollection = 3
export const kindMulti = 4
