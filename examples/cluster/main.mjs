// A cluster of web workers shares live state: sessions, rate limits, counters and a catalogue of 171,075 cities, in one
// file that every worker opens for itself. Drives itself with load, kills a worker in the middle, and checks the books.
//
//   npm start [-- --serve]

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { drive } from './drive.mjs'
import { importCities } from './import_cities.mjs'
import { printReport } from './report.mjs'
import { ServerCluster } from './server_cluster.mjs'
import { beginRun, contents, openFile } from './state.mjs'

const usage = `node examples/cluster/main.mjs [options]
  --serve             stay up for a browser until Ctrl-C
  --seconds <n>       length of the load, 0 for none (default 15)
  --workers <n>       worker processes (default 4)
  --connections <n>   connections of the load generator (default 32)
  --port <n>          port on 127.0.0.1 (default: any free one)
  --data <folder>     where the file goes (default: data/ beside this program)
`

function readOptions() {
  const { values } = parseArgs({
    options: {
      serve: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '15' },
      workers: { type: 'string', default: '4' },
      connections: { type: 'string', default: '32' },
      port: { type: 'string', default: '0' },
      data: { type: 'string', default: fileURLToPath(new URL('data', import.meta.url)) },
      help: { type: 'boolean', default: false },
    },
  })
  const integer = (name, least, most) => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new Error(`--${name} must be a whole number from ${least} to ${most}, not ${values[name]}`)
    }
    return value
  }
  return {
    ...values,
    seconds: integer('seconds', 0, 86400),
    workers: integer('workers', 1, 64),
    connections: integer('connections', 1, 1000),
    port: integer('port', 0, 65535),
  }
}

let options
try {
  options = readOptions()
} catch (error) {
  console.error(`${error.message}\n\n${usage}`)
  process.exit(2)
}
if (options.help) {
  console.log(usage)
  process.exit()
}

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interruption.abort())
const { signal } = interruption

mkdirSync(options.data, { recursive: true })
const file = join(options.data, 'cluster.pongo')
console.log(`file        ${file}`)
const db = openFile(file)
const catalogue = await importCities(db, signal)
if (catalogue === undefined) {
  db.close()
  process.exit()
}
const amount = catalogue.count.toLocaleString('en')
console.log(
  catalogue.imported
    ? `cities      ${amount} imported in ${catalogue.seconds.toFixed(2)} s`
    : `cities      ${amount} found, no import needed`,
)

const state = contents(db)
beginRun(state)
const servers = new ServerCluster(state, { file, count: options.workers, port: options.port })
try {
  await servers.start()
  console.log(`server      ${servers.url}/ with ${options.workers} workers`)
  signal.throwIfAborted()
  if (options.seconds > 0) complain(await driveAndJudge())
  signal.throwIfAborted()
  if (options.serve) {
    console.log('serving until Ctrl-C')
    await Promise.race([once(signal, 'abort'), servers.failure])
  }
} catch (error) {
  // After Ctrl-C that is how it ends; a worker that was just starting may have died of it.
  if (!signal.aborted) complain([error.message])
}
await servers.stop()
db.close()

function complain(problems) {
  for (const problem of problems) console.log(`WRONG       ${problem}`)
  if (problems.length > 0) process.exitCode = 1
}

async function driveAndJudge() {
  console.log(`load        ${options.seconds} s of mixed requests; a worker is killed in the middle`)
  const before = new Map(state.hits)
  const { report, killed } = await drive(servers, { ...options, cityCount: catalogue.count, signal })
  if (report === undefined) return []
  const after = new Map(state.hits)
  const check = await db.verify().then(
    (counts) => ({ counts }),
    (error) => ({ error: error.message }),
  )
  return printReport(report, { before, after, served: [...state.served], killed, check })
}
