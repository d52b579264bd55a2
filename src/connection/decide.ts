// Asks the policies of a connection in order. A plain answer costs no waiting; a Promise or an Effect waits under the
// policy deadline, whose clock stands still while the gateway waits for the client.
import type { PolicyVersion } from "../config/snapshot.ts"
import {
  checkAnswer,
  DecisionInvalid,
  type Continuation,
  type Decision,
  type RouteFailure,
} from "../policy/decision.ts"
import { UNDER_WAY, unfitRoute, unknownPool } from "../policy/check-route.ts"
import { State, type Connection } from "./connection.ts"
import { prereadFailure } from "../policy/preread.ts"
import { readable } from "../policy/thrown.ts"
import { carryOut } from "./carry-out.ts"
import type { Outcome } from "./data-path.ts"
import { refuse } from "./ending.ts"
import { ConnectionView } from "./view.ts"

const NEVER = Number.POSITIVE_INFINITY

/** A policy that waits. */
export class Deciding {
  readonly connection: Connection
  readonly policy: PolicyVersion
  private interrupts: (() => void) | undefined = undefined
  /** The tick at which the deadline comes; moved on by every wait for the client. */
  private due: number
  private heldSince: number | undefined = undefined

  constructor(connection: Connection, policy: PolicyVersion, spent: number) {
    this.connection = connection
    this.policy = policy
    const { wheel, settings } = connection.path
    const deadline = Math.max(0, (policy.deadline ?? settings.policyDeadline) - spent)
    // Not later than what it already waits for: bytes of the client may be due before its answer.
    this.due = connection.wake(deadline)
    // It may have begun to wait for the client before it returned its promise.
    if (connection.preread?.awaited === true) this.heldSince = wheel.now
  }

  interruptedBy(interrupts: () => void): void {
    this.interrupts = interrupts
  }

  interrupt(): void {
    this.interrupts?.()
  }

  clientAwaited(waits: boolean): void {
    const { now } = this.connection.path.wheel
    if (waits) this.heldSince = now
    else if (this.heldSince !== undefined) {
      this.due += now - this.heldSince
      this.heldSince = undefined
      this.connection.scheduleAt(this.due)
    }
  }

  /** The tick of the deadline; `undefined` while the clock stands still. */
  get deadline(): number | undefined {
    return this.heldSince === undefined ? this.due : undefined
  }
}

/** Asks from the first policy on. */
export function decide(connection: Connection): void {
  connection.view = new ConnectionView(connection)
  ask(connection, 0)
}

function ask(connection: Connection, from: number): void {
  const { path, policies, view } = connection
  for (let i = from; i < policies.length; i++) {
    const policy = policies[i]!
    connection.asked = i + 1
    let value: unknown
    let later: boolean
    path.exits.enter(policy)
    try {
      value = policy.connect(view!, policy.resources)
      later = waits(value)
      path.exits.leave()
    } catch (error) {
      path.exits.leave()
      return failed(connection, policy, error)
    }
    if (later) return wait(connection, i, policy, value as object)
    if (settled(connection, policy, value)) return
  }
  decided(connection)
  refuse(connection, policies.length === 0 ? "no-policy" : "no-decision")
}

/**
 * A route has failed whose policy goes on then: the connection is undecided again, and the policy's answer counts as its
 * first would have.
 */
export function goOn(connection: Connection, continuation: Continuation, failure: RouteFailure): void {
  const { asked, decidedAt = connection.started, path, policies } = connection
  const index = asked - 1
  const policy = policies[index]!
  // The time that was spent on dialling is none of the policies'.
  connection.heldBack += performance.now() - decidedAt
  connection.state = State.deciding
  connection.decidedAt = undefined
  connection.decision = undefined
  connection.policy = undefined
  let value: unknown
  let later: boolean
  path.exits.enter(policy)
  try {
    value = continuation(failure)
    later = waits(value)
    path.exits.leave()
  } catch (error) {
    path.exits.leave()
    return failed(connection, policy, error)
  }
  if (later) return wait(connection, index, policy, value as object)
  if (!settled(connection, policy, value)) ask(connection, asked)
}

