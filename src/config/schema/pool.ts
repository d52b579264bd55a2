// A pool as configuration, in `export const pools` and in tidegate.yaml alike. What stands here is also what editors and
// the reference page say.
import { Schema } from "effect"
import { parsePoolTarget } from "../../policy/pool-target.ts"
import { poolFaults } from "../pool-spec.ts"
import {
  between,
  duration,
  flag,
  grouped,
  headerVersion,
  optional,
  parsed,
  required,
  text,
  whole,
  word,
} from "./field.ts"
import { breaker, health, passive } from "./health.ts"
import { bandwidth, concurrencyLimit, rateLimit } from "./limits.ts"
import { upstreamTls } from "./upstream-tls.ts"

/** 1,000 targets: a pool that is longer follows the DNS. */
export const MOST_TARGETS = 1000
/** 1,000 pools in one file: more are written by a machine, and want a file each. */
export const MOST_POOLS = 1000
/** 1,000,000: sums of weights stay exact, and no machine has more connections. */
const MILLION = 1_000_000
/** 100 characters: a name is shown in a line. */
const LONGEST_NAME = 100

const poolTarget = "`tcp://`, `tls://`, `unix:`, `dns://`, `srv://`"
const url = parsed((value) => parsePoolTarget(value, false), "URL", "^([A-Za-z]+://|unix:)").annotate({
  expected: 'a target like "tcp://host:port"',
  kind: "URL",
})

export const target = Schema.Struct({
  url: required(url, {
    description:
      "`tcp://host:port`, `tls://host:port`, `unix:/path`; `dns://name:port` for every address that the DNS has for the name, `srv://_service._proto.name` for every target of its SRV records. Both follow the DNS.",
    examples: ["tcp://db-1.internal:5432", "dns://db.internal:5432", "srv://_postgresql._tcp.internal"],
  }),
  name: optional(text(1, LONGEST_NAME), {
    description: "How it is called in events and status.",
    otherwise: "its URL",
  }),
  weight: optional(between(0, MILLION), {
    description: "Its share; 0 takes no new connections. Multiplies the weights of SRV records.",
    default: 1,
  }),
  priority: optional(whole(0, 100), {
    description: "Targets of a higher number are used when none of a lower one can be. Added to that of SRV records.",
    default: 0,
  }),
  maxConnections: optional(whole(1, MILLION), {
    description: "Connections at one time.",
    otherwise: "that of the pool",
  }),
  tls: optional(flag, { description: "For `dns://` and `srv://`: encrypt, as for `tls://` targets.", default: false }),
}).annotate({
  identifier: "Target",
  title: "Target",
  description: "One target of a pool, with what is special about it.",
  expected: 'an object like { url: "tcp://host:port" }',
})

const targets = Schema.Array(
  Schema.Union([url, target]).annotate({
    expected: 'a target like "tcp://host:port", or an object like { url: "tcp://host:port" }',
  }),
)
  .check(
    Schema.isMinLength(1, { expected: `a list of 1 to ${grouped(MOST_TARGETS)} targets` }),
    Schema.isMaxLength(MOST_TARGETS, { expected: `a list of 1 to ${grouped(MOST_TARGETS)} targets` }),
  )
  .annotate({
    expected: `a list of 1 to ${grouped(MOST_TARGETS)} targets`,
    range: `1 to ${grouped(MOST_TARGETS)} entries`,
  })

const queue = Schema.Struct({
  size: optional(whole(0, 100_000), { description: "How many may wait.", default: 100 }),
  timeout: optional(duration(1), { description: "How long each waits.", default: "5 seconds" }),
}).annotate({
  identifier: "Queue",
  title: "Queue",
  description: "Connections that wait for a target with room, first come first served. Needs `maxConnections`.",
  expected: "options like { size, timeout }",
})

