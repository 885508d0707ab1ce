// Adds one to a number: all processes to the same one.
export default {
  fill: (store) => void store.set('counter', 0),
  prepare: () => ({ done: 0 }),
  operation(store, state) {
    const { incr } = store
    return () => {
      incr('counter')
      state.done++
    }
  },
  // What the agents have added must be what is there.
  done: (store, state) => ({ done: state.done, value: store.get('counter') }),
}
