// Tests of the tests: known mistakes, planted in the test build by number (PONGO_PLANTED in the engine), must each be caught by
// the test named here. A harness that cannot fail proves nothing.
//
//   node scripts/planted.mjs [number...]
//
// The tests are run without a planted bug by scripts/crash.mjs; here each must fail. The last line says how many were caught.

import { fileURLToPath } from 'node:url'
import { buildTesting, runProgram } from './crash.mjs'

/** number: [what is wrong, program, test] */
export const planted = {
  1: ['the older root is released before the superblock is durable', 'power_loss_test', 'PowerLoss'],
  2: ['the control file is believed after a crash of the machine', 'power_loss_test', 'PowerLoss'],
  3: ['the boot id is written before recovery has ended', 'kill_test', 'KilledAtEachStepOfALife'],
  4: ['the superblock is durable before the length of the file', 'power_loss_test', 'PowerLoss'],
  5: ['the root is read before the announcement is visible', 'interleaving_test', 'ReadersAndReclaimers'],
  6: ['a slot is cleared after its byte was given back', 'interleaving_test', 'ClaimsAndSweeps'],
  7: ['the limit of the sweep is taken after its version', 'interleaving_test', 'SweepsAndWriters'],
  8: ['blocks are taken without a second look at their slab', 'interleaving_test', 'HarvestersAndTakers'],
  9: ['fdatasync is tried again after it has failed', 'fault_test', 'AFailedSyncIsRemembered'],
  10: ['a forked child keeps the locks of its dead parent', 'regressions_fork_test', 'AKilledParentsSlotIsAdopted'],
  11: ['a lost commit is built again on reads that are outdated', 'interleaving_test', 'WritersAndWriters'],
  12: ['a waiter reads the root before the signal', 'directed_test', 'CommitsAndWaiters'],
  13: ['V is raised before the root', 'interleaving_test', 'ReadersAndReclaimers'],
  14: ['a committer that lost announces anew', 'directed_test', 'ALostCommitAndTheSamePlace'],
  15: ['pins are scanned before announcements', 'interleaving_test', 'PinsAndReclaimers'],
  16: ['the durable pin is scanned before the checkpoint in progress', 'interleaving_test', 'CheckpointsAndReclaimers'],
  17: ['a block is retired before it is listed', 'kill_test', 'KilledAtEachStepOfASmallCommit'],
  18: ['versions that a crash rolled back are given out again', 'power_loss_test', 'PowerLoss'],
  19: ['the length is published before the space exists', 'fault_test', 'NthFaultOfEveryOperation'],
  20: ['the newest superblock is overwritten', 'power_loss_test', 'PowerLoss'],
  21: ['the checksum of superblocks is not looked at', 'power_loss_test', 'PowerLoss'],
  22: ['a dead checkpoint is believed without a sync', 'directed_test', 'ADeadCheckpointIsSyncedBeforeItIsBelieved'],
  23: ['a close goes by V instead of the root', 'kill_test', 'KilledBetweenTheRootAndTheVersion'],
  24: ['a transaction clears its announcement before it is pinned', 'interleaving_test', 'TransactionsAndReclaimers'],
  25: ['a transaction commits half of a step that failed', 'fault_test', 'NthFaultOfATransactionThatGoesOn'],
  26: ['sync() returns one version too early', 'power_loss_test', 'PowerLoss'],
  27: ['a block counts as retired one version too early', 'interleaving_test', 'ReadersAndReclaimers'],
  28: [
    'a committer reads the signal after it found the checkpoint lock taken',
    'directed_test',
    'CommittersShareCheckpoints',
  ],
  29: ['a leaf is put into a newer tree in the place of another one', 'directed_test', 'ALostCommitAndTheSamePlace'],
}

// A random test may need more than one run, or a longer one.
const attempts = [{ SEED: '1' }, { SEED: '2' }, { SEED: '3', PONGO_SCALE: '4' }]

export function plantedTests(args) {
  buildTesting()
  let caught = 0
  let missed = 0
  for (const [number, [mistake, program, test]] of Object.entries(planted)) {
    if (args.length > 0 && !args.includes(number)) continue
    let result = { ok: true, started: true, seconds: 0 }
    for (let i = 0; i < attempts.length && result.ok; i++) {
      const env = { ...attempts[i], PONGO_PLANT: number }
      result = runProgram(program, { args: [test], env, timeout: 5 * 60_000 })
    }
    if (result.ok || !result.started) {
      missed++
      process.stdout.write(`  MISSED  ${number}: ${mistake}: not caught by ${program} ${test}\n`)
    } else {
      caught++
      process.stdout.write(`  caught  ${number}: ${mistake}: by ${program} ${test} (${result.seconds.toFixed(1)} s)\n`)
    }
  }
  process.stdout.write(`planted: ${caught} of ${caught + missed} caught\n`)
  return { passed: caught, failed: missed }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { failed } = plantedTests(process.argv.slice(2))
  process.exitCode = failed === 0 ? 0 : 1
}
