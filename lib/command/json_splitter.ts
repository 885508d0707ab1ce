// Cuts a JSON text that arrives in pieces into the elements of its top level, so that a text of any size can be read with
// memory for one element. It only finds where elements end; the strict parser judges what is in them.

import { PongoSyntaxError } from '../errors'

/** array, object: the elements of one document. lines: one document per line. scalar: a document that is neither. */
export type JsonForm = 'array' | 'object' | 'lines' | 'scalar'

const detectMax = 2 ** 20 // units of text in which the end of the first line is looked for
const structure = /["{}[\],]/g
const inString = /["\\]/g

/** The position behind the first value of a text, or -1 when it does not end there. */
function endOfValue(text: string): number {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]
    if (letter === '"') {
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++
      if (at >= text.length) return -1
    } else if (letter === '{' || letter === '[') {
      depth++
    } else if (letter === '}' || letter === ']') {
      if (--depth === 0) return at + 1
    }
  }
  return -1
}

export class JsonSplitter {
  form: JsonForm | undefined
  #text = ''
  #at = 0 // how far the current element has been looked through
  #depth = 0
  #string = false
  #elements = 0
  #closed = false

  /** @param form known beforehand, or found out. */
  constructor(form?: 'lines') {
    this.form = form
  }

  /** The texts of the elements that are complete: values, or of an object its members (`"name": value`). */
  *feed(piece: string): Generator<string> {
    this.#text += piece
    yield* this.#elementsOf(false)
  }

  *end(): Generator<string> {
    yield* this.#elementsOf(true)
    if (this.form === 'lines') {
      const rest = this.#text.trim()
      this.#text = ''
      if (rest !== '') yield rest
    } else if (this.form === 'scalar') {
      yield this.#text
    } else if (this.form === undefined || !this.#closed) {
      throw new PongoSyntaxError('JSON: unexpected end')
    }
  }

  #detect(last: boolean): void {
    this.#text = this.#text.replace(/^[\ufeff\s]+/, '')
    const first = this.#text[0]
    if (first === undefined) return
    if (first !== '[' && first !== '{') {
      this.form = 'scalar'
      return
    }
    // One value that ends in the first line, and more behind it: a document per line.
    const newline = this.#text.indexOf('\n')
    if (newline >= 0) {
      const line = this.#text.slice(0, newline).trimEnd()
      const whole = endOfValue(line) === line.length
      const more = /\S/.test(this.#text.slice(newline))
      if (whole && !more && !last) return // not known yet
      if (whole && more) {
        this.form = 'lines'
        return
      }
    } else if (!last && this.#text.length < detectMax) {
      return
    }
    this.form = first === '[' ? 'array' : 'object'
    this.#text = this.#text.slice(1)
  }

  *#elementsOf(last: boolean): Generator<string> {
    if (this.form === undefined) this.#detect(last)
    if (this.form === 'lines') yield* this.#lines()
    if (this.form === 'array' || this.form === 'object') yield* this.#members(this.form === 'array' ? ']' : '}')
  }

  *#lines(): Generator<string> {
    let start = 0
    for (let end; (end = this.#text.indexOf('\n', start)) >= 0; start = end + 1) {
      const line = this.#text.slice(start, end).trim()
      if (line !== '') yield line
    }
    this.#text = this.#text.slice(start)
  }

  *#members(close: string): Generator<string> {
    let start = 0
    while (!this.#closed) {
      const pattern = this.#string ? inString : structure
      pattern.lastIndex = this.#at
      const found = pattern.exec(this.#text)
      if (found === null) {
        this.#at = this.#text.length
        break
      }
      const letter = found[0]
      this.#at = found.index + 1
      if (this.#string) {
        if (letter === '"') {
          this.#string = false
        } else if (this.#at === this.#text.length) {
          this.#at-- // what is escaped comes with the next piece
          break
        } else {
          this.#at++
        }
      } else if (letter === '"') {
        this.#string = true
      } else if (letter === '{' || letter === '[') {
        this.#depth++
      } else if (this.#depth > 0) {
        if (letter !== ',') this.#depth--
      } else {
        // A comma or the end of the document. An element that is missing is found by the parser.
        const element = this.#text.slice(start, found.index)
        start = this.#at
        if (letter !== ',') this.#closed = true
        if (letter !== ',' && letter !== close) throw new PongoSyntaxError(`JSON: unexpected ${letter}`)
        if (letter === ',' || this.#elements > 0 || /\S/.test(element)) {
          this.#elements++
          yield element
        }
      }
    }
    this.#text = this.#text.slice(start)
    this.#at -= start
    if (this.#closed && /\S/.test(this.#text))
      throw new PongoSyntaxError('JSON: something follows the end of the document')
  }
}
