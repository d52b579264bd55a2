// Kong's TCPIngress and KongUpstreamPolicy (configuration.konghq.com/v1beta1), with the rules that the CRDs have in CEL.
import { Schema } from "effect"
import { flag, whole, word } from "../../schema/field.ts"
import { strict, type Note, type Shape } from "../shape.ts"
import type { KongHash, KongUpstreamPolicyBody, TCPIngressBody } from "../types.ts"
import { hostname, like, listOf, objectName, port, textUpTo } from "./names.ts"
import { withSpec } from "./object.ts"

const { Struct, optionalKey } = Schema

/** The CRD has no bounds; these are those of listeners and routes in Gateway API, with room. */
const MOST_RULES = 1024
const MOST_TLS = 1024
const MOST_HOSTS = 1024

export const tcpIngress: Shape<TCPIngressBody> = strict(
  withSpec(
    Struct({
      rules: listOf(
        Struct({
          host: optionalKey(hostname),
          port,
          backend: Struct({ serviceName: objectName, servicePort: port }).annotate({
            expected: "an object like { serviceName: db, servicePort: 5432 }",
          }),
        }).annotate({ expected: "a rule like { port: 9000, backend: { serviceName: db, servicePort: 5432 } }" }),
        1,
        MOST_RULES,
        "rules",
      ),
      tls: optionalKey(
        listOf(
          Struct({
            hosts: optionalKey(listOf(hostname, 0, MOST_HOSTS, "host names")),
            secretName: optionalKey(objectName),
          }).annotate({ expected: "an object like { hosts: [db.example.com], secretName: certificate }" }),
          0,
          MOST_TLS,
          "entries",
        ),
      ),
    }).annotate({ expected: "an object like { rules: [...] }" }),
  ),
)

/** 32-bit integers in the CRD; no check waits for longer than a day. */
const MOST_COUNT = 65_535
const LONGEST_SECONDS = 86_400
const LONGEST_TEXT = 1024
const MOST_STATUSES = 100

const text = textUpTo(LONGEST_TEXT)
const count = whole(0, MOST_COUNT)
const seconds = whole(0, LONGEST_SECONDS)
const statuses = listOf(whole(100, 599), 0, MOST_STATUSES, "status codes")
const protocol = word(["http", "https", "tcp", "grpc", "grpcs"])

const hash = Struct({
  input: optionalKey(word(["ip", "consumer", "path", "none"])),
  header: optionalKey(text),
  cookie: optionalKey(text),
  cookiePath: optionalKey(text),
  queryArg: optionalKey(text),
  uriCapture: optionalKey(text),
})
const hashExpected = { expected: "an object like { input: ip }" }

const INPUTS = ["input", "cookie", "header", "uriCapture", "queryArg"] as const

const oneInput = Schema.makeFilter((written: KongHash) => {
  const [first, second] = INPUTS.filter((name) => written[name] !== undefined)
  if (second !== undefined) return { path: [second], issue: `goes against ${String(first)}: only one can be hashed` }
  if (written.cookie !== undefined && written.cookiePath === undefined)
    return { path: [], issue: "cookiePath is missing: it goes with cookie" }
  return (
    written.cookiePath === undefined || written.cookie !== undefined || "cookie is missing: it goes with cookiePath"
  )
})

const noCookie = Schema.makeFilter(({ cookie, cookiePath }: KongHash) =>
  Object.entries({ cookie, cookiePath })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => ({ path: [name], issue: "has no place in a fallback" })),
)

const healthy = { httpStatuses: optionalKey(statuses), successes: optionalKey(count) }
const unhealthy = {
  httpFailures: optionalKey(count),
  httpStatuses: optionalKey(statuses),
  tcpFailures: optionalKey(count),
  timeouts: optionalKey(count),
}
const interval = optionalKey(seconds)

