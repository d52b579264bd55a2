// The arguments of the benchmark.
import { PEERS } from "./systems.ts"
import { named, SCENARIOS } from "./scenarios.ts"
import type { Scenario } from "./scenario.ts"

export interface Options {
  readonly scenarios: readonly Scenario[]
  readonly peers: readonly string[] | undefined
  readonly rounds: number
  readonly quick: boolean
  readonly json: string | undefined
  readonly svg: string | undefined
  readonly docs: boolean
}

export class UsageError extends Error {}

const DEFAULT_ROUNDS = 5
const MOST_ROUNDS = 100

export function usage(): string {
  return `Usage: bun run bench [scenario...] [options]

Options:
  --peers a,b     compare with these only: ${PEERS.map(({ name }) => name).join(", ")}
  --rounds n      rounds per scenario (default: ${DEFAULT_ROUNDS}; 20 for the sign of small differences)
  --quick         as little as shows that everything works; the figures mean nothing
  --json file     keep all rounds; scenarios that the file has already are replaced
  --svg file      draw the comparison
  --docs          run nothing: rewrite docs/performance.md and its chart from --json

Scenarios (default: all; "bulk" means all of bulk):
${SCENARIOS.map(({ name, title }) => `  ${name.padEnd(14)}  ${title}`).join("\n")}
`
}

/** @throws UsageError */
export function parse(args: readonly string[]): Options | "help" {
  const chosen: Scenario[] = []
  const flags = { quick: false, docs: false }
  const values: Record<"peers" | "rounds" | "json" | "svg", string | undefined> = {
    peers: undefined,
    rounds: undefined,
    json: undefined,
    svg: undefined,
  }
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (arg === "--help" || arg === "-h") return "help"
    if (!arg.startsWith("-")) {
      const found = named(arg)
      if (found.length === 0) throw new UsageError(`there is no scenario ${JSON.stringify(arg)}`)
      chosen.push(...found)
      continue
    }
    const [name, inline] = arg.slice(2).split(/=(.*)/s) as [string, string?]
    if (Object.hasOwn(flags, name) && inline === undefined) flags[name as "quick" | "docs"] = true
    else if (Object.hasOwn(values, name)) {
      const value = inline ?? args[++i]
      if (value === undefined || value === "") throw new UsageError(`--${name} needs a value`)
      values[name as keyof typeof values] = value
    } else throw new UsageError(`there is no option ${arg}`)
  }
  if (flags.docs && values.json === undefined) throw new UsageError("--docs needs --json: the file to read")
  return {
    scenarios: chosen.length === 0 ? SCENARIOS : SCENARIOS.filter((scenario) => chosen.includes(scenario)),
    peers: values.peers === undefined ? undefined : peersOf(values.peers),
    rounds: values.rounds === undefined ? (flags.quick ? 1 : DEFAULT_ROUNDS) : roundsOf(values.rounds),
    quick: flags.quick,
    json: values.json,
    svg: values.svg,
    docs: flags.docs,
  }
}

function peersOf(text: string): string[] {
  const names = text.split(",").filter(Boolean)
  const unknown = names.find((name) => !PEERS.some((system) => system.name === name))
  if (unknown !== undefined) throw new UsageError(`there is no peer ${JSON.stringify(unknown)}`)
  return names
}

function roundsOf(text: string): number {
  const rounds = Number(text)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MOST_ROUNDS)
    throw new UsageError(`--rounds: expected a whole number from 1 to ${MOST_ROUNDS}, found ${JSON.stringify(text)}`)
  return rounds
}
