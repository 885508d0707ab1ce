import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { Dict, List, PongoError, Uuid } from 'pongodb'
import { describe, expect, test } from 'vitest'
import { expectCode, freshDatabase } from '../support/database'

/** What JSON text is stored as, read back plainly; in one database for all texts. */
function parser(): (text: string) => unknown {
  const c = freshDatabase().collection()
  return (text) => {
    c.json('k', text)
    const value: any = c.get('k')
    return value instanceof Dict ? (value as Dict).$native() : value instanceof List ? (value as List).native() : value
  }
}

function parse(text: string): unknown {
  return parser()(text)
}

describe('JSON in', () => {
  test('agrees with JSON.parse on what JSON.stringify writes', () => {
    const c = freshDatabase().collection()
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false } as any), (value) => {
        const text = JSON.stringify(value)
        c.json('k', text)
        expect(JSON.stringify(sortKeys((c.native() as any).k))).toBe(JSON.stringify(sortKeys(JSON.parse(text))))
      }),
    )
  })

  test('integers of any size are integers, all else is float', () => {
    expect(parse('[12345678901234567890, -9007199254740993, 1.0, 1e2, -0, -0.0]')).toEqual([
      12345678901234567890n,
      -9007199254740993n,
      1,
      100,
      0,
      -0,
    ])
    expect(Object.is((parse('[-0]') as number[])[0], 0)).toBe(true)
    expect(Object.is((parse('[-0.0]') as number[])[0], -0)).toBe(true)
  })

  test('the last of equal names wins; __proto__ is a name', () => {
    expect(parse('{"a": 1, "b": 2, "a": {"x": 3}}')).toEqual({ a: { x: 3 }, b: 2 })
    const value = parse('{"__proto__": {"x": 1}}') as object
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(Object.keys(value)).toEqual(['__proto__'])
  })

  test.each([
    ['', 1, 1],
    ['{"a": 1,\n "b" 2}', 2, 6],
    ['[1, 2', 1, 6],
    ['[01]', 1, 3],
    ['"a\nb"', 1, 3],
    ['[1] x', 1, 5],
  ])('%j is refused with its place', (text, line, column) => {
    expectCode('VALUE', () => parse(text), `line ${line}, column ${column}`)
    expect(() => parse(text)).toThrow(SyntaxError)
    expect(() => parse(text)).toThrow(PongoError)
  })

  test('depth', () => {
    expect(() => parse(`${'['.repeat(512)}${']'.repeat(512)}`)).not.toThrow()
    expectCode('DEPTH', () => parse(`${'['.repeat(513)}${']'.repeat(513)}`))
    expectCode('DEPTH', () => parse('['.repeat(1_000_000)))
    expectCode('DEPTH', () => parse('{"a":'.repeat(1_000_000)))
  })
})

test('JSON out: what JSON lacks', () => {
  const { root } = freshDatabase()
  root.d = {
    big: 2n ** 70n,
    date: new Date(0),
    uuid: new Uuid('00112233-4455-6677-8899-aabbccddeeff'),
    bytes: new Uint8Array([1, 2, 3]),
    nan: NaN,
    inf: [Infinity, -Infinity],
    minus: -0,
    text: '"\n\u2028é',
    map: new Map<unknown, unknown>([
      [null, 0],
      [true, 1],
      [1.5, 2],
      [new Date(0), 3],
      [[1, 'a'], 4],
    ]),
  }
  expect(root.d.$json()).toBe(
    '{"big":1180591620717411303424,"bytes":"AQID","date":"1970-01-01T00:00:00.000Z","inf":[null,null],' +
      '"map":{"null":0,"true":1,"1.5":2,"1970-01-01T00:00:00.000Z":3,"[1,\\"a\\"]":4},"minus":0,"nan":null,' +
      '"text":"\\"\\n\u2028é","uuid":"00112233-4455-6677-8899-aabbccddeeff"}',
  )
})

function sortKeys(value: any): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  // JSON.parse makes a double of every integer.
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object' || value === null) return value
  // As entries: an object would put integer-like names first.
  return Object.keys(value)
    .sort()
    .map((key) => [key, sortKeys(value[key])])
}

// The published cases of JSONTestSuite, read from beside the repository where they are.
const suite = fileURLToPath(new URL('../../../shared/data/json_test_suite/test_parsing', import.meta.url))
const cases = existsSync(suite) ? readdirSync(suite) : []
if (cases.length === 0) console.log(`JSONTestSuite is not at ${suite}: its cases are skipped`)

describe.skipIf(cases.length === 0)('JSONTestSuite', () => {
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const each = (prefix: string, check: (text: () => string, parse: (text: string) => unknown) => void): void => {
    const parse = parser()
    for (const name of cases.filter((file) => file.startsWith(prefix))) {
      const bytes = readFileSync(`${suite}/${name}`)
      try {
        check(() => utf8.decode(bytes), parse)
      } catch (error) {
        throw new Error(`${name}: ${String(error)}`, { cause: error })
      }
    }
  }

  test('what must be accepted', () => {
    each('y_', (text, parse) => {
      // The integer literal -0 is the integer 0 here.
      const expected = JSON.parse(text(), (_key, v: unknown) => (v === 0 ? 0 : v)) as unknown
      // Big integers stay exact here; as doubles they agree.
      const got = JSON.parse(
        JSON.stringify(parse(text()), (_key, v: unknown) => (typeof v === 'bigint' ? Number(v) : v === 0 ? 0 : v)),
      ) as unknown
      expect(sortKeys(got)).toEqual(sortKeys(expected))
    })
  })

  test('what must be rejected', () => {
    each('n_', (text, parse) => {
      expect(() => parse(text())).toThrow()
    })
  })

  test('what may be either: a failure is of the expected kinds', () => {
    each('i_', (text, parse) => {
      let error: unknown
      try {
        parse(text())
      } catch (thrown) {
        error = thrown
      }
      if (error !== undefined) expect(error instanceof PongoError || error instanceof TypeError).toBe(true)
    })
  })
})
