import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import * as esm from 'pongodb'
import { open, PongoError, Uuid } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase, freshPath, openAt } from '../support/database'

describe('open', () => {
  test('options are checked, and unknown ones named', () => {
    const path = freshPath()
    expectCode('ARG', () => open(path, { readonly: true } as any), /readonly/)
    expectCode('ARG', () => open(path, { create: 1 } as any), /create/)
    expectCode('ARG', () => open(path, { mode: -1 }), /mode/)
    expectCode('ARG', () => open(path, { durability: 'full' as any }), /durability/)
    expectCode('ARG', () => open(path, { chunksize: 0.5 }), /chunksize/)
    expectCode('ARG', () => open(path, { checkpointInterval: 0 }), /checkpointInterval/)
    expectCode('ARG', () => open(''))
    expectCode('ARG', () => open(5 as any))
    expectCode('ARG', () => open('a\0b'))
    expectCode('ARG', () => open(path, 5 as any))
    expect(existsSync(path)).toBe(false)
  })

  test('a file URL, data that outlives the handle', () => {
    const path = freshPath()
    const db = openAt(pathToFileURL(path) as any)
    db.root.a = { list: [1] }
    db.close()
    const again = openAt(path)
    expect(again.root.$native()).toEqual({ a: { list: [1] } })
    expect(again.path).toBe(path)
  })

  test('create: false, and a file that is none of ours', () => {
    const path = freshPath()
    expectCode('IO', () => open(path, { create: false }), path)
    writeFileSync(path, 'something else entirely, '.repeat(1000))
    expect(() => open(path)).toThrow(PongoError)
    expect(readFileSync(path, 'utf8').startsWith('something')).toBe(true)
  })

  test('read-only', () => {
    const path = freshPath()
    const writer = openAt(path)
    writer.root.a = { x: [1] }
    expectCode('ARG', () => open(path, { readOnly: true }), /readOnly/)
    writer.close()
    const db = openAt(path, { readOnly: true })
    expect(db.root.a.x[0]).toBe(1)
    expectCode('READONLY', () => (db.root.b = 1))
    expectCode('READONLY', () => db.root.a.x.push(2))
  })

  test('read-only without write permission: the last checkpoint', () => {
    const path = freshPath()
    const writer = openAt(path, { mode: 0o644, checkpointInterval: 3_600_000 })
    writer.root.a = { x: [1] }
    writer.syncNow()
    writer.root.a.x = 'not durable'
    const program = `
      import { open } from ${JSON.stringify(new URL('../../dist/index.mjs', import.meta.url).href)}
      if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534) }
      const db = open(process.argv[1], { readOnly: true })
      const out = [db.root.a.$native(), [...db.root.a.x], db.version]
      for (const write of [() => (db.root.b = 1), () => db.root.a.x.push(2)])
        try { write() } catch (error) { out.push(error.code) }
      console.log(JSON.stringify(out)); db.close()`
    chmodSync(dirname(path), 0o755)
    if (process.getuid?.() !== 0) chmodSync(path, 0o444)
    const text = execFileSync(process.execPath, ['--input-type=module', '-e', program, path], { encoding: 'utf8' })
    const [plain, list, version, ...codes] = JSON.parse(text)
    expect(plain).toEqual({ x: [1] })
    expect(list).toEqual([1])
    expect(version).toBe(writer.version - 1)
    expect(codes).toEqual(['PONGO_ERR_READONLY', 'PONGO_ERR_READONLY'])
  })

  test('sync takes options; gc says whether it was skipped', async () => {
    const db = freshDatabase()
    db.root.a = 1
    await db.sync({ rewrite: true }) // nothing to rewrite: as sync()
    await expect(db.sync({ rewrite: 1 as any })).rejects.toThrow(/rewrite/)
    await expect(db.sync({ again: true } as any)).rejects.toThrow(/again/)
    expect((await db.gc({ complete: true })).skipped).toBe(false)
  })

  test('close is idempotent; what was read through the handle throws CLOSED', () => {
    const path = freshPath()
    const other = openAt(path)
    const db = openAt(path)
    db.root.a = { list: [1], c: db.collection() }
    const { a } = db.root
    const { list, c } = a
    const { root } = db
    db.close()
    db.close()
    for (const use of [
      () => db.root,
      () => db.version,
      () => db.transaction(() => 1),
      () => db.snapshot(),
      () => db.collection(),
      () => db.meta,
      () => root.a,
      () => (root.a = 1),
      () => a.x,
      () => list[0],
      () => list.push(1),
      () => [...list],
      () => c.get('x'),
      () => c.size,
      () => [...c],
    ]) {
      expectCode('CLOSED', use)
    }
    expect(inspect(a)).toBe('[Dict: closed]')
    expect(other.root.a.list.native()).toEqual([1])
  })
})

