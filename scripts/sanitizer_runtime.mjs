// The runtimes of the sanitizers: whether they are here, and how programs run with them.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'

const [compiler, ...flags] = (process.env.CXX ?? 'c++').split(' ')

/** The environment for programs with a sanitizer. */
export const reports = { UBSAN_OPTIONS: 'print_stacktrace=1', TSAN_OPTIONS: 'halt_on_error=1' }

/** Why programs with a sanitizer (address or thread) cannot be built or run here, or undefined. */
export function whyNoSanitizer(sanitizer) {
  const folder = mkdtempSync(join(tmpdir(), 'pongodb-sanitizer-'))
  try {
    const source = join(folder, 'empty.cc')
    const program = join(folder, 'empty')
    writeFileSync(source, 'int main() { return 0; }\n')
    const instrument = sanitizer === 'address' ? 'address,undefined' : sanitizer
    const built = spawnSync(compiler, [...flags, `-fsanitize=${instrument}`, source, '-o', program], {
      encoding: 'utf8',
    })
    if (built.error) return 'there is no C++ compiler'
    if (built.status !== 0) return `${compiler} has no runtime for -fsanitize=${instrument}`
    const ran = spawnSync(program, { encoding: 'utf8' })
    if (ran.status !== 0)
      return `a program with -fsanitize=${instrument} does not run here: ${ran.stderr.trim().split('\n')[0]}`
    if (sanitizer === 'address' && !runtimes().every(isAbsolute))
      return `${compiler} has no libasan.so that can be preloaded`
    return undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function runtimes() {
  return ['libasan.so', 'libstdc++.so'].map((name) =>
    spawnSync(compiler, [...flags, `-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim(),
  )
}

/** The environment for a module with the address sanitizer in an interpreter that is built without it: its runtime must be there
 *  before everything else. What an interpreter keeps to its end is no leak of the module. */
export function preloaded() {
  return {
    LD_PRELOAD: runtimes().join(' '),
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:exitcode=99',
    ...reports,
  }
}
