// What a test expects, one thing at a time: of the statuses of objects, of single connections, and of many.
import type { Value } from "./reading.ts"

export type Check = ObjectCheck | ProbeCheck | DistributionCheck

/** Something that a status has to say. */
export interface ObjectCheck {
  readonly about: "object"
  /** A kind; `*Route` and `*Policy` stand for all that end so. */
  readonly kind: string
  /** `undefined`: every object of the kind that the manifests have. */
  readonly name: string | undefined
  /** A listener of it, or a parent. */
  readonly part: string | undefined
  readonly field: Field
}

export type Field =
  /** `undefined`: any. */
  | { readonly of: "condition"; readonly type: string; readonly status: string | undefined; readonly reason: string }
  /** Must contain these; none: must be empty. */
  | { readonly of: "supportedKinds"; readonly kinds: readonly string[] }
  | { readonly of: Counted; readonly count: number }

export type Counted = "attachedRoutes" | "attachedListenerSets" | "addresses"

/** Where a connection goes. */
export interface Destination {
  readonly gateway: string | undefined
  readonly listener: string | undefined
  readonly port: number | undefined
  readonly sni: string | undefined
}

export interface ProbeCheck extends Destination {
  readonly about: "probe"
  /** `undefined`: it has to be rejected. */
  readonly backend: string | undefined
  readonly backendNamespace: string | undefined
  /** Whether the backend sees TLS. */
  readonly backendTLS: boolean | undefined
  readonly backendSNI: string | undefined
}

export interface DistributionCheck extends Destination {
  readonly about: "distribution"
  readonly connections: number
  readonly parallel: number
  readonly attempts: number
  /** The part that each backend gets, from 0 to 1; `reject`: of those that are rejected. */
  readonly expect: ReadonlyMap<string, number>
  readonly tolerance: number
}

/** Keys under which objects stand by name, with their kinds. */
const FAMILIES: Readonly<Record<string, string>> = {
  routes: "*Route",
  policies: "*Policy",
  backendTLSPolicies: "BackendTLSPolicy",
  backendTLSPolicy: "BackendTLSPolicy",
  gateways: "Gateway",
  gatewayClasses: "GatewayClass",
  listeners: "Gateway",
  listenerSets: "ListenerSet",
}
/** Keys that name a kind. */
const KINDS = ["Gateway", "GatewayClass", "ListenerSet", "TCPRoute", "TLSRoute", "HTTPRoute", "BackendTLSPolicy"]
const COUNTS: Readonly<Record<string, Counted>> = {
  attachedRoutes: "attachedRoutes",
  attachedListenerSets: "attachedListenerSets",
  statusAddresses: "addresses",
}
const DESTINATION_KEYS = ["gateway", "listener", "port", "sni", "note"]
const PROBE_KEYS = [...DESTINATION_KEYS, "backend", "backendNamespace", "backendTLS", "backendSNI", "reject"]
const DISTRIBUTION_KEYS = [...DESTINATION_KEYS, "connections", "parallel", "attempts", "expect", "tolerance"]

export const CHECK_KEYS = [...Object.keys(FAMILIES), ...KINDS, ...Object.keys(COUNTS), "probes", "distribution"]

const STATUSES = ["True", "False", "Unknown"]
/** As the suite itself does it. */
const PARALLEL = 10
const ATTEMPTS = 10
const TOLERANCE = 0.05
/** 100,000: more is no test of a split. */
const MOST_CONNECTIONS = 100_000

/** Everything that these fields of a test or a step expect. */
export function readChecks(fields: ReadonlyMap<string, Value>): readonly Check[] {
  return [...fields].flatMap(([name, field]): readonly Check[] => {
    const family = FAMILIES[name] ?? (KINDS.includes(name) ? name : undefined)
    const counted = COUNTS[name]
    if (family !== undefined) return readObjects(family, field)
    if (counted !== undefined) return readCounts(counted, field)
    if (name === "probes") return field.some().map(readProbe)
    return name === "distribution" ? field.some().map(readDistribution) : []
  })
}

/** By name; or, with nothing but fields, all objects of the kind. */
function readObjects(kind: string, value: Value): readonly Check[] {
  const fields = [...value.fields()]
  if (fields.some(([, field]) => !field.isObject)) return readFields({ kind, name: undefined, part: undefined }, value)
  return fields.flatMap(([name, field]) => readFields({ kind, name, part: undefined }, field))
}

