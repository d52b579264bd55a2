// Decisions: what a policy answers. Plain, frozen, serialisable data; the constructors only build and check.
import { describe } from "./describe.ts"
import { didYouMean } from "./suggest.ts"
import { milliseconds, type Duration } from "./duration.ts"
import { readBandwidth } from "./limit-options.ts"
import type { BandwidthOptions, BandwidthSpec } from "./limits.ts"
import { parseTarget } from "./target.ts"
import { checkUpstreamTls, type UpstreamTls } from "./upstream-tls.ts"
import { REFUSABLE, type Refusable } from "../protocol/refusal.ts"

export { describe }

/** Thrown for a decision that does not make sense; the message says what was found and what is expected. */
export class DecisionInvalid extends Error {
  override readonly name = "DecisionInvalid"
}

/** A target of a route with its share; every target without a weight counts 1 as soon as one has a weight. */
export interface WeightedTarget {
  readonly url: string
  /** 0 to 1,000,000. 0 is never picked first, only as a fallback. */
  readonly weight?: number
}

export interface RouteOptions {
  /** Time for one attempt: name, connect and handshakes. @default "5 seconds" */
  readonly connectTimeout?: Duration
  /** Ends the connection after this long without a byte in either direction. @default "5 minutes" */
  readonly idleTimeout?: Duration
  /** Ends the connection after this long, counted from its accept. @default no limit */
  readonly maxDuration?: Duration
  /** Further attempts after the first, each at a different target. @default the other targets */
  readonly retries?: number
  /** Tell the target who the client is: a PROXY header of this version, before anything else. @default none */
  readonly proxyProtocol?: 1 | 2
  /** For `tls://` targets. */
  readonly tls?: UpstreamTls
  /** For a pool that balances by `hash`: equal keys lead to the same target. At most 1 KiB. @default what the pool's `hashOn` says */
  readonly key?: string
  /** Bytes per second; what comes faster waits. @default no limit, or that of the pool */
  readonly bandwidth?: BandwidthOptions
}

/** Relay the connection to the first target that answers. */
export interface Route {
  readonly action: "route"
  /** Empty where there is a pool. */
  readonly targets: readonly WeightedTarget[]
  /** Name of the pool that picks the target. */
  readonly pool?: string
  readonly key?: string
  readonly connectTimeout?: number
  readonly idleTimeout?: number
  readonly maxDuration?: number
  readonly retries?: number
  readonly proxyProtocol?: 1 | 2
  readonly tls?: UpstreamTls
  readonly bandwidth?: BandwidthSpec
  /** Decided when every attempt failed. */
  readonly otherwise?: Decision
}

/** What {@link route} returns: the data, and `.or()` to add what happens when every attempt failed. */
export interface RouteBuilder extends Route {
  /** The decision when every attempt failed: `route("tcp://db:5432").or(respond("down for maintenance\n"))`. */
  or(otherwise: Decision): RouteBuilder
}

export interface DenyOptions {
  /** Close with RST instead of FIN. @default false */
  readonly reset?: boolean
  /** Hold the client for this long first (a tarpit, bounded in number). @default 0 */
  readonly delay?: Duration
  /**
   * Tell the client the reason in its own language: `true` for the one that it speaks by its first bytes, or a protocol
   * whose silence hides it; the first message of one whose client speaks first is waited for, 3 seconds at most. The reason is shown on one line of at most 255 bytes. Where nothing can be said the
   * connection is closed as without it.
   * @default false, but for `postgres://` listeners
   */
  readonly inBand?: boolean | Refusable
}

/** Close without an answer. No upstream is dialled. */
export interface Deny {
  readonly action: "deny"
  readonly reason?: string
  readonly reset?: boolean
  readonly delay?: number
  readonly inBand?: true | Refusable
}

/** What `respond` writes. */
export type Body = string | Uint8Array | AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>

export interface RespondOptions {
  /** Wait this long before the first byte. @default 0 */
  readonly delay?: Duration
}

/** Answer the client directly, then close. No upstream is dialled. */
export interface Respond {
  readonly action: "respond"
  readonly body: Body
  readonly delay?: number
}

export type Decision = Route | Deny | Respond

/** Pass to the next policy of this listener. */
export interface Next {
  readonly action: "next"
}

/** Everything that a policy may answer. */
export type Answer = Decision | Next

/** The value that passes a connection to the next policy; nothing else does. */
export const next: Next = Object.freeze({ action: "next" })

