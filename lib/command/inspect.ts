// `pongo inspect`: what is in the file, read without the engine.

import { jsonOf } from '../reader/json'
import { FormatError, refText } from '../reader/layout'
import { ContainerRef } from '../reader/value'
import { DatabaseReader, kindNames, type ContainerEntry, type Plain } from '../reader/reader'
import { exitCodes, Failure } from './failure'
import type { Out } from './out'

export interface InspectOptions {
  json?: boolean
  container?: number
  tree?: boolean
  containers?: boolean
  value?: boolean
  check?: boolean
}

function superblockRows(reader: DatabaseReader): Record<string, unknown> {
  const { A, B } = reader.superblocks()
  const show = (copy: typeof A) =>
    copy instanceof FormatError ? { error: copy.message } : { ...copy, root: refText(copy.root) }
  return { A: show(A), B: show(B) }
}

function entryOf(reader: DatabaseReader, id: number): ContainerEntry {
  const entry = reader.container(id)
  if (entry === undefined) throw new Failure(exitCodes.missing, `there is no container ${id}`)
  return entry
}

function describe(reader: DatabaseReader, entry: ContainerEntry): Record<string, unknown> {
  const { id, kind, tree, size, parent, links } = entry
  const row = { id, kind: kindNames[kind] ?? kind, size, parent, links, tree: refText(tree) }
  return { ...row, ...reader.bounds(entry) }
}

async function tree(reader: DatabaseReader, entry: ContainerEntry, json: boolean, out: Out): Promise<void> {
  for (const node of reader.nodes(entry)) {
    const row = { level: node.level, kind: node.kind, count: node.count, bytes: node.bytes.length }
    if (json) {
      await out.line(JSON.stringify(row))
      continue
    }
    await out.line(
      `${'  '.repeat(30 - node.level).slice(56)}level ${row.level} kind ${row.kind}: ${row.count} entries, ${row.bytes} bytes`,
    )
    if (!node.leaf) continue
    for (let i = 0; i < node.count; i++) {
      const value = node.value(i)
      const shown = value instanceof ContainerRef ? `${kindNames[value.kind]} ${value.id}` : jsonOf(value as Plain)
      const key = node.keyed ? `${jsonOf(node.key(i) as Plain)}: ` : ''
      await out.line(`      ${key}${shown.length > 100 ? `${shown.slice(0, 100)}…` : shown}`)
    }
  }
}

async function overview(reader: DatabaseReader, json: boolean, out: Out): Promise<void> {
  const { source, root } = reader
  const shown = {
    file: { bytes: source.size, mapped: source.mapped },
    superblocks: superblockRows(reader),
    root: { ...root, table: refText(root.table) },
    slabs: reader.slabs(),
  }
  if (json) return await out.line(JSON.stringify(shown))
  await out.line(`file: ${source.size} bytes, read ${source.mapped ? 'by mapping it' : 'piece by piece'}`)
  for (const [copy, fields] of Object.entries(shown.superblocks)) {
    await out.line(`superblock ${copy}:`)
    for (const [name, value] of Object.entries(fields as object))
      if (name !== 'copy') await out.line(`  ${name.padEnd(16)} ${value}`)
  }
  await out.line(
    `root record: version ${root.version}, ${root.containers} containers, object table of ${root.levels} levels`,
  )
  await out.line('slabs by the size of their blocks:')
  for (const { use, slabs, bytes } of shown.slabs)
    await out.line(`  ${use.padStart(8)}  ${String(slabs).padStart(8)}  ${bytes} bytes`)
}

export async function inspectFile(path: string, options: InspectOptions, out: Out): Promise<void> {
  const json = options.json === true
  const reader = new DatabaseReader(path)
  try {
    if (options.check) {
      const report = reader.check()
      await out.line(
        json
          ? JSON.stringify(report)
          : `clean: ${report.containers} containers, ${report.values} values, ${report.bytes} bytes of blocks`,
      )
    } else if (options.value) {
      await out.line(jsonOf(reader.native(options.container ?? 1)))
    } else if (options.containers) {
      for (const entry of reader.containers()) {
        const row = describe(reader, entry)
        await out.line(
          json
            ? JSON.stringify(row)
            : Object.entries(row)
                .map(([name, value]) => `${name} ${value}`)
                .join('  '),
        )
      }
    } else if (options.tree || options.container !== undefined) {
      const entry = entryOf(reader, options.container ?? 1)
      if (json || !options.tree) await out.line(JSON.stringify(describe(reader, entry)))
      if (options.tree) await tree(reader, entry, json, out)
    } else {
      await overview(reader, json, out)
    }
    if (!reader.current()) {
      process.stderr.write('pongo: the database was written meanwhile: what is shown may be mixed; read it again\n')
    }
  } catch (error) {
    if (error instanceof FormatError && !reader.current()) {
      throw new Failure(exitCodes.failed, `the database was written meanwhile (${error.message}): read it again`)
    }
    throw error
  } finally {
    reader.close()
  }
}
