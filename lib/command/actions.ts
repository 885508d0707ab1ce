// What the subcommands do.

import { setTimeout as delay } from 'node:timers/promises'
import { open, type Database, type OpenOptions } from '../database'
import { plainJson } from '../json_out'
import { refOf } from '../live'
import { kHandle } from '../owner'
import { jsonPieces, linePieces } from './dump'
import { exitCodes, Failure } from './failure'
import { jsonValue } from './json_value'
import { load, type LoadOptions } from './load'
import { bar, bytesText, Progress, type Out } from './out'

interface PathOptions {
  sep: string
}

async function using<R>(file: string, options: OpenOptions, fn: (db: Database<any>) => R | Promise<R>): Promise<R> {
  const db = open<any>(file, options)
  try {
    return await fn(db)
  } finally {
    db.close()
  }
}

const reading: OpenOptions = { create: false, readOnly: true }
const writing: OpenOptions = { create: false }

/** Aborted by SIGINT or SIGTERM: the ordinary end of what goes on until it is ended. */
function untilEnded(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort())
  return controller.signal
}

export async function info(file: string, options: { json?: boolean }, out: Out): Promise<void> {
  await using(file, reading, async (db) => {
    if (!options.json) return await out.write(db.info())
    const report = db[kHandle].native.report()
    await out.line(JSON.stringify({ path: db.path, ...db.stats(), ...report }))
  })
}

function missing(path: string): Failure {
  return new Failure(exitCodes.missing, `there is nothing at ${path}`)
}

/** What is at a path; undefined: nothing. */
function find(root: any, path: string, sep: string): unknown {
  return root.$get(path, undefined, { sep })
}

export async function dump(
  file: string,
  path: string | undefined,
  options: PathOptions & { lines?: boolean },
  out: Out,
): Promise<void> {
  await using(file, reading, async (db) => {
    const snap = db.snapshot()
    const value = path === undefined ? snap.root : find(snap.root, path, options.sep)
    if (value === undefined) throw missing(path!)
    if (options.lines) {
      if (refOf(value) === undefined)
        throw new Failure(exitCodes.failed, `there is a single value at ${path}: leave --lines out`)
      await out.pieces(linePieces(value))
    } else {
      await out.pieces(jsonPieces(value))
      await out.write('\n')
    }
    await out.flush()
  })
}

export async function get(
  file: string,
  path: string,
  options: PathOptions & { raw?: boolean },
  out: Out,
): Promise<void> {
  await using(file, reading, async (db) => {
    const snap = db.snapshot()
    const value = find(snap.root, path, options.sep)
    if (value === undefined) throw missing(path)
    if (options.raw && typeof value === 'string') await out.write(value)
    else await out.pieces(jsonPieces(value))
    await out.write('\n')
    await out.flush()
  })
}

export async function set(
  file: string,
  path: string,
  text: string,
  options: PathOptions & { string?: boolean; fail?: boolean },
): Promise<void> {
  let value: unknown = text
  if (!options.string) {
    try {
      value = jsonValue(text)
    } catch (error) {
      throw new Failure(
        exitCodes.usage,
        `the value is no JSON (${(error as Error).message}); --string stores it as it is`,
      )
    }
  }
  await using(file, {}, (db) => {
    db.root.$set(path, value, { sep: options.sep, fail: options.fail === true })
  })
}

export async function del(file: string, path: string, options: PathOptions): Promise<void> {
  await using(file, writing, (db) => {
    // A path through what is not there leads to nothing, too.
    if (find(db.root, path, options.sep) === undefined) throw missing(path)
    const parts = path.split(options.sep)
    if (!db.root.$delete(parts)) throw missing(path)
  })
}

export async function loadInto(
  file: string,
  path: string | undefined,
  options: Partial<LoadOptions> & { json?: boolean },
  out: Out,
): Promise<void> {
  await using(file, {}, async (db) => {
    const report = await load(
      db,
      {
        path,
        sep: options.sep ?? '.',
        input: options.input,
        lines: options.lines === true,
        as: options.as,
        key: options.key,
        pairs: options.pairs === true,
        batch: options.batch ?? 1000,
      },
      new Progress(),
    )
    if (options.json) await out.line(JSON.stringify(report))
  })
}

export async function verify(file: string, options: { json?: boolean }, out: Out): Promise<void> {
  await using(file, reading, async (db) => {
    const counts = await db.verify()
    if (options.json) return await out.line(JSON.stringify(counts))
    for (const [name, count] of Object.entries(counts)) await out.line(`${name.padEnd(14)} ${count}`)
  })
}

interface GcOptions {
  complete?: boolean
  daemon?: boolean
  short: number
  long: number
  json?: boolean
}

async function collect(db: Database<any>, complete: boolean, options: GcOptions, out: Out): Promise<void> {
  const { before, after } = await db.gc({ complete })
  if (options.json) return await out.line(JSON.stringify({ complete, before, after }))
  await out.line(
    `${complete ? 'complete' : 'quick'}: ${before.containers} containers, ${before.count} blocks, ${bytesText(before.bytes)} before; ` +
      `${after.containers} containers, ${after.count} blocks, ${bytesText(after.bytes)} after`,
  )
}

export async function gc(file: string, options: GcOptions, out: Out): Promise<void> {
  await using(file, writing, async (db) => {
    if (!options.daemon) return await collect(db, options.complete === true, options, out)
    const signal = untilEnded()
    let completeAt = Date.now() + options.long * 1000
    while (!signal.aborted) {
      await delay(options.short * 1000, undefined, { signal }).catch(() => {})
      if (signal.aborted) break
      if (Date.now() >= completeAt) {
        await collect(db, true, options, out)
        await out.flush()
        completeAt = Date.now() + options.long * 1000
      } else {
        await db.gc()
      }
    }
  })
}

export async function backup(
  file: string,
  target: string,
  options: { overwrite?: boolean; json?: boolean },
  out: Out,
): Promise<void> {
  const progress = new Progress()
  const signal = untilEnded()
  await using(file, reading, async (db) => {
    const report = await db.backup(target, {
      overwrite: options.overwrite === true,
      signal,
      onProgress: ({ bytesDone, bytesTotal }) =>
        progress.update(() => `${bar(bytesDone, bytesTotal)} ${bytesText(bytesDone)} of ${bytesText(bytesTotal)}`),
    })
    progress.done(`${report.containers} containers, ${bytesText(report.bytes)}`)
    if (options.json) await out.line(JSON.stringify(report))
  })
}

export async function watch(file: string, path: string | undefined, options: PathOptions, out: Out): Promise<void> {
  await using(file, reading, async (db) => {
    const changes = (db as { changes?: (target: unknown, options: object) => AsyncIterable<unknown[]> }).changes
    if (changes === undefined) throw new Failure(exitCodes.failed, 'this build cannot watch')
    const target = path === undefined ? db.root : path.split(options.sep)
    const plain = (value: unknown): unknown => {
      if (refOf(value) !== undefined) return (value as any).$native?.() ?? (value as any).native()
      return Array.isArray(value) ? value.map(plain) : value
    }
    try {
      for await (const batch of changes.call(db, target, { signal: untilEnded() })) {
        const rows = (batch as Record<string, unknown>[]).map((change) =>
          // JSON has no undefined: what was not there before has no oldValue.
          Object.fromEntries(
            Object.entries(change)
              .filter(([, value]) => value !== undefined)
              .map(([name, value]) => [name, plain(value)]),
          ),
        )
        await out.line(plainJson(rows))
        await out.flush()
      }
    } catch (error) {
      if ((error as Error).name !== 'AbortError') throw error
    }
  })
}
