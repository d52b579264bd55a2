// A listener as configuration: what an entry of `listen` has, and where its connections go.
import { Schema } from "effect"
import { ListenInvalid, parseListen } from "../../policy/listen.ts"
import { route as routeTo, type Route } from "../../policy/decision.ts"
import { between, duration, grouped, headerVersion, optional, required, text, whole, word } from "./field.ts"
import { bandwidth, concurrencyLimit, rateLimit } from "./limits.ts"
import { upstreamTls } from "./upstream-tls.ts"

/** 1,000,000: more than there are descriptors for. */
const MOST_CONNECTIONS = 1_000_000
/** 10,000 ranges: as in `listen`. */
const MOST_SENDERS = 10_000
/** 64: past that a list is a pool. */
const MOST_TARGETS = 64
/** 512 characters: a name has 253, a path 107. */
const LONGEST_URL = 512
const LONGEST_CIDR = 64

const url = text(1, LONGEST_URL, "a URL").annotate({ kind: "URL", range: "" })

const proxyProtocol = Schema.Struct({
  from: required(
    Schema.Array(text(1, LONGEST_CIDR, "an address range").annotate({ kind: "address range", range: "" }))
      .check(Schema.isMinLength(1), Schema.isMaxLength(MOST_SENDERS))
      .annotate({
        expected: `a list of 1 to ${grouped(MOST_SENDERS)} address ranges, like ["10.0.0.0/8"]`,
        range: `1 to ${grouped(MOST_SENDERS)} entries`,
      }),
    {
      description: 'The load balancers. On a `unix:` listener `["unix"]`: whoever may open the socket.',
      examples: [["10.0.0.0/8"]],
    },
  ),
  mode: optional(word(["required", "optional"]), {
    description:
      "`required`: each of their connections begins with a header, within 3 seconds. `optional`: one that does not, or that says nothing for 300 ms, is a client's own.",
    default: "required",
  }),
}).annotate({
  identifier: "ProxySenders",
  title: "PROXY protocol",
  description: "Whose PROXY headers a listener believes. From anyone else they end the connection.",
  expected: 'options like { from: ["10.0.0.0/8"] }',
})

const weighted = Schema.Struct({
  url: required(url, { description: "`tcp://host:port`, `tls://host:port` or `unix:/path`." }),
  weight: optional(between(0, 1_000_000), {
    description: "Its share; 0 is never picked first, only as a fallback.",
    default: 1,
  }),
}).annotate({
  identifier: "WeightedTarget",
  title: "Weighted target",
  description: "A target of a route with its share.",
  expected: 'an object like { url: "tcp://host:port", weight: 2 }',
})

const destination = Schema.Union([
  text(1, LONGEST_URL, "a pool's name or a target").annotate({ kind: "pool's name, URL", range: "" }),
  Schema.Array(Schema.Union([url, weighted]))
    .check(Schema.isMinLength(1), Schema.isMaxLength(MOST_TARGETS))
    .annotate({ expected: `a list of 1 to ${MOST_TARGETS} targets`, range: `1 to ${MOST_TARGETS} entries` }),
]).annotate({ expected: 'a pool\'s name like "db", a target like "tcp://host:port", or a list of targets' })

const routeOptions = Schema.Struct({
  to: required(destination, {
    description:
      "A pool's name, a target, or a list of targets. Without weights they are tried in order; with any weight the first is picked by weight, and the others are the fallbacks.",
    examples: ["db", ["tcp://db-1.internal:5432", "tcp://db-2.internal:5432"]],
  }),
  connectTimeout: optional(duration(1), {
    description: "For one attempt: name, connect and handshakes.",
    otherwise: "5 seconds, or that of the pool",
  }),
  idleTimeout: optional(duration(1), {
    description: "Ends the connection after this long without a byte in either direction.",
    otherwise: "5 minutes, or that of the pool",
  }),
  maxDuration: optional(duration(1), {
    description: "Ends the connection after this long, counted from its accept.",
    otherwise: "no limit, or that of the pool",
  }),
  retries: optional(whole(0, 1000), {
    description: "Further attempts after the first, each at a different target.",
    otherwise: "the other targets, or that of the pool",
  }),
  proxyProtocol: optional(headerVersion, {
    description: "Tell the target who the client is: a PROXY header of this version, before anything else.",
    otherwise: "none, or that of the pool",
  }),
  tls: optional(upstreamTls, {
    description: "How to speak TLS to `tls://` targets.",
    otherwise: "as to any server, or that of the pool",
  }),
  bandwidth: optional(bandwidth, { description: "Bytes per second.", otherwise: "no limit, or that of the pool" }),
}).annotate({
  identifier: "Route",
  title: "Route",
  description: "Where the connections of a listener go, with options.",
  expected: "an object like { to: ... }",
})

