// `pongo shell`: a REPL on a database.

import { once } from 'node:events'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { start, type REPLServer } from 'node:repl'
import * as pongodb from '../index'

const greeting = `db is the database, root its root; Collection, List, Dict, Uuid are at hand. .help shows more, .exit ends.\n`

function history(repl: REPLServer): Promise<void> {
  const file = process.env.PONGO_HISTORY ?? join(homedir(), '.pongo_history')
  // Without a place to write to there is no history, and nothing else is wrong.
  return new Promise((resolve) => repl.setupHistory(file, () => resolve()))
}

export async function shell(file: string, options: { readOnly?: boolean }): Promise<void> {
  const db = pongodb.open<any>(file, options.readOnly ? { create: false, readOnly: true } : {})
  try {
    const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true
    if (terminal) process.stderr.write(greeting)
    const repl = start({ prompt: terminal ? 'pongo> ' : '', terminal, useColors: terminal })
    const { Collection, List, Dict, Uuid, PongoError } = pongodb
    Object.assign(repl.context, { Collection, List, Dict, Uuid, PongoError })
    for (const [name, value] of Object.entries({ db, root: db.root })) {
      Object.defineProperty(repl.context, name, { value, enumerable: true, configurable: false })
    }
    const ended = once(repl, 'exit')
    if (terminal) await history(repl)
    repl.defineCommand('info', {
      help: 'The report of the database',
      action() {
        process.stdout.write(db.info())
        this.displayPrompt()
      },
    })
    await ended
  } finally {
    db.close()
  }
}