const POOL_NAME = /^[a-z][a-z0-9-]*$/
const ROUTE_OPTIONS = [
  "connectTimeout",
  "idleTimeout",
  "maxDuration",
  "retries",
  "proxyProtocol",
  "tls",
  "key",
  "bandwidth",
] as const
const DENY_OPTIONS = ["reset", "delay", "inBand"] as const
const RESPOND_OPTIONS = ["delay"] as const

/** 64: past that a list is a pool. */
const MOST_TARGETS = 64
/** Keeps sums of weights exact. */
const HEAVIEST = 1_000_000
/** 1 KiB: a reason is a line in a log. */
const LONGEST_REASON = 1024
/** 1 KiB: a key is a name or a number; every connection is hashed by it. */
const LONGEST_KEY = 1024

/** Decisions that our constructors made: these need no second check. */
const made = new WeakSet<object>()

/** 10,000: routes that are written as one string without options are built once. */
const CACHED_ROUTES = 10_000
const routes = new Map<string, RouteBuilder>()

/**
 * Relays to a target, to the first of several that can be reached, or to a target that a pool picks: `route("db")`.
 *
 * A target is `tcp://host:port`, `tls://host:port` (encrypted by the gateway) or `unix:/path`. Without weights the targets are tried in order; with any weight the
 * first is picked smoothly by weight and the others are the fallbacks, heaviest first.
 * @throws DecisionInvalid, TargetInvalid, DurationInvalid, TerminateInvalid
 */
export function route(target: string | readonly (string | WeightedTarget)[], options?: RouteOptions): RouteBuilder {
  if (options === undefined && typeof target === "string") {
    let known = routes.get(target)
    if (known === undefined) {
      known = build([target], undefined, undefined)
      if (routes.size >= CACHED_ROUTES) routes.delete(routes.keys().next().value!)
      routes.set(target, known)
    }
    return known
  }
  return build(typeof target === "string" ? [target] : target, options, undefined)
}

/**
 * Relays to a target that the pool picks, whatever its name is made of: those that are made of manifests are called
 * `default/db:5432`, which no file can take for one of its own.
 * @throws DecisionInvalid, DurationInvalid, TerminateInvalid
 */
export function poolRoute(name: string, options?: RouteOptions): RouteBuilder {
  return build([name], options, undefined, name)
}

