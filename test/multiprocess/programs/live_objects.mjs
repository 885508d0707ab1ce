// Makes many live objects, one after the other, with the collector running in between. Run with --expose-gc.

import { open } from 'pongodb'

const [path, count] = process.argv.slice(2)
const db = open(path)
const users = (db.root.users = db.collection())
users.update(Array.from({ length: 5000 }, (_, i) => [i, { name: `user ${i}` }]))

const turn = async () => {
  globalThis.gc()
  await new Promise(setImmediate)
}
const sizes = []
for (let part = 0; part < 6; part++) {
  for (let i = 0; i < Number(count) / 6; i++) {
    if (users.get(i % 5000).name === undefined) throw new Error('a document has no name')
    if (i % 5000 === 0) await turn()
  }
  await turn()
  sizes.push(process.memoryUsage().rss)
}
// Finalizers come late: what counts is that they come.
while (
  db
    .pidcache()
    .get(process.pid)
    ?.some((id) => id !== users.$id && id !== db.root.$id)
)
  await turn()
const held = users.get(7)
const cells = db.pidcache().get(process.pid) ?? []
console.log(JSON.stringify({ sizes, holds: cells.includes(held.$id), same: users.get(7) === held }))
db.close()
