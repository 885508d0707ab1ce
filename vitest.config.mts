import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// The tests use the built package, as programs do: dist/index.mjs over dist/index.js over the addon.
export default defineConfig({
  resolve: { alias: { pongodb: fileURLToPath(new URL('./dist/index.mjs', import.meta.url)) } },
  test: {
    include: ['test/node/**/*.test.ts', 'test/multiprocess/**/*.test.ts'],
    server: { deps: { external: [/\/dist\//] } },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
  },
})
