// What the functions of the evaluation that runs may ask for. Evaluations are synchronous and never within each other.
import type { Facts } from "./facts.ts"

let current: Facts | undefined

/** The facts of the evaluation that runs; `undefined` while constants are computed. */
export function facts(): Facts | undefined {
  return current
}

export function running<Result>(facts: Facts, run: () => Result): Result {
  current = facts
  try {
    return run()
  } finally {
    current = undefined
  }
}
