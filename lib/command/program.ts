// The subcommands: names, arguments, help. What they do is loaded only when one is used: `inspect` needs no engine.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Out } from './out'

const exitCodesHelp = `
Exit codes: 0 done; 1 failed; 2 wrong usage; 3 nothing at that path; 4 the file is damaged or no database.
A path is like users.ann.tags.0; --sep changes the separator. Data goes to stdout, all else to stderr.`

function seconds(text: string): number {
  const value = Number(text)
  if (!(value >= 0)) throw new InvalidArgumentError('It must be a number of seconds.')
  return value
}

function whole(text: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(text)) throw new InvalidArgumentError('It must be a positive integer.')
  return Number(text)
}

function examples(command: Command, lines: string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`)
}

const json = () => new Option('--json', 'output for machines')
const sep = () => new Option('--sep <text>', 'what separates the segments of a path').default('.')

function addReading(program: Command, out: Out): void {
  examples(
    program
      .command('info <file>')
      .description('space, size classes and fragmentation, pins with age and bytes, processes')
      .addOption(json())
      .action(async (file, options) => (await import('./actions.js')).info(file, options, out)),
    ['pongo info state.pongo', "pongo info state.pongo --json | jq '.pins[] | select(.heldBytes > 1e6)'"],
  )
  examples(
    program
      .command('dump <file> [path]')
      .description('JSON of the database, or of what is at a path, as it is at one moment')
      .option('--lines', 'one line per entry: of a list its elements, of anything else [key, value]')
      .addOption(sep())
      .action(async (file, path, options) => (await import('./actions.js')).dump(file, path, options, out)),
    ['pongo dump state.pongo > state.json', 'pongo dump state.pongo users --lines | grep ann'],
  )
  examples(
    program
      .command('get <file> <path>')
      .description('the value at a path, as JSON')
      .option('--raw', 'a string as it is, without quotes')
      .addOption(sep())
      .action(async (file, path, options) => (await import('./actions.js')).get(file, path, options, out)),
    ['pongo get state.pongo users.ann.age', 'pongo get state.pongo motd --raw'],
  )
  examples(
    program
      .command('verify <file>')
      .description('reads everything and checks it')
      .addOption(json())
      .action(async (file, options) => (await import('./actions.js')).verify(file, options, out)),
    ['pongo verify state.pongo && echo clean'],
  )
  examples(
    program
      .command('watch <file> [path]')
      .description('changes as JSON, one batch per line, until it is ended')
      .addOption(sep())
      .action(async (file, path, options) => (await import('./actions.js')).watch(file, path, options, out)),
    ['pongo watch state.pongo users'],
  )
  examples(
    program
      .command('inspect <file>')
      .description('reads the bytes of the file without the engine: superblocks, slabs, trees, values')
      .option('--containers', 'the object table, a line per container')
      .option('--container <id>', 'the one with this id; default the root', whole)
      .option('--tree', 'the nodes of its tree')
      .option('--value', 'its deep value as JSON')
      .option('--check', 'reads everything and checks it')
      .addOption(json())
      .action(async (file, options) => (await import('./inspect.js')).inspectFile(file, options, out)),
    ['pongo inspect state.pongo', 'pongo inspect state.pongo --container 7 --tree', 'pongo inspect copy.pongo --check'],
  )
}

function addWriting(program: Command, out: Out): void {
  examples(
    program
      .command('set <file> <path> <value>')
      .description('stores a value given as JSON; makes the file when there is none')
      .option('--string', 'the value is a string as it is')
      .option('--fail', 'not over something that is there')
      .addOption(sep())
      .action(async (file, path, value, options) => (await import('./actions.js')).set(file, path, value, options)),
    ['pongo set state.pongo users.ann \'{"age": 30}\'', 'pongo set state.pongo motd "Good day" --string'],
  )
  examples(
    program
      .command('del <file> <path>')
      .description('deletes what is at a path')
      .addOption(sep())
      .action(async (file, path, options) => (await import('./actions.js')).del(file, path, options)),
    ['pongo del state.pongo users.ann'],
  )
  examples(
    program
      .command('load <file> [path]')
      .description(
        'stores JSON from stdin, of any size: an object, an array or JSON lines, in transactions of --batch elements',
      )
      .option('--input <file>', 'reads this file instead of stdin')
      .option('--lines', 'the input has one JSON text per line (found out otherwise)')
      .addOption(
        new Option('--as <kind>', 'what to make when nothing is at the path').choices(['collection', 'list', 'dict']),
      )
      .option('--key <name>', 'the property of each element that is its key')
      .option('--pairs', 'elements are [key, value], as dump --lines writes them')
      .addOption(new Option('--batch <count>', 'elements per transaction').default(1000).argParser(whole))
      .addOption(sep())
      .addOption(json())
      .action(async (file, path, options) => (await import('./actions.js')).loadInto(file, path, options, out)),
    [
      'pongo load state.pongo users < users.json',
      'curl -s https://example.org/events.ndjson | pongo load state.pongo events --key id',
      'pongo dump a.pongo users --lines | pongo load b.pongo users --pairs',
    ],
  )
  examples(
    program
      .command('gc <file>')
      .description('frees what nothing needs any more')
      .option('--complete', 'also containers in cycles and what killed processes left')
      .option('--daemon', 'goes on: quick runs every --short seconds, complete ones every --long')
      .addOption(new Option('--short <seconds>', 'between quick runs').default(0.25).argParser(seconds))
      .addOption(new Option('--long <seconds>', 'between complete runs').default(60).argParser(seconds))
      .addOption(json())
      .action(async (file, options) => (await import('./actions.js')).gc(file, options, out)),
    ['pongo gc state.pongo --complete', 'pongo gc state.pongo --daemon --short 0.25 --long 60'],
  )
  examples(
    program
      .command('backup <file> <out>')
      .description('a consistent, compact copy, while others write')
      .option('--overwrite', 'replaces a file that is there and not open')
      .addOption(json())
      .action(async (file, target, options) => (await import('./actions.js')).backup(file, target, options, out)),
    ['pongo backup state.pongo monday.pongo'],
  )
  examples(
    program
      .command('shell <file>')
      .description('JavaScript with `db` and `root` at hand, with completion and history')
      .option('--read-only', 'refuses writes')
      .action(async (file, options) => (await import('./shell.js')).shell(file, options)),
    ['pongo shell state.pongo', "echo 'root.users.size' | pongo shell state.pongo"],
  )
}

/** The command, ready to parse `process.argv`. */
export function program(out: Out): Command {
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string }
  const command = new Command('pongo')
    .description('Looks at PongoDB files and works on them.')
    .version(version)
    .showHelpAfterError('(pongo help <command> shows its options)')
    .exitOverride()
    .configureHelp({ showGlobalOptions: false })
    .addHelpText('after', exitCodesHelp)
  addReading(command, out)
  addWriting(command, out)
  for (const sub of command.commands) sub.exitOverride().addHelpText('after', exitCodesHelp)
  return command
}
