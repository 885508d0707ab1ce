// JSON out and in. Out: what JSON lacks is written as the documentation says. In: a strict RFC 8259 parser of our own,
// because JSON.parse turns every integer into a double.

import { isDate, isMap, isUint8Array } from 'node:util/types'
import { pongoError, PongoSyntaxError } from './errors'
import { depthMax, JsonFloat } from './values'

/** A key as the name of a member. */
export function jsonKey(key: unknown): string {
  switch (typeof key) {
    case 'string':
      return key
    case 'object': {
      // null, Date, Uuid, bytes: what they are as values, without quotes; tuples: their JSON text.
      const text = jsonText(key)
      return text.startsWith('"') ? (JSON.parse(text) as string) : text
    }
    default:
      return String(key)
  }
}

/** JSON text of a plain copy (`native()`): no white space, keys in order. */
export function jsonText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null'
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'object':
      break
    default:
      return 'null'
  }
  if (value === null) return 'null'
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (isDate(value)) return JSON.stringify(value.toISOString())
  if (isUint8Array(value)) {
    return JSON.stringify(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'))
  }
  const toJSON = (value as { toJSON?: unknown }).toJSON
  const pairs: Iterable<[unknown, unknown]> = isMap(value) ? value : Object.entries(value)
  // A Uuid, or whatever meta['.uuid_constructor'] made of one. A function is never data.
  if (typeof toJSON === 'function') return jsonText(toJSON.call(value))
  let text = ''
  for (const [key, item] of pairs) {
    text += `${text === '' ? '' : ','}${JSON.stringify(jsonKey(key))}:${jsonText(item)}`
  }
  return `{${text}}`
}

const number = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
const plainString = /[^"\\\u0000-\u001f]*/y
const space = /[ \t\n\r]*/y
const escapes: Record<string, string> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

class Parser {
  #at = 0

  constructor(readonly text: string) {}

  document(): unknown {
    this.#space()
    const value = this.#value(0)
    this.#space()
    if (this.#at < this.text.length) throw this.#unexpected()
    return value
  }

  #fail(why: string): Error {
    const before = this.text.slice(0, this.#at)
    const line = before.split('\n').length
    const column = this.#at - before.lastIndexOf('\n')
    return new PongoSyntaxError(`JSON: ${why} at line ${line}, column ${column}`)
  }

  #unexpected(): Error {
    const point = this.text.codePointAt(this.#at)
    return this.#fail(
      point === undefined ? 'unexpected end' : `unexpected ${JSON.stringify(String.fromCodePoint(point))}`,
    )
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.text)
    if (match !== null) this.#at += match[0].length
    return match
  }

  #space(): void {
    const unit = this.text.charCodeAt(this.#at)
    if (unit <= 0x20) this.#match(space)
  }

  #word<T>(word: string, value: T): T {
    for (const letter of word) {
      if (this.text[this.#at] !== letter) throw this.#unexpected()
      this.#at++
    }
    return value
  }

  #value(depth: number): unknown {
    switch (this.text[this.#at]) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #number(): unknown {
    const match = this.#match(number)
    if (match === null) {
      if (this.text[this.#at] === '-') this.#at++
      throw this.#unexpected()
    }
    const [digits, fraction, exponent] = match
    const value = Number(digits)
    if (fraction !== undefined || exponent !== undefined) return new JsonFloat(value)
    if (Number.isSafeInteger(value)) return value === 0 ? 0 : value
    return BigInt(digits)
  }

  #string(): string {
    this.#at++
    let result = ''
    for (;;) {
      result += this.#match(plainString)![0]
      const next = this.text[this.#at]
      if (next === '"') {
        this.#at++
        return result
      }
      if (next === undefined) throw this.#unexpected()
      if (next !== '\\') throw this.#fail('a control character must be escaped')
      this.#at++
      const letter = this.text[this.#at]
      if (letter === undefined) throw this.#unexpected()
      if (letter === 'u') {
        const hex = this.text.slice(this.#at + 1, this.#at + 5)
        if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.#fail('\\u needs four hexadecimal digits')
        result += String.fromCharCode(parseInt(hex, 16))
        this.#at += 5
        continue
      }
      const character = Object.prototype.hasOwnProperty.call(escapes, letter) ? escapes[letter] : undefined
      if (character === undefined) throw this.#fail('unknown escape')
      result += character
      this.#at++
    }
  }

  #enter(depth: number): void {
    if (depth >= depthMax) throw pongoError('DEPTH', `JSON: deeper than ${depthMax} levels`)
    this.#at++
    this.#space()
  }

  #array(depth: number): unknown[] {
    this.#enter(depth)
    const list: unknown[] = []
    if (this.text[this.#at] === ']') {
      this.#at++
      return list
    }
    for (;;) {
      list.push(this.#value(depth + 1))
      this.#space()
      const next = this.text[this.#at]
      if (next !== ',' && next !== ']') throw this.#unexpected()
      this.#at++
      if (next === ']') return list
      this.#space()
    }
  }

  #object(depth: number): object {
    this.#enter(depth)
    // Without a prototype every name is an ordinary one; a name that comes twice keeps its last value.
    const object: Record<string, unknown> = Object.create(null)
    if (this.text[this.#at] === '}') {
      this.#at++
      return object
    }
    for (;;) {
      if (this.text[this.#at] !== '"') throw this.#unexpected()
      const key = this.#string()
      this.#space()
      if (this.text[this.#at] !== ':') throw this.#unexpected()
      this.#at++
      this.#space()
      object[key] = this.#value(depth + 1)
      this.#space()
      const next = this.text[this.#at]
      if (next !== ',' && next !== '}') throw this.#unexpected()
      this.#at++
      if (next === '}') return object
      this.#space()
    }
  }
}

/**
 * Parses JSON for storing: integers of any size stay integers, numbers with a fraction or an exponent become
 * `JsonFloat`. Not JSON: `PongoSyntaxError` (code `VALUE`) with line and column; too deep: `DEPTH`.
 */
export function parseJson(text: unknown): unknown {
  if (typeof text !== 'string') throw pongoError('TYPE', 'JSON text must be a string')
  return new Parser(text).document()
}
