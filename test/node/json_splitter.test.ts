// Cutting JSON texts of any size into elements: whatever the pieces are in which they arrive.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JsonSplitter } from '../../lib/command/json_splitter'
import { parseJson } from '../../lib/json_in'

function split(text: string, cuts: readonly number[], lines = false): { form: string | undefined; elements: string[] } {
  const splitter = new JsonSplitter(lines ? 'lines' : undefined)
  const elements: string[] = []
  let from = 0
  for (const cut of [...cuts.map((cut) => cut % (text.length + 1)), text.length].sort((a, b) => a - b)) {
    elements.push(...splitter.feed(text.slice(from, cut)))
    from = cut
  }
  elements.push(...splitter.end())
  return { form: splitter.form, elements }
}

const cuts = fc.array(fc.nat(), { maxLength: 20 })
const indent = fc.constantFrom(undefined, 1, '\t')

describe('JsonSplitter', () => {
  test('elements of an array', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 12 }), indent, cuts, (list, space, at) => {
        const { form, elements } = split(JSON.stringify(list, null, space), at)
        expect(form).toBe('array')
        expect(elements.map((text) => JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(list)))
      }),
      { numRuns: 300 },
    )
  })

  test('members of an object', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 12 }), indent, cuts, (object, space, at) => {
        const { form, elements } = split(JSON.stringify(object, null, space), at)
        expect(form).toBe('object')
        const merged = elements.map((text) => Object.entries(JSON.parse(`{${text}}`))[0]!)
        expect(merged).toEqual(Object.entries(JSON.parse(JSON.stringify(object))))
      }),
      { numRuns: 300 },
    )
  })

  test('lines, found out or named', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { minLength: 2, maxLength: 9 }), cuts, fc.boolean(), (list, at, named) => {
        // Found out when the first line is a container; else it could be one value.
        if (!named) list.unshift([])
        const { form, elements } = split(list.map((value) => JSON.stringify(value)).join('\n\n'), at, named)
        expect(form).toBe('lines')
        expect(elements.map((text) => JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(list)))
      }),
      { numRuns: 300 },
    )
  })

  test('single values', () => {
    for (const text of ['7', ' "a" ', 'null', '-1.5e3']) {
      expect(split(text, [1])).toEqual({ form: 'scalar', elements: [text.trimStart()] })
    }
  })

  test('what is no JSON is refused, by the splitter or by the parser of the elements', () => {
    const bad = [
      '[1,2',
      '[1,,2]',
      '[1 2]',
      '[1,]',
      '[,1]',
      '[1}',
      '[1] 2',
      '{"a":1,2}',
      '{"a":1',
      '{"a":1]',
      '',
      '"a',
      '[[1}]',
    ]
    for (const text of bad) {
      const read = () => {
        const { form, elements } = split(text, [1, 2, 3])
        for (const element of elements) parseJson(form === 'object' ? `{${element}}` : element)
      }
      expect(read, text).toThrow(SyntaxError)
    }
  })
})
