// What Kong's annotations and KongUpstreamPolicy say of a Service, in the words of our pools.
import type { Balance, Pool } from "../../../policy/pool.ts"
import type { Objects } from "../objects.ts"
import type { KongUpstreamPolicyBody, ObjectOf } from "../types.ts"

type Service = ObjectOf<"Service">
type UpstreamPolicy = KongUpstreamPolicyBody["spec"]

/** The options of a pool that Kong has words for. */
export type KongOptions = Pick<
  Pool,
  "balance" | "hashOn" | "health" | "passive" | "connectTimeout" | "idleTimeout" | "retries"
>

/** How to speak TLS to a Service, where its annotations say so. */
export interface KongTls {
  readonly verify: boolean
  /** Names of Secrets and ConfigMaps with a `ca.crt`, in the Service's namespace. */
  readonly authorities: readonly { readonly kind: "Secret" | "ConfigMap"; readonly name: string }[]
  /** Name of a Secret with a certificate to present. */
  readonly certificate: string | undefined
}

export interface KongService {
  readonly options: KongOptions
  readonly tls: KongTls | undefined
  /** What has no equal here, or is not to be read. */
  readonly notes: readonly string[]
}

const PREFIX = "konghq.com/"
const NONE: KongService = Object.freeze({ options: Object.freeze({}), tls: undefined, notes: Object.freeze([]) })
/** What is of HTTP, or of Kong's own working, and says nothing at layer 4. */
const ALGORITHMS: Readonly<Record<string, Balance>> = {
  "round-robin": "round-robin",
  "consistent-hashing": "hash",
  "least-connections": "least-connections",
  latency: "latency",
}

/** Nothing for a Service without annotations of Kong's. */
export function kongService({ metadata: { annotations, namespace } }: Service, objects: Objects): KongService {
  if (!Object.keys(annotations).some((name) => name.startsWith(PREFIX))) return NONE
  const notes: string[] = []
  const value = (name: string) => annotations[PREFIX + name]
  const number = (name: string) => {
    const text = value(name)
    if (text === undefined) return undefined
    const found = Number(text)
    if (Number.isInteger(found) && found >= 0) return found
    notes.push(`${PREFIX}${name}: expected a whole number, found ${JSON.stringify(text)}`)
    return undefined
  }
  // Kong's idle time is that of whichever side is quiet; ours is that of both.
  const idle = Math.max(number("read-timeout") ?? 0, number("write-timeout") ?? 0)
  const connect = number("connect-timeout")
  const retries = number("retries")
  const named = value("upstream-policy")
  const policy = named === undefined ? undefined : objects.find("KongUpstreamPolicy", namespace, named)
  if (named !== undefined && policy === undefined)
    notes.push(`${PREFIX}upstream-policy: there is no KongUpstreamPolicy ${namespace}/${named}`)
  const options: KongOptions = {
    ...(connect === undefined || connect === 0 ? {} : { connectTimeout: connect }),
    ...(idle === 0 ? {} : { idleTimeout: idle }),
    ...(retries === undefined ? {} : { retries }),
    ...(policy === undefined ? {} : upstreamOptions(policy.body.spec, notes)),
  }
  return { options, tls: tlsOf(value, notes), notes }
}

function tlsOf(value: (name: string) => string | undefined, notes: string[]): KongTls | undefined {
  const protocol = value("protocol")
  const certificate = value("client-cert")
  if (protocol !== undefined && !["tcp", "tls"].includes(protocol))
    notes.push(`${PREFIX}protocol: ${JSON.stringify(protocol)} has no effect at layer 4; expected "tcp" or "tls"`)
  if (protocol !== "tls") {
    if (certificate !== undefined) notes.push(`${PREFIX}client-cert has no effect without ${PREFIX}protocol: "tls"`)
    return undefined
  }
  const verify = value("tls-verify")
  if (verify !== "true" && verify !== "false")
    notes.push(
      `${PREFIX}tls-verify is not given: certificates are verified here; write "false" for what Kong does then`,
    )
  if (value("tls-verify-depth") !== undefined) notes.push(`${PREFIX}tls-verify-depth has no effect`)
  const names = (annotation: string) =>
    (value(annotation) ?? "")
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "")
  const authorities = [
    ...names("ca-certificates-secrets").map((name) => ({ kind: "Secret" as const, name })),
    ...names("ca-certificates-configmaps").map((name) => ({ kind: "ConfigMap" as const, name })),
  ]
  return { verify: verify !== "false", authorities, certificate }
}

function upstreamOptions(spec: UpstreamPolicy, notes: string[]): KongOptions {
  const { algorithm, hashOn, hashOnFallback, healthchecks } = spec
  const balance = algorithm === undefined ? undefined : ALGORITHMS[algorithm]
  if (algorithm !== undefined && balance === undefined)
    notes.push(`KongUpstreamPolicy: algorithm ${JSON.stringify(algorithm)} has no equal at layer 4`)
  for (const hash of [hashOn, hashOnFallback]) {
    if (hash !== undefined && hash.input !== "ip" && hash.input !== "none")
      notes.push("KongUpstreamPolicy: hashOn: at layer 4 there is only `input: ip`; clients are told apart by that")
  }
  const health = activeHealth(healthchecks?.active, notes)
  const failures = healthchecks?.passive?.unhealthy?.tcpFailures ?? healthchecks?.passive?.unhealthy?.timeouts
  if (healthchecks?.threshold !== undefined && healthchecks.threshold > 0)
    notes.push("KongUpstreamPolicy: healthchecks.threshold has no effect: an upstream serves as long as a target does")
  return {
    ...(balance === undefined ? {} : { balance }),
    ...(balance === "hash" ? { hashOn: "client" as const } : {}),
    ...(health === undefined ? {} : { health }),
    ...(failures === undefined || failures === 0 ? {} : { passive: { failures } }),
  }
}

type Active = NonNullable<UpstreamPolicy["healthchecks"]>["active"]

/** Kong checks only where an interval is given: one for targets that are healthy, and one for the others. */
function activeHealth(active: Active, notes: string[]): Pool["health"] {
  const intervals = [active?.healthy?.interval ?? 0, active?.unhealthy?.interval ?? 0].filter((each) => each > 0)
  if (active === undefined || intervals.length === 0) return undefined
  const { healthy, timeout, type = "http", unhealthy } = active
  if (type !== "tcp")
    notes.push(
      `KongUpstreamPolicy: healthchecks.active: at layer 4 a check of type ${JSON.stringify(type)} connects, and does nothing else`,
    )
  const fall = Math.max(unhealthy?.tcpFailures ?? 0, unhealthy?.timeouts ?? 0)
  const rise = healthy?.successes ?? 0
  return {
    check: "tcp",
    interval: Math.min(...intervals) * 1000,
    ...(timeout === undefined || timeout === 0 ? {} : { timeout: timeout * 1000 }),
    ...(rise === 0 ? {} : { rise }),
    ...(fall === 0 ? {} : { fall }),
  }
}
