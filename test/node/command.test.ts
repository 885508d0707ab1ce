// The command `pongo`, run as a user runs it.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { open } from 'pongodb'
import { beforeAll, describe, expect, test } from 'vitest'
import { freshPath, openAt } from '../support/database'

const main = fileURLToPath(new URL('../../dist/command/main.js', import.meta.url))

interface Result {
  code: number | null
  out: string
  err: string
}

function start(args: string[], nodeArgs: string[] = []): ChildProcess {
  return spawn(process.execPath, [...nodeArgs, main, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
}

async function result(child: ChildProcess): Promise<Result> {
  let out = ''
  let err = ''
  child.stdout!.setEncoding('utf8').on('data', (text) => (out += text))
  child.stderr!.setEncoding('utf8').on('data', (text) => (err += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out, err }
}

async function pongo(args: string[], input?: string | Iterable<string>, nodeArgs?: string[]): Promise<Result> {
  const child = start(args, nodeArgs)
  const done = result(child)
  child.stdin!.on('error', () => {}) // it may end before it has read everything
  if (input !== undefined && typeof input !== 'string') {
    for (const piece of input) if (!child.stdin!.write(piece)) await Promise.race([once(child.stdin!, 'drain'), done])
  }
  child.stdin!.end(typeof input === 'string' ? input : '')
  return await done
}

async function json(args: string[], input?: string): Promise<any> {
  const { code, out, err } = await pongo(args, input)
  expect(err).toBe('')
  expect(code).toBe(0)
  return JSON.parse(out)
}

describe('pongo', () => {
  let path: string
  beforeAll(() => {
    expect(existsSync(main), 'dist is built').toBe(true)
  })

  test('set, get, del', async () => {
    path = freshPath()
    expect((await pongo(['set', path, 'a', '{"x":[1,2,{"y":"z"}],"big":12345678901234567890}'])).code).toBe(0)
    expect(await json(['get', path, 'a.x'])).toEqual([1, 2, { y: 'z' }])
    expect((await pongo(['get', path, 'a.big'])).out).toBe('12345678901234567890\n')
    expect((await pongo(['get', path, 'a/x/2/y', '--sep', '/', '--raw'])).out).toBe('z\n')
    expect((await pongo(['set', path, 'a.t', 'plain text', '--string'])).code).toBe(0)
    expect((await pongo(['set', path, 'a.t', 'plain text'])).code).toBe(2)
    expect((await pongo(['set', path, 'a.t', '1', '--fail'])).err).toContain('PONGO_ERR_EXISTS')
    expect((await pongo(['del', path, 'a.x.0'])).code).toBe(0)
    expect(await json(['get', path, 'a.x'])).toEqual([2, { y: 'z' }])
    for (const missing of ['nothing', 'a.nothing', 'a.x.9', 'a.t.u']) {
      expect(await pongo(['get', path, missing])).toMatchObject({ code: 3, out: '' })
      expect((await pongo(['del', path, missing])).code).toBe(3)
    }
  })

  test('exit codes and messages', async () => {
    const none = freshPath()
    expect(await pongo(['get', none, 'a'])).toMatchObject({ code: 1, out: '' })
    // Each of them once.
    const missing = await pongo(['info', none])
    expect(missing).toMatchObject({ code: 1, out: '' })
    expect(missing.err.split(none).length - 1).toBe(1)
    expect(missing.err.match(/no such file/gi)).toEqual(['No such file'])
    expect(existsSync(none)).toBe(false)
    expect((await pongo(['frobnicate'])).code).toBe(2)
    expect((await pongo(['get', none])).code).toBe(2)
    expect((await pongo(['gc', none, '--short', 'soon'])).code).toBe(2)
    writeFileSync(none, 'not a database at all')
    expect((await pongo(['verify', none])).code).toBe(4)
    expect((await pongo(['inspect', none])).code).toBe(4)
    const { error } = JSON.parse((await pongo(['info', none, '--json'])).err)
    expect(error.code).toBe('PONGO_ERR_CORRUPT')
    const help = await pongo(['load', '--help'])
    expect(help.code).toBe(0)
    expect(help.out).toMatch(/Examples:[^]*Exit codes:/)
    expect((await pongo(['--version'])).out.trim()).toBe(
      JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version,
    )
  })

  test('dump and load bring everything over', async () => {
    const from = freshPath()
    const db = open<any>(from)
    db.root.users = db.collection()
    for (let i = 0; i < 2500; i++) db.root.users.set(`user ${i}`, { n: i, f: i / 4, tags: ['a', `"\\\n${i}`] })
    db.root.numbers = db.collection()
    for (let i = 0; i < 10; i++) db.root.numbers.set(i, [i])
    db.root.list = [1, [2, { three: 3 }], null]
    const multi = (db.root.multi = db.collection({ multi: true }))
    for (let i = 0; i < 7; i++) multi.set(`k${i % 3}`, i)
    const whole = JSON.parse(db.root.$json())
    const users = db.root.users.native()
    db.close()
    const dumped = await pongo(['dump', from])
    expect(JSON.parse(dumped.out)).toEqual(whole)
    const to = freshPath()
    expect((await pongo(['load', to], dumped.out)).code).toBe(0)
    expect(await json(['dump', to])).toEqual(whole)

    const lines = await pongo(['dump', from, 'users', '--lines'])
    expect(lines.out.split('\n').length).toBe(2501)
    const report = await json(['load', to, 'again', '--pairs', '--json', '--batch', '7'], lines.out)
    expect(report.elements).toBe(2500)
    const numbers = await pongo(['dump', from, 'numbers', '--lines'])
    await pongo(['load', to, 'numbers2', '--pairs'], numbers.out)
    const copy = openAt(to)
    expect(copy.root.again.native()).toEqual(users)
    expect(copy.root.numbers2.native()).toEqual(new Map(Array.from({ length: 10 }, (_, i) => [i, [i]])))
  })

  test('load: arrays, objects, lines, single values, into what is there', async () => {
    const file = freshPath()
    await pongo(['load', file, 'list'], ' [1, "a,]b", {"c":[]}, [] ]\n')
    await pongo(['load', file, 'list'], '[2.5,3.0]')
    await pongo(['load', file, 'empty'], '[ ]')
    await pongo(['load', file, 'people', '--key', 'id'], '{"id":7,"n":"seven"}\n{"id":8,"n":"eight"}\n')
    await pongo(['load', file, 'people', '--key', 'id'], '[{"id":7,"n":"new"}]')
    await pongo(['load', file, 'single'], '{"a":{"b":1},"c":"x"}')
    await pongo(['load', file, 'dict', '--as', 'dict'], '{\n"a":1\n}')
    await pongo(['load', file, 'docs'], '{"n":1}\n\n{"n":2}')
    await pongo(['load', file, 'seven'], ' 7 ')
    const db = openAt(file)
    expect(db.root.list.native()).toEqual([1, 'a,]b', { c: [] }, [], 2.5, 3])
    expect(db.root.empty.native()).toEqual([])
    expect(db.root.people.get(7)).toMatchObject({ n: 'new' })
    expect(db.root.people.size).toBe(2)
    expect(db.root.single.native()).toEqual({ a: { b: 1 }, c: 'x' })
    expect(db.root.dict.$native()).toEqual({ a: 1 })
    expect([...db.root.docs.values()].map((doc: any) => doc.n).sort()).toEqual([1, 2])
    expect(db.root.seven).toBe(7)
  })

  test('load: what is no JSON is refused with its place', async () => {
    const file = freshPath()
    const { code, err } = await pongo(['load', file, 'x'], '[1,,2]')
    expect(code).toBe(1)
    expect(err).toMatch(/element 2: JSON: unexpected end.*PONGO_ERR_VALUE/)
  })

  test('load and dump of 40 MB need little memory', async () => {
    const file = freshPath()
    function* input() {
      yield '{'
      for (let i = 0; i < 400; i++) yield `${i === 0 ? '' : ','}\n"key ${i}": ["${'abcdefghij'.repeat(10_000)}", ${i}]`
      yield '\n}'
    }
    const small = ['--max-old-space-size=32']
    const loaded = await pongo(['load', file, 'c', '--json'], input(), small)
    expect(loaded.err).toBe('')
    expect(JSON.parse(loaded.out).elements).toBe(400)
    const child = start(['dump', file, 'c'], small)
    let bytes = 0
    child.stdout!.on('data', (chunk: Buffer) => (bytes += chunk.length))
    const [code] = await once(child, 'close')
    expect(code).toBe(0)
    expect(bytes).toBeGreaterThan(40_000_000)
  })

  test('a reader that goes away ends dump quietly', async () => {
    const file = freshPath()
    const db = open<any>(file)
    db.root.list = Array.from({ length: 200_000 }, (_, i) => `item ${i}`)
    db.close()
    const child = start(['dump', file])
    const stderr: Buffer[] = []
    child.stderr!.on('data', (chunk) => stderr.push(chunk))
    await once(child.stdout!, 'readable')
    child.stdout!.destroy()
    const [code] = await once(child, 'close')
    expect(Buffer.concat(stderr).toString()).toBe('')
    expect(code).toBe(0)
  })

  test('info, verify, gc, backup, inspect', async () => {
    const file = freshPath()
    const db = open<any>(file)
    db.root.a = { b: [1, 2, 3] }
    db.root.c = db.collection()
    const cache = (db.root.cache = db.collection({ maxItems: 10, maxBytes: 1000 }))
    cache.set('k', 'x'.repeat(100))
    const snap = db.snapshot()
    const info = await json(['info', file, '--json'])
    expect(info.processes.map(({ pid }: { pid: number }) => pid)).toContain(process.pid)
    expect(info.pins).toContainEqual(
      expect.objectContaining({
        kind: 'snapshot',
        pid: process.pid,
        version: snap.version,
        seconds: expect.any(Number),
      }),
    )
    expect((await pongo(['info', file])).out).toContain('in use')
    const cacheId = cache.$id
    snap.release()
    db.close()
    const counts = await json(['verify', file, '--json'])
    expect(counts.orphans).toBe(0)
    expect((await pongo(['gc', file])).out).toMatch(/^quick: /)
    expect((await json(['gc', file, '--complete', '--json'])).after.count).toBe(counts.count)
    expect((await json(['backup', file, `${file}-copy`, '--json'])).containers).toBe(counts.containers)
    expect((await pongo(['backup', file, `${file}-copy`])).err).toContain('PONGO_ERR_EXISTS')
    const inspected = await json(['inspect', `${file}-copy`, '--json'])
    expect(inspected.superblocks.B).toMatchObject({ sequence: 1, clean: true })
    expect(inspected.root.containers).toBe(counts.containers)
    expect(await json(['inspect', `${file}-copy`, '--value'])).toEqual({
      a: { b: [1, 2, 3] },
      c: {},
      cache: { k: 'x'.repeat(100) },
    })
    expect(await json(['inspect', file, '--container', String(cacheId), '--json'])).toMatchObject({
      kind: 'Collection',
      maxItems: 10,
      maxBytes: 1000,
      evict: 'lru',
    })
    expect((await json(['inspect', file, '--check', '--json'])).values).toBe(counts.values)
    expect((await pongo(['inspect', file, '--tree'])).out).toContain('"a": Dict')
    expect((await pongo(['inspect', file, '--containers'])).out).toMatch(/id 1 +kind Collection/)
    expect((await pongo(['inspect', file, '--container', '999'])).code).toBe(3)
    truncateSync(`${file}-copy`, 70_000)
    expect((await pongo(['inspect', `${file}-copy`])).code).toBe(4)
  })

  test('watch writes a line of JSON per batch until it is ended', async () => {
    const db = openAt(freshPath())
    const users = (db.root.users = db.collection<string, number>())
    const child = start(['watch', db.path, 'users'])
    const done = result(child)
    let seen = false
    child.stdout!.once('data', () => (seen = true))
    // It says nothing when it begins: there is always one more change for it to see.
    for (let i = 0; !seen && child.exitCode === null; i++) {
      users.set(`user ${i}`, i)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    child.kill('SIGINT')
    const { code, out, err } = await done
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const lines = out.trimEnd().split('\n')
    const [first] = JSON.parse(lines[0]!) as [{ path: string[]; value: number }]
    expect(first).toEqual({ path: [`user ${first.value}`], type: 'set', value: first.value })
  })

  test('gc --daemon works until it is ended', async () => {
    const file = freshPath()
    const db = openAt(file)
    db.root.a = 1
    const child = start(['gc', file, '--daemon', '--short', '0.01', '--long', '0.05', '--json'])
    const done = result(child)
    const [first] = (await once(child.stdout!, 'data')) as [string]
    expect(JSON.parse(first.split('\n')[0]!)).toMatchObject({ complete: true })
    child.kill('SIGTERM')
    expect(await done).toMatchObject({ code: 0, err: '' })
  })

  test('shell evaluates what it is given', async () => {
    const file = freshPath()
    const { code, out } = await pongo(
      ['shell', file],
      'root.a = { b: [1, 2] }\nroot.a.b.length + 40\nawait db.sync()\n',
    )
    expect(code).toBe(0)
    expect(out).toContain('42')
    expect(openAt(file).root.a.$native()).toEqual({ b: [1, 2] })
  })
})
