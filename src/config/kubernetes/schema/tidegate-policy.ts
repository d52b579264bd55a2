// TidegatePolicy: the options are the ones that tidegate.yaml has, with the same schemas.
import { Schema } from "effect"
import { didYouMean } from "../../../policy/suggest.ts"
import { readListenerOptions } from "../../../policy/listener-options.ts"
import type { Pool } from "../../../policy/pool.ts"
import { poolFaults } from "../../pool-spec.ts"
import { text, word } from "../../schema/field.ts"
import { listenerOptions } from "../../schema/listener.ts"
import { pool } from "../../schema/pool.ts"
import { strict, type Shape } from "../shape.ts"
import type { TidegatePolicyBody } from "../types.ts"
import type { TidegatePolicySpec } from "../tidegate-policy.ts"
import { sameTargets } from "./backend-tls-policy.ts"
import { cidr, like, listOf, objectName, sectionName } from "./names.ts"
import { withSpec } from "./object.ts"

const { Struct, optionalKey } = Schema

/** As in Gateway API's own policies. */
const MOST_TARGETS = 16
/** 10,000 ranges: as a listener's trusted senders; longer lists are a policy in TypeScript. */
const MOST_RANGES = 10_000
/** 16 names of 255 bytes: as wherever protocols are offered (RFC 7301 section 3.1). */
const MOST_ALPN = 16
const ALPN = /^[!-~]+$/u
const LONGEST_ALPN = 255
const LONGEST_CIPHERS = 4096
const LONGEST_PATH = 512

const GATEWAY_GROUP = "gateway.networking.k8s.io"
const KINDS = ["Gateway", "ListenerSet", "TCPRoute", "TLSRoute"] as const
/** What has listeners. */
const WITH_LISTENERS: readonly string[] = ["Gateway", "ListenerSet"]

const targetRef = Struct({
  group: Schema.String.check(
    Schema.makeFilter(
      (group: string) =>
        group === GATEWAY_GROUP ||
        `expected ${JSON.stringify(GATEWAY_GROUP)}, found ${JSON.stringify(group)}${didYouMean(group, [GATEWAY_GROUP])}`,
    ),
  ).annotate({ expected: JSON.stringify(GATEWAY_GROUP) }),
  kind: word(KINDS),
  name: objectName,
  sectionName: optionalKey(sectionName),
})
  .check(
    Schema.makeFilter(
      ({ kind, sectionName: section }: { readonly kind: string; readonly sectionName?: string }) =>
        section === undefined ||
        WITH_LISTENERS.includes(kind) || { path: ["sectionName"], issue: `is for listeners: a ${kind} has none` },
    ),
  )
  .annotate({ expected: `an object like { group: ${GATEWAY_GROUP}, kind: Gateway, name: main }` })

const clients = Struct({
  allow: optionalKey(listOf(cidr, 0, MOST_RANGES, "address ranges")),
  deny: optionalKey(listOf(cidr, 0, MOST_RANGES, "address ranges")),
}).annotate({ expected: "an object like { allow: [10.0.0.0/8] }" })

const listener = Struct(listenerOptions)
  .check(Schema.makeFilter(listenerFault))
  .annotate({ expected: "options like { maxConnections: 1000 }" })

/** What the schemas cannot say, as `listen` of a policy has it. */
function listenerFault(options: Parameters<typeof readListenerOptions>[2]) {
  try {
    readListenerOptions("", false, options)
    return undefined
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const named = /^: (\w+): (.*)$/su.exec(message)
    return named === null ? message : { path: [named[1]!], issue: named[2]! }
  }
}

const version = word(["1.2", "1.3"])

const tls = Struct({
  minVersion: optionalKey(version),
  maxVersion: optionalKey(version),
  ciphers: optionalKey(text(1, LONGEST_CIPHERS, "names of cipher suites")),
  alpn: optionalKey(listOf(like(ALPN, LONGEST_ALPN, 'the name of a protocol, like "h2"'), 0, MOST_ALPN, "names")),
})
  .check(
    Schema.makeFilter(
      ({ maxVersion, minVersion }: { readonly minVersion?: string; readonly maxVersion?: string }) =>
        !(minVersion === "1.3" && maxVersion === "1.2") || { path: ["maxVersion"], issue: "is below minVersion" },
    ),
  )
  .annotate({ expected: 'options like { minVersion: "1.3" }' })

const { targets: _targets, tls: _tls, ...upstreamFields } = pool.fields

const upstream = Struct(upstreamFields)
  .check(Schema.makeFilter((options: Omit<Pool, "targets" | "tls">) => poolFaults({ ...options, targets: SERVICE })))
  .annotate({ expected: "options like { balance: least-connections }" })

/** A Service may be found by its name: then connections wait for the DNS. */
const SERVICE = ["dns://service:1"]

const policy = Struct({
  module: like(/^\.{1,2}\/[^\0]+$/u, LONGEST_PATH, 'a path from the folder of this file, like "./lib/guard.ts"'),
  export: optionalKey(like(/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u, LONGEST_PATH, "the name of an export")),
}).annotate({ expected: "an object like { module: ./lib/guard.ts }" })

const spec = Struct({
  targetRefs: listOf(targetRef, 1, MOST_TARGETS, "targetRefs", sameTargets),
  clients: optionalKey(clients),
  listener: optionalKey(listener),
  tls: optionalKey(tls),
  upstream: optionalKey(upstream),
  policy: optionalKey(policy),
}).check(Schema.makeFilter(specFaults))

function specFaults(written: TidegatePolicySpec) {
  const route = written.targetRefs.find(({ kind }) => !WITH_LISTENERS.includes(kind))
  if (route === undefined) return []
  const issue = `is for Gateways and ListenerSets: a ${route.kind} has no listeners`
  return (["listener", "tls"] as const)
    .filter((name) => written[name] !== undefined)
    .map((name) => ({ path: [name], issue }))
}

/** What a policy can say. */
const SAYS = ["clients", "listener", "tls", "upstream", "policy"] as const

export const tidegatePolicy: Shape<TidegatePolicyBody> = strict(withSpec(spec), (body) =>
  SAYS.some((name) => body.spec[name] !== undefined)
    ? []
    : [{ path: ["spec"], message: "says nothing but its targets: it has no effect" }],
)
