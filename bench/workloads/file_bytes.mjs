// Fills a file with keys of 12 characters in random order, in transactions of 100,000.
import { shuffled, valuesOf } from '../harness/data.mjs'

export default {
  fill(store, { keys, value = 40 }) {
    const values = valuesOf(value)
    const order = shuffled(Uint32Array.from({ length: keys }, (_, i) => i))
    for (let i = 0; i < keys; i += 100_000) {
      store.load(
        Array.from(order.subarray(i, i + 100_000), (n, j) => [`key-${String(n).padStart(8, '0')}`, values[(i + j) % 1000]]),
      )
    }
    if (store.size() !== keys) throw new Error('not all keys are there')
  },
  prepare: () => ({}),
}
