// The pools of `tidegate status`: one line says how a pool is, and below it stand its targets, those first that are not
// up. What is long is cut in a way that hides nothing that needs somebody.
import type { Paint } from "../observe/paint.ts"
import { printable } from "../observe/printable.ts"
import type { PoolStatus, TargetStatus } from "../upstream/status.ts"
import { columns } from "./columns.ts"

/** 20 targets of a pool that may have 1,000: half of a screen. */
const MOST_TARGETS = 20
/** Past 10 pools, targets that are up are counted only: what is wrong stays on the screen. */
const FEW_POOLS = 10

type State = TargetStatus["state"]
/** What needs somebody first. */
const ORDER: readonly State[] = ["down", "ejected", "open", "off", "up"]

export function poolTable(paint: Paint, pools: readonly PoolStatus[]): string[] {
  const few = pools.length <= FEW_POOLS
  return pools.flatMap((pool, i) => [
    // A line between pools where they have lines of their own.
    ...(i === 0 || few ? [""] : []),
    headline(paint, pool),
    ...targetLines(paint, pool, few),
    ...pool.dns.slice(0, MOST_TARGETS).map(({ name, problem }) => `  ${printable(name)}: ${printable(problem)}`),
  ])
}

/** `POOL db  2 of 3 up, round-robin, 14 connections, 2 waiting, 5 retries` */
function headline(paint: Paint, { balance, name, queued, retries, targets }: PoolStatus): string {
  const up = targets.filter(({ state }) => state === "up").length
  const asked = targets.filter(({ state }) => state !== "off").length
  const share = targets.length === 0 ? "no targets" : `${up} of ${targets.length} up`
  const color = up === 0 ? "red" : up < asked ? "yellow" : "green"
  const active = targets.reduce((sum, target) => sum + target.active, 0)
  const rest = [balance, `${active} ${active === 1 ? "connection" : "connections"}`]
  if (queued > 0) rest.push(`${queued} waiting`)
  if (retries > 0) rest.push(`${retries} ${retries === 1 ? "retry" : "retries"}`)
  return `${paint("dim", "POOL")} ${printable(name)}  ${paint(color, share)}, ${rest.join(", ")}`
}

function targetLines(paint: Paint, { targets }: PoolStatus, few: boolean): string[] {
  const inOrder = ORDER.flatMap((state) => targets.filter((target) => target.state === state))
  const listed = few ? inOrder : inOrder.filter(({ state }) => state !== "up")
  const shown = listed.slice(0, MOST_TARGETS)
  if (shown.length === 0) return []
  const heads = ["TARGET", "STATE", "ACTIVE", "ATTEMPTS", "FAILED", "CONNECT"]
  const weighted = targets.some(({ weight }) => weight !== 1)
  const grouped = targets.some(({ priority }) => priority !== 0)
  const troubled = shown.some(({ problem }) => problem !== undefined)
  if (weighted) heads.push("WEIGHT")
  if (grouped) heads.push("PRIORITY")
  if (troubled) heads.push("PROBLEM")
  const rows = shown.map((target) => {
    const { active, attempts, connectMs, failures, name, priority, problem, state, weight } = target
    const connect = connectMs === undefined ? "-" : `${connectMs} ms`
    const row = [name, state, String(active), String(attempts), String(failures), connect]
    if (weighted) row.push(String(Math.round(weight * 100) / 100))
    if (grouped) row.push(String(priority))
    if (troubled) row.push(problem ?? "-")
    return row
  })
  return [...columns(paint, heads, rows), ...more(listed.slice(shown.length))].map((line) => `  ${line}`)
}

/** `... and 480 more down, 500 more up` */
function more(targets: readonly TargetStatus[]): string[] {
  const counts = ORDER.flatMap((state) => {
    const count = targets.filter((target) => target.state === state).length
    return count === 0 ? [] : [`${count} more ${state}`]
  })
  return counts.length === 0 ? [] : [`... and ${counts.join(", ")}`]
}
