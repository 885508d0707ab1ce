// One worker of the cluster: an HTTP server whose whole state is the shared file.
//
//   GET  /              the live page
//   GET  /events        its figures, as server-sent events
//   GET  /city/:id      one city
//   GET  /search?q=     the first cities whose name begins so
//   POST /login?user=   begins a session, sets the cookie
//   GET  /session       reads the session of the cookie
//   POST /hit/:page     counts a hit; a 200 says that it is counted
//
// Every answer names its worker in the header x-worker. A client names itself in x-client; else its address does.

import cluster from 'node:cluster'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { city, search } from './cities.mjs'
import { figures } from './figures.mjs'
import { admit, sweepLimits } from './rate_limit.mjs'
import { login, readSession, sessionMs, sweepSessions } from './sessions.mjs'
import { contents, openFile } from './state.mjs'

const { values: options } = parseArgs({ options: { file: { type: 'string' }, port: { type: 'string' } } })
const state = contents(openFile(options.file))
const { db, workers, served, hits, visits } = state
const me = cluster.worker.id
const page = readFileSync(new URL('page.html', import.meta.url))
const pages = new Set()

workers.set(me, { pid: process.pid, state: 'up', startedAt: new Date() })

function answer(response, status, value, headers) {
  const body = JSON.stringify(value)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-worker': me,
    ...headers,
  })
  response.end(body)
}

function showPage(response) {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'x-worker': me })
  response.end(page)
}

function sendFigures(response) {
  response.write(`data: ${JSON.stringify({ ...figures(state), from: me })}\n\n`)
}

function follow(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-worker': me })
  pages.add(response)
  response.on('close', () => pages.delete(response))
  // When this worker dies the browser comes back within the second and reaches another one.
  response.write('retry: 500\n')
  sendFigures(response)
}

function sessionIdOf(request) {
  return /(?:^|;\s*)sid=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]
}

function serve(request, response) {
  const url = new URL(request.url, 'http://loopback')
  const [, first, second] = url.pathname.split('/')
  const route = `${request.method} /${first}`
  if (route === 'GET /') return showPage(response)
  if (route === 'GET /events') return follow(response)

  served.incr(me)
  const client = request.headers['x-client'] ?? request.socket.remoteAddress
  if (!admit(state, client)) return answer(response, 429, { error: 'too many requests' }, { 'retry-after': 1 })

  switch (route) {
    case 'GET /city': {
      const found = city(state, second)
      if (found) visits.incr(second)
      return found ? answer(response, 200, { id: second, ...found }) : answer(response, 404, { error: 'no such city' })
    }
    case 'GET /search': {
      const text = url.searchParams.get('q') ?? ''
      return answer(response, 200, search(state, text))
    }
    case 'POST /login': {
      const user = url.searchParams.get('user') ?? 'anonymous'
      const { id, expiresAt } = login(state, user)
      const cookie = `sid=${id}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${sessionMs / 1000}`
      return answer(response, 200, { user, expiresAt }, { 'set-cookie': cookie })
    }
    case 'GET /session': {
      const session = readSession(state, sessionIdOf(request))
      return session
        ? answer(response, 200, session)
        : answer(response, 401, { error: 'no session, or it has expired' })
    }
    case 'POST /hit':
      // The increment is committed before the answer leaves: a process that dies after this line loses nothing.
      return answer(response, 200, { page: second, hits: hits.incr(decodeURIComponent(second)) })
    default:
      return answer(response, 404, { error: 'no such page' })
  }
}

const server = createServer((request, response) => {
  try {
    serve(request, response)
  } catch (error) {
    console.error(`worker ${me}: ${request.method} ${request.url}:`, error)
    if (!response.headersSent) answer(response, 500, { error: error.code ?? 'internal error' })
  }
})
server.listen({ host: '127.0.0.1', port: Number(options.port) })

const refresh = setInterval(() => {
  for (const response of pages) sendFigures(response)
}, 500)

// Each second one worker clears away, whichever is first to move the mark. Should it be killed, another is next time.
const sweep = setInterval(() => {
  const second = Math.floor(Date.now() / 1000)
  const swept = db.root.swept
  if (swept === second || !db.root.$cas('swept', swept, second)) return
  sweepSessions(state)
  sweepLimits(state)
}, 1000)

function stop() {
  clearInterval(refresh)
  clearInterval(sweep)
  for (const response of pages) response.end()
  server.close(() => {
    db.close()
    process.disconnect()
  })
  server.closeAllConnections()
}

process.on('message', (message) => {
  if (message === 'stop') stop()
})
// Ctrl-C reaches every process of the terminal: the primary decides, and says so by message.
process.on('SIGINT', () => {})
// Without its primary a worker has nobody to be restarted or stopped by.
process.on('disconnect', () => process.exit())
