// In which order the targets of a route are tried: as written, or by smooth weighted picks.
import type { Route, WeightedTarget } from "../policy/decision.ts"
import { parseTarget, type Target } from "../policy/target.ts"

/** 10,000 different weighted lists: their turns are kept by content, so that a policy may build its list anew each time. */
const KEPT_TURNS = 10_000
const turns = new Map<string, number[]>()

/** Routes that are built once are asked for on every connection, and their order does not change. */
const asWritten = new WeakMap<Route, readonly Target[]>()

export function orderOf(route: Route): readonly Target[] {
  const known = asWritten.get(route)
  if (known !== undefined) return known
  const { targets } = route
  if (targets.length === 1 || !targets.some((target) => target.weight !== undefined)) {
    const order = targets.map(parsed)
    asWritten.set(route, order)
    return order
  }
  const first = pick(targets)
  const others = targets.filter((_, i) => i !== first).sort((a, b) => weight(b) - weight(a))
  return [targets[first]!, ...others].map(parsed)
}

function parsed(target: WeightedTarget): Target {
  return parseTarget(target.url)
}

function weight(target: WeightedTarget): number {
  return target.weight ?? 1
}

/**
 * Smooth weighted round-robin, as nginx does it: everyone gains its weight, the richest is picked and pays the total.
 * Over one total's worth of picks each target comes up exactly as often as its weight, spread evenly.
 */
function pick(targets: readonly WeightedTarget[]): number {
  const key = targets.map((target) => `${target.url} ${weight(target)}`).join(" ")
  let current = turns.get(key)
  if (current === undefined) {
    current = targets.map(() => 0)
    if (turns.size >= KEPT_TURNS) turns.delete(turns.keys().next().value!)
    turns.set(key, current)
  }
  let best = 0
  let total = 0
  for (let i = 0; i < targets.length; i++) {
    total += weight(targets[i]!)
    current[i]! += weight(targets[i]!)
    if (current[i]! > current[best]!) best = i
  }
  current[best]! -= total
  return best
}
