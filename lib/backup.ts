// Backups: one version of a database copied into a new, compact file while others write.

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { signalOption } from './abort'
import type { View } from './binding'
import { pongoError, show } from './errors'
import type { Handle } from './handle'
import { booleanOption, checkOptions } from './options'

export interface BackupProgress {
  /** Bytes of blocks written so far. */
  bytesDone: number
  /** Bytes that there will be; an estimate until the end. */
  bytesTotal: number
  containersDone: number
  containersTotal: number
}

export interface BackupOptions {
  /** Called now and then, first before anything is written and last when all is; what it throws ends the backup. */
  onProgress?: (progress: BackupProgress) => void
  /** Replaces a file that exists. Without it: `EXISTS`. Default false. */
  overwrite?: boolean
  /** Ends the backup; the promise rejects with the reason. */
  signal?: AbortSignal
}

/** What a backup has copied. */
export interface BackupReport {
  /** The new file, absolute. */
  path: string
  /** The version that it holds. */
  version: number
  containers: number
  /** Bytes of its blocks; the file is longer by the room that is left in its slabs. */
  bytes: number
}

const names = ['onProgress', 'overwrite', 'signal']
const progressInterval = 100 // ms

export function backupPath(what: string, path: unknown): string {
  if (path instanceof URL) {
    if (path.protocol !== 'file:') throw pongoError('ARG', `${what} needs a file: URL, not ${path.href}`)
    return fileURLToPath(path)
  }
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw pongoError('ARG', `${what} needs the path of a file, not ${show(path)}`)
  }
  return resolve(path)
}

function checked(options: BackupOptions | undefined): BackupOptions & { overwrite: boolean } {
  const { onProgress, overwrite, signal } = checkOptions('backup', options, names)
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw pongoError('ARG', `backup: onProgress must be a function, not ${show(onProgress)}`)
  }
  const checkedSignal = signalOption('backup', signal)
  return {
    overwrite: booleanOption('backup', 'overwrite', overwrite, false),
    ...(onProgress && { onProgress }),
    ...(checkedSignal && { signal: checkedSignal }),
  }
}

/** Copies what a view of the database shows, or for view 0 its newest version, to a new file. */
export async function backup(
  handle: Handle,
  view: View,
  path: unknown,
  options: BackupOptions | undefined,
): Promise<BackupReport> {
  const target = backupPath('backup', path)
  const { onProgress, overwrite, signal } = checked(options)
  signal?.throwIfAborted()
  const { native } = handle
  const [token, copied] = native.backup(view, target, overwrite)
  // The first reason why it should end, of the callback or of the signal.
  let stopped: { reason: unknown } | undefined
  const stop = (reason: unknown) => {
    stopped ??= { reason }
    native.backupCancel(token)
  }
  const report = () => {
    if (stopped !== undefined) return
    const [bytesDone, bytesTotal, containersDone, containersTotal] = native.backupProgress(token)
    try {
      onProgress?.({ bytesDone, bytesTotal: Math.max(bytesDone, bytesTotal), containersDone, containersTotal })
    } catch (error) {
      stop(error)
    }
  }
  const aborted = () => stop(signal?.reason)
  signal?.addEventListener('abort', aborted, { once: true })
  const timer = onProgress === undefined ? undefined : setInterval(report, progressInterval)
  try {
    report()
    let result
    try {
      result = await copied
    } finally {
      clearInterval(timer)
    }
    report()
    if (stopped === undefined) {
      await native.backupPublish(token)
      return { path: target, ...result }
    }
  } catch (error) {
    if (stopped === undefined) throw error
  } finally {
    clearInterval(timer)
    signal?.removeEventListener('abort', aborted)
    native.backupEnd(token)
  }
  throw stopped.reason
}