const route = Schema.Union([...destination.members, routeOptions]).annotate({
  expected:
    'a pool\'s name like "db", a target like "tcp://host:port", a list of targets, or an object like { to: ... }',
})

/** What is not its URL, as in policy/listener-options.ts. */
export const listenerOptions = {
  maxConnections: optional(whole(1, MOST_CONNECTIONS), {
    description: "Connections of this listener at one time; further clients wait in the backlog.",
    otherwise: "the gateway's own cap",
  }),
  proxyProtocol: optional(proxyProtocol, {
    description: "Believe the PROXY headers of these load balancers.",
    otherwise: "nobody's",
  }),
  rateLimit: optional(rateLimit, { description: "Connections that come within a time.", otherwise: "no limit" }),
  concurrencyLimit: optional(concurrencyLimit, { description: "Connections at one time.", otherwise: "no limit" }),
  bandwidth: optional(bandwidth, { description: "Bytes per second.", otherwise: "no limit" }),
}

const options = Schema.Struct({
  url: required(url, {
    description:
      "`tcp://address:port`, `tls://name:port`, `postgres://name:port` or `unix:/path`, as `listen` of a policy has it.",
    examples: ["tcp://:5432", "tls://*.example.com:443"],
  }),
  address: optional(text(1, LONGEST_URL, "an address").annotate({ kind: "address", range: "" }), {
    description: "The address to bind where the URL has a server name or nothing.",
    otherwise: "all addresses",
    examples: ["10.0.0.5", "localhost"],
  }),
  ...listenerOptions,
  route: optional(route, {
    description:
      "Where its connections go that no policy has decided about. Left out: the entry only opens the listener and sets its options.",
    otherwise: "left to the policies",
    examples: ["db", { to: "tcp://db.internal:5432", connectTimeout: "2 seconds" }],
  }),
})

/** What a listener of the configuration is. */
export type Listener = typeof options.Type

export const listener = options.check(Schema.makeFilter(listenerFaults)).annotate({
  identifier: "Listener",
  title: "Listener",
  description: "A port that is served.",
  expected: 'an object like { url: "tcp://:5432", route: "db" }',
})

/** The entry as `listen` would have it. */
export function listenOf(written: Listener): unknown {
  return Object.fromEntries(Object.entries(written).filter(([name]) => name !== "route"))
}

/** What the route decides; `undefined` where there is none. @throws what `route()` throws */
export function routeOf({ route: written }: Listener): Route | undefined {
  if (written === undefined) return undefined
  if (typeof written === "string" || isList(written)) return routeTo(written)
  const { to, ...rest } = written
  return routeTo(to, rest)
}

function isList<A>(value: readonly A[] | object): value is readonly A[] {
  return Array.isArray(value)
}

function listenerFaults(written: Listener): readonly { path: readonly PropertyKey[]; issue: string }[] {
  return [...listenFaults(written), ...routeFaults(written)]
}

function listenFaults(written: Listener) {
  try {
    parseListen(listenOf(written))
    return []
  } catch (error) {
    if (!(error instanceof ListenInvalid)) throw error
    const why = error.message.replace(/^listen /, "")
    // What is about an option stands at the option.
    const named = /^"(?:[^"\\]|\\.)*": (\w+): (.*)$/s.exec(why)
    return named !== null && Object.hasOwn(written, named[1]!)
      ? [{ path: [named[1]!], issue: named[2]! }]
      : [{ path: ["url"], issue: why }]
  }
}

function routeFaults(written: Listener) {
  try {
    const decision = routeOf(written)
    const reads = /^(tls|postgres):/i.test(written.url)
    if (reads && decision?.targets.some(({ url: to }) => to.startsWith("tls:")) === true)
      return [{ path: ["route"], issue: "TLS passes through here: write tcp:// instead of tls://" }]
    return []
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [{ path: ["route"], issue: message.replace(/^route: /, "") }]
  }
}
