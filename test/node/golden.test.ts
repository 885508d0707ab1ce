// Golden files of every format version are read: see test/fixtures/make_golden.mjs. test/python/test_golden.py reads them too.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { open, Uuid } from '../../lib'

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url))
const { tag } = createRequire(import.meta.url)('../python/tagged.cjs')(Uuid) as { tag(value: unknown): unknown }
const advice =
  'The bytes of the format have changed. If no release has this version, make the fixture anew with ' +
  '"node test/fixtures/make_golden.mjs"; if one has, raise kFormatVersion, keep reading the old one, and add a fixture.'

// Plain objects put names that look like integers first: what is compared is sorted.
function sorted(tagged: any): unknown {
  const [type, content] = tagged as [string, any]
  if (type === 'list') return [type, content.map(sorted)]
  if (type !== 'dict') return tagged
  return [type, content.map((pair: any[]) => JSON.stringify(pair.map(sorted))).sort()]
}

test.each(readdirSync(fixtures).filter((name) => name.endsWith('.pongo.gz')))(
  '%s is read as it was written',
  async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'pongodb-golden-'))
    try {
      const path = join(folder, 'golden.pongo')
      writeFileSync(path, gunzipSync(readFileSync(join(fixtures, name))))
      const expected = JSON.parse(readFileSync(join(fixtures, name.replace('.pongo.gz', '.json')), 'utf8')) as unknown
      const db = open(path)
      await db.verify()
      expect(sorted(tag(db.root.$native())), advice).toEqual(sorted(expected))
      db.root.list.push({ written: [db.root.scalars] })
      expect(db.root.list.at(-1).written[0].uuid.equals(db.root.scalars.uuid)).toBe(true)
      // The bounds are kept, and go on where they were.
      const { oldest, bytes, used, expiring } = db.root
      oldest.set('k5', 5)
      expect([...oldest.keys()]).toEqual(['k3', 'k4', 'k5'])
      bytes.set('new', 'x'.repeat(100))
      expect([...bytes.keys()]).toEqual(['k9', 'new'])
      used.set('k3', 3)
      expect(used.size).toBe(2)
      expect(expiring.ttl('late')).toBeGreaterThan(0)
      expect(expiring.ttl('never')).toBeUndefined()
      await db.verify()
      db.close()
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
)
