// `bun run bench`: starts every system itself, lets them take turns under the same load, and says what each has cost.
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { chart } from "./chart.ts"
import { writeDocs } from "./docs.ts"
import { machine } from "./machine.ts"
import { text, type Result } from "./report.ts"
import type { Context, Scenario } from "./scenario.ts"
import { SCENARIOS } from "./scenarios.ts"
import { OWN, PEERS } from "./systems.ts"
import { parse, usage, UsageError, type Options } from "./usage.ts"
import { startWorkers } from "./workers.ts"

/** The results of earlier runs. */
function read(file: string): Result[] {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).results : []
}

/** Written after every scenario, so that a run that is interrupted has not been for nothing. */
function keep(file: string, result: Result): void {
  const order = SCENARIOS.map(({ name }) => name)
  const results = [...read(file).filter(({ name }) => name !== result.name), result]
  results.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
  writeFileSync(file, `${JSON.stringify({ results }, undefined, 1)}\n`)
}

function progress(scenario: Scenario): (text: string) => void {
  if (!process.stderr.isTTY) return () => undefined
  return (text) => void process.stderr.write(`\r\x1b[K${scenario.name}: ${text}`)
}

async function run(options: Options): Promise<number> {
  const { scenarios, rounds, quick, peers, json, svg } = options
  const on = machine()
  const results: Result[] = []
  const workers = await startWorkers()
  let failures = 0
  try {
    for (const scenario of scenarios) {
      const say = progress(scenario)
      const context: Context = { workers, rounds, quick, peers, say }
      try {
        const { name, title, unit, compare, goals, subject = OWN[0]!.name } = scenario
        const measured = await scenario.run(context)
        const result = { name, title, unit, subject, compare, goals, ...measured, machine: on, quick }
        if (process.stderr.isTTY) process.stderr.write("\r\x1b[K")
        console.log(`\n${text(result)}`)
        results.push(result)
        if (json !== undefined) keep(json, result)
      } catch (error) {
        failures++
        console.error(`\n${scenario.name}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  } finally {
    workers.stop()
  }
  if (svg !== undefined) writeFileSync(svg, chart(json === undefined ? results : read(json)))
  return failures === 0 ? 0 : 1
}

async function main(args: readonly string[]): Promise<number> {
  const options = parse(args)
  if (options === "help") {
    console.log(usage())
    return 0
  }
  if (options.docs) {
    writeDocs(read(options.json!))
    return 0
  }
  for (const system of PEERS) {
    const missing = system.missing()
    if (missing !== undefined && options.peers?.includes(system.name) !== false)
      console.log(`${system.name} is left out: ${missing}`)
  }
  return run(options)
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`bench: ${error.message}\n\n${usage()}`)
  process.exit(2)
}