export const pool = Schema.Struct({
  targets: required(targets, {
    description: `Where the pool leads: ${poolTarget}.`,
    examples: [["tcp://db-1.internal:5432", { url: "tcp://db-2.internal:5432", weight: 2 }]],
  }),
  balance: optional(word(["round-robin", "least-connections", "random-two", "hash", "first", "latency"]), {
    description:
      "How a target is picked: in turn, by weight; the one with the fewest connections; the better of two at random; by a key, so that equal keys lead to the same target; the first that can be used; the one that connects fastest.",
    default: "round-robin",
  }),
  hashOn: optional(word(["client", "sni"]), {
    description: "For `hash`: what of a connection. A route's own `key` goes before it.",
    default: "client",
  }),
  health: optional(health, { description: "Active checks.", otherwise: "none" }),
  passive: optional(passive, {
    description: "What connections say of a target.",
    otherwise: "on, with the defaults of each option",
  }),
  panicThreshold: optional(between(0, 1), {
    description: "With a smaller share of healthy targets than this, health is not asked for. 0: never.",
    default: 0,
  }),
  slowStart: optional(duration(0), {
    description: "A target that comes (back) gets its full share after this long.",
    default: "0s",
  }),
  closeOnUnhealthy: optional(flag, {
    description: "Connections to a target that fails its checks are reset. Needs `health`.",
    default: false,
  }),
  maxConnections: optional(whole(1, MILLION), {
    description: "Connections at one time for each target.",
    otherwise: "no limit",
  }),
  queue: optional(queue, {
    description: "Connections that wait for a target with room.",
    otherwise: "of 100 for 5 seconds",
  }),
  breaker: optional(breaker, { description: "Stops asking a target that mostly fails.", otherwise: "none" }),
  retries: optional(whole(0, MOST_TARGETS), {
    description: "Further attempts after the first, each at a different target.",
    otherwise: "the other targets",
  }),
  retryBudget: optional(between(0, 1), {
    description: "Retries, as a share of the pool's connections. Above 0, 10 a second are always allowed.",
    default: 0.2,
  }),
  connectTimeout: optional(duration(1), { description: "For one attempt.", default: "5 seconds" }),
  idleTimeout: optional(duration(1), {
    description: "Ends a connection after this long without a byte in either direction.",
    default: "5 minutes",
  }),
  maxDuration: optional(duration(1), {
    description: "Ends a connection after this long, counted from its accept.",
    otherwise: "no limit",
  }),
  proxyProtocol: optional(headerVersion, {
    description: "Version of the PROXY header that targets get.",
    otherwise: "none",
  }),
  tls: optional(upstreamTls, {
    description: "How to speak TLS to the targets that are to be encrypted.",
    otherwise: "as to any server",
  }),
  rateLimit: optional(rateLimit, { description: "Connections that come within a time.", otherwise: "no limit" }),
  concurrencyLimit: optional(concurrencyLimit, { description: "Connections at one time.", otherwise: "no limit" }),
  bandwidth: optional(bandwidth, { description: "Bytes per second.", otherwise: "no limit" }),
})
  .check(Schema.makeFilter(poolFaults))
  .annotate({
    identifier: "Pool",
    title: "Pool",
    description: "Named targets, with what is known of them over time.",
    expected: "an object like { targets: [...] }",
  })

/** 63 characters: as a label of the DNS; pools are labels of metrics. What this takes cannot be taken for a target. */
const POOL_NAME = /^[a-z][a-z0-9-]{0,62}$/u

export const pools = Schema.Record(Schema.String.check(Schema.isPattern(POOL_NAME)), pool)
  .check(
    Schema.makeFilter(
      (all: object) => {
        const count = Object.keys(all).length
        return count <= MOST_POOLS || `${grouped(count)} pools; at most ${grouped(MOST_POOLS)}`
      },
      { toJsonSchema: () => ({ maxProperties: MOST_POOLS }) },
    ),
  )
  .annotate({
    expected: "pools by their names, like { db: { targets: [...] } }",
    messageUnexpectedKey: "a pool's name is 1 to 63 lower-case letters, digits and dashes, a letter first",
    range: `at most ${grouped(MOST_POOLS)}`,
  })