describe('transaction', () => {
  test('all or nothing; nested calls join; the value comes out', () => {
    const { root, ...rest } = { root: undefined as any, db: freshDatabase() }
    expect(root).toBe(undefined)
    const db = rest.db
    db.root.a = { balance: 10 }
    db.root.b = { balance: 0 }
    const version = db.version
    const result = db.transaction(() => {
      db.root.a.balance -= 5
      return db.transaction(() => {
        db.root.b.balance += 5
        return 'done'
      })
    })
    expect(result).toBe('done')
    expect(db.version).toBe(version + 1)
    expect(db.root.$native()).toEqual({ a: { balance: 5 }, b: { balance: 5 } })
  })

  test('throwing aborts and rethrows; containers made in it are gone', () => {
    const db = freshDatabase()
    db.root.list = [1, 2, 3]
    let leaked: any
    expect(() =>
      db.transaction(() => {
        db.root.list.push(4)
        db.root.made = { x: 1 }
        leaked = db.root.made
        expect(leaked.x).toBe(1)
        expect(db.root.list.length).toBe(4)
        throw new RangeError('mine')
      }),
    ).toThrow('mine')
    expect(db.root.$native()).toEqual({ list: [1, 2, 3] })
    expectCode('KEY', () => leaked.x)
    expectCode('KEY', () => (leaked.x = 1))
  })

  test('a promise: TYPE, aborted', () => {
    const db = freshDatabase()
    expectCode('TYPE', () =>
      db.transaction(async () => {
        db.root.a = 1
        throw new Error('must not become an unhandled rejection')
      }),
    )
    expect('a' in db.root).toBe(false)
  })

  test('what has no meaning inside: ARG', () => {
    const db = freshDatabase()
    db.transaction(() => {
      expectCode('ARG', () => db.snapshot())
      expectCode('ARG', () => db.syncNow())
      expectCode('ARG', () => db.root.$set('a', 1, { sync: true }))
      expectCode('ARG', () => db.close())
      expectCode('ARG', () => db.sync())
    })
    expectCode('ARG', () => db.transaction(5 as any))
  })

  test('iteration inside sees its own state', () => {
    const db = freshDatabase()
    db.root.c = db.collection()
    db.transaction(() => {
      for (let i = 0; i < 1000; i++) db.root.c.set(i, i)
      let n = 0
      for (const [key] of db.root.c) {
        db.root.c.delete(key)
        n++
      }
      expect(n).toBe(1000)
      expect(db.root.c.size).toBe(0)
      db.root.c.set('last', 1)
      expect(db.root.c.search([], '==', 1).size).toBe(1)
    })
    expect(db.root.c.native()).toEqual({ last: 1 })
  })
})

describe('snapshot', () => {
  test('shows one version, read-only, until released', () => {
    const db = freshDatabase()
    db.root.a = { list: [1, { x: 1 }] }
    db.root.c = db.collection().set('k', 'v')
    const snap = db.snapshot()
    db.root.a.list[1].x = 2
    db.root.a.list.push('later')
    db.root.c.set('k2', 'v2')
    delete db.root.gone
    expect(snap.root.a.list.native()).toEqual([1, { x: 1 }])
    expect(snap.root.a).toBe(snap.root.a)
    expect(snap.root.a).not.toBe(db.root.a)
    expect([...snap.root.c]).toEqual([['k', 'v']])
    expect(snap.get(db.root.c)!.size).toBe(1)
    expect(snap.root.a.list.map((x: any) => x?.x ?? x)).toEqual([1, 1])
    expect(snap.version).toBeLessThan(db.version)
    db.root.fresh = {}
    expect(snap.get(db.root.fresh)).toBe(undefined)
    for (const write of [
      () => (snap.root.a = 1),
      () => delete snap.root.a,
      () => snap.root.$incr('n'),
      () => snap.root.a.list.push(1),
      () => (snap.root.a.list[0] = 1),
      () => (snap.root.a.list.length = 0),
      () => snap.root.a.list.sort(),
      () => snap.root.c.set('x', 1),
      () => snap.root.c.clear(),
    ]) {
      expectCode('READONLY', write)
    }
    const inside = snap.root.a
    snap.release()
    snap.release()
    expectCode('SNAPSHOT', () => snap.root)
    expectCode('SNAPSHOT', () => inside.list)
    expectCode('ARG', () => db.snapshot().get({}))
  })

  test('Symbol.dispose', () => {
    const db = freshDatabase()
    const snap = db.snapshot()
    snap[Symbol.dispose]()
    expectCode('SNAPSHOT', () => snap.root)
    db[Symbol.dispose]()
    expectCode('CLOSED', () => db.root)
  })
})

