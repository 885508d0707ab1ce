// JSON in: a strict RFC 8259 parser that writes the wire form as it reads, without objects in between and without
// recursion. JSON.parse would not do: it turns every integer into a double.

import { pongoError, PongoSyntaxError } from './errors'
import { Tag, Writer } from './wire'
import { depthMax } from './values'

const number = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
const plainString = /[^"\\\u0000-\u001f]*/y
const space = /[ \t\n\r]*/y
const escapes: Record<string, string> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

/** What may stand next. */
const enum Next {
  value,
  /** A value, or the end of the array that has just begun. */
  firstElement,
  name,
  /** A name, or the end of the object that has just begun. */
  firstName,
  /** A comma, or the end of the container; of the text, outside all. */
  comma,
}

class Parser {
  readonly #writer = new Writer()
  readonly #text: string
  #at = 0
  // The open containers: whether an object, where its count is in the wire form, and the count.
  readonly #isObject: boolean[] = []
  readonly #countAt: number[] = []
  readonly #counts: number[] = []

  constructor(text: string) {
    this.#text = text
  }

  document(): Uint8Array {
    let next = Next.value
    do next = this.#step(next)
    while (this.#isObject.length > 0)
    this.#space()
    if (this.#at < this.#text.length) throw this.#unexpected()
    return this.#writer.view()
  }

  // Reads one thing and says what may follow.
  #step(next: Next): Next {
    this.#space()
    const letter = this.#text[this.#at]
    const isObject = this.#isObject.at(-1)
    if (
      letter === (isObject === true ? '}' : ']') &&
      (next === Next.comma || next === Next.firstName || next === Next.firstElement)
    ) {
      return this.#leave()
    }
    if (next === Next.comma) {
      if (letter !== ',') throw this.#unexpected()
      this.#at++
      return isObject === true ? Next.name : Next.value
    }
    if (isObject === true) {
      if (next === Next.name || next === Next.firstName) {
        if (letter !== '"') throw this.#unexpected()
        this.#string()
        this.#space()
        if (this.#text[this.#at] !== ':') throw this.#unexpected()
        this.#at++
        return Next.value
      }
    }
    if (this.#counts.length > 0) this.#counts[this.#counts.length - 1]!++
    return this.#value(letter)
  }

  #value(letter: string | undefined): Next {
    switch (letter) {
      case '{':
        return this.#enter(true)
      case '[':
        return this.#enter(false)
      case '"':
        this.#string()
        break
      case 't':
        this.#word('true', Tag.true)
        break
      case 'f':
        this.#word('false', Tag.false)
        break
      case 'n':
        this.#word('null', Tag.null)
        break
      default:
        this.#number()
    }
    return Next.comma
  }

  #enter(isObject: boolean): Next {
    if (this.#isObject.length >= depthMax)
      throw pongoError('DEPTH', `JSON: deeper than ${depthMax} levels${this.#here()}`)
    this.#at++
    this.#isObject.push(isObject)
    this.#countAt.push(this.#writer.counted(isObject ? Tag.dict : Tag.list, 0))
    this.#counts.push(0)
    return isObject ? Next.firstName : Next.firstElement
  }

  #leave(): Next {
    this.#at++
    this.#isObject.pop()
    this.#writer.patch(this.#countAt.pop()!, this.#counts.pop()!)
    return Next.comma
  }

  #here(at = this.#at): string {
    const before = this.#text.slice(0, at)
    return ` at line ${before.split('\n').length}, column ${at - before.lastIndexOf('\n')}`
  }

  #fail(why: string): Error {
    return new PongoSyntaxError(`JSON: ${why}${this.#here()}`)
  }

  #unexpected(): Error {
    const point = this.#text.codePointAt(this.#at)
    return this.#fail(
      point === undefined ? 'unexpected end' : `unexpected ${JSON.stringify(String.fromCodePoint(point))}`,
    )
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match !== null) this.#at += match[0].length
    return match
  }

  #space(): void {
    if (this.#text.charCodeAt(this.#at) <= 0x20) this.#match(space)
  }

  #word(word: string, tag: number): void {
    for (const letter of word) {
      if (this.#text[this.#at] !== letter) throw this.#unexpected()
      this.#at++
    }
    this.#writer.tag(tag)
  }

  #number(): void {
    const match = this.#match(number)
    if (match === null) {
      if (this.#text[this.#at] === '-') this.#at++
      throw this.#unexpected()
    }
    const [digits, fraction, exponent] = match
    const value = Number(digits)
    if (fraction !== undefined || exponent !== undefined) this.#writer.float64(Tag.float64, value)
    else if (Number.isSafeInteger(value)) this.#writer.number(value === 0 ? 0 : value)
    else this.#writer.bigint(BigInt(digits))
  }

  #string(): void {
    const start = this.#at++
    let text = ''
    for (;;) {
      text += this.#match(plainString)![0]
      const next = this.#text[this.#at]
      if (next === '"') break
      if (next === undefined) throw this.#unexpected()
      if (next !== '\\') throw this.#fail('a control character must be escaped')
      this.#at++
      text += this.#escape()
    }
    this.#at++
    if (!this.#writer.string(text))
      throw pongoError('VALUE', `JSON: the string holds a lone surrogate${this.#here(start)}`)
  }

  #escape(): string {
    const letter = this.#text[this.#at]
    if (letter === undefined) throw this.#unexpected()
    if (letter === 'u') {
      const hex = this.#text.slice(this.#at + 1, this.#at + 5)
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.#fail('\\u needs four hexadecimal digits')
      this.#at += 5
      return String.fromCharCode(parseInt(hex, 16))
    }
    const character = Object.hasOwn(escapes, letter) ? escapes[letter] : undefined
    if (character === undefined) throw this.#fail('unknown escape')
    this.#at++
    return character
  }
}

/**
 * Parses JSON into the wire form: integers of any size stay integers, numbers with a fraction or an exponent are floats;
 * of equal names in an object the engine keeps the last. `kind` is what the outermost value must be.
 *
 * Errors: not JSON: `PongoSyntaxError` (code `VALUE`) with line and column; a lone surrogate: `VALUE`; too deep: `DEPTH`;
 * another kind: `TYPE`.
 */
export function parseJson(text: unknown, kind?: 'object' | 'array'): Uint8Array {
  if (typeof text !== 'string') throw pongoError('TYPE', 'JSON text must be a string')
  const wire = new Parser(text).document()
  if (kind !== undefined && wire[0] !== (kind === 'array' ? Tag.list : Tag.dict)) {
    throw pongoError('TYPE', `the JSON text must be an ${kind}, as what it replaces`)
  }
  return wire
}
