// What the gateway would do about a connection, in words.
import { alertFor } from "../connection/farewell.ts"
import { span } from "../observe/events.ts"
import { printable, printableJson } from "../observe/printable.ts"
import type { Outcome } from "../policy/ask.ts"
import { unfitRoute, unknownPool } from "../policy/check-route.ts"
import type { CloseReason } from "../policy/connection.ts"
import { continuationOf, DecisionInvalid, type Body, type Decision, type Deny, type Route } from "../policy/decision.ts"
import type { PoolSpec } from "../policy/pool.ts"
import { isRefusable } from "../protocol/refusal.ts"
import { poolLookup } from "../config/pool-spec.ts"
import { shownPool } from "./pools.ts"
import { counted, paintOut } from "./say.ts"

/** What decides how a client is told. */
export interface Situation {
  /** Its TLS hello was seen. */
  readonly hello: boolean
  readonly terminated: boolean
  /** It speaks PostgreSQL to a `postgres://` listener, and would read an error. */
  readonly postgres: boolean
  /** What it speaks, by the name that `protocol()` gives it. */
  readonly protocol: string | undefined
}

export type Pools = ReadonlyMap<string, PoolSpec>

/** A decision that the pools do not allow is a failure of the policy. */
export function againstPools(outcome: Outcome, { hello, terminated }: Situation, pools: Pools): Outcome {
  if (outcome.kind !== "decision") return outcome
  const { decision, file } = outcome
  const lookup = poolLookup(pools)
  const message = unknownPool(decision, lookup) ?? unfitRoute(decision, { hello, terminated }, lookup)
  if (message === undefined) return outcome
  return { kind: "failed", file, reason: "policy-failed", message, cause: new DecisionInvalid(message) }
}

/** @param position where the policy failed */
export function consequence(
  outcome: Outcome,
  situation: Situation,
  position: string | undefined,
  pools: Pools,
): string {
  switch (outcome.kind) {
    case "no-decision":
      return `Every policy passed. The gateway would ${refused("no-decision", situation)}.`
    case "failed": {
      const where = position === undefined ? "" : ` at ${printable(position)}`
      const why = outcome.message
        .split("\n")
        .map((line) => printable(line))
        .join("\n  ")
      return `${printable(outcome.file)} failed${where}: ${why}\nThe gateway would ${refused(outcome.reason, situation)}.`
    }
    case "decision":
      return `The gateway would ${carriedOut(outcome.decision, situation, pools)}.`
  }
}

/** How a connection that gets neither an upstream nor an answer ends. */
export function refused(reason: CloseReason, situation: Situation): string {
  // The handshake has an alert of its own.
  const last = reason === "tls-handshake-failed" ? "" : farewell(reason, situation)
  return `${last}${paintOut("red", "close the connection")}: ${reason}`
}

function farewell(reason: CloseReason, { hello, postgres, terminated }: Situation): string {
  if (hello && !terminated) return `send the TLS alert ${alertFor(reason)} and `
  return postgres ? "send a PostgreSQL error and " : ""
}

function carriedOut(decision: Decision, situation: Situation, pools: Pools): string {
  switch (decision.action) {
    case "route":
      return routed(decision, situation, pools)
    case "deny":
      return denied(decision, situation)
    case "respond": {
      const how = situation.terminated ? " inside TLS" : situation.hello ? ", not encrypted," : ""
      return `${paintOut("green", "answer")}${after(decision.delay)}${how} with ${shownBody(decision.body)}, and close`
    }
  }
}

function denied({ delay, inBand, reason, reset }: Deny, situation: Situation): string {
  const why = reason === undefined ? "" : `: ${printable(reason)}`
  const end = `${after(delay)} without dialling${why}`
  if (reset === true) return `${paintOut("red", "reset (RST) the connection")}${end}`
  const told = farewell("denied", situation)
  const name = inBand === true || inBand === "postgres" ? (situation.protocol ?? inBand) : inBand
  const said = typeof name === "string" && isRefusable(name) ? `say so in ${name} and ` : ""
  return `${told === "" ? said : told}${paintOut("red", "close (FIN) the connection")}${end}`
}

function routed(route: Route, situation: Situation, pools: Pools): string {
  const weighted = route.targets.some(({ weight }) => weight !== undefined)
  const targets = route.targets.map(
    ({ url, weight = 1 }) => `${printable(url)}${weighted ? ` (weight ${weight})` : ""}`,
  )
  const pool = route.pool === undefined ? undefined : pools.get(route.pool)
  const listed = weighted ? `one of ${targets.join(", ")}` : targets.join(", then ")
  const order = pool === undefined ? listed : `pool ${printable(pool.name)} (${shownPool(pool)})`
  const options = (["connectTimeout", "idleTimeout", "maxDuration"] as const).flatMap((name) =>
    route[name] === undefined ? [] : [`${name} ${span(route[name])}`],
  )
  if (route.retries !== undefined) options.push(`retries ${route.retries}`)
  const proxyProtocol = route.proxyProtocol ?? pool?.proxyProtocol
  if (proxyProtocol !== undefined) options.push(`PROXY protocol ${proxyProtocol}`)
  if (route.tls?.sni !== undefined) options.push(`as ${route.tls.sni}`)
  if (route.tls?.insecureSkipVerify === true) options.push("whatever certificate they have")
  const what = situation.terminated ? "relay the plain text" : situation.hello ? "pass TLS through" : "relay"
  const otherwise =
    route.otherwise !== undefined
      ? `;\nif none can be reached, ${carriedOut(route.otherwise, situation, pools)}`
      : continuationOf(route) !== undefined
        ? ";\nif none can be reached, go on with the next action of the traffic policy"
        : ""
  return `${paintOut("green", what)} to ${order}${options.length === 0 ? "" : ` (${options.join(", ")})`}${otherwise}`
}

function after(delay: number | undefined): string {
  return delay === undefined || delay === 0 ? "" : ` after ${span(delay)}`
}

/** 200 characters of an answer are enough to recognise it. */
const LONGEST_BODY = 200

function shownBody(body: Body): string {
  if (typeof body === "string")
    return printableJson(JSON.stringify(body.length > LONGEST_BODY ? `${body.slice(0, LONGEST_BODY)}...` : body))
  return body instanceof Uint8Array ? counted(body.length, "byte") : "a stream"
}
