// Runs the load generator against the cluster and kills a worker in the middle.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Returns the load generator's report and which worker was killed; no report when interrupted. */
export async function drive(servers, { cityCount, seconds, connections, signal }) {
  const load = fork(
    fileURLToPath(new URL('load.mjs', import.meta.url)),
    ['--url', servers.url, '--seconds', seconds, '--connections', connections, '--cities', cityCount].map(String),
  )
  const ended = once(load, 'exit')
  const stop = () => load.kill('SIGKILL')
  signal.addEventListener('abort', stop)
  let killed
  let report
  let middle
  load.on('message', (message) => {
    report ??= message.report
    if (!message.started || servers.size < 2) return
    middle = setTimeout(() => {
      killed = servers.kill()
      // Connections that exist stay with the other workers: new ones are what brings the replacement its work.
      servers.once('replaced', () => load.connected && load.send('newcomers'))
    }, 500 * seconds)
  })
  try {
    const [code, signalName] = await Promise.race([ended, servers.failure])
    if (report === undefined && !signal.aborted) {
      throw new Error(`the load generator ended without a report (${signalName ?? `exit code ${code}`})`)
    }
    return { report, killed }
  } finally {
    clearTimeout(middle)
    signal.removeEventListener('abort', stop)
    stop()
    await ended
  }
}
