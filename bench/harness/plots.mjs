// SVG plots of a full run, drawn by Vega-Lite.

import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { upperBound } from './statistics.mjs'

const require = createRequire(new URL('../compare/', import.meta.url))

async function load(name) {
  return import(pathToFileURL(require.resolve(name)).href)
}

const color = { field: 'engine', type: 'nominal', title: null }

function throughput(report) {
  const values = report.rows
    .filter(({ unit }) => unit === 'ns')
    .flatMap(({ id, engines }) => Object.entries(engines).map(([engine, { median }]) => ({ row: id, engine, rate: 1e9 / median })))
  return {
    title: 'Operations per second (all processes together)',
    width: 900,
    height: 320,
    data: { values },
    mark: 'bar',
    encoding: {
      x: { field: 'row', type: 'nominal', sort: null, title: null },
      xOffset: { field: 'engine' },
      y: { field: 'rate', type: 'quantitative', scale: { type: 'log' }, title: 'operations/s' },
      color,
    },
  }
}

function latency(report) {
  const values = report.rows
    .filter(({ latency: one }) => one)
    .flatMap(({ id, latency: engines }) =>
      Object.entries(engines).flatMap(([engine, { buckets }]) => {
        const total = buckets.reduce((sum, n) => sum + n, 0)
        let seen = 0
        return buckets.flatMap((n, i) => {
          seen += n
          return n === 0 ? [] : [{ row: id, engine, ns: upperBound(i), share: 1 - seen / total + 1e-7 }]
        })
      }),
    )
  return {
    title: 'Share of operations that take longer',
    data: { values },
    facet: { field: 'row', type: 'nominal', columns: 4, title: null },
    spec: {
      width: 220,
      height: 160,
      mark: { type: 'line', interpolate: 'step-after' },
      encoding: {
        x: { field: 'ns', type: 'quantitative', scale: { type: 'log' }, title: 'ns' },
        y: { field: 'share', type: 'quantitative', scale: { type: 'log' }, title: 'share' },
        color,
      },
    },
  }
}

function scale(values, title, log) {
  return {
    data: { values },
    facet: { field: 'operation', type: 'nominal', title: null },
    spec: {
      width: 380,
      height: 260,
      mark: { type: 'line', point: true },
      encoding: {
        x: { field: 'x', type: 'quantitative', scale: { type: log ? 'log' : 'linear' }, title },
        y: { field: 'ns', type: 'quantitative', scale: { type: 'log' }, title: 'ns per operation, all processes together' },
        color,
      },
    },
  }
}

export async function plots(report, scaling, folder) {
  const vega = await load('vega')
  const { compile } = await load('vega-lite')
  const specs = {
    throughput: throughput(report),
    latency: latency(report),
    keys: scale(scaling.keys, 'keys', true),
    processes: scale(scaling.processes, 'processes', false),
    'value-size': scale(scaling.size, 'bytes per value', true),
  }
  for (const [name, spec] of Object.entries(specs)) {
    const full = { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', background: 'white', ...spec }
    const view = new vega.View(vega.parse(compile(full).spec), { renderer: 'none' })
    writeFileSync(join(folder, `${name}.svg`), `${await view.toSVG()}\n`)
  }
  writeFileSync(join(folder, 'scaling.json'), `${JSON.stringify(scaling, null, 1)}\n`)
}
