// What the functions of the evaluation that runs may ask for. Evaluations are synchronous and never within each other.
import type { Facts } from "./facts.ts"

let current: Facts | undefined

/** The facts of the evaluation that runs; `undefined` while constants are computed. */
export function facts(): Facts | undefined {
  return current
}

/** To be called before an evaluation, and with nothing after it: what an evaluation throws the library gives back. */
export function setFacts(facts: Facts | undefined): void {
  current = facts
}
