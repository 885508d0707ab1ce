#!/usr/bin/env node
// The command `pongo`. Data goes to stdout and nothing else does; messages and progress go to stderr.

import { CommanderError } from 'commander'
import { report } from './failure'
import { Out } from './out'
import { program } from './program'

const out = new Out(process.stdout)

async function main(): Promise<number> {
  try {
    const command = program(out)
    await command.parseAsync()
    await out.flush()
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    await out.flush()
    return report(error, process.argv.includes('--json'))
  }
}

void main().then((code) => {
  process.exitCode = code
})
