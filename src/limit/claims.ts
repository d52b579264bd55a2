// Who makes limits: a loader wants to know which policies name them, and no limit is made while a connection waits for
// its decision.
import type { AnyKey } from "../policy/limit-options.ts"
import { LimitInvalid, type ConcurrencyLimitSpec, type RateLimitSpec } from "../policy/limits.ts"

/** A limit that code has made. */
export type Claim = {
  /** Names its counts. */
  readonly id: string
  readonly name: string
} & (
  | { readonly kind: "rateLimit"; readonly spec: RateLimitSpec<AnyKey> }
  | { readonly kind: "concurrencyLimit"; readonly spec: ConcurrencyLimitSpec<AnyKey> }
)

/** Hears of a limit as it is made, with the stack. @throws LimitInvalid when it is not the time for that */
export type ClaimListener = (claim: Claim, stack: string) => void

/** 50: our own functions, and some of the policy's libraries. */
const FRAMES = 50

const listeners = new Set<ClaimListener>()
let asking = 0

/** From now on the listener hears of every limit that is made. */
export function onClaim(listener: ClaimListener): Disposable {
  listeners.add(listener)
  return { [Symbol.dispose]: () => void listeners.delete(listener) }
}

/** A limit is being made. @throws LimitInvalid */
export function claim(made: Claim): void {
  if (asking > 0) throw tooLate(made)
  if (listeners.size === 0) return
  const before = Error.stackTraceLimit
  // Whoever shortens stacks means those that are shown.
  Error.stackTraceLimit = FRAMES
  const { stack = "" } = new Error("who makes it?")
  Error.stackTraceLimit = before
  for (const listener of listeners) listener(made, stack)
}

/** Runs the synchronous part of what a policy does with a connection: no limit is made in it. */
export function whileAsking<Value>(ask: () => Value): Value {
  asking++
  try {
    return ask()
  } finally {
    asking--
  }
}

export function tooLate({ kind, name }: Claim): LimitInvalid {
  return new LimitInvalid(
    `${kind} ${JSON.stringify(name)}: make it once, at the top of the file or in setup, and call take(connection) for each connection`,
  )
}