const healthchecks = Struct({
  active: optionalKey(
    Struct({
      type: optionalKey(protocol),
      concurrency: optionalKey(whole(1, MOST_COUNT)),
      healthy: optionalKey(Struct({ ...healthy, interval })),
      unhealthy: optionalKey(Struct({ ...unhealthy, interval })),
      httpPath: optionalKey(like(/^\/.*$/u, LONGEST_TEXT, 'a path like "/health"')),
      httpsSni: optionalKey(text),
      httpsVerifyCertificate: optionalKey(flag),
      timeout: optionalKey(seconds),
      headers: optionalKey(Schema.Record(Schema.String, Schema.Array(text))),
    }),
  ),
  passive: optionalKey(
    Struct({
      type: optionalKey(protocol),
      healthy: optionalKey(Struct(healthy)),
      unhealthy: optionalKey(Struct(unhealthy)),
    }),
  ),
  threshold: optionalKey(whole(0, 100)),
})

const spec = Struct({
  algorithm: optionalKey(
    word(["round-robin", "consistent-hashing", "least-connections", "latency", "sticky-sessions"]),
  ),
  slots: optionalKey(whole(10, 65_536)),
  hashOn: optionalKey(hash.check(oneInput).annotate(hashExpected)),
  hashOnFallback: optionalKey(hash.check(oneInput, noCookie).annotate(hashExpected)),
  healthchecks: optionalKey(healthchecks),
  stickySessions: optionalKey(
    Struct({ cookie: like(/^.+$/u, LONGEST_TEXT, "the name of a cookie"), cookiePath: optionalKey(text) }),
  ),
})
  .check(Schema.makeFilter(specFaults))
  .annotate({ expected: "an object like { algorithm: least-connections }" })

type Spec = KongUpstreamPolicyBody["spec"]

function specFaults({ algorithm, hashOn, hashOnFallback, stickySessions }: Spec) {
  const faults: { path: PropertyKey[]; issue: string }[] = []
  const hashes = algorithm === "consistent-hashing"
  // Kong's own rule leaves no way to write sticky sessions; what its documentation shows is let through.
  if (hashOn !== undefined && !hashes && !(algorithm === "sticky-sessions" && hashOn.input === "none"))
    faults.push({ path: ["hashOn"], issue: "needs `algorithm: consistent-hashing`" })
  if (hashOnFallback !== undefined && !hashes)
    faults.push({ path: ["hashOnFallback"], issue: "needs `algorithm: consistent-hashing`" })
  if (hashOnFallback !== undefined && hashOn?.cookie !== undefined)
    faults.push({ path: ["hashOnFallback"], issue: "has no place beside hashOn.cookie" })
  if (stickySessions !== undefined && hashOn?.input !== "none")
    faults.push({ path: ["stickySessions"], issue: "needs `hashOn: { input: none }`" })
  return faults
}

/** What is about HTTP. */
const HTTP_ONLY: readonly (readonly string[])[] = [
  ["hashOn", "header"],
  ["hashOn", "cookie"],
  ["hashOn", "queryArg"],
  ["hashOn", "uriCapture"],
  ["hashOnFallback"],
  ["stickySessions"],
  ["healthchecks", "active", "headers"],
  ["healthchecks", "passive", "healthy", "httpStatuses"],
  ["healthchecks", "passive", "unhealthy", "httpStatuses"],
  ["healthchecks", "passive", "unhealthy", "httpFailures"],
]

export const kongUpstreamPolicy: Shape<KongUpstreamPolicyBody> = strict(withSpec(spec), ({ spec: written }) => {
  const notes: Note[] = HTTP_ONLY.filter((path) => at(written, path) !== undefined).map((path) => ({
    path: ["spec", ...path],
    message: "has no effect at layer 4",
  }))
  const input = written.hashOn?.input
  if (input === "consumer" || input === "path")
    notes.push({ path: ["spec", "hashOn", "input"], message: `there is no ${input} at layer 4; write \`input: ip\`` })
  for (const path of [["slots"], ["healthchecks", "active", "concurrency"]])
    if (at(written, path) !== undefined)
      notes.push({ path: ["spec", ...path], message: "has no effect here: it is about how Kong works inside" })
  return notes
})

function at(value: unknown, path: readonly string[]): unknown {
  let inner = value
  for (const name of path) {
    if (typeof inner !== "object" || inner === null) return undefined
    inner = Reflect.get(inner, name)
  }
  return inner
}
