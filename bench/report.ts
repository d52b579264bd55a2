// From raw samples to what people read: medians per system, ratios per round, goals; as tables for a terminal or for Markdown.
import type { Machine } from "./machine.ts"
import type { Goal, Sample } from "./scenario.ts"
import { median } from "./stats.ts"

/** A scenario's samples, with what is needed to read them again later. */
export interface Result {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly subject: string
  readonly compare: readonly string[]
  readonly goals: readonly Goal[]
  readonly left: readonly string[]
  readonly samples: readonly Sample[]
  /** When, and on what. */
  readonly machine: Machine
  readonly quick: boolean
}

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

interface Metric {
  readonly label: string
  readonly digits: number
  /** A larger value is the better one. */
  readonly more?: boolean
}

const METRICS: Readonly<Record<string, Metric>> = {
  cpu_us: { label: "CPU µs per {unit}", digits: 1 },
  per_cpu: { label: "{unit}s per CPU s", digits: 0, more: true },
  resumed: { label: "resumed %", digits: 1 },
  cpu_s: { label: "CPU s per {unit}", digits: 3 },
  cpu_share: { label: "CPU %", digits: 1 },
  self_us: { label: "µs per {unit}", digits: 2 },
  rate: { label: "{unit}s per s", digits: 0, more: true },
  gbps: { label: "GB per s", digits: 2, more: true },
  p50: { label: "p50 ms", digits: 2 },
  p99: { label: "p99 ms", digits: 2 },
  rss_kb: { label: "RSS kB per {unit}", digits: 2 },
  pss_kb: { label: "PSS kB per {unit}", digits: 2 },
  rss_mb: { label: "RSS MB", digits: 1 },
  pss_mb: { label: "PSS MB", digits: 1 },
  grown_mb: { label: "RSS MB grown", digits: 1 },
  ready_ms: { label: "ms to serve", digits: 0 },
  effect_p50: { label: "in effect, p50 ms", digits: 1 },
  effect_p95: { label: "in effect, p95 ms", digits: 1 },
  effect_max: { label: "in effect, max ms", digits: 1 },
  ns: { label: "ns", digits: 0 },
  before: { label: "failed before", digits: 0 },
  known_ms: { label: "known after ms", digits: 0 },
  retries: { label: "retries", digits: 0 },
  first_p50: { label: "first byte, p50 ms", digits: 2 },
  first_p99: { label: "first byte, p99 ms", digits: 2 },
  failed: { label: "failed", digits: 0 },
  units: { label: "{unit}s", digits: 0, more: true },
}

const metricOf = (name: string): Metric => METRICS[name] ?? { label: name, digits: 2 }
const labelOf = (result: Result, name: string) => metricOf(name).label.replace("{unit}", result.unit)

const systemsOf = (result: Result) => [...new Set(result.samples.map(({ system }) => system))]

/** One metric of one system, round by round. */
function series(result: Result, system: string, metric: string): number[] {
  return result.samples.flatMap((sample) =>
    sample.system === system && sample.metrics[metric] !== undefined ? [sample.metrics[metric]] : [],
  )
}

export function middle(result: Result, system: string, metric: string): number | undefined {
  const values = series(result, system, metric)
  return values.length === 0 ? undefined : median(values)
}

/** Medians over the rounds; failures are added up, and shown where there are any. */
export function medians(result: Result): Table {
  const names = Array.from(new Set(result.samples.flatMap(({ metrics }) => Object.keys(metrics)))).filter(
    (name) => name !== "units" && (name !== "failed" || result.samples.some(({ metrics }) => metrics["failed"]! > 0)),
  )
  const cell = (system: string, name: string) => {
    const values = series(result, system, name)
    if (values.length === 0) return ""
    const value = name === "failed" ? values.reduce((sum, each) => sum + each, 0) : median(values)
    return number(value, metricOf(name).digits)
  }
  return {
    head: ["", ...names.map((name) => labelOf(result, name))],
    rows: systemsOf(result).map((system) => [system, ...names.map((name) => cell(system, name))]),
  }
}

