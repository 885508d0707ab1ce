// A process that changes or follows a shared database. As member.mjs: it says 'ready', then answers each message. With 'readOnly' as
// its second argument it may only follow.

import { setTimeout as pause } from 'node:timers/promises'
import { open } from 'pongodb'
import { generator, Model, step } from './random_changes.mjs'

const db = open(process.argv[2], { readOnly: process.argv[3] === 'readOnly' })
const { root } = db

let balls

// Followers, by name: { model, finished: promise }.
const followers = new Map()

function start(strict = false) {
  const snapshot = db.snapshot()
  const model = new Model(db, root.data, snapshot, strict)
  return { model, snapshot }
}

// Resolves when the model has seen the end of the changes: `root.data.end` is set last.
function byCallback() {
  const { model, snapshot } = start()
  const finished = new Promise((resolve, reject) => {
    const stop = db.watch(
      root.data,
      (changes) => {
        try {
          model.apply(changes)
          if (model.state.get('string:end') === true) resolve(stop())
        } catch (error) {
          stop()
          reject(error)
        }
      },
      { since: snapshot },
    )
  })
  snapshot.release()
  return { model, finished }
}

function byIteration(milliseconds) {
  const { model, snapshot } = start()
  const changes = db.changes(root.data, { since: snapshot })
  snapshot.release()
  const finished = (async () => {
    for await (const batch of changes) {
      model.apply(batch)
      if (model.state.get('string:end') === true) return
      if (milliseconds > 0) await pause(milliseconds)
    }
  })()
  return { model, finished }
}

// Watchers that begin and stop all the time; what they have seen so far must fit.
async function restless(signal) {
  while (!signal.aborted) {
    const { model, snapshot } = start()
    const changes = db.changes(root.data, { since: snapshot, signal })
    snapshot.release()
    let batches = 3
    try {
      for await (const batch of changes) {
        model.apply(batch)
        if (--batches === 0) break
      }
    } catch (error) {
      if (error.name !== 'AbortError') throw error
    }
  }
}

const jobs = {
  async churn({ seed, steps }) {
    const below = generator(seed)
    for (let i = 0; i < steps; i++) {
      if (below(10) === 0) {
        const inner = below(1 << 30)
        db.transaction(() => {
          const again = generator(inner)
          for (let k = 0; k < 5; k++) step(db, again)
        })
      } else {
        step(db, below)
      }
      if (i % 20 === 0) await pause(0)
    }
  },

  follow({ name, how, milliseconds = 0 }) {
    const follower = how === 'callback' ? byCallback() : byIteration(milliseconds)
    follower.finished.catch(() => undefined) // heard of in `finish`
    followers.set(name, follower)
  },

  // Ends when the others have.
  restless() {
    const controller = new AbortController()
    const finished = restless(controller.signal)
    finished.catch(() => undefined)
    followers.set('restless', { finished, controller })
  },

  /** What each follower has to say: its difference from the database, and how much it has seen. */
  async finish() {
    const results = {}
    for (const [name, { model, finished, controller }] of followers) {
      controller?.abort()
      await finished
      if (model === undefined) continue
      const { changes, batches, resets } = model
      results[name] = { difference: model.difference() ?? null, changes, batches, resets }
    }
    return results
  },

  /** Before `play`: from here on it hears of what the other one plays. */
  join({ serve }) {
    balls = db.changes(serve ? 'pong' : 'ping')
  },

  /** Answers each ping with a pong; `serve` begins. Resolves when all have been played. */
  async play({ serve, times }) {
    const mine = serve ? 'ping' : 'pong'
    if (serve) root[mine] = 1
    let played = 0
    for await (const [change] of balls) {
      played = change.value
      if (!serve || played < times) root[mine] = serve ? played + 1 : played
      if (played === times) break
    }
    return played
  },

  async end() {
    db.close()
    process.disconnect()
  },
}

process.on('message', async ({ job, ...more }) => {
  try {
    const result = await jobs[job](more)
    if (job !== 'end') process.send({ result })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
process.send({ result: 'ready' })