describe('meta', () => {
  test('settings of the file and of the process', () => {
    const path = freshPath()
    const db = openAt(path, { chunksize: 2 ** 20 })
    expect(db.meta.chunksize).toBe(2 ** 20)
    expect(db.meta.id).toBe('_id')
    expect(db.meta['.sync']).toBe('checkpoint')
    db.meta['.sync'] = true
    expect(db.meta['.sync']).toBe('sync')
    db.meta['.sync'] = false
    expect(db.meta['.sync']).toBe('checkpoint')
    db.meta['.sync'] = 'none'
    db.meta.id = 'key'
    expect(openAt(path).meta.id).toBe('key')
    expect(Object.keys(db.meta)).toEqual(['chunksize', 'id', '.sync', '.newkey', '.uuid_class', '.uuid_constructor'])
    expectCode('KEY', () => (db.meta as any).unknown, /unknown/)
    expectCode('KEY', () => ((db.meta as any)['.atomic'] = 1))
    expectCode('ARG', () => ((db.meta as any)['.sync'] = 'full'))
    expectCode('TYPE', () => ((db.meta as any)['.newkey'] = 5))
    expect(inspect(db.meta)).toContain("id: 'key'")
  })

  test('.uuid_class and .uuid_constructor', () => {
    const db = freshDatabase()
    class MyUuid {
      constructor(readonly bytes: Uint8Array) {}
    }
    db.meta['.uuid_class'] = MyUuid
    db.meta['.uuid_constructor'] = (_unused, bytes) => new MyUuid(bytes)
    const bytes = new Uint8Array(16).fill(7)
    db.root.a = { id: new MyUuid(bytes) }
    expect(db.root.a.id).toBeInstanceOf(MyUuid)
    expect(db.root.a.$native().id.bytes).toEqual(bytes)
    db.meta['.uuid_constructor'] = null
    expect(db.root.a.id).toBeInstanceOf(Uuid)
  })
})

describe('the database as a whole', () => {
  test('sync, stats, verify, gc, info', async () => {
    const db = freshDatabase()
    db.root.a = { list: Array.from({ length: 1000 }, (_, i) => ({ i })) }
    await db.sync()
    db.syncNow()
    expect(Object.values(db.stats()).every((value) => typeof value === 'number')).toBe(true)
    expect((await db.verify())['containers']).toBeGreaterThanOrEqual(1002)
    delete db.root.a
    const { before, after } = await db.gc({ complete: true })
    expect(after.count).toBeLessThanOrEqual(before.count)
    expect(typeof db.info()).toBe('string')
    await expect(db.gc({ full: true } as any)).rejects.toMatchObject({ code: 'PONGO_ERR_ARG' })
    const version = db.version
    db.root.x = 1
    expect(db.version).toBeGreaterThan(version)
    await db.verify()
  })

  test('errors', () => {
    const error = new PongoError('PONGO_ERR_KEY', 'gone')
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(PongoError)
    expect(error.name).toBe('PongoError')
    expect(error.code).toBe('PONGO_ERR_KEY')
    expect(new Error('x')).not.toBeInstanceOf(PongoError)
    expect(Object.keys(error)).toEqual(['code'])
  })
})

describe('the package', () => {
  test('ESM and CommonJS give the same names and the same objects', () => {
    const cjs = createRequire(import.meta.url)('../../dist/index.js') as Record<string, unknown>
    expect(Object.keys(esm).sort()).toEqual(Object.keys(cjs).sort())
    for (const [name, value] of Object.entries(esm)) expect(value, name).toBe(cjs[name])
  })

  test('generated files are fresh', () => {
    execFileSync(process.execPath, ['scripts/codes.mjs', '--check'])
  })
})
