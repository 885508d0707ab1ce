// Shows containers through a read-only handle, as each message asks: { job, ...arguments } -> { result }.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { open } from 'pongodb'

setFlagsFromString('--expose-gc')
const collectJavaScript = runInNewContext('gc')
const db = open(process.argv[2], { create: false, readOnly: true })
let shown = []

const jobs = {
  // Each of them by a proxy that stays.
  show({ keys }) {
    shown = keys.map((key) => db.root.docs.get(key))
    return shown.map((document) => document.n)
  },

  // Proxies go when the engine finds them unused; their finalizers run in tasks of their own.
  async drop() {
    shown = []
    const stay = [db.root.$id, db.root.docs.$id]
    const held = () => (db.pidcache().get(process.pid) ?? []).filter((id) => !stay.includes(id)).length
    for (let turn = 0; turn < 200 && held() > 0; turn++) {
      collectJavaScript()
      await new Promise(setImmediate)
    }
    if (held() > 0) throw new Error('the garbage collector has not let go of a proxy')
  },

  read() {
    return shown.map((document) => document.n)
  },
}

process.on('message', async ({ job, ...rest }) => {
  try {
    process.send({ result: await jobs[job](rest) })
  } catch (error) {
    process.send({ error: `${error.code ?? ''} ${error.stack}` })
  }
})
process.send({ result: 'ready' })