/** Takes an answer. Returns whether the connection is decided; if not, the next policy is asked. */
function settled(connection: Connection, policy: PolicyVersion, value: unknown): boolean {
  try {
    const checked = checkAnswer(value)
    if (checked.action === "next") return false
    connection.policy = policy
    const failure = connection.termination?.failure
    if (failure !== undefined) return unterminated(connection, failure)
    const unfit = unfitFor(connection, checked)
    if (unfit !== undefined) throw new DecisionInvalid(unfit)
    decided(connection)
    carryOut(connection, checked)
  } catch (error) {
    failed(connection, policy, error)
  }
  return true
}

/** A policy goes on after its `terminate` has failed: no decision is carried out any more. */
function unterminated(connection: Connection, failure: unknown): true {
  decided(connection)
  connection.reason = readable(failure).message
  connection.view?.closed("tls-handshake-failed")
  refuse(connection, "tls-handshake-failed")
  return true
}

/** What a decision that is right in itself cannot do with this connection, or here. */
function unfitFor({ hello, path, termination }: Connection, decision: Decision): string | undefined {
  if (termination !== undefined && termination.result === undefined) return UNDER_WAY
  const { pools } = path.exits
  const unknown = unknownPool(decision, pools)
  if (unknown !== undefined || hello === undefined) return unknown
  return unfitRoute(decision, { hello: true, terminated: termination !== undefined }, pools)
}

/** Nobody is asked any more, and nobody waits for the client. */
function decided(connection: Connection): void {
  connection.decidedAt = performance.now()
  connection.view?.settle()
  connection.preread?.fail("peek: the connection is decided")
}

function waits(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false
  return typeof (value as { then?: unknown }).then === "function" || "~effect/Effect" in value
}

function wait(connection: Connection, index: number, policy: PolicyVersion, value: object): void {
  const spent = performance.now() - connection.started - connection.heldBack
  const deciding = new Deciding(connection, policy, spent)
  connection.deciding = deciding
  const settle = (outcome: Outcome) => {
    // A late answer: the deadline has passed, or the client is gone.
    if (connection.deciding !== deciding) return
    connection.deciding = undefined
    if (!outcome.ok) return failed(connection, policy, outcome.error)
    if (!settled(connection, policy, outcome.value)) ask(connection, index + 1)
  }
  if ("~effect/Effect" in value) {
    deciding.interruptedBy(connection.path.exits.runEffect(value, settle))
    return
  }
  // A promise is taken as it is; the `then` of anything else is the policy's code and may throw.
  Promise.resolve(value).then(
    (answered) => settle({ ok: true, value: answered }),
    (error) => settle({ ok: false, error }),
  )
}

/** A deadline of the deciding stage has come: the policy's, or that of bytes it waits for. */
export function expireDeciding(connection: Connection): void {
  const { deciding, path, preread, termination } = connection
  const { now } = path.wheel
  const forClient = Math.min(preread?.expire(now) ?? NEVER, termination?.expire(now) ?? NEVER)
  // A wait that ended just now may have settled the policy.
  if (connection.deciding !== deciding || connection.state !== State.deciding) return
  const deadline = deciding?.deadline ?? NEVER
  if (deciding !== undefined && now >= deadline) return timedOut(connection, deciding)
  const next = Math.min(forClient, deadline)
  if (next !== NEVER) connection.scheduleAt(next)
}

function timedOut(connection: Connection, deciding: Deciding): void {
  const { policy } = deciding
  const why = `no answer within ${policy.deadline ?? connection.path.settings.policyDeadline} ms`
  connection.stopDeciding("policy-timeout", why)
  connection.path.exits.policyFailed(policy, new Error(`on_tcp_connect gave ${why}`))
  refuse(connection, "policy-timeout")
}

function failed(connection: Connection, policy: PolicyVersion, error: unknown): void {
  connection.policy = policy
  decided(connection)
  connection.reason = readable(error).message
  const own = prereadFailure(error)
  // The client was too slow or too much was asked of it: not a fault to log for each connection.
  if (own === undefined) connection.path.exits.policyFailed(policy, error)
  connection.view?.closed(own ?? "policy-failed")
  refuse(connection, own ?? "policy-failed")
}
