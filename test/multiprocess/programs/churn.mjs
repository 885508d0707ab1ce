// A short life on a shared database: random work of all kinds, then the end, by itself or by SIGKILL from outside.
//   node churn.mjs <path> <seed> <operations>

import { open } from 'pongodb'

const [path, seed, operations] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])]
let state = seed >>> 0 || 1
const next = (below) => {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % below
}

const db = open(path)
const { live, documents, queue } = db.root
for (let i = 0; i < operations; i++) {
  const key = next(20_000)
  switch (next(8)) {
    case 0:
      documents.set(key % 2000, { key, text: 'x'.repeat(next(400)), list: [1, 2, key] })
      break
    case 1:
      documents.get(key % 2000)?.list.push(i)
      break
    case 2:
      queue.push({ i, seed })
      if (queue.length > 100) queue.splice(0, 50)
      break
    case 3:
      db.transaction(() => {
        live.set(`key ${key}`, i)
        live.set(`key ${(key * 7) % 20_000}`, -i)
      })
      break
    case 4: {
      const snap = db.snapshot()
      snap.root.live.get(`key ${key}`)
      snap.release()
      break
    }
    default:
      live.set(`key ${key}`, `value ${i} ${'y'.repeat(next(60))}`)
  }
  if (i === operations >> 1) process.send('half')
  if (i % 64 === 0) await new Promise(setImmediate)
}
db.close()
process.disconnect()
