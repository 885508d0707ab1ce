// A cluster whose workers are killed and replaced, until its primary is killed itself. Each worker tells each increment.
//   node cluster_kill.mjs <path> <kills>      sends { told, kills } when the last one is dead

import cluster from 'node:cluster'
import { open } from 'pongodb'

const path = process.argv[2]
const kills = Number(process.argv[3])
const workers = 4

if (cluster.isPrimary) {
  const db = open(path)
  db.root.count = 0
  let told = 0
  let killed = 0
  const start = () => {
    const worker = cluster.fork()
    // Each after another number of increments.
    const last = 1 + ((killed * 37 + worker.id * 11) % 100)
    let own = 0
    worker.on('message', () => {
      told++
      if (++own === last) worker.process.kill('SIGKILL')
    })
  }
  cluster.on('exit', (worker, code, signal) => {
    if (signal !== 'SIGKILL') throw new Error(`a worker ended by itself: ${code} ${signal}`)
    killed++
    if (killed + Object.keys(cluster.workers).length < kills) start()
    else if (Object.keys(cluster.workers).length === 0) {
      // A last generation, which loses its primary.
      process.send({ told, killed })
      for (let i = 0; i < workers; i++) cluster.fork()
    }
  })
  for (let i = 0; i < workers; i++) start()
} else {
  const db = open(path)
  const step = () => {
    db.lock('turn').acquireSync().release()
    db.transaction(() => {
      db.root.count += 1
      db.root[`document ${process.pid % 50}`] = { list: [1, 2, 3] }
    })
    process.send('done', () => undefined) // an error: the primary is gone, and soon this process is
    setImmediate(step)
  }
  step()
}
