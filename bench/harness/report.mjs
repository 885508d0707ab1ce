// What a run says of itself: a table for the terminal, the same as Markdown.

import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

export function machine() {
  return {
    processor: cpus()[0]?.model ?? 'unknown processor',
    cores: availableParallelism(),
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    node: process.version,
    load: Number(loadavg()[0].toFixed(2)),
    package: JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version,
  }
}

const number = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))
const times = (ratio) => `${number(ratio)}×`

function cells(results) {
  return results.flatMap(({ title, unit, engines, ratios, bars, transfers }) => {
    const measured = Object.entries(engines).map(
      ([name, { median, p25, p75 }]) => `${name} ${number(median)}${p25 === p75 ? '' : ` (${number(p25)}–${number(p75)})`}`,
    )
    const between = transfers ? `; core to core ${transfers.map(number).join(', ')} ns` : ''
    return bars.map(({ versus, must, aim }, i) => {
      const { median, least, most } = ratios[versus]
      const met = median >= aim ? 'aim' : median >= must ? 'must' : 'MISSED'
      return [
        i === 0 ? title : '',
        i === 0 ? `${measured.join(', ')} ${unit}${between}` : '',
        versus,
        `${times(median)}${least === most ? '' : ` (${number(least)}–${number(most)})`}`,
        times(must),
        times(aim),
        met,
      ]
    })
  })
}

const heads = ['row', 'median (quartiles)', 'against', 'ratio (least–most)', 'must', 'aim', 'met']

export function tableText(results) {
  const table = [heads, ...cells(results)].map((row) => [row[0], ...row.slice(2), row[1]])
  const widths = table[0].map((_, i) => Math.max(...table.map((row) => row[i].length)))
  return table.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd()).join('\n')
}

export function markdown({ machine: m, date, pace, rows }) {
  const lines = [
    '# Figures of the last run',
    '',
    `${date}, \`npm run bench${pace === 'full' ? ' -- --full' : ''}\` on ${m.processor}, ${m.cores} cores, ${m.memory}, Linux ${m.kernel}, ` +
      `Node ${m.node}, load ${m.load} at the end. Times are of one operation, medians over rounds in turn; ratios are formed round by round: above 1 we are faster. "Core to core" is how long a cache line took from one core to the other before and after a row of two processes.`,
    '',
    `| ${heads.join(' | ')} |`,
    `|${heads.map(() => '---').join('|')}|`,
    ...cells(rows).map((row) => `| ${row.join(' | ')} |`),
    '',
  ]
  const withLatency = rows.filter(({ latency }) => latency)
  if (withLatency.length > 0) {
    lines.push('## Latency', '', '| row | engine | p50 ns | p99 ns | p99.9 ns |', '|---|---|---|---|---|')
    for (const { title, latency } of withLatency)
      for (const [name, { p50, p99, p999 }] of Object.entries(latency))
        lines.push(`| ${title} | ${name} | ${p50} | ${p99} | ${p999} |`)
    lines.push('')
  }
  return lines.join('\n')
}
