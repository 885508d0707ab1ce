// Run in a worker with a small stack: stores the deepest value there may be, then one level too many.
import { parentPort, workerData } from 'node:worker_threads'
import { open } from 'pongodb'

const nested = (levels) => {
  let value = 0
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

const db = open(workerData)
db.root.fromWorker = nested(512)
let code = 'nothing'
try {
  db.root.fromWorker = nested(513)
} catch (error) {
  code = error.code
}
db.close()
parentPort.postMessage(`stored, then ${code}`)
