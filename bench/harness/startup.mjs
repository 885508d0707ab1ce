// Prints the milliseconds from before the package is loaded until a database is open.
import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
const began = process.hrtime.bigint()
const { open } = require('pongodb')
const db = open(process.argv[2], { create: false })
process.stdout.write(String(Number(process.hrtime.bigint() - began) / 1e6))
db.close()
