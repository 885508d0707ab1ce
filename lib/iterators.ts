// Iteration over one version: entries come in pages, and a version is pinned while more than one page is needed.

import type { NativeDb, View } from './binding'
import { pongoError } from './errors'
import type { Ref } from './live'
import { readPage, What } from './packed'

// The first page is small, for those who take only a few entries.
const pageSizeFirst = 32
const pageSize = 256

const abandoned = new FinalizationRegistry<{ native: NativeDb; view: View }>(({ native, view }) => {
  try {
    native.release(view)
  } catch {
    // The handle was closed, which released it.
  }
})

/** The whole content in one consistent read: values, keys, or both flat. */
export function readAll(ref: Ref, what: number, view: View = ref.view): unknown[] {
  return readPage(ref, view, 0, Infinity, 1, what)!
}

export interface Window {
  /** The positions [start, end) to visit, in the version that `view` shows. undefined: all. */
  bounds?: (view: View) => [number, number]
  reverse?: boolean
  limit?: number
  offset?: number
}

const arrayIterator: object = Object.getPrototypeOf([][Symbol.iterator]())
// %IteratorPrototype%: gives [Symbol.iterator], and map, filter, take... where the engine has them.
const iteratorPrototype: object | null = Object.getPrototypeOf(arrayIterator)

/**
 * An iterator over one version of a container. The version is the one of the moment of `[Symbol.iterator]()` or of the
 * first `next()`, whichever comes first. It ends the pin when it is exhausted, closed (`break`) or collected.
 */
export class PagedIterator<T> implements IterableIterator<T> {
  readonly #ref: Ref
  readonly #what: number
  readonly #window: Window
  readonly #width: number
  #started = false
  #done = false
  #pinned = false
  #view: View = 0
  #page: unknown[] = []
  #at = 0
  // Where the next page begins, how many positions are left for it and those after, and how many entries are still wanted: some of
  // the positions may be those of entries that have expired.
  #position = 0
  #left = 0
  #size = pageSizeFirst
  #wanted = Infinity

  constructor(ref: Ref, what: number, window: Window = {}) {
    this.#ref = ref
    this.#what = what
    this.#window = window
    this.#width = (what & What.entries) === What.entries ? 2 : 1
  }

  /** Fixes the version now. */
  start(): this {
    if (this.#started) return this
    this.#started = true
    const { native, view, id } = this.#ref
    const whole =
      this.#window.bounds === undefined && this.#window.reverse !== true && this.#window.offset === undefined
    if (view !== 0) {
      this.#view = view
    } else if (!native.inTransaction()) {
      if (whole && native.size(0, id) < pageSize) {
        const page = readPage(this.#ref, 0, 0, pageSize, 1, this.#what + What.whole)
        if (page !== undefined) {
          this.#page = page
          this.#left = 0
          if (this.#window.limit !== undefined) page.length = Math.min(page.length, this.#window.limit * this.#width)
          return this
        }
      }
      this.#view = native.snapshot()
      this.#pinned = true
      abandoned.register(this, { native, view: this.#view }, this)
    }
    try {
      this.#open(view === 0 && !this.#pinned)
    } catch (error) {
      this.#finish()
      throw error
    }
    return this
  }

  // Finds the window. Inside a transaction (`atOnce`) all is read now: the transaction may go on changing it.
  #open(atOnce: boolean): void {
    const { native, id } = this.#ref
    const { bounds, reverse, limit, offset = 0 } = this.#window
    const [start, end] = bounds === undefined ? [0, native.size(this.#view, id)] : bounds(this.#view)
    const step = reverse === true ? -1 : 1
    this.#position = reverse === true ? end - 1 : start
    this.#left = Math.max(0, end - start)
    this.#wanted = limit ?? Infinity
    if (offset > 0 && this.#left > 0) {
      const passed = native.skip(this.#view, id, this.#position, this.#left, offset, step)
      this.#position += step * passed
      this.#left -= passed
    }
    if (!atOnce) return
    const all: unknown[] = []
    while (this.#more()) {
      this.#read(Infinity)
      for (const item of this.#page) all.push(item)
    }
    this.#page = all
    this.#at = 0
  }

  #more(): boolean {
    return this.#left > 0 && this.#wanted > 0
  }

  // The next page: at most `most` positions, and no more entries than are wanted.
  #read(most: number): void {
    const count = Math.min(this.#left, this.#wanted, most)
    const step = this.#window.reverse === true ? -1 : 1
    this.#page = readPage(this.#ref, this.#view, this.#position, count, step, this.#what)!
    this.#at = 0
    this.#position += step * count
    this.#left -= count
    this.#wanted -= this.#page.length / this.#width
  }

  #finish(): void {
    this.#done = true
    this.#page = []
    if (!this.#pinned) return
    this.#pinned = false
    abandoned.unregister(this)
    this.#ref.native.release(this.#view)
  }

  next(): IteratorResult<T, undefined> {
    if (this.#done) return { value: undefined, done: true }
    if (this.#ref.handle.closed) {
      this.#done = true
      throw pongoError('CLOSED', `the database ${this.#ref.handle.path} is closed`)
    }
    this.start()
    if (this.#at >= this.#page.length) {
      while (this.#at >= this.#page.length && this.#more()) {
        try {
          this.#read(this.#size)
          this.#size = pageSize
        } catch (error) {
          this.#done = true
          throw error
        }
      }
      if (this.#at >= this.#page.length) {
        this.#finish()
        return { value: undefined, done: true }
      }
    }
    const page = this.#page
    const at = this.#at
    this.#at += this.#width
    return { value: (this.#width === 2 ? [page[at], page[at + 1]] : page[at]) as T, done: false }
  }

  return(value?: unknown): IteratorResult<T, undefined> {
    this.#started = true
    this.#finish()
    return { value: value as undefined, done: true }
  }

  [Symbol.iterator](): this {
    return this.start()
  }

  get [Symbol.toStringTag](): string {
    return 'Pongo Iterator'
  }
}
Object.setPrototypeOf(PagedIterator.prototype, iteratorPrototype)

/** An iterable that pins a version anew for each iteration. */
export class PagedIterable<T> implements Iterable<T> {
  readonly #make: () => PagedIterator<T>

  constructor(make: () => PagedIterator<T>) {
    this.#make = make
  }

  [Symbol.iterator](): PagedIterator<T> {
    return this.#make().start()
  }
}
