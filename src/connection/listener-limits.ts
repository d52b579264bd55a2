// The limits of a listener: asked as soon as what they count by is known, which is before there is a connection unless
// that is in a PROXY header or in the hello.
import type { ListenerPlan } from "../config/snapshot.ts"
import { ConcurrencyGate, RateGate, type Counted } from "../limit/gate.ts"
import type { SocketName } from "../native/socket.ts"
import type { KeySpec } from "../policy/limits.ts"
import type { Connection } from "./connection.ts"
import { refuse } from "./ending.ts"
import { ipOf } from "./socket-address.ts"

/** When a limit is asked: at accept, after the PROXY header, or after the hello. */
type Stage = "accept" | "header" | "hello"

interface Gates {
  readonly rate: RateGate | undefined
  readonly rateAt: Stage
  readonly concurrency: ConcurrencyGate | undefined
  readonly concurrencyAt: Stage
}

const gates = new WeakMap<ListenerPlan, Gates>()

/** Counts a client that was accepted. Gives which limit is reached, where one is. */
export function admit(plan: ListenerPlan, peer: SocketName | undefined): Counted | string | undefined {
  return ask(plan, "accept", peer, undefined)
}

/**
 * Counts a connection whose PROXY header, or whose hello, has been read by now. Ends it where a limit is reached; returns
 * whether it did.
 */
export function isTurnedAway(connection: Connection, stage: "header" | "hello"): boolean {
  const found = ask(connection.plan, stage, connection.peer, connection.hello?.sni)
  if (typeof found === "string") {
    connection.reason = found
    refuse(connection, "limit-reached")
    return true
  }
  if (found !== undefined) connection.counted = found
  return false
}

/** The names that its counts are kept under. */
export function listenerLimitIds(plan: ListenerPlan): string[] {
  const { concurrency, rate } = gatesOf(plan)
  return [concurrency, rate].flatMap((gate) => (gate === undefined ? [] : [gate.id]))
}

function ask(
  plan: ListenerPlan,
  stage: Stage,
  peer: SocketName | undefined,
  sni: string | undefined,
): Counted | string | undefined {
  if (plan.rateLimit === undefined && plan.concurrencyLimit === undefined) return undefined
  const { concurrency, concurrencyAt, rate, rateAt } = gatesOf(plan)
  const ip = ipOf(peer)
  let counted: Counted | undefined = undefined
  if (concurrency !== undefined && concurrencyAt === stage) {
    counted = concurrency.take(ip, sni)
    if (counted === undefined) return `${plan.url}: its concurrencyLimit is reached`
  }
  if (rate === undefined || rateAt !== stage || rate.take(ip, sni)) return counted
  counted?.release()
  return `${plan.url}: its rateLimit is reached`
}

function gatesOf(plan: ListenerPlan): Gates {
  let known = gates.get(plan)
  if (known === undefined) {
    const { concurrencyLimit, rateLimit } = plan
    const owner = `listener ${plan.identity}`
    known = {
      rate: rateLimit === undefined ? undefined : new RateGate(owner, rateLimit),
      rateAt: stageOf(plan, rateLimit?.key),
      concurrency: concurrencyLimit === undefined ? undefined : new ConcurrencyGate(owner, concurrencyLimit),
      concurrencyAt: stageOf(plan, concurrencyLimit?.key),
    }
    gates.set(plan, known)
  }
  return known
}

function stageOf({ proxyProtocol }: ListenerPlan, key: KeySpec | undefined): Stage {
  if (key === "sni") return "hello"
  // Behind a load balancer every peer is the load balancer.
  return proxyProtocol === undefined || key === "all" ? "accept" : "header"
}