function readFields(target: Pick<ObjectCheck, "kind" | "name" | "part">, value: Value): readonly Check[] {
  return [...value.fields()].flatMap(([name, field]): readonly Check[] => {
    const check = (field: Field): readonly Check[] => [{ about: "object", ...target, field }]
    if (field.isObject && target.part === undefined) return readFields({ ...target, part: name }, field)
    if (name === "supportedKinds") return check({ of: "supportedKinds", kinds: field.texts() })
    const counted = name === "addresses" ? name : COUNTS[name]
    if (counted !== undefined) return check({ of: counted, count: field.count() })
    if (/^[A-Z]/.test(name)) return check(readCondition(name, field))
    if (name !== "note") field.unknown(["supportedKinds", "addresses", ...Object.keys(COUNTS)])
    return []
  })
}

function readCondition(type: string, field: Value): Field {
  const [status, reason, ...more] = field.some()
  const found = status === undefined ? undefined : statusOf(status.value)
  if (found === undefined || more.length > 0) throw field.expected('[status, reason], like ["True", Accepted]')
  const told = reason?.value
  if (told !== undefined && typeof told !== "string") throw field.expected('[status, reason], like ["True", Accepted]')
  return { of: "condition", type, status: found === "" ? undefined : found, reason: told ?? "" }
}

/** YAML takes a bare `True` for a boolean. */
function statusOf(value: unknown): string | undefined {
  if (typeof value === "boolean") return value ? "True" : "False"
  return typeof value === "string" && (value === "" || STATUSES.includes(value)) ? value : undefined
}

function readCounts(of: Counted, value: Value): readonly Check[] {
  const check = (name: string | undefined, part: string | undefined, count: number): Check => ({
    about: "object",
    kind: "Gateway",
    name,
    part,
    field: { of, count },
  })
  if (!value.isObject) return [check(undefined, undefined, value.count())]
  return [...value.fields()].flatMap(([name, field]) =>
    field.isObject
      ? [...field.fields()].map(([part, inner]) => check(name, part, inner.count()))
      : [check(name, undefined, field.count())],
  )
}

function readDestination(fields: ReadonlyMap<string, Value>): Destination {
  return {
    gateway: fields.get("gateway")?.text(),
    listener: fields.get("listener")?.text(),
    port: fields.get("port")?.port(),
    sni: fields.get("sni")?.text(),
  }
}

function readProbe(value: Value): Check {
  const fields = value.known(PROBE_KEYS)
  const backend = fields.get("backend")?.text()
  const reject = fields.get("reject")?.flag() ?? false
  if ((backend === undefined) !== reject) throw value.fail("a probe expects a `backend`, or `reject: true`")
  return {
    about: "probe",
    ...readDestination(fields),
    backend,
    backendNamespace: fields.get("backendNamespace")?.text(),
    backendTLS: fields.get("backendTLS")?.flag(),
    backendSNI: fields.get("backendSNI")?.text(),
  }
}

function readDistribution(value: Value): Check {
  const fields = value.known(DISTRIBUTION_KEYS)
  const expect = [...(fields.get("expect")?.fields() ?? [])].map(([name, part]) => [name, part.number()] as const)
  const connections = fields.get("connections")
  const total = expect.reduce((sum, [, part]) => sum + part, 0)
  if (connections === undefined || !(total > 0))
    throw value.fail("expected a number of `connections`, and in `expect` the part that each backend gets")
  if (connections.count(1) > MOST_CONNECTIONS) throw connections.expected(`at most ${MOST_CONNECTIONS}`)
  // 70 and 30 mean the same as 0.7 and 0.3, and so does a tolerance of 5.
  const tolerance = fields.get("tolerance")?.number() ?? TOLERANCE
  return {
    about: "distribution",
    ...readDestination(fields),
    connections: connections.count(1),
    parallel: fields.get("parallel")?.count(1) ?? PARALLEL,
    attempts: fields.get("attempts")?.count(1) ?? ATTEMPTS,
    expect: new Map(expect.map(([name, part]) => [name, total > 1 + TOLERANCE ? part / total : part])),
    tolerance: tolerance >= 1 ? tolerance / 100 : tolerance,
  }
}
