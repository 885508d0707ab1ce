// Progress of something countable on stderr: a line that redraws itself on a terminal, a few lines in a log.

export class Progress {
  #what
  #total
  #done = 0
  #began = performance.now()
  #shownAt = 0
  #shownQuarter = 0

  constructor(what, total) {
    this.#what = what
    this.#total = total
  }

  advance(count) {
    this.#done += count
    if (process.stderr.isTTY) {
      const now = performance.now()
      if (now - this.#shownAt < 50 && this.#done < this.#total) return
      this.#shownAt = now
      process.stderr.write(`\r\x1b[K${this.#line()}`)
    } else {
      const quarter = Math.floor((4 * this.#done) / this.#total)
      if (quarter === this.#shownQuarter) return
      this.#shownQuarter = quarter
      process.stderr.write(`${this.#line()}\n`)
    }
  }

  end() {
    if (process.stderr.isTTY) process.stderr.write('\n')
  }

  #line() {
    const seconds = (performance.now() - this.#began) / 1000
    const rate = Math.round(this.#done / seconds)
    const percent = Math.floor((100 * this.#done) / this.#total)
    return `${this.#what}: ${percent} % (${this.#done.toLocaleString('en')}), ${rate.toLocaleString('en')}/s`
  }
}
