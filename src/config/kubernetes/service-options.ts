// What annotations of a Service say of every route that leads to it: ours (`tidegate.dev/...`), and Kong's. What a
// TidegatePolicy says goes before it.
import { didYouMean } from "../../policy/suggest.ts"
import type { UpstreamTls } from "../../policy/upstream-tls.ts"
import { digestOf } from "../module-graph.ts"
import { decode, shownFault } from "../schema/faults.ts"
import { pool } from "../schema/pool.ts"
import type { Encryption } from "./backend-tls.ts"
import { authoritiesOf, identityOf } from "./certificates.ts"
import type { Upstream } from "./effective.ts"
import type { Service } from "./endpoints.ts"
import { kongService, type KongTls } from "./kong/service-options.ts"
import { titleOf, type Objects } from "./objects.ts"

export interface ServiceOptions {
  readonly options: Upstream
  /** How targets are spoken to, unless a BackendTLSPolicy says so. */
  readonly encryption: Omit<Encryption, "policy"> | undefined
  /** What is wrong with the annotations, or has no effect. */
  readonly notes: readonly string[]
  /** Another one for other {@link options}; no secret. */
  readonly key: string
}

const PREFIX = "tidegate.dev/"
const KONG = "konghq.com/"
/** The options of a pool that are one word, by the name of their annotation. */
const NAMES: ReadonlyMap<string, keyof Upstream> = new Map([
  ["balance", "balance"],
  ["hash-on", "hashOn"],
  ["health", "health"],
  ["slow-start", "slowStart"],
  ["max-connections", "maxConnections"],
  ["retries", "retries"],
  ["connect-timeout", "connectTimeout"],
  ["idle-timeout", "idleTimeout"],
  ["max-duration", "maxDuration"],
  ["proxy-protocol", "proxyProtocol"],
])
/** Those that are numbers: annotations are texts. */
const NUMBERS: ReadonlySet<keyof Upstream> = new Set(["maxConnections", "retries", "proxyProtocol"])

/** `undefined` for a Service without such annotations. */
export function serviceOptions(service: Service, objects: Objects): ServiceOptions | undefined {
  const names = Object.keys(service.metadata.annotations)
  if (!names.some((name) => name.startsWith(PREFIX) || name.startsWith(KONG))) return undefined
  const kong = kongService(service, objects)
  const own = ownOptions(service)
  const options = { ...kong.options, ...own.options }
  return {
    options,
    encryption: kong.tls === undefined ? undefined : encryptionOf(service, kong.tls, objects),
    notes: [...own.notes, ...kong.notes],
    key: digestOf(JSON.stringify(options)),
  }
}

function ownOptions({ metadata: { annotations } }: Service): { options: Upstream; notes: readonly string[] } {
  const notes: string[] = []
  let options: Upstream = {}
  for (const [annotation, text] of Object.entries(annotations)) {
    if (!annotation.startsWith(PREFIX)) continue
    const short = annotation.slice(PREFIX.length)
    const name = NAMES.get(short)
    if (name === undefined) {
      const meant = didYouMean(short, NAMES.keys()) || `; known are ${[...NAMES.keys()].join(", ")}`
      notes.push(`${annotation}: there is no such annotation of a Service${meant}`)
      continue
    }
    const value = NUMBERS.has(name) && /^\d+$/.test(text) ? Number(text) : text
    // Each alone: one that is wrong takes no other with it.
    const decoded = decode(pool, { targets: ["tcp://any:1"], [name]: value })
    const fault = "faults" in decoded ? decoded.faults.find(({ path }) => path[0] === name) : undefined
    // What it says of other options is judged where all are known.
    if (fault !== undefined && !fault.message.startsWith("has no effect"))
      notes.push(shownFault({ ...fault, path: [annotation] }))
    else options = { ...options, [name]: value }
  }
  return { options, notes }
}

function encryptionOf(
  service: Service,
  { authorities, certificate, verify }: KongTls,
  objects: Objects,
): Omit<Encryption, "policy"> {
  const { namespace } = service.metadata
  const failing = (problem: string) => {
    return { tls: undefined, problem: `${titleOf(service)}: ${problem}`, key: problem }
  }
  const ca: string[] = []
  for (const { kind, name } of authorities) {
    const object = objects.find(kind, namespace, name)
    if (object === undefined) return failing(`there is no ${kind} ${namespace}/${name} with authorities`)
    const { problem, value } = authoritiesOf(object)
    if (value === undefined) return failing(problem)
    ca.push(value)
  }
  const secret = certificate === undefined ? undefined : objects.find("Secret", namespace, certificate)
  if (certificate !== undefined && secret === undefined)
    return failing(`there is no Secret ${namespace}/${certificate} with a certificate`)
  const own = secret === undefined ? undefined : identityOf(secret)
  if (own?.problem !== undefined) return failing(own.problem)
  const pair = own?.value
  const tls: UpstreamTls = {
    ...(verify ? {} : { insecureSkipVerify: true }),
    ...(verify && ca.length > 0 ? { ca: ca.join("") } : {}),
    ...(pair === undefined ? {} : { certificate: { cert: pair.cert, key: pair.key } }),
  }
  return { tls, problem: undefined, key: digestOf(JSON.stringify(tls)) }
}
