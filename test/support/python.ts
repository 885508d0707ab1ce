// Programs in Python that share a file with those in Node.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

interface Python {
  moduleFolder: string
  interpreter: string
  whyNot(): string | undefined
  build(): boolean
}

/** How to run a program with the module, or why that cannot be done here. What was built is brought up to date. */
export async function python(): Promise<{ command: string; env: NodeJS.ProcessEnv } | { skipped: string }> {
  const script = (await import('../../scripts/python.mjs' as string)) as Python
  const reason = script.whyNot()
  if (reason !== undefined) return { skipped: reason }
  if (!existsSync(join(script.moduleFolder, 'pongo'))) {
    return { skipped: 'the module is not built (npm run build:python)' }
  }
  if (!script.build()) throw new Error('the Python module cannot be built')
  return { command: script.interpreter, env: { ...process.env, PYTHONPATH: script.moduleFolder } }
}
