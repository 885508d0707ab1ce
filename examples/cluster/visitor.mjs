// One simulated visitor on one connection: chooses requests, checks the answers, and keeps exact account.

const prefixes = ['san', 'saint', 'new', 'ber', 'par', 'lon', 'tok', 'al', 'mar', 'val', 'ka', 'ro']
const pages = ['home', 'about', 'map', 'prices']

/** What all visitors saw together. */
export class Account {
  statuses = new Map()
  acknowledged = new Map() // page -> hits that were answered with 200
  lost = [] // { worker, page }: requests without an answer, on the connection of that worker
  wrong = [] // answers that contradict what the visitor knows
  #wrongShown = 10

  answered(status) {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1)
  }

  contradiction(text) {
    if (this.wrong.length < this.#wrongShown) this.wrong.push(text)
    else this.wrong[this.#wrongShown] = 'and more'
  }
}

export class Visitor {
  #account
  #client
  #name
  #cityCount
  #turn = 0
  #pending // the request that waits for its answer
  #worker // the worker that this connection belongs to, once it has answered
  #session // { cookie, user, expiresAt }
  #deadline

  /** @param client the autocannon client of this visitor's connection */
  constructor(client, { account, name, cityCount, deadline }) {
    this.#client = client
    this.#account = account
    this.#name = name
    this.#cityCount = cityCount
    this.#deadline = deadline
    client.setRequests([
      {
        headers: {},
        setupRequest: (request) => this.#next(request),
        onResponse: (status, body, context, headers) => this.#answered(status, body, headers),
      },
    ])
  }

  /** The visit is over: what still waits for an answer will not get it. */
  end() {
    if (this.#pending) this.#lose()
  }

  #lose() {
    this.#account.lost.push({ worker: this.#worker, page: this.#pending.page })
    this.#pending = undefined
  }

  // Called by autocannon for each request, also for the first on a connection that it opened anew.
  #next(request) {
    if (this.#pending) {
      // With one request at a time, a next request before the answer means that the connection broke.
      this.#lose()
      this.#worker = undefined
      // Autocannon keeps the lost request in its queue, and would take later answers for answers to it.
      this.#client.pipelinedRequests.clear()
    }
    this.#pending = this.#choose()
    const { method = 'GET', path, cookie } = this.#pending
    const headers = { 'x-client': this.#name }
    if (cookie) headers.cookie = cookie
    return { ...request, method, path, headers }
  }

  // Sixteen turns: eight lookups, three hits, three about the session, two searches.
  #choose() {
    const turn = this.#turn++ % 16
    if (turn % 2 === 0) {
      const id = String(Math.floor(Math.random() * this.#cityCount)).padStart(6, '0')
      return { path: `/city/${id}`, check: (city) => city.id === id && city.name !== '' }
    }
    if (turn === 1 || turn === 7 || turn === 13) {
      const page = pages[Math.floor(Math.random() * pages.length)]
      return { method: 'POST', path: `/hit/${page}`, page, check: (answer) => answer.page === page && answer.hits > 0 }
    }
    if (turn === 5 || turn === 11) {
      const text = prefixes[Math.floor(Math.random() * prefixes.length)]
      return { path: `/search?q=${text}`, check: (cities) => cities.length === 10 }
    }
    if (this.#session === undefined) {
      const path = `/login?user=${encodeURIComponent(this.#name)}`
      return { method: 'POST', path, login: true, check: (answer) => answer.user === this.#name }
    }
    const { cookie, expiresAt } = this.#session
    const stillValid = Date.now() < expiresAt
    return { path: '/session', cookie, session: true, check: (answer) => stillValid && answer.user === this.#name }
  }

  #answered(status, body, headers) {
    const request = this.#pending
    this.#pending = undefined
    this.#worker = Number(headers['x-worker'])
    this.#account.answered(status)
    if (status === 200) {
      const value = JSON.parse(body)
      if (!request.check(value)) this.#account.contradiction(`${request.path} was answered ${body}`)
      if (request.page) {
        const { acknowledged } = this.#account
        acknowledged.set(request.page, (acknowledged.get(request.page) ?? 0) + 1)
      }
      if (request.login) {
        this.#session = { cookie: headers['set-cookie'].split(';')[0], expiresAt: Date.parse(value.expiresAt) }
      }
    } else if (status === 401 && request.session && Date.now() >= this.#session.expiresAt) {
      this.#session = undefined
    } else if (status !== 429) {
      this.#account.contradiction(`${request.path} was answered with status ${status}: ${body}`)
    }
    // Ends after an answer, never with a request under way: at the end nothing may be left in doubt.
    if (performance.now() >= this.#deadline) this.#client.responseMax = this.#client.reqsMade
  }
}
