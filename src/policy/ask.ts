// Asks policies in order about one connection, the way `tidegate/testing` and `tidegate explain` do.
// The data path has its own, which pays for no waiting; both keep to the same rules.
import { checkAnswer, type Answer, type Decision } from "./decision.ts"
import type { CloseReason, Connection, EffectOf } from "./connection.ts"
import { describe } from "./describe.ts"
import { prereadFailure } from "./preread.ts"
import { isEffect, runEffect } from "./run-effect.ts"
import type { Simulated } from "./simulated.ts"

/** 5 seconds: the time that all policies of one connection have together for Promises and Effects. */
export const POLICY_DEADLINE = 5000

/** A policy as it is asked: a PolicyVersion has these fields. */
export interface Asked {
  readonly file: string
  readonly connect: (connection: Connection, resources: unknown) => unknown
  /** Milliseconds. @default 5000 */
  readonly deadline: number | undefined
  readonly resources: unknown
}

/** What one policy did. `answer` is `undefined` for the one that failed. */
export interface Said {
  readonly file: string
  readonly answer: Answer | undefined
}

export type Outcome =
  | { readonly kind: "decision"; readonly file: string; readonly decision: Decision }
  | { readonly kind: "no-decision" }
  | {
      readonly kind: "failed"
      readonly file: string
      readonly reason: CloseReason
      readonly message: string
      readonly cause: unknown
    }

/** What came of asking: the policies that were asked, in order, and the outcome. */
export interface Asking {
  readonly said: readonly Said[]
  readonly outcome: Outcome
}

/** A Promise or an Effect took longer than the policy deadline. */
export class PolicyTimeout extends Error {
  override readonly name = "PolicyTimeout"
}

/**
 * Asks until one decides or fails; never rejects. `abort` is called when a policy fails or its deadline
 * passes, to abort `connection.signal`. All policies share one clock; a simulated client is never waited for, so
 * it never stands still.
 */
export async function ask(
  policies: readonly Asked[],
  { abort, connection, objection }: Pick<Simulated, "abort" | "connection" | "objection">,
): Promise<Asking> {
  const said: Said[] = []
  const started = performance.now()
  for (const { file, connect, deadline = POLICY_DEADLINE, resources } of policies) {
    try {
      let value = connect(connection, resources)
      if (isWaiting(value)) {
        const left = Math.max(0, deadline - (performance.now() - started))
        value = await settle(value, deadline, left, abort)
      }
      const answer = checkAnswer(value)
      said.push({ file, answer })
      if (answer.action === "next") continue
      const against = objection(answer)
      return {
        said,
        outcome: against === undefined ? { kind: "decision", file, decision: answer } : failure(file, against),
      }
    } catch (cause) {
      abort(cause)
      said.push({ file, answer: undefined })
      const reason = cause instanceof PolicyTimeout ? "policy-timeout" : (prereadFailure(cause) ?? "policy-failed")
      return { said, outcome: failure(file, { reason, cause }) }
    }
  }
  const against = objection(undefined)
  const last = said.at(-1)
  if (against === undefined || last === undefined) return { said, outcome: { kind: "no-decision" } }
  return { said, outcome: failure(last.file, against) }
}

function failure(file: string, { cause, reason }: { cause: unknown; reason: CloseReason }): Outcome {
  return { kind: "failed", file, reason, message: messageOf(cause), cause }
}

/** Errors whose message says it all; other names (TypeError, one's own) come before the message. */
const PLAIN = new Set([
  "Error",
  "PolicyTimeout",
  "PrereadTimeout",
  "PrereadTooLarge",
  "HelloInvalid",
  "HandshakeFailed",
  "TerminateInvalid",
  "DecisionInvalid",
  "TargetInvalid",
  "DurationInvalid",
  "CidrInvalid",
  "LimitInvalid",
  "TrafficPolicyFailed",
])

/** What a failure says, on one line or several as its author wrote it. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${describe(error)}`
  const { name, message } = error
  if (message === "") return name
  return PLAIN.has(name) ? message : `${name}: ${message}`
}

function isWaiting(value: unknown): value is PromiseLike<unknown> | EffectOf<unknown> {
  return isEffect(value) || (typeof value === "object" && value !== null && "then" in value)
}

async function settle(
  value: PromiseLike<unknown> | EffectOf<unknown>,
  deadline: number,
  left: number,
  abort: (reason: unknown) => void,
): Promise<unknown> {
  const interrupt = new AbortController()
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const timeout = new PolicyTimeout(`no answer within ${deadline} ms`)
    reject(timeout)
    interrupt.abort(timeout)
    abort(timeout)
  }, left)
  try {
    return await Promise.race([isEffect(value) ? runEffect(value, interrupt.signal) : value, late])
  } finally {
    clearTimeout(timer)
  }
}