function build(
  list: readonly (string | WeightedTarget)[],
  options: RouteOptions | undefined,
  otherwise: Decision | undefined,
  named?: string,
): RouteBuilder {
  if (!Array.isArray(list))
    throw new DecisionInvalid(`route: expected a target or a list of targets, found ${describe(list)}`)
  if (list.length === 0) throw new DecisionInvalid("route: the list of targets is empty")
  if (list.length > MOST_TARGETS) throw new DecisionInvalid(`route: ${list.length} targets; at most ${MOST_TARGETS}`)
  if (options !== undefined) checkOptions("route", options, ROUTE_OPTIONS)
  const timeouts: { connectTimeout?: number; idleTimeout?: number; maxDuration?: number } = {}
  for (const name of ["connectTimeout", "idleTimeout", "maxDuration"] as const) {
    if (options?.[name] === undefined) continue
    timeouts[name] = milliseconds(options[name], name)
    if (timeouts[name] === 0)
      throw new DecisionInvalid(`${name}: 0 would end every connection; leave it out for the default`)
  }
  const retries = options?.retries
  if (retries !== undefined && !(Number.isInteger(retries) && retries >= 0)) {
    throw new DecisionInvalid(`retries: expected a whole number from 0, found ${describe(retries)}`)
  }
  const proxyProtocol = options?.proxyProtocol
  if (proxyProtocol !== undefined && proxyProtocol !== 1 && proxyProtocol !== 2)
    throw new DecisionInvalid(
      `proxyProtocol: expected the version of the header, 1 or 2, found ${describe(proxyProtocol)}`,
    )
  const tls = options?.tls === undefined ? undefined : checkUpstreamTls(options.tls)
  const pool =
    named ?? (list.length === 1 && typeof list[0] === "string" && POOL_NAME.test(list[0]) ? list[0] : undefined)
  const targets = pool === undefined ? list.map(target) : []
  // The targets of a pool are known when it is asked.
  if (tls !== undefined && pool === undefined && !targets.some(({ url }) => url.startsWith("tls:")))
    throw new DecisionInvalid("route: tls has no effect: none of the targets is tls://host:port")
  const key = checkKey(options?.key, pool)
  const bandwidth =
    options?.bandwidth === undefined ? undefined : Object.freeze(readBandwidth("route: bandwidth", options.bandwidth))
  const decision = {
    action: "route" as const,
    targets: Object.freeze(targets),
    ...(pool === undefined ? {} : { pool }),
    ...(key === undefined ? {} : { key }),
    ...timeouts,
    ...(retries === undefined ? {} : { retries }),
    ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
    ...(tls === undefined ? {} : { tls }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(otherwise === undefined ? {} : { otherwise }),
  }
  // Not enumerable: a decision compares, prints and serialises as its data.
  const or = (other: Decision) => build(list, options, checkDecision(other, "or"), named)
  const builder = Object.freeze(Object.defineProperty(decision, "or", { value: or })) as RouteBuilder
  made.add(builder)
  return builder
}

function target(entry: unknown): WeightedTarget {
  if (typeof entry === "string") return Object.freeze({ url: targetUrl(entry) })
  if (typeof entry !== "object" || entry === null)
    throw new DecisionInvalid(
      `route: ${describe(entry)} is not a target: expected "tcp://host:port" or { url, weight }`,
    )
  checkOptions("target", entry, ["url", "weight"])
  const { url, weight } = entry as { url?: unknown; weight?: unknown }
  if (typeof url !== "string")
    throw new DecisionInvalid(`target: url: expected "tcp://host:port", found ${describe(url)}`)
  if (weight === undefined) return Object.freeze({ url: targetUrl(url) })
  if (typeof weight !== "number" || !(weight >= 0 && weight <= HEAVIEST)) {
    throw new DecisionInvalid(
      `target ${JSON.stringify(url)}: weight: expected a number from 0 to ${HEAVIEST}, found ${describe(weight)}`,
    )
  }
  return Object.freeze({ url: targetUrl(url), weight })
}

function checkKey(key: unknown, pool: string | undefined): string | undefined {
  if (key === undefined) return undefined
  if (pool === undefined) throw new DecisionInvalid("route: key has no effect without a pool")
  if (typeof key === "string" && key.length <= LONGEST_KEY) return key
  throw new DecisionInvalid(
    typeof key === "string"
      ? `route: key: ${key.length} characters; at most ${LONGEST_KEY}`
      : `route: key: expected a text, found ${describe(key)}`,
  )
}

function targetUrl(text: string): string {
  if (POOL_NAME.test(text))
    throw new DecisionInvalid(
      `${JSON.stringify(text)} in a list of targets: a pool stands alone, as in route(${JSON.stringify(text)}); did you mean ${JSON.stringify(`tcp://${text}:PORT`)}?`,
    )
  return parseTarget(text).url
}

/** Why a route has failed. */
export interface RouteFailure {
  /** As the closing event has it. */
  readonly code: "dial-failed" | "no-target" | "limit-reached"
  /** Why the last attempt failed; `""` where that is not known. */
  readonly message: string
}

/** Decides after all when every attempt has failed; `next` goes on to the policies after this one. */
export type Continuation = (failure: RouteFailure) => Answer | Promise<Answer>

/** What a {@link continued} route has beside its data. */
export const CONTINUATION: unique symbol = Symbol.for("tidegate.continuation") as never

/** How it goes on when every attempt has failed, and there is no `otherwise`. */
export function continuationOf(route: Route): Continuation | undefined {
  return CONTINUATION in route ? (route as { readonly [CONTINUATION]: Continuation })[CONTINUATION] : undefined
}

/**
 * The same route, which goes on like this when every attempt has failed: for formats whose policies run on then. Its own
 * continuation, and what stands behind its `.or()`, come first. It is no part of the data, and not serialised.
 */
export function continued(decision: Route, continuation: Continuation): Route {
  const { otherwise } = decision
  const own = continuationOf(decision)
  const copy = {
    ...decision,
    ...(otherwise?.action === "route" ? { otherwise: continued(otherwise, continuation) } : {}),
  }
  const value = own === undefined ? continuation : (failure: RouteFailure) => after(own(failure), failure, continuation)
  const going: Route = Object.freeze(Object.defineProperty(copy, CONTINUATION, { value }))
  made.add(going)
  return going
}

function after(answer: Answer | Promise<Answer>, failure: RouteFailure, then: Continuation): ReturnType<Continuation> {
  if (answer instanceof Promise) return answer.then((one) => after(one, failure, then))
  if (answer.action === "next") return then(failure)
  return answer.action === "route" ? continued(answer, then) : answer
}

/**
 * Closes the connection without dialling an upstream: FIN, or RST with `reset`.
 * @param reason goes to the log and the closing event, at most 1 KiB
 * @throws DecisionInvalid, DurationInvalid
 */
export function deny(reason?: string, options?: DenyOptions): Deny {
  if (reason !== undefined && typeof reason !== "string")
    throw new DecisionInvalid(`deny: the reason is a text, found ${describe(reason)}`)
  if (options !== undefined) checkOptions("deny", options, DENY_OPTIONS)
  if (options?.reset !== undefined && typeof options.reset !== "boolean")
    throw new DecisionInvalid(`deny: reset: expected true or false, found ${describe(options.reset)}`)
  const inBand = options?.inBand
  if (inBand !== undefined && typeof inBand !== "boolean" && !(REFUSABLE as readonly unknown[]).includes(inBand))
    throw new DecisionInvalid(
      `deny: inBand: expected true, false or one of ${REFUSABLE.join(", ")}, found ${describe(inBand)}${typeof inBand === "string" ? didYouMean(inBand, REFUSABLE) : ""}`,
    )
  if (inBand !== undefined && inBand !== false && options?.reset === true)
    throw new DecisionInvalid("deny: reset and inBand exclude each other: a reset takes away what was said")
  const decision: Deny = Object.freeze({
    action: "deny",
    ...(reason === undefined ? {} : { reason: reason.slice(0, LONGEST_REASON) }),
    ...(options?.reset === true ? { reset: true } : {}),
    ...delayOf(options?.delay),
    ...(inBand === undefined || inBand === false ? {} : { inBand }),
  })
  made.add(decision)
  return decision
}

/**
 * Writes `body` to the client completely, with backpressure, then closes with FIN. No upstream is dialled.
 * @throws DecisionInvalid, DurationInvalid
 */
export function respond(body: Body, options?: RespondOptions): Respond {
  if (options !== undefined) checkOptions("respond", options, RESPOND_OPTIONS)
  if (typeof body !== "string" && !(body instanceof Uint8Array) && !isIterable(body)) {
    throw new DecisionInvalid(
      `respond: the body is a text, bytes or an async iterable of these, found ${describe(body)}`,
    )
  }
  const decision: Respond = Object.freeze({ action: "respond", body, ...delayOf(options?.delay) })
  made.add(decision)
  return decision
}

function isIterable(body: unknown): boolean {
  return typeof body === "object" && body !== null && (Symbol.asyncIterator in body || Symbol.iterator in body)
}

function delayOf(delay: Duration | undefined): { delay?: number } {
  return delay === undefined ? {} : { delay: milliseconds(delay, "delay") }
}

function checkOptions(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null)
    throw new DecisionInvalid(`${what}: expected an object of options, found ${describe(options)}`)
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw new DecisionInvalid(`${what}: there is no option ${JSON.stringify(name)}${didYouMean(name, known)}`)
  }
}

