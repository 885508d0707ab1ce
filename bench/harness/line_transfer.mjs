// How long it takes until one processor core sees what another one has written: two threads that answer each other through one word
// of shared memory. Between two cores of a virtual machine it changes while it runs, by as much as ten times: what several
// processes do on one file changes with it, and can only be understood beside it.

import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const turns = 100_000

/** The time of one transfer in nanoseconds. */
export async function lineTransfer() {
  const word = new Int32Array(new SharedArrayBuffer(128))
  const workers = [0, 1].map((side) => new Worker(new URL(import.meta.url), { workerData: { word, side } }))
  const [[ns]] = await Promise.all(workers.map((worker) => once(worker, 'message')))
  await Promise.all(workers.map((worker) => worker.terminate()))
  return ns
}

if (!isMainThread && workerData?.word !== undefined) {
  const { word, side } = workerData
  const play = (first, last) => {
    for (let turn = first; turn < last; turn++) {
      while (Atomics.load(word, 0) !== 2 * turn + side);
      Atomics.store(word, 0, 2 * turn + side + 1)
    }
  }
  play(0, turns) // the first half is for the compiler
  const began = process.hrtime.bigint()
  play(turns, 2 * turns)
  parentPort.postMessage(Number(process.hrtime.bigint() - began) / (2 * turns))
}
