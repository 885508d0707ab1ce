// What happens on a disk without room. full_disk.test.ts runs this on a small file system of its own:
//   node full_disk.mjs <folder on the small disk> <folder on another disk> <scenario>
//   node full_disk.mjs peer <path>            another process with the file open

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'pongodb'

const options = { chunksize: 2 ** 18, checkpointInterval: 50 }
const [disk, elsewhere, scenario] = process.argv.slice(2)
const path = join(disk, 'state.pongo')
const fillerPath = join(disk, 'filler')

/** A hash of all that a database holds, live objects read one by one. */
function contentOf({ root }) {
  const hash = createHash('sha256')
  for (const [key, text] of root.items) hash.update(JSON.stringify([key, text]))
  for (const [key, document] of root.documents) hash.update(JSON.stringify([key, document.n, document.list.native()]))
  return hash.digest('hex')
}

/** Writes a file until the disk has no room. */
function fillDisk() {
  const file = openSync(fillerPath, 'w')
  try {
    for (const size of [2 ** 16, 1]) {
      const bytes = Buffer.alloc(size)
      assert.throws(
        () => {
          for (;;) writeSync(file, bytes)
        },
        { code: 'ENOSPC' },
      )
    }
  } finally {
    closeSync(file)
  }
}

const noRoom = (fn) => assert.throws(fn, { code: 'PONGO_ERR_NOSPACE' })

function prepare() {
  const db = open(path, options)
  db.root.items = db.collection()
  db.root.documents = db.collection()
  db.root.count = 0
  for (let i = 0; i < 500; i++) db.root.documents.set(i, { n: i, list: [i, `document ${i}`] })
  return db
}

/** Entries of all sizes until there is no room: how many there are now. What failed has left nothing. */
function fillItems(db) {
  const { items } = db.root
  let key = items.size
  for (const size of [100_000, 3000, 40]) {
    noRoom(() => {
      for (; ; key++) {
        db.transaction(() => {
          items.set(key, `${key} ${'x'.repeat(size)}`)
          db.root.count += 1
        })
      }
    })
    assert.equal(items.has(key), false)
    assert.equal(items.size, key)
    assert.equal(db.root.count, key)
  }
  return key
}

async function startPeer() {
  const child = fork(process.argv[1], ['peer', path], { execArgv: [] })
  const next = async () => {
    const [answer] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code, signal]) => assert.fail(`the peer ended: ${code} ${signal}`)),
    ])
    return answer
  }
  assert.equal(await next(), 'ready')
  return {
    async content() {
      child.send('content')
      return await next()
    },
    async write() {
      child.send('write')
      return await next()
    },
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

async function peer() {
  const db = open(process.argv[3], options)
  const jobs = {
    content: () => contentOf(db),
    write: () => {
      db.root.items.set('from a peer', 'x'.repeat(100_000))
      return 'written'
    },
  }
  process.on('message', (job) => {
    try {
      process.send(jobs[job]())
    } catch (error) {
      process.send(error.code ?? String(error))
    }
  })
  process.send('ready')
}

/** The database can be used, by both, and is whole: now, and when it has been opened again. */
async function works(db, other) {
  db.transaction(() => {
    for (let i = 0; i < 50; i++) db.root.items.set(`again ${i}`, 'y'.repeat(3000))
    db.root.count += 50
  })
  if (other !== undefined) assert.equal(await other.write(), 'written')
  await db.sync()
  await other?.kill()
  await db.gc({ complete: true })
  assert.equal((await db.verify()).orphans, 0)
  const content = contentOf(db)
  db.close()
  const again = open(path, options)
  assert.equal(contentOf(again), content)
  assert.equal((await again.verify()).orphans, 0)
  again.close()
}

const scenarios = {
  async 'filled by the database itself'() {
    const db = prepare()
    const other = await startPeer()
    const items = fillItems(db)
    assert.ok(items > 50, `${items} entries fit`)
    assert.equal(await other.content(), contentOf(db))
    assert.equal(await other.write(), 'PONGO_ERR_NOSPACE')
    await db.sync()
    // To remove something needs no room that is not there; what it leaves can be used.
    for (let key = 0; key < items; key += 2) assert.equal(db.root.items.delete(key), true)
    assert.equal(await other.content(), contentOf(db))
    await works(db, other)
  },

  async 'filled by others'() {
    const db = prepare()
    const other = await startPeer()
    fillDisk()
    const items = fillItems(db)
    const content = contentOf(db)
    const { version } = db
    noRoom(() =>
      db.transaction(() => {
        for (let i = 0; i < 200; i++) db.root.items.set(`half ${i}`, 'y'.repeat(50_000))
      }),
    )
    assert.equal(db.version, version)
    assert.equal(contentOf(db), content)
    assert.equal(await other.content(), content)
    assert.equal(await other.write(), 'PONGO_ERR_NOSPACE')
    await db.sync()
    const snapshot = db.snapshot()
    assert.equal(contentOf(snapshot), content)
    snapshot.release()
    rmSync(fillerPath)
    db.root.items.set(items, 'fits now')
    await works(db, other)
  },

  async backups() {
    const db = prepare()
    for (let i = 0; i < 300; i++) db.root.items.set(i, `${i} ${'x'.repeat(3000)}`)
    fillDisk()
    const before = readdirSync(disk).sort()
    await assert.rejects(db.backup(join(disk, 'backup.pongo')), { code: 'PONGO_ERR_NOSPACE' })
    assert.deepEqual(readdirSync(disk).sort(), before)
    const copyPath = join(elsewhere, 'backup.pongo')
    await db.backup(copyPath)
    const copy = open(copyPath)
    assert.equal(contentOf(copy), contentOf(db))
    copy.close()
    rmSync(fillerPath)
    await db.backup(join(disk, 'backup.pongo'))
    await works(db)
  },

  // Whoever comes when it is full: what needs room says so, and nothing is lost or in the way later.
  async newcomers() {
    const db = prepare()
    fillDisk()
    fillItems(db)
    await db.sync()
    const content = contentOf(db)
    const created = join(disk, 'new.pongo')
    noRoom(() => open(created, options))
    for (const use of [
      () => db.lock('first').acquireSync().release(),
      () => db.event('first').set(),
      () => (db.root.cache = db.collection({ maxItems: 10, evict: 'lru' })),
      () => db.root.cache?.set('a', 1),
      () => db.watch('items', () => undefined)(),
    ]) {
      try {
        use()
      } catch (error) {
        assert.equal(error.code, 'PONGO_ERR_NOSPACE')
      }
    }
    assert.equal(contentOf(db), content)
    db.close()

    // The last ones die; the control file stays, then goes: the commits were all synced.
    const killed = await startPeer()
    assert.equal(await killed.content(), content)
    await killed.kill()
    const after = open(path, options)
    assert.equal(contentOf(after), content)
    after.close()
    rmSync(`${path}-lock`)
    fillDisk()
    // The first leaves a control file without room behind, which must not be the end of the next.
    for (let i = 0; i < 3; i++) noRoom(() => open(path, options))
    const readOnly = open(path, { readOnly: true })
    assert.equal(contentOf(readOnly), content)
    readOnly.close()
    rmSync(fillerPath)
    const again = open(path, options)
    assert.equal(contentOf(again), content)
    await works(again)
    open(created, options).close()
    assert.ok(existsSync(created))
  },
}

if (disk === 'peer') await peer()
else await scenarios[scenario]()