/** The value, if it is a decision; hand-written data is checked as the constructors would. @throws DecisionInvalid, TargetInvalid, DurationInvalid */
export function checkDecision(value: unknown, where: string): Decision {
  const answer = checkAnswer(value)
  if (answer.action === "next")
    throw new DecisionInvalid(`${where}: next is not a decision here; expected route, deny or respond`)
  return answer
}

/** The value, if a policy may answer it. @throws DecisionInvalid, TargetInvalid, DurationInvalid */
export function checkAnswer(value: unknown): Answer {
  if (typeof value === "object" && value !== null) {
    if (value === next || made.has(value)) return value as Answer
    const { action, ...rest } = value as Record<string, unknown>
    switch (action) {
      case "next":
        return next
      case "route": {
        const { targets, pool, otherwise, ...options } = rest
        return build(
          (pool === undefined ? targets : poolOf(pool, targets)) as WeightedTarget[],
          options as RouteOptions,
          otherwise === undefined ? undefined : checkDecision(otherwise, "otherwise"),
        )
      }
      case "deny": {
        const { reason, ...options } = rest
        return deny(reason as string | undefined, options as DenyOptions)
      }
      case "respond": {
        const { body, ...options } = rest
        return respond(body as Body, options as RespondOptions)
      }
    }
  }
  throw new DecisionInvalid(
    value === undefined
      ? "on_tcp_connect returned nothing; write `return next`"
      : `on_tcp_connect returned ${describe(value)}; expected route(...), deny(...), respond(...) or next`,
  )
}

/** Data that names a pool names nothing else. */
function poolOf(pool: unknown, targets: unknown): unknown[] {
  if (typeof pool !== "string" || !POOL_NAME.test(pool))
    throw new DecisionInvalid(`route: pool: expected a name like "db", found ${describe(pool)}`)
  if (targets !== undefined && !(Array.isArray(targets) && targets.length === 0))
    throw new DecisionInvalid("route: pool and targets exclude each other")
  return [pool]
}
