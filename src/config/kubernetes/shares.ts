// Which of a rule's backends gets a connection: exactly by weight, spread evenly.
import type { Decision } from "../../policy/decision.ts"
import { refused, type Destination } from "./backends.ts"

export interface Share {
  readonly destination: Destination
  readonly weight: number
}

/** What is decided for each connection, without looking at it. */
export type Pick = () => Decision

/**
 * Smooth weighted round-robin, as nginx does it: everyone gains its weight, the richest is picked and pays the total. One
 * that is refused has its turns like the others: what it would have got is not shifted to them.
 */
export function picking(shares: readonly Share[]): { readonly pick: Pick; readonly only: Decision | undefined } {
  const taking = shares.filter(({ weight }) => weight > 0)
  const [first] = taking
  if (first === undefined) return constant(refused(shares.length === 0 ? "it has no backend" : "all weights are 0"))
  if (taking.every(({ destination }) => destination === first.destination)) return constant(first.destination)
  const decisions = taking.map(({ destination }) => destination.decide())
  const weights = taking.map(({ weight }) => weight)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const turns = weights.map(() => 0)
  const pick = () => {
    let next = 0
    for (let i = 0; i < turns.length; i++) {
      turns[i]! += weights[i]!
      if (turns[i]! > turns[next]!) next = i
    }
    turns[next]! -= total
    return decisions[next]!
  }
  return { pick, only: undefined }
}

function constant(destination: Destination): { readonly pick: Pick; readonly only: Decision } {
  const decision = destination.decide()
  return { pick: () => decision, only: decision }
}
