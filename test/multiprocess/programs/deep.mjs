// Run in a worker with a small stack: writes and reads the deepest values there may be, and one level too many.

import { inspect } from 'node:util'
import { parentPort, workerData } from 'node:worker_threads'
import { open } from 'pongodb'

function nested(levels, wrap = (inner) => [inner]) {
  let value = 0
  for (let i = 0; i < levels; i++) value = wrap(value)
  return value
}

// Without recursion: the stack is small.
function levelsOf(value) {
  let levels = 0
  for (; typeof value === 'object'; levels++) value = value[0]
  return levels
}

const levelsOfText = (text) => text.lastIndexOf('[') + 1

const db = open(workerData)
const other = open(`${workerData}-other`)
db.root.list = [0]
db.root.list[0] = nested(512)
const outcomes = {}
for (const [name, run] of Object.entries({
  'store 512': () => void (db.root.fromWorker = nested(512)),
  'store 513': () => void (db.root.fromWorker = nested(513)),
  'store 513 as objects': () => void (db.root.fromWorker = nested(513, (inner) => ({ inner }))),
  'read natively': () => levelsOf(db.root.deep.native()),
  'read natively through a Dict': () => {
    db.root.$set('dict', nested(511))
    return levelsOf(db.root.dict.native()) + 1
  },
  'read level by level': () => levelsOf(db.root.deep),
  'json out': () => levelsOfText(db.root.deep.json()),
  'json in': () => {
    db.root.parsed = []
    db.root.parsed.json(`${'['.repeat(512)}0${']'.repeat(512)}`)
    return levelsOf(db.root.parsed)
  },
  'json 513': () => db.root.parsed.json(`${'['.repeat(513)}0${']'.repeat(513)}`),
  cas: () => db.root.$cas('parsed', nested(512), 0),
  'cas by a live container': () => db.root.$cas('deep', db.root.fromWorker, db.root.fromWorker),
  remove: () => {
    db.root.list.remove(nested(512))
    return db.root.list.length
  },
  search: () => {
    const c = db.collection()
    c.set('k', nested(512))
    return c.search([], '==', nested(512)).size
  },
  'copy from another database': () => {
    other.root.copy = db.root.fromWorker
    return levelsOf(other.root.copy)
  },
  inspect: () => void inspect(db.root.fromWorker),
  'inspect without end': () => void inspect(db.root.fromWorker, { depth: Infinity }),
  'JSON.stringify': () => void JSON.stringify(db.root.fromWorker.native()),
})) {
  try {
    outcomes[name] = run() ?? 'done'
  } catch (error) {
    outcomes[name] = error.code ?? String(error)
  }
}
other.close()
db.close()
parentPort.postMessage(outcomes)