interface Comparison {
  readonly ratios: readonly number[]
  /** Rounds in which the subject had the better value. */
  readonly better: number
}

function compared(result: Result, system: string, metric: string): Comparison {
  const own = series(result, result.subject, metric)
  const others = series(result, system, metric)
  const rounds = Math.min(own.length, others.length)
  const ratios = own.slice(0, rounds).map((value, i) => value / others[i]!)
  const { more } = metricOf(metric)
  return { ratios, better: ratios.filter((ratio) => (more === true ? ratio > 1 : ratio < 1)).length }
}

/** The subject's value divided by each other system's of the same round. */
export function ratios(result: Result): Table | undefined {
  const others = systemsOf(result).filter((system) => system !== result.subject)
  if (result.compare.length === 0 || others.length === 0) return undefined
  const rows = others.map((system) => [
    system,
    ...result.compare.map((metric) => {
      const { ratios, better } = compared(result, system, metric)
      if (ratios.length === 0) return ""
      const range = `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`
      return `${median(ratios).toFixed(2)} (${range}), better in ${better}/${ratios.length}`
    }),
  ])
  return { head: [`${result.subject} / ...`, ...result.compare.map((name) => labelOf(result, name))], rows }
}

/** What had to come out, and what did. */
export function goals(result: Result): Table | undefined {
  const rows = result.goals.flatMap((goal) => {
    const value = reached(result, goal)
    if (value === undefined) return []
    const bound = goal.most === undefined ? `at least ${goal.least}` : `at most ${goal.most}`
    const ok = goal.most === undefined ? value >= goal.least! : value <= goal.most
    const to = goal.to === undefined ? "" : ` ${goal.as} to ${goal.to.join(" or ")}`
    const digits = goal.as === "ratio" ? 2 : 1
    const of = goal.of === undefined ? "" : ` of ${goal.of}`
    return [[`${labelOf(result, goal.metric)}${of}${to}`, bound, number(value, digits), ok ? "met" : "missed"]]
  })
  return rows.length === 0 ? undefined : { head: ["goal", "bound", "median", ""], rows }
}

function reached(result: Result, goal: Goal): number | undefined {
  const own = series(result, goal.of ?? result.subject, goal.metric)
  if (own.length === 0) return undefined
  if (goal.metric === "failed") return own.reduce((sum, each) => sum + each, 0)
  if (goal.as === "value") return median(own)
  const rival = best(result, goal)
  if (rival === undefined) return undefined
  return median(rival.map((other, i) => (goal.as === "ratio" ? own[i]! / other : own[i]! - other)))
}

/** Round by round, that of the systems to compare with whose median is the best: not the luckiest of each round. */
function best(result: Result, { metric, to }: Goal): readonly number[] | undefined {
  const sign = metricOf(metric).more === true ? -1 : 1
  return to!
    .map((system) => series(result, system, metric))
    .filter((values) => values.length > 0)
    .toSorted((a, b) => sign * (median(a) - median(b)))[0]
}

export function number(value: number, digits: number): string {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** Columns for a terminal. */
export function plain({ head, rows }: Table): string {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ")
  return [head, ...rows].map((row) => line(row).trimEnd()).join("\n")
}

const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`

export function markdown({ head, rows }: Table): string {
  const rule = `|---|${"---:|".repeat(head.length - 1)}`
  return [row(head), rule, ...rows.map(row)].join("\n")
}

/** A whole scenario in a terminal. */
export function text(result: Result): string {
  const tables = [medians(result), ratios(result), goals(result)].filter((table) => table !== undefined)
  const left = result.left.map((line) => `not here: ${line}`)
  return [`${result.name}: ${result.title}`, ...tables.map(plain), ...(left.length > 0 ? [left.join("\n")] : [])].join(
    "\n\n",
  )
}
