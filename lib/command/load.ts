// JSON of any size into a database, in transactions of a bounded size.

import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Database } from '../database'
import { refOf } from '../live'
import { exitCodes, Failure } from './failure'
import { JsonSplitter, type JsonForm } from './json_splitter'
import { jsonValue } from './json_value'
import { bytesText, type Progress } from './out'

export interface LoadOptions {
  path: string | undefined
  sep: string
  input: string | undefined
  lines: boolean
  as: 'collection' | 'list' | 'dict' | undefined
  key: string | undefined
  pairs: boolean
  batch: number
}

export interface LoadReport {
  elements: number
  bytes: number
  seconds: number
}

const batchText = 2 ** 20 // units of text in a transaction, at most about
const kinds = { 1: 'dict', 2: 'list', 3: 'collection', 4: 'collection' } as const

type Put = (element: any) => void

/** Where elements go, by what is there or shall be. */
class Target {
  #container: any
  #put: Put | undefined

  constructor(
    readonly db: Database<any>,
    readonly options: LoadOptions,
  ) {}

  #find(): any {
    const { path, sep } = this.options
    return path === undefined ? this.db.root : this.db.root.$get(path, undefined, { sep })
  }

  #make(form: JsonForm): any {
    const { as, key, pairs, path, sep } = this.options
    const keyed = form === 'object' || form === 'lines' || key !== undefined || pairs
    const wanted = as ?? (keyed ? 'collection' : 'list')
    this.db.root.$set(path!, wanted === 'collection' ? this.db.collection() : wanted === 'list' ? [] : {}, { sep })
    return this.#find()
  }

  #open(form: JsonForm): Put {
    const { key, pairs, as, path } = this.options
    let container = this.#find()
    if (container === undefined) container = this.#make(form)
    const ref = refOf(container)
    if (ref === undefined) throw new Failure(exitCodes.failed, `there is a value at ${path}: del it first`)
    // The root is a Collection that shows itself as a Dict.
    const kind = path === undefined ? 'dict' : kinds[ref.kind]
    if (as !== undefined && as !== kind)
      throw new Failure(exitCodes.failed, `there is a ${kind} at ${path ?? 'the root'}, not a ${as}`)
    this.#container = container
    if (kind === 'list') {
      if (form === 'object')
        throw new Failure(exitCodes.failed, `members of an object cannot be put into the list at ${path}`)
      return (element) => this.#container.push(element)
    }
    const set: (name: any, value: any) => void =
      kind === 'dict'
        ? (name, value) => this.#container.$set([name], value)
        : (name, value) => this.#container.set(name, value)
    if (form === 'object') {
      return (member) => {
        for (const name of Object.keys(member)) set(name, member[name])
      }
    }
    if (pairs) {
      return (pair) => {
        if (!Array.isArray(pair) || pair.length !== 2)
          throw new Failure(exitCodes.failed, 'with --pairs each element is [key, value]')
        set(pair[0], pair[1])
      }
    }
    if (key !== undefined) {
      return (element) => {
        const name = element?.[key]
        if (name === undefined)
          throw new Failure(exitCodes.failed, `an element has no property ${JSON.stringify(key)} (--key)`)
        set(name, element)
      }
    }
    if (kind === 'dict')
      throw new Failure(exitCodes.usage, 'elements without names need --key or --pairs to go into a dict')
    return (element) => this.#container.add(element)
  }

  put(form: JsonForm, texts: readonly string[], before: number): void {
    const elements = texts.map((text, i) => {
      try {
        return jsonValue(form === 'object' ? `{${text}}` : text)
      } catch (error) {
        if (error instanceof Error) error.message = `element ${before + i + 1}: ${error.message}`
        throw error
      }
    })
    if (form === 'scalar') {
      const { path, sep } = this.options
      if (path === undefined)
        throw new Failure(exitCodes.usage, 'the root cannot be replaced by a single value: name a path')
      this.db.root.$set(path, elements[0], { sep })
      return
    }
    if (texts.length === 0 && this.#put !== undefined) return
    const put = (this.#put ??= this.#open(form)) // also for no elements: an empty document makes an empty container
    this.db.transaction(() => {
      for (const element of elements) put(element)
    })
  }
}

/** Reads the input to its end. Transactions that were committed before a failure stay. */
export async function load(db: Database<any>, options: LoadOptions, progress: Progress): Promise<LoadReport> {
  const began = Date.now()
  const input: Readable = options.input === undefined ? process.stdin : createReadStream(options.input)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const splitter = new JsonSplitter(options.lines ? 'lines' : undefined)
  const target = new Target(db, options)
  const report: LoadReport = { elements: 0, bytes: 0, seconds: 0 }
  let texts: string[] = []
  let size = 0
  const commit = () => {
    if (texts.length === 0) return
    target.put(splitter.form!, texts, report.elements)
    report.elements += texts.length
    texts = []
    size = 0
  }
  const take = (elements: Iterable<string>) => {
    for (const text of elements) {
      texts.push(text)
      size += text.length
      if (texts.length >= options.batch || size >= batchText) commit()
    }
    progress.update(() => `${report.elements} elements, ${bytesText(report.bytes)}`)
  }
  for await (const chunk of input) {
    const bytes = chunk as Buffer
    report.bytes += bytes.length
    take(splitter.feed(decoder.decode(bytes, { stream: true })))
  }
  take(splitter.feed(decoder.decode()))
  take(splitter.end())
  commit()
  if (splitter.form !== 'scalar') target.put(splitter.form!, [], report.elements)
  report.seconds = (Date.now() - began) / 1000
  progress.done(`${report.elements} elements, ${bytesText(report.bytes)} in ${report.seconds} s`)
  return report
}
